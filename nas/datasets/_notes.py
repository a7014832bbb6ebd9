"""What is noticed of image files: what is broken, twice there or odd."""

import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TypeAlias

from nas.datasets import DatasetError, DatasetInfo, Remark
from nas.datasets._layout import some
from nas.datasets._listing import Source
from nas.datasets._names import Part
from nas.datasets._picture import Unusable

MOST_COMPARED_BYTES = 4 << 30  # of files that are read to find those alike

Places: TypeAlias = dict[str, tuple[Part, int]]


def copies(source: Source, sizes: Mapping[str, int], places: Places, info: DatasetInfo) -> tuple[Remark, ...]:
    """On files that are alike to the byte; one of a size of its own is like no other, and is not read."""
    number = Counter(sizes[name] for name in places)
    alike = [name for name in places if number[sizes[name]] > 1]
    if (size := sum(sizes[name] for name in alike)) > MOST_COMPARED_BYTES:
        text = f"copies are looked for when the images are decoded: {size / 1e9:,.0f} GB are too many to compare now"
        return (Remark(kind="copies", text=text),)
    notes, digests = Notes(), {}
    for name, opener in source.files(alike):
        try:
            with opener() as file:
                digests[name] = hashlib.blake2b(file.read()).digest()
        except Unusable:
            continue
        except OSError as error:
            raise DatasetError(f"{name} cannot be read: {error}") from error
    for name, (part, label) in places.items():
        notes.add(name, part, label, digests.get(name, os.fsencode(name)), grey=True)
    return notes.remarks(info, {})


class Notes:
    """What is noticed of images one after the other."""

    def __init__(self) -> None:
        self._first: dict[bytes, str] = {}  # of every picture that was seen, its first name
        self._seen: dict[bytes, list[tuple[Part, int]]] = {}
        self._twins: dict[bytes, str] = {}  # another name, of another class where there is one
        self._coloured = 0

    def add(self, name: str, part: Part, number: int, digest: bytes, *, grey: bool) -> None:
        """An image of that part and class, with a `digest` of what is in it."""
        self._coloured += not grey
        seen = self._seen.setdefault(digest, [])
        if seen and (digest not in self._twins or number != seen[0][1]):
            self._twins[digest] = name
        self._first.setdefault(digest, name)
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


def told(broken: dict[str, str]) -> str:
    """A few of them by name, with what is wrong with the first."""
    first = min(broken)
    return f"{some([first])} ({broken[first]}){', ' if len(broken) > 1 else ''}{some(broken.keys() - {first})}"
