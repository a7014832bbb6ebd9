"""From image files to arrays on the disk."""

import hashlib
import json
import logging
import os
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from nas.codec import encode
from nas.datasets import DatasetError, DatasetInfo, _arrays, _picture
from nas.datasets._listing import Opener, Source
from nas.datasets._names import PARTS
from nas.datasets._notes import Notes, Places, told
from nas.datasets._picture import Depth
from nas.metering import host

MOST_BROKEN = 0.1  # of the images, beyond which they are no dataset
BLOCK, CHUNK = 256, 16  # images decoded, and held, at once; images that a thread takes at a time
Item = TypeVar("Item")

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A decoded image, with a digest of what can be seen of it."""

    pixels: NDArray[np.uint8]
    grey: bool
    digest: bytes


def decoded(source: Source, places: Places, info: DatasetInfo, depth: Depth, folder: Path) -> dict[str, str]:
    """Write the images, and what is noticed of them, into `folder`. Gives the names of those that are left out, and
    why. Raises DatasetError where these are many."""
    broken: dict[str, str] = {}
    notes = Notes()
    shape = (info.channels, info.resolution, info.resolution)
    used = [part for part in PARTS if part != "validation" or info.validation_images]

    def several(files: list[tuple[str, Opener]]) -> list[Picture | _picture.Unusable]:
        return [one(*file) for file in files]

    def one(name: str, opener: Opener) -> Picture | _picture.Unusable:
        try:
            with opener() as opened:
                pixels, grey = _picture.pixels(opened, info.channels, info.resolution, depth)
        except _picture.Unusable as error:
            return error
        except OSError as error:
            raise DatasetError(f"{name} cannot be read: {error}") from error
        return Picture(pixels=pixels, grey=grey, digest=hashlib.blake2b(pixels.tobytes(), digest_size=16).digest())

    with ExitStack() as stack:
        parts = {part: stack.enter_context(_arrays.Part(folder, part, shape)) for part in used}
        pool = stack.enter_context(ThreadPoolExecutor(host.processors()))
        stack.enter_context(_picture.strict())
        done = 0
        for block in _blocks(source.files(places), BLOCK):
            pictures = chain.from_iterable(pool.map(several, _blocks(iter(block), CHUNK)))
            for (name, _), picture in zip(block, pictures):
                part, number = places[name]
                if isinstance(picture, Picture):
                    parts[part].add(picture.pixels, number, name.rpartition("/")[2])
                    notes.add(name, part, number, picture.digest, grey=picture.grey)
                else:
                    broken[name] = str(picture)
                    _bear(info, broken, len(places))
            done += len(block)
            if done % (BLOCK * 32) == 0:
                log.info(
                    "%s at %d pixels: %s of %s images", info.name, info.resolution, f"{done:,}", f"{len(places):,}"
                )
        if done < len(places):
            raise DatasetError(f"dataset {info.name!r} changed while it was read: start again")
    remarks = notes.remarks(info, broken)
    (folder / _arrays.REMARKS).write_text(json.dumps(encode(remarks)))
    return broken


def some(source: Source, names: Collection[str], channels: int, resolution: int, depth: Depth) -> NDArray[np.uint8]:
    """Those images; without such as are broken."""
    images = []
    with _picture.strict():
        for name, opener in source.files(names):
            try:
                with opener() as file:
                    images.append(_picture.pixels(file, channels, resolution, depth)[0])
            except _picture.Unusable:
                continue
            except OSError as error:
                raise DatasetError(f"{name} cannot be read: {error}") from error
    return np.array(images, np.uint8).reshape(-1, channels, resolution, resolution)


def _bear(info: DatasetInfo, broken: dict[str, str], total: int) -> None:
    if len(broken) > MOST_BROKEN * total:
        raise DatasetError(
            f"dataset {info.name!r}: over {MOST_BROKEN:.0%} of {total:,} images cannot be used, among them "
            f"{told(broken)}: replace or remove them"
        )


def shown(names: dict[str, str]) -> tuple[str, ...]:
    """The names, as they can be printed."""
    return tuple(os.fsencode(name).decode(errors="replace") for name in names)


def _blocks(items: Iterator[Item], size: int) -> Iterator[list[Item]]:
    while block := list(islice(items, size)):
        yield block
