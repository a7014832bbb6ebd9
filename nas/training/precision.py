"""Which parts of a network train in bfloat16: settled by the machine and the kind of layer, never by a stopwatch, so
that the same training on the same machine is the same training."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import Tensor, nn


@contextmanager
def reduced(network: nn.Module, device: torch.device) -> Iterator[AbstractContextManager[object]]:
    """What a forward pass of `network` in training runs under: bfloat16 where `device` has instructions for it.

    On CPUs depthwise convolutions stay in single precision meanwhile: their backward pass in bfloat16 takes three times
    as long, while dense convolutions take two thirds.
    """
    if device.type == "cpu" and not _has_bfloat16():
        yield nullcontext()
        return
    depthwise = [module for module in network.modules() if _depthwise(module)] if device.type == "cpu" else []
    for module in depthwise:
        module.forward = _single_precision(module)
    try:
        yield torch.autocast(device.type, torch.bfloat16)
    finally:
        for module in depthwise:
            del module.forward


def _has_bfloat16() -> bool:
    capabilities: Mapping[str, object] = getattr(torch.cpu, "get_capabilities", dict)()  # not in every version
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def _depthwise(module: nn.Module) -> bool:
    return isinstance(module, nn.Conv2d) and 1 < module.groups == module.in_channels


def _single_precision(convolution: nn.Module) -> Callable[[Tensor], Tensor]:
    """Its forward pass in single precision, which gives bfloat16 on to what follows, as autocast would have."""
    own = convolution.forward

    def forward(images: Tensor) -> Tensor:
        with torch.autocast("cpu", enabled=False):
            out: Tensor = own(images.float())
        return out.bfloat16()

    return forward
