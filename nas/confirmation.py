"""Which network to train again before its lead is believed.

Of many networks the one that looks best has most likely been lucky. So the leader is trained again, and is then
compared with its closest rival: whichever of the two has been trained less comes next, until chance alone would hardly
bring them as far apart as they are (as LUCB does: Kalyanakrishnan et al. 2012).
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from nas.noise import Estimate, Spread, spread, tied
from nas.objective import Objective
from nas.pareto import front


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A network's cost, or both costs, and its accuracies, one for each training that has ended; `pending` more are
    under way. `error` is the standard error that the number of images leaves in each, `cost_error` the relative one of
    a cost that was measured; 0: it is not known."""

    costs: tuple[float, ...]
    accuracies: tuple[float, ...]
    error: float = 0.0
    cost_error: float = 0.0
    pending: int = 0

    @property
    def trainings(self) -> int:
        return len(self.accuracies) + self.pending


def confirmation(measured: Sequence[Measured], objective: Objective) -> int | None:
    """The index of the network to train again, by another seed; None where no lead is in doubt.

    Where a front is searched for, all on it lead: each is trained twice, the best by the reward first.
    """
    if len(measured) < 2:
        return None  # there is nothing to lead before
    means = [statistics.fmean(one.accuracies) for one in measured]
    rewards = [objective.reward(mean, one.costs[0]) for mean, one in zip(means, measured)]
    if objective.form == "front":
        lucky = [
            one for one in front([(*m.costs, mean) for m, mean in zip(measured, means)]) if measured[one].trainings < 2
        ]
        return max(lucky, key=rewards.__getitem__, default=None)
    leader = max(range(len(measured)), key=rewards.__getitem__)
    if measured[leader].trainings < 2:
        return leader
    noise = spread(one.accuracies for one in measured)
    if noise is None:
        return None  # until what is under way has ended
    if not noise.deviation:  # all alike is chance, too: what the images leave open is there at least
        noise = Spread(deviation=max(1e-6, *(one.error for one in measured)), freedom=0)
    # Of the mean rewards, once what is under way has ended.
    errors = [
        math.hypot(
            objective.terms(one.costs[0])[0] * noise.deviation / math.sqrt(one.trainings),
            objective.reward_error(mean, one.costs[0], one.cost_error if objective.cost == "latency_ms" else 0.0),
        )
        for mean, one in zip(means, measured)
    ]

    def ahead(rival: int) -> float:
        return (rewards[leader] - rewards[rival]) / math.hypot(errors[leader], errors[rival])

    rival = min((one for one in range(len(measured)) if one != leader), key=ahead)
    pair = [
        Estimate(mean=rewards[one], error=errors[one], seeds=measured[one].trainings, freedom=noise.freedom)
        for one in (leader, rival)
    ]
    if not tied(*pair):
        return None
    return min(leader, rival, key=lambda one: measured[one].trainings)
