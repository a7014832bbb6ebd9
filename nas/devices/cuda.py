"""Latency on the first visible NVIDIA GPU: torch, one image at a time, timed by CUDA events."""

import copy
import ctypes
import os
import platform
import runpy
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.architecture import Images
from nas.devices import DeviceError
from nas.devices._meter import meter
from nas.records import Latency

if TYPE_CHECKING:
    from torch import nn

    import nas.devices.cuda
    from nas.devices import Device

    _satisfied: Device = nas.devices.cuda


def available() -> str | None:
    """None where there is a GPU, its driver and a torch for it; otherwise what is missing.

    Torch is not imported and CUDA not initialised, so a process that calls this may fork.
    """
    found = find_spec("torch")
    if found is None or found.origin is None:
        return "device 'cuda' needs torch, which is not installed: pip install torch"
    if runpy.run_path(str(Path(found.origin).with_name("version.py")))["cuda"] is None:
        return "device 'cuda' needs a torch built for CUDA, and this one is not: see https://pytorch.org/get-started"
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None and visible.strip() in ("", "-1"):
        return f"device 'cuda' has no GPU because CUDA_VISIBLE_DEVICES is {visible!r}: unset it"
    try:
        driver = ctypes.CDLL("libnvidia-ml.so.1")
    except OSError:
        return "device 'cuda' needs an NVIDIA GPU and its driver, and no libnvidia-ml.so.1 is here: install the driver"
    if status := driver.nvmlInit_v2():
        return f"device 'cuda' needs the NVIDIA driver, which does not start (NVML error {status}): see nvidia-smi"
    try:
        count = ctypes.c_uint(0)
        driver.nvmlDeviceGetCount_v2(ctypes.byref(count))
    finally:
        driver.nvmlShutdown()
    return None if count.value else "device 'cuda' needs an NVIDIA GPU, and the driver finds none: see nvidia-smi"


def latency(network: "nn.Module", images: Images) -> Latency:
    """Milliseconds for one image in single precision, channels last. `network` stays as it is.

    Steps of training that this host's processes have queued on the GPU drain during the warm-up, since no new ones are
    begun. Raises DeviceError where there is no GPU or it cannot run the network.
    """
    reason = available()
    if reason:
        raise DeviceError(reason)
    import torch

    cuda: Any = torch.cuda  # events carry no types
    if not cuda.is_available():
        raise DeviceError("device 'cuda' has a GPU and a driver, but torch cannot use them: run nvidia-smi")
    draw = torch.Generator().manual_seed(0)  # the caller's own random numbers are left alone
    image: Any = torch.randn(1, images.channels, images.resolution, images.resolution, generator=draw)
    copied: Any = copy.deepcopy(network).eval()
    try:
        with cuda.device(0), torch.inference_mode():
            image = image.to("cuda", memory_format=torch.channels_last)
            copied = copied.to("cuda", torch.float32, memory_format=torch.channels_last)
            begin, end = cuda.Event(enable_timing=True), cuda.Event(enable_timing=True)
            cuda.synchronize()

            def run() -> float:
                begin.record()
                copied(image)
                end.record()
                end.synchronize()
                return float(begin.elapsed_time(end))

            times = meter(run)
    except DeviceError:
        raise
    except torch.OutOfMemoryError as error:
        raise DeviceError(f"the GPU's memory is full, so latency was not measured: {error}") from error
    except RuntimeError as error:
        raise DeviceError(f"the GPU cannot run the network: {error}") from error
    cudnn: Any = torch.backends.cudnn
    return Latency(
        device="cuda",
        median_ms=times.median_ms,
        p95_ms=times.p95_ms,
        minimum_ms=times.minimum_ms,
        spread=times.spread,
        runs=times.runs,
        fingerprint={
            "processor": cuda.get_device_name(0),
            "machine": platform.machine(),
            "driver": _driver(),
            "runtime": f"CUDA {torch.version.cuda}, cuDNN {cudnn.version()}",
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
    )


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
