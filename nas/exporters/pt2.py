"""A program of torch.export, which torch runs without this package, and torch's compilers read."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from nas.exporters import Logits, Source, shown

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    import nas.exporters.pt2
    from nas.exporters import Exporter

    _satisfied: Exporter = nas.exporters.pt2

FILE = "model.pt2"
PACKAGES = ()
EXTRA = "workers"
AGREES = 1e-3  # a GPU, which may have made the promise, multiplies 10 bits of mantissa
LOSES = 0.0
ABOUT = "nas.json"  # within the file


def export(source: Source, path: Path) -> None:
    import torch

    images = source.card.architecture.images
    several = torch.zeros(2, images.channels, images.resolution, images.resolution)  # one would be taken for always one
    batch = torch.export.Dim("batch", min=1)
    program = torch.export.export(source.network, (several,), dynamic_shapes=({0: batch},))
    torch.export.save(program, path, extra_files={ABOUT: json.dumps(shown(source.card), ensure_ascii=False)})


def opened(path: Path) -> Logits:
    import torch

    from nas.training.data import Normalisation, View, tensor

    extra = {ABOUT: ""}
    network = torch.export.load(path, extra_files=extra).module()
    about = json.loads(extra[ABOUT])
    how = Normalisation(mean=tuple(about["mean"]), std=tuple(about["std"]))
    view = View(about["resolution"], how, torch.device("cpu"))

    def logits(raw: "NDArray[np.uint8]") -> "NDArray[np.float32]":
        with torch.inference_mode():
            answer: NDArray[np.float32] = network(view(tensor(raw)).contiguous()).numpy()
        return answer

    return logits
