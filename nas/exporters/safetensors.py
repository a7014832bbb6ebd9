"""The checkpoint itself: weights with their card in the header, for `nas.load` and whatever reads safetensors."""

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from nas.exporters import Logits, Source

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    import nas.exporters.safetensors
    from nas.exporters import Exporter

    _satisfied: Exporter = nas.exporters.safetensors

FILE = "model.safetensors"
PACKAGES = ("safetensors",)
EXTRA = "workers"
AGREES = 1e-3  # where the promise was made on another kind of device
LOSES = 0.0


def export(source: Source, path: Path) -> None:
    try:
        os.link(source.checkpoint, path)  # one copy on the disk: nobody writes into a checkpoint
    except OSError:
        shutil.copyfile(source.checkpoint, path)


def opened(path: Path) -> Logits:
    import torch

    from nas.models.checkpoint import load
    from nas.training.data import Normalisation, View, tensor
    from nas.training.device import training_device

    network, card = load(path)
    device = training_device()
    view = View(card.architecture.images.resolution, Normalisation(mean=card.mean, std=card.std), device)
    network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def logits(raw: "NDArray[np.uint8]") -> "NDArray[np.float32]":
        with torch.inference_mode():
            answer: NDArray[np.float32] = network(view(tensor(raw).to(device))).float().cpu().numpy()
        return answer

    return logits
