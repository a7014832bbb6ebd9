"""Roots: the folders that a service reads images from, so that no request can name what lies elsewhere."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Self

from nas.datasets import DatasetError
from nas.refusal import Refusal, shortened

LONGEST = 100  # characters of a path that are repeated


class Outside(DatasetError):
    """A path that no root has, or in which a `link` leads to such a one; the message is the same whether there is
    something or not."""

    def __init__(self, path: str, link: str = "") -> None:
        self.link, where = link, repr(shortened(path, LONGEST))
        told, service = f"{where} lies, or leads,", "it"
        if link:
            told, service = f"{shortened(link, LONGEST)!r} in {where} is a link and leads", "remove it; the service"
        super().__init__(
            f"{told} outside of the folders that this service reads images from: {service} is started with them "
            "(nas serve --images DIR, or NAS_IMAGES), and other images can be sent to it (nas images upload PATH)"
        )


@dataclass(frozen=True)
class Roots:
    """Folders, absolute. What lies in them may be read, and so may what a link in them leads to, if that lies in one of
    them too."""

    folders: tuple[str, ...] = ()

    @classmethod
    def named(cls, folders: Iterable[str]) -> Self:
        """Those that somebody names, each also by its name without links. Raises Refusal for what is no folder."""
        paths = [Path(folder).expanduser() for folder in folders]
        for path in paths:
            if not path.is_dir():
                raise Refusal(f"{str(path)!r} is no folder: name one that images may be read from")
        return cls(
            tuple(dict.fromkeys(name for path in paths for name in (os.path.abspath(path), os.path.realpath(path))))
        )

    def resolved(self, text: str) -> str:
        """The path that `text` means, without links. Raises Outside; only below a root the file system is asked."""
        path = os.path.abspath(os.path.expanduser(text))
        if not self._have(path):
            raise Outside(text)
        try:
            real = os.path.realpath(path)
        except ValueError:  # a NUL, which whoever opens it refuses
            return path
        if not self._have(real):
            raise Outside(text)
        return real

    def check(self, folder: str, link: str) -> None:
        """Raise Outside unless that link in the folder leads to a place below a root."""
        if not self._have(os.path.realpath(os.path.join(folder, link))):
            raise Outside(folder, link)

    def open(self, path: str) -> BinaryIO:
        """The file at `path`. Raises Outside by what has been opened, as links may have changed since they were looked
        at."""
        file = open(path, "rb")  # noqa: SIM115  # closed by the caller
        descriptor = f"/proc/self/fd/{file.fileno()}"
        if not self._have(os.path.realpath(descriptor if os.path.lexists(descriptor) else path)):
            file.close()
            raise Outside(path)
        return file

    def _have(self, path: str) -> bool:
        return any(path == folder or path.startswith(folder.rstrip("/") + "/") for folder in self.folders)
