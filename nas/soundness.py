"""What is wrong with a search space, as far as random networks show it; whatever its author's code does is caught."""

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, TypeVar, get_args

from nas import nesting, plugins, spaces
from nas.codec import decode, encode
from nas.networks.architecture import Choices, Images, Knobs, random_choices
from nas.networks.counts import counts
from nas.networks.lowering import AnyArchitecture
from nas.refusal import Refusal
from nas.spaces import Guarded, SearchSpace
from nas.tracebacks import blamed
from nas.wiring import Wiring

DRAWS = 20  # random networks that a check looks at, for each kind of images
FEW_DRAWS = 2  # that a request waits for: of cells, which take longest, some milliseconds

Answer = TypeVar("Answer")


class _Fault(Exception):
    """What is wrong, in words; `always`: whatever is chosen."""

    def __init__(self, words: str, *, always: bool = False) -> None:
        super().__init__(words)
        self.always = always


def problems(space: SearchSpace, images: Images, *, draws: int = DRAWS, build: bool = True) -> list[str]:
    """What is wrong with `space` for such images; nothing where it may be searched.

    `build` also builds one network and lets it answer, which needs torch.
    """
    found = faults(space, images, draws=draws, build=build)
    return [told(words, choices) for words, choices in found.items()]


def told(words: str, choices: Choices | None) -> str:
    """A fault with the choices that show it."""
    return f"{words}, for {choices}" if choices else words


def faults(space: SearchSpace, images: Images, *, draws: int = DRAWS, build: bool = True) -> dict[str, Choices | None]:
    """The same, each with the first choices that show it, where it hangs on these."""
    if isinstance(space, Guarded):
        space = space.own  # what is wrong with it is said here
    for name in spaces.NEEDS:
        if not callable(getattr(space, name, None)):
            return {f"there is no function {name}: a space has knobs(images) and architecture(choices, images)": None}
    try:
        knobs = _asked(space, "knobs(images)", lambda: space.knobs(images))
        if found := _knobs(knobs):
            return dict.fromkeys(found)
        again = _asked(space, "knobs(images)", lambda: space.knobs(images))
        if again != knobs or list(again) != list(knobs):
            return {"knobs(images) gives other knobs when it is asked again: it must depend on the images alone": None}
        if found := _asked(space, "wirings(images)", lambda: _wirings(space, knobs, images)):
            return dict.fromkeys(found)
        _nested(space, knobs, images)
    except _Fault as fault:
        return {str(fault): None}
    known: dict[str, Choices | None] = {}
    for seed in range(draws):
        choices = random_choices(knobs, random.Random(seed))
        for words, shown in _said(_network(space, knobs, choices, images), choices).items():
            known.setdefault(words, shown)
    if build and not known:
        choices = {knob: options[-1] for knob, options in knobs.items()}
        known = _said(_answers(space, choices, images), choices)
    return known


def sound(name: str, space: SearchSpace, images: Images) -> SearchSpace:
    """The space. Raises BrokenPlugin for a user's own that cannot be searched; where it raises ValueError for the first
    choices already, the images are at fault, and whoever asks for that network is told so."""
    if not isinstance(space, Guarded):
        return space
    try:
        space.own.architecture({knob: options[0] for knob, options in space.own.knobs(images).items()}, images)
    except ValueError:
        return space
    except plugins.FAULTS:
        pass  # which is said below
    if found := problems(space, images, draws=FEW_DRAWS, build=False):
        raise plugins.BrokenPlugin(f"search space {name!r}: {found[0]} (nas check-space {name} says more)")
    return space


def _asked(space: SearchSpace, what: str, answer: Callable[[], Answer]) -> Answer:
    """What a function of the space gives. Raises _Fault where it raises anything."""
    try:
        return answer()
    except _Fault:
        raise
    except plugins.FAULTS as error:
        raise _Fault(f"{what} raises {blamed(error, getattr(space, '__file__', None))}") from error


def _said(found: Iterator[str], choices: Choices) -> dict[str, Choices | None]:
    """What is found, up to the first that lets nothing else be found, with the choices that show it."""
    said: dict[str, Choices | None] = {}
    try:
        for words in found:
            said[words] = choices
    except _Fault as fault:
        said[str(fault)] = None if fault.always else choices
    return said


def _knobs(knobs: object) -> list[str]:
    if not isinstance(knobs, Mapping) or not knobs:
        return [f"knobs(images) gives {knobs!r}: give a dictionary of names to tuples of choices"]
    found = []
    for name, options in knobs.items():
        if not isinstance(name, str):
            found.append(f"knob {name!r} is not named by a string")
        elif not isinstance(options, tuple):
            found.append(f"knob {name!r} has {options!r}: give a tuple of choices")
        elif not options:
            found.append(f"knob {name!r} is left without a choice: give it one, or leave the knob out")
        elif wrong := [option for option in options if type(option) not in (str, int, float, bool)]:
            found.append(f"knob {name!r} has choice {wrong[0]!r}: give strings, numbers or booleans")
        elif len(set(options)) < len(options):
            found.append(f"knob {name!r} has a choice twice: {options!r}")
    return found


def _wirings(space: SearchSpace, knobs: Knobs, images: Images) -> list[str]:
    said = getattr(space, "wirings", None)
    given = said(images) if said else ()
    if not isinstance(given, list | tuple) or not all(isinstance(wiring, Wiring) for wiring in given):
        return [f"wirings(images) gives {given!r}: give a tuple of Wiring"]
    found = []
    for wire in (wire for wiring in given for wire in wiring.wires):
        named, states = [wire.operation], list[int]()
        if isinstance(wire.source, int):
            states.append(wire.source)
        else:
            named.append(wire.source.knob)
            states += wire.source.states.values()
            for choice in knobs.get(wire.source.knob, ()):
                if choice not in wire.source.states:
                    found.append(f"wirings(images) does not say which state {choice!r} of {wire.source.knob!r} is")
        found += [f"wirings(images) names the knob {knob!r}: there is none" for knob in named if knob not in knobs]
        found += [
            f"wirings(images) leads from state {state} to {wire.node}: it must come from an earlier one"
            for state in states
            if not 0 <= state < wire.node
        ]
    return found


def _nested(space: SearchSpace, knobs: Knobs, images: Images) -> None:
    """Raise _Fault unless one network has all others as parts, of the choices that the space leaves."""
    if (said := getattr(space, "nested", None)) is None:
        return
    given = _asked(space, "nested(images)", lambda: said(images))
    if not isinstance(given, Mapping) or not all(isinstance(options, tuple) for options in given.values()):
        raise _Fault(f"nested(images) gives {given!r}: give a dictionary of knobs to the choices that are left of them")
    if empty := [knob for knob, options in given.items() if not options]:
        raise _Fault(f"nested(images) leaves knob {empty[0]!r} without a choice: give it one")

    def nest() -> None:
        try:
            nesting.largest(space, spaces.narrowed(knobs, given), images)
        except Refusal as error:
            raise _Fault(f"nested(images) gives what does not nest: {error}") from error

    _asked(space, "architecture, for what nested(images) gives,", nest)


def _network(space: SearchSpace, knobs: Knobs, choices: Choices, images: Images) -> Iterator[str]:
    """What is wrong with one network."""

    def described(chosen: Choices) -> AnyArchitecture:
        return _asked(space, "architecture", lambda: space.architecture(dict(chosen), images))

    def represented(chosen: Choices) -> Choices:
        answer = _asked(space, "canonical", lambda: space.canonical(dict(chosen), images))
        if not isinstance(answer, Mapping):
            raise _Fault(f"canonical gives {answer!r}: give a dictionary with a choice for each knob")
        return answer

    architecture = described(choices)
    if not isinstance(architecture, get_args(AnyArchitecture)):
        kind = type(architecture).__name__
        raise _Fault(f"architecture gives a {kind}: give an Architecture, a CellArchitecture or a Network", always=True)
    resolution: Any = choices.get("resolution", images.resolution)  # a knob of that name means pixels
    wanted = replace(images, resolution=resolution)
    if architecture.images != wanted:
        raise _Fault(f"architecture gives a network for {architecture.images}, and was asked for {wanted}", always=True)
    if described(choices) != architecture:
        raise _Fault("architecture gives another network when it is asked again")
    if not _survives(architecture):
        raise _Fault("the network does not survive JSON")
    try:
        counted = counts(architecture)
    except ValueError as error:
        raise _Fault(f"the network cannot be: {error}") from error
    canonical = represented(choices)
    again = represented(canonical)
    if canonical.keys() != choices.keys() or any(canonical[knob] not in knobs[knob] for knob in choices):
        yield f"canonical gives {canonical}, which are not choices of the knobs"
    if again != canonical:
        yield f"canonical changes its own answer {canonical} to {again}"
    what = "architecture, for what canonical gives,"
    other = _asked(space, what, lambda: counts(space.architecture(dict(canonical), images)))
    if replace(other, peak_values=counted.peak_values) != counted:  # which hangs on the order of what may be swapped
        yield f"canonical gives choices of another size of network: {canonical}"


def _survives(architecture: AnyArchitecture) -> bool:
    try:
        return bool(decode(type(architecture), encode(architecture)) == architecture)
    except (ValueError, TypeError):
        return False


def _answers(space: SearchSpace, choices: Choices, images: Images) -> Iterator[str]:
    import torch

    architecture = _asked(space, "architecture", lambda: space.architecture(choices, images))
    try:
        network = space.build(architecture)
        pixels = architecture.images.resolution
        logits = network(torch.zeros(2, images.channels, pixels, pixels))
    except plugins.FAULTS as error:
        said = blamed(error, getattr(space, "__file__", None))
        raise _Fault(f"build gives no network that answers: {said}") from error
    params, counted = sum(tensor.numel() for tensor in network.parameters()), counts(architecture).params
    if params != counted:
        yield f"build gives {params:,} parameters where {counted:,} are counted"
    if tuple(logits.shape) != (2, images.classes):
        answers = f"build gives a network that answers {tuple(logits.shape)} to 2 images"
        raise _Fault(f"{answers}: it must be (2, {images.classes})", always=True)
