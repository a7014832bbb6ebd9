"""The exponential moving average of a network's weights and running statistics."""

from typing import Any

import torch
from torch import Tensor, nn


class Average:
    """`weights` is the average as the network's state has it; it begins as `weights`, or as the network is.

    A step keeps `decay` of the average, and less of a young one: (1 + n) / (10 + n) after n steps, as TensorFlow does,
    or what was drawn at random would be in it for ever.
    """

    def __init__(self, network: nn.Module, decay: float, weights: dict[str, Any] | None = None) -> None:
        state = network.state_dict()
        self._decay = decay
        self.weights: dict[str, Any] = {
            name: (weights[name] if weights else value).to(value.device, copy=True) for name, value in state.items()
        }

    def update(self, network: nn.Module, step: int) -> None:
        """After step number `step`, from 0."""
        kept = min(self._decay, (1 + step) / (10 + step))
        averaged: list[Tensor] = []
        current: list[Tensor] = []
        for name, value in network.state_dict().items():
            if value.is_floating_point():
                averaged.append(self.weights[name])
                current.append(value)
            else:
                self.weights[name].copy_(value)  # a norm's count of its batches
        torch._foreach_lerp_(averaged, current, 1 - kept)
