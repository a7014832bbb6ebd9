"""What is checked of a search's parent: that it is there, that its weights are, and that candidates can begin with
them."""

import random
from collections.abc import Callable
from typing import TypeAlias

from nas import kinship, parents, spaces
from nas.networks.architecture import Images, random_choices
from nas.parents import UnknownParent, file, model
from nas.records import Model
from nas.roots import Outside, Roots
from nas.spaces import SearchSpace
from nas.specs import SearchSpec
from nas.store import NotFound

Models: TypeAlias = Callable[[str], Model]  # by id; raises NotFound
DRAWN = 50  # networks that stand for a space


def parent(name: str, roots: Roots, models: Models, images: Images | None, *, remote_workers: bool) -> str:
    """The name by which the workers know it: a model's and a file's is the SHA-256 of the checkpoint, of which the
    artifact folder then has a copy. Raises ValueError where it is not there, or the images are too small for it."""
    stored = _kept(name, roots, models)
    known = parents.described(stored)
    if known.missing and not remote_workers:
        raise ValueError(known.missing)
    if images:
        try:
            kinship.fitted(known.architecture, images)
        except ValueError as error:
            raise ValueError(f"parent {name!r} does not fit the images: {error}") from error
    return stored


def related(spec: SearchSpec, space: SearchSpace, images: Images) -> None:
    """Raise ValueError where no candidate can begin with the weights of the parent, as far as some that are drawn can
    tell: what keeps all of them from it."""
    assert spec.parent is not None
    knobs, draw = spaces.narrowed(space.knobs(images), spec.knobs), random.Random(0)
    candidates = [space.architecture(random_choices(knobs, draw), images) for _ in range(DRAWN)]
    if common := kinship.common_obstacles(parents.described(spec.parent).architecture, candidates):
        raise ValueError(
            f"no candidate of space {spec.space!r} can begin with the weights of {spec.parent!r}: {'; '.join(common)}. "
            f"{kinship.MAY_DIFFER.capitalize()}: give another space, other knobs or another parent"
        )


def _kept(name: str, roots: Roots, models: Models) -> str:
    if name.startswith(model.PREFIX):
        try:
            return models(name.removeprefix(model.PREFIX)).sha256
        except NotFound as error:
            raise UnknownParent(f"parent {name!r}: {error}") from error
    if not file.has(name):
        return name
    try:
        real = file.PREFIX + roots.resolved(name.removeprefix(file.PREFIX))
        parents.described(real)
        return file.imported(real, roots.open)
    except Outside:
        raise Outside(name.removeprefix(file.PREFIX)) from None
    except OSError as error:
        raise UnknownParent(f"parent {name!r} cannot be read or kept: {error.strerror}") from error
