"""Which image is in which part and class, by the folders that it lies in; and what is said of that."""

import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeAlias

from nas.datasets import DatasetError, Remark, _names
from nas.datasets._listing import Listing
from nas.datasets._names import KNOWN, PARTS, UNLABELLED, Part
from nas.refusal import one_line

NAMED = 5  # of files and folders, in a sentence
Way: TypeAlias = tuple[str, ...]  # the folders to a file, and its name


@dataclass(frozen=True, kw_only=True)
class Layout:
    """`places` gives every image's part and the number of its class. Parts that nothing lies in are made of others."""

    classes: tuple[str, ...]
    places: dict[str, tuple[Part, int]]
    remarks: tuple[Remark, ...]


def layout(path: Path, listing: Listing) -> Layout:
    """Raises DatasetError for folders that cannot be used, or may mean two things."""
    remarks: list[Remark] = []
    root, ways = _unwrapped({name: tuple(name.split("/")) for name in listing.files})
    ways_within = _parted(path, ways, remarks)
    images = _classed(path, ways_within)
    _spell(images)
    _check(path, images)
    _note_cases(images, remarks)
    beside = {"/".join(name.split("/")[: -len(way)]) for name, (_, way) in ways_within.items()}
    _note_others(path, listing, root, beside | {root}, remarks)
    if not images["test"] and images["validation"]:
        images["test"], images["validation"] = images["validation"], {}
        remarks.append(Remark(kind="parts", text="there are no test images: the validation images are tested on"))
    classes = tuple(sorted(images["train"]))
    numbers = {name: number for number, name in enumerate(classes)}
    return Layout(
        classes=classes,
        places={
            file: (part, numbers[name]) for part in PARTS for name, files in images[part].items() for file in files
        },
        remarks=tuple(remarks),
    )


def some(names: Iterable[str]) -> str:
    """A few of them, as they can be shown."""
    listed = sorted(names)
    shown = [name.encode(errors="surrogateescape").decode(errors="replace") for name in listed[:NAMED]]
    return ", ".join(shown) + (", …" if len(listed) > NAMED else "")


def _unwrapped(ways: dict[str, Way]) -> tuple[str, dict[str, Way]]:
    """Without the folders that all else is in, as where an archive was made of a folder by its name; and those."""
    root = ""
    while len(tops := {way[0] for way in ways.values()}) == 1 and all(len(way) > 2 for way in ways.values()):
        root += f"{tops.pop()}/"
        ways = {name: way[1:] for name, way in ways.items()}
    return root.rstrip("/"), ways


def _parted(path: Path, ways: dict[str, Way], remarks: list[Remark]) -> dict[str, tuple[Part, Way]]:
    """Each image's part, and its way from there."""
    tops: dict[str, list[str]] = {}
    for name, way in ways.items():
        if len(way) > 1:
            tops.setdefault(way[0], []).append(name)
    loose = {top for top, names in tops.items() if any(len(ways[name]) == 2 for name in names)}
    parts = _names.parts(tops)
    known = {part for part in parts.values() if part}
    classes, odd = {top for top in tops if not parts[top]}, {top for top in tops if parts[top]}
    within = {ways[name][1] for top in odd - loose for name in tops[top]}
    if "train" not in known and within and within <= classes and not odd & loose:
        # The classes to train on lie beside the folder of those to test on.
        beside = {name: way if way[0] in odd else ("train", *way) for name, way in ways.items()}
        return _assigned(path, beside, parts | {"train": "train"}, remarks)
    if known - {UNLABELLED} and (
        not classes or len(known) > 1 or ("train" in known and not _of(parts, "train") & loose)
    ):
        return _split(path, ways, parts, loose, remarks)
    if strange := {top for top in odd if top.lower() not in _names.HOMONYMS}:
        raise DatasetError(
            f"{path}: folder {min(strange)!r} lies beside {some(classes)}, and is by its name a part of the images and "
            f"no class: put the classes into a folder train beside it, or rename it (parts are called {KNOWN})"
        )
    if swapped := _swapped(ways, tops):
        return _assigned(path, swapped, _names.parts({way[0] for way in swapped.values()}), remarks)
    _refuse_unknown_parts(path, ways, tops, loose)
    return {name: ("train", way) for name, way in ways.items()}


def _of(parts: dict[str, str | None], part: str) -> set[str]:
    return {top for top, own in parts.items() if own == part}


def _split(
    path: Path, ways: dict[str, Way], parts: dict[str, str | None], loose: set[str], remarks: list[Remark]
) -> dict[str, tuple[Part, Way]]:
    if not _of(parts, "train"):
        raise DatasetError(
            f"{path} has {some(parts)} and no folder of images to train on: call it train (parts are called {KNOWN})"
        )
    if unsorted := _of(parts, "train") & loose:
        stray = next(name for name, way in ways.items() if len(way) == 2 and way[0] in unsorted)
        raise DatasetError(
            f"{path}: {stray} lies in no class, as its folder is by its name a part of the images: sort what is in "
            f"{some(unsorted)} into one folder for each class, such as train/cat/…{_table(path)}"
        )
    return _assigned(path, ways, parts, remarks)


def _assigned(
    path: Path, ways: dict[str, Way], parts: dict[str, str | None], remarks: list[Remark]
) -> dict[str, tuple[Part, Way]]:
    """By what each top folder is; others are left out, and that is said."""
    used: dict[Part, dict[str, list[str]]] = {part: {} for part in PARTS}
    lost: Counter[str] = Counter()
    for name, way in ways.items():
        part = parts.get(way[0])
        if part in PARTS and len(way) > 1:
            used[part].setdefault(way[0], []).append(name)
        else:
            lost[way[0]] += 1
    told = (f"{part} from {some(tops)}" for part, tops in used.items() if tops)
    remarks.append(Remark(kind="parts", text=f"the folders say which images are for what: {', '.join(told)}"))
    for top, count in sorted(lost.items()):
        why = "have no labels" if parts.get(top) == UNLABELLED else "are in none of the parts"
        text = f"{count:,} images of {some([top])} are left out: they {why}"
        remarks.append(Remark(kind="left out", images=count, text=text))
    inner = {}
    for part, tops in used.items():
        for top, names in tops.items():
            for name, way in _inner(top, {name: ways[name][1:] for name in names}).items():
                inner[name] = (part, way)
    return inner


def _inner(top: str, ways: dict[str, Way]) -> dict[str, Way]:
    """Of a part, without a folder in it that all is in and that is no class: train/train/…, test/images/…."""
    while all(len(way) > 1 for way in ways.values()) and len(seconds := {way[0] for way in ways.values()}) == 1:
        second = seconds.pop()
        if second != top and not _names.filling(second):
            break
        ways = {name: way[1:] for name, way in ways.items()}
    return ways


def _swapped(ways: dict[str, Way], tops: dict[str, list[str]]) -> dict[str, Way] | None:
    """As part/class/…, where they are class/part/…."""
    if len(tops) < 2 or not all(len(way) == 3 for way in ways.values()):
        return None
    parts = _names.parts({way[1] for way in ways.values()})
    if not all(parts.values()) or "train" not in parts.values():
        return None
    return {name: (way[1], way[0], *way[2:]) for name, way in ways.items()}


def _refuse_unknown_parts(path: Path, ways: dict[str, Way], tops: dict[str, list[str]], loose: set[str]) -> None:
    """Folders that hold the same folders are parts under unknown names, such as fold_0 and fold_1; to tell them apart
    would mean nothing. So would it with cat_train and cat_test."""
    if pair := _names.rivals(tops):
        raise DatasetError(
            f"{path}: folders {pair[0]!r} and {pair[1]!r} are by their names parts of one class, and not two: make "
            "it train/CLASS/… and test/CLASS/…"
        )
    nested = [top for top in tops if top not in loose]
    if len(nested) < 2:
        return
    shared = frozenset.intersection(*(frozenset(ways[name][1] for name in tops[top]) for top in nested))
    fewest = 1 if _names.numbered(nested) else 2
    if len(shared) >= fewest:
        raise DatasetError(
            f"{path}: the folders {some(nested)} all have the folders {some(shared)}, as parts of the images have and "
            f"classes have not: parts are called {KNOWN}; rename them, or take the images out of the inner folders"
        )


def _classed(path: Path, ways: dict[str, tuple[Part, Way]]) -> dict[Part, dict[str, list[str]]]:
    images: dict[Part, dict[str, list[str]]] = {part: {} for part in PARTS}
    for name, (part, way) in ways.items():
        if len(way) < 2:
            raise DatasetError(
                f"{path}: {some([name])} lies in no class: move it into its class's folder, or away{_table(path)}"
            )
        images[part].setdefault(unicodedata.normalize("NFC", way[0]), []).append(name)
    return images


def _table(path: Path) -> str:
    """That labels in a table beside the images are not read, where there is one."""
    tables = [*path.glob("*.csv"), *path.glob("*/*.csv")] if path.is_dir() else []
    names = some(str(table.relative_to(path)) for table in tables)
    return f"; classes are folders, and labels are not read from {names}" if names else ""


def _spell(images: dict[Part, dict[str, list[str]]]) -> None:
    """Classes of other parts as in train, where they differ by upper and lower case alone: train/Cat and test/cat."""
    spelled: dict[str, list[str]] = {}
    for name in images["train"]:
        spelled.setdefault(name.casefold(), []).append(name)
    for part in PARTS[1:]:
        for name in [name for name in images[part] if name not in images["train"]]:
            same = spelled.get(name.casefold(), [])
            if len(same) == 1:
                images[part].setdefault(same[0], []).extend(images[part].pop(name))


def _check(path: Path, images: dict[Part, dict[str, list[str]]]) -> None:
    train = images["train"]
    if len(train) < 2:
        raise DatasetError(
            f"{path} has one class ({some(train)}): there is nothing to tell apart; give each class its folder"
            f"{_table(path)}"
        )
    for name in train:
        if not one_line(name):
            raise DatasetError(f"{path}: class {name!r} has a name that cannot be shown: rename its folder")
    for part in PARTS[1:]:
        if unknown := images[part].keys() - train.keys():
            raise DatasetError(
                f"{path}: class {min(unknown)!r} is missing from train: add its folder there, or remove it"
            )
    testing: Part = "test" if images["test"] else "validation"
    if images[testing] and (lacking := train.keys() - images[testing].keys()):
        raise DatasetError(
            f"{path}: class {min(lacking)!r} is missing from {testing}: add its folder there, or remove it"
        )
    least = 3 - bool(images["test"]) - bool(images["validation"])
    for name, files in train.items():
        if len(files) < least:
            raise DatasetError(
                f"{path}: class {name!r} has {len(files)} of the {least} images that are needed, "
                f"one each to train, validate{'' if least == 2 else ' and test'}: add some, or remove its folder"
            )


def _note_cases(images: dict[Part, dict[str, list[str]]], remarks: list[Remark]) -> None:
    """Letters may be meant, so they are told apart."""
    folded: dict[str, list[str]] = {}
    for name in images["train"]:
        folded.setdefault(name.casefold(), []).append(name)
    for alike in folded.values():
        if len(alike) > 1:
            text = f"classes {some(alike)} differ by upper and lower case alone, and are told apart: put them into one"
            remarks.append(Remark(kind="classes", text=f"{text} folder if they are the same"))


def _note_others(path: Path, listing: Listing, root: str, beside: set[str], remarks: list[Remark]) -> None:
    """Folders without images where those of classes are, `beside` each other, and files that are no images."""
    folders = {name.rpartition("/")[0] for name in listing.files}
    occupied = {str(folder) for name in folders for folder in (PurePosixPath(name), *PurePosixPath(name).parents)}
    empty = [name for name in listing.folders if name not in occupied and name.rpartition("/")[0] in beside]
    for name in empty:
        foreign = [other for other in listing.others if other.startswith(f"{name}/") and _foreign(other)]
        if foreign:
            raise DatasetError(
                f"{path}: {some([name])} has no image that can be opened, but {len(foreign):,} such as "
                f"{some(foreign[:1])}: convert them to JPEG or PNG, or remove the folder"
            )
    if empty:
        text = f"{some(empty)} {'has' if len(empty) == 1 else 'have'} no images, and count as no classes"
        remarks.append(Remark(kind="left out", text=text))
    kinds = Counter(
        _names.suffix(name) or "without a suffix" for name in listing.others if name.rpartition("/")[0] != root
    )
    if kinds:
        told = ", ".join(f"{count:,} {kind}" for kind, count in kinds.most_common(NAMED))
        text = f"files that are left out, as they are no images that can be opened: {told}"
        remarks.append(Remark(kind="left out", text=text))


def _foreign(name: str) -> bool:
    return _names.suffix(name) in _names.FOREIGN
