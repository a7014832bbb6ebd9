"""Latency on the first visible NVIDIA GPU: torch layer by layer, timed by CUDA events."""

import ctypes
import runpy
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas import settings
from nas.devices.cpu_eager import converted
from nas.measurements import Latency
from nas.metering import PLAIN, DeviceError, Options
from nas.metering.runtime import Prepare, Prepared, measured
from nas.networks.architecture import Images

if TYPE_CHECKING:
    from torch import Tensor, nn

    import nas.devices.cuda
    from nas.devices import Device

    _satisfied: Device = nas.devices.cuda

TAKES = ("batch", "dtype")
DTYPES = ("float32", "float16", "bfloat16")
AGREEMENT = 1e-2  # cuDNN convolves single precision in TF32, which has ten bits of mantissa


def available(name: str = "cuda") -> str | None:
    """None where there is a GPU, its driver and a torch for it; otherwise what is missing.

    Torch is not imported and CUDA not initialised, so a process that calls this may fork.
    """
    spec = find_spec("torch")
    if spec is None or spec.origin is None:
        return f"device {name!r} needs torch: pip install 'nas-service[workers]'"
    if runpy.run_path(str(Path(spec.origin).with_name("version.py")))["cuda"] is None:
        return f"device {name!r} needs a torch built for CUDA, and this one is not: see https://pytorch.org/get-started"
    visible = settings.GPUS.given
    if visible is not None and visible.strip() in ("", "-1"):
        return f"device {name!r} has no GPU because CUDA_VISIBLE_DEVICES is {visible!r}: unset it"
    try:
        driver = ctypes.CDLL("libnvidia-ml.so.1")
    except OSError:
        return (
            f"device {name!r} needs an NVIDIA GPU and its driver, and no libnvidia-ml.so.1 is here: install the driver"
        )
    if status := driver.nvmlInit_v2():
        return f"device {name!r} needs the NVIDIA driver, which does not start (NVML error {status}): see nvidia-smi"
    try:
        count = ctypes.c_uint(0)
        driver.nvmlDeviceGetCount_v2(ctypes.byref(count))
    finally:
        driver.nvmlShutdown()
    return None if count.value else f"device {name!r} needs an NVIDIA GPU, and the driver finds none: see nvidia-smi"


def latency(network: "nn.Module", images: Images, options: Options = PLAIN) -> Latency:
    """Milliseconds for one batch, channels last. `network` stays as it is.

    Steps of training that this host's processes have queued on the GPU drain during the warm-up, since no new ones are
    begun. Raises DeviceError where there is no GPU or it cannot run the network.
    """
    return on_gpu("cuda", "eager", network, images, options, _prepared)


def on_gpu(name: str, how: str, network: "nn.Module", images: Images, options: Options, prepare: Prepare) -> Latency:
    """What `measured` gives, for a device `name` of the first visible GPU; `how` says how torch runs the network."""
    reason = available(name)
    if reason:
        raise DeviceError(reason)
    import torch

    cuda: Any = torch.cuda  # events carry no types
    if not cuda.is_available():
        raise DeviceError(f"device {name!r} has a GPU and a driver, but torch cannot use them: run nvidia-smi")
    cudnn: Any = torch.backends.cudnn
    fingerprint = {
        "processor": cuda.get_device_name(0),
        "driver": _driver(),
        "runtime": f"CUDA {torch.version.cuda}, cuDNN {cudnn.version()}, {how}",
    }
    try:
        with cuda.device(0):
            return measured(name, network, images, options, prepare, fingerprint, agreement=AGREEMENT)
    except torch.OutOfMemoryError as error:
        raise DeviceError(f"the GPU's memory is full, so latency was not measured: {error}") from error
    except RuntimeError as error:
        if isinstance(error, DeviceError):
            raise
        raise DeviceError(f"the GPU cannot run the network: {error}") from error


def _prepared(network: "nn.Module", image: "Tensor", options: Options) -> Prepared:
    network, image = on_device(network, image, options)
    return timed(lambda: network(image))


def on_device(network: "nn.Module", image: "Tensor", options: Options) -> tuple[Any, "Tensor"]:
    """A copy of the network, and the image, on the GPU."""
    network, image = converted(network, image, options)
    return network.to("cuda"), image.to("cuda")


def timed(call: Callable[[], "Tensor"], stream: Any = None) -> Prepared:
    """`call` queues an inference on the GPU, in `stream` if it is not the current one; the time is the GPU's own, from
    its begin to its end."""
    import torch

    cuda: Any = torch.cuda
    begin, end = cuda.Event(enable_timing=True), cuda.Event(enable_timing=True)

    def run() -> float:
        with torch.inference_mode(), cuda.stream(stream):
            begin.record()
            call()
            end.record()
        end.synchronize()
        return float(begin.elapsed_time(end))

    def answer() -> "Tensor":
        with torch.inference_mode(), cuda.stream(stream):
            return call().cpu()

    return Prepared(run=run, answer=answer)


def _driver() -> str:
    """The driver's version, such as "550.54.15"."""
    library = ctypes.CDLL("libnvidia-ml.so.1")
    text = ctypes.create_string_buffer(80)
    library.nvmlInit_v2()
    try:
        library.nvmlSystemGetDriverVersion(text, len(text))
    finally:
        library.nvmlShutdown()
    return text.value.decode()
