"""A child's weights from slices of its parent's: one mechanism for growth, rungs, supernets and pretrained starts.

Both networks are walked side by side, layer by layer, with a map that says which channel of the parent's each channel
of the child is. Narrower layers keep the channels that matter most, in one order through all that a stream of channels
flows through; kernels are cropped at their centre or padded with zeros; a stage keeps its first blocks. Where the child
is larger, what is new gives nothing to what is old, so that it computes what its parent did (Net2Net, Chen et al. 2016;
to other networks: FNA, Fang et al. 2020).
"""

import itertools
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace

import torch
from torch import nn

from nas.inheritance import streams
from nas.inheritance.rows import in_a_row
from nas.inheritance.slices import Slices
from nas.inheritance.streams import CannotInherit as CannotInherit
from nas.inheritance.streams import Choose, Stream, chosen, first, same, unknown
from nas.inheritance.walk import Walk
from nas.networks import layers
from nas.networks.blocks import network
from nas.networks.lowering import AnyArchitecture, lowered
from nas.networks.network import Part
from nas.networks.network import walk as shapes


@dataclass(frozen=True, kw_only=True)
class Inherited:
    """A child in evaluation mode, and the part of its parameters that are its parent's, from 0 to 1."""

    network: nn.Module
    share: float


def inherited(
    parent: nn.Module,
    of: AnyArchitecture,
    child: AnyArchitecture,
    *,
    classes: Sequence[str] = (),
    wanted: Sequence[str] = (),
    choose: Choose = chosen,
) -> Inherited:
    """The network of `child` with what it can have of `parent`, a network of architecture `of`; the rest is freshly
    drawn. Answers go by name, from the parent's `classes` to the `wanted` ones; without names by number where there are
    as many. Raises CannotInherit, naming the part that is no relative of the parent's."""
    if of.images.channels != child.images.channels:
        parent, of = _seeing(parent, of, child.images.channels)
    drawn = network(child)
    answers = _answers(of.images.classes, child.images.classes, classes, wanted)
    slices = sliced(parent, of, drawn, child, answers=answers, choose=choose)
    slices.copy()
    return Inherited(network=drawn.eval(), share=slices.share)


def sliced(
    parent: nn.Module,
    of: AnyArchitecture,
    drawn: nn.Module,
    child: AnyArchitecture,
    *,
    answers: Stream | None = None,
    choose: Choose = first,
) -> Slices:
    """Which slices `drawn`, a network of architecture `child`, has of `parent`, one of architecture `of` for images of
    as many channels. Raises CannotInherit."""
    slices = Slices(parent, drawn)
    walk = Walk(slices, choose)
    old, new = _modules(parent), _modules(drawn)
    theirs, ours = lowered(of), lowered(child)
    states = [same(child.images.channels)]
    answers = same(child.images.classes) if answers is None else answers
    had = [[shape.channels for shape in entering] for _, entering, _ in shapes(theirs, of.images)]
    for number, (place, (part, _, leaving)) in enumerate(zip(_relatives(theirs, ours), shapes(ours, child.images))):
        entering = [states[state] for state in part.inputs or (number,)]
        if place is None:  # freshly drawn, in the hope that what flows through means the same behind it
            passed = entering[-1]
            states.append(passed if len(passed) == leaving.channels else unknown(leaving.channels))
            continue
        before = theirs[place]
        # Behind one more cell a part reads other channels than its relative does.
        widths = zip(entering, had[place])
        entering = [each if each.width == width else unknown(len(each), width) for each, width in widths]
        try:
            if _behind(before, place) != _behind(part, number) or before.auxiliary != part.auxiliary:
                raise CannotInherit("it reads other parts than its relative")
            last = answers if part is ours[-1] or part.auxiliary else None
            states.append(_part(walk, (before, old[place]), (part, new[number]), entering, last))
        except CannotInherit as error:
            raise CannotInherit(f"part {part.name!r} from the parent's {before.name!r}: {error}") from None
    return slices


def _relatives(theirs: Sequence[Part], ours: Sequence[Part]) -> list[int | None]:
    """For each of the child's parts the number of the parent's that it is; None for one more cell."""
    if len(theirs) == len(ours):
        return list(range(len(ours)))
    runs = [[(name, [*each]) for name, each in _runs(parts)] for parts in (theirs, ours)]
    cells = all(
        any(isinstance(block, layers.Graph) for part in parts for block in part.blocks) for parts in (theirs, ours)
    )
    if not cells or [name for name, _ in runs[0]] != [name for name, _ in runs[1]]:
        raise CannotInherit(f"the network has {len(ours)} parts and its parent {len(theirs)}: they are no relatives")
    places: list[int | None] = []
    for (_, had), (_, has) in zip(*runs):
        places.extend(had[place] if place < len(had) else None for place in range(len(has)))
    return places


def _runs(parts: Sequence[Part]) -> Iterator[tuple[str, Iterator[int]]]:
    """The places of parts of one name in a row."""
    return itertools.groupby(range(len(parts)), key=lambda place: parts[place].name)


def _behind(part: Part, number: int) -> list[int]:
    """How far back the states are that a part reads."""
    return [number - state for state in part.inputs or (number,)]


def _part(
    walk: Walk,
    old: tuple[Part, nn.Module],
    new: tuple[Part, nn.Module],
    entering: list[Stream],
    leaving: Stream | None,
) -> Stream:
    theirs, ours = in_a_row(old[0].blocks, old[1]), in_a_row(new[0].blocks, new[1])
    if isinstance(ours[0].layer, layers.Graph) and isinstance(theirs[0].layer, layers.Graph):
        return walk.graph(theirs[0], ours[0], entering)
    return walk.stage(theirs, ours, entering[0], leaving)


def _modules(network: nn.Module) -> list[nn.Module]:
    """One for each part."""
    return list(network.children() if isinstance(network, nn.Sequential) else network.get_submodule("parts").children())


def _seeing(parent: nn.Module, of: AnyArchitecture, channels: int) -> tuple[nn.Module, AnyArchitecture]:
    """The same network for grey images instead of coloured ones, or the other way: a grey image is one whose channels
    are alike."""
    parent = deepcopy(parent)
    for each in _modules(parent)[0].modules():
        if isinstance(each, nn.Conv2d):
            summed = each.weight.detach().sum(1, keepdim=True)
            each.weight = nn.Parameter(summed.expand(-1, channels, -1, -1) / channels)
            each.in_channels = channels
            return parent, replace(of, images=replace(of.images, channels=channels))
    raise CannotInherit("the parent's images have other channels, and it does not begin with a convolution")


def _answers(had: int, wants: int, classes: Sequence[str], wanted: Sequence[str]) -> Stream:
    if classes and wanted:
        places = {name: number for number, name in enumerate(classes)}
        return Stream(torch.tensor([places.get(name, streams.NEW) for name in wanted]), had)
    return same(had) if had == wants else unknown(wants, had)
