"""What is shown of a run, computed from its rows when it is read; nothing here is stored."""

import math
import statistics
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from nas import noise
from nas.architecture import Choices
from nas.counts import counts
from nas.objective import Objective
from nas.pareto import Point, front, hypervolume
from nas.plans.growth import member
from nas.plans.rungs import shares
from nas.records import ENDED, TRIAL_STATES, Job, Latency, Measurement, Progress, Run, RunState, Trial, TrialState, Wish
from nas.specs import Fidelity, GrowthSpec, Kind, SearchSpec

MOST_MARKS = 50


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A measured network of a search, by its first trial's `number`. `accuracy` is on the validation images: the mean
    over its `trainings`, with its standard error (of the number of images, where there is one training; otherwise from
    the spread of all networks that were trained several times). `tied_with`
    names those on the front that it cannot be told apart from. `cost` is the one that the objective in force names, and
    `also` its second one; `further_latencies_ms` are those on the search's further devices; `baseline` names the
    reference network that it is, if it is none of the space; `model` can be downloaded, and is null where the search
    saves no weights. `rung` is the one it was trained on, where the search has a fidelity."""

    number: int
    reward: float
    accuracy: float
    accuracy_error: float | None
    cost: float
    also: float | None
    params: int
    mult_adds: int
    latency_ms: float | None
    further_latencies_ms: dict[str, float]
    choices: Choices
    baseline: str | None
    model: str | None
    trainings: int = 1
    tied_with: tuple[int, ...] = ()
    rung: int | None = None


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What runs of every kind have in common. `trials` is the budget in force, `counts` the trials begun, by state;
    `reason` says why a finished run ended before it. `seconds` are those in which it was worked on, pauses left out,
    `compute_seconds` what ended trials held a processor or a GPU for, and `remaining_seconds` is a forecast from these
    trials."""

    id: str
    kind: Kind
    name: str
    state: RunState
    wish: Wish
    trials: int
    counts: dict[str, int]
    error: str | None
    reason: str | None
    created_at: float
    started_at: float | None
    ended_at: float | None
    seconds: float | None
    compute_seconds: float
    remaining_seconds: float | None
    links: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class Search(Shown):
    """A search: its specification as stored, and its best candidate so far. `expected_gain` is what its searcher
    expected of the last network that it proposed, where it says so: of reward, or of a front, as a share of its area.
    `saved_seconds` of training were not spent
    on candidates that were refused for their latency, at the mean of those that were trained; null before there is one
    of each."""

    spec: SearchSpec
    expected_gain: float | None
    saved_seconds: float | None
    best: Candidate | None


@dataclass(frozen=True, kw_only=True)
class Member:
    """A row of a family's table. `number`, of its first trial, and what is measured are null until its training has
    begun or ended. `test_accuracy` is the mean over the `seeds` that were tested, `accuracy_error` its standard error
    (of the number of images, where there is one seed), and `tied_with` names the members that it cannot be told apart
    from. `models` are all that can be downloaded, in the order of their seeds; `model` is the first of them, because to
    pick the best tested one would be to choose by the test images."""

    member: str
    state: Literal["queued"] | TrialState
    number: int | None
    resolution: int
    params: int
    mult_adds: int
    latency_ms: float | None = None
    further_latencies_ms: dict[str, float] = field(default_factory=dict)
    test_accuracy: float | None = None
    accuracy_error: float | None = None
    seeds: int = 0
    tied_with: tuple[str, ...] = ()
    seconds: float | None = None
    model: str | None = None
    models: tuple[str, ...] = ()
    progress: Progress | None = None
    error: str | None = None


@dataclass(frozen=True, kw_only=True)
class Growth(Shown):
    """A growth: its specification as stored, and its family, smallest member first."""

    spec: GrowthSpec
    family: tuple[Member, ...]


@dataclass(frozen=True, kw_only=True)
class Pareto:
    """The candidates of a search that no other beats in accuracy and all costs, by rising cost. `best` has the highest
    reward by `objective`, whose latency is the one on `device`; `measured` candidates were compared: with a fidelity,
    those of the highest rung that a network of the search has been trained on. `hypervolumes` tells how the front grew:
    after so many candidates, its share of the area that it has now, down to the largest cost and the smallest accuracy
    of them."""

    search: str
    objective: Objective
    device: str
    measured: int
    front: tuple[Candidate, ...]
    best: Candidate | None
    hypervolumes: tuple[tuple[int, float], ...]


@dataclass(frozen=True, kw_only=True)
class Scored(Trial):
    """A trial with its reward by the search's own objective; null where it was not measured, and in a growth. It is of
    this training alone: a network that was trained several times is judged by its mean, see the front."""

    reward: float | None = None


def search(run: Run, trials: Sequence[Trial]) -> Search:
    assert isinstance(run.spec, SearchSpec)
    return Search(
        **common(run, trials, f"/v1/searches/{run.id}", "pareto"),
        spec=run.spec,
        expected_gain=next((gain for trial in reversed(trials) if (gain := trial.job.expected_gain) is not None), None),
        saved_seconds=saved_seconds(trials),
        best=standing(candidates(trials, run.spec.objective))[1],
    )


def growth(run: Run, trials: Sequence[Trial]) -> Growth:
    assert isinstance(run.spec, GrowthSpec)
    return Growth(**common(run, trials, f"/v1/growths/{run.id}"), spec=run.spec, family=family(run.spec, trials))


def candidates(trials: Iterable[Trial], objective: Objective, further_device: str | None = None) -> list[Candidate]:
    """The networks among `trials` that have an accuracy and the objective's cost, or both its costs, each once; latency
    on the search's own device, or on a further one. Where there are rungs, they are of the highest alone that one of
    the search's own has reached: others do not compare with it."""
    trainings: dict[int, list[Measurement]] = {}
    jobs: dict[int, Job] = {}
    for trial in trials:
        measured = trial.measurement
        if measured is None or measured.accuracy is None:
            continue
        if any(measured.cost(name, further_device) is None for name in objective.costs):
            continue
        number = trial.number if trial.job.repeats is None else trial.job.repeats
        jobs.setdefault(number, trial.job)
        trainings.setdefault(number, []).append(measured)
    highest = max((job.rung for job in jobs.values() if job.rung is not None and job.baseline is None), default=None)
    compared = {number: same for number, same in trainings.items() if highest in (jobs[number].rung, None)}
    of_one = noise.spread(map(_accuracies, compared.values()))
    return [
        _candidate(number, jobs[number], same, objective, further_device, of_one) for number, same in compared.items()
    ]


def _accuracies(measured: Iterable[Measurement]) -> list[float]:
    return [row.accuracy for row in measured if row.accuracy is not None]


def _candidate(
    number: int,
    job: Job,
    measured: Sequence[Measurement],
    objective: Objective,
    device: str | None,
    of_one: noise.Spread | None,
) -> Candidate:
    """The network of trial `number`, which these trained, each with an accuracy and the costs."""
    accuracy = noise.estimate(_accuracies(measured), measured[0].accuracy_error, of_one)
    cost, *also = (statistics.fmean(row.cost(name, device) or 0.0 for row in measured) for name in objective.costs)
    latencies = [row.latency.median_ms for row in measured if row.latency]
    return Candidate(
        number=number,
        reward=objective.reward(accuracy.mean, cost),
        accuracy=accuracy.mean,
        accuracy_error=accuracy.error,
        cost=cost,
        also=also[0] if also else None,
        params=measured[0].params,
        mult_adds=measured[0].mult_adds,
        latency_ms=statistics.fmean(latencies) if latencies else None,
        further_latencies_ms=medians(measured[0].further_latencies),
        choices=job.choices,
        baseline=job.baseline,
        model=f"{job.run}-{job.number}" if measured[0].weights else None,
        trainings=accuracy.seeds,
        rung=job.rung,
    )


def _point(row: Candidate) -> Point:
    return (row.cost, row.accuracy) if row.also is None else (row.cost, row.also, row.accuracy)


def _estimated(row: Candidate, freedom: int) -> noise.Estimate:
    """`freedom` is that of the errors over several trainings."""
    repeated = freedom if row.trainings > 1 else 0
    return noise.Estimate(mean=row.accuracy, error=row.accuracy_error, seeds=row.trainings, freedom=repeated)


def best(found: Iterable[Candidate]) -> Candidate | None:
    """The highest reward that the search itself found; of equal ones the cheapest, then the earliest."""
    own = (row for row in found if row.baseline is None)
    return max(own, key=lambda row: (row.reward, -row.cost, -row.number), default=None)


def medians(latencies: Mapping[str, Latency]) -> dict[str, float]:
    """In milliseconds."""
    return {device: latency.median_ms for device, latency in latencies.items()}


def standing(found: Sequence[Candidate]) -> tuple[tuple[Candidate, ...], Candidate | None]:
    """The front of the candidates and the best of them, each with what it is tied with."""
    unbeaten = [found[index] for index in front(list(map(_point, found)))]
    freedom = sum(row.trainings - 1 for row in found)
    estimates = {row.number: _estimated(row, freedom) for row in found}

    def with_ties(row: Candidate) -> Candidate:
        others = (other.number for other in unbeaten if other.number != row.number)
        return replace(row, tied_with=tuple(o for o in others if noise.tied(estimates[row.number], estimates[o])))

    leader = best(found)
    return tuple(map(with_ties, unbeaten)), with_ties(leader) if leader else None


def pareto(run: Run, trials: Iterable[Trial], objective: Objective, device: str | None = None) -> Pareto:
    """`device` is one of the search's further devices; None: its own."""
    assert isinstance(run.spec, SearchSpec)
    found = candidates(trials, objective, device)
    unbeaten, leader = standing(found)
    return Pareto(
        search=run.id,
        objective=objective,
        device=device or run.spec.device,
        measured=len(found),
        front=unbeaten,
        best=leader,
        hypervolumes=hypervolumes(list(map(_point, found))),
    )


def hypervolumes(points: Sequence[Point]) -> tuple[tuple[int, float], ...]:
    """(count, share) at most 50 times: of the area or volume of all `points`, what the first `count` of them had;
    nothing where that is none."""
    if not points:
        return ()
    *costs, accuracies = zip(*points)
    reference = (*map(max, costs), min(accuracies))
    whole = hypervolume(points, reference)
    step = -(-len(points) // MOST_MARKS)
    marks = [*range(step, len(points), step), len(points)]
    return tuple((count, hypervolume(points[:count], reference) / whole) for count in marks) if whole else ()


def scored(trial: Trial, objective: Objective | None) -> Scored:
    row = candidates([trial], objective) if objective else []
    return Scored(**vars(trial), reward=row[0].reward if row else None)


def family(spec: GrowthSpec, trials: Iterable[Trial]) -> tuple[Member, ...]:
    """One row a member, in the order of the names; what is not trained yet is known by arithmetic."""
    begun: dict[str | None, list[Trial]] = {name: [] for name in spec.members}
    for trial in sorted(trials, key=lambda trial: trial.number):
        begun[trial.job.member].append(trial)
    of_one = noise.spread([row.test_accuracy or 0.0 for row in _tested(trials)] for trials in begun.values())
    accuracies = {name: _estimate(_tested(begun[name]), of_one) for name in sorted(spec.members)}
    return tuple(
        _member(
            name,
            spec,
            begun[name],
            own,
            tuple(other for other, its in accuracies.items() if own and its and other != name and noise.tied(own, its)),
        )
        for name, own in accuracies.items()
    )


def _tested(trials: Sequence[Trial]) -> list[Measurement]:
    return [row for trial in trials if (row := trial.measurement) and row.test_accuracy is not None]


def _estimate(tested: Sequence[Measurement], of_one: noise.Spread | None) -> noise.Estimate | None:
    """Of one member's test accuracy."""
    if not tested:
        return None
    return noise.estimate([row.test_accuracy or 0.0 for row in tested], tested[0].accuracy_error, of_one)


def _member(
    name: str, spec: GrowthSpec, trials: Sequence[Trial], accuracy: noise.Estimate | None, tied_with: tuple[str, ...]
) -> Member:
    architecture = member(spec.architecture, name, spec.scaling)
    counted = counts(architecture)
    measured = [trial.measurement for trial in trials if trial.measurement]
    timed = next((row for row in measured if row.latency), None)
    models = tuple(f"{trial.run}-{trial.number}" for trial in trials if trial.measurement and trial.measurement.weights)
    return Member(
        member=name,
        state=_state(trials),
        number=trials[0].number if trials else None,
        resolution=architecture.images.resolution,
        params=counted.params,
        mult_adds=counted.mult_adds,
        latency_ms=timed.latency.median_ms if timed and timed.latency else None,
        further_latencies_ms=medians(timed.further_latencies) if timed else {},
        test_accuracy=accuracy.mean if accuracy else None,
        accuracy_error=accuracy.error if accuracy else None,
        seeds=accuracy.seeds if accuracy else 0,
        tied_with=tied_with,
        seconds=sum(row.seconds for row in measured) if measured else None,
        model=models[0] if models else None,
        models=models,
        progress=next((trial.progress for trial in trials if trial.state == "running"), None)
        or (trials[-1].progress if trials else None),
        error=next((trial.error for trial in trials if trial.error), None),
    )


def _state(trials: Sequence[Trial]) -> Literal["queued"] | TrialState:
    """Of a member: running while one of its seeds is, and done where one of them is and none runs."""
    states = [trial.state for trial in trials]
    if not states:
        return "queued"
    return next(state for state in ("running", "done", states[0]) if state in states)


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
        "started_at": run.started_at,
        "ended_at": run.ended_at,
        "seconds": run.worked_seconds if run.started_at else None,
        "compute_seconds": compute_seconds(trials),
        "remaining_seconds": None if run.state in ENDED else remaining_seconds(run, trials, now),
        "links": {"self": address} | {name: f"{address}/{name}" for name in ("trials", "events", *more)},
    }


def saved_seconds(trials: Iterable[Trial]) -> float | None:
    """What training the refused candidates would have taken, at the mean of the others; None without one of each."""
    measured = [trial.measurement for trial in trials if trial.measurement]
    refused = sum(row.refused is not None for row in measured)
    trained = [row.train_seconds for row in measured if row.train_seconds > 0]
    return refused * sum(trained) / len(trained) if refused and trained else None


def remaining_seconds(run: Run, trials: Sequence[Trial], now: float) -> float | None:
    """What is left of the budgets at the durations and costs so far, `parallel` at once; None before a trial has
    ended."""
    ended = [trial for trial in trials if trial.ended_at is not None]
    running = [now - trial.started_at for trial in trials if trial.ended_at is None]
    if not ended:
        return None
    durations = [(trial.job.rung, (trial.ended_at or now) - trial.started_at) for trial in ended]
    mean, spent = statistics.fmean(seconds for _, seconds in durations), compute_seconds(ended)
    count, each, spec = max(0, run.trials - len(ended)), mean, run.spec
    if isinstance(spec, SearchSpec) and spec.fidelity:
        each = _expected_seconds(spec.fidelity, run.trials, durations) or mean
    hours, compute_hours = (spec.hours, spec.compute_hours) if isinstance(spec, SearchSpec) else (None, None)
    # What has begun still ends, whatever is spent.
    if compute_hours is not None and spent > 0 and each > 0:
        affordable = math.ceil((3600 * compute_hours - spent) * len(ended) / spent * mean / each)
        count = min(count, max(affordable, len(running)))
    left = each * count - sum(min(elapsed, each) for elapsed in running)
    forecast = max(0.0, left / min(spec.parallel, max(1, count)))
    return forecast if hours is None else min(forecast, max(0.0, 3600 * hours - run.worked_seconds) + each)


def _expected_seconds(fidelity: Fidelity, trials: int, durations: Sequence[tuple[int | None, float]]) -> float | None:
    """Of a trial to come, where `trials` are spread over rungs and some have ended, each on a rung and after so many
    seconds. A rung that nobody has reached takes `eta` times as long as the one below it."""
    seconds = weighted = weights = 0.0
    for rung, share in enumerate(shares(fidelity)):
        own = [duration for at, duration in durations if at == rung]
        seconds = statistics.fmean(own) if own else fidelity.eta * seconds
        left = max(0.0, share * trials - len(own))
        weighted, weights = weighted + left * seconds, weights + left
    return weighted / weights if weights else None


def compute_seconds(trials: Iterable[Trial]) -> float:
    """For which the evaluations of the ended trials held a processor or a GPU."""
    return sum(trial.compute_seconds or 0.0 for trial in trials)
