"""What runs, what waits, and what each of these waits for."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nas.records import Run


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """A run that has not begun."""

    run: str
    """Its id."""
    name: str
    """Its name, which may be empty."""
    behind: str | None
    """The id of the run whose end it waits for; null: nothing is worked on, or it begins in a moment."""
    behind_name: str | None
    """What that is called."""
    seconds: float | None
    """In how many seconds it begins, as far as that can be told."""


@dataclass(frozen=True, kw_only=True)
class Queue:
    """Runs that have not ended and are not paused."""

    running: tuple[str, ...]
    """The ids of those that are worked on, in the order in which they were submitted."""
    waiting: tuple[Waiting, ...]
    """Those that wait, the next one first."""
    waiting_trials: int
    """Trials of runs that are worked on that wait for a processor, a GPU or a quota."""


def queue(runs: Sequence[Run], remaining: Mapping[str, float | None], waiting_trials: int) -> Queue:
    """Of runs in their order, with the seconds that are left of those that are worked on: whenever one ends, the first
    that waits of whoever has fewest under way is the next, as in nas.store.claims."""
    running = [run for run in runs if run.state == "running"]
    left = [run for run in runs if run.state == "queued" and run.wish != "pause"]  # that is paused when it is its turn
    held = Counter(run.submitted_by for run in running)
    ends = sorted(running, key=lambda run: _known(remaining.get(run.id)))
    waiting = []
    while left:
        free = ends.pop(0) if ends else None
        if free:
            held[free.submitted_by] -= 1
        following = min(left, key=lambda run: held[run.submitted_by])
        left.remove(following)
        held[following.submitted_by] += 1
        waiting.append(
            Waiting(
                run=following.id,
                name=following.name,
                behind=free.id if free else None,
                behind_name=(free.name or free.id) if free else None,
                seconds=remaining.get(free.id) if free else None,
            )
        )
    return Queue(running=tuple(run.id for run in running), waiting=tuple(waiting), waiting_trials=waiting_trials)


def _known(seconds: float | None) -> float:
    return math.inf if seconds is None else seconds
