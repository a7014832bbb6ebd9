"""Folders of images, and Fashion-MNIST in miniature: the same four files with 30 and 10 images."""

import gzip
import hashlib
import io
import lzma
import struct
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from numpy.typing import NDArray

from nas import datasets, uploads
from nas.datasets import fashion_mnist
from nas.uploads import UploadRequest, packing, receiving

Colour = tuple[int, int, int]
RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def draw(path: Path, colour: Colour | int = RED, size: tuple[int, int] = (20, 20), mode: str = "RGB") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.new(mode, size, colour).save(path)
    return path


def fill(root: Path, *, classes: tuple[str, ...] = ("cat", "dog"), images: int = 10, suffix: str = "png") -> Path:
    """`images` squares of 20 pixels in each class, each of a shade of its own."""
    for number, name in enumerate(classes):
        for index in range(images):
            draw(root / name / f"{index:03}.{suffix}", (100 * number, index, 0))
    return root


def pack(path: Path, root: Path, within: str = ".") -> Path:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        archive.add(root, within)
    ways: dict[str, Callable[[bytes], bytes]] = {".tar": bytes, ".gz": gzip.compress, ".xz": lzma.compress}
    path.write_bytes(ways[path.suffix](data.getvalue()))
    return path


def uploaded(name: str, root: Path) -> str:
    """The dataset that the images in `root` are once they were uploaded under that name."""
    with packing.packed(root) as archive:
        data = archive.read_bytes()
    receiving.begin(UploadRequest(name=name, bytes=len(data)))
    with receiving.Part(name, 0) as part:
        part.write(data)
        part.finish()
    return uploads.upload(name).dataset


def load(root: Path, cache: Path, resolution: int = 8) -> datasets.ImageSet:
    return datasets.load(f"folder:{root}", resolution, cache)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return tmp_path / "images"


def idx(array: NDArray[np.uint8]) -> bytes:
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


@pytest.fixture
def clothes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files, which are what is expected now; no way leads anywhere yet."""
    draw = np.random.default_rng(0)
    source = tmp_path / "clothes"
    source.mkdir()
    files = {}
    for name, (file, offset, shape, _) in fashion_mnist.FILES.items():
        shape = (30 if "train" in name else 10, *shape[1:])
        values = draw.integers(0, 10, shape, np.uint8)
        data = idx(values.reshape(shape[0], 28, 28) if len(shape) == 4 else values)
        (source / f"{file}.gz").write_bytes(gzip.compress(data))
        files[name] = (file, offset, shape, hashlib.sha256(data).hexdigest())
    monkeypatch.setattr(fashion_mnist, "FILES", files)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(fashion_mnist, "WAYS", {"nowhere": way_to(tmp_path / "nothing")})
    return source


def way_to(source: Path) -> Callable[[Path], Path]:
    return lambda _: source
