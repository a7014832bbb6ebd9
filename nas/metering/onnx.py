"""Networks in ONNX, with their normalisations folded into the convolutions as they would be deployed, and ONNX Runtime
to run them."""

import io
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nas.metering import DeviceError

if TYPE_CHECKING:
    from numpy import ndarray
    from torch import Tensor, nn


INPUT = "images"  # what a network in ONNX is given


@dataclass(frozen=True, kw_only=True)
class Running:
    """A network that ONNX Runtime is ready to run: `run` gives the milliseconds that it took, `answer` the logits."""

    run: Callable[[], float]
    answer: Callable[[], "ndarray"]


def exported(network: "nn.Module", image: "Tensor", *, any_number: bool = False) -> bytes:
    """The network in ONNX, for as many images as `image` has, or for `any_number`. Raises DeviceError where ONNX has no
    words for it."""
    import torch

    file = io.BytesIO()
    try:
        with warnings.catch_warnings():
            # Its successor takes ten to twenty times as long for the same graph, and a search exports every candidate.
            warnings.filterwarnings("ignore", "You are using the legacy TorchScript-based", DeprecationWarning)
            warnings.filterwarnings("ignore", "The feature will be removed", DeprecationWarning)
            # Of TensorFlow's borders, which it works out at run time then.
            warnings.filterwarnings("ignore", "Constant folding - Only steps=1", UserWarning)
            names = {"input_names": [INPUT], "output_names": ["logits"]}
            axes = {name: {0: "number"} for name in (INPUT, "logits")} if any_number else None
            torch.onnx.export(network, (image,), file, dynamo=False, dynamic_axes=axes, **names)  # type: ignore[arg-type]  # this exporter takes a file
    except Exception as error:  # whatever it is, the network cannot be measured here
        raise DeviceError(f"the network cannot be exported to ONNX: {error}") from error
    return file.getvalue()


def running(graph: bytes, images: "ndarray", threads: int) -> Running:
    """The network `graph` on a batch of images, on so many threads of the processor. Raises DeviceError where the
    runtime does not take it."""
    opened = session(graph, threads)
    feeds = {opened.get_inputs()[0].name: images}

    def run() -> float:
        start = time.perf_counter_ns()
        opened.run(None, feeds)
        return (time.perf_counter_ns() - start) / 1e6

    return Running(run=run, answer=lambda: opened.run(None, feeds)[0])


def session(graph: bytes, threads: int, *, record: str | None = None) -> Any:
    """The network `graph` in ONNX Runtime, which keeps what each operation takes in a file whose name begins with
    `record`, if that is given. Raises DeviceError where it does not take the network."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 3  # errors; they are raised as well
    if record is not None:
        options.enable_profiling, options.profile_file_prefix = True, record
    try:
        return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise DeviceError(f"ONNX Runtime does not take the network: {error}") from error
