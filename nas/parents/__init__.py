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
from nas.tracebacks import blamed

if TYPE_CHECKING:
    from torch import nn

LONGEST = 200  # characters of a name that are repeated
MOST_PIXELS = 128
NEEDS = ("FORM", "names", "has", "described", "load")


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
    return _described(*_kind(name), name)


def load(name: str) -> "tuple[nn.Module, Parent]":
    """The network in evaluation mode, and what is known of it. Raises NotInstalled and ValueError."""
    plugin, kind = _kind(name)
    parent = _described(plugin, kind, name)
    if parent.missing:
        raise NotInstalled(parent.missing)
    return kind.load(name), parent


@dataclass(frozen=True, kw_only=True)
class Listing:
    """What there is to begin with."""

    parents: tuple[Parent, ...]
    """All that have names of their own, and can be described."""
    others: tuple[str, ...]
    """How those are named that are not listed, in words."""
    problems: tuple[str, ...]
    """What is wrong with kinds of parents, and with parents, that are not listed for it."""


def listing() -> Listing:
    working, broken = _kinds()
    found, problems = list[Parent](), list(broken)
    for plugin, kind in working.items():
        for name in kind.names():
            try:
                found.append(_described(plugin, kind, name))
            except plugins.FAULTS as error:
                problems.append(str(error))
    return Listing(parents=tuple(found), others=_others(working), problems=tuple(problems))


def _others(working: dict[str, Kind]) -> tuple[str, ...]:
    return tuple(kind.FORM for kind in working.values() if not kind.names())


def _kinds(asked: str = "") -> tuple[dict[str, Kind], tuple[str, ...]]:
    """The kinds that work, so far that they say whether they have a parent of the name that is `asked` for, and what is
    wrong with the others: they must not keep the parents of these away."""
    working, broken = dict[str, Kind](), list[str]()
    for plugin in plugins.names(__name__):
        try:
            kind = cast(Kind, plugins.load(__name__, plugin, *NEEDS))
            kind.names()
            kind.has(asked)
        except plugins.BrokenPlugin as error:
            broken.append(str(error))
        except plugins.FAULTS as error:
            broken.append(f"parents of kind {plugin!r} cannot be listed: {_blamed(error, plugin)}")
        else:
            working[plugin] = kind
    return working, tuple(broken)


def _described(plugin: str, kind: Kind, name: str) -> Parent:
    try:
        return kind.described(name)
    except (ValueError, OSError, ImportError):
        raise
    except plugins.FAULTS as error:
        said = f"parent {shortened(name, LONGEST)!r} cannot be described: {_blamed(error, plugin)}"
        raise plugins.BrokenPlugin(said) from error


def _kind(name: str) -> tuple[str, Kind]:
    """The plug-in that has such parents, by its name."""
    working, broken = _kinds(name)
    for plugin, kind in working.items():
        if kind.has(name):
            return plugin, kind
    there = (*(name for kind in working.values() for name in kind.names()), *_others(working), *broken)
    raise UnknownParent(f"unknown parent {shortened(name, LONGEST)!r}: there are {', '.join(there)}")


def _blamed(error: BaseException, plugin: str) -> str:
    return blamed(error, plugins.file(__name__, plugin))
