"""Fashion-MNIST (Xiao et al. 2017): 60,000 + 10,000 grey images of clothes, 28 × 28 pixels, ten classes. MIT licence.

The four files are taken from the first of `WAYS` that has them, and compared with known SHA-256 sums whatever the way.
"""

import gzip
import hashlib
import http.client
import logging
import shutil
import subprocess
import tempfile
import urllib.request
import zlib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nas import settings
from nas.datasets import ClassImages, DatasetError, DatasetInfo, ImageSet, Look, _arrays
from nas.roots import Roots

if TYPE_CHECKING:
    import nas.datasets.fashion_mnist
    from nas.datasets import Dataset

    _satisfied: Dataset = nas.datasets.fashion_mnist

CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
# Of the unpacked files, because everybody compresses them anew: bytes before the values, shape, SHA-256.
FILES: dict[str, tuple[str, int, tuple[int, ...], str]] = {
    "train_images": (
        "train-images-idx3-ubyte",
        16,
        (60_000, 1, 28, 28),
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    ),
    "train_labels": (
        "train-labels-idx1-ubyte",
        8,
        (60_000,),
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    ),
    "test_images": (
        "t10k-images-idx3-ubyte",
        16,
        (10_000, 1, 28, 28),
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    ),
    "test_labels": (
        "t10k-labels-idx1-ubyte",
        8,
        (10_000,),
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    ),
}
INSTALLED = Path("/usr/share/datasets/fashion-mnist")  # by Debian's package dataset-fashion-mnist
ADDRESSES = (
    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion",
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",  # has no HTTPS; the sums vouch for what it gives
)
WORK_BYTES = 400 << 20  # arrays 55 MB, package and its files 62 MB, package lists up to 250 MB
LARGEST_FILE = 64 << 20
APT_SECONDS = 600

log = logging.getLogger(__name__)


class NotThere(Exception):
    """This way does not lead to the files; the message says why."""


FAILURES = (NotThere, OSError, EOFError, zlib.error, http.client.HTTPException, subprocess.SubprocessError)


def describe(argument: str, cache: Path, roots: Roots | None = None) -> DatasetInfo:
    """Known beforehand."""
    if argument:
        raise DatasetError(f"dataset 'fashion_mnist' takes no argument, and {argument!r} is one: leave it out")
    return DatasetInfo(
        name="fashion_mnist", classes=CLASSES, channels=1, resolution=28, train_images=60_000, test_images=10_000
    )


def load(argument: str, resolution: int, cache: Path, roots: Roots | None = None) -> ImageSet:
    """All images, at 28 pixels. Raises DatasetError that says for each way why it failed and what to do by hand."""
    return _arrays.load(cache / "fashion_mnist", describe(argument, cache), _fetch)


def names(argument: str, cache: Path, roots: Roots | None = None) -> dict[str, str]:
    """None: they are no files."""
    return {}


def look(argument: str, cache: Path, roots: Roots | None = None) -> Look:
    """Known beforehand: all classes have as many."""
    info = describe(argument, cache)
    train, test = info.train_images // len(CLASSES), info.test_images // len(CLASSES)
    classes = (ClassImages(name=name, train_images=train, test_images=test) for name in CLASSES)
    return Look(info=info, classes=tuple(classes), visible=_there(cache))


def samples(
    argument: str, label: int, number: int, pixels: int, cache: Path, roots: Roots | None = None
) -> NDArray[np.uint8]:
    """At 28 pixels. Raises DatasetError where they have not been fetched yet."""
    if not _there(cache):
        raise DatasetError("dataset 'fashion_mnist' is fetched when a run first trains on it, and then can be seen")
    images = load(argument, 28, cache)
    shown: NDArray[np.uint8] = images.train_images[np.flatnonzero(images.train_labels == label)[:number]]
    return shown


def _there(cache: Path) -> bool:
    return (cache / "fashion_mnist").is_dir()


def _fetch(folder: Path) -> tuple[str, ...]:
    _arrays.require_space("fashion_mnist", folder, WORK_BYTES)
    failures = []
    for name, way in WAYS.items():
        log.info("Fashion-MNIST: trying %s", name)
        try:
            with tempfile.TemporaryDirectory(dir=folder) as work:
                _decode(way(Path(work)), folder)
        except FAILURES as error:
            if isinstance(error, OSError) and error.errno in _arrays.FULL:
                raise
            log.info("Fashion-MNIST: %s failed: %s", name, error)
            failures.append(f"  {name}: {error or type(error).__name__}")
        else:
            log.info("Fashion-MNIST: taken from %s", name)
            return ()
    names = ", ".join(f"{file}.gz" for file, *_ in FILES.values())
    raise DatasetError(
        "dataset 'fashion_mnist' could not be got in any way:\n" + "\n".join(failures) + f"\n"
        f"By hand: put {names} from github.com/zalandoresearch/fashion-mnist (data/fashion) into a folder and set "
        "NAS_FASHION_MNIST to it; or, on Debian or Ubuntu, as root: apt-get install dataset-fashion-mnist"
    )


def _decode(source: Path, folder: Path) -> None:
    """Write the arrays of the four files in `source`, compressed or not, to `folder`."""
    for array, (name, offset, shape, digest) in FILES.items():
        path = source / f"{name}.gz"
        opener = gzip.open if path.exists() else open
        with opener(path if path.exists() else source / name, "rb") as file:
            data = file.read(LARGEST_FILE)
        checksum = hashlib.sha256(data).hexdigest()
        if checksum != digest:
            raise NotThere(f"{name} in it is not the published file: its SHA-256 is {checksum}, not {digest}")
        values = np.frombuffer(data, np.uint8, offset=offset).reshape(shape)
        np.save(folder / f"{array}.npy", values.astype(np.int64) if "labels" in array else values)


def _named(work: Path) -> Path:
    folder = settings.FASHION_MNIST.value
    if not folder:
        raise NotThere("it is not set")
    return Path(folder).expanduser()


def _installed(work: Path) -> Path:
    if not INSTALLED.is_dir():
        raise NotThere("it is not installed")
    return INSTALLED


def _debian(work: Path) -> Path:
    """Debian's package file, got and unpacked in `work`: nothing is installed, and no root is needed."""
    for program in ("apt-get", "dpkg-deb"):
        if shutil.which(program) is None:
            raise NotThere(f"{program} is not on this machine, so it is no Debian or Ubuntu")
    for name in ("lists/partial", "cache/archives/partial"):
        (work / name).mkdir(parents=True)
    settings = {
        "Dir::State::Lists": work / "lists",
        "Dir::Cache": work / "cache",
        "APT::Sandbox::User": "root",  # root's own rights; else it warns that user _apt cannot write here
        "Acquire::Languages": "none",
        "Acquire::Retries": 1,
        "Acquire::http::Timeout": 30,
        "Acquire::https::Timeout": 30,
    }
    apt = ["apt-get", "-q", *(f"-o{name}={value}" for name, value in settings.items())]
    said = _run([*apt, "update"], work)  # a failing source among several is only a warning
    try:
        _run([*apt, "download", "dataset-fashion-mnist"], work)
    except NotThere as error:
        raise NotThere(f"{error}\n{said}".strip()) from error
    packages = [path.name for path in work.glob("dataset-fashion-mnist_*.deb")]
    _run(["dpkg-deb", "-x", *packages, "unpacked"], work)
    return work / "unpacked" / INSTALLED.relative_to("/")


def _run(command: list[str], work: Path) -> str:
    """The errors that the command wrote; raises NotThere with them where it failed."""
    done = subprocess.run(
        command,
        cwd=work,
        env=settings.environment(LC_ALL="C"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        timeout=APT_SECONDS,
    )
    if done.returncode:
        words = " ".join(word for word in command if not word.startswith("-"))
        raise NotThere(f"{words}: {done.stderr.strip() or f'exit status {done.returncode}'}")
    return done.stderr.strip()


def _download(address: str, work: Path) -> Path:
    for name, *_ in FILES.values():
        url = f"{address}/{name}.gz"
        with urllib.request.urlopen(url, timeout=30) as response, open(work / f"{name}.gz", "wb") as file:
            size: int | None = response.length
            if size and size > LARGEST_FILE:
                raise NotThere(f"{url} has {size:,} bytes, which cannot be the published file")
            while (block := response.read(1 << 20)) and file.tell() <= LARGEST_FILE:
                file.write(block)
            if size and file.tell() != size:
                raise NotThere(f"{url} ended after {file.tell():,} of {size:,} bytes")
    return work


WAYS: Mapping[str, Callable[[Path], Path]] = {
    "the folder in NAS_FASHION_MNIST": _named,
    f"{INSTALLED}": _installed,
    "Debian's package file dataset-fashion-mnist": _debian,
} | {address: partial(_download, address) for address in ADDRESSES}
