"""The Pareto front of a search by any objective, from columns of its trials and from the trials on it alone."""

import json
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from api.views.search import Candidate, Estimated, among, point, standing
from nas.measurements import MOST_ERROR
from nas.objective import Objective
from nas.outlines import OWN_ROLES, Role, overturned
from nas.pareto import Point, front, growth
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
    """How the front grew: after so many candidates, its share of the area that it has now, down to the largest cost and
    the smallest value of them."""


AGAIN = ("number", "role", "repeats", "state")
Again: TypeAlias = tuple[int, Role, int, TrialState]
"""What `AGAIN` names of a trial that trained or measured a network once more."""
OUTLINE = ("number", "role", "repeats", "rung")
Outlined: TypeAlias = tuple[Any, ...]
"""Of a trial with an accuracy what `OUTLINE` names, then the costs of an objective and its metric: a point, unless one
of these is None."""


def named(objective: Objective) -> tuple[str, ...]:
    """The columns that `outlined` makes of a trial what a front is made of."""
    names = ("latencies" if name == "latency_ms" else name for name in objective.costs)
    return (*OUTLINE, *names, objective.metric)


def outlined(rows: Sequence[Outlined], objective: Objective, place: int) -> tuple[list[Outlined], set[int]]:
    """Of rows in which `latencies` are those of all devices, as JSON, with the one at that `place`; and the numbers of
    those whose reward a latency decides that is known too roughly."""
    if "latency_ms" not in objective.costs:
        return list(rows), set()
    at = len(OUTLINE) + objective.costs.index("latency_ms")
    taken = json.loads(f"[{','.join(row[at] or 'null' for row in rows)}]")
    pairs = [(its and its[place]) or (None, None) for its in taken]
    noisy = {row[0] for row, (median, error) in zip(rows, pairs) if (error or 0.0) > MOST_ERROR * (median or 0.0)}
    whole = [(*row[:at], median, *row[at + 1 :]) for row, (median, _) in zip(rows, pairs)]
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
    noisy: Container[int] = (),
) -> Ranked:
    """`device` is one of the search's; the `trials`, by number, are all of its that have an accuracy, and `again` those
    that trained or measured a network once more; `noisy` are those whose costs are known too roughly to decide.

    What several trainings come to, and what is tied, is told by whole trials: of those on the front, of those of
    networks that were trained several times, and of those that are wanted `besides`."""
    out = overturned(row[1:] for row in again)
    tried = [row for row in trials if None not in row[4:]]
    tried = [row for row in tried if out.isdisjoint((row[0], row[2]))] if out else tried
    rungs = {row[3] for row in tried if row[1] in OWN_ROLES} - {None}
    highest = max(rungs, default=None)
    compared = tried if highest is None else [row for row in tried if row[3] == highest]
    several = {first for _, _, first, _ in again}
    once = [row[0] for row in compared if row[2] is None and row[1] in OWN_ROLES and row[0] not in several]
    points: dict[int, Point] = {row[0]: row[4:] for row in compared if row[2] is None}
    wanted = {*besides, *(number for row in again for number in (row[0], row[2]))}
    wanted |= {row[0] for row in compared if row[2] is not None or row[1] not in OWN_ROLES}
    known = [number for number in once if number not in noisy]  # the best of which may be beaten by one that is not
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
        unrecorded=sum(row[-1] is None for row in trials),
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
    *costs, values = zip(*points)
    step = -(-len(points) // MOST_MARKS)
    marks = [*range(step, len(points), step), len(points)]
    volumes = growth(points, marks, (*map(max, costs), min(values)))
    return tuple((count, volume / volumes[-1]) for count, volume in zip(marks, volumes)) if volumes[-1] else ()
