"""Latency on this machine's processor in torch.compile's code (TorchInductor), which a C++ compiler has to build."""

import shutil
import sysconfig
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from nas import settings
from nas.devices.cpu_eager import called, converted
from nas.extras import missing
from nas.measurements import Latency
from nas.metering import PLAIN, DeviceError, Options
from nas.metering.host import processor
from nas.metering.runtime import Prepared, measured
from nas.networks.architecture import Images

if TYPE_CHECKING:
    from torch import Tensor, nn

    import nas.devices.cpu_compile
    from nas.devices import Device

    _satisfied: Device = nas.devices.cpu_compile

TAKES = ("threads", "batch", "dtype")
DTYPES = ("float32", "bfloat16")


def available() -> str | None:
    """None where torch, a C++ compiler and Python's headers are; otherwise which is missing."""
    if reason := missing("device 'cpu_compile'", "workers", "torch"):
        return reason
    compiler = settings.COMPILER.value
    if shutil.which(compiler) is None:
        return f"device 'cpu_compile' needs a C++ compiler, and there is no {compiler}: install g++, or name one in CXX"
    headers = Path(sysconfig.get_path("include"), "Python.h")
    if not headers.exists():
        return f"device 'cpu_compile' needs Python's headers, and there is no {headers}: install python3-dev"
    return None


def latency(network: "nn.Module", images: Images, options: Options = PLAIN) -> Latency:
    """Milliseconds for one batch; compiling takes some seconds before. `network` stays as it is. Raises DeviceError."""
    reason = available()
    if reason:
        raise DeviceError(reason)
    import torch

    fingerprint = {"processor": processor(), "runtime": f"torch {torch.__version__}, compiled"}
    return measured("cpu_compile", network, images, options, _prepared, fingerprint)


def _prepared(network: "nn.Module", image: "Tensor", options: Options) -> Prepared:
    network, image = converted(network, image, options)
    return compiled(network, image)


def compiled(network: "nn.Module", image: "Tensor") -> Prepared:
    """`network` in code that was made for it and this image. Raises DeviceError where that fails."""
    import torch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the compiler's remarks on its own parts
            # A graph of its own for every network: torch gives up, silently, on compiling one function many times.
            graph = torch.export.export(network, (image,), strict=False).module()
            ready = called(torch.compile(graph, fullgraph=True, dynamic=False, options={"compile_threads": 1}), image)
            ready.answer()
    except Exception as error:  # whatever it is, the network cannot be measured here
        raise DeviceError(f"torch.compile does not take the network: {str(error).strip()[:500]}") from error
    return ready
