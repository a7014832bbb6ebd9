"""The meter that devices share: when to time, how often, and what is made of the times."""

import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from nas.devices import DeviceError
from nas.devices._host import Load, interruptions
from nas.quiet import NotQuiet, measuring

WARM_UP_SECONDS = 0.01
ROUND_SECONDS = 0.006  # of the network's runs in a round; the reference has half of it
ROUND_RUNS = 3  # at the least, where a run is short
SLOW_MS = 30.0  # a run that takes longer is a round by itself
ROUNDS = 6  # at the least: the extremes of six enclose the median with 97 %
WITHIN = 0.01  # of the median, to which it is to be known
CONFIDENCE = 0.95
MOST_SECONDS = 0.5  # no further round is begun after that

Run = Callable[[], float]


class Round(NamedTuple):
    """Milliseconds of the network's runs, of the fastest of them and of the reference's fastest. `calm`: of runs that
    nothing interrupted."""

    runs: list[float]
    fastest_ms: float
    reference_ms: float
    calm: bool


@dataclass(frozen=True, kw_only=True)
class Times:
    """Milliseconds of one inference.

    A round's time is that of its fastest run, because whatever else a machine does can only add to it; rounds in which
    every run was interrupted, because another program had its turn on the processor, do not count where there are
    enough others. `median_ms` is the median of the rounds: on a machine shared with strangers it repeats better than
    the median of single runs.
    `p95_ms`, `minimum_ms` and `spread` (interquartile range over median) are of single runs, so `p95_ms` and `spread`
    show what the rounds filtered out. `ratio` is the median of the rounds' ratios to a reference network that ran in
    the same round: it stays where clock and neighbours change. `noisy` says why the median is not known to 1 %.
    """

    median_ms: float
    p95_ms: float
    minimum_ms: float
    spread: float
    runs: int
    rounds: int
    ratio: float
    reference_ms: float
    noisy: str | None
    shared: bool | None


def meter(run: Run, reference: Run) -> Times:
    """Call `run` and `reference`, which return the milliseconds of the inference they did, in turns of some runs each,
    until the time of `run` is known.

    Training on this host pauses meanwhile: a tenth of a second where it is quiet, half a second where it is not, or
    eight runs of a slow network. Raises DeviceError where a time is not a positive number or the host does not get
    quiet.
    """
    slow = run() > SLOW_MS  # and what is only done once is done before anybody is made to wait
    reference()
    least = 1 if slow else ROUND_RUNS
    rounds: list[Round] = []
    try:
        with measuring():
            _until(run, WARM_UP_SECONDS, least=1)
            _until(reference, WARM_UP_SECONDS / 2, least=1)
            load, start = Load(), time.perf_counter()
            while len(rounds) < ROUNDS or (_error(rounds) > WITHIN and time.perf_counter() - start < MOST_SECONDS):
                runs, calm = _until(run, ROUND_SECONDS, least=least)
                compared, calmly = _until(reference, ROUND_SECONDS / 2, least=ROUND_RUNS)
                rounds.append(Round(runs, min(calm or runs), min(calmly or compared), bool(calm)))
            others = load.others()
    except NotQuiet as error:
        raise DeviceError(f"latency was not measured: {error}") from error
    return _times(rounds, others)


def _until(run: Run, seconds: float, *, least: int) -> tuple[list[float], list[float]]:
    """Times of runs until `seconds` have passed and there are so many, and those of them that nothing interrupted."""
    times: list[float] = []
    calm: list[float] = []
    start = time.perf_counter()
    while len(times) < least or time.perf_counter() - start < seconds:
        before = interruptions()
        times.append(run())
        if not (math.isfinite(times[-1]) and times[-1] > 0):
            raise DeviceError(f"the clock gave {times[-1]} ms for an inference: no latency can be told from that")
        if interruptions() == before:
            calm.append(times[-1])
    return times, calm


def _counted(rounds: list[Round]) -> list[Round]:
    calm = [each for each in rounds if each.calm]
    return calm if len(calm) >= ROUNDS else rounds


def _error(rounds: list[Round]) -> float:
    """Half the width of the interval that encloses the median of the rounds with 95 %, over that median.

    The interval runs between order statistics (Conover 1999, chapter 3.2), so nothing is assumed of the noise.
    """
    ordered = sorted(each.fastest_ms for each in _counted(rounds))
    outside, tail = 0, 2.0 ** (1 - len(ordered))  # two tails, each with so many of the ordered rounds
    while tail + 2.0 ** (1 - len(ordered)) * math.comb(len(ordered), outside + 1) <= 1 - CONFIDENCE:
        outside += 1
        tail += 2.0 ** (1 - len(ordered)) * math.comb(len(ordered), outside)
    return (ordered[-1 - outside] - ordered[outside]) / 2 / statistics.median(ordered)


def _times(rounds: list[Round], others: float | None) -> Times:
    runs = [milliseconds for each in rounds for milliseconds in each.runs]
    counted = _counted(rounds)
    low, middle, high = statistics.quantiles(runs, n=4, method="inclusive")
    error = _error(rounds)
    noisy = f"the median of {len(counted)} rounds is known to ±{error:.1%} only" if error > WITHIN else None
    if noisy and others is not None:
        noisy += f"; other programs used {others:.1f} processors meanwhile"
    return Times(
        median_ms=statistics.median(each.fastest_ms for each in counted),
        p95_ms=statistics.quantiles(runs, n=20, method="inclusive")[-1],
        minimum_ms=min(runs),
        spread=(high - low) / middle,
        runs=len(runs),
        rounds=len(counted),
        ratio=statistics.median(each.fastest_ms / each.reference_ms for each in counted),
        reference_ms=statistics.median(each.reference_ms for each in counted),
        noisy=noisy,
        shared=None if others is None else others > Load.QUIET,
    )
