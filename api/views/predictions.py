"""What a search knew of latencies before it measured them, beside what was measured then."""

import statistics
from collections.abc import Iterable
from dataclasses import dataclass

from nas.correlation import spearman
from nas.records import Trial

MOST = 1000  # networks that are looked at, the latest


@dataclass(frozen=True, kw_only=True)
class Predicted:
    """A network whose latency was predicted before it was measured."""

    number: int
    """The number of its trial."""
    predicted_ms: float
    """What it was predicted to take, in milliseconds."""
    measured_ms: float
    """What it was measured to take."""
    error_ms: float | None
    """The standard error of that; null where it is not known."""


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """How well a search knew latencies before it measured them."""

    device: str
    """The device whose latency is predicted: the first of the search."""
    error: float | None
    """How far predictions were off, on average, as a part of what was measured; null where there are none."""
    rank: float | None
    """Their rank correlation (Spearman); null of fewer than two, and where all are alike."""
    networks: tuple[Predicted, ...]
    """In the order in which they were proposed; of more than 1,000 the last ones."""


def view(trials: Iterable[Trial], device: str) -> Predictions:
    networks = tuple(
        Predicted(
            number=trial.number,
            predicted_ms=trial.job.predicted_ms,
            measured_ms=latency.median_ms,
            error_ms=latency.error_ms,
        )
        for trial in trials
        if trial.job.predicted_ms is not None
        and trial.measurement
        and (latency := trial.measurement.latencies.get(device))
    )
    guesses, times = [each.predicted_ms for each in networks], [each.measured_ms for each in networks]
    off = [abs(guess / time - 1) for guess, time in zip(guesses, times)]
    return Predictions(
        device=device,
        error=statistics.fmean(off) if off else None,
        rank=spearman(guesses, times) if len(networks) > 1 else None,
        networks=networks,
    )
