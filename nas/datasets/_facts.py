"""What a set of images is as a whole, by the headers of many of them: grey or in colour, how large, how deep."""

import json
import math
import os
import statistics
import zlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nas.codec import decode
from nas.datasets import DatasetError, _picture
from nas.datasets._archive import keep
from nas.datasets._listing import Listing, Source, digest
from nas.datasets._picture import Depth, Header

SAMPLE = 1024  # images whose headers are looked at; where all of them are grey, as many as
MOST_HEADERS = 100_000
DEEP_SAMPLE, DEEP_PIXELS = 256, 16_384  # images of more than 8 bits that are decoded, and pixels of each that count
OUTSIDE = 0.1  # per cent of them that may be darker, and lighter, than what becomes 0 and 255
VERSION = "1"


@dataclass(frozen=True, kw_only=True)
class Facts:
    grey: bool
    """Whether no image has colours."""
    sides: tuple[int, int, int]
    """The shorter side in pixels, of the smallest image, the median, and the largest."""
    deep: bool
    """Whether there are greys of more than 8 bits."""
    depth: Depth
    """How these become 8."""


def facts(source: Source, listing: Listing, path: Path, cache: Path) -> Facts:
    """Looked for once, and kept in `cache`. Raises DatasetError where there is no image at all."""
    kept = cache / f"facts-{digest([listing.digest, VERSION])}.json"
    try:
        return decode(Facts, json.loads(kept.read_text()))
    except (OSError, ValueError):  # not there, or damaged
        fresh = _facts(source, listing, path)
    keep(kept, fresh, path)
    return fresh


def spread(names: Iterable[str]) -> list[str]:
    """In an order whose first ones are of all folders, and from anywhere in them; the same order for everybody."""
    seen: Counter[str] = Counter()
    ranked = []
    for name in sorted(names, key=lambda name: (zlib.crc32(os.fsencode(name)), name)):
        folder = name.rpartition("/")[0]
        ranked.append((seen[folder], name))
        seen[folder] += 1
    return [name for _, name in sorted(ranked)]


def _facts(source: Source, listing: Listing, path: Path) -> Facts:
    order = spread(listing.files)
    headers = dict(source.headers(order[:SAMPLE]))
    if all(header is None or header.grey for header in headers.values()):
        headers |= source.headers(order[SAMPLE:MOST_HEADERS])
    images = [header for header in headers.values() if header]
    if not images:
        raise DatasetError(
            f"{path}: none of the images looked at, such as {order[0]}, can be opened: {_reason(source, order[0])}"
        )
    sides = [header.shorter_side for header in images]
    return Facts(
        grey=all(header.grey for header in images),
        sides=(min(sides), int(statistics.median(sides)), max(sides)),
        deep=any(header.deep for header in images),
        depth=_depth(source, order, headers),
    )


def _reason(source: Source, name: str) -> str:
    with _picture.strict():
        for _, opener in source.files([name]):
            try:
                with opener() as file:
                    _picture.header(file)
            except _picture.Unusable as error:
                return str(error)
    return "it was replaced meanwhile"


def _depth(source: Source, order: list[str], headers: dict[str, Header | None]) -> Depth:
    """Where all images are deep, so that what they use becomes 0 to 255. Beside images of 8 bits, which are of any
    brightness, so that the number of bits that they use becomes 8."""
    deep = [name for name in order if (header := headers.get(name)) and header.deep][:DEEP_SAMPLE]
    if not deep:
        return Depth()
    greys, highest = [], 0.0
    with _picture.strict():
        for _, opener in source.files(deep):
            try:
                with opener() as file:
                    values = _picture.greys(file)
            except _picture.Unusable:
                continue
            if values is not None and np.isfinite(values).all():
                highest = max(highest, float(values.max()))
                greys.append(values.ravel()[:: math.ceil(values.size / DEEP_PIXELS)])
    if greys and all(header is None or header.deep for header in headers.values()):
        low, high = np.percentile(np.concatenate(greys), [OUTSIDE, 100 - OUTSIDE])
        if high > low:
            return Depth(low=float(low), high=float(high))
    bits = max(8, math.ceil(math.log2(highest + 1)))
    return Depth(high=255.0 * 2 ** (bits - 8))
