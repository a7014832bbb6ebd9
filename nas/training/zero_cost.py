"""Scores of networks that nobody has trained: claims about how accurate they would get, to be tested by
`nas.proxy_report`. All are of freshly drawn weights, and only their order means anything."""

import copy
import math
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn

from nas.networks.blocks import DropPath

SCORES = ("naswot", "swap", "synflow", "zen")
ZEN_STEP = 0.01  # how far the zen score moves its input
ZEN_IMAGES = 16
MOST_IMAGES = 63  # whose states fit into a whole number

_ACTIVATIONS = (nn.ReLU, nn.SiLU, nn.ReLU6, nn.Hardswish)


def score(name: str, network: nn.Module, images: Tensor, seed: int = 0) -> float:
    """The score of that name for `network`, which stays as it is, on a batch of up to 63 normalised `images` (N, C, H,
    W); minus infinity where no image reaches its end."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if name in ("naswot", "swap"):
            return (naswot if name == "naswot" else swap)(network, images)
        return (synflow if name == "synflow" else zen)(network, images.shape[1:])


def naswot(network: nn.Module, images: Tensor) -> float:
    """How differently it answers to different images: log-determinant of how many activations any two have in the same
    state, on or off (Mellor et al. 2021, "Neural architecture search without training")."""
    network = _training(network)
    alike = torch.zeros(len(images), len(images), dtype=torch.float64)

    def count(module: nn.Module, entering: tuple[Tensor, ...]) -> None:
        on = (entering[0] > 0).flatten(1).double()
        alike.add_(on @ on.T + (1 - on) @ (1 - on).T)

    _watched(network, _ACTIVATIONS, count, images)
    return float(torch.linalg.slogdet(alike).logabsdet)


def swap(network: nn.Module, images: Tensor) -> float:
    """In how many ways its activations tell the images apart: of each it is known for which images it is on, and
    different such patterns are counted (Peng et al. 2024, "SWAP-NAS"; without its regularisation)."""
    assert len(images) <= MOST_IMAGES
    network = _training(network)
    place = 2 ** torch.arange(len(images))
    patterns: list[Tensor] = []

    def note(module: nn.Module, entering: tuple[Tensor, ...]) -> None:
        patterns.append(torch.unique(place @ (entering[0] > 0).flatten(1).long()))

    _watched(network, _ACTIVATIONS, note, images)
    return float(len(torch.unique(torch.cat(patterns)))) if patterns else 0.0


def synflow(network: nn.Module, shape: torch.Size) -> float:
    """Logarithm of the sum over parameters of weight × gradient, of the network of absolute weights for an image of
    ones (Tanaka et al. 2020; as a score Abdelfattah et al. 2021)."""
    network = copy.deepcopy(network).double().eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.abs_()
    network(torch.ones(1, *shape, dtype=torch.float64)).sum().backward()
    flows = [weight.detach() * weight.grad for weight in network.parameters() if weight.grad is not None]
    return _logarithm(sum(float(flow.abs().sum()) for flow in flows))


def zen(network: nn.Module, shape: torch.Size) -> float:
    """How far the last features move with the input, and how much the norms on the way had to shrink them (Lin et al.
    2021, "Zen-NAS"), for standard normal weights and images. Skips stay, which the paper takes out."""
    network = _training(network)
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.normal_(module.weight)
    images = torch.randn(ZEN_IMAGES, *shape)
    shrunk: list[float] = []
    features: list[Tensor] = []

    def norm(module: nn.Module, entering: tuple[Tensor, ...]) -> None:
        shrunk.append(0.5 * math.log(float(entering[0].var((0, 2, 3), unbiased=False).mean()) + 1e-12))

    def last(module: nn.Module, entering: tuple[Tensor, ...]) -> None:
        features.append(entering[0])

    pools = [module for module in network.modules() if isinstance(module, nn.AdaptiveAvgPool2d | nn.Linear)]
    end = pools[-2] if len(pools) > 1 and isinstance(pools[-2], nn.AdaptiveAvgPool2d) else pools[-1]
    with end.register_forward_pre_hook(last):
        _watched(network, (nn.BatchNorm2d,), norm, images)
        with torch.no_grad():
            network(images + ZEN_STEP * torch.randn_like(images))
    moved = float((features[0] - features[1]).flatten(1).abs().sum(1).mean())
    return _logarithm(moved) + sum(shrunk)


def _training(network: nn.Module) -> nn.Module:
    """A copy whose norms measure the batch, and of which nothing is dropped: chance is no property of a network."""
    network = copy.deepcopy(network).train()
    for module in network.modules():
        if isinstance(module, nn.Dropout | DropPath):
            module.eval()
    return network


def _logarithm(number: float) -> float:
    return math.log(number) if number > 0 else -math.inf


def _watched(network: nn.Module, kinds: tuple[Any, ...], look: Callable[..., None], images: Tensor) -> None:
    """Run `network` with `look` at what enters each module of these kinds."""
    with ExitStack() as hooks, torch.no_grad():
        for module in network.modules():
            if isinstance(module, kinds):
                hooks.enter_context(module.register_forward_pre_hook(look))
        network(images)
