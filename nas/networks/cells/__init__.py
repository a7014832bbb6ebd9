"""Cells: small graphs of operations that are stacked into a network, and the architecture that they make up.

A family of cells (NASNet's, DARTS's, …) is a file here: its operations, and how its cells are stacked.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal, Protocol, TypeAlias, cast

from nas import plugins
from nas.networks.architecture import (
    NORM_EPSILON,
    VERSION,
    Images,
    Scale,
    check_version,
    digest,
    raised,
    round_channels,
)
from nas.networks.layers import MOST_CHANNELS, Layer
from nas.networks.network import Part
from nas.refusal import Refusal, between, bounded, few

MOST_CELLS = 100  # between two reductions
MOST_STATES = 100  # that a cell computes, or joins at one place

Operation: TypeAlias = Callable[[int, int, int], tuple[Layer, ...]]  # of channels entering, filters, stride


@dataclass(frozen=True, kw_only=True)
class Node:
    """A hidden state of a cell."""

    inputs: tuple[tuple[str, int], ...]
    """What it is computed of: pairs of an operation's name and the number of the earlier state that it is applied
    to."""
    join: Literal["add", "concat"] = "add"
    """How the results become one state."""

    def __post_init__(self) -> None:
        few(self, MOST_STATES, "inputs")


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A small graph of operations. Its states are numbered: its inputs first, then its nodes."""

    nodes: tuple[Node, ...]
    """Its hidden states, in order."""
    outputs: tuple[int, ...]
    """The states that are concatenated to what it gives."""

    def __post_init__(self) -> None:
        few(self, MOST_STATES, "nodes", "outputs")


@dataclass(frozen=True, kw_only=True)
class CellArchitecture:
    """A network of cells: a stem, normal cells, and twice more a reduction and normal cells; then global average
    pooling, dropout, linear classifier."""

    images: Images
    """What it is for."""
    family: str
    """The family of cells, such as nasnet, which says what operations there are and how cells are stacked."""
    normal: Cell
    """The cell that keeps the resolution."""
    reduction: Cell | None = None
    """The cell that halves it, in families that have one."""
    cells: int
    """Normal cells at each of the three resolutions."""
    filters: int
    """The width of the first cells' operations, which doubles at every reduction."""
    stem: Literal["small", "large"] = "small"
    """The kind of stem. "small" has stride 1, for images of CIFAR's size; "large" is for ImageNet's."""
    stem_filters: int
    """Channels that leave the stem's convolution."""
    past_reduction: bool = False
    """Whether the normal cell behind a reduction skips it with its second input (NASNet-A large)."""
    dropout: float = 0.0
    """The rate at which the classifier's inputs are zeroed in training."""
    drop_path: float = 0.0
    """The rate at which the last cell's operations are dropped in training, less in earlier cells and earlier in
    training."""
    auxiliary: bool = False
    """Whether there is a second classifier at two thirds of the depth, in training only."""
    norm_epsilon: float = NORM_EPSILON
    """What normalisations add to the variance under the root: 1e-3 in TensorFlow's networks, 1e-5 in torch's."""
    version: int = VERSION
    """The version of this description, 1."""

    def __post_init__(self) -> None:
        check_version(self.version)
        try:
            kind = family(self.family)
        except plugins.UnknownPlugin as error:
            raise Refusal(str(error), field="family") from error
        bounded(self, MOST_CELLS, "cells")
        bounded(self, MOST_CHANNELS, "filters", "stem_filters")
        between(self, "dropout", 0, 0.999)
        between(self, "drop_path", 0, 0.999)
        between(self, "norm_epsilon", 1e-8, 0.1)
        _check(self.normal, "normal", kind)
        if self.reduction is not None:
            _check(self.reduction, "reduction", kind)
        elif kind.REDUCES:
            raise Refusal(f"family {self.family!r} needs a reduction cell", field="reduction")
        pixels = kind.LARGE_STRIDE if self.stem == "large" else 4
        if self.images.resolution < pixels:
            raise Refusal(
                f"resolution {self.images.resolution} is too small for total stride {pixels}: less than a pixel is "
                f"left in the last cells; give at least {pixels} pixels or the small stem",
                field="images",
            )

    def scaled(self, scale: Scale) -> "CellArchitecture":
        """This network grown or shrunk: cells by ceil, filters to multiples of 8, resolution rounded."""
        return dataclasses.replace(
            self,
            images=dataclasses.replace(self.images, resolution=round(self.images.resolution * scale.resolution)),
            cells=math.ceil(scale.depth * self.cells),
            filters=round_channels(self.filters, scale.width),
            stem_filters=round_channels(self.stem_filters, scale.width),
            dropout=raised(self.dropout, scale.dropout),
            drop_path=raised(self.drop_path, scale.drop_connect),
        )

    def digest(self) -> str:
        """Twelve hexadecimal digits that are equal for equal architectures, and stable across versions."""
        return digest(self)


class Family(Protocol):
    """What a file here offers."""

    OPERATIONS: Mapping[str, Operation]
    INPUTS: int  # states that enter a cell
    REDUCES: bool  # whether reductions are cells too
    LARGE_STRIDE: int  # total stride behind the large stem

    def parts(self, architecture: CellArchitecture) -> tuple[Part, ...]:
        """The network, spelled out."""
        ...


@cache
def family(name: str) -> Family:
    """The family of that name. Raises plugins.UnknownPlugin, which says which exist."""
    return cast(Family, plugins.load(__package__, name))


def unused(nodes: tuple[Node, ...], inputs: int) -> tuple[int, ...]:
    """The states that no node reads: what a cell concatenates where nothing else is said."""
    used = {state for node in nodes for _, state in node.inputs}
    return tuple(state for state in range(inputs + len(nodes)) if state not in used)


def _check(cell: Cell, name: str, kind: Family) -> None:
    for number, node in enumerate(cell.nodes):
        for operation, state in node.inputs:
            if operation not in kind.OPERATIONS:
                there_are = ", ".join(kind.OPERATIONS)
                raise Refusal(
                    f"{name} cell, node {number}: unknown operation {operation!r}: there are {there_are}", field=name
                )
            known = kind.INPUTS + number
            if not 0 <= state < known:
                raise Refusal(
                    f"{name} cell, node {number} reads state {state}: give one made before it, 0 to {known - 1}",
                    field=name,
                )
    states = kind.INPUTS + len(cell.nodes)
    if not cell.outputs or any(not 0 <= state < states for state in cell.outputs):
        detail = f"{name} cell: outputs {list(cell.outputs)} are not some of its states, 0 to {states - 1}"
        raise Refusal(detail, field=name)
