"""What is known of a run's trials without reading them whole: columns of each, and tallies of all together."""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any, Literal, TypeAlias

from nas.measurements import Measurement
from nas.objective import METRICS
from nas.records import TRIAL_STATES, Job, Trial, TrialState
from nas.specs import SearchSpec, Spec

Role: TypeAlias = Literal["own", "parent", "baseline", "supernet", "measured"]
OWN_ROLES: tuple[Role, ...] = ("own", "parent")  # the searcher's, and no baselines
SUMS = ("trials", "seconds", "compute_seconds", "trained", "train_seconds", "networks")
COUNTS = ("params", "mult_adds", "peak_memory", "model_bytes")
SHARES = tuple(name for name in METRICS if name != "accuracy")
LONGEST_REMARK = 200


@dataclass(frozen=True, kw_only=True)
class Tally:
    """Trials of a run in one state, of one role and on one rung (None where there are none), added up.

    `seconds` are those from their beginnings to their ends; `trained` of them were trained, in `train_seconds`;
    `networks` are candidates of a search that can be compared, each counted by its first training.
    """

    state: TrialState
    role: Role = "own"
    rung: int | None = None
    trials: int = 0
    seconds: float = 0.0
    compute_seconds: float = 0.0
    trained: int = 0
    train_seconds: float = 0.0
    networks: int = 0

    @property
    def own(self) -> bool:
        return self.role in OWN_ROLES


@dataclass(frozen=True, kw_only=True)
class Summary:
    """A run's trials, added up; when each that is running began; while none has ended, the share of its epochs that
    each of these has done, 0 where it has not said; and what the searcher expected of the last network that it
    proposed, where it says so."""

    tallies: tuple[Tally, ...] = ()
    begun_at: tuple[float, ...] = ()
    shares_done: tuple[float, ...] = ()
    expected_gain: float | None = None

    @property
    def ended(self) -> tuple[Tally, ...]:
        return tuple(tally for tally in self.tallies if tally.state != "running")

    @property
    def counts(self) -> dict[str, int]:
        return {str(state): sum(its.trials for its in self.tallies if its.state == state) for state in TRIAL_STATES}

    @property
    def compute_seconds(self) -> float:
        """For which the evaluations of the ended trials held a processor or a GPU."""
        return sum(tally.compute_seconds for tally in self.tallies)


@dataclass(frozen=True, kw_only=True)
class Line:
    """A trial as it is stored, `job`, `measurement` and `progress` as JSON, and its reward by its search's own
    objective."""

    run: str
    number: int
    state: TrialState
    job: str
    measurement: str | None
    error: str | None
    progress: str | None
    finished: int | None
    started_at: float
    ended_at: float | None
    compute_seconds: float | None
    traceback: str | None
    reward: float | None


def total(tallies: Iterable[Tally], name: str, state: TrialState | None = None) -> float:
    """The sum of that field over the tallies, or those of that state."""
    return float(sum(getattr(each, name) for each in tallies if state in (None, each.state)))


def mean(tallies: Iterable[Tally]) -> float | None:
    """Seconds of one of their trials; None where there is none."""
    own = tuple(tallies)
    trials = total(own, "trials")
    return total(own, "seconds") / trials if trials else None


def tally(trial: Trial, comparable: bool = False) -> Tally:
    """Of one trial; `comparable` where it is the first training of a network that can be compared."""
    trained = bool(trial.measurement and trial.measurement.train_seconds > 0)
    return Tally(
        state=trial.state,
        role=role(trial.job),
        rung=trial.job.rung,
        trials=1,
        seconds=0.0 if trial.ended_at is None else trial.ended_at - trial.started_at,
        compute_seconds=trial.compute_seconds or 0.0,
        trained=int(trained),
        train_seconds=trial.measurement.train_seconds if trained and trial.measurement else 0.0,
        networks=int(comparable),
    )


def summed(trials: Iterable[Trial], spec: Spec | None = None) -> Summary:
    """Of trials by number that are at hand, which are of a run with that spec."""
    parts: dict[tuple[Any, ...], Tally] = {}
    begun: list[float] = []
    shares: list[float] = []
    gain = None
    for trial in trials:
        more = tally(trial, comparable(spec, trial.job, trial.measurement))
        key = more.state, more.role, more.rung
        before = parts.get(key)
        parts[key] = added(before, more) if before else more
        gain = gain if trial.job.expected_gain is None else trial.job.expected_gain
        if trial.state == "running":
            begun.append(trial.started_at)
            shares.append(trial.progress.share if trial.progress else 0.0)
    only = len(begun) == sum(each.trials for each in parts.values())
    return Summary(
        tallies=tuple(parts.values()),
        begun_at=tuple(begun),
        shares_done=tuple(shares) if only else (),
        expected_gain=gain,
    )


def added(one: Tally, other: Tally) -> Tally:
    """Both, of one state, role and rung."""
    sums = {name: getattr(one, name) + getattr(other, name) for name in SUMS}
    return Tally(**{field.name: sums.get(field.name, getattr(one, field.name)) for field in fields(Tally)})


def role(job: Job) -> Role:
    """What its network is in the search."""
    if job.measures is not None:
        return "measured"
    if job.children:
        return "supernet"
    return "baseline" if job.compared else "parent" if job.whole and not job.anew else "own"


def overturned(rows: Iterable[tuple[Role, int | None, TrialState]]) -> set[int]:
    """By role, what it repeats and state of trials: the networks that were measured once more and refused for that."""
    return {first for role, first, state in rows if role == "measured" and state == "refused" and first is not None}


def comparable(spec: Spec | None, job: Job, measured: Measurement | None) -> bool:
    return job.repeats is None and bool(judged(spec, job, measured))


def judged(spec: Spec | None, job: Job, measured: Measurement | None) -> dict[str, float | None]:
    """What it is judged by in a search: its costs, value and reward by the search's own objective; nothing where one of
    them is not known."""
    if not isinstance(spec, SearchSpec) or measured is None or measured.accuracy is None:
        return {}
    objective, device = spec.objective, job.devices[0]
    value, costs = measured.value(objective.metric), [measured.cost(name, device) for name in objective.costs]
    if value is None or not costs[0] or None in costs:
        return {}
    also = costs[1] if costs[1:] else None
    return {"cost": costs[0], "also": also, "value": value, "reward": objective.reward(value, costs[0])}


def columns(spec: Spec, trial: Trial) -> dict[str, Any]:
    """What is kept of a trial in columns, by their names; `repeats` is the trial whose network it trains, or measures,
    once more, `latencies` are pairs of milliseconds, the median and its
    standard error, on each of its devices."""
    job, measured = trial.job, trial.measurement
    own = {name: getattr(trial, name) for name in ("state", "finished", "started_at", "ended_at")}
    own |= {name: getattr(job, name) for name in ("rung", "promotes")} | {"baseline": job.compared}
    own["repeats"] = job.measures if job.repeats is None else job.repeats
    remark = trial.error or (measured and measured.refused)
    own |= {"role": role(job), "remark": remark and remark[:LONGEST_REMARK], "compute_seconds": trial.compute_seconds}
    if measured is None:
        return own
    own |= {name: getattr(measured, name) for name in (*COUNTS, "accuracy", "train_seconds", "inherited")}
    own |= {name: measured.value(name) for name in METRICS if name in SHARES}
    own["latency_ms"] = measured.cost("latency_ms", job.devices[0])
    taken = (measured.latencies.get(device) for device in job.devices)
    own["latencies"] = [its and [its.median_ms, its.error_ms] for its in taken]
    own["single_precision"] = measured.rounding and measured.rounding.float32
    if job.recipe and measured.learning_rate != job.recipe.learning_rate:
        own["learning_rate"] = measured.learning_rate
    return own | judged(spec, job, measured)
