"""Training in 8 bits: a network that works as it will when it is quantised, and learns to live with that.

As in `nas.quantisation` activations are unsigned, with the range that a tensor has in the batch, and weights signed, of
7 bits, with the factors of the norms that they will be folded with. Gradients pass as if nothing were rounded (Jacob et
al. 2018).
"""

import itertools
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from nas.networks.blocks import Branches, Graph

VALUES = (0, 255)
WEIGHTS = (-64, 64)
SMALLEST = 1e-12  # scale, of what is zero throughout


@contextmanager
def rounded(network: nn.Module, *, per_channel: bool) -> Iterator[AbstractContextManager[object]]:
    """What a forward pass of `network` runs under: within, it works in 8 bits, and its norms, whose factors are those
    of the weights, are not trained."""
    following = dict(_pairs(network))
    with ExitStack() as stack:
        for module in [*network.modules()]:  # those of weights come to them
            norm = following.get(module)
            if isinstance(module, nn.Conv2d | nn.Linear):
                weights = Weights(_factor(norm) if isinstance(norm, nn.BatchNorm2d) else None, per_channel)
                parametrize.register_parametrization(module, "weight", weights)
                stack.callback(parametrize.remove_parametrizations, module, "weight", leave_parametrized=False)
            elif isinstance(module, nn.BatchNorm2d):
                stack.callback(module.train, module.training)
                stack.callback(module.weight.requires_grad_, module.weight.requires_grad)
                module.eval().weight.requires_grad_(False)
            if _written(module, norm):
                stack.enter_context(module.register_forward_hook(lambda *called: values(called[-1])))
        stack.enter_context(network.register_forward_pre_hook(lambda _, entering: values(entering[0])))
        yield nullcontext()


class Weights(nn.Module):
    """Weights as they are once those of each channel have met the `factor` of its norm."""

    def __init__(self, factor: Tensor | None, per_channel: bool) -> None:
        super().__init__()
        self._factor, self._per_channel = factor, per_channel

    def forward(self, weights: Tensor) -> Tensor:
        factor = torch.ones((), device=weights.device) if self._factor is None else self._factor
        factor = factor.reshape(-1, *[1] * (weights.ndim - 1))
        folded = weights * factor
        largest = folded.detach().abs().flatten(1).amax(1)
        scale = ((largest if self._per_channel else largest.max()) / WEIGHTS[1]).clamp(min=SMALLEST)
        zero = torch.zeros_like(scale, dtype=torch.int32)
        if self._per_channel:
            return torch.fake_quantize_per_channel_affine(folded, scale, zero, 0, *WEIGHTS) / factor
        return torch.fake_quantize_per_tensor_affine(folded, scale, zero, *WEIGHTS) / factor


def values(features: Tensor) -> Tensor:
    """Activations in 8 bits."""
    lowest, highest = torch.aminmax(features.detach())
    lowest = lowest.clamp(max=0)
    scale = ((highest.clamp(min=0) - lowest) / VALUES[1]).clamp(min=SMALLEST)
    zero = (-lowest / scale).round().to(torch.int32)
    return torch.fake_quantize_per_tensor_affine(features, scale, zero, *VALUES)


def _factor(norm: nn.BatchNorm2d) -> Tensor:
    """Of each channel; of none it is 0, as weights are divided by it again."""
    assert norm.running_var is not None
    factor = (norm.weight * (norm.running_var + norm.eps).rsqrt()).detach()
    return torch.where(factor.abs() < SMALLEST, SMALLEST, factor)


def _written(module: nn.Module, following: nn.Module | None) -> bool:
    """Whether a runtime writes what leaves `module`, and does not go on with what follows before that."""
    if isinstance(module, nn.Linear | nn.Sequential | nn.Flatten | nn.Dropout) or isinstance(
        following, nn.ReLU | nn.ReLU6
    ):
        return False
    if isinstance(module, nn.Conv2d):
        return not isinstance(following, nn.BatchNorm2d)
    return isinstance(module, Branches | Graph) or not [*module.children()]


def _pairs(network: nn.Module) -> Iterator[tuple[nn.Module, nn.Module]]:
    """Of layers the one that follows in a sequence."""
    for module in network.modules():
        if isinstance(module, nn.Sequential):
            yield from itertools.pairwise(_layers(module))


def _layers(module: nn.Module) -> Iterator[nn.Module]:
    if isinstance(module, nn.Sequential):
        for inner in module:
            yield from _layers(inner)
    else:
        yield module
