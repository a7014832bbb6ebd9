"""Latency on this machine's processor in OpenVINO, where it is installed: pip install 'nas-service[openvino]'."""

import io
import time
from typing import TYPE_CHECKING

from nas.extras import missing
from nas.measurements import Latency
from nas.metering import PLAIN, DeviceError, Options
from nas.metering.host import processor
from nas.metering.onnx import exported
from nas.metering.runtime import Prepared, measured
from nas.networks.architecture import Images

if TYPE_CHECKING:
    from torch import Tensor, nn

    import nas.devices.openvino
    from nas.devices import Device

    _satisfied: Device = nas.devices.openvino

TAKES = ("threads", "batch", "dtype")
DTYPES = ("float32", "bfloat16")


def available() -> str | None:
    """None where torch and OpenVINO are installed; otherwise which is missing. Imports neither."""
    return missing("device 'openvino'", "workers", "torch") or missing("device 'openvino'", "openvino", "openvino")


def latency(network: "nn.Module", images: Images, options: Options = PLAIN) -> Latency:
    """Milliseconds for one batch, by OpenVINO's hint for latency. `network` stays as it is. Raises DeviceError."""
    reason = available()
    if reason:
        raise DeviceError(reason)
    import openvino

    fingerprint = {"processor": processor(), "runtime": f"openvino {openvino.__version__}"}
    return measured("openvino", network, images, options, _prepared, fingerprint)


def _prepared(network: "nn.Module", image: "Tensor", options: Options) -> Prepared:
    import openvino
    import torch

    settings = {
        "INFERENCE_NUM_THREADS": options.threads,
        "INFERENCE_PRECISION_HINT": {"float32": "f32", "bfloat16": "bf16"}[options.dtype],
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
    }
    try:
        core = openvino.Core()
        model = core.read_model(io.BytesIO(exported(network, image)))
        request = core.compile_model(model, "CPU", settings).create_infer_request()
        request.set_input_tensor(openvino.Tensor(image.numpy()))
        request.infer()
    except DeviceError:
        raise
    except Exception as error:
        raise DeviceError(f"OpenVINO does not take the network: {error}") from error

    def run() -> float:
        start = time.perf_counter_ns()
        request.infer()
        return (time.perf_counter_ns() - start) / 1e6

    return Prepared(run=run, answer=lambda: torch.from_numpy(request.get_output_tensor().data.copy()))
