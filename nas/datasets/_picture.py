"""One image file: what its header says, and its pixels as a square of the size and channels that are wanted."""

import contextlib
import warnings
from collections.abc import Iterator
from types import ModuleType
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from numpy.typing import NDArray

from nas.datasets import DatasetError

if TYPE_CHECKING:
    from PIL.Image import Image

GREY = frozenset(("1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "I;16N"))


class Corrupt(ValueError):
    """The file is not an image, or not a whole one."""


class TooLarge(ValueError):
    """An image of so many pixels that opening it may be an attack on the machine's memory."""


def pillow() -> ModuleType:
    """PIL.Image. Raises DatasetError where it is not installed."""
    try:
        import PIL.Image
    except ImportError as error:
        raise DatasetError("image files need Pillow: pip install 'nas-service[workers]'") from error
    return PIL.Image


@contextlib.contextmanager
def strict() -> Iterator[None]:
    """Within, Pillow refuses images of over 89 million pixels instead of warning, and keeps quiet about the rest.

    Warnings are a state of the whole process, so this goes around threads and not into them.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        warnings.simplefilter("error", pillow().DecompressionBombWarning)
        yield


def header(file: BinaryIO) -> tuple[bool, int]:
    """Whether the image is grey, and its shorter side in pixels; nothing is decoded. Raises as `pixels` does."""
    with _opened(file) as image:
        return image.mode in GREY, min(image.size)


def pixels(file: BinaryIO, channels: int, resolution: int) -> NDArray[np.uint8]:
    """uint8 (channels, resolution, resolution): the central square, scaled with antialiasing, upright by its EXIF.

    Colour becomes grey where one channel is wanted, 16 bits become 8, and what shows through transparency is white.
    Raises Corrupt, TooLarge, or OSError with an errno where the file cannot be read.
    """
    import PIL.ImageOps

    with _opened(file) as image:
        image.draft(None, (2 * resolution, 2 * resolution))  # lets JPEG decode at a half, a quarter or an eighth
        PIL.ImageOps.exif_transpose(image, in_place=True)
        image = _plain(image, "L" if channels == 1 else "RGB")
        if image.size != (resolution, resolution):
            side = min(image.size)
            left, top = (image.width - side) / 2, (image.height - side) / 2
            box = (left, top, left + side, top + side)
            image = image.resize((resolution, resolution), pillow().Resampling.BICUBIC, box=box, reducing_gap=2.0)
        array = np.asarray(image)
    return array[None] if channels == 1 else np.ascontiguousarray(array.transpose(2, 0, 1))


@contextlib.contextmanager
def _opened(file: BinaryIO) -> "Iterator[Image]":
    library = pillow()
    try:
        with library.open(file, formats=("JPEG", "PNG")) as image:
            yield image
    except (library.DecompressionBombWarning, library.DecompressionBombError) as error:
        raise TooLarge(str(error)) from error
    except OSError as error:
        if error.errno is not None:  # the disk's error, not the image's
            raise
        raise Corrupt(str(error)) from error
    except MemoryError:
        raise
    except Exception as error:  # Pillow's decoders raise whatever a broken file makes them stumble over
        raise Corrupt(f"{type(error).__name__}: {error}") from error


def _plain(image: "Image", mode: str) -> "Image":
    """The image in `mode` "L" or "RGB", without transparency and with 8 bits a channel."""
    library = pillow()
    if image.mode.startswith("I"):
        array = np.asarray(image)
        image = library.fromarray((np.clip(array, 0, 65535) >> 8).astype(np.uint8))
    elif "transparency" in image.info or image.mode in ("RGBA", "LA", "PA", "RGBa", "La"):
        image = image.convert("RGBA")
        image = library.alpha_composite(library.new("RGBA", image.size, "white"), image)
    return image if image.mode == mode else image.convert(mode)
