"""Decoded images on disk: a folder of arrays that appears whole or not at all."""

import contextlib
import dataclasses
import errno
import json
import logging
import os
import shutil
from collections.abc import Callable, Iterator
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from nas.codec import decode
from nas.datasets import DatasetError, DatasetInfo, ImageSet, Remark

SPARE_BYTES = 64 << 20  # left free on the disk for everybody else
FULL = (errno.ENOSPC, errno.EDQUOT)
REMARKS = "remarks.json"  # in the folder where something is to be said of the images
DAMAGED = (FileNotFoundError, EOFError, ValueError)  # what reading an array file that is not whole raises

log = logging.getLogger(__name__)


class Part:
    """Writes the images of one part ("train", "test" or "validation") one after the other, however many come.

    Use as a context manager; images are uint8 (C, H, W) of one `shape`. Where they have file names, all have.
    """

    def __init__(self, folder: Path, name: str, shape: tuple[int, int, int]) -> None:
        self._folder, self._name, self._shape = folder, name, shape
        self.labels: list[int] = []
        self.names: list[bytes] = []
        self._file: BinaryIO = open(folder / f"{name}_images.npy", "wb")  # noqa: SIM115  # closed in __exit__
        self._write_header()

    def add(self, image: NDArray[np.uint8], label: int, name: str | None = None) -> None:
        """`name`: that of its file, without folders."""
        self._file.write(image.tobytes())
        self.labels.append(label)
        if name is not None:
            self.names.append(os.fsencode(name))

    def __enter__(self) -> "Part":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._file.seek(0)
                self._write_header()
                np.save(self._folder / f"{self._name}_labels.npy", np.array(self.labels, np.int64))
                if self.names:
                    np.save(self._folder / f"{self._name}_names.npy", np.array(self.names))
        finally:
            self._file.close()

    def _write_header(self) -> None:
        """numpy leaves room in the header for the first number of the shape to grow."""
        header = {"descr": "|u1", "fortran_order": False, "shape": (len(self.labels), *self._shape)}
        np.lib.format.write_array_header_1_0(self._file, header)


def load(folder: Path, info: DatasetInfo, fill: Callable[[Path], tuple[str, ...]]) -> ImageSet:
    """The arrays in `folder`, memory-mapped.

    Where they are not there, or damaged, `fill` is called with an empty folder to write them to, which is then renamed
    into place; it returns the names of skipped files. Of several processes one fills and the others wait. `info` is
    taken but for its numbers of images. Raises DatasetError where the disk is full or not writable.
    """
    try:
        with contextlib.suppress(*DAMAGED):
            images = _open(folder, info)
            with contextlib.suppress(OSError):  # somebody else's
                os.utime(folder)  # when it was used last: what nobody uses is pruned
            return images
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _alone(folder.with_name(f"{folder.name}.lock")):
            with contextlib.suppress(*DAMAGED):
                return _open(folder, info)  # another process was faster
            _fill(folder, fill)
            return _open(folder, info)
    except OSError as error:
        if error.errno in FULL:
            raise DatasetError(
                f"dataset {info.name!r}: the disk with {folder.parent} is full: free some of it, or set NAS_HOME to "
                "a folder on a larger one"
            ) from error
        raise DatasetError(f"dataset {info.name!r} cannot be kept in {folder.parent}: {error}") from error


def require_space(name: str, cache: Path, size: int) -> None:
    """Raise DatasetError unless arrays of `size` bytes fit on the disk of `cache`; they need not fit into
    the memory, as they are mapped from there."""
    cache.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(cache).free - SPARE_BYTES
    if size > free:
        raise DatasetError(
            f"dataset {name!r} takes {_megabytes(size)} in {cache}, and {_megabytes(max(0, free))} can be used there: "
            "free some of the disk, or set NAS_HOME to a folder on a larger one"
        )


def _fill(folder: Path, fill: Callable[[Path], tuple[str, ...]]) -> None:
    beside = folder.with_name(f"{folder.name}.partial")
    for stale in (beside, folder):  # of a process that was killed; damaged
        shutil.rmtree(stale, ignore_errors=True)
    try:
        beside.mkdir()
        (beside / "skipped.json").write_text(json.dumps(fill(beside)))
        beside.rename(folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _open(folder: Path, info: DatasetInfo) -> ImageSet:
    arrays: dict[str, Any] = {}
    for part in ("train", "test", "validation"):
        if part == "validation" and not info.validation_images:
            continue
        images = np.load(folder / f"{part}_images.npy", mmap_mode="r")
        labels = np.load(folder / f"{part}_labels.npy")
        if len(images) != len(labels):
            raise ValueError(f"{len(images)} images and {len(labels)} labels")
        arrays |= {f"{part}_images": images, f"{part}_labels": labels}
        if (named := folder / f"{part}_names.npy").exists():
            arrays[f"{part}_names"] = np.load(named)
    changes: dict[str, Any] = {name: len(array) for name, array in arrays.items() if name.endswith("_images")}
    skipped = tuple(json.loads((folder / "skipped.json").read_text()))
    if (folder / REMARKS).exists():
        noticed = json.loads((folder / REMARKS).read_text())
        changes["remarks"] = (*info.remarks, *(decode(Remark, remark) for remark in noticed))
    return ImageSet(info=dataclasses.replace(info, **changes), skipped=skipped, **arrays)


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """One process at a time; the kernel lets go when it ends, however it ends."""
    with open(path, "w") as file:
        try:
            flock(file, LOCK_EX | LOCK_NB)
        except BlockingIOError:
            log.info("waiting for another process that is making %s", path.with_suffix("").name)
            flock(file, LOCK_EX)
        yield


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"
