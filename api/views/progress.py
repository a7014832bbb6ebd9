"""How a search grew: what it had after so many networks, and after so much compute."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from nas.objective import Objective
from nas.pareto import Point, front, growth, hypervolume

MOST_STEPS = 50  # beside those at which the best changed

ENDED = ("finished", "number", "compute_seconds", "baseline")
Ended: TypeAlias = tuple[Any, ...]
"""What `ENDED` names of a trial, in the order in which they ended."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """What a search had at a point of its way."""

    networks: int
    """Networks that had been compared."""
    seconds: float
    """Seconds for which the trials that had ended held a processor or a GPU."""
    number: int | None
    """The trial with the highest reward by then; null before the search had a network of its own."""
    reward: float | None
    """Its reward."""
    value: float | None
    """What the metric is of it."""
    share: float
    """Of the area that the fronts of all that are compared have together, what this one's had: down to a tenth of that
    front's range beyond its largest cost and its smallest value."""


def steps(
    rows: Iterable[Ended], points: Mapping[int, Point], objective: Objective, corner: Point, whole: float
) -> tuple[Step, ...]:
    """Of the trials that have ended, of which those by number that `points` has were compared; shares are of the area
    `whole` down to the `corner`. A network counts from its first training on, with what all of them came to."""
    seconds, marks, found = 0.0, list[int](), list[tuple[float, int | None, float | None, float | None]]()
    order = list[Point]()
    best: tuple[int | None, float | None, float | None] = (None, None, None)
    every = -(-len(points) // MOST_STEPS)
    for _, number, took, baseline in rows:
        seconds += took or 0.0
        point = points.get(number)
        if point is None:
            continue
        order.append(point)
        reward, before = objective.reward(point[-1], point[0]), best
        if baseline is None and (best[1] is None or reward > best[1]):
            best = number, reward, point[-1]
        if best != before or len(order) % every == 0 or len(order) == len(points):
            marks.append(len(order))
            found.append((seconds, *best))
    volumes = growth(order, marks, corner)
    return tuple(
        Step(
            networks=count,
            seconds=at,
            number=leader,
            reward=reward,
            value=value,
            share=volume / whole if whole else 0.0,
        )
        for count, volume, (at, leader, reward, value) in zip(marks, volumes, found)
    )


def area(points: list[Point], corner: Point) -> float:
    """Of all points together, down to the `corner`."""
    return hypervolume([points[index] for index in front(points)], corner)
