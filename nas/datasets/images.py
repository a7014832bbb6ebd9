"""Images that were uploaded, "images:name": an archive of a folder of images, of which "folder" tells the layout.

`nas images upload`, the form for a new search and POST /v1/images send them to the service.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from nas import uploads
from nas.datasets import DatasetError, DatasetInfo, ImageSet, Look, folder
from nas.roots import Roots

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    import nas.datasets.images
    from nas.datasets import Dataset

    _satisfied: Dataset = nas.datasets.images

ARGUMENT = "NAME"

Answer = TypeVar("Answer")


def describe(argument: str, cache: Path, roots: Roots | None = None) -> DatasetInfo:
    """As "folder" describes it; uploads are read whatever the roots are."""
    info = _of(argument, lambda path: folder.describe(path, cache))
    return dataclasses.replace(info, name=f"images:{argument}")


def load(argument: str, resolution: int, cache: Path, roots: Roots | None = None) -> ImageSet:
    """As "folder" loads it."""
    images = _of(argument, lambda path: folder.load(path, resolution, cache))
    return dataclasses.replace(images, info=dataclasses.replace(images.info, name=f"images:{argument}"))


def names(argument: str, cache: Path, roots: Roots | None = None) -> dict[str, str]:
    """As "folder" names them."""
    return _of(argument, lambda path: folder.names(path, cache))


def look(argument: str, cache: Path, roots: Roots | None = None) -> Look:
    """As "folder" looks at it."""
    seen = _of(argument, lambda path: folder.look(path, cache))
    return dataclasses.replace(seen, info=dataclasses.replace(seen.info, name=f"images:{argument}"))


def samples(
    argument: str, label: int, number: int, pixels: int, cache: Path, roots: Roots | None = None
) -> "NDArray[np.uint8]":
    """As "folder" gives them."""
    return _of(argument, lambda path: folder.samples(path, label, number, pixels, cache))


def _of(name: str, answer: Callable[[str], Answer]) -> Answer:
    """What is said of the upload's archive, by the name that its users know."""
    if not name:
        raise DatasetError(
            "dataset 'images' needs the name of an upload: write images:name; nas images list shows them"
        )
    path = str(uploads.archive(name))
    try:
        return answer(path)
    except DatasetError as error:
        raise DatasetError(str(error).replace(path, f"images:{name}")) from error
