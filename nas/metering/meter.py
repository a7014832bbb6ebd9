"""The meter that devices share: when to time, how often, and what is made of the times."""

import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from nas.metering import DeviceError
from nas.metering.host import Load
from nas.metering.quiet import NotQuiet, measuring

WARM_UP_SECONDS = 0.01
FIRST_SECONDS = 0.5  # of a yardstick that nothing is known of: so long a processor may take to raise its clock
ROUND_SECONDS = 0.003  # of the network's runs in a round; the yardstick has half of it
ROUND_RUNS = 3  # at the least, where a run is short
SLOW_MS = 30.0  # a run that takes longer is a round by itself
ROUNDS = 6  # that count: the fastest
WITHIN = 0.01  # so near the fastest round the others that count have to come
QUIET = 1.05  # times what the yardstick took at best; above that the host is not itself
MOST_SECONDS = 0.5  # no round is begun after that

Run = Callable[[], float]


class Yardstick:
    """The network that all others are compared with, and the milliseconds that it took at best, as far as is known."""

    def __init__(self, run: Run, quiet_ms: float = math.inf) -> None:
        self.run, self.quiet_ms = run, quiet_ms


class Round(NamedTuple):
    """Milliseconds of the network's runs, of the fastest of them and of the yardstick's fastest."""

    runs: list[float]
    fastest_ms: float
    yardstick_ms: float


@dataclass(frozen=True, kw_only=True)
class Times:
    """Milliseconds of one inference.

    Whatever else a machine does can only add to a time. So a round's time is that of its fastest run, and of the rounds
    the six fastest count, once they agree: the K-best scheme (Bryant & O'Hallaron 2003, chapter 9). `median_ms` is the
    median of these six minima, `ratio` that of their ratios to a yardstick that ran in the same round. `p95_ms`,
    `minimum_ms` and `spread` (interquartile range over median) are of all single runs, so `p95_ms` and `spread` show
    what was filtered out. `noisy` says why the latency may not repeat as well as it should.
    """

    median_ms: float
    p95_ms: float
    minimum_ms: float
    spread: float
    runs: int
    rounds: int
    ratio: float
    yardstick_ms: float
    noisy: str | None
    shared: bool | None


def meter(run: Run, yardstick: Yardstick, within: float = WITHIN) -> Times:
    """Call `run` and the yardstick's, which return the milliseconds of the inference they did, in turns of some runs
    each, until the rounds that count lie `within` such a part of the fastest.

    Training on this host pauses meanwhile: a tenth of a second where it is quiet, half a second where it is not, or
    eight runs of a slow network. Before, a yardstick that nothing is known of is run for half a second. Raises
    DeviceError where a time is not a positive number or the host does not get quiet.
    """
    slow = run() > SLOW_MS  # and what is only done once is done before anybody is made to wait
    yardstick.run()
    if yardstick.quiet_ms == math.inf:  # and a clock that is low yet would pass for the best of this host
        _until(yardstick.run, FIRST_SECONDS, least=1)
    least = 1 if slow else ROUND_RUNS
    rounds: list[Round] = []
    try:
        with measuring():
            _until(run, WARM_UP_SECONDS, least=1)
            _until(yardstick.run, WARM_UP_SECONDS / 2, least=1)
            load, start = Load(), time.perf_counter()
            while len(rounds) < ROUNDS or (
                _doubt(rounds, yardstick.quiet_ms, within) and time.perf_counter() - start < MOST_SECONDS
            ):
                runs = _until(run, ROUND_SECONDS, least=least)
                compared = _until(yardstick.run, ROUND_SECONDS / 2, least=ROUND_RUNS)
                rounds.append(Round(runs, min(runs), min(compared)))
                yardstick.quiet_ms = min(yardstick.quiet_ms, min(compared))
            others = load.others()
    except NotQuiet as error:
        raise DeviceError(f"latency was not measured: {error}") from error
    return _times(rounds, yardstick.quiet_ms, within, others)


def _until(run: Run, seconds: float, *, least: int) -> list[float]:
    """Times of runs until `seconds` have passed and there are so many."""
    times: list[float] = []
    start = time.perf_counter()
    while len(times) < least or time.perf_counter() - start < seconds:
        times.append(run())
        if not (math.isfinite(times[-1]) and times[-1] > 0):
            raise DeviceError(f"the clock gave {times[-1]} ms for an inference: no latency can be told from that")
    return times


def _counted(rounds: list[Round]) -> list[Round]:
    return sorted(rounds, key=lambda each: each.fastest_ms)[:ROUNDS]


def _doubt(rounds: list[Round], quiet_ms: float, within: float) -> str | None:
    """Why the rounds do not tell the latency yet."""
    fastest, *_, last = (each.fastest_ms for each in _counted(rounds))
    if last > fastest * (1 + within):
        return f"the {ROUNDS} fastest of {len(rounds)} rounds agree to {last / fastest - 1:.1%} only"
    slower = min(each.yardstick_ms for each in rounds) / quiet_ms
    return f"the yardstick took {slower:.2f} times what it took before" if slower > QUIET else None


def _times(rounds: list[Round], quiet_ms: float, within: float, others: float | None) -> Times:
    runs = [milliseconds for each in rounds for milliseconds in each.runs]
    counted = _counted(rounds)
    low, middle, high = statistics.quantiles(runs, n=4, method="inclusive")
    noisy = _doubt(rounds, quiet_ms, within)
    if noisy and others is not None:
        noisy += f"; other programs used {others:.1f} processors meanwhile"
    return Times(
        median_ms=statistics.median(each.fastest_ms for each in counted),
        p95_ms=statistics.quantiles(runs, n=20, method="inclusive")[-1],
        minimum_ms=min(runs),
        spread=(high - low) / middle,
        runs=len(runs),
        rounds=len(rounds),
        ratio=statistics.median(each.fastest_ms / each.yardstick_ms for each in counted),
        yardstick_ms=statistics.median(each.yardstick_ms for each in counted),
        noisy=noisy,
        shared=None if others is None else others > Load.QUIET,
    )
