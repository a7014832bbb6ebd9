"""What is shown of a run of any kind."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from nas.labels import Label
from nas.outlines import Summary, Tally, mean, total
from nas.plans.rungs import shares
from nas.records import ENDED, Run, RunState, Wish
from nas.specs import FINAL_SEEDS, Fidelity, Kind, SearchSpec


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What runs of every kind have in common."""

    LIKE: ClassVar[tuple[type, ...]] = (Run, SearchSpec, Label)

    id: str
    kind: Kind
    name: str
    note: str
    tags: tuple[str, ...]
    archived: bool
    state: RunState
    wish: Wish
    trials: int
    counts: dict[str, int]
    """Trials that have begun, by state."""
    error: str | None
    reason: str | None
    created_at: float
    submitted_by: str | None
    started_at: float | None
    ended_at: float | None
    seconds: float | None
    """Seconds in which it was worked on, pauses left out."""
    compute_seconds: float
    """Seconds for which ended trials held a processor or a GPU."""
    remaining_seconds: float | None
    """A forecast of the seconds that are left, from these trials."""
    links: dict[str, str]
    """Where it is, and what there is of it."""


def common(run: Run, summary: Summary, address: str, *more: str) -> dict[str, Any]:
    return {
        "id": run.id,
        "kind": run.kind,
        "name": run.name,
        **{field: getattr(run.label, field) for field in ("note", "tags", "archived")},
        "state": run.state,
        "wish": run.wish,
        "trials": run.trials,
        "counts": summary.counts,
        "error": run.error,
        "reason": run.reason,
        "created_at": run.created_at,
        "submitted_by": run.submitted_by,
        "started_at": run.started_at,
        "ended_at": run.ended_at,
        "seconds": run.worked_seconds if run.started_at else None,
        "compute_seconds": summary.compute_seconds,
        "remaining_seconds": None if run.state in ENDED else remaining_seconds(run, summary, time.time()),
        "links": {"self": address} | {name: f"{address}/{name}" for name in ("trials", "events", *more)},
    }


def remaining_seconds(run: Run, summary: Summary, now: float) -> float | None:
    """What is left of the budgets at the durations and costs so far, `parallel` at once; before a trial has ended by
    the pace of those that run, and None before an epoch has."""
    ended, running = summary.ended, [now - begun for begun in summary.begun_at]
    usual = (
        mean(tally for tally in ended if tally.role != "measured")
        or mean(ended)
        or _seconds_at_pace(running, summary.shares_done)
    )
    if usual is None:
        return None
    done, spent = sum(tally.trials for tally in ended), summary.compute_seconds
    count, each, spec = max(0, run.trials - done), usual, run.spec
    if isinstance(spec, SearchSpec) and spec.weights == "shared":
        if (shared := _seconds_shared(spec, count, ended)) is None:
            return None  # a supernet says nothing of its candidates
        each = shared
    if isinstance(spec, SearchSpec) and spec.fidelity:
        first = (Tally(state="done", rung=0, trials=1, seconds=usual),)
        each = _expected_seconds(spec.fidelity, run.trials, ended or first) or usual
    hours, compute_hours = (spec.hours, spec.compute_hours) if isinstance(spec, SearchSpec) else (None, None)
    # What has begun still ends, whatever is spent.
    if compute_hours is not None and spent > 0 and each > 0:
        affordable = math.ceil((3600 * compute_hours - spent) * done / spent * usual / each)
        count = min(count, max(affordable, len(running)))
    left = each * count - sum(min(elapsed, each) for elapsed in running)
    forecast = max(0.0, left / min(spec.parallel, max(1, count)))
    return forecast if hours is None else min(forecast, max(0.0, 3600 * hours - run.worked_seconds) + each)


def _seconds_at_pace(running: Sequence[float], shares_done: Sequence[float]) -> float | None:
    """Of a trial, by the epochs that those have done that have been `running` for so many seconds."""
    whole = [seconds / share for seconds, share in zip(running, shares_done) if share]
    return sum(whole) / len(whole) if whole else None


def _seconds_shared(spec: SearchSpec, left: int, ended: Sequence[Tally]) -> float | None:
    """Of a trial to come, where `left` of them are candidates with shared weights and then the finals; None before a
    candidate has ended. A final that is the first takes as long as the supernet, at most."""
    candidate = mean(tally for tally in ended if tally.own and tally.rung == 0)
    if candidate is None:
        return None
    finals = [tally for tally in ended if tally.own and tally.rung == 1]
    share = min(1.0, max(0, FINAL_SEEDS * spec.finals - total(finals, "trials")) / max(1, left))
    final = mean(finals) or mean(tally for tally in ended if tally.role == "supernet") or candidate
    return share * final + (1 - share) * candidate


def _expected_seconds(fidelity: Fidelity, trials: int, ended: Sequence[Tally]) -> float | None:
    """Of a trial to come, where `trials` are spread over rungs. A rung that nobody has reached takes `eta` times as
    long as a training on the one below it, or adds as much; None where there is none to tell."""
    trained = weighted = weights = 0.0
    for rung, share in enumerate(shares(fidelity)):
        own = [tally for tally in ended if tally.rung == rung]
        times = fidelity.eta - (fidelity.inherit and rung == 1)
        trained = mean(tally for tally in own if tally.state == "done") or times * trained
        seconds = mean(own) or trained
        if not seconds:
            return None
        left = max(0.0, share * trials - total(own, "trials"))
        weighted, weights = weighted + left * seconds, weights + left
    return weighted / weights if weights else None
