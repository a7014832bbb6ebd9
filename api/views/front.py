"""The Pareto front of a search by any objective, from columns of its trials and from the trials on it alone."""

import json
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, TypeAlias

from api.views.search import Candidate, Estimated, among, point, standing
from nas.measurements import MOST_ERROR
from nas.objective import Objective
from nas.outlines import OWN_ROLES, Role, overturned
from nas.pareto import Point, corner, front, growth
from nas.records import Run, Trial, TrialState

MOST_MARKS = 50
Read: TypeAlias = Callable[[Iterable[int]], Sequence[Trial]]
"""The trials of those numbers."""


@dataclass(frozen=True, kw_only=True)
class Pareto:
    """The candidates of a search that no other beats in the metric and all costs."""

    search: str
    """The id of the search."""
    objective: Objective
    """What they are ranked by."""
    device: str
    """The device whose latency it means."""
    measured: int
    """Candidates that were compared; with a fidelity, those of the highest rung that a network of the search has been
    trained on."""
    unrecorded: int
    """Trials that are left out, as they were scored by an older version, which did not record the metric."""
    front: tuple[Candidate, ...]
    """The candidates, by rising cost."""
    best: Candidate | None
    """The one with the highest reward."""
    hypervolumes: tuple[tuple[int, float], ...]
    """How the front grew: after so many candidates, its share of the area that it has now, down to a tenth of its range
    beyond its largest cost and its smallest value."""


AGAIN = ("number", "role", "repeats", "state")
Again: TypeAlias = tuple[int, Role, int, TrialState]
"""What `AGAIN` names of a trial that trained or measured a network once more."""
OUTLINE = ("number", "role", "repeats", "rung")
Outlined: TypeAlias = tuple[Any, ...]
"""Of a trial what `OUTLINE` names, then the costs of an objective and its metric: a point."""
_NUMBER, _POINT = itemgetter(0), itemgetter(slice(len(OUTLINE), None))


def named(objective: Objective) -> tuple[str, ...]:
    """The columns that `outlined` makes of a trial what a front is made of; what is after `OUTLINE` it has to have."""
    names = ("latencies" if name == "latency_ms" else name for name in objective.costs)
    return (*OUTLINE, *names, objective.metric)


def outlined(rows: Sequence[Outlined], objective: Objective, place: int) -> tuple[Sequence[Outlined], set[int]]:
    """Of rows in which `latencies` are those of all devices, as JSON, with the one at that `place`, as far as there is
    one; and the numbers of those whose reward a latency decides that is known too roughly."""
    if "latency_ms" not in objective.costs:
        return rows, set()
    at = len(OUTLINE) + objective.costs.index("latency_ms")
    taken = json.loads(f"[{','.join(row[at] for row in rows)}]")
    pairs = [(row, its[place]) for row, its in zip(rows, taken) if its[place]]
    noisy = {row[0] for row, (median, error) in pairs if error and error > MOST_ERROR * median}
    whole = [(*row[:at], median, *row[at + 1 :]) for row, (median, _) in pairs]
    return whole, noisy if objective.cost == "latency_ms" else set()


@dataclass(frozen=True, kw_only=True)
class Ranked:
    """A front, what is known of the networks that were read whole for it, and where all that were compared lie, both by
    number."""

    pareto: Pareto
    known: dict[int, Estimated]
    points: dict[int, Point]


def ranked(
    run: Run,
    trials: Sequence[Outlined],
    again: Sequence[Again],
    objective: Objective,
    device: str,
    read: Read,
    besides: Iterable[int] = (),
    noisy: Collection[int] = (),
    unrecorded: int = 0,
) -> Ranked:
    """`device` is one of the search's; the `trials`, by number, are all of its that are points, and `again` those
    that trained or measured a network once more; `noisy` are those whose costs are known too roughly to decide.

    What several trainings come to, and what is tied, is told by whole trials: of those on the front, of those of
    networks that were trained several times, and of those that are wanted `besides`."""
    out = overturned(row[1:] for row in again)
    tried = [row for row in trials if out.isdisjoint((row[0], row[2]))] if out else trials
    rungs = {row[3] for row in tried if row[1] in OWN_ROLES} - {None}
    highest = max(rungs, default=None)
    compared = tried if highest is None else [row for row in tried if row[3] == highest]
    several = {first for _, _, first, _ in again}
    single = [row for row in compared if row[2] is None]
    once = [row[0] for row in single if row[1] in OWN_ROLES and row[0] not in several]
    points: dict[int, Point] = dict(zip(map(_NUMBER, single), map(_POINT, single)))
    wanted = {*besides, *(number for row in again for number in (row[0], row[2]))}
    wanted |= {row[0] for row in compared if row[2] is not None or row[1] not in OWN_ROLES}
    # The best of those that are known well may be beaten by one that is not.
    known = [number for number in once if number not in noisy] if noisy else once
    for among_them in (once, known) if len(known) < len(once) else (once,):
        wanted.update(among_them[index] for index in front([points[number] for number in among_them]))
        if among_them and objective.form == "absolute":  # which may be highest off the front
            wanted.add(max(among_them, key=lambda number: objective.reward(points[number][-1], points[number][0])))
    estimated = among(read(wanted), objective, device)
    unbeaten, leader = standing(estimated, objective)
    means = {row.number: point(row) for row, _ in estimated}
    for number in several - means.keys():
        points.pop(number, None)
    new = means.keys() - points.keys()
    points |= means
    points = dict(sorted(points.items())) if new else points
    pareto = Pareto(
        search=run.id,
        objective=objective,
        device=device,
        measured=len(points),
        unrecorded=unrecorded,
        front=unbeaten,
        best=leader,
        hypervolumes=hypervolumes(list(points.values())),
    )
    return Ranked(pareto=pareto, known={row.number: (row, value) for row, value in estimated}, points=points)


def hypervolumes(points: Sequence[Point]) -> tuple[tuple[int, float], ...]:
    """(count, share) at most 50 times: of the area or volume of all `points`, what the first `count` of them had;
    nothing where that is none."""
    if not points:
        return ()
    step = -(-len(points) // MOST_MARKS)
    marks = [*range(step, len(points), step), len(points)]
    volumes = growth(points, marks, corner(points))
    return tuple((count, volume / volumes[-1]) for count, volume in zip(marks, volumes)) if volumes[-1] else ()
