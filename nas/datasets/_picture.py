"""One image file: what its header says, and its pixels as a square of the size and channels that are wanted."""

import contextlib
import io
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from numpy.typing import NDArray

from nas import classify
from nas.classify import DEEP, LARGEST_JPEG_PIXELS, LARGEST_PIXELS, opened
from nas.classify import Unusable as Unusable  # for whoever reads datasets
from nas.datasets import DatasetError

if TYPE_CHECKING:
    from PIL.Image import Image

GREY = frozenset((*DEEP, "1", "L", "LA", "La"))
LARGE_PIXELS = 16_000_000  # so large ones are decoded one at a time

_large = threading.Lock()


@dataclass(frozen=True, kw_only=True)
class Header:
    """What the first bytes of an image say."""

    shorter_side: int
    """Pixels of it."""
    grey: bool
    """Whether it has no colours."""
    deep: bool
    """Whether its greys have more than 8 bits."""


@dataclass(frozen=True, kw_only=True)
class Depth:
    """The greys, of more than 8 bits, that become 0 and 255."""

    low: float = 0.0
    high: float = 65_280.0  # 256 levels each: of 16 bits, the higher 8

    def narrowed(self, greys: NDArray[np.float64]) -> NDArray[np.uint8]:
        scaled = (greys - self.low) * (255 / (self.high - self.low))
        return np.clip(np.floor(scaled + 1e-6), 0, 255).astype(np.uint8)


def pillow() -> ModuleType:
    """PIL.Image. Raises DatasetError where it is not installed."""
    try:
        library: ModuleType = classify.pillow()
    except ImportError as error:
        raise DatasetError("image files need Pillow: pip install 'nas-service[workers]'") from error
    return library


def strict() -> contextlib.AbstractContextManager[None]:
    """As `classify` has it. Raises DatasetError where Pillow is not installed."""
    pillow()
    return classify.strict()


def header(file: BinaryIO) -> Header:
    """Nothing is decoded. Raises as `pixels` does."""
    with _opened(file) as image:
        return Header(shorter_side=min(image.size), grey=image.mode in GREY, deep=image.mode in DEEP)


def greys(file: BinaryIO) -> NDArray[np.float64] | None:
    """Of an image of more than 8 bits; None of another."""
    with _opened(file) as image:
        return np.asarray(image, np.float64) if image.mode in DEEP else None


def pixels(file: BinaryIO, channels: int, resolution: int, depth: Depth) -> tuple[NDArray[np.uint8], bool]:
    """uint8 (channels, resolution, resolution): the central square, scaled with antialiasing, upright by its EXIF; and
    whether the image was grey.

    Colour becomes grey where one channel is wanted, more than 8 bits become 8 by `depth`, and what shows through
    transparency is white. Raises Unusable, or OSError with an errno where the file cannot be read.
    """
    import PIL.ImageOps

    with _opened(file) as image:
        grey, progressive = image.mode in GREY, "progressive" in image.info  # which is held whole by its decoder
        area = image.width * image.height
        image.draft(None, (2 * resolution, 2 * resolution))  # lets JPEG decode at a half, a quarter or an eighth
        with _large if (area if progressive else image.width * image.height) > LARGE_PIXELS else _NONE:
            image.load()
            PIL.ImageOps.exif_transpose(image, in_place=True)
            image = _plain(image, "L" if channels == 1 else "RGB", depth)
            if image.size != (resolution, resolution):
                side = min(image.size)
                left, top = (image.width - side) / 2, (image.height - side) / 2
                box = (left, top, left + side, top + side)
                image = image.resize((resolution, resolution), pillow().Resampling.BICUBIC, box=box, reducing_gap=2.0)
            array = np.asarray(image)
    return (array[None] if channels == 1 else np.ascontiguousarray(array.transpose(2, 0, 1))), grey


def strip(images: NDArray[np.uint8]) -> bytes:
    """Those images (N, C, H, W) side by side, as a JPEG file."""
    row = np.concatenate(list(images), axis=2)
    file = io.BytesIO()
    pillow().fromarray(row[0] if len(row) == 1 else row.transpose(1, 2, 0)).save(file, "JPEG", quality=85)
    return file.getvalue()


_NONE = contextlib.nullcontext()


@contextlib.contextmanager
def _opened(file: BinaryIO) -> "Iterator[Image]":
    pillow()
    with opened(file, LARGEST_JPEG_PIXELS, LARGEST_PIXELS) as image:
        yield image


def _plain(image: "Image", mode: str, depth: Depth) -> "Image":
    """The image in `mode` "L" or "RGB", without transparency and with 8 bits a channel."""
    library = pillow()
    if image.mode in DEEP:
        image = library.fromarray(depth.narrowed(np.asarray(image, np.float64)))
    elif "transparency" in image.info or image.mode in ("RGBA", "LA", "PA", "RGBa", "La"):
        image = image.convert("RGBA")
        image = library.alpha_composite(library.new("RGBA", image.size, "white"), image)
    return image if image.mode == mode else image.convert(mode)
