"""Parents: trained networks whose weights another one begins with, a file a kind.

`described` needs the standard library only, and `load` torch. What is shown to a network has to look like what its
parent was trained on, so the preprocessing travels with the weights.
"""

import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Protocol, cast

from nas import plugins
from nas.extras import NotInstalled
from nas.networks.lowering import AnyArchitecture
from nas.recipes import Split
from nas.refusal import shortened

if TYPE_CHECKING:
    from torch import nn

LONGEST = 200  # characters of a name that are repeated
MOST_PIXELS = 128


class UnknownParent(ValueError):
    """No parent of that name; the message says which there are, and how others are named."""


@dataclass(frozen=True, kw_only=True)
class Origin:
    """A published network, from whose weights others come."""

    name: str
    """What it is asked for by."""
    dataset: str
    """The images that it was trained on."""
    source: str
    """Where its weights are from."""
    licence: str
    """What they may be used by."""


@dataclass(frozen=True, kw_only=True)
class Parent:
    """What is known of a trained network before its weights are read."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    name: str
    """What it is asked for by."""
    architecture: AnyArchitecture
    """The network."""
    classes: tuple[str, ...] = ()
    """The names of its answers, in the order of the logits; empty where they are not known."""
    mean: tuple[float, ...]
    """What is subtracted from each channel of an image. Images go in as (value / 255 - mean) / std."""
    std: tuple[float, ...]
    """What each channel is divided by then."""
    dataset: str
    """The images that it was trained on."""
    accuracy: float | None = None
    """Its accuracy on such images that it was not trained on, from 0 to 1; null where it is not known."""
    source: str
    """Where its weights are from."""
    licence: str | None = None
    """What its weights may be used by; null where they are the user's own."""
    began_with: Origin | None = None
    """What the weights of a user's own network come from; null where it is nothing published, or not known."""
    shared: bool = False
    """Whether smaller networks were trained with its weights as well: what they are made of comes first in it."""
    split: Split | None = None
    """What was held out of the images that it was trained on; null: nothing, or it is not known."""
    sha256: str | None = None
    """The SHA-256 of the file of its weights, where that is known in advance."""
    missing: str | None = field(default=None, compare=False)
    """Why its weights are not to be had here, and how to get them; null: they are."""

    @property
    def pixels(self) -> int:
        """Pixels a side at which images are seen by what is cut out of it, where nobody says: as it saw its own, which
        are the features that it knows, up to so many that a processor fine-tunes it in minutes."""
        return min(MOST_PIXELS, self.architecture.images.resolution)

    @property
    def origin(self) -> Origin | None:
        """The published network that its weights come from, which may be itself."""
        if self.licence is None:
            return self.began_with
        return Origin(name=self.name, dataset=self.dataset, source=self.source, licence=self.licence)

    def has_seen(self, dataset: str, split: Split) -> bool:
        """Whether it may have been trained on images of that dataset that are held out by turns of such a split."""
        return self.dataset == dataset and (split.folds > 1 or self.split != split)

    def preprocessing(self, channels: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and standard deviation for images of so many channels: grey ones are shown as a colour image whose
        channels are alike would be, on the average."""
        if channels == len(self.mean):
            return self.mean, self.std
        return (statistics.fmean(self.mean),) * channels, (statistics.fmean(self.std),) * channels


class Kind(Protocol):
    """A module of this package: parents from one place."""

    FORM: str
    """How its parents are named, in a few words."""

    def names(self) -> tuple[str, ...]:
        """Those that can be listed."""
        ...

    def has(self, name: str) -> bool:
        """Whether a name is one of this kind's, be there such a parent or not."""
        ...

    def described(self, name: str) -> Parent:
        """Raises UnknownParent, or another ValueError where what is there cannot be a parent."""
        ...

    def load(self, name: str) -> "nn.Module":
        """The network in evaluation mode. Raises ValueError where its file is not what it should be."""
        ...


def described(name: str) -> Parent:
    """What is known of the parent of that name. Raises UnknownParent, and other ValueErrors for what cannot be one."""
    return _kind(name).described(name)


def load(name: str) -> "tuple[nn.Module, Parent]":
    """The network in evaluation mode, and what is known of it. Raises NotInstalled and ValueError."""
    kind = _kind(name)
    parent = kind.described(name)
    if parent.missing:
        raise NotInstalled(parent.missing)
    return kind.load(name), parent


def listed() -> tuple[Parent, ...]:
    """All that have names of their own."""
    return tuple(kind.described(name) for kind in kinds() for name in kind.names())


def others() -> tuple[str, ...]:
    """How those are named that are not listed, in words."""
    return tuple(kind.FORM for kind in kinds() if not kind.names())


def kinds() -> tuple[Kind, ...]:
    return tuple(cast(Kind, plugins.load(__name__, kind)) for kind in plugins.names(__name__))


def _kind(name: str) -> Kind:
    for kind in kinds():
        if kind.has(name):
            return kind
    there = (*(name for kind in kinds() for name in kind.names()), *others())
    raise UnknownParent(f"unknown parent {shortened(name, LONGEST)!r}: there are {', '.join(there)}")
