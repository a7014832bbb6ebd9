"""Whether one network can begin with the weights of another, by their descriptions alone: no torch, and nothing built.

What is refused here `nas.inheritance` cannot do, or not with sense; what it goes by is the layers themselves.
"""

import dataclasses
import functools

from nas.networks.architecture import Architecture, Images, Stage
from nas.networks.cells import CellArchitecture
from nas.networks.lowering import AnyArchitecture, lowered
from nas.networks.network import Network

WORDS: dict[type, str] = {
    Architecture: "of stages",
    CellArchitecture: "of cells",
    Network: "spelled out layer by layer",
}
CELLS = ("its cells have other operations than the parent's: only their number and filters may be others",)
REMEMBERED = 50_000  # networks, as many as are counted


def fitted(parent: AnyArchitecture, images: Images) -> AnyArchitecture:
    """The parent's own network for these images. Raises Refusal where they are too small for it, or it has no other
    answers than those that it has."""
    return dataclasses.replace(parent, images=images)


@functools.lru_cache(maxsize=REMEMBERED)
def obstacles(parent: AnyArchitecture, child: AnyArchitecture) -> tuple[str, ...]:
    """All that keeps `child` from beginning with the parent's weights, in words; none: it can."""
    if type(parent) is not type(child):
        return (f"it is a network {WORDS[type(child)]}, and the parent one {WORDS[type(parent)]}",)
    if isinstance(parent, CellArchitecture) and isinstance(child, CellArchitecture):
        return CELLS if _wired(parent) != _wired(child) else ()
    if not isinstance(parent, Architecture) or not isinstance(child, Architecture):
        return _differing(("number of parts", len(lowered(parent)), len(lowered(child))))
    network = _differing(
        ("number of stages", len(parent.stages), len(child.stages)),
        ("stem_stride", parent.stem_stride, child.stem_stride),
        ("activation", parent.activation, child.activation),
        ("head", _there(parent.head), _there(child.head)),
    )
    stages = (
        f"stage {number}: {obstacle}"
        for number, (theirs, ours) in enumerate(zip(parent.stages, child.stages), 1)
        for obstacle in _stage(theirs, ours)
    )
    return (*network, *stages)


def _wired(architecture: CellArchitecture) -> tuple[object, ...]:
    """What two networks of cells must have in common."""
    return (
        architecture.family,
        architecture.normal,
        architecture.reduction,
        architecture.stem,
        architecture.past_reduction,
        architecture.auxiliary,
    )


def _stage(parent: Stage, child: Stage) -> tuple[str, ...]:
    return _differing(
        ("op", parent.op, child.op),
        ("stride", parent.stride, child.stride),
        ("squeeze-and-excitation", _there(parent.se_ratio), _there(child.se_ratio)),
        ("pooling skip", _there(parent.pools), _there(child.pools)),
    )


def _there(value: float) -> str:
    return "there" if value else "missing"


def _differing(*compared: tuple[str, object, object]) -> tuple[str, ...]:
    return tuple(
        f"its {name} is {ours}, and the parent's is {theirs}" for name, theirs, ours in compared if theirs != ours
    )
