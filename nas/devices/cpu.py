"""Latency on this machine's processor: ONNX Runtime, one thread and one image at a time unless told otherwise.

The network is exported to ONNX with its normalisations folded into the convolutions, as it would be deployed, in single
precision or in 8 bits, and the runtime's answers are compared with torch's before any of its times is believed.
"""

from typing import TYPE_CHECKING

from nas.extras import missing
from nas.measurements import Latency
from nas.metering import PLAIN, DeviceError, Options, profile, runtime
from nas.metering.host import processor
from nas.metering.meter import Yardstick
from nas.metering.onnx import exported, running
from nas.metering.runtime import Prepared, measured
from nas.networks.architecture import Images
from nas.quantisation import INT8, of_dtype

if TYPE_CHECKING:
    from torch import Tensor, nn

    import nas.devices.cpu
    from nas.devices import Device

    _satisfied: Device = nas.devices.cpu

TAKES = ("threads", "batch", "dtype")
DTYPES = ("float32", *INT8)


def available() -> str | None:
    """None where torch and ONNX Runtime are installed; otherwise which is missing. Imports neither."""
    return missing("device 'cpu'", "workers", "torch", "onnxruntime")


def latency(network: "nn.Module", images: Images, options: Options = PLAIN) -> Latency:
    """Milliseconds for one batch. `network` stays as it is; no state of torch is changed.

    Raises DeviceError where ONNX Runtime is missing, or cannot run the network, or gives other answers than torch.
    """
    reason = available()
    if reason:
        raise DeviceError(reason)
    return measured("cpu", network, images, options, _prepared, _fingerprint())


def yardstick() -> Yardstick:
    """What latencies here are compared with. Raises DeviceError where ONNX Runtime is missing."""
    reason = available()
    if reason:
        raise DeviceError(reason)
    return runtime.yardstick("cpu", PLAIN, _prepared, _fingerprint())


def _fingerprint() -> dict[str, str]:
    import onnxruntime

    return {"processor": processor(), "runtime": f"onnxruntime {onnxruntime.__version__}"}


def _prepared(network: "nn.Module", image: "Tensor", options: Options) -> Prepared:
    import torch

    images = image.numpy()
    graph = of_dtype(exported(network, image), images, options.dtype)
    ready = running(graph, images, options.threads)
    return Prepared(
        run=ready.run,
        answer=lambda: torch.from_numpy(ready.answer()),
        shares=lambda: profile.shares(graph, images, options.threads),
    )
