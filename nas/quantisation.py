"""Networks of 8 bits: what a trained network becomes after its training, by ONNX Runtime's own tools.

Activations are unsigned, weights signed. Those have 7 bits: processors without VNNI add two products in 16 bits, which
two of 8 bits overflow without a word, so that the network would be another one there.
"""

import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas import extras
from nas.answers import Answers, packed
from nas.metering import DeviceError
from nas.metering.onnx import INPUT, exported, session
from nas.noise import Estimate, tied

if TYPE_CHECKING:
    from numpy import ndarray
    from torch import nn

    from nas.datasets import ImageSet
    from nas.training.data import Indices, View

INT8 = ("int8", "int8_per_channel")  # what devices call them
PACKAGES = ("onnx", "onnxruntime")
CALIBRATED = 512  # images that show which values there are; more show little else
COMPARED = 1024  # others, on which per tensor and per channel are compared
FEWEST = 32  # images for either, of which something can be said
BATCH = 64  # images that all layers' values are held of at once


@dataclass(frozen=True, kw_only=True)
class Quantised:
    """A network of 8 bits in ONNX, for any number of images; its weights share a scale by the layer, or by the
    channel."""

    graph: bytes
    per_channel: bool

    @property
    def dtype(self) -> str:
        """What devices call it."""
        return INT8[self.per_channel]


def of_dtype(graph: bytes, images: "ndarray", dtype: str) -> bytes:
    """The network `graph` in the precision that a device calls `dtype`; the ranges are those that a batch of images
    has, which is all the same to its latency. Raises DeviceError."""
    return quantised(graph, [images], per_channel=dtype == INT8[1]) if dtype in INT8 else graph


def quantised(graph: bytes, batches: Iterable["ndarray"], *, per_channel: bool = False) -> bytes:
    """The network `graph` in 8 bits, with the ranges that its values have on `batches` of images. The same give the
    same. Raises DeviceError for a network of which nothing can be quantised."""
    if reason := extras.missing("quantising a network", "workers", *PACKAGES):
        raise DeviceError(reason)
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quant_pre_process, quantize_static

    class Reader(CalibrationDataReader):  # type: ignore[misc]  # it has no types
        def __init__(self) -> None:
            self._batches = iter(batches)

        def get_next(self) -> Any:
            batch = next(self._batches, None)
            return None if batch is None else {INPUT: batch}

    try:
        with tempfile.TemporaryDirectory() as folder:
            whole, before, after = (Path(folder) / f"{name}.onnx" for name in ("whole", "before", "after"))
            whole.write_bytes(graph)
            quant_pre_process(whole, before, skip_symbolic_shape=True)  # nothing in it has a size that is unknown
            quantize_static(
                before,
                after,
                Reader(),
                per_channel=per_channel,
                reduce_range=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                extra_options={"OpTypesToExcludeOutputQuantization": ["Gemm"]},  # or logits would be equal by hundreds
            )
            found = onnx.load(after)
    except Exception as error:  # whatever it is, there is no such network
        raise DeviceError(f"the network cannot be quantised: {error}") from error
    if not any(node.op_type == "QuantizeLinear" for node in found.graph.node):
        kinds = ", ".join(sorted({node.op_type for node in found.graph.node}))
        raise DeviceError(f"the network cannot be quantised: none of its operations ({kinds}) is known in 8 bits")
    _rename(found.graph)
    data: bytes = found.SerializeToString(deterministic=True)
    return data


def _rename(graph: Any) -> None:
    """Numbers for names, which are a tenth of the bytes of a small network."""
    names = {each.name: each.name for each in (*graph.input, *graph.output)} | {"": ""}  # the last: left out
    del graph.value_info[:]
    for node in graph.node:
        node.name = ""
        for ends in (node.input, node.output):
            ends[:] = [names.setdefault(name, str(len(names))) for name in ends]
    for tensor in graph.initializer:
        tensor.name = names.setdefault(tensor.name, str(len(names)))


def missing() -> str | None:
    """Why there would be no 8 bits here after hours of training; None where there are."""
    return extras.missing("precision 'int8'", "workers", *PACKAGES)


def after_training(network: "nn.Module", images: "ImageSet", training: "Indices", view: "View") -> Quantised:
    """The trained network in 8 bits: calibrated on some of the images that it learnt from, which are those at the
    indices `training`, and per tensor, which is the faster, unless it is better per channel on others of them by more
    than chance.

    `network` is on the processor, as `view` is. Raises DeviceError.
    """
    import numpy as np

    from nas.training.data import tensor

    half = len(training) // 2
    if half < FEWEST:
        raise DeviceError(
            f"dataset {images.info.name!r} leaves {len(training)} training images, and 8 bits ask for {2 * FEWEST}: "
            "half to calibrate on, half to compare on"
        )

    def shown(some: "Indices") -> list["ndarray"]:
        parts = [some[start : start + BATCH] for start in range(0, len(some), BATCH)]
        return [view(tensor(images.train_images[part])).contiguous().numpy() for part in parts]

    seen, others = shown(training[: min(CALIBRATED, half)]), training[half:][:COMPARED]
    compared = shown(others)
    graph = exported(network, tensor(seen[0][:1]), any_number=True)

    def right(found: Quantised) -> Estimate:
        run = session(found.graph, threads=1)
        taken_for = [run.run(None, {INPUT: batch})[0].argmax(1) for batch in compared]
        bits = np.concatenate(taken_for) == images.train_labels[others]
        answers = Answers(images=len(bits), right=packed(np.packbits(bits, bitorder="little").tobytes()))
        return Estimate(mean=float(bits.mean()), error=None, seeds=1, answers=(answers,))

    fast, exact = (
        Quantised(graph=quantised(graph, seen, per_channel=per_channel), per_channel=per_channel)
        for per_channel in (False, True)
    )
    one, other = right(fast), right(exact)
    return exact if other.mean > one.mean and not tied(one, other) else fast


def in_torch(found: Quantised) -> "nn.Module":
    """It as torch calls networks: float images on the processor to logits."""
    import torch
    from torch import nn

    run = session(found.graph, threads=torch.get_num_threads())

    class InTorch(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return torch.from_numpy(run.run(None, {INPUT: images.contiguous().numpy()})[0])

    return InTorch()
