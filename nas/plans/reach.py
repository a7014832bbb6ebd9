"""Whether a search has any network within those of its limits that arithmetic tells."""

import dataclasses
from random import Random

from nas import spaces
from nas.limits import over_limit
from nas.networks.architecture import Images, random_choices
from nas.networks.counts import counts
from nas.plans.problem import problem
from nas.refusal import Refusal
from nas.specs import Limits, SearchSpec

DESCENTS = 2  # from networks that are drawn: in every space of this package each leads to the same least excess


def require_within_reach(spec: SearchSpec, images: Images) -> None:
    """Raises Refusal, in the field of the limit, where no network that one change after another leads to is within the
    limits: then a search would find none either."""
    if dataclasses.replace(spec.limits, latency_ms=None, most_drop=None) == Limits():
        return
    wanted = problem(spec, images)
    space, broken = spaces.load(spec.space, spec.parent), ""
    for seed in range(DESCENTS):
        draw = Random(seed)
        choices = wanted.within(random_choices(wanted.knobs, draw), draw)
        over = over_limit(spec.limits, counts(space.architecture(choices, images)), spec.objective.precision)
        if over is None:
            return
        broken = broken or over
    name = broken.partition(" ")[0]
    field = name if getattr(spec.limits, name) is not None else "board"
    where = f"{images.resolution}×{images.resolution}×{images.channels}"
    raise Refusal(
        f"no network of {spec.space} for images of {where} is within the limits: the smallest that was found has "
        f"{broken}; raise that limit, give a lower resolution, or free the knobs",
        field=field,
    )
