"""One training on several processors: each trains on its part of every batch."""

import copy
import functools
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from torch import Tensor, nn


class Parallel(nn.Module):
    """`network` in so many copies that share its parameters; each normalises its part of a batch by itself. For
    training: what the network has become is asked of the network itself.

    A thread each needs the others twice a step. Threads that share each operation wait for each other at every one, and
    on a machine that does anything else as well take ten times as long.
    """

    def __init__(self, network: nn.Module, threads: int) -> None:
        super().__init__()
        shared = {id(parameter): parameter for parameter in network.parameters()}
        copies = (copy.deepcopy(network, dict(shared)) for _ in range(threads - 1))
        self.copies = nn.ModuleList([network, *copies])
        self.threads = ThreadPoolExecutor(threads)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = _Parts.apply(self, images, *self.parameters())  # type: ignore[no-untyped-call]
        return logits


class _Parts(torch.autograd.Function):
    """The parts forward and back, as one step of the graph that the training loop sees."""

    @staticmethod
    def forward(ctx: Any, parallel: Parallel, images: Tensor, *parameters: Tensor) -> Tensor:
        reduced = torch.is_autocast_enabled("cpu")

        def work(network: nn.Module, part: Tensor) -> Tensor:
            with torch.enable_grad(), torch.autocast("cpu", torch.bfloat16, enabled=reduced, cache_enabled=False):
                logits: Tensor = network(part)
                return logits

        parts = images.tensor_split(len(parallel.copies))
        ctx.threads, ctx.parameters = parallel.threads, parameters
        ctx.logits = list(parallel.threads.map(work, parallel.copies, parts))
        return torch.cat([logits.detach() for logits in ctx.logits])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        def work(logits: Tensor, part: Tensor) -> tuple[Tensor, ...]:
            share: tuple[Tensor, ...] = torch.autograd.grad(logits, ctx.parameters, part)
            return share

        parts = gradients[0].tensor_split(len(ctx.logits))
        shares = ctx.threads.map(work, ctx.logits, parts)
        return None, None, *(functools.reduce(torch.add, each) for each in zip(*shares))
