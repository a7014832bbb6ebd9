"""Runs side by side: their fronts, how they grew, and in what the networks that stand for them differ."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from api.views.progress import Ended, Step, area, steps
from api.views.search import Candidate
from nas import noise
from nas.codec import encode
from nas.networks.architecture import Choice
from nas.objective import Objective
from nas.pareto import Point, corner
from nas.records import Run
from nas.specs import GrowthSpec, SearchSpec

UNCOMPARED = ("name", "contents", "architecture", "worth", "priority", "seed")  # of a request


@dataclass(frozen=True, kw_only=True)
class Spot:
    """A network where it lies in the plot."""

    number: int
    """The number of its first trial."""
    member: str | None = None
    """Its name in a family; null of a search's network."""
    cost: float
    """The cost that they are compared by."""
    value: float
    """What the metric is of it."""
    value_error: float | None
    """The standard error of that."""


@dataclass(frozen=True, kw_only=True)
class Side:
    """What was read of a run: where its front lies, the network that stands for it, a member of a family by its name,
    how many pixels a side it sees, and what is known of its metric. Two whose `images` are equal were scored on the
    same. Of a search also where all its networks lie, by number, and its trials that have ended."""

    run: Run
    spots: tuple[Spot, ...]
    chosen: Candidate | None
    member: str | None = None
    pixels: int | None
    estimate: noise.Estimate | None
    images: Hashable
    points: dict[int, Point] = field(default_factory=dict)
    ended: Sequence[Ended] = ()


@dataclass(frozen=True, kw_only=True)
class Compared:
    """A run that is compared with others."""

    LIKE: ClassVar[tuple[type, ...]] = (Run, SearchSpec)

    run: str
    """The id of the run."""
    kind: Literal["search", "growth"]
    """What kind of run it is."""
    name: str
    state: str
    """Where it is."""
    dataset: str
    scored_on: Literal["validation", "test"]
    """The images that its networks are scored on. Accuracies on validation and on test images do not compare."""
    network: Candidate | None
    """The network that stands for it: the trial that was named, otherwise the one with the highest reward; null before
    one is measured. Of a growth a member, whose accuracy is that on the images that it is scored on."""
    member: str | None
    """The name of that network in its family; null of a search's."""
    tied_with: tuple[int, ...]
    """The places, from 0, of the others whose network it cannot be told apart from; none where the images differ."""
    front: tuple[Spot, ...]
    """Its networks that no other of it beats, by rising cost; of a growth all of its members."""
    progress: tuple[Step, ...]
    """How a search grew; nothing of a growth."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Runs side by side, by one objective."""

    objective: Objective
    """What all are ranked by: the first search's own, unless another was asked for."""
    device: str
    """The device whose latency it means."""
    sides: tuple[Compared, ...]
    """The runs, as they were named."""
    knobs: dict[str, tuple[Choice | None, ...]]
    """The knobs in which the networks differ, each with the choice of every side; null: it has no such knob, or
    none, as the members of a family. Resolution is told of all where it is a knob of one."""
    knobs_alike: int
    """How many knobs all have, with the same choice."""
    requests: dict[str, tuple[Any, ...]]
    """In what the requests differ, as recipe.epochs, each with the value of every side, without what only one is asked
    for; null: nothing, or it is not asked for that."""


def comparison(sides: Sequence[Side], objective: Objective, device: str) -> Comparison:
    points = [point for side in sides for point in side.points.values()]
    bounds = corner(points) if points else ()
    whole = area(points, bounds) if points else 0.0
    choices = [dict(side.chosen.choices) if side.chosen else {} for side in sides]
    chosen = [place for place, its in enumerate(choices) if its]
    if any("resolution" in its for its in choices):  # of others it is fixed, and no knob
        choices = [({"resolution": side.pixels} if side.pixels else {}) | its for side, its in zip(sides, choices)]
    knobs = {knob: tuple(its.get(knob) for its in choices) for knob in dict.fromkeys(k for its in choices for k in its)}
    apart = {
        knob: its
        for knob, its in knobs.items()
        if len({choice for place, choice in enumerate(its) if place in chosen or choice is not None}) > 1
    }
    return Comparison(
        objective=objective,
        device=device,
        sides=tuple(_compared(side, sides, steps(side.ended, side.points, objective, bounds, whole)) for side in sides),
        knobs=apart,
        knobs_alike=sum(all(knob in its for its in choices) for knob in knobs.keys() - apart.keys()),
        requests=_requests([side.run for side in sides]),
    )


def _compared(side: Side, sides: Sequence[Side], progress: tuple[Step, ...]) -> Compared:
    spec = side.run.spec
    assert isinstance(spec, SearchSpec | GrowthSpec)
    return Compared(
        run=side.run.id,
        kind="search" if isinstance(spec, SearchSpec) else "growth",
        name=side.run.name,
        state=side.run.state,
        dataset=spec.dataset,
        scored_on="test" if isinstance(spec, GrowthSpec) and spec.scored_on == "test" else "validation",
        network=side.chosen,
        member=side.member,
        tied_with=tuple(place for place, other in enumerate(sides) if other is not side and _tied(side, other)),
        front=side.spots,
        progress=progress,
    )


def _tied(one: Side, other: Side) -> bool:
    """By their answers to the same images, or, where a part of them was scored on others, by their errors."""
    if one.estimate is None or other.estimate is None:
        return False
    return one.images == other.images and noise.tied(one.estimate, other.estimate)


def _requests(runs: Sequence[Run]) -> dict[str, tuple[Any, ...]]:
    each = [flat({name: value for name, value in encode(run.spec).items() if name not in UNCOMPARED}) for run in runs]
    names = dict.fromkeys(name for its in each for name in its)
    values = {name: [its[name] for its in each if name in its] for name in names}
    apart = [name for name, its in values.items() if any(value != its[0] for value in its)]
    return {name: tuple(its.get(name) for its in each) for name in apart}


def flat(data: Any, name: str = "") -> dict[str, Any]:
    """Values by the names that lead to them, with points between."""
    if not isinstance(data, dict) or not data:
        return {name: None if data == {} else data}
    return {
        key: value for part, inner in data.items() for key, value in flat(inner, f"{name}.{part}".strip(".")).items()
    }
