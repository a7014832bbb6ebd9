"""The exponential moving average of a network's weights and running statistics."""

from typing import Any

import torch
from torch import Tensor, nn


class Average:
    """`weights` is the average as the network's state has it; it begins as `weights`, or as the network is.

    A step keeps `decay` of the average, and less of a young one: (1 + n) / (10 + n) after n steps, as TensorFlow does,
    or what was drawn at random would be in it for ever. The network's tensors are looked up once: from then on it may
    be changed in place only, as a training does.
    """

    def __init__(self, network: nn.Module, decay: float, weights: dict[str, Any] | None = None) -> None:
        state: dict[str, Tensor] = network.state_dict()
        self._decay = decay
        self.weights: dict[str, Any] = {
            name: (weights[name] if weights else value).to(value.device, copy=True) for name, value in state.items()
        }
        numbers = [name for name, value in state.items() if value.is_floating_point()]
        counts = [name for name in state if name not in numbers]  # of the batches that norms have seen
        self._numbers = [self.weights[name] for name in numbers], [state[name] for name in numbers]
        self._counts = [self.weights[name] for name in counts], [state[name] for name in counts]

    def update(self, step: int) -> None:
        """After step number `step`, from 0."""
        kept = min(self._decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(*self._numbers, 1 - kept)
        if self._counts[0]:
            torch._foreach_copy_(*self._counts)
