"""How fast counting without building is: `python -m bench.counts`, on one core, in about half a minute.

Networks are different random points of the mbconv space for 224 pixels, of EfficientNet-B0's seven stages. The peers
count the same networks, built without memory on torch's meta device: by hooks on every convolution and linear layer,
and by torch.utils.flop_counter. Building is part of their work, as a searcher has only the description.
"""

import argparse
import random
import time
from collections.abc import Callable, Sequence

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from bench._rows import row
from nas.networks import counts as counting
from nas.networks.architecture import Architecture, Images, random_choices
from nas.networks.blocks import network
from nas.networks.counts import counts
from search_spaces import mbconv

IMAGES = Images(resolution=224)
NETWORKS = 4000
BUILT = 6
ROUNDS = 5
TARGET = 2000  # networks a second


def main() -> None:
    argparse.ArgumentParser(prog="python -m bench.counts", description=__doc__).parse_args()
    torch.set_num_threads(1)
    networks = [drawn(seed) for seed in range(NETWORKS)]
    for architecture in networks[:BUILT]:
        counted = counts(architecture)
        assert (counted.params, counted.mult_adds) == hooked(architecture) == flop_counted(architecture)

    fresh = best(lambda: rate(counts, networks), counting.forget)
    cold = best(lambda: rate(forgetful, networks[: NETWORKS // 4]))
    hooks = best(lambda: rate(hooked, networks[:BUILT]))
    flops = best(lambda: rate(flop_counted, networks[:BUILT]))
    target, unit = f"at least {TARGET:,} a second", "networks/s"
    for claim, value in (
        ("different B0-sized networks counted, starting with nothing known", fresh),
        ("the same, every stage forgotten before every network", cold),
    ):
        for peer, peer_value in (("hooks on the built meta network", hooks), ("torch FlopCounterMode on it", flops)):
            row(
                claim,
                value,
                unit,
                peer=peer,
                peer_value=peer_value,
                ratio=value / peer_value,
                target=target,
                holds=value >= TARGET,
            )


def drawn(seed: int) -> Architecture:
    draw = random.Random(seed)
    choices = random_choices(mbconv.knobs(IMAGES), draw)
    return mbconv.architecture(choices, IMAGES)


def forgetful(architecture: Architecture) -> object:
    counting.forget()
    return counts(architecture)


def hooked(architecture: Architecture) -> tuple[int, int]:
    built, total = meta(architecture), 0

    def watch(module: nn.Module, _: object, output: torch.Tensor) -> None:
        nonlocal total
        assert isinstance(module, nn.Conv2d | nn.Linear)
        total += output[0].numel() * module.weight[0].numel()

    for module in built.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(watch)
    built(image())
    return sum(tensor.numel() for tensor in built.parameters()), total


def flop_counted(architecture: Architecture) -> tuple[int, int]:
    built = meta(architecture)
    with FlopCounterMode(display=False) as counter:
        built(image())
    return sum(tensor.numel() for tensor in built.parameters()), counter.get_total_flops() // 2


def meta(architecture: Architecture) -> nn.Module:
    with torch.device("meta"):
        return network(architecture).eval()


def image() -> torch.Tensor:
    return torch.empty(1, IMAGES.channels, IMAGES.resolution, IMAGES.resolution, device="meta")


def rate(count: Callable[[Architecture], object], networks: Sequence[Architecture]) -> float:
    """Networks a second of this process, whatever else the machine does."""
    begun = time.process_time()
    for architecture in networks:
        count(architecture)
    return len(networks) / (time.process_time() - begun)


def best(measure: Callable[[], float], before: Callable[[], None] = lambda: None) -> float:
    """Of a few rounds, as other processes can only slow it down."""
    rates = []
    for _ in range(ROUNDS):
        before()
        rates.append(measure())
    return max(rates)


if __name__ == "__main__":
    main()
