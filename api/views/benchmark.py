"""What is shown of a benchmark, computed from its rows when it is read."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from api.views.run import Shown, common
from nas.measurements import Latency, Measurement
from nas.networks.architecture import Choices
from nas.networks.counts import counts
from nas.outlines import summed
from nas.records import ENDED, Job, Run, Trial, TrialState
from nas.specs import BenchmarkSpec


@dataclass(frozen=True, kw_only=True)
class Reading:
    """A network's latency on a device, or the error why there is none."""

    LIKE: ClassVar[tuple[type, ...]] = (Latency, Trial)

    device: str
    number: int | None
    """The number of the trial that measures it; null before that has begun."""
    state: Literal["queued"] | TrialState
    """Where that is; before it has begun "queued", or "cancelled" where the run has ended without it."""
    latency: Latency | None = None
    """The latency."""
    error: str | None = None


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A network, with its latencies."""

    LIKE: ClassVar[tuple[type, ...]] = (Measurement, Job)

    choices: Choices
    params: int
    mult_adds: int
    readings: tuple[Reading, ...]
    """A reading for each device of the run."""


@dataclass(frozen=True, kw_only=True)
class Benchmark(Shown):
    """A benchmark, and the networks whose measuring has begun."""

    spec: BenchmarkSpec
    """What was asked for, as stored."""
    networks: tuple[Measured, ...] | None
    """The networks; null in lists."""


def view(run: Run, trials: Sequence[Trial], *, whole: bool = True) -> Benchmark:
    """The run with its table, unless it is to stand in a list."""
    assert isinstance(run.spec, BenchmarkSpec)
    return Benchmark(
        **common(run, summed(trials), f"/v1/benchmarks/{run.id}"),
        spec=run.spec,
        networks=tuple(_measured(run.spec.devices, trials, ended=run.state in ENDED)) if whole else None,
    )


def _measured(named: Sequence[str], trials: Sequence[Trial], *, ended: bool) -> list[Measured]:
    """A row a network: trials are numbered device by device."""
    rows, to_come = [], Reading(device="", number=None, state="cancelled" if ended else "queued")
    for first in range(0, len(trials), len(named)):
        own = trials[first : first + len(named)]
        counted = counts(own[0].job.architecture)
        readings = [_reading(trial) for trial in own]
        readings += [replace(to_come, device=device) for device in named[len(own) :]]
        rows.append(
            Measured(
                choices=own[0].job.choices,
                params=counted.params,
                mult_adds=counted.mult_adds,
                readings=tuple(readings),
            )
        )
    return rows


def _reading(trial: Trial) -> Reading:
    (device,) = trial.job.devices
    return Reading(
        device=device,
        number=trial.number,
        state=trial.state,
        latency=trial.measurement.latencies.get(device) if trial.measurement else None,
        error=trial.error,
    )
