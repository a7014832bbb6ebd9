"""What the weights that a network begins with, or its teacher, know of its images already."""

import logging

from nas import parents
from nas.datasets import ImageSet
from nas.recipes import Recipe
from nas.records import Job

log = logging.getLogger(__name__)


def seen(job: Job, recipe: Recipe, images: ImageSet) -> bool:
    """Whether what the network begins with, or learns from, may have been trained on images that it is scored on; which
    is said."""
    if job.dataset is None or job.final or images.validation_images is not None:
        return False
    split = recipe.split(job.shuffle)
    relatives = [("parent", job.parent), ("teacher", recipe.teacher)]
    knows = [word for word, name in relatives if name and parents.described(name).has_seen(job.dataset, split)]
    if knows:
        log.warning(
            "its %s may have been trained on images that it is scored on, which flatters it: compare it by test images",
            " and its ".join(knows),
        )
    return bool(knows)


def goes_on(job: Job, share: float | None) -> bool:
    """Whether a network that works already, as a part of a supernet, is trained on and scored on validation images."""
    if job.parent is None or share != 1 or job.calibrated or job.children or job.final:
        return False
    return parents.described(job.parent).shared
