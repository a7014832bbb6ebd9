"""The members of a family: what they are by arithmetic, and what came of their trainings."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal

from api.views import search
from api.views.run import Shown, common
from api.views.scaling import Fitted, fitted, of_comparison, of_fit
from api.views.verdict import of_growth
from nas import noise
from nas.families import dominated, estimates, known, trainings
from nas.measurements import Measurement
from nas.networks.architecture import Architecture, Scale
from nas.networks.counts import counts
from nas.networks.members import Scaled, factors, is_measured, way
from nas.networks.scaling import DOUBLED, CompoundScaling
from nas.outlines import summed
from nas.records import ENDED, Job, Progress, Run, RunState, Trial, TrialState
from nas.rounding import Rounding
from nas.specs import GrowthSpec

FAR = 0.2  # from 2, as a part of it: a factor on multiply-adds that is no doubling


@dataclass(frozen=True, kw_only=True)
class Member:
    """A row of a family's table; what is measured is null until a training of it has ended."""

    LIKE: ClassVar[tuple[type, ...]] = (Measurement, Trial, Job)

    member: str
    """Its name, as it was asked for: B0 to B7, or another."""
    state: Literal["queued", "skipped"] | TrialState
    """Where its trainings are; "skipped": it is not trained, and will not be."""
    number: int | None
    """The number of its first trial."""
    resolution: int | None
    """Pixels a side of its images; null, as its sizes are, of a member of a latency until measurements have found
    it."""
    params: int | None
    mult_adds: int | None
    peak_memory: int | None
    model_bytes: int | None
    times: float | None = None
    """Its multiply-adds, as a multiple of those of the network that is grown."""
    latency_times: float | None = None
    """Its latency on the first device, as a multiple of that of the network that is grown, where both were
    measured."""
    skipped: str | None = None
    """Why it is not trained, where it is skipped."""
    way: str | None = None
    """The dimension that alone was scaled, or "compound"; null where the name is factors, or cells by number."""
    also: tuple[str, ...] = ()
    """Other candidates of a fit that come out as the same network, which is trained once."""
    phi: float | None = None
    """The phi that it was scaled by; null where it is of the published table, of a latency, or of cells by number."""
    scale: Scale | None = None
    """The factors that it was scaled by; null of a member of a latency."""
    latencies_ms: dict[str, float] = field(default_factory=dict)
    """Its latency on each device, as that is at its best, in milliseconds."""
    latency_errors_ms: dict[str, float] = field(default_factory=dict)
    """The standard error of that, where it is known."""
    test_accuracy: float | None = None
    """The accuracy on the test images, from 0 to 1: the mean over the seeds that were tested. Null where the growth is
    scored on validation images, or the member is not tested."""
    test_error: float | None = None
    """The standard error of that."""
    accuracy: float | None = None
    """The same on the validation images, where the growth is scored on those."""
    accuracy_error: float | None = None
    """The standard error of the accuracy that members are compared by, which is that on the validation images where
    there is one: of the number of images and of the seeds together, as far as the spread of members that were trained
    from several seeds says something of these."""
    value: float | None = None
    """What the growth's metric is of it, on the images that members are compared by: the accuracy where that is the
    metric."""
    value_error: float | None = None
    """The standard error of that."""
    seeds: int = 0
    """Seeds that were scored."""
    tied_with: tuple[str, ...] = ()
    """The members that it cannot be told apart from, by accuracy compared on the same images, one by one, by another
    metric by its errors."""
    dominated_by: str | None = None
    """The member that takes fewer multiply-adds and no more time, and that this one is no better than, for all that can
    be told; the best of such. Null: there is none, or it is a candidate of a fit."""
    rounding: Rounding | None = None
    """What quantising did to the accuracy of its first training, where members are judged in 8 bits; null where they
    are not."""
    inherited: float | None = None
    """The part of its parameters that it began with from a parent, or the member before, from 0 to 1; null: none."""
    seconds: float | None = None
    """Seconds of its trainings, without those in which they waited for a processor or a GPU."""
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
    fitted: Fitted | None = None
    """The factors that its fit has come to; null where there is none, or before a candidate is scored."""
    verdict: str | None = None
    """Which of them are worth what they cost, in words; null before two can be compared."""
    hint: str | None = None
    """What to bear in mind of it, in the answer to its submission: that test images were looked at before."""


def view(run: Run, trials: Sequence[Trial], hint: str | None = None, found: Trial | None = None) -> Growth:
    """`found` is the trial that its network is from, where that is still there."""
    assert isinstance(run.spec, GrowthSpec)
    shown = common(run, summed(trials), f"/v1/growths/{run.id}")
    members = family(run.spec, trials, state=run.state, reason=run.reason)
    fit = fitted(members) if run.spec.fit else None
    verdict = of_comparison(members) or of_growth(members, run.spec, found)
    verdict = of_fit(members, fit) if run.spec.fit else verdict
    return Growth(**shown, spec=run.spec, family=members, fitted=fit, verdict=verdict, hint=hint)


def hint(spec: GrowthSpec, tests: int) -> str | None:
    """What to bear in mind of a growth: that `tests` of the same search were scored on the test images before, and that
    its factors double nothing, or are for images that strides do not divide."""
    hints = []
    if spec.scored_on != "validation" and tests:
        hints.append(
            f"with this growth, test images are looked at {tests + 1} times for networks of the same search: what is "
            "chosen by them is no longer tested. Compare growths with scored_on validation"
        )
    if spec.scaling and abs(spec.scaling.growth / DOUBLED - 1) > FAR:
        hints.append(
            f"α·β²·γ² is {spec.scaling.growth:.2f}: each member has so many times the multiply-adds of the one before, "
            "where the paper's factors double them"
        )
    if spec.scaling and (uneven := _uneven(spec)):
        hints.append(f"{uneven}: what is left over is computed on padding")
    return "; ".join(hints) or None


def _uneven(spec: GrowthSpec) -> str | None:
    """Which members see images that their strides do not divide, where those of the network that is grown do."""
    base, members = spec.architecture, []
    if not isinstance(base, Architecture) or base.images.resolution % base.total_stride:
        return None
    for name in spec.members:
        if not is_measured(name):
            pixels = spec.scaled(name).architecture.images.resolution
            if left := pixels % base.total_stride:
                members.append(f"{name} sees {pixels} pixels, where {pixels - left + base.total_stride} would be even")
    return (members and f"{', '.join(members)}, as the strides are {base.total_stride}") or None


def family(
    spec: GrowthSpec, trials: Iterable[Trial], *, state: RunState = "running", reason: str | None = None
) -> tuple[Member, ...]:
    """One row a member, smallest first; what is not trained yet is known by arithmetic, unless it is to be measured.
    `state` and `reason` are those of the growth."""
    trials = sorted(trials, key=lambda trial: trial.number)
    begun: dict[str, list[Trial]] = {name: [] for name in spec.members}
    for trial in trials:
        if trial.job.member and trial.job.recipe:
            begun[trial.job.member].append(trial)
    sized = {name: _scaled(name, spec, begun[name]) for name in spec.members}
    sizes = {name: counts(each.architecture).mult_adds if each else math.inf for name, each in sized.items()}
    alike = spec.fit.candidates(spec.architecture) if spec.fit else {}
    latencies = _latencies(spec, trials, begun)
    medians = {name: search.medians(latencies.get(name, {})) for name in spec.members}
    compared, tested = (trainings(trials, final=final) for final in (spec.scored_on == "test", True))
    accuracies, values = (
        estimates(compared, metric, final=spec.scored_on == "test") for metric in ("accuracy", spec.metric)
    )
    tests = estimates(tested, "accuracy", final=True)
    worse = {} if spec.fit else dominated(known(compared, sizes, spec, final=spec.scored_on == "test"))
    rows = []
    ordered = sorted(spec.members, key=lambda name: (sizes[name], name))
    for name in ordered:
        row = _member(name, spec, sized[name], begun[name])
        accuracy, value, test = accuracies.get(name), values.get(name), tests.get(name)
        latency, whole = (medians.get(one, {}).get(spec.devices[0]) for one in (name, "B0"))
        times = latency / whole if latency and whole else None
        skipped = None
        if not begun[name]:
            skipped = _passed_over(name, spec, times) if name in alike else None
            skipped = skipped or _left_out(name, spec, begun, state, reason, fitted=name in alike)
        rows.append(
            replace(
                row,
                state="skipped" if skipped else row.state,
                skipped=skipped,
                also=alike.get(name, ()),
                latencies_ms=medians[name],
                latency_errors_ms=search.errors(latencies.get(name, {})),
                latency_times=times,
                test_accuracy=test.mean if test else None,
                test_error=test.error if test else None,
                accuracy=accuracy.mean if accuracy and spec.scored_on != "test" else None,
                accuracy_error=accuracy.error if accuracy else None,
                value=value.mean if value else None,
                value_error=value.error if value else None,
                seeds=accuracy.seeds if accuracy else 0,
                tied_with=tuple(
                    each
                    for each in ordered
                    if value and each != name and each in values and noise.tied(value, values[each])
                ),
                dominated_by=worse.get(name),
            )
        )
    return tuple(rows)


def _latencies(
    spec: GrowthSpec, trials: Iterable[Trial], begun: Mapping[str, Sequence[Trial]]
) -> dict[str, search.Latencies]:
    """Of each member on each device: of its trainings, or, of a candidate that is not trained, as it was measured."""
    timed = {
        trial.job.member: search.latencies([trial.measurement])
        for trial in trials
        if spec.fit and spec.fit.timed and trial.job.recipe is None and trial.job.member and trial.measurement
    }
    trained = {name: [row for trial in its if (row := trial.measurement)] for name, its in begun.items()}
    return timed | {
        name: search.latencies(rows)
        for name, rows in trained.items()
        if rows and (name not in timed or len(spec.devices) > 1)
    }


def _passed_over(name: str, spec: GrowthSpec, times: float | None) -> str | None:
    """Why this candidate of a fit is not to be trained, by its latency; None where nothing speaks against it."""
    assert spec.fit
    if spec.fit.timed and times and not spec.fit.near(times) and factors(name) != CompoundScaling():
        return f"{times:.2f} times the latency"
    return None


def _left_out(
    name: str,
    spec: GrowthSpec,
    begun: Mapping[str, Sequence[Trial]],
    state: RunState,
    reason: str | None,
    *,
    fitted: bool,
) -> str | None:
    """Why no training of this member has begun in a growth that has ended; None before."""
    if state not in ENDED:
        return None
    if state != "finished":
        return f"the growth {'failed' if state == 'failed' else f'was {state}'} before its turn"
    if fitted and spec.fit and spec.fit.least_gain is not None:
        return "too little is expected of it"
    teacher = spec.teacher
    untaught = teacher not in (None, name) and not any(trial.measurement for trial in begun[teacher or ""])
    if is_measured(name) and not untaught:
        return "no measured network is within it"
    return reason or "it was left out"


def _member(name: str, spec: GrowthSpec, found: Scaled | None, trials: Sequence[Trial]) -> Member:
    """What is known of a member without its scores."""
    counted = counts(found.architecture) if found else None
    measured = [trial.measurement for trial in trials if trial.measurement]
    models = tuple(
        f"{trial.run}-{trial.number}"
        for trial in sorted(trials, key=lambda trial: not trial.job.final)  # what was tested has learnt from all images
        if trial.measurement and trial.measurement.weights
    )
    return Member(
        member=name,
        state=_state(trials),
        number=trials[0].number if trials else None,
        resolution=found.architecture.images.resolution if found else None,
        params=counted.params if counted else None,
        mult_adds=counted.mult_adds if counted else None,
        scale=found.scale if found else None,
        times=counted.mult_adds / counts(spec.architecture).mult_adds if counted else None,
        way=way(name),
        phi=found.phi if found else None,
        peak_memory=counted.peak_memory(spec.precision) if counted else None,
        model_bytes=counted.model_bytes(spec.precision) if counted else None,
        rounding=next((row.rounding for row in measured if row.rounding), None),
        inherited=next((row.inherited for row in measured if row.inherited is not None), None),
        seconds=sum(row.seconds for row in measured) if measured else None,
        model=models[0] if models else None,
        models=models,
        progress=next((trial.progress for trial in trials if trial.state == "running"), None)
        or (trials[-1].progress if trials else None),
        error=next((trial.error for trial in trials if trial.error), None),
    )


def _scaled(name: str, spec: GrowthSpec, trainings: Sequence[Trial]) -> Scaled | None:
    """Of a member of a latency the network that measurements have found, once it is trained."""
    if not is_measured(name):
        return spec.scaled(name)
    return Scaled(architecture=trainings[0].job.architecture) if trainings else None


def _state(trials: Sequence[Trial]) -> Literal["queued"] | TrialState:
    """Of a member: running while one of its seeds is, and done where one of them is and none runs."""
    states = [trial.state for trial in trials]
    if not states:
        return "queued"
    return next(state for state in ("running", "done", states[0]) if state in states)
