"""Reading ahead: images that are mapped from a file too large for the memory are on their way from the disk while the
batch before them is trained on."""

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor


class Ahead:
    """For `images` that are read from a mapped file. Nothing happens for others, for those that were `copied` to a
    device, and where the system cannot do it."""

    def __init__(self, images: NDArray[Any], *, copied: bool) -> None:
        mapped = (
            not copied
            and isinstance(images, np.memmap)
            and images.filename is not None
            and hasattr(os, "posix_fadvise")
        )
        self._file = os.open(images.filename, os.O_RDONLY | os.O_CLOEXEC) if mapped else None  # type: ignore[attr-defined]
        self._start, self._bytes = getattr(images, "offset", 0), images[:1].nbytes

    def want(self, indices: Tensor) -> None:
        """The images at `indices` are going to be read; returns at once."""
        if self._file is not None:
            for index in indices.tolist():
                place = self._start + index * self._bytes
                os.posix_fadvise(self._file, place, self._bytes, os.POSIX_FADV_WILLNEED)

    def __del__(self) -> None:
        if self.__dict__.get("_file") is not None:
            os.close(self._file)  # type: ignore[arg-type]
