"""ONNX, for ONNX Runtime and most others: normalisations folded, any number of images at a time, and in its metadata
what `classify.py` has to know."""

import json
import runpy
from pathlib import Path
from typing import TYPE_CHECKING

from nas.classify import KEY
from nas.exporters import Logits, Source, shown
from nas.metering.onnx import exported

if TYPE_CHECKING:
    import nas.exporters.onnx
    from nas.exporters import Exporter
    from nas.models.checkpoint import Card

    _satisfied: Exporter = nas.exporters.onnx

FILE = "model.onnx"
PACKAGES = ("onnx", "onnxruntime")
EXTRA = "workers"
AGREES = 1e-3  # a GPU, which may have made the promise, multiplies 10 bits of mantissa
LOSES = 0.0


def export(source: Source, path: Path) -> str:
    import torch

    images = source.card.architecture.images
    image = torch.zeros(1, images.channels, images.resolution, images.resolution)
    write(exported(source.network, image, any_number=True), source.card, path)
    return "cpu"


def write(graph: bytes, card: "Card", path: Path) -> None:
    """The network `graph`, with what it has to say of itself."""
    import onnx

    model = onnx.load_model_from_string(graph)
    onnx.helper.set_model_props(model, {KEY: json.dumps(shown(card), ensure_ascii=False)})
    path.write_bytes(model.SerializeToString(deterministic=True))


def opened(path: Path) -> Logits:
    """By the program that is beside it, without a `__pycache__` in its folder."""
    logits: Logits = runpy.run_path(str(path.with_name("classify.py")))["Classifier"](path).logits
    return logits
