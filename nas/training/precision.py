"""Which convolutions train in bfloat16: tried out on each kind of device once and kept, so that the same training on
the same machine is the same training.

A processor with instructions for bfloat16 gains on dense convolutions. On depthwise ones it depends on which its
library knows: 3×3 may take a third of the time and 3×3 with stride 2 ten times as long. GPUs differ by generation.
"""

import functools
import hashlib
import json
import logging
import math
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, TypeGuard

import torch
from torch import Tensor, nn

from nas import home
from nas.codec import decode, encode
from nas.metering import quiet
from nas.training import TrainingFailed

WORTH = 1.2  # so many times as fast bfloat16 has to be
# The fastest of so many rounds counts, and of as many as fit into the time: all else a machine does can only add to it.
ROUNDS, SECONDS = 5, 0.15
# Images, channels and pixels a side: some milliseconds of work.
SHAPES = {"cpu": (16, 72, 14), "cuda": (256, 72, 56)}
DEPTHWISE = tuple((kernel, stride) for kernel in (3, 5) for stride in (1, 2))

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Precision:
    """Whether dense convolutions train in bfloat16, and those depthwise (kernel, stride) that do; all else trains in
    single precision."""

    dense: bool
    depthwise: tuple[tuple[int, int], ...]


@functools.cache
def precision(device: torch.device) -> Precision:
    """What pays on `device`, from `home` where it has been tried before; trying takes a second, in which training on
    this host pauses."""
    path = home.folder("probes") / f"{_fingerprint(device)}.json"
    if kept := _kept(path):
        return kept
    try:
        with quiet.measuring():
            if kept := _kept(path):  # another process has tried meanwhile
                return kept
            result = probe(device)
    except quiet.NotQuiet as error:
        raise TrainingFailed(f"which precision pays on this machine could not be tried out: {error}") from error
    log.info("%s trains in bfloat16: dense convolutions %s, depthwise %s", device, result.dense, result.depthwise)
    try:
        home.write(path, json.dumps(encode(result)).encode())
    except OSError as error:
        log.warning("which precision pays on this machine cannot be kept: %s", error)
    return result


def _kept(path: Path) -> Precision | None:
    try:
        return decode(Precision, json.loads(path.read_text()))
    except (OSError, ValueError):  # not there, or damaged
        return None


def probe(device: torch.device) -> Precision:
    """Time each kind of convolution, forward and back, in both precisions; about a second."""
    images, channels, pixels = SHAPES[device.type]
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        features = _ready(torch.randn(images, channels, pixels, pixels), device)
        dense = _ready(nn.Sequential(_convolution(channels, 3), _convolution(channels, 1)), device)
        depthwise = [_ready(_convolution(channels, *kind, groups=channels), device) for kind in DEPTHWISE]
    half = features.bfloat16()
    # A depthwise convolution lies between layers in bfloat16, whichever it is in itself.
    pairs = [((dense, features), (_autocast(dense), half))]
    pairs += [((_autocast(_single_precision(one)), half), (_autocast(one), half)) for one in depthwise]
    gains = [_gains(*pair, device) for pair in pairs]
    return Precision(dense=gains[0], depthwise=tuple(kind for kind, gain in zip(DEPTHWISE, gains[1:]) if gain))


@contextmanager
def reduced(
    network: nn.Module, device: torch.device, how: Precision | None = None
) -> Iterator[AbstractContextManager[object]]:
    """What a forward pass of `network` in training runs under: bfloat16 for what gains by it on `device`."""
    how = precision(device) if how is None else how
    if not how.dense:
        yield nullcontext()
        return
    single = [module for module in network.modules() if _depthwise(module) and _kind(module) not in how.depthwise]
    for module in single:
        module.forward = _single_precision(module)  # type: ignore[assignment, method-assign]
    try:
        yield torch.autocast(device.type, torch.bfloat16)
    finally:
        for module in single:
            del module.forward


Work: TypeAlias = tuple[Callable[[Tensor], Tensor], Tensor]


def _gains(single: Work, half: Work, device: torch.device) -> bool:
    """Whether the second is that much faster. They take turns, so that what disturbs one disturbs both; of a processor
    only this process's time counts, as others may keep it waiting."""
    clock = time.perf_counter if device.type == "cuda" else time.process_time
    fastest = [math.inf, math.inf]
    rounds, start = 0, clock()
    while rounds < ROUNDS or clock() - start < SECONDS:
        rounds += 1
        for index, (layers, features) in enumerate((single, half)):
            entering = features.detach().requires_grad_()
            begun = clock()
            leaving = layers(entering)
            torch.autograd.backward(leaving, torch.ones_like(leaving))
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            fastest[index] = min(fastest[index], clock() - begun)
    return fastest[0] > WORTH * fastest[1]


def _convolution(channels: int, kernel: int, stride: int = 1, *, groups: int = 1) -> nn.Conv2d:
    return nn.Conv2d(channels, channels, kernel, stride, kernel // 2, groups=groups, bias=False)


def _ready(what: Any, device: torch.device) -> Any:
    return what.to(device, memory_format=torch.channels_last)


def _autocast(layers: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    def forward(entering: Tensor) -> Tensor:
        with torch.autocast(entering.device.type, torch.bfloat16):
            return layers(entering)

    return forward


def _fingerprint(device: torch.device) -> str:
    """A digest of what the answer depends on."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else _processor()
    return hashlib.sha256(f"{device.type} {name} {torch.__version__}".encode()).hexdigest()[:12]


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:  # not Linux
        return platform.processor()
    return next((line for line in lines if line.startswith("flags")), platform.machine())


def _depthwise(module: nn.Module) -> TypeGuard[nn.Conv2d]:
    return isinstance(module, nn.Conv2d) and 1 < module.groups == module.in_channels


def _kind(convolution: nn.Conv2d) -> tuple[int, int] | None:
    """Kernel and stride; None for one that is not as it is tried."""
    kernel, stride = convolution.kernel_size, convolution.stride
    plain = kernel[0] == kernel[1] and stride[0] == stride[1] and convolution.dilation == (1, 1)
    return (kernel[0], stride[0]) if plain else None


def _single_precision(convolution: nn.Module) -> Callable[[Tensor], Tensor]:
    """Its forward pass in single precision, which gives bfloat16 on to what follows, as autocast would have."""
    own = convolution.forward

    def forward(images: Tensor) -> Tensor:
        with torch.autocast(images.device.type, enabled=False):
            out: Tensor = own(images.float())
        return out.bfloat16()

    return forward
