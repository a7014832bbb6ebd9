"""The members of a family with all their trainings: what is known of each, and which are not worth what they cost."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from nas import noise
from nas.measurements import Measurement
from nas.objective import Metric
from nas.records import Trial
from nas.specs import GrowthSpec
from nas.standings import estimate


@dataclass(frozen=True, kw_only=True)
class Known:
    """What the trainings of a member have measured of its costs, and of what members are compared by."""

    member: str
    mult_adds: float
    latency_ms: float | None
    value: noise.Estimate


def trainings(trials: Iterable[Trial], *, final: bool) -> dict[str, list[Measurement]]:
    """What the trainings of each member have measured: those that were scored on the test images, or the others."""
    measured: dict[str, list[Measurement]] = {}
    for trial in sorted(trials, key=lambda trial: trial.number):
        if trial.job.member and trial.job.recipe and trial.job.final == final and trial.measurement:
            measured.setdefault(trial.job.member, []).append(trial.measurement)
    return measured


def estimates(
    measured: Mapping[str, Sequence[Measurement]], metric: Metric, *, final: bool
) -> dict[str, noise.Estimate]:
    """Of the metric of each member that was scored, on the images of these trainings."""
    other = "accuracy" if final else "test_accuracy"
    rows = {name: [replace(row, **{other: None}) for row in its] for name, its in measured.items()}  # type: ignore[arg-type]
    scored = {
        name: its
        for name, all_its in rows.items()
        if (its := [row for row in all_its if row.value(metric) is not None])
    }
    of_one = noise.spread([row.value(metric) or 0.0 for row in its] for its in scored.values())
    return {name: estimate(its, metric, of_one) for name, its in scored.items()}


def known(
    measured: Mapping[str, Sequence[Measurement]], sizes: Mapping[str, float], spec: GrowthSpec, *, final: bool
) -> list[Known]:
    """Of the members that were scored; `sizes` are their multiply-adds."""
    values = estimates(measured, spec.metric, final=final)
    return [
        Known(member=name, mult_adds=sizes[name], latency_ms=_latency(measured[name], spec), value=value)
        for name, value in values.items()
    ]


def dominated(family: Iterable[Known]) -> dict[str, str]:
    """The members that, for all that can be told, are no better than one that takes fewer multiply-adds and no more
    time; each with the best of such. Those that are dominated dominate none."""
    kept: list[Known] = []
    worse: dict[str, str] = {}
    for row in sorted(family, key=lambda row: row.mult_adds):
        cheaper = [one for one in kept if one.mult_adds < row.mult_adds and not _faster(row, one)]
        rival = max(cheaper, key=lambda one: one.value.mean, default=None)
        if rival and (row.value.mean <= rival.value.mean or noise.tied(rival.value, row.value)):
            worse[row.member] = rival.member
        else:
            kept.append(row)
    return worse


def _faster(one: Known, other: Known) -> bool:
    return None not in (one.latency_ms, other.latency_ms) and (one.latency_ms or 0) < (other.latency_ms or 0)


def _latency(measured: Sequence[Measurement], spec: GrowthSpec) -> float | None:
    latencies = [latency for row in measured if (latency := row.cost("latency_ms", spec.devices[0])) is not None]
    return statistics.fmean(latencies) if latencies else None
