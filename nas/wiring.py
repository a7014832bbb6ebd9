"""How knobs wire the operations of a cell: what a space says of its cells, so that a search sees paths in them."""

from collections.abc import Mapping
from dataclasses import dataclass

from nas.networks.architecture import Choice


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """The state that the choice of a `knob` names."""

    knob: str
    states: Mapping[Choice, int]


@dataclass(frozen=True, kw_only=True)
class Wire:
    """From an earlier state, the `source`, to the state `node`, by the operation that the knob `operation` chooses."""

    source: int | Chosen
    node: int
    operation: str


@dataclass(frozen=True, kw_only=True)
class Wiring:
    """One cell. Its states are numbered: the `inputs` first, then nodes, each later than all that it is wired to.

    `outputs` are the states that the cell gives; None: those that no wire leaves. A wire of the operation `identity`
    does nothing, one of the operation `none` is not there.
    """

    inputs: int
    wires: tuple[Wire, ...]
    outputs: tuple[int, ...] | None
    identity: str
    none: str | None = None
