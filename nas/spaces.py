"""Search spaces by name.

A space is a file in `search_spaces/`, or in a folder that NAS_SPACES names, with `knobs(images)` and
`architecture(choices, images)`. `canonical` and `build` may be left out: then every choice counts as another network,
and `nas.networks.blocks` builds it. One with `around(parent)`, which gives another space, is searched around a parent.
One with `nested(images)` says which choices of some knobs are left where networks share their weights, one with
`wirings(images)` which cells its knobs make up.
"""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Protocol, TypeVar, cast

from nas import parents, plugins
from nas.networks.architecture import Choice, Choices, Images, Knobs
from nas.networks.lowering import AnyArchitecture
from nas.refusal import Refusal
from nas.tracebacks import blamed
from nas.wiring import Wiring

if TYPE_CHECKING:
    from torch import nn

NEEDS = ("knobs", "architecture")

Answer = TypeVar("Answer")


class SearchSpace(Protocol):
    """A module in `search_spaces/`: which knobs there are for such images, and what their choices mean."""

    def knobs(self, images: Images) -> Knobs:
        """Each knob's name and its choices; the names and their order are the same for equal `images`."""
        ...

    def architecture(self, choices: Choices, images: Images) -> AnyArchitecture:
        """The network that `choices`, one per knob, describe."""
        ...

    def canonical(self, choices: Choices, images: Images) -> Choices:
        """The one representative of all choices that build the same network (an inert knob at its first choice)."""
        ...

    def build(self, architecture: AnyArchitecture) -> "nn.Module":
        """The network with fresh weights: float images (N, channels, resolution, resolution) to logits (N, classes)."""
        ...


def load(name: str, parent: str | None = None) -> SearchSpace:
    """The space of that name, around the `parent` of that name if one is given. Raises plugins.UnknownPlugin,
    parents.UnknownParent and plugins.BrokenPlugin, and Refusal where the space is not for such parents."""
    if parent is not None:
        return around(name, parents.described(parent).architecture)
    return _guarded(name, complete(_module(name)))


def around(name: str, parent: AnyArchitecture) -> SearchSpace:
    """The space of that name around a parent. Raises as `load` does."""
    check_around(name)
    return _guarded(name, cast(SearchSpace, _module(name).around(parent)))


def check_around(name: str) -> None:
    """Raise Refusal where the space is not searched around any parent."""
    if not hasattr(_module(name), "around"):
        there = ", ".join(surrounding())
        raise Refusal(f"space {name!r} cannot be searched around a parent: there are {there}", field="space")


@dataclass(frozen=True)
class Guarded:
    """A space of the user's own. Whatever its functions raise but ValueError, which says that there is no such network,
    is raised as BrokenPlugin, so that whoever meets it is told whose code it is."""

    name: str
    own: SearchSpace

    def knobs(self, images: Images) -> Knobs:
        return self._tried("knobs", lambda: self.own.knobs(images))

    def architecture(self, choices: Choices, images: Images) -> AnyArchitecture:
        return self._tried("architecture", lambda: self.own.architecture(choices, images), choices)

    def canonical(self, choices: Choices, images: Images) -> Choices:
        return self._tried("canonical", lambda: self.own.canonical(choices, images), choices)

    def build(self, architecture: AnyArchitecture) -> "nn.Module":
        return self.own.build(architecture)

    def __getattr__(self, name: str) -> object:  # what only some spaces have
        if name == "own":  # of a copy that has none yet
            raise AttributeError(name)
        return getattr(self.own, name)

    def _tried(self, function: str, answer: Callable[[], Answer], choices: Choices | None = None) -> Answer:
        try:
            return answer()
        except (ValueError, MemoryError):
            raise
        except plugins.FAULTS as error:
            where = plugins.file("search_spaces", self.name)
            shown = f", for {choices}" if choices else ""
            said = f"search space {self.name!r}: {function} raises {blamed(error, where)}{shown}"
            raise plugins.BrokenPlugin(said) from error


def _guarded(name: str, space: SearchSpace) -> SearchSpace:
    return space if plugins.is_shipped("search_spaces", name) else Guarded(name, space)


def _module(name: str) -> ModuleType:
    return plugins.load("search_spaces", name, *NEEDS)


def surrounding() -> tuple[str, ...]:
    """The spaces that can be searched around a parent."""
    return tuple(name for name in plugins.names("search_spaces") if plugins.defines("search_spaces", name, "around"))


def complete(module: ModuleType) -> SearchSpace:
    """`module` with what it leaves out."""
    for name, default in (("canonical", _itself), ("build", _built)):
        if not hasattr(module, name):
            setattr(module, name, default)
    return cast(SearchSpace, module)


def from_file(path: Path) -> SearchSpace:
    """The space in the file at `path`, wherever it lies. Raises plugins.Unimportable, and OSError."""
    path.open().close()
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ValueError(f"{path} is not a Python file: a space is one that ends in .py")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except plugins.FAULTS as error:
        raise plugins.Unimportable(f"{path} cannot be imported: {blamed(error, module.__file__)}") from error
    return complete(module)


def unread(name: str) -> tuple[str, ...]:
    """Of each file of that name that is not read, that it is not, and what would help."""
    return tuple(
        f"{path} is not read: there is a search space {name!r} before it, give the file another name"
        for path in plugins.hidden("search_spaces", name)
    )


def narrowed(knobs: Knobs, subset: Knobs) -> Knobs:
    """`knobs` with those in `subset` cut down to the choices named there. Raises Refusal naming what is unknown."""
    for knob, choices in subset.items():
        if knob not in knobs:
            raise Refusal(f"unknown knob {knob!r}: there are {', '.join(knobs)}", field="knobs")
        for choice in choices:
            if choice not in knobs[knob]:
                there_are = ", ".join(map(repr, knobs[knob]))
                raise Refusal(f"knob {knob!r} has no choice {choice!r}: there are {there_are}", field="knobs")
    return {knob: tuple(c for c in choices if c in subset.get(knob, choices)) for knob, choices in knobs.items()}


def nested(space: SearchSpace, images: Images) -> dict[str, tuple[Choice, ...]]:
    """Of some knobs the choices that one network holds, where it is to have all others of the space as parts."""
    said = getattr(space, "nested", None)
    return dict(said(images)) if said else {}


def wirings(space: SearchSpace, images: Images) -> tuple[Wiring, ...]:
    """The cells that the knobs of `space` make up, where it says so."""
    said = getattr(space, "wirings", None)
    return tuple(said(images)) if said else ()


def _itself(choices: Choices, images: Images) -> Choices:
    return choices


def _built(architecture: AnyArchitecture) -> "nn.Module":
    from nas.networks.blocks import network

    return network(architecture)
