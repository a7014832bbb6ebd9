"""Search spaces by name, and what is wrong with one.

A space is a file in `search_spaces/`, or in a folder that NAS_SPACES names, with `knobs(images)` and
`architecture(choices, images)`. `canonical` and `build` may be left out: then every choice counts as another network,
and `nas.networks.blocks` builds it. One with `around(parent)`, which gives another space, is searched around a parent.
One with `nested(images)` says which choices of some knobs are left where networks share their weights, one with
`wirings(images)` which cells its knobs make up.
"""

import importlib.util
import random
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol, cast, get_args

from nas import parents, plugins
from nas.codec import decode, encode
from nas.networks.architecture import Choice, Choices, Images, Knobs, random_choices
from nas.networks.counts import counts
from nas.networks.lowering import AnyArchitecture
from nas.refusal import Refusal
from nas.wiring import Wiring

if TYPE_CHECKING:
    from torch import nn

DRAWS = 20  # random networks that a check looks at, for each kind of images


class BrokenSpace(ValueError):
    """A file that cannot be imported; the message says why and where."""


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
    parents.UnknownParent and BrokenSpace, and Refusal where the space is not for such parents."""
    if parent is not None:
        return around(name, parents.described(parent).architecture)
    return complete(_module(name))


def around(name: str, parent: AnyArchitecture) -> SearchSpace:
    """The space of that name around a parent. Raises as `load` does."""
    check_around(name)
    return cast(SearchSpace, _module(name).around(parent))


def check_around(name: str) -> None:
    """Raise Refusal where the space is not searched around any parent."""
    if not hasattr(_module(name), "around"):
        there = ", ".join(surrounding())
        raise Refusal(f"space {name!r} cannot be searched around a parent: there are {there}", field="space")


def _module(name: str) -> ModuleType:
    try:
        return plugins.load("search_spaces", name)
    except plugins.UnknownPlugin:
        raise
    except Exception as error:  # whatever its author's code does
        raise BrokenSpace(f"search space {name!r} cannot be imported: {_said(error)}") from error


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
    """The space in the file at `path`, wherever it lies. Raises BrokenSpace, and OSError."""
    path.open().close()
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ValueError(f"{path} is not a Python file: a space is one that ends in .py")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # whatever its author's code does
        raise BrokenSpace(f"{path} cannot be imported: {_said(error)}") from error
    return complete(module)


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


def problems(space: SearchSpace, images: Images, *, draws: int = DRAWS, build: bool = True) -> list[str]:
    """What is wrong with `space` for such images, as far as random networks show it; nothing where it may be searched.

    `build` also builds one of them and lets it answer, which needs torch.
    """
    for name in ("knobs", "architecture"):
        if not callable(getattr(space, name, None)):
            return [f"there is no function {name}: a space has knobs(images) and architecture(choices, images)"]
    try:
        knobs = space.knobs(images)
    except Exception as error:
        return [f"knobs(images) raises {_said(error)}"]
    if faults := _knobs(knobs):
        return faults
    if space.knobs(images) != knobs or list(space.knobs(images)) != list(knobs):
        return ["knobs(images) gives other knobs when it is asked again: it must depend on the images alone"]
    if faults := _wirings(space, knobs, images):
        return faults
    known: dict[str, None] = {}
    for seed in range(draws):
        known |= dict.fromkeys(_network(space, random_choices(knobs, random.Random(seed)), images))
    if build and not known:
        known |= dict.fromkeys(_answers(space, {knob: options[-1] for knob, options in knobs.items()}, images))
    return list(known)


def _knobs(knobs: object) -> list[str]:
    if not isinstance(knobs, Mapping) or not knobs:
        return [f"knobs(images) gives {knobs!r}: give a dictionary of names to tuples of choices"]
    faults = []
    for name, options in knobs.items():
        if not isinstance(name, str):
            faults.append(f"knob {name!r} is not named by a string")
        elif not isinstance(options, tuple):
            faults.append(f"knob {name!r} has {options!r}: give a tuple of choices")
        elif not options:
            faults.append(f"knob {name!r} is left without a choice: give it one, or leave the knob out")
        elif wrong := [option for option in options if type(option) not in (str, int, float, bool)]:
            faults.append(f"knob {name!r} has choice {wrong[0]!r}: give strings, numbers or booleans")
        elif len(set(options)) < len(options):
            faults.append(f"knob {name!r} has a choice twice: {options!r}")
    return faults


def _wirings(space: SearchSpace, knobs: Knobs, images: Images) -> list[str]:
    try:
        wires = [wire for wiring in wirings(space, images) for wire in wiring.wires]
    except Exception as error:
        return [f"wirings(images) raises {_said(error)}"]
    faults = []
    for wire in wires:
        named, states = [wire.operation], list[int]()
        if isinstance(wire.source, int):
            states.append(wire.source)
        else:
            named.append(wire.source.knob)
            states += wire.source.states.values()
            for choice in knobs.get(wire.source.knob, ()):
                if choice not in wire.source.states:
                    faults.append(f"wirings(images) does not say which state {choice!r} of {wire.source.knob!r} is")
        faults += [f"wirings(images) names the knob {knob!r}: there is none" for knob in named if knob not in knobs]
        faults += [
            f"wirings(images) leads from state {state} to {wire.node}: it must come from an earlier one"
            for state in states
            if not 0 <= state < wire.node
        ]
    return faults


def _network(space: SearchSpace, choices: Choices, images: Images) -> list[str]:
    """What is wrong with one network; the message ends in the choices that show it."""
    try:
        architecture = space.architecture(dict(choices), images)
    except Exception as error:
        return [f"architecture raises {_said(error)}, for {choices}"]
    if not isinstance(architecture, get_args(AnyArchitecture)):
        return [
            f"architecture gives a {type(architecture).__name__}: give an Architecture, a CellArchitecture or a Network"
        ]
    resolution: Any = choices.get("resolution", images.resolution)  # a knob of that name means pixels
    wanted = replace(images, resolution=resolution)
    if architecture.images != wanted:
        return [f"architecture gives a network for {architecture.images}, and was asked for {wanted}"]
    if space.architecture(dict(choices), images) != architecture:
        return [f"architecture gives another network when it is asked again, for {choices}"]
    if decode(type(architecture), encode(architecture)) != architecture:
        return [f"the network does not survive JSON, for {choices}"]
    try:
        counted = counts(architecture)
    except ValueError as error:
        return [f"the network cannot be: {error}, for {choices}"]
    try:
        canonical = space.canonical(dict(choices), images)
        again = space.canonical(dict(canonical), images)
        same = counts(space.architecture(canonical, images)) == counted
    except Exception as error:
        return [f"canonical raises {_said(error)}, for {choices}"]
    faults = []
    knobs = space.knobs(images)
    if canonical.keys() != choices.keys() or any(canonical[knob] not in knobs[knob] for knob in choices):
        faults.append(f"canonical gives {canonical}, which are not choices of the knobs, for {choices}")
    if again != canonical:
        faults.append(f"canonical changes its own answer {canonical} to {again}")
    if not same:
        faults.append(f"canonical gives choices of another size of network: {canonical}, for {choices}")
    return faults


def _answers(space: SearchSpace, choices: Choices, images: Images) -> list[str]:
    import torch

    architecture = space.architecture(choices, images)
    try:
        network = space.build(architecture)
        pixels = architecture.images.resolution
        logits = network(torch.zeros(2, images.channels, pixels, pixels))
    except Exception as error:
        return [f"build gives no network that answers: {_said(error)}, for {choices}"]
    faults = []
    params, counted = sum(tensor.numel() for tensor in network.parameters()), counts(architecture).params
    if params != counted:
        faults.append(f"build gives {params:,} parameters where {counted:,} are counted, for {choices}")
    if tuple(logits.shape) != (2, images.classes):
        faults.append(
            f"build gives a network that answers {tuple(logits.shape)} to 2 images: it must be (2, {images.classes})"
        )
    return faults


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _itself(choices: Choices, images: Images) -> Choices:
    return choices


def _built(architecture: AnyArchitecture) -> "nn.Module":
    from nas.networks.blocks import network

    return network(architecture)
