"""TFLite, for phones and microcontrollers: what `classify.py` gives a network in ONNX, one image at a time, with its
channels last."""

from pathlib import Path
from typing import TYPE_CHECKING

from nas.exporters import Logits, Source

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    import nas.exporters.tflite
    from nas.exporters import Exporter

    _satisfied: Exporter = nas.exporters.tflite

FILE = "model.tflite"
PACKAGES = ("litert_torch", "ai_edge_litert")
EXTRA = "tflite"
AGREES = 1e-3  # as in ONNX
LOSES = 0.0


def export(source: Source, path: Path) -> None:
    import litert_torch
    import torch

    images = source.card.architecture.images
    image = torch.zeros(1, images.resolution, images.resolution, images.channels)
    litert_torch.convert(litert_torch.to_channel_last_io(source.network, args=[0]).eval(), (image,)).export(str(path))


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
