"""REINFORCE: an LSTM controller follows the gradient of the expected reward.

Williams 1992; Zoph & Le 2016, "Neural Architecture Search with Reinforcement Learning": two layers of 35 units, weights
from U(-0.08, 0.08), a moving average of rewards as the baseline, cubed accuracies. Their rate, 0.0006, is for 12,800
trials; the default here is for a few hundred.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nas.searchers import Problem
from nas.searchers._controller import Baseline, Controller, ControllerSearch, check

if TYPE_CHECKING:
    from torch import Tensor


class Searcher(ControllerSearch):
    """`cubed` takes the reward's third power, which tells the best from the good; `decay` is the baseline's."""

    def __init__(
        self,
        problem: Problem,
        *,
        seed: int,
        rate: float = 0.01,
        batch: int = 4,
        entropy: float = 0.01,
        decay: float = 0.95,
        cubed: bool = False,
    ) -> None:
        check("rate", rate, 1e-6, 1)
        check("batch", batch, 1, 1000)
        check("entropy", entropy, 0, 10)
        check("decay", decay, 0, 0.9999)

        def controller(sizes: Sequence[int]) -> Controller:
            return Controller(sizes, hidden=35, layers=2, spread=0.08, seed=seed)

        super().__init__(problem, controller, seed=seed, batch=batch, rate=rate)
        self._baseline = Baseline(decay)
        self._entropy, self._cubed = entropy, cubed

    def learn(self, codes: "Tensor", rewards: "Tensor") -> None:
        advantages = self._baseline.advantages(rewards**3 if self._cubed else rewards)
        likelihood, entropy = self.controller.judge(codes)
        self.descend(-(advantages * likelihood).mean() - self._entropy * entropy.mean())
