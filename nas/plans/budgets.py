"""The networks that are measured to find a member of a latency: the largest of a family within it, or the nearest."""

import math

from nas.networks.lowering import AnyArchitecture
from nas.networks.members import MOST_MEASURED, MOST_PHI, Scaled, at, briefly, budget
from nas.networks.scaling import CompoundScaling

CLOSE = 0.03  # to the limit, as a part of it: nearer than a latency repeats itself is near enough
LEAST = 0.5  # of phi beyond what was measured, until there is a network on either side of the limit
FARTHEST = 2.0  # of phi beyond what was measured, so that no network explodes


class Quest:
    """Proposes one network after another to be measured; the first one is what is grown itself. A new one that is told
    the same latencies in the same order goes on alike."""

    def __init__(self, architecture: AnyArchitecture, name: str, family: CompoundScaling | None) -> None:
        wanted = budget(name)
        assert wanted is not None
        self.member = name
        self._architecture, self._wanted, self._scaling = architecture, wanted, wanted.scaling(family)
        self._measured: list[tuple[float, float]] = []  # phi, milliseconds

    def proposal(self) -> AnyArchitecture | None:
        """The network to measure next; None where the answer is known as well as it will be."""
        phi = self._next()
        return None if phi is None else self._at(phi).architecture

    def tell(self, latency_ms: float | None) -> None:
        """Of the network that was proposed; None: it could not be measured, as if it were too slow."""
        phi = self._next()
        assert phi is not None, "nothing was proposed"
        self._measured.append((phi, math.inf if latency_ms is None else latency_ms))

    def answer(self) -> Scaled | None:
        """The member; None where all that were measured are over the limit."""
        limit = self._limit()
        if not math.isfinite(limit):
            return None
        if self._wanted.nearest:
            finite = [(phi, ms) for phi, ms in self._measured if math.isfinite(ms)]
            best = min(finite, key=lambda each: abs(math.log(each[1] / limit)), default=None)
        else:
            best = max(((phi, ms) for phi, ms in self._measured if ms <= limit), default=None)
        return best and self._at(briefly(self._architecture, self._scaling, best[0]))

    def _at(self, phi: float) -> Scaled:
        return at(self._architecture, self._scaling, phi)

    def _limit(self) -> float:
        return self._wanted.limit(self._measured[0][1])

    def _next(self) -> float | None:
        if not self._measured:
            return 0.0
        limit = self._limit()
        if not math.isfinite(limit):  # a multiple of what could not be measured
            return None
        within = max(((phi, ms) for phi, ms in self._measured if ms <= limit), default=None)
        over = min(((phi, ms) for phi, ms in self._measured if ms > limit), default=None)
        if len(self._measured) == MOST_MEASURED or (within and within[1] >= (1 - CLOSE) * limit):
            return None
        if within and over:
            low, high = within[0], over[0]
            # In turns, as latency rises in steps with depth, where a line between the two is a bad guess.
            share = _share(within[1], over[1], (1 - CLOSE / 2) * limit) if len(self._measured) % 2 else 0.5
            return self._new(low + share * (high - low), (low + high) / 2)
        phi, ms = within or over or (0.0, limit)
        step = math.log((1 - CLOSE / 2) * limit / ms) / math.log(max(1.1, self._scaling.growth))
        step = math.copysign(min(max(abs(step), LEAST), FARTHEST), step)
        return self._new(*(phi + step / 2**halved for halved in range(5)))

    def _new(self, *phis: float) -> float | None:
        """The first of them that is not too far, and whose network can be built and has not been measured."""
        known = [self._at(phi).architecture for phi, _ in self._measured]
        for phi in phis:
            try:
                if abs(phi) <= MOST_PHI and self._at(phi).architecture not in known:
                    return phi
            except ValueError:  # too large, or too few pixels for its strides
                continue
        return None


def _share(low: float, high: float, wanted: float) -> float:
    """How far between the two it lies, by their logarithms: not at either end."""
    share = math.log(wanted / low) / math.log(high / low) if math.isfinite(high) else 0.5
    return min(max(share, 0.1), 0.9)
