"""Which slice of which tensor of the parent's each tensor of the child's is; to be copied, or to be learnt through."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nas.inheritance.streams import CannotInherit, Stream


@dataclass(frozen=True)
class Slice:
    """Of the parent's tensor `source`: these rows (what leaves) and these columns (what enters), all where None, and
    the centre of the kernels. Without a source: zeros."""

    source: str | None
    rows: Stream | None = None
    columns: Stream | None = None

    def of(self, parent: Mapping[str, Tensor], own: Tensor) -> Tensor:
        """The child's tensor, which was `own` before, and still is in rows that the parent does not have. Columns that
        it does not have are zeros: what is new gives nothing to what is old."""
        if self.source is None:
            return torch.zeros_like(own)
        weights = _resized(parent[self.source], own.shape[2:])
        if self.columns is not None:
            shape = list(weights.shape)
            shape[1] = len(self.columns)
            weights = _along(1, self.columns, weights, weights.new_zeros(()).expand(shape))
        return weights if self.rows is None else _along(0, self.rows, weights, own)

    def taken(self, own: Tensor) -> int:
        """How many of the child's weights are its parent's."""
        if self.source is None:
            return 0
        shares = (1.0 if stream is None else float(stream.known.float().mean()) for stream in (self.rows, self.columns))
        return round(own.numel() * math.prod(shares))


class Slices:
    """Of a parent for one child, by the names of the child's tensors; made once, and good for any weights of both."""

    def __init__(self, parent: nn.Module, child: nn.Module) -> None:
        self._parent, self._child = parent, child
        self._names = [{id(tensor): name for name, tensor in _tensors(each).items()} for each in (parent, child)]
        self._slices: dict[str, Slice] = {}

    def take(
        self, old: Tensor | None, new: Tensor | None, rows: Stream | None = None, columns: Stream | None = None
    ) -> None:
        """Let the child's tensor `new` have that slice of the parent's `old`; where nothing that enters is known, it is
        left as it is."""
        if old is None or new is None or (columns is not None and not columns.known.any()):
            return
        theirs, ours = self._names
        _resized(old, new.shape[2:])  # raises where that cannot be
        self._slices[ours[id(new)]] = Slice(theirs[id(old)], rows, columns)

    def norm(self, old: nn.BatchNorm2d, new: nn.BatchNorm2d, rows: Stream) -> None:
        for name in ("running_mean", "running_var", "weight", "bias"):
            self.take(getattr(old, name), getattr(new, name), rows)

    def whole(self, old: nn.Module, new: nn.Module) -> None:
        """Let a module have all of one that is built alike."""
        for one, other in zip(_tensors(old).values(), _tensors(new).values(), strict=True):
            self.take(one, other)

    def silence(self, weights: Iterable[Tensor]) -> None:
        """Let these be zeros, whatever they were to be."""
        for tensor in weights:
            self._slices[self._names[1][id(tensor)]] = Slice(None)

    @property
    def share(self) -> float:
        """The part of the child's parameters that are its parent's, from 0 to 1."""
        own = dict(self._child.named_parameters())
        taken = sum(each.taken(own[name]) for name, each in self._slices.items() if name in own)
        return taken / sum(weights.numel() for weights in own.values())

    def weights(self) -> dict[str, Tensor]:
        """The child's tensors by their names, computed from the parent's: what is learnt with them, the parent learns.
        Those that it has nothing of are left out."""
        theirs, ours = _tensors(self._parent), _tensors(self._child)
        return {name: each.of(theirs, ours[name]) for name, each in self._slices.items()}

    @torch.no_grad()
    def copy(self) -> None:
        """Give the child what it has of the parent now."""
        ours = _tensors(self._child)
        for name, weights in self.weights().items():
            ours[name].copy_(weights)


def _tensors(module: nn.Module) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = module.state_dict(keep_vars=True)
    return tensors


def _along(dimension: int, stream: Stream, weights: Tensor, others: Tensor) -> Tensor:
    """Of `weights` what the stream has kept, and of `others` what it has not."""
    kept = stream.kept[stream.known]
    if len(kept) and torch.equal(kept, torch.arange(len(kept))):
        slices = weights.narrow(dimension, 0, len(kept))  # which copies nothing
    else:
        slices = weights.index_select(dimension, kept.to(weights.device))
    if len(kept) == len(stream):
        return slices
    return others.index_copy(dimension, stream.known.nonzero().flatten(), slices)


def _resized(weights: Tensor, pixels: Iterable[int]) -> Tensor:
    """Kernels of (…, height, width) cropped at their centre, or padded with zeros around it."""
    for dimension, wanted in enumerate(pixels, 2):
        had = weights.shape[dimension]
        if (wanted - had) % 2:
            raise CannotInherit(f"a kernel of {had} pixels has no centre among {wanted}")
        if wanted < had:
            weights = weights.narrow(dimension, (had - wanted) // 2, wanted)
        elif wanted > had:
            border = [*weights.shape]
            border[dimension] = (wanted - had) // 2
            zeros = weights.new_zeros(border)
            weights = torch.cat((zeros, weights, zeros), dimension)
    return weights
