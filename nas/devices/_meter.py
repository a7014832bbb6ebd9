"""The meter that devices share: when to time, how often, and what is made of the times."""

import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

from nas.devices import DeviceError
from nas.quiet import NotQuiet, measuring

WARM_UP_SECONDS = 0.02
ROUND_SECONDS = 0.02
ROUND_RUNS = 3  # at the least
ROUNDS = 5  # at the least
STEADY = 0.02  # interquartile range of the rounds over their median at which there are enough of them
MOST_SECONDS = 0.2  # no further round is begun after that


@dataclass(frozen=True, kw_only=True)
class Times:
    """Milliseconds of one inference.

    A round is about 20 ms of runs, and its time is that of its fastest run, because whatever else a machine does can
    only add to it. `median_ms` is the median of the rounds: on a machine shared with strangers it repeats better than
    the median of single runs. `p95_ms`, `minimum_ms` and `spread` (interquartile range over median) are of single
    runs, so `p95_ms` and `spread` show what the rounds filtered out.
    """

    median_ms: float
    p95_ms: float
    minimum_ms: float
    spread: float
    runs: int


def meter(run: Callable[[], float]) -> Times:
    """Call `run`, which returns the milliseconds of the inference it did, until its time is known.

    Training on this host pauses meanwhile: a tenth to a third of a second, or a little over 17 slow runs. Raises
    DeviceError where a time is not a positive number or the host does not get quiet.
    """
    run()  # what is only done once is done before anybody is made to wait
    try:
        with measuring():
            _until(run, WARM_UP_SECONDS, least=2)
            rounds: list[list[float]] = []
            start = time.perf_counter()
            while len(rounds) < ROUNDS or (time.perf_counter() - start < MOST_SECONDS and not _steady(rounds)):
                rounds.append(_until(run, ROUND_SECONDS, least=ROUND_RUNS))
    except NotQuiet as error:
        raise DeviceError(f"latency was not measured: {error}") from error
    return _times(rounds)


def _until(run: Callable[[], float], seconds: float, *, least: int) -> list[float]:
    """Times of runs until `seconds` have passed and there are at least so many."""
    times: list[float] = []
    start = time.perf_counter()
    while len(times) < least or time.perf_counter() - start < seconds:
        times.append(run())
        if not (math.isfinite(times[-1]) and times[-1] > 0):
            raise DeviceError(f"the clock gave {times[-1]} ms for an inference: no latency can be told from that")
    return times


def _steady(rounds: list[list[float]]) -> bool:
    low, middle, high = statistics.quantiles(map(min, rounds), n=4, method="inclusive")
    return high - low <= STEADY * middle


def _times(rounds: list[list[float]]) -> Times:
    runs = [milliseconds for each in rounds for milliseconds in each]
    low, middle, high = statistics.quantiles(runs, n=4, method="inclusive")
    return Times(
        median_ms=statistics.median(map(min, rounds)),
        p95_ms=statistics.quantiles(runs, n=20, method="inclusive")[-1],
        minimum_ms=min(runs),
        spread=(high - low) / middle,
        runs=len(runs),
    )
