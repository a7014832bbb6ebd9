"""TFLite, for phones and microcontrollers: what `classify.py` gives a network in ONNX, one image at a time, with its
channels last."""

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from nas.exporters import Logits, Source

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import nn

    import nas.exporters.tflite
    from nas.exporters import Exporter
    from nas.networks.architecture import Images

    _satisfied: Exporter = nas.exporters.tflite

FILE = "model.tflite"
PACKAGES = ("litert_torch", "ai_edge_litert")
EXTRA = "tflite"
AGREES = 1e-3  # as in ONNX
LOSES = 0.0


def export(source: Source, path: Path) -> None:
    convert(source.network, source.card.architecture.images, path)


def convert(network: "nn.Module", images: "Images", path: Path) -> None:
    """Write `network`, in evaluation mode on the processor, to a file for such images."""
    import litert_torch
    import torch

    image = torch.zeros(1, images.resolution, images.resolution, images.channels)
    with contextlib.redirect_stdout(sys.stderr):  # it tells of every step
        litert_torch.convert(litert_torch.to_channel_last_io(network, args=[0]).eval(), (image,)).export(str(path))


def opened(path: Path) -> Logits:
    """By the card of the checkpoint that is beside it."""
    import numpy as np
    import torch
    from ai_edge_litert.interpreter import Interpreter

    from nas.models import checkpoint
    from nas.models.manifest import CHECKPOINT
    from nas.training.data import Normalisation, View, tensor

    card = checkpoint.card(path.with_name(CHECKPOINT))
    how = Normalisation(mean=card.mean, std=card.std)
    view = View(card.architecture.images.resolution, how, torch.device("cpu"))
    interpreter = Interpreter(str(path))
    interpreter.allocate_tensors()
    entering, leaving = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]

    def answer(image: "NDArray[np.float32]") -> "NDArray[np.float32]":
        interpreter.set_tensor(entering, image[None])
        interpreter.invoke()
        logits: NDArray[np.float32] = interpreter.get_tensor(leaving)[0]
        return logits

    def logits(raw: "NDArray[np.uint8]") -> "NDArray[np.float32]":
        return np.stack([answer(image) for image in view(tensor(raw)).permute(0, 2, 3, 1).contiguous().numpy()])

    return logits
