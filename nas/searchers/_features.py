"""What no knob of a cell says by itself: how many operations of a kind are in it, how many paths, how long these are,
and on how many an operation is alone.

Of cells that place operations differently many do much the same. BANANAS (White et al. 2021) gives a model a cell's
paths instead of its edges; here they are counted, without regard to the order of operations on them, of many cells at
once.
"""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from nas.networks.architecture import Knobs
from nas.searchers._gaussian_process import Codes, Floats, distances
from nas.wiring import Chosen, Wiring

Numbers: TypeAlias = NDArray[np.int64]
Step: TypeAlias = Callable[[Numbers, Numbers], Numbers]
"""What a path is worth behind an operation, of what it was before it and the operation's number."""

IDENTITY, NONE = -1, -2  # as numbers of operations
NOWHERE = -1000  # what a path comes to that is not there
MOST_PLACES = 16  # that a feature has: of more numbers, several share one


class Features:
    """Numbers that describe the cells, as if each were a knob more with a place for every number in a `sample`."""

    def __init__(self, knobs: Knobs, wirings: Sequence[Wiring], sample: Codes) -> None:
        self._cells = [_Cell(knobs, wiring) for wiring in wirings]
        numbers = self._numbers(sample)
        self._telling = np.flatnonzero((numbers != numbers[:1]).any(axis=0))
        self._levels = [_levels(column) for column in numbers[:, self._telling].T]
        self.tables: list[Floats] = [distances(levels.tolist()) for levels in self._levels]

    def beside(self, codes: Codes) -> Codes:
        """The `codes` of networks, and behind them those of what describes them."""
        numbers = self._numbers(codes)[:, self._telling].T
        places = [np.searchsorted((levels[1:] + levels[:-1]) / 2, own) for levels, own in zip(self._levels, numbers)]
        return np.column_stack([codes, *places])

    def _numbers(self, codes: Codes) -> Numbers:
        return np.concatenate([cell.numbers(codes) for cell in self._cells], axis=1)


def _levels(numbers: Numbers) -> Numbers:
    levels = np.unique(numbers)
    if len(levels) > MOST_PLACES:
        levels = levels[np.linspace(0, len(levels) - 1, MOST_PLACES).round().astype(int)]
    return levels


def _alone(own: int) -> Step:
    return lambda paths, operation: paths * ((operation == own) | (operation == IDENTITY))


def _often(own: int) -> Step:
    return lambda length, operation: length + (operation == own)


class _Cell:
    """One cell, whose features are worked out of its knobs' places."""

    def __init__(self, knobs: Knobs, wiring: Wiring) -> None:
        self._inputs, self._outputs = wiring.inputs, wiring.outputs
        wires = sorted(wiring.wires, key=lambda wire: wire.node)  # what leads to a state is before what leaves it
        self._nodes = [wire.node for wire in wires]
        every = dict.fromkeys(choice for wire in wires for choice in knobs[wire.operation])
        computing = [operation for operation in every if operation not in (wiring.identity, wiring.none)]
        self._computing = range(len(computing))
        numbers = {operation: number for number, operation in enumerate(computing)} | {wiring.identity: IDENTITY}
        column = {knob: place for place, knob in enumerate(knobs)}
        # Of each wire the column of a knob, and what each place in it stands for.
        self._operations = [
            (column[wire.operation], np.array([numbers.get(choice, NONE) for choice in knobs[wire.operation]]))
            for wire in wires
        ]
        self._sources = [
            (column[wire.source.knob], np.array([wire.source.states[choice] for choice in knobs[wire.source.knob]]))
            if isinstance(wire.source, Chosen)
            else (0, np.array([wire.source] * len(next(iter(knobs.values())))))
            for wire in wires
        ]

    def numbers(self, codes: Codes) -> Numbers:
        """Of each network: how many paths, how many operations on the longest and the shortest; how often each of them
        is on a path; and of each how many paths have no other, and how often one path has it."""
        graphs = _Graphs(
            operations=[meaning[codes[:, column]] for column, meaning in self._operations],
            sources=[meaning[codes[:, column]] for column, meaning in self._sources],
            nodes=self._nodes,
            inputs=self._inputs,
            outputs=self._outputs,
        )
        found = [
            graphs.paths(lambda paths, _: paths),
            graphs.most(lambda length, operation: length + (operation != IDENTITY)),
            graphs.most(lambda length, operation: length - (operation != IDENTITY)),
            *(graphs.living(operation) for operation in (IDENTITY, *self._computing)),
        ]
        for own in self._computing:
            found += [graphs.paths(_alone(own)), graphs.most(_often(own))]
        return np.stack(found, axis=1)


class _Graphs:
    """Cells of many networks. `operations` and `sources` have for each wire a row of numbers, one for each network;
    what is computed of states has a row for each state."""

    def __init__(
        self,
        *,
        operations: list[Numbers],
        sources: list[Numbers],
        nodes: list[int],
        inputs: int,
        outputs: tuple[int, ...] | None,
    ) -> None:
        self._wires, self._inputs = list(zip(operations, sources, nodes)), inputs
        self._networks = np.arange(len(operations[0]))
        self._given = np.zeros((max(nodes) + 1, len(self._networks)), dtype=bool)
        if outputs is not None:
            self._given[list(outputs)] = True
        else:
            self._given[:] = True
            for source in sources:
                self._given[source, self._networks] = False
        self._fed, self._read = np.zeros_like(self._given), self._given.copy()
        self._fed[:inputs] = True
        for operation, source, node in self._wires:
            self._fed[node] |= self._fed[source, self._networks] & (operation != NONE)
        for operation, source, node in reversed(self._wires):
            self._read[source, self._networks] |= self._read[node] & (operation != NONE)

    def living(self, own: int) -> Numbers:
        """How many wires of that operation are on a path from an input to an output."""
        alive = [
            (operation == own) & self._fed[source, self._networks] & self._read[node]
            for operation, source, node in self._wires
        ]
        return np.asarray(np.sum(alive, axis=0, dtype=np.int64))

    def paths(self, step: Step) -> Numbers:
        """How many there are, each as many times as `step` says."""
        return self._walked(1, 0, step, np.add)

    def most(self, step: Step) -> Numbers:
        """What the best path comes to; far below 0 where there is none."""
        return self._walked(0, NOWHERE, step, np.maximum)

    def _walked(self, start: int, nothing: int, step: Step, join: np.ufunc) -> Numbers:
        """From the inputs, wire by wire, to all outputs."""
        reached = np.full(self._given.shape, nothing, dtype=np.int64)
        reached[: self._inputs] = start
        for operation, source, node in self._wires:
            before = reached[source, self._networks]
            there = (operation != NONE) & (before != nothing)
            reached[node] = join(reached[node], np.where(there, step(before, operation), nothing))
        return np.asarray(join.reduce(np.where(self._given, reached, nothing), axis=0))
