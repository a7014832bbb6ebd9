"""Checkpoint files of this service, or of another one: file:/path/to/a.safetensors, with the card in their headers."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from nas.models import checkpoint
from nas.models.checkpoint import BadCheckpoint
from nas.parents import Parent, UnknownParent
from nas.parents import model as kept

if TYPE_CHECKING:
    from torch import nn

    import nas.parents.file
    from nas.parents import Kind

    _satisfied: Kind = nas.parents.file

PREFIX = "file:"
FORM = "file:/path/to/a.safetensors of a checkpoint that was downloaded from a service (nas download)"
PICKLES = (".bin", ".ckpt", ".pickle", ".pkl", ".pt", ".pth")


def names() -> tuple[str, ...]:
    return ()


def has(name: str) -> bool:
    return name.startswith(PREFIX)


def described(name: str) -> Parent:
    return kept.parent(name, checkpoint.card(_path(name)))


def load(name: str) -> "nn.Module":
    return checkpoint.load(_path(name))[0]


def imported(name: str, opened: Callable[[str], BinaryIO]) -> str:
    """The SHA-256 by which the file's copy in the artifact folder goes; `opened` opens it, and may refuse to. Raises
    UnknownParent, BadCheckpoint and OSError."""
    path = _path(name)
    with opened(str(path)) as file:
        data = file.read()
    sha256 = hashlib.sha256(data).hexdigest()
    checkpoint.keep(checkpoint.artifact(sha256), data)
    return sha256


def _path(name: str) -> Path:
    path = Path(name.removeprefix(PREFIX)).expanduser()
    if path.suffix in PICKLES:
        raise BadCheckpoint(
            f"{path} is a pickle, which may do anything when it is read, and is not: give a checkpoint of this service "
            "as .safetensors"
        )
    if not path.is_file():
        raise UnknownParent(f"there is no file {str(path)!r}: give the path of a checkpoint")
    return path
