"""Proximal policy optimization of an LSTM controller, as NASNet, MnasNet and EfficientNet were found.

Schulman et al. 2017; Zoph et al. 2017: one layer of 100 units, weights from U(-0.1, 0.1), rate 0.00035, entropy weight
1e-5, baseline decay 0.95, 20 networks a batch, for 20,000 trials. The default rate and batch are for a few hundred.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nas.searchers import Problem
from nas.searchers._controller import Baseline, Controller, ControllerSearch, check

if TYPE_CHECKING:
    from torch import Tensor


class Searcher(ControllerSearch):
    """Each batch is learned from in `epochs` steps, while no choice's probability changes by more than `clip`."""

    def __init__(
        self,
        problem: Problem,
        *,
        seed: int,
        rate: float = 0.003,
        batch: int = 8,
        epochs: int = 4,
        clip: float = 0.2,
        entropy: float = 1e-5,
        decay: float = 0.95,
    ) -> None:
        check("rate", rate, 1e-6, 1)
        check("batch", batch, 1, 1000)
        check("epochs", epochs, 1, 100)
        check("clip", clip, 0.01, 1)
        check("entropy", entropy, 0, 10)
        check("decay", decay, 0, 0.9999)

        def controller(sizes: Sequence[int]) -> Controller:
            return Controller(sizes, hidden=100, layers=1, spread=0.1, seed=seed)

        super().__init__(problem, controller, seed=seed, batch=batch, rate=rate)
        self._baseline = Baseline(decay)
        self._epochs, self._clip, self._entropy = epochs, clip, entropy

    def learn(self, codes: "Tensor", rewards: "Tensor") -> None:
        advantages = self._baseline.advantages(rewards)
        before = self.controller.judge(codes)[0].detach()
        for _ in range(self._epochs):
            likelihood, entropy = self.controller.judge(codes)
            ratio = (likelihood - before).exp()
            clipped = ratio.clamp(1 - self._clip, 1 + self._clip)
            self.descend(-(ratio * advantages).minimum(clipped * advantages).mean() - self._entropy * entropy.mean())
