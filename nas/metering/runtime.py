"""What devices share beside the meter: the networks that are run, the check of a runtime's answers, and the record.

A device prepares a network for its runtime and gives a `Prepared`; the rest is done here, alike for all.
"""

import copy
import dataclasses
import hashlib
import logging
import math
import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from nas.measurements import Latency
from nas.metering import DeviceError, Options, history
from nas.metering.meter import Yardstick, meter
from nas.metering.ratio import following
from nas.networks.architecture import Architecture, Images, Stage

if TYPE_CHECKING:
    from torch import Tensor, nn

# Largest difference between the runtime's and torch's logits, over the largest logit.
AGREEMENT = 1e-4
HALF_AGREEMENT = 0.1  # of eight or eleven bits of mantissa, through dozens of layers
INT8_AGREEMENT = 0.3  # of values that are whole numbers up to 255, likewise
SLOWER = 1.05  # times what the yardstick took at best: so much is worth a warning
# Dense, depthwise and bound by memory: what slows a host slows each of them otherwise. Their mean is followed best by
# networks that are some of each.
YARDSTICKS = (
    Architecture(
        images=Images(resolution=32, channels=3, classes=10),
        stem=16,
        stem_stride=2,
        stages=(
            Stage(op="conv", kernel=3, stride=1, expand=1, channels=32, repeats=2),
            Stage(op="conv", kernel=3, stride=2, expand=1, channels=64, repeats=1),
        ),
        head=0,
    ),
    Architecture(
        images=Images(resolution=32, channels=3, classes=10),
        stem=16,
        stem_stride=2,
        stages=(
            Stage(op="mbconv", kernel=5, stride=1, expand=6, channels=16, repeats=1),
            Stage(op="mbconv", kernel=3, stride=2, expand=6, channels=24, repeats=2),
        ),
        head=0,
    ),
    Architecture(
        images=Images(resolution=128, channels=3, classes=10),
        stem=16,
        stem_stride=2,
        stages=(Stage(op="mbconv", kernel=3, stride=1, expand=4, channels=8, repeats=1),),
        head=0,
    ),
)

log = logging.getLogger(__name__)
_warned: set[str] = set()  # devices that were measured on in this process


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A network that a runtime is ready to run on an image: `run` does so once and returns the milliseconds that it
    took, `answer` gives the logits, `shares` what each part has of its time, where that can be told."""

    run: Callable[[], float]
    answer: Callable[[], "Tensor"]
    shares: Callable[[], tuple[float, ...] | None] = lambda: None


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
    fingerprint = _whole(fingerprint, options)
    with _threads(options.threads):
        ready = _checked(network, images, options, prepare, agreement)
        compared = yardstick(name, options, prepare, fingerprint, agreement=agreement)
        try:
            times = meter(ready.run, compared)
            shares = ready.shares()
        except DeviceError:
            raise
        except Exception as error:  # whatever a runtime raises when what it ran on is gone
            _yardstick.cache_clear()
            raise DeviceError(
                f"device {name!r} failed in the middle of the measurement, so there is no latency: {error}"
            ) from error
    said = Latency(device=options.said(name), **vars(times), shares=shares, fingerprint=fingerprint)
    return on_record(dataclasses.replace(said, yardstick=named(len(compared.runs))))


def on_record(latency: Latency) -> Latency:
    """`latency` as told by the best that its yardstick ever was on that machine; what the yardstick took now is kept.
    What its first measurement in this process shows of a machine that has become slower is a warning."""
    own = history.way(latency)
    assert own is not None
    assert latency.ratio is not None
    assert latency.yardstick_ms is not None
    before_ms, now_ms = history.known(own), latency.yardstick_ms * (latency.slowdown or 1.0)
    history.keep(own, now_ms)
    quiet_ms = min(before_ms, latency.yardstick_ms)
    slowdown = now_ms / quiet_ms
    error = latency.error
    if quiet_ms < latency.yardstick_ms:  # whoever measured did not know it
        error = math.hypot(error, following(slowdown))
    median_ms = latency.ratio * quiet_ms
    if latency.device not in _warned and slowdown > SLOWER:
        log.warning(
            "device %s: its machine takes %.2f times as long as it did at best; latencies are told as at its best, and "
            "err more (nas devices --check says what may help)",
            latency.device,
            slowdown,
        )
    _warned.add(latency.device)
    return dataclasses.replace(
        latency, median_ms=median_ms, error_ms=median_ms * error, yardstick_ms=quiet_ms, slowdown=slowdown
    )


def yardstick(
    name: str, options: Options, prepare: Prepare, fingerprint: dict[str, str], *, agreement: float = AGREEMENT
) -> Yardstick:
    """The yardstick as `prepare` runs it, and what is known of it on this machine. Raises DeviceError."""
    compared = _yardstick(prepare, options, agreement)
    own = history.ran(_whole(fingerprint, options), options.said(name), named(len(compared.runs)))
    known = history.known(own)  # which starts anew where a machine never comes back to its best
    compared.quiet_ms = known if math.isfinite(known) else compared.quiet_ms
    return compared


def _whole(fingerprint: dict[str, str], options: Options) -> dict[str, str]:
    import torch

    return {
        "machine": platform.machine(),
        "threads": str(options.threads),
        "batch": str(options.batch),
        "dtype": options.dtype,
        "torch": torch.__version__,
        "python": platform.python_version(),
        **fingerprint,
    }


def _checked(network: "nn.Module", images: Images, options: Options, prepare: Prepare, agreement: float) -> Prepared:
    import torch

    network, batch = exercised(network, images, options.batch)
    with torch.inference_mode():
        expected = network(batch)
        ready = prepare(network, batch, options)
        check(ready.answer(), expected, agreed(options.dtype, agreement))
    return ready


@lru_cache(maxsize=4)
def _yardstick(prepare: Prepare, options: Options, agreement: float) -> Yardstick:
    """The yardstick, ready to be compared with in every measurement of this process. Of its networks those count that
    the runtime takes. Raises DeviceError where that is none."""
    runs, refused = [], []
    for architecture, network in zip(YARDSTICKS, yardsticks()):
        try:
            runs.append(_checked(network, architecture.images, options, prepare, agreement).run)
        except DeviceError as error:
            refused.append(str(error))
    if not runs:
        raise DeviceError(f"no network of the yardstick runs there, so there is nothing to compare with: {refused[0]}")
    for text in refused:
        log.warning("a network of the yardstick is left out on this runtime: %s", text)
    return Yardstick(*runs)


def yardsticks() -> list["nn.Module"]:
    """The networks that all others are compared with."""
    import torch

    from nas.networks.blocks import network

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return [network(architecture) for architecture in YARDSTICKS]


def named(networks: int = len(YARDSTICKS)) -> str:
    """The yardstick, where so many of its networks run."""
    return f"{networks} of {digest()}"


@lru_cache(maxsize=1)
def digest() -> str:
    """Of what the yardstick is: with another one times do not compare."""
    return hashlib.sha256("".join(each.digest() for each in YARDSTICKS).encode()).hexdigest()[:8]


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


def agreed(dtype: str, agreement: float = AGREEMENT) -> float:
    """The difference from torch's logits that is left to a runtime in that precision; `agreement` in single."""
    if dtype == "float32":
        return agreement
    return INT8_AGREEMENT if dtype.startswith("int8") else HALF_AGREEMENT


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
