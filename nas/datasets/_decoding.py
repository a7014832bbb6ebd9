"""From image files to arrays on the disk, and what is noticed on the way: what is broken, twice there or odd."""

import hashlib
import json
import logging
import os
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from nas.codec import encode
from nas.datasets import DatasetError, DatasetInfo, Remark, _arrays, _picture
from nas.datasets._layout import some
from nas.datasets._listing import Opener, Source
from nas.datasets._names import PARTS, Part
from nas.datasets._picture import Depth
from nas.metering import host

MOST_BROKEN = 0.1  # of the images, beyond which they are no dataset
BLOCK, CHUNK = 256, 16  # images decoded, and held, at once; images that a thread takes at a time
Item = TypeVar("Item")
Places: TypeAlias = dict[str, tuple[Part, int]]

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
                    parts[part].add(picture.pixels, number)
                    notes.add(name, part, number, picture)
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


def _bear(info: DatasetInfo, broken: dict[str, str], total: int) -> None:
    if len(broken) > MOST_BROKEN * total:
        raise DatasetError(
            f"dataset {info.name!r}: over {MOST_BROKEN:.0%} of {total:,} images cannot be used, among them "
            f"{told(broken)}: replace or remove them"
        )


def told(broken: dict[str, str]) -> str:
    """A few of them by name, with what is wrong with the first."""
    first = min(broken)
    return f"{some([first])} ({broken[first]}){', ' if len(broken) > 1 else ''}{some(broken.keys() - {first})}"


class Notes:
    """What is noticed of images one after the other."""

    def __init__(self) -> None:
        self._first: dict[bytes, str] = {}  # of every picture that was seen, its first name
        self._seen: dict[bytes, list[tuple[Part, int]]] = {}
        self._twins: dict[bytes, str] = {}  # another name, of another class where there is one
        self._coloured = 0

    def add(self, name: str, part: Part, number: int, picture: Picture) -> None:
        self._coloured += not picture.grey
        seen = self._seen.setdefault(picture.digest, [])
        if seen and (picture.digest not in self._twins or number != seen[0][1]):
            self._twins[picture.digest] = name
        self._first.setdefault(picture.digest, name)
        seen.append((part, number))

    def remarks(self, info: DatasetInfo, broken: dict[str, str]) -> tuple[Remark, ...]:
        remarks = []
        if broken:
            text = f"{_images(len(broken))} left out and cannot be used: {told(broken)}"
            remarks.append(Remark(kind="left out", images=len(broken), text=text))
        if info.channels == 1 and self._coloured:
            text = f"{_images(self._coloured)} in colour and made grey, as all others looked at are grey"
            remarks.append(Remark(kind="greys", images=self._coloured, text=text))
        return (*remarks, *self._contradictions(), *self._copies())

    def _contradictions(self) -> Iterator[Remark]:
        odd = [key for key, seen in self._seen.items() if len({number for _, number in seen}) > 1]
        if odd:
            count = sum(len(self._seen[key]) for key in odd)
            text = f"{_images(count)} in several classes, such as {self._pair(odd[0])}: labels contradict each other"
            yield Remark(kind="contradictions", images=count, text=text)

    def _copies(self) -> Iterator[Remark]:
        held: dict[Part, list[bytes]] = {"test": [], "validation": []}
        total: Counter[Part] = Counter()
        again, first = 0, b""
        for key, seen in self._seen.items():
            parts = Counter(part for part, _ in seen)
            total += parts
            for part, keys in held.items():
                if parts["train"] and parts[part]:
                    keys += [key] * parts[part]
            if parts["train"] > 1:
                again, first = again + parts["train"] - 1, first or key
        for part, keys in held.items():
            if keys:
                text = (
                    f"{len(keys):,} of {total[part]:,} {part} images are training images too, such as "
                    f"{self._pair(keys[0])}: accuracy on them is of what was seen, and says little of other images"
                )
                yield Remark(kind="copies", images=len(keys), text=text)
        if again:
            text = f"{again:,} of {total['train']:,} training images are copies of others, such as {self._pair(first)}"
            yield Remark(kind="copies", images=again, text=text)

    def _pair(self, key: bytes) -> str:
        return f"{some([self._first[key]])} and {some([self._twins[key]])}"


def _images(count: int) -> str:
    return f"{count:,} image is" if count == 1 else f"{count:,} images are"


def shown(names: dict[str, str]) -> tuple[str, ...]:
    """The names, as they can be printed."""
    return tuple(os.fsencode(name).decode(errors="replace") for name in names)


def _blocks(items: Iterator[Item], size: int) -> Iterator[list[Item]]:
    while block := list(islice(items, size)):
        yield block
