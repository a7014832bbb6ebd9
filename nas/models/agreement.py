"""How far a file of an archive answers as its network does in torch, on whatever images there are, or on noise: what
can be said of it where the images that the promise was made on are there no more."""

from pathlib import Path

import numpy as np

from nas.datasets import DatasetError, ImageSet
from nas.exporters import Exporter
from nas.models.checkpoint import BadCheckpoint
from nas.models.images import stated
from nas.models.manifest import FileScore
from nas.models.network import load
from nas.training.data import Indices

COMPARED = 256  # images


def compared(exporter: Exporter, path: Path, checkpoint: Path, images: ImageSet | None, why: str) -> FileScore:
    """Of the file at `path` and the network of `checkpoint`; `why` its accuracy cannot be checked. Raises BadCheckpoint
    and DatasetError."""
    network = load(checkpoint)
    shape = network.card.architecture.images
    if images is None:
        size = (COMPARED, shape.channels, shape.resolution, shape.resolution)
        raw = np.random.default_rng(0).integers(0, 256, size, dtype=np.uint8)
    elif images.info.channels != shape.channels:
        raise DatasetError(
            f"{why}: dataset {images.info.name!r} has {images.info.channels} channels, and the network takes "
            f"{shape.channels}: put the images back as they were"
        )
    else:
        every: Indices = np.linspace(0, len(images.train_images) - 1, COMPARED).astype(np.int64)
        raw = images.train_images[np.unique(every)]
    expected = network(raw).logits.numpy()
    answer = exporter.opened(path)(raw)
    if not np.isfinite(answer).all():
        raise BadCheckpoint("it answers NaN or infinity")
    if exporter.LOSES:
        alike = answer.argmax(1) == expected.argmax(1)
    else:
        alike = np.abs(answer - expected).max(1) <= exporter.AGREES * np.abs(expected).max()
    return FileScore(
        accuracy=None,
        promised=stated(network.card, str(checkpoint)),
        images=len(raw),
        part="any",
        loses=exporter.LOSES,
        unchecked=why,
        alike=float(alike.mean()),
    )
