"""What a picture shows: `python classify.py photo.jpg …`

The network is model.onnx beside this file, which says itself what it is to be shown and what its answers mean.
pip install numpy onnxruntime pillow
"""

import argparse
import contextlib
import json
import re
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

KEY = "nas"  # of the description in the network's file
DEEP = ("I", "I;16", "I;16B", "I;16L", "I;16N", "F")  # grey, of more than 8 bits
GREYS = (0.0, 65_280.0)  # 256 levels each: of 16 bits, the higher 8
# By content, whatever a file is called; none that starts another program (EPS) or holds files of its own (ICO).
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "DIB", "TIFF", "PPM", "AVIF", "JPEG2000", "PCX", "TGA")
LARGEST_PIXELS = 89_478_485  # of an image that is decoded whole: a quarter of a GiB in colour
LARGEST_JPEG_PIXELS = 512_000_000  # of one that is decoded at a part of its size
KINDS = ": give it JPEG, PNG, WebP, GIF, BMP or TIFF"
POINTER = b"version https://git-lfs"


class Unusable(ValueError):
    """The file is not an image, or not a whole one, or too large a one to be decoded; the message says which."""


class Stranger(Unusable):
    """It is no image that is read."""


class Classifier:
    """The network in the ONNX file at `path`; `classes` are the names of its answers, in the order of its logits."""

    def __init__(self, path: str | Path) -> None:
        import onnxruntime

        self._session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        about = json.loads(self._session.get_modelmeta().custom_metadata_map[KEY])
        self.classes: tuple[str, ...] = tuple(about["classes"])
        self._channels, self._pixels, self._greys = len(about["mean"]), about["pixels"], about["greys"]
        self._resolution = about["resolution"]
        std, mean = (np.array(about[name])[:, None, None] for name in ("std", "mean"))
        self._scale = (1 / (255 * std)).astype(np.float32)
        self._shift = (-mean / std).astype(np.float32)

    def logits(self, raw: "NDArray[np.uint8]") -> "NDArray[np.float32]":
        """Of raw images, uint8 (N, channels, height, width): float32 (N, classes)."""
        images = raw.astype(np.float32) * self._scale + self._shift
        rows, columns = (_resizing(size, self._resolution) for size in raw.shape[2:])
        if raw.shape[2:] != (self._resolution, self._resolution):
            images = rows @ images @ columns.T
        answer: NDArray[np.float32] = self._session.run(None, {self._session.get_inputs()[0].name: images})[0]
        return answer

    def probabilities(self, picture: str | Path | IO[bytes]) -> dict[str, float]:
        """Of each class, the most probable first, for the picture at that path, or in that file. Raises Unusable."""
        with contextlib.ExitStack() as stack:
            stack.enter_context(strict())
            file = stack.enter_context(open(picture, "rb")) if isinstance(picture, str | Path) else picture
            image = stack.enter_context(opened(file))
            raw = pixels(image, self._channels, self._pixels, self._greys)
        logits = self.logits(raw[None])[0].astype(np.float64)
        powers = np.exp(logits - logits.max())
        shares = powers / powers.sum()
        return {self.classes[number]: float(shares[number]) for number in np.argsort(-shares, kind="stable")}


@contextlib.contextmanager
def strict() -> Iterator[None]:
    """Within, Pillow keeps quiet about what is odd of an image and can be read all the same.

    Warnings are a state of the whole process, so this goes around threads and not into them.
    """
    library = pillow()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        warnings.simplefilter("error", library.DecompressionBombWarning)
        yield


def pillow() -> Any:
    """PIL.Image, which knows all of its formats."""
    import PIL.Image

    if PIL.Image.MAX_IMAGE_PIXELS != LARGEST_JPEG_PIXELS:
        PIL.Image.init()
        PIL.Image.MAX_IMAGE_PIXELS = LARGEST_JPEG_PIXELS  # the bounds are those above, which depend on the format
    return PIL.Image


@contextlib.contextmanager
def opened(file: IO[bytes], jpeg: int = LARGEST_JPEG_PIXELS, others: int = LARGEST_PIXELS) -> Iterator[Any]:
    """Pillow's image of that file, of so many pixels at most. Raises Unusable, also for what comes out while it is
    decoded within, and OSError with an errno where the file cannot be read."""
    library = pillow()
    try:
        with library.open(file, formats=[name for name in FORMATS if name in library.OPEN]) as image:
            largest = jpeg if image.format in ("JPEG", "MPO") else others
            if image.width * image.height > largest:
                raise _too_large(image.width * image.height, f"{_millions(largest)} that are read of a {image.format}")
            yield image
    except Unusable:
        raise
    except library.UnidentifiedImageError as error:
        raise _stranger(file) from error
    except (library.DecompressionBombWarning, library.DecompressionBombError) as error:
        found = re.search(r"(\d+) pixels", str(error))
        most = f"{_millions(jpeg)} that are read of a JPEG and the {_millions(others)} of others"
        raise _too_large(int(found[1]) if found else 0, most) from error
    except OSError as error:
        if error.errno is not None:  # the disk's error, not the image's
            raise
        raise Unusable("it is cut off" if "truncated" in str(error).lower() else f"it is damaged ({error})") from error
    except MemoryError:
        raise
    except Exception as error:  # Pillow's decoders raise whatever a broken file makes them stumble over
        raise Unusable(f"it is damaged ({type(error).__name__}: {error})") from error


def _too_large(area: int, most: str) -> Unusable:
    return Unusable(f"it has {area:,} pixels, more than the {most}: make it smaller")


def _millions(number: int) -> str:
    return f"{number / 1e6:,.0f} million" if number >= 1e6 else f"{number:,}"


def _stranger(file: IO[bytes]) -> Unusable:
    """What a file that is no image is."""
    file.seek(0)
    start = file.read(len(POINTER))
    if not start:
        return Unusable("it is empty")
    if start == POINTER:
        return Unusable("it is a pointer of Git LFS: run git lfs pull")
    return Stranger("it is no image of a known kind")


def pixels(image: Any, channels: int, side: int, greys: Sequence[float] | None) -> "NDArray[np.uint8]":
    """uint8 (channels, side, side) of Pillow's `image`, as the network was taught and tested: its central square,
    scaled with antialiasing, upright by its EXIF, white where it is transparent."""
    import PIL.Image
    import PIL.ImageOps

    image.draft(None, (2 * side, 2 * side))  # lets JPEG decode at a half, a quarter or an eighth
    image.load()
    image = PIL.ImageOps.exif_transpose(image)
    if image.mode in DEEP:
        low, high = greys or GREYS
        scaled = (np.asarray(image, np.float64) - low) * (255 / (high - low))
        image = PIL.Image.fromarray(np.clip(np.floor(scaled + 1e-6), 0, 255).astype(np.uint8))
    elif "transparency" in image.info or image.mode in ("RGBA", "LA", "PA", "RGBa", "La"):
        image = image.convert("RGBA")
        image = PIL.Image.alpha_composite(PIL.Image.new("RGBA", image.size, "white"), image)
    image = image.convert("L" if channels == 1 else "RGB")
    if image.size != (side, side):
        shorter = min(image.size)
        left, top = (image.width - shorter) / 2, (image.height - shorter) / 2
        box = (left, top, left + shorter, top + shorter)
        image = image.resize((side, side), PIL.Image.Resampling.BICUBIC, box=box, reducing_gap=2.0)
    array = np.asarray(image)
    return array[None] if channels == 1 else np.ascontiguousarray(array.transpose(2, 0, 1))


def _resizing(size: int, wanted: int) -> "NDArray[np.float32]":
    """What makes `wanted` pixels of `size`: bilinear, with antialiasing where they become fewer, as torch does it."""
    step = size / wanted
    centres = (np.arange(wanted)[:, None] + 0.5) * step
    reach = max(step, 1.0)
    weights = np.maximum(0, 1 - np.abs(np.arange(size) + 0.5 - centres) / reach)
    shares: NDArray[np.float32] = (weights / weights.sum(1, keepdims=True)).astype(np.float32)
    return shares


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("picture", nargs="+")
    parser.add_argument(
        "--model",
        default=Path(__file__).with_name("model.onnx"),
        help="another network of the kind, such as model.int8.onnx",
    )
    options = parser.parse_args(arguments)
    try:
        network = Classifier(options.model)
        for picture in options.picture:
            if len(options.picture) > 1:
                print(f"{picture}:")
            for name, probability in network.probabilities(picture).items():
                print(f"{100 * probability:6.2f} %  {name}")
    except ModuleNotFoundError as error:
        print(f"{error.name} is not installed: pip install numpy onnxruntime pillow", file=sys.stderr)
        return 2
    except Unusable as error:
        print(f"{picture}: {error}{KINDS if isinstance(error, Stranger) else ''}", file=sys.stderr)
        return 1
    except Exception as error:  # whatever is wrong with the network
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
