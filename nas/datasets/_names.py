"""What names say: which files are images, which are a system's own, and which folders are parts and no classes."""

import re
from collections.abc import Iterable
from typing import Literal, TypeAlias

Part: TypeAlias = Literal["train", "validation", "test"]
PARTS: tuple[Part, ...] = ("train", "test", "validation")
UNLABELLED = "unlabelled"  # what is to be told of pictures, and no class of them

IMAGES = frozenset(
    (
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".webp", ".bmp", ".dib", ".tif", ".tiff", ".gif"),
        *(".ppm", ".pgm", ".pbm", ".pnm", ".pcx", ".tga", ".jp2", ".j2k", ".jpx", ".avif"),
    )
)
# Of images and films that cannot be opened here; a folder of them is no folder of notes.
FOREIGN = frozenset(
    (
        *(".heic", ".heif", ".dcm", ".dicom", ".nii", ".svg", ".psd", ".raw", ".cr2", ".cr3", ".nef", ".arw"),
        *(".dng", ".orf", ".rw2", ".raf", ".npy", ".npz", ".mat", ".exr", ".hdr", ".jxl", ".ico", ".eps", ".pdf"),
        *(".mp4", ".mov", ".avi", ".webm", ".mkv", ".parquet", ".tfrecord", ".h5", ".hdf5", ".pkl", ".lmdb"),
    )
)
# Left by Windows, macOS, Synology, QNAP, Linux and Python; all that begins with a dot besides.
JUNK = frozenset(
    (
        *("$recycle.bin", "recycler", "recycled", "system volume information", "found.000", "thumbs.db", "ehthumbs.db"),
        *("ehthumbs_vista.db", "desktop.ini", "folder.jpg~", "__macosx", "icon\r", "network trash folder"),
        *("temporary items", "@eadir", "@tmp", "#recycle", "#snapshot", "@recycle", "@recently-snapshot"),
        *("lost+found", "__pycache__", "synophoto_thumb"),
    )
)
WORDS = {
    "train": ("train", "training", "trn"),
    "test": ("test", "testing", "tst", "eval", "evaluation", "holdout"),
    "validation": ("val", "valid", "validation", "validating", "validate", "dev"),
    UNLABELLED: ("pred", "predict", "prediction", "predictions", "unlabelled", "unlabeled"),
}
MEANING = {word: part for part, words in WORDS.items() for word in words}
KNOWN = "train, training, test, testing, val, valid, validation, also as in Train, test1, train_set or seg_train"
HOMONYMS = frozenset(("train", "training", "valid", "dev"))  # that may well be classes: a vehicle, what is not invalid
FILLING = frozenset(  # what names of parts are filled with
    (
        *("set", "sets", "data", "dataset", "datasets", "image", "images", "img", "imgs", "pic", "pics", "picture"),
        *("pictures", "photo", "photos", "folder", "split", "part", "seg", "full", "all", "sample", "samples"),
        *("example", "examples"),
    )
)


def suffix(name: str) -> str:
    """With its dot and in small letters; "" where there is none."""
    stem, dot, last = name.rpartition("/")[2].rpartition(".")
    return f".{last.lower()}" if dot and stem and last else ""


def junk(name: str) -> bool:
    """Of a system and not the user's, such as .DS_Store, ._0001.jpg, @eaDir/1.jpg or $RECYCLE.BIN."""
    return any(part.startswith((".", "~$", "__MACOSX")) or part.casefold() in JUNK for part in name.split("/"))


def parts(folders: Iterable[str]) -> dict[str, str | None]:
    """What each of the folders beside each other is by its name: a part, UNLABELLED, or None for a class.

    Words that all of them share say nothing: flowers_train and flowers_test are parts.
    """
    words = {folder: _words(folder) for folder in folders}
    named = [set(own) for own in words.values() if any(word in MEANING for word in own)]
    shared = set.intersection(*named) - MEANING.keys() if len(named) > 1 else set()
    return {folder: _part([word for word in own if word not in shared]) for folder, own in words.items()}


def rivals(folders: Iterable[str]) -> tuple[str, str] | None:
    """Two folders of which only the word for a part differs, such as cat_train and cat_test."""
    before: dict[tuple[str, ...], tuple[str, str]] = {}
    for folder in sorted(folders):
        words = _words(folder)
        meanings = {MEANING[word] for word in words if word in MEANING}
        if len(meanings) != 1:
            continue
        meaning = meanings.pop()
        rest = tuple(word for word in words if word not in MEANING)
        other, others = before.setdefault(rest, (folder, meaning))
        if others != meaning:
            return other, folder
    return None


def _words(folder: str) -> list[str]:
    """Of the name, in small letters, without numbers and what fills it: "TrainSet_1" is "train"."""
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", folder).lower()
    words = (_stem(word) for word in re.findall(r"[^\W\d_]+", apart))
    return [word for word in words if word not in FILLING]


def _stem(word: str) -> str:
    """trainset: train."""
    for filling in FILLING:
        if word.endswith(filling) and word.removesuffix(filling) in MEANING:
            return word.removesuffix(filling)
    return word


def _part(words: list[str]) -> str | None:
    meanings = {MEANING.get(word) for word in words}
    return meanings.pop() if len(meanings) == 1 else None


def filling(folder: str) -> bool:
    """Whether the name says nothing, or which part it is, and so cannot be a class's within a part."""
    words = _words(folder)
    return not words or _part(words) is not None


def numbered(folders: Iterable[str]) -> bool:
    """Whether they have one name, and differ by their numbers alone."""
    return len({tuple(_words(folder)) for folder in folders}) == 1
