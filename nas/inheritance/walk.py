"""Two networks side by side, layer by layer: what the child has of the parent's weights."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from nas.inheritance import rows, streams
from nas.inheritance.rows import Row
from nas.inheritance.slices import Slices
from nas.inheritance.streams import CannotInherit, Choose, Stream
from nas.networks import blocks, layers

# Layers without weights, which leave channels where they are.
PASSING = (layers.Pool, layers.GlobalPool, layers.Dropout, layers.DropPath, layers.Activate, layers.Shift, layers.Scale)


class Walk:
    """Says which `slices` the child has of the parent; `choose` which channels of more than are wanted.

    Each method is given a row of the parent's and the child's row that is its relative, the channels that enter, and
    `wanted`, the channels that have to leave because others are added to them. It gives those that leave.
    """

    def __init__(self, slices: Slices, choose: Choose) -> None:
        self._slices, self._choose = slices, choose

    def stage(self, old: Sequence[Row], new: Sequence[Row], entering: Stream, wanted: Stream | None) -> Stream:
        """Blocks in a row: the parent's first ones. Further ones are like its last and add nothing yet; where a block
        has no skip to add to, they are freshly drawn."""
        rank = rows.added_to(old)
        for number, row in enumerate(new):
            if number < len(old):
                entering = self.layer(old[number], row, entering, wanted if row is new[-1] else None, rank)
            elif rows.has_skip(row.layer):
                if len(old) > 1:  # the first alone is for the channels of the stage before
                    self.layer(old[-1], row, entering)
                self._slices.silence(row.adding())
        return entering

    def layer(
        self, old: Row, new: Row, entering: Stream, wanted: Stream | None = None, rank: Tensor | None = None
    ) -> Stream:
        """Any layer; where it can choose which channels leave it, `rank` is their importance."""
        keeps = self._choose is not streams.ranked  # channels that are as many where they are
        if keeps and old.layer == new.layer and entering.whole and (wanted is None or wanted.whole):
            self._slices.whole(old.module, new.module)
            return streams.same(rows.leaving(old.layer, entering.width))
        match old.layer, new.layer:
            case layers.Conv() as before, layers.Conv() as layer:
                stream = self._convolution(before, layer, old, new, entering, wanted, rank)
            case layers.Linear(), layers.Linear():
                stream = self._linear(old, new, entering, wanted)
            case layers.Norm(), layers.Norm():
                if isinstance(old.module, nn.BatchNorm2d) and isinstance(new.module, nn.BatchNorm2d):
                    self._slices.norm(old.module, new.module, entering)
                stream = entering
            case layers.Widen() as before, layers.Widen() as layer:
                zeros = torch.ones(before.out - entering.width)
                stream = streams.joined((entering, self._choose(zeros, layer.out - len(entering))))
            case layers.Graph(), layers.Graph():
                stream = self.graph(old, new, [entering])
            case layers.Branches(join=join), layers.Branches(join=other) if join == other:
                stream = self._branches(old, new, entering, wanted, rank)
            case ((layers.Sequence() | layers.Branches()), (layers.Sequence() | layers.Branches())):
                stream = self._sequence(old.body(), new.body(), entering, wanted, rank)
            case before, layer if type(before) is type(layer) and isinstance(layer, PASSING):
                stream = entering
            case _:
                raise CannotInherit(f"a layer '{new.word}' is not the parent's '{old.word}'")
        if wanted is not None and stream != wanted:
            raise CannotInherit(f"a layer '{new.word}' would add channels that the parent keeps apart")
        return stream

    def graph(self, old: Row, new: Row, entering: Sequence[Stream]) -> Stream:
        """A cell. Its states are added to each other, so those that are as wide keep the same channels."""
        before, cell = old.layer, new.layer
        assert isinstance(before, layers.Graph)
        assert isinstance(cell, layers.Graph)
        assert isinstance(old.module, blocks.Graph)
        assert isinstance(new.module, blocks.Graph)
        theirs = list(map(Row, before.adapters, old.module.adapters))
        ours = list(map(Row, cell.adapters, new.module.adapters))
        states, common = dict[int, Stream](), dict[tuple[int, int], Stream]()
        for place in _passing_first(ours):
            sizes = _sizes(theirs[place], ours[place], entering[place])
            if ours[place].draws and sizes not in common:
                common[sizes] = streams.halves(self._choose, theirs[place].scale(), sizes[1])
            leaving = common.get(sizes) if ours[place].draws else None
            states[place] = self.layer(theirs[place], ours[place], entering[place], leaving)
            common.setdefault(sizes, states[place])
        steps = zip(old.module.steps, new.module.steps)
        for one, node in zip((*before.nodes, before.output), (*cell.nodes, cell.output)):
            if (one.join, [step.state for step in one.steps]) != (node.join, [step.state for step in node.steps]):
                raise CannotInherit("the cell is wired otherwise than the parent's")
            results = []
            for their_step, our_step in zip(one.steps, node.steps):
                before_it, it = map(Row, (their_step.applied, our_step.applied), next(steps))
                read = states[our_step.state]
                added = node.join == "add" and it.draws
                results.append(
                    self.layer(before_it, it, read, common.get(_sizes(before_it, it, read)) if added else None)
                )
            if node.join == "add" and any(stream != results[0] for stream in results):
                raise CannotInherit("the cell would add channels that the parent keeps apart")
            states[len(states)] = streams.joined(results) if node.join == "concat" else results[0]
        return states[len(states) - 1]

    def _branches(self, old: Row, new: Row, entering: Stream, wanted: Stream | None, rank: Tensor | None) -> Stream:
        theirs, ours = old.inner(), new.inner()
        if len(theirs) != len(ours):
            raise CannotInherit(f"{len(ours)} branches are not the parent's {len(theirs)}")
        if isinstance(new.layer, layers.Branches) and new.layer.join == "concat":
            widths = [rows.leaving(row.layer, len(entering)) for row in ours]
            had = [rows.leaving(row.layer, entering.width) for row in theirs]
            shares = streams.parts(wanted, widths, had) if wanted else [None] * len(ours)
            return streams.joined(
                self.layer(one, other, entering, share) for one, other, share in zip(theirs, ours, shares)
            )
        found = dict[int, Stream]()
        for place in _passing_first(ours):
            common = next(iter(found.values()), wanted)
            found[place] = self.layer(theirs[place], ours[place], entering, common, rank)
        return found[0]

    def _sequence(
        self, old: list[Row], new: list[Row], entering: Stream, wanted: Stream | None, rank: Tensor | None
    ) -> Stream:
        pairs = rows.aligned(old, new)
        last = max((place for place, (_, row) in enumerate(pairs) if row and row.draws), default=-1)
        for place, (before, row) in enumerate(pairs):
            if before is None or row is None:
                single = before or row
                assert single is not None
                if single.gates:
                    who, whom = ("the network", "its parent") if row else ("the parent", "the network")
                    raise CannotInherit(f"{who} has gates on its channels, and {whom} has none")
                if single.draws:  # what comes next knows other channels than these
                    channels = rows.leaving(row.layer, len(entering)) if row else len(entering)
                    entering = wanted if row and place == last and wanted else streams.unknown(channels)
            elif place == last or not row.draws:
                entering = self.layer(before, row, entering, wanted if place == last else None, rank)
            else:
                behind = [each for each, _ in pairs[place:] if each]
                entering = self.layer(before, row, entering, None, rows.used_by(behind))
        return entering

    def _convolution(
        self,
        before: layers.Conv,
        layer: layers.Conv,
        theirs: Row,
        ours: Row,
        entering: Stream,
        wanted: Stream | None,
        rank: Tensor | None,
    ) -> Stream:
        for word in ("stride", "dilation", "bias", "norm", "activation"):
            had, has = getattr(before, word), getattr(layer, word)
            if had != has:
                raise CannotInherit(f"a convolution's {word} {has!r} is not the parent's {had!r}")
        old, new = theirs.first(nn.Conv2d), ours.first(nn.Conv2d)
        if layer.groups > 1:
            if not _depthwise(old) or not _depthwise(new):
                raise CannotInherit("a convolution in groups that are not single channels is inherited whole or not")
            stream = entering
            self._slices.take(old.weight, new.weight, stream)
        else:
            importance = theirs.scale() if rank is None or len(rank) != before.out else rank
            stream = wanted or self._choose(importance, layer.out)
            self._slices.take(old.weight, new.weight, stream, entering)
        if not entering.known.any():
            return wanted or streams.unknown(layer.out)
        self._slices.take(old.bias, new.bias, stream)
        if layer.norm:
            self._slices.norm(theirs.first(nn.BatchNorm2d), ours.first(nn.BatchNorm2d), stream)
        return stream

    def _linear(self, theirs: Row, ours: Row, entering: Stream, wanted: Stream | None) -> Stream:
        old, new = theirs.first(nn.Linear), ours.first(nn.Linear)
        pixels = new.in_features // len(entering)
        if pixels != old.in_features // entering.width:
            raise CannotInherit("a linear layer reads all pixels, and the parent's are not as many")
        stream = wanted or self._choose(old.weight.detach().abs().sum(1), new.out_features)
        self._slices.take(old.weight, new.weight, stream, streams.spread(entering, pixels))
        self._slices.take(old.bias, new.bias, stream)
        return stream


def _passing_first(each: Sequence[Row]) -> list[int]:
    """Places in the order of who says which channels all have: those who hand theirs through."""
    return sorted(range(len(each)), key=lambda place: each[place].draws)


def _sizes(old: Row, new: Row, entering: Stream) -> tuple[int, int]:
    """Channels that leave the parent's layer, and the child's."""
    return rows.leaving(old.layer, entering.width), rows.leaving(new.layer, len(entering))


def _depthwise(convolution: nn.Conv2d) -> bool:
    return convolution.groups == convolution.in_channels == convolution.out_channels
