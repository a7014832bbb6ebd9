"""Latency on this machine's processor in plain torch, layer by layer, channels last."""

import copy
import time
from typing import TYPE_CHECKING, Any

from nas.extras import missing
from nas.measurements import Latency
from nas.metering import PLAIN, DeviceError, Options
from nas.metering.host import processor
from nas.metering.runtime import Prepared, measured
from nas.networks.architecture import Images

if TYPE_CHECKING:
    from torch import Tensor, nn

    import nas.devices.cpu_eager
    from nas.devices import Device

    _satisfied: Device = nas.devices.cpu_eager

TAKES = ("threads", "batch", "dtype")
DTYPES = ("float32", "bfloat16")


def available() -> str | None:
    """None where torch is installed. It is not imported."""
    return missing("device 'cpu_eager'", "workers", "torch")


def latency(network: "nn.Module", images: Images, options: Options = PLAIN) -> Latency:
    """Milliseconds for one batch. `network` stays as it is. Raises DeviceError."""
    reason = available()
    if reason:
        raise DeviceError(reason)
    import torch

    fingerprint = {"processor": processor(), "runtime": f"torch {torch.__version__}, eager"}
    return measured("cpu_eager", network, images, options, _prepared, fingerprint)


def _prepared(network: "nn.Module", image: "Tensor", options: Options) -> Prepared:
    return called(*converted(network, image, options))


def converted(network: "nn.Module", image: "Tensor", options: Options) -> tuple[Any, "Tensor"]:
    """A copy of the network, and the image, in the wanted precision and channels last."""
    import torch

    dtype = getattr(torch, options.dtype)
    duplicate: Any = copy.deepcopy(network)  # the layout's overload carries no types
    return duplicate.to(dtype=dtype, memory_format=torch.channels_last), image.to(
        dtype=dtype, memory_format=torch.channels_last
    )


def called(network: Any, image: "Tensor") -> Prepared:
    """`network` as a function of torch, run as it is."""
    import torch

    def answer() -> "Tensor":
        with torch.inference_mode():
            logits: Tensor = network(image)
        return logits

    def run() -> float:
        with torch.inference_mode():
            start = time.perf_counter_ns()
            network(image)
            return (time.perf_counter_ns() - start) / 1e6

    return Prepared(run=run, answer=answer)
