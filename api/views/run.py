"""What is shown of a run of any kind."""

import math
import statistics
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from nas.plans.rungs import shares
from nas.records import ENDED, TRIAL_STATES, Run, RunState, Trial, Wish
from nas.specs import Fidelity, Kind, SearchSpec


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What runs of every kind have in common."""

    LIKE: ClassVar[tuple[type, ...]] = (Run, SearchSpec)

    id: str
    kind: Kind
    name: str
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


def common(run: Run, trials: Sequence[Trial], address: str, *more: str) -> dict[str, Any]:
    now = time.time()
    states: list[str] = [trial.state for trial in trials]
    return {
        "id": run.id,
        "kind": run.kind,
        "name": run.spec.name,
        "state": run.state,
        "wish": run.wish,
        "trials": run.trials,
        "counts": {state: states.count(state) for state in TRIAL_STATES},
        "error": run.error,
        "reason": run.reason,
        "created_at": run.created_at,
        "submitted_by": run.submitted_by,
        "started_at": run.started_at,
        "ended_at": run.ended_at,
        "seconds": run.worked_seconds if run.started_at else None,
        "compute_seconds": compute_seconds(trials),
        "remaining_seconds": None if run.state in ENDED else remaining_seconds(run, trials, now),
        "links": {"self": address} | {name: f"{address}/{name}" for name in ("trials", "events", *more)},
    }


def remaining_seconds(run: Run, trials: Sequence[Trial], now: float) -> float | None:
    """What is left of the budgets at the durations and costs so far, `parallel` at once; None before a trial has
    ended."""
    ended = [trial for trial in trials if trial.ended_at is not None]
    running = [now - trial.started_at for trial in trials if trial.ended_at is None]
    if not ended:
        return None
    mean, spent = statistics.fmean(_seconds(trial) for trial in ended), compute_seconds(ended)
    count, each, spec = max(0, run.trials - len(ended)), mean, run.spec
    if isinstance(spec, SearchSpec) and spec.fidelity:
        each = _expected_seconds(spec.fidelity, run.trials, ended) or mean
    hours, compute_hours = (spec.hours, spec.compute_hours) if isinstance(spec, SearchSpec) else (None, None)
    # What has begun still ends, whatever is spent.
    if compute_hours is not None and spent > 0 and each > 0:
        affordable = math.ceil((3600 * compute_hours - spent) * len(ended) / spent * mean / each)
        count = min(count, max(affordable, len(running)))
    left = each * count - sum(min(elapsed, each) for elapsed in running)
    forecast = max(0.0, left / min(spec.parallel, max(1, count)))
    return forecast if hours is None else min(forecast, max(0.0, 3600 * hours - run.worked_seconds) + each)


def _expected_seconds(fidelity: Fidelity, trials: int, ended: Sequence[Trial]) -> float | None:
    """Of a trial to come, where `trials` are spread over rungs. A rung that nobody has reached takes `eta` times as
    long as a training on the one below it, or adds as much; None where there is none to tell."""
    seconds = trained = weighted = weights = 0.0
    for rung, share in enumerate(shares(fidelity)):
        own = [trial for trial in ended if trial.job.rung == rung]
        whole = [_seconds(trial) for trial in own if trial.measurement and trial.measurement.refused is None]
        times = fidelity.eta - (fidelity.inherit and rung == 1)
        trained = statistics.fmean(whole) if whole else times * trained
        seconds = statistics.fmean(_seconds(trial) for trial in own) if own else trained
        if not seconds:
            return None
        left = max(0.0, share * trials - len(own))
        weighted, weights = weighted + left * seconds, weights + left
    return weighted / weights if weights else None


def _seconds(trial: Trial) -> float:
    """Of one that has ended."""
    assert trial.ended_at is not None
    return trial.ended_at - trial.started_at


def compute_seconds(trials: Iterable[Trial]) -> float:
    """For which the evaluations of the ended trials held a processor or a GPU."""
    return sum(trial.compute_seconds or 0.0 for trial in trials)
