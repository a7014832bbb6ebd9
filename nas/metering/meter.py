"""The meter that devices share: when to time, how often, and what is made of the times."""

import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nas.metering import DeviceError
from nas.metering.host import Load
from nas.metering.quiet import NotQuiet, measuring
from nas.metering.ratio import Ratio, Round, ratio

WARM_UP_SECONDS = 0.01
FIRST_SECONDS = 0.5  # of a yardstick that nothing is known of: so long a processor may take to raise its clock
ROUND_SECONDS = 0.001  # of the network's runs in a round; the yardstick has as much: shorter than any phase of a host
ROUND_RUNS = 2  # at the least, where a run is short: the first finds the caches full of the other network
SLOW_MS = 10.0  # a run that takes longer is a round by itself
ROUNDS = 8  # at the least
WITHIN = 0.01  # of the ratio: its error, at which the meter is content
LEAST_SECONDS, MOST_SECONDS = 0.05, 3.0  # of rounds
LONGER = 1.25  # times as many seconds, before the error is looked at again

Run = Callable[[], float]


class Yardstick:
    """The networks that all others are compared with: its time is the geometric mean of theirs. `quiet_ms` is what that
    was at best, as far as is known."""

    def __init__(self, *runs: Run, quiet_ms: float = math.inf) -> None:
        self.runs, self.quiet_ms = runs, quiet_ms

    def round_ms(self, seconds: float) -> float:
        """The milliseconds of its fastest runs within about so many `seconds`."""
        each = seconds / len(self.runs)
        return statistics.geometric_mean(min(_until(run, each, least=ROUND_RUNS)) for run in self.runs)


@dataclass(frozen=True, kw_only=True)
class Times:
    """Milliseconds of one inference.

    The latency, `median_ms`, is the `ratio` to the yardstick times `yardstick_ms`, what that takes at best on this
    machine: what the network would take if nobody else was there. `error_ms` is its standard error. `slowdown` says
    how many times as long as at best the yardstick took meanwhile. `p95_ms`, `minimum_ms` and `spread` (interquartile
    range over median) are of all single runs, as they were.
    """

    median_ms: float
    p95_ms: float
    minimum_ms: float
    spread: float
    runs: int
    rounds: int
    ratio: float
    yardstick_ms: float
    error_ms: float
    slowdown: float
    shared: bool | None


def meter(run: Run, yardstick: Yardstick) -> Times:
    """Call `run` and the yardstick's, which return the milliseconds of the inference they did, in turns of about a
    millisecond each, until the ratio of the two is known to 1 %.

    Training on this host pauses meanwhile: a twentieth of a second where it is quiet, up to three seconds where it is
    not, or eight runs of a slow network. Before, a yardstick that nothing is known of is run for half a second. Raises
    DeviceError where a time is not a positive number or the host does not get quiet.
    """
    least = 1 if run() > SLOW_MS else ROUND_RUNS  # and what is only done once is done before anybody is made to wait
    yardstick.round_ms(0.0)
    if yardstick.quiet_ms == math.inf:  # and a clock that is low yet would pass for the best of this host
        yardstick.round_ms(FIRST_SECONDS)
    runs: list[float] = []
    rounds: list[Round] = []
    try:
        with measuring():
            _until(run, WARM_UP_SECONDS, least=1)
            yardstick.round_ms(WARM_UP_SECONDS)
            load, start = Load(), time.perf_counter()
            look = LEAST_SECONDS
            while True:
                its = _until(run, ROUND_SECONDS, least=least)
                runs += its
                rounds.append(Round(min(its), yardstick.round_ms(ROUND_SECONDS)))
                spent = time.perf_counter() - start
                if len(rounds) < ROUNDS or spent < look:
                    continue
                compared = _compared(rounds, yardstick)
                if compared.error <= WITHIN or spent >= MOST_SECONDS:
                    break
                look = min(MOST_SECONDS, LONGER * spent)
            others = load.others()
    except NotQuiet as error:
        raise DeviceError(f"latency was not measured: {error}") from error
    return _times(runs, len(rounds), compared, yardstick.quiet_ms, others)


def _compared(rounds: Sequence[Round], yardstick: Yardstick) -> Ratio:
    """The ratio so far; what the yardstick took is the best that is known, if it is."""
    compared = ratio(rounds, yardstick.quiet_ms)
    yardstick.quiet_ms = min(yardstick.quiet_ms, compared.yardstick_ms)
    return compared


def _until(run: Run, seconds: float, *, least: int) -> list[float]:
    """Times of runs until `seconds` have passed and there are so many."""
    times: list[float] = []
    start = time.perf_counter()
    while len(times) < least or time.perf_counter() - start < seconds:
        times.append(run())
        if not (math.isfinite(times[-1]) and times[-1] > 0):
            raise DeviceError(f"the clock gave {times[-1]} ms for an inference: no latency can be told from that")
    return times


def _times(runs: Sequence[float], rounds: int, compared: Ratio, quiet_ms: float, others: float | None) -> Times:
    low, middle, high = statistics.quantiles(runs, n=4, method="inclusive")
    latency_ms = compared.ratio * quiet_ms
    return Times(
        median_ms=latency_ms,
        p95_ms=statistics.quantiles(runs, n=20, method="inclusive")[-1],
        minimum_ms=min(runs),
        spread=(high - low) / middle,
        runs=len(runs),
        rounds=rounds,
        ratio=compared.ratio,
        yardstick_ms=quiet_ms,
        error_ms=latency_ms * compared.error,
        slowdown=compared.yardstick_ms / quiet_ms,
        shared=None if others is None else others > Load.QUIET,
    )
