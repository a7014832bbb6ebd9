"""Tables of images as Hugging Face keeps them: files of Parquet, each of a part, with a column of images and one of
labels."""

import contextlib
import json
import re
from collections.abc import Collection, Iterator, Mapping
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

from nas import extras
from nas.datasets import DatasetError
from nas.datasets._archive import Archive, Member
from nas.datasets._listing import Draft, Listing, Opener
from nas.datasets._picture import Header
from nas.roots import Roots

SUFFIX = ".parquet"
IMAGES = ("image", "img", "picture", "pixel_values")
LABELS = ("label", "labels", "fine_label", "class", "category", "target")
UNLABELLED = ".unlabelled"  # a suffix that no image has, so that those are left out and told
ROWS = 64  # that are held at once


class Tables:
    """Several such files, whose images are named as if they lay in folders: part/class/table-row."""

    def __init__(self, path: Path, names: Collection[str], cache: Path, roots: Roots | None = None) -> None:
        if reason := extras.missing(f"{path}, a dataset of Parquet files,", "parquet", "pyarrow"):
            raise DatasetError(reason)
        self._tables = [
            Archive(path / name, cache, partial(_rows, part=_part(name), number=number), roots, streamed=True)
            for number, name in enumerate(sorted(names))
        ]

    def listing(self) -> Listing:
        draft, stamps = Draft(), []
        for table in self._tables:
            listed = table.listing()
            draft.files |= {name: (size, 0) for name, size in listed.files.items()}
            draft.folders |= dict.fromkeys(listed.folders)
            draft.others.extend(listed.others)
            draft.headers |= listed.headers
            stamps.append(listed.digest)
        return draft.listing(" ".join(stamps))

    def headers(self, names: Collection[str]) -> Mapping[str, Header | None]:
        return {name: header for table in self._tables for name, header in table.listing().headers.items()}

    def files(self, names: Collection[str]) -> Iterator[tuple[str, Opener]]:
        return chain.from_iterable(table.files(names) for table in self._tables)


def _rows(path: Path, file: BinaryIO, *, part: str, number: int) -> Iterator[Member]:
    import pyarrow
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.ParquetFile(file)
        image, label, classes = _columns(path, table.schema_arrow)
        row = 0
        for batch in table.iter_batches(ROWS, columns=[image, label]):
            for cell, answer in zip(batch.column(0).to_pylist(), batch.column(1).to_pylist()):
                data = (cell.get("bytes") if isinstance(cell, dict) else cell) or b""
                own = _class(path, answer, classes)
                name = "/".join(filter(None, (part, own, f"{number}-{row:07}{'' if own else UNLABELLED}")))
                row += 1
                yield Member(name=name, size=len(data), time=0, folder=False, read=partial(bytes, data))
    except pyarrow.ArrowException as error:
        raise DatasetError(f"{path} cannot be read as Parquet: {error}") from error


def _columns(path: Path, schema: Any) -> tuple[str, str, list[str] | None]:
    """The columns of images and of labels, and the names of the classes that labels count."""
    features: dict[str, Any] = {}
    with contextlib.suppress(KeyError, TypeError, ValueError):
        features = json.loads(schema.metadata[b"huggingface"])["info"]["features"]
    kinds = {name: kind for name, kind in features.items() if isinstance(kind, dict)}
    images = [name for name, kind in kinds.items() if kind.get("_type") == "Image"] + [*IMAGES]
    labels = [name for name, kind in kinds.items() if kind.get("_type") == "ClassLabel"] + [*LABELS]
    found = [next((name for name in names if name in schema.names), None) for names in (images, labels)]
    if None in found:
        raise DatasetError(
            f"{path} has columns {', '.join(schema.names)}: it needs one of images, such as {IMAGES[0]!r}, and one of "
            f"labels, such as {LABELS[0]!r}"
        )
    image, label = map(str, found)
    names = kinds.get(label, {}).get("names")
    return image, label, list(map(str, names)) if isinstance(names, list) else None


def _class(path: Path, answer: object, classes: list[str] | None) -> str:
    """The name of a folder for the class; "" for images without a label."""
    if answer is None or answer == -1:
        return ""
    if classes is None or not isinstance(answer, int):
        return str(answer).replace("/", "-")
    if not 0 <= answer < len(classes):
        raise DatasetError(f"{path} has label {answer}, and names for 0 to {len(classes) - 1}")
    return classes[answer].replace("/", "-")


def _part(name: str) -> str:
    """ "data/train-00000-of-00002.parquet" and "train/0000.parquet" are of "train"."""
    folder, _, file = name.rpartition("/")
    stem = re.sub(r"(-\d+-of-\d+)?\.parquet$", "", file)
    return folder.rpartition("/")[2] if stem.isdigit() else stem
