"""RMSProp as TensorFlow has it, whose networks MnasNet's and EfficientNet's papers trained."""

from typing import Any

import torch
from torch import Tensor

DECAY = 0.9
EPSILON = 0.001  # under the root


class RMSProp(torch.optim.Optimizer):
    """Differs from torch's where it matters: the mean of squares begins at one, or the first steps would be three times
    too long; epsilon is added under the root; and momentum keeps steps that were taken, rate × gradient, so that a rate
    that falls does not shorten those of earlier, as it does where it keeps gradients."""

    def __init__(self, groups: list[dict[str, Any]], rate: float, momentum: float) -> None:
        super().__init__(groups, {"lr": rate, "momentum": momentum})
        for group in self.param_groups:
            for parameter in group["params"]:
                self.state[parameter] = {"squares": torch.ones_like(parameter), "moving": torch.zeros_like(parameter)}

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            parameters = [parameter for parameter in group["params"] if parameter.grad is not None]
            if not parameters:
                continue
            gradients: list[Tensor] = [parameter.grad for parameter in parameters]
            squares, moving = (
                [self.state[parameter][name] for parameter in parameters] for name in ("squares", "moving")
            )
            if group["weight_decay"]:
                gradients = list(torch._foreach_add(gradients, parameters, alpha=group["weight_decay"]))
            torch._foreach_lerp_(squares, torch._foreach_mul(gradients, gradients), 1 - DECAY)
            roots = torch._foreach_add(squares, EPSILON)
            torch._foreach_sqrt_(roots)
            torch._foreach_mul_(moving, group["momentum"])
            torch._foreach_addcdiv_(moving, gradients, roots, group["lr"])
            torch._foreach_sub_(parameters, moving)
