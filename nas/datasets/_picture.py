"""One image file: what its header says, and its pixels as a square of the size and channels that are wanted."""

import contextlib
import io
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from numpy.typing import NDArray

from nas.datasets import DatasetError

if TYPE_CHECKING:
    from PIL.Image import Image

# By content, whatever a file is called; none that starts another program (EPS) or holds files of its own (ICO).
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "DIB", "TIFF", "PPM", "AVIF", "JPEG2000", "PCX", "TGA")
DEEP = frozenset(("I", "I;16", "I;16B", "I;16L", "I;16N", "F"))  # grey, of more than 8 bits
GREY = DEEP | {"1", "L", "LA", "La"}
LARGEST_PIXELS = 89_478_485  # of an image that is decoded whole: a quarter of a GiB in colour
LARGEST_JPEG_PIXELS = 512_000_000  # of one that is decoded at a part of its size
LARGE_PIXELS = 16_000_000  # so large ones are decoded one at a time
POINTER = b"version https://git-lfs"

_large = threading.Lock()


class Unusable(ValueError):
    """The file is not an image, or not a whole one, or too large a one to be decoded; the message says which."""


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
        import PIL.Image
    except ImportError as error:
        raise DatasetError("image files need Pillow: pip install 'nas-service[workers]'") from error
    if PIL.Image.MAX_IMAGE_PIXELS != LARGEST_JPEG_PIXELS:
        PIL.Image.init()
        PIL.Image.MAX_IMAGE_PIXELS = LARGEST_JPEG_PIXELS  # the bounds are those above, which depend on the format
    return PIL.Image


@contextlib.contextmanager
def strict() -> Iterator[None]:
    """Within, Pillow keeps quiet about what is odd of an image and can be read all the same.

    Warnings are a state of the whole process, so this goes around threads and not into them.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        warnings.simplefilter("error", pillow().DecompressionBombWarning)
        yield


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
    library = pillow()
    try:
        with library.open(file, formats=[name for name in FORMATS if name in library.OPEN]) as image:
            largest = LARGEST_JPEG_PIXELS if image.format in ("JPEG", "MPO") else LARGEST_PIXELS
            area = image.width * image.height
            if area > largest:
                raise Unusable(f"it has {area:,} pixels, and {largest:,} are the most of a {image.format} image")
            yield image
    except Unusable:
        raise
    except library.UnidentifiedImageError as error:
        raise Unusable(_stranger(file)) from error
    except OSError as error:
        if error.errno is not None:  # the disk's error, not the image's
            raise
        raise Unusable(str(error)) from error
    except MemoryError:
        raise
    except Exception as error:  # Pillow's decoders raise whatever a broken file makes them stumble over
        raise Unusable(f"{type(error).__name__}: {error}") from error


def _stranger(file: BinaryIO) -> str:
    """What a file that is no image is."""
    file.seek(0)
    start = file.read(len(POINTER))
    if not start:
        return "it is empty"
    return "it is a pointer of Git LFS: run git lfs pull" if start == POINTER else "it is no image of a known kind"


def _plain(image: "Image", mode: str, depth: Depth) -> "Image":
    """The image in `mode` "L" or "RGB", without transparency and with 8 bits a channel."""
    library = pillow()
    if image.mode in DEEP:
        image = library.fromarray(depth.narrowed(np.asarray(image, np.float64)))
    elif "transparency" in image.info or image.mode in ("RGBA", "LA", "PA", "RGBa", "La"):
        image = image.convert("RGBA")
        image = library.alpha_composite(library.new("RGBA", image.size, "white"), image)
    return image if image.mode == mode else image.convert(mode)
