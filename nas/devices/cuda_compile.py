"""Latency on the first visible NVIDIA GPU in torch.compile's code (TorchInductor, Triton)."""

from importlib.util import find_spec
from typing import TYPE_CHECKING

from nas.devices import cuda
from nas.devices.cpu_compile import compiled
from nas.measurements import Latency
from nas.metering import PLAIN, Options
from nas.metering.runtime import Prepared
from nas.networks.architecture import Images

if TYPE_CHECKING:
    from torch import Tensor, nn

    import nas.devices.cuda_compile
    from nas.devices import Device

    _satisfied: Device = nas.devices.cuda_compile

TAKES = cuda.TAKES
DTYPES = cuda.DTYPES


def available() -> str | None:
    """As of device "cuda", and Triton has to be installed."""
    reason = cuda.available("cuda_compile")
    if reason is None and find_spec("triton") is None:
        return "device 'cuda_compile' needs triton, which is not installed: pip install triton"
    return reason


def latency(network: "nn.Module", images: Images, options: Options = PLAIN) -> Latency:
    """Milliseconds for one batch; compiling takes some seconds before. `network` stays as it is. Raises DeviceError."""
    return cuda.on_gpu("cuda_compile", "compiled", network, images, options, _prepared)


def _prepared(network: "nn.Module", image: "Tensor", options: Options) -> Prepared:
    return cuda.timed(compiled(*cuda.on_device(network, image, options)).answer)
