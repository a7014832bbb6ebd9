"""Latency on this machine's processor: ONNX Runtime, one thread, one image at a time.

The network is exported to ONNX with its normalisations folded into the convolutions, as it would be deployed, and the
runtime's answers are compared with torch's before any of its times is believed.
"""

import copy
import io
import platform
import time
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.architecture import Images
from nas.devices import DeviceError
from nas.devices._meter import meter
from nas.records import Latency

if TYPE_CHECKING:
    from torch import Tensor, nn

    import nas.devices.cpu
    from nas.devices import Device

    _satisfied: Device = nas.devices.cpu

AGREEMENT = 1e-4  # largest difference between the runtime's and torch's logits, over the largest logit


def available() -> str | None:
    """None where torch and ONNX Runtime are installed; otherwise which is missing. Imports neither."""
    for package in ("torch", "onnxruntime"):
        if find_spec(package) is None:
            return f"device 'cpu' needs {package}, which is not installed: pip install {package}"
    return None


def latency(network: "nn.Module", images: Images) -> Latency:
    """Milliseconds for one image on one thread. `network` stays as it is; no state of torch is changed.

    Raises DeviceError where ONNX Runtime is missing, or cannot run the network, or gives other answers than torch.
    """
    reason = available()
    if reason:
        raise DeviceError(reason)
    import onnxruntime
    import torch

    network, image = _exercised(network, images)
    session = _session(_exported(network, image))
    feeds = {session.get_inputs()[0].name: image.numpy()}
    with torch.inference_mode():
        expected = network(image)
    _check(torch.from_numpy(session.run(None, feeds)[0]), expected)

    def run() -> float:
        start = time.perf_counter_ns()
        session.run(None, feeds)
        return (time.perf_counter_ns() - start) / 1e6

    times = meter(run)
    return Latency(
        device="cpu",
        median_ms=times.median_ms,
        p95_ms=times.p95_ms,
        minimum_ms=times.minimum_ms,
        spread=times.spread,
        runs=times.runs,
        fingerprint={
            "processor": _processor(),
            "machine": platform.machine(),
            "threads": "1",
            "runtime": f"onnxruntime {onnxruntime.__version__}",
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
    )


def _exercised(network: "nn.Module", images: Images) -> tuple["nn.Module", "Tensor"]:
    """A copy of the network as if it had been trained, and an image for it.

    Fresh normalisations do nothing, so a mistake in folding them would not show; and without them signals may grow or
    fade layer by layer until they leave the range in which processors are fast. So the copy is given random scales,
    shifts and statistics. They scatter about the statistics of the whole layer: a channel that hardly varies would
    otherwise be blown up, the rounding in it as well, and in a deep network little else than rounding would come out.
    """
    import torch
    from torch import nn

    draw = torch.Generator().manual_seed(0)  # the caller's own random numbers are left alone
    network = copy.deepcopy(network).to("cpu", torch.float32).eval()
    image = torch.randn(1, images.channels, images.resolution, images.resolution, generator=draw)
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
            network(image)
    for hook in hooks:
        hook.remove()
    return network, image


def _exported(network: "nn.Module", image: "Tensor") -> bytes:
    """The network in ONNX."""
    import torch

    file = io.BytesIO()
    try:
        with warnings.catch_warnings():
            # Its successor takes ten to twenty times as long for the same graph, and a search exports every candidate.
            warnings.filterwarnings("ignore", "You are using the legacy TorchScript-based", DeprecationWarning)
            warnings.filterwarnings("ignore", "The feature will be removed", DeprecationWarning)
            torch.onnx.export(network, (image,), file, dynamo=False)  # type: ignore[arg-type]  # this exporter takes a file
    except Exception as error:  # whatever it is, the network cannot be measured here
        raise DeviceError(f"the network cannot be exported to ONNX: {error}") from error
    return file.getvalue()


def _session(graph: bytes) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 3  # errors; they are raised as well
    try:
        return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise DeviceError(f"ONNX Runtime does not take the network: {error}") from error


def _check(found: "Tensor", expected: "Tensor") -> None:
    difference = float((found - expected).abs().max() / expected.abs().max())
    if not difference <= AGREEMENT:  # a NaN is not
        raise DeviceError(
            f"the exported network's answers differ from torch's by {difference:.1e} of the largest, "
            f"more than {AGREEMENT:g}: it is not the same network, so its latency is not taken"
        )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    table = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return table.get("model name") or platform.processor() or platform.machine()
