"""Which network is trained longer: successive halving without waiting (ASHA, Li et al. 2020), and Hyperband of it.

A network goes up as soon as it is among the best 1/eta of those that have ended on its rung. Nobody waits for a rung to
be full, so that some go up that would not have, had all been known; a larger rung makes up for it.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import replace

from nas.objective import Objective
from nas.pareto import layers
from nas.searchers import Outcome
from nas.specs import Fidelity


class Rungs:
    """Networks by name. All that it knows is what it was told; `begin` and `end` may come in any order of networks."""

    def __init__(self, fidelity: Fidelity, objective: Objective) -> None:
        self._fidelity, self._objective = fidelity, objective
        self._ended: list[dict[str, Outcome]] = [{} for _ in range(fidelity.rungs)]
        self._begun: list[set[str]] = [set() for _ in range(fidelity.rungs)]
        self._bracket: dict[str, int] = {}  # the rung that a network began on

    def begin(self, network: str, rung: int) -> None:
        self._bracket.setdefault(network, rung)
        self._begun[rung].add(network)

    def end(self, network: str, rung: int, outcome: Outcome | None) -> None:
        """What came of it; None: it failed, and neither goes up nor counts among those that have ended."""
        self.begin(network, rung)
        if outcome is not None:
            self._ended[rung].setdefault(network, outcome)

    def entry(self) -> int:
        """The rung that the next new network begins on."""
        if self._fidelity.kind == "halving":
            return 0
        sizes = [_size(self._fidelity, rung) for rung in range(self._fidelity.rungs)]
        place = len(self._bracket) % sum(sizes)
        return next(rung for rung in range(len(sizes)) if place < sum(sizes[: rung + 1]))

    def promotion(self, left: float = math.inf) -> tuple[str, int] | None:
        """A network that deserves more, and the rung that it goes up to; the highest such rung first. Where so few
        trials are `left` that one of them is to reach the highest, none goes where there are enough."""
        for rung in reversed(range(self._fidelity.rungs - 1)):
            if left <= self.missing and not self._missing(rung + 1):
                continue
            for bracket in range(rung + 1):
                rivals = [network for network in self._ended[rung] if self._bracket[network] == bracket]
                places = ranked(self._objective, [self._ended[rung][network] for network in rivals])
                best = [rivals[place] for place in places]
                for network in best[: len(rivals) // self._fidelity.eta]:
                    if network not in self._begun[rung + 1]:
                        return network, rung + 1
        return None

    @property
    def missing(self) -> int:
        """How many are still to go up a rung until one is on the highest."""
        return 0 if self._begun[-1] else sum(map(self._missing, range(1, self._fidelity.rungs)))

    def _missing(self, rung: int) -> int:
        enough: int = self._fidelity.eta ** (self._fidelity.rungs - 1 - rung)
        return max(0, enough - len(self._begun[rung]))

    def level(self, rung: int, outcome: Outcome) -> Outcome | None:
        """`outcome` as it would have been on the lowest rung, so that a searcher can compare it with the others: less
        what networks that were trained on both gained on the average. None while no network was."""
        gained = 0.0
        for lower, upper in zip(self._ended[:rung], self._ended[1 : rung + 1]):
            gains = [upper[network].accuracy - lower[network].accuracy for network in upper if network in lower]
            if not gains:
                return None
            gained += statistics.fmean(gains)
        return replace(outcome, accuracy=min(1.0, max(0.0, outcome.accuracy - gained)))


def ranked(objective: Objective, outcomes: Sequence[Outcome]) -> list[int]:
    """The places of the outcomes, the best first: by reward, or where a front is searched for by how many layers of
    fronts lie over them."""
    if objective.form == "front":
        return layers([(*outcome.costs, outcome.accuracy) for outcome in outcomes])
    rewards = [objective.reward(outcome.accuracy, outcome.cost) for outcome in outcomes]
    return sorted(range(len(rewards)), key=rewards.__getitem__, reverse=True)


def shares(fidelity: Fidelity) -> list[float]:
    """The part of a long search's trainings that each rung has, the lowest first."""
    if fidelity.kind == "halving":
        counts = [fidelity.eta**-rung for rung in range(fidelity.rungs)]
    else:
        counts = [
            sum(_size(fidelity, entry) * fidelity.eta ** (entry - rung) for entry in range(rung + 1))
            for rung in range(fidelity.rungs)
        ]
    return [count / sum(counts) for count in counts]


def _size(fidelity: Fidelity, entry: int) -> int:
    """Networks that Hyperband begins on rung `entry`, before it begins some on the next."""
    climbs = fidelity.rungs - entry
    return math.ceil(fidelity.rungs / climbs * math.pow(fidelity.eta, climbs - 1))
