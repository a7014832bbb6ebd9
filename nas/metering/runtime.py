"""What devices share beside the meter: the network that is run, the check of a runtime's answers, and the record.

A device prepares a network for its runtime and gives a `Prepared`; the rest is done here, alike for all.
"""

import copy
import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from nas.metering import DeviceError, Options, best
from nas.metering.meter import WITHIN, Yardstick, meter
from nas.networks.architecture import Architecture, Images, Stage
from nas.records import Latency

if TYPE_CHECKING:
    from torch import Tensor, nn

# Largest difference between the runtime's and torch's logits, over the largest logit.
AGREEMENT = 1e-4
HALF_AGREEMENT = 0.1  # of eight or eleven bits of mantissa, through dozens of layers
YARDSTICK = Architecture(
    images=Images(resolution=32, channels=3, classes=10),
    stem=16,
    stem_stride=2,
    stages=(
        Stage(op="conv", kernel=3, stride=1, expand=1, channels=24, repeats=1),
        Stage(op="mbconv", kernel=3, stride=2, expand=3, channels=48, repeats=2),
    ),
    head=0,
)


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A network that a runtime is ready to run on an image: `run` does so once and returns the milliseconds that it
    took, `answer` gives the logits. Such times are to repeat `within` this much."""

    run: Callable[[], float]
    answer: Callable[[], "Tensor"]
    within: float = WITHIN


Prepare = Callable[["nn.Module", "Tensor", Options], Prepared]


def measured(
    name: str,
    network: "nn.Module",
    images: Images,
    options: Options,
    prepare: Prepare,
    fingerprint: dict[str, str],
    *,
    agreement: float = AGREEMENT,
) -> Latency:
    """The latency of `network` as `prepare` runs it, once its answers are found to be torch's.

    `network` stays as it is, and so do torch's settings and random numbers. Raises DeviceError.
    """
    import torch

    fingerprint = {
        "machine": platform.machine(),
        "threads": str(options.threads),
        "batch": str(options.batch),
        "dtype": options.dtype,
        "torch": torch.__version__,
        "python": platform.python_version(),
        **fingerprint,
    }
    with _threads(options.threads):
        ready = _checked(network, images, options, prepare, agreement)
        compared = _yardstick(prepare, options, agreement)
        compared.quiet_ms = min(compared.quiet_ms, best.known(fingerprint | {"device": name}))
        try:
            times = meter(ready.run, compared, ready.within)
        except DeviceError:
            raise
        except Exception as error:  # whatever a runtime raises when what it ran on is gone
            _yardstick.cache_clear()
            raise DeviceError(
                f"device {name!r} failed in the middle of the measurement, so there is no latency: {error}"
            ) from error
    if not times.noisy:
        best.keep(fingerprint | {"device": name}, compared.quiet_ms)
    return Latency(device=options.said(name), **vars(times), fingerprint=fingerprint)


def _checked(network: "nn.Module", images: Images, options: Options, prepare: Prepare, agreement: float) -> Prepared:
    import torch

    network, batch = exercised(network, images, options.batch)
    with torch.inference_mode():
        expected = network(batch)
        ready = prepare(network, batch, options)
        check(ready.answer(), expected, agreement if options.dtype == "float32" else HALF_AGREEMENT)
    return ready


@lru_cache(maxsize=4)
def _yardstick(prepare: Prepare, options: Options, agreement: float) -> Yardstick:
    """The yardstick, ready to be compared with in every measurement of this process."""
    return Yardstick(_checked(yardstick(), YARDSTICK.images, options, prepare, agreement).run)


def yardstick() -> "nn.Module":
    """The network that all others are compared with."""
    import torch

    from nas.networks.blocks import network

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return network(YARDSTICK)


def exercised(network: "nn.Module", images: Images, batch: int = 1) -> tuple["nn.Module", "Tensor"]:
    """A copy of the network as if it had been trained, and a batch of images for it.

    Fresh normalisations do nothing, so a mistake in folding them would not show; and without them signals may grow or
    fade layer by layer until they leave the range in which processors are fast. So the copy is given random scales,
    shifts and statistics. They scatter about the statistics of the whole layer: a channel that hardly varies would
    otherwise be blown up, the rounding in it as well, and in a deep network little else than rounding would come out.
    """
    import torch
    from torch import nn

    draw = torch.Generator().manual_seed(0)  # the caller's own random numbers are left alone
    network = copy.deepcopy(network).to("cpu", torch.float32).eval()
    image = torch.randn(batch, images.channels, images.resolution, images.resolution, generator=draw)
    kinds = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)

    def settle(norm: Any, entering: tuple["Tensor", ...]) -> None:
        scatter = torch.randn(norm.num_features, generator=draw)
        variance, mean = torch.var_mean(entering[0], correction=0)
        if variance > 0:
            norm.running_mean.copy_(mean + 0.25 * variance.sqrt() * scatter)
            norm.running_var.copy_(variance * (0.5 + torch.rand(norm.num_features, generator=draw)))

    hooks = []
    with torch.no_grad():
        for norm in (module for module in network.modules() if isinstance(module, kinds)):
            if norm.affine:
                norm.weight.uniform_(0.5, 1.5, generator=draw)
                norm.bias.uniform_(-0.5, 0.5, generator=draw)
            if norm.track_running_stats:
                hooks.append(norm.register_forward_pre_hook(settle))
        if hooks:
            network(image[:1])
    for hook in hooks:
        hook.remove()
    return network, image


def check(logits: "Tensor", expected: "Tensor", agreement: float = AGREEMENT) -> None:
    """Raise DeviceError unless a runtime's logits are torch's."""
    difference = float((logits.float() - expected).abs().max() / expected.abs().max())
    if not difference <= agreement:  # a NaN is not
        raise DeviceError(
            f"the runtime's answers differ from torch's by {difference:.1e} of the largest, "
            f"more than {agreement:g}: it is not the same network, so its latency is not taken"
        )


@contextmanager
def _threads(number: int) -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)
