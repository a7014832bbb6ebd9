"""Parents: trained networks that a search may begin with."""

from dataclasses import dataclass
from typing import ClassVar

from fastapi import APIRouter

from api.problems import documented
from nas import parents
from nas.measurements import Measurement
from nas.networks.architecture import Images
from nas.networks.counts import counts
from nas.parents import Parent

router = APIRouter(prefix="/parents", tags=["catalogue"])


@dataclass(frozen=True, kw_only=True)
class ParentNetwork:
    """A trained network whose weights others can begin with."""

    LIKE: ClassVar[tuple[type, ...]] = (Parent, Measurement)

    name: str
    images: Images
    """The images that it is for."""
    params: int
    mult_adds: int
    dataset: str
    accuracy: float | None
    source: str
    licence: str | None
    sha256: str | None
    missing: str | None


@dataclass(frozen=True, kw_only=True)
class Parents:
    """What a search may begin with."""

    parents: tuple[ParentNetwork, ...]
    """Those with a name of their own."""
    others: tuple[str, ...]
    """How others are named, in words."""
    problems: tuple[str, ...]
    """What is wrong with kinds of parents that are not to be had for it."""


@router.get("", summary="Parents: trained networks to begin with", responses=documented())
def list_parents() -> Parents:
    """What a search's `parent` may name: its candidates begin with the weights of one of these, of a model of this
    service, or of a checkpoint file."""
    listing = parents.listing()
    return Parents(parents=tuple(map(_parent, listing.parents)), others=listing.others, problems=listing.problems)


def _parent(parent: Parent) -> ParentNetwork:
    counted = counts(parent.architecture)
    return ParentNetwork(
        name=parent.name,
        images=parent.architecture.images,
        params=counted.params,
        mult_adds=counted.mult_adds,
        dataset=parent.dataset,
        accuracy=parent.accuracy,
        source=parent.source,
        licence=parent.licence,
        sha256=parent.sha256,
        missing=parent.missing,
    )
