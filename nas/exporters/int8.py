"""ONNX of 8 bits, calibrated on images that the network learnt from, with what `classify.py` has to know."""

from pathlib import Path
from typing import TYPE_CHECKING

from nas.exporters import Logits, Source, onnx
from nas.quantisation import after_training

if TYPE_CHECKING:
    import nas.exporters.int8
    from nas.exporters import Exporter

    _satisfied: Exporter = nas.exporters.int8

FILE = "model.int8.onnx"
PACKAGES = ("onnx", "onnxruntime")
EXTRA = "workers"
AGREES = 1e-2  # other processors round a few of its layers otherwise
LOSES = 0.05  # beyond which it has collapsed


def export(source: Source, path: Path) -> str:
    import torch

    from nas.models.images import learnt, loaded
    from nas.training.data import Normalisation, View

    card = source.card
    images = loaded(card, source.dataset)
    view = View(card.architecture.images.resolution, Normalisation(mean=card.mean, std=card.std), torch.device("cpu"))
    found = after_training(source.network, images, learnt(card, images), view)
    onnx.write(found.graph, card, path)
    return f"cpu:dtype={found.dtype}"


def opened(path: Path) -> Logits:
    """By the program that is beside it."""
    return onnx.opened(path)
