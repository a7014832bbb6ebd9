"""Which networks are parts of a larger one, so that they can work with its weights; by their descriptions alone."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from nas.networks.architecture import Architecture, Choice, Choices, Images, Knobs
from nas.networks.counts import counts
from nas.networks.lowering import AnyArchitecture
from nas.refusal import Refusal
from nas.spaces import SearchSpace

AT_RANDOM = 2  # parts that a step teaches beside the whole and the smallest
# Images held out that such networks are scored on: more take longer and tell little, as shared weights rank networks by
# some points at best, and all are scored on the same.
MOST_SCORED = 1000
NESTED = ("kernel", "expand", "channels", "repeats", "se_ratio")  # of a stage: less of it is a part of more


@dataclass(frozen=True, kw_only=True)
class Largest:
    """The network of some knobs that has all others of them as parts, with its choices, and those of the smallest."""

    architecture: Architecture
    choices: Choices
    smallest: Choices


def largest(space: SearchSpace, knobs: Knobs, images: Images) -> Largest:
    """Of `knobs` of the space. Raises Refusal where no network has all others as parts, naming what to narrow."""

    def extreme(better: Callable[..., Choice], place: int) -> Choices:
        choices = {knob: options[place] for knob, options in knobs.items()}
        for knob, options in knobs.items():
            each = {option: counts(space.architecture(choices | {knob: option}, images)) for option in options}
            sizes = {option: (counted.params, counted.mult_adds) for option, counted in each.items()}
            choices[knob] = better(sizes, key=sizes.__getitem__)
        return choices

    most = extreme(max, -1)
    whole = space.architecture(most, images)
    fitting = {
        knob: tuple(
            each for each in options if not apart(whole, within(whole, space.architecture(most | {knob: each}, images)))
        )
        for knob, options in knobs.items()
    }
    if not isinstance(whole, Architecture) or not all(fitting.values()):
        detail = "weights 'shared' are for networks of stages, of which a smaller one is a part of a larger one"
        raise Refusal(f"{detail}: give a space of them, or weights 'own'", field="weights")
    if broken := {knob: fitting[knob] for knob, options in knobs.items() if len(fitting[knob]) < len(options)}:
        narrow = ", ".join(f"{knob}: {list(options)}" for knob, options in broken.items())
        detail = f"weights 'shared' cannot be those of all choices of {', '.join(broken)}"
        raise Refusal(f"{detail}: narrow these knobs, for instance to {narrow}", field="knobs")
    if all(len(options) == 1 for options in knobs.values()):
        raise Refusal("weights 'shared' have nobody to share them: the knobs leave one network", field="knobs")
    return Largest(architecture=whole, choices=most, smallest=extreme(min, 0))


def within(whole: AnyArchitecture, network: AnyArchitecture) -> AnyArchitecture:
    """The network as it is as a part of the `whole`: without skips that this has not."""
    if not isinstance(whole, Architecture) or not isinstance(network, Architecture):
        return network
    return network.skipping_as(whole) if len(network.stages) == len(whole.stages) else network


def apart(whole: AnyArchitecture, part: AnyArchitecture) -> str | None:
    """Why a network is no part of the `whole`, in words; None where it is."""
    if not isinstance(whole, Architecture) or not isinstance(part, Architecture):
        return "it is not one of stages"
    images = replace(whole.images, resolution=part.images.resolution)  # weights do not know of the resolution
    if replace(part, stages=whole.stages, stem=whole.stem, head=whole.head) != replace(whole, images=images):
        return "it is another kind of network"
    if part.images.resolution > whole.images.resolution:
        return "its images are larger"
    if part.stem > whole.stem or part.head > whole.head or bool(part.head) != bool(whole.head):
        return "its stem or head is another"
    if len(part.stages) != len(whole.stages):
        return "it has other stages"
    for number, (less, more, entering, entered) in enumerate(
        zip(part.stages, whole.stages, part.entered, whole.entered), 1
    ):
        alike = replace(less, op=more.op, skip=more.skip, **{name: getattr(more, name) for name in NESTED})
        if less.op != more.op or alike != more or (less.pools, bool(less.skip)) != (more.pools, bool(more.skip)):
            return f"stage {number} has other blocks"
        if less.skips_first(entering) and not more.skips_first(entered):
            return f"stage {number} has one skip more"
        if any(getattr(less, name) > getattr(more, name) for name in NESTED):
            return f"stage {number} is larger"
        if bool(less.se_ratio) != bool(more.se_ratio) or (less.expand == 1) != (more.expand == 1):
            return f"stage {number} has other layers"
    return None
