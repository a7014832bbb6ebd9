"""Layers with the modules that were built for them: what inheritance asks of each, and of those in a row."""

import difflib
from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from nas.networks import layers
from nas.networks.blocks import Branches
from nas.networks.layers import IDENTITY, Layer
from nas.networks.shapes import Shape, after

Kind = TypeVar("Kind", bound=nn.Module)

MANY_PIXELS = 4096  # a side: enough for whatever moves over them


class Row(NamedTuple):
    """A layer, and the module that it was built as."""

    layer: Layer
    module: nn.Module

    def first(self, kind: type[Kind]) -> Kind:
        return next(each for each in self.module.modules() if isinstance(each, kind))

    @property
    def draws(self) -> bool:
        """Whether the channels that leave it are others than those that enter."""
        return draws(self.layer)

    @property
    def gates(self) -> bool:
        return isinstance(self.layer, layers.Branches) and self.layer.join == "multiply"

    @property
    def word(self) -> str:
        match self.layer:
            case layers.Conv(groups=groups):
                return "convolution" if groups == 1 else "convolution in groups"
            case layers.Branches(join=join):
                return f"branches to {join}"
        return self.layer.layer

    def inner(self) -> list["Row"]:
        """The layers that it is made of."""
        if isinstance(self.layer, layers.Branches):
            assert isinstance(self.module, Branches)
            return list(map(Row, self.layer.branches, self.module.branches))
        if isinstance(self.layer, layers.Sequence):
            return in_a_row(self.layer.layers, self.module)
        return [self]

    def body(self) -> list["Row"]:
        """The layers that a block consists of, without its skip."""
        if isinstance(self.layer, layers.Branches):
            return next(branch for branch in self.inner() if branch.draws).inner()
        return self.inner()

    def last(self) -> "Row | None":
        """The convolution that channels leave a block by."""
        rows = self.body() if isinstance(self.layer, layers.Sequence | layers.Branches) else [self]
        return next((row for row in reversed(rows) if isinstance(row.layer, layers.Conv) and row.draws), None)

    def scale(self) -> Tensor:
        """The importance of the channels that leave it: their normalisation's scale, else the L1 norm of their
        weights."""
        if isinstance(self.layer, layers.Branches) and self.layer.join == "concat":
            return torch.cat([branch.scale() for branch in self.inner()])
        if isinstance(self.layer, layers.Sequence):
            return next(row for row in reversed(self.inner()) if row.draws).scale()
        for module in self.module.modules():
            if isinstance(module, nn.BatchNorm2d):
                return module.weight.detach().abs()
        return self.first(nn.Conv2d).weight.detach().abs().sum((1, 2, 3))

    def adding(self) -> list[Tensor]:
        """The weights by which a block adds to its skip: where they are zeros, nothing."""
        row = self.last()
        assert row is not None
        norms: list[nn.Module] = [each for each in row.module.modules() if isinstance(each, nn.BatchNorm2d)]
        return [weights for module in norms or [row.first(nn.Conv2d)] for weights in module.parameters()]


def in_a_row(each: Sequence[Layer], module: nn.Module) -> list[Row]:
    """Of layers in sequence, of which one alone has no module around it."""
    return list(map(Row, each, [module] if len(each) == 1 else module.children()))


def draws(layer: Layer) -> bool:
    match layer:
        case layers.Conv(groups=groups):
            return groups == 1
        case layers.Linear() | layers.Graph():
            return True
        case layers.Sequence():
            return any(map(draws, layer.layers))
        case layers.Branches(join="multiply"):
            return False
        case layers.Branches():
            return layer.join == "concat" or all(map(draws, layer.branches))
    return False


def leaving(layer: Layer, channels: int) -> int:
    """Channels that leave a layer which `channels` enter."""
    return after(layer, Shape(channels, MANY_PIXELS, MANY_PIXELS)).channels


def has_skip(block: Layer) -> bool:
    return isinstance(block, layers.Branches) and block.join == "add" and IDENTITY in block.branches


def aligned(old: list[Row], new: list[Row]) -> list[tuple[Row | None, Row | None]]:
    """Rows that are of a kind, in order, and between them those that only one of the networks has."""
    words = [row.word for row in old], [row.word for row in new]
    pairs: list[tuple[Row | None, Row | None]] = []
    for tag, begin, end, first, final in difflib.SequenceMatcher(None, *words, autojunk=False).get_opcodes():
        if tag == "equal":
            pairs.extend(zip(old[begin:end], new[first:final]))
        else:
            pairs.extend((row, None) for row in old[begin:end])
            pairs.extend((None, row) for row in new[first:final])
    return pairs


def added_to(blocks: Sequence[Row]) -> Tensor | None:
    """The importance of the channels that blocks in a row add to; None where they have none in common."""
    scales = [row.scale() for row in (block.last() for block in blocks) if row is not None]
    if not scales or any(len(scale) != len(scales[0]) for scale in scales):
        return None
    return torch.stack(scales).square().sum(0)


def used_by(rows: Sequence[Row]) -> Tensor:
    """How much of the channels that leave the first layer arrives in the next that mixes them: the L1 norm of their
    weights there, times the scale that they come with."""
    importance = rows[0].scale()
    for row in rows[1:]:
        if isinstance(row.layer, layers.Conv):
            if row.draws:
                return importance * row.first(nn.Conv2d).weight.detach().abs().sum((0, 2, 3))
            importance = row.scale()
    return importance
