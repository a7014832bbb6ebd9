"""The members of a family: what they are by arithmetic, and what came of their trainings."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal

from api.views.run import Shown, common
from api.views.search import estimate, medians
from api.views.verdict import of_growth
from nas import noise
from nas.networks.counts import counts
from nas.objective import Metric
from nas.plans.growth import member
from nas.records import Job, Measurement, Progress, Run, Trial, TrialState
from nas.specs import GrowthSpec


@dataclass(frozen=True, kw_only=True)
class Member:
    """A row of a family's table; what is measured is null until a training of it has ended."""

    LIKE: ClassVar[tuple[type, ...]] = (Measurement, Trial, Job)

    member: str
    """Its name, B0 to B7."""
    state: Literal["queued"] | TrialState
    """Where its trainings are."""
    number: int | None
    """The number of its first trial."""
    resolution: int
    """Pixels a side of its images."""
    params: int
    mult_adds: int
    latencies_ms: dict[str, float] = field(default_factory=dict)
    """Its latency on each device: the median of the fastest runs of six rounds, in milliseconds."""
    test_accuracy: float | None = None
    """The accuracy on the test images, from 0 to 1: the mean over the seeds that were tested. Null where the growth is
    scored on validation images."""
    accuracy: float | None = None
    """The same on the validation images, where the growth is scored on those."""
    accuracy_error: float | None = None
    """The standard error of that, of the number of images and of the seeds together, as far as the spread of members
    that were trained from several seeds says something of these."""
    value: float | None = None
    """What the growth's metric is of it, on the same images: the accuracy where that is the metric."""
    value_error: float | None = None
    """The standard error of that."""
    seeds: int = 0
    """Seeds that were scored."""
    tied_with: tuple[str, ...] = ()
    """The members that it cannot be told apart from, by accuracy compared on the same images, one by one, by another
    metric by its errors."""
    inherited: float | None = None
    """The part of its parameters that it began with from the member before, from 0 to 1; null: it did not."""
    seconds: float | None = None
    """Seconds of its trainings."""
    model: str | None = None
    """The id of the first seed's model. To pick the best one would be to choose by the images that it is scored on."""
    models: tuple[str, ...] = ()
    """The ids of all its models, in the order of their seeds."""
    progress: Progress | None = None
    error: str | None = None


@dataclass(frozen=True, kw_only=True)
class Growth(Shown):
    """A growth, and its family."""

    spec: GrowthSpec
    """What was asked for, as stored."""
    family: tuple[Member, ...]
    """Its members, smallest first."""
    verdict: str | None = None
    """Which of them are worth what they cost, in words; null before two can be compared."""
    hint: str | None = None
    """What to bear in mind of it, in the answer to its submission: that test images were looked at before."""


def view(run: Run, trials: Sequence[Trial], hint: str | None = None) -> Growth:
    assert isinstance(run.spec, GrowthSpec)
    shown = common(run, trials, f"/v1/growths/{run.id}")
    members = family(run.spec, trials)
    return Growth(**shown, spec=run.spec, family=members, verdict=of_growth(members, run.spec.metric), hint=hint)


def hint(spec: GrowthSpec, tests: int) -> str | None:
    """What to bear in mind of a growth, if `tests` of the same search were scored on the test images before."""
    if spec.scored_on != "test" or not tests:
        return None
    return (
        f"with this growth, test images are looked at {tests + 1} times for networks of the same search: what is "
        "chosen by them is no longer tested. Compare growths with scored_on validation"
    )


def family(spec: GrowthSpec, trials: Iterable[Trial]) -> tuple[Member, ...]:
    """One row a member, in the order of the names; what is not trained yet is known by arithmetic."""
    begun: dict[str | None, list[Trial]] = {name: [] for name in spec.members}
    for trial in sorted(trials, key=lambda trial: trial.number):
        begun[trial.job.member].append(trial)
    accuracies, values = (_estimates(spec, begun, metric) for metric in ("accuracy", spec.metric))
    return tuple(
        _member(
            name,
            spec,
            begun[name],
            accuracies[name],
            own,
            tuple(other for other, its in values.items() if own and its and other != name and noise.tied(own, its)),
        )
        for name, own in values.items()
    )


def _estimates(
    spec: GrowthSpec, begun: Mapping[str | None, Sequence[Trial]], metric: Metric
) -> dict[str, noise.Estimate | None]:
    """Of the metric of each member that was scored, in the order of their names."""
    other = "accuracy" if spec.scored_on == "test" else "test_accuracy"
    measured = {
        name: [replace(row, **{other: None}) for trial in begun[name] if (row := trial.measurement)]  # type: ignore[arg-type]
        for name in sorted(spec.members)
    }
    scored = {name: [row for row in rows if row.value(metric) is not None] for name, rows in measured.items()}
    of_one = noise.spread([row.value(metric) or 0.0 for row in rows] for rows in scored.values())
    return {name: estimate(rows, metric, of_one) if rows else None for name, rows in scored.items()}


def _member(
    name: str,
    spec: GrowthSpec,
    trials: Sequence[Trial],
    accuracy: noise.Estimate | None,
    value: noise.Estimate | None,
    tied_with: tuple[str, ...],
) -> Member:
    architecture = member(spec.architecture, name, spec.scaling)
    counted = counts(architecture)
    measured = [trial.measurement for trial in trials if trial.measurement]
    models = tuple(f"{trial.run}-{trial.number}" for trial in trials if trial.measurement and trial.measurement.weights)
    return Member(
        member=name,
        state=_state(trials),
        number=trials[0].number if trials else None,
        resolution=architecture.images.resolution,
        params=counted.params,
        mult_adds=counted.mult_adds,
        latencies_ms=medians(measured),
        test_accuracy=accuracy.mean if accuracy and spec.scored_on == "test" else None,
        accuracy=accuracy.mean if accuracy and spec.scored_on == "validation" else None,
        accuracy_error=accuracy.error if accuracy else None,
        value=value.mean if value else None,
        value_error=value.error if value else None,
        seeds=accuracy.seeds if accuracy else 0,
        tied_with=tied_with,
        inherited=next((row.inherited for row in measured if row.inherited is not None), None),
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
