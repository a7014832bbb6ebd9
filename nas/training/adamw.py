"""Adam with decoupled weight decay (Loshchilov & Hutter 2019)."""

from typing import Any

import torch

SQUARES = 0.99  # of the mean of squared gradients that a step keeps: of some hundred steps, 0.999 forgets too few


class AdamW(torch.optim.AdamW):
    """Torch's, but that a group's `momentum` says how much of its direction a step keeps, as in other optimizers."""

    def __init__(self, groups: list[dict[str, Any]], rate: float, momentum: float) -> None:
        super().__init__(groups, lr=rate, betas=(momentum, SQUARES), foreach=True)
        for group in self.param_groups:
            group["momentum"] = momentum

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            group["betas"] = (group["momentum"], SQUARES)
        super().step(closure)
