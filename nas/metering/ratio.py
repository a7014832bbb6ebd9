"""How many times as long as the yardstick a network takes, by rounds of both in turns, and how far that can be trusted.

What else a host does comes in phases, of tenths of a second to seconds, in which everything takes 1.3 to 2.5 times as
long. No statistic of a network's own times sees through one that lasts as long as the measurement; the yardstick, which
ran in the same phases, does. So both are judged by their fastest rounds, and only the ratio counts.
"""

import math
import statistics
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

FASTEST = 6  # rounds that count, of each of the two
BLOCKS = 8  # consecutive ones, by which the error is told: rounds of one phase err alike, and are no independent ones
FASTEST_OF_BLOCK = 3
QUIETER = 8  # the power of its speed that a block counts by: of one that is 1.3 times slower, an eighth
SCATTER = 0.02  # of a block's ratio, as if one more block had said so: it decides where one alone was quiet
QUIET = 1.02  # times what the yardstick takes at best: so far a quiet host varies
FOLLOWS = 0.15  # of how much slower the host is, a network may be slowed more, or less, than the yardstick


class Round(NamedTuple):
    """Milliseconds of the fastest run of the network, and of the yardstick."""

    network_ms: float
    yardstick_ms: float


class Ratio(NamedTuple):
    """The `ratio` of a network's time to the yardstick's, its relative standard `error`, and the milliseconds that the
    yardstick took meanwhile."""

    ratio: float
    error: float
    yardstick_ms: float


def ratio(rounds: Sequence[Round], quiet_ms: float) -> Ratio:
    """`rounds` in the order in which they were, two or more; `quiet_ms` is what the yardstick takes at best.

    The error is that of the ratios of blocks of rounds (Law & Carson 1979), each counted by how quiet it was; and on a
    host that was slower than it can be in more than three quarters of the rounds, what that may have changed of the
    ratio itself: then the fastest of both need not be of the same moments.
    """
    network_ms, yardstick_ms = _fastest(rounds, FASTEST)
    number = min(BLOCKS, len(rounds))
    edges = [len(rounds) * block // number for block in range(number + 1)]
    blocks = [_fastest(rounds[start:end], FASTEST_OF_BLOCK) for start, end in pairwise(edges)]
    quietest = min(block.yardstick_ms for block in blocks)
    weights = [(quietest / block.yardstick_ms) ** QUIETER for block in blocks]
    logs = [math.log(block.network_ms / block.yardstick_ms) for block in blocks]
    mean = statistics.fmean(logs, weights)
    variance = statistics.fmean([(each - mean) ** 2 for each in logs], weights)
    as_many = sum(weights) ** 2 / sum(weight**2 for weight in weights)  # equally quiet blocks
    scatter = math.sqrt((as_many * variance + SCATTER**2) / (as_many * max(as_many - 1, 0.5)))
    quarter_ms = statistics.quantiles((each.yardstick_ms for each in rounds), n=4, method="inclusive")[0]
    slowdown = quarter_ms / min(quiet_ms, yardstick_ms)
    return Ratio(network_ms / yardstick_ms, math.hypot(scatter, following(slowdown)), yardstick_ms)


def following(slowdown: float) -> float:
    """The relative error of a ratio where the yardstick took so many times what it takes at best."""
    return FOLLOWS * max(0.0, slowdown / QUIET - 1)


def _fastest(rounds: Sequence[Round], number: int) -> Round:
    """The means of so many fastest rounds of the network, and of the yardstick; they need not be the same ones."""
    network, yardstick = (statistics.fmean(sorted(times)[:number]) for times in zip(*rounds))
    return Round(network, yardstick)
