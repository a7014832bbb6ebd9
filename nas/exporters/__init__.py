"""Exporters: what a trained network is handed out as. One file each, found by name.

Each writes one file and runs it by the runtime that it is for, so that what is handed out has been tried.
"""

import functools
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, cast

from nas import extras, plugins

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import nn

    from nas.models.checkpoint import Card

Logits: TypeAlias = "Callable[[NDArray[np.uint8]], NDArray[np.float32]]"
"""Raw images, uint8 (N, channels, height, width), to float32 (N, classes)."""


NEEDS = ("FILE", "PACKAGES", "AGREES", "export", "opened")

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Source:
    """What is exported: a checkpoint, and what it was loaded as."""

    checkpoint: Path
    network: "nn.Module"
    """In evaluation mode, on the CPU."""
    card: "Card"
    dataset: str | None = None
    """Where its images are now, if its card's name for them does not hold here."""


class Exporter(Protocol):
    """A module in `nas/exporters/`. `EXTRA` and `LOSES` may be left out."""

    FILE: str
    """What its file is called in an archive."""
    PACKAGES: tuple[str, ...]
    """What it needs beside torch and numpy, to export and to run."""
    EXTRA: str
    """Which extra of this package brings that; empty: none does."""
    AGREES: float
    """By how much of the largest its logits may differ from torch's. Where the best two are closer than that, an image
    counts as right by either."""
    LOSES: float
    """How much of its accuracy, from 0 to 1, the form may cost for its file to be offered."""

    def export(self, source: Source, path: Path) -> str | None:
        """Write the file; the device that measures how fast it is, None where there is none. Raises whatever is in the
        way: the others are exported all the same."""
        ...

    def opened(self, path: Path) -> Logits:
        """The network in the file at `path`, which lies in an archive's folder, in its own runtime."""
        ...


def names() -> tuple[str, ...]:
    """The exporters that can be loaded, in alphabetical order: a broken one must not keep the others' files back."""
    return tuple(name for name in plugins.names(__name__) if _works(name))


def load(name: str) -> Exporter:
    """The exporter of that name, which imports nothing heavy by itself, with what it leaves out."""
    module = plugins.load(__name__, name, *NEEDS)
    for left_out, default in (("EXTRA", ""), ("LOSES", 0.0)):
        if not hasattr(module, left_out):
            setattr(module, left_out, default)
    return cast(Exporter, module)


def _works(name: str) -> bool:
    try:
        load(name)
    except plugins.BrokenPlugin as error:
        _warn(str(error))
        return False
    return True


@functools.cache
def _warn(text: str) -> None:
    """Once."""
    log.warning("%s; models are handed out without it", text)


def missing(name: str) -> str | None:
    """What is not installed that the exporter needs, and how to get it; None where all is."""
    exporter = load(name)
    return extras.missing(f"exporter {name!r}", exporter.EXTRA, *exporter.PACKAGES)


def of_file(file: str) -> str | None:
    """The name of the exporter that writes a file of that name."""
    return next((name for name in names() if file == load(name).FILE), None)


def shown(card: "Card") -> dict[str, Any]:
    """What a file says of itself: how a picture becomes what its network is given, and what its answers are called."""
    resolution = card.architecture.images.resolution
    return {
        "classes": card.classes,
        "pixels": card.pixels or resolution,
        "greys": card.greys,
        "resolution": resolution,
        "mean": card.mean,
        "std": card.std,
    }
