"""Channels on their way: which of the parent's each of the child's is, and the slices of weights that follow."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nas.refusal import Refusal

NEW = -1  # a channel that the parent does not have


class CannotInherit(Refusal):
    """There is no sensible slice of the parent for some part of the child; the message names it."""


@dataclass(frozen=True)
class Stream:
    """For each of the child's channels the number of the parent's that it is, or NEW; the parent has `width`."""

    kept: Tensor
    width: int

    def __len__(self) -> int:
        return len(self.kept)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Stream) and self.width == other.width and torch.equal(self.kept, other.kept)

    __hash__ = None  # type: ignore[assignment]

    @property
    def known(self) -> Tensor:
        return self.kept != NEW

    @property
    def whole(self) -> bool:
        """Whether the child's are the parent's, one for one."""
        return self == same(self.width)


def same(width: int) -> Stream:
    return Stream(torch.arange(width), width)


def unknown(channels: int, width: int = 0) -> Stream:
    """Channels of which the parent has none, among `width` others."""
    return Stream(torch.full((channels,), NEW), width)


def chosen(importance: Tensor, channels: int) -> Stream:
    """The most important channels in the parent's order, or all of them and new ones behind."""
    width = len(importance)
    if channels < width:
        return Stream(importance.topk(channels).indices.sort().values, width)
    return Stream(torch.cat((torch.arange(width), torch.full((channels - width,), NEW))), width)


def halves(importance: Tensor, channels: int) -> Stream:
    """The same of each half, as a factorized reduction concatenates them."""
    middle = len(importance) // 2
    return joined((chosen(importance[:middle], channels // 2), chosen(importance[middle:], channels - channels // 2)))


def parts(stream: Stream, channels: Iterable[int], widths: Iterable[int]) -> list[Stream]:
    """What `joined` was given for this stream: streams of so many channels, of which the parent has so many."""
    pieces, first, begin = [], 0, 0
    for count, width in zip(channels, widths):
        kept = stream.kept[first : first + count]
        if ((kept != NEW) & ((kept < begin) | (kept >= begin + width))).any():
            raise CannotInherit("channels would change places among branches")
        pieces.append(Stream(torch.where(kept == NEW, NEW, kept - begin), width))
        first, begin = first + count, begin + width
    return pieces


def joined(streams: Iterable[Stream]) -> Stream:
    """Streams that are concatenated."""
    kept, width = [], 0
    for stream in streams:
        kept.append(torch.where(stream.known, stream.kept + width, NEW))
        width += stream.width
    return Stream(torch.cat(kept), width)


def spread(stream: Stream, pixels: int) -> Stream:
    """Of the values that a flattened stream of so many pixels has."""
    values = stream.kept[:, None] * pixels + torch.arange(pixels)
    return Stream(torch.where(stream.known[:, None], values, NEW).flatten(), stream.width * pixels)


@torch.no_grad()
def matrix(old: Tensor, new: Tensor, leaving: Stream, entering: Stream) -> int:
    """Fill `new` (out, in, …) with what `old` has of these channels, kernels cropped at the centre or padded with
    zeros; how many weights that are. What is new gives nothing to what is old."""
    rows, columns = leaving.known, entering.known
    if not columns.any():
        return 0
    slices = _resized(old, new.shape[2:])[leaving.kept[rows]][:, entering.kept[columns]]
    inherited = torch.zeros_like(new[rows])
    inherited[:, columns] = slices
    new[rows] = inherited
    return slices.numel()


@torch.no_grad()
def vector(old: Tensor | None, new: Tensor | None, leaving: Stream) -> int:
    """The same for a value a channel, or for a depthwise kernel."""
    if old is None or new is None:
        return 0
    rows = leaving.known
    slices = _resized(old, new.shape[2:])[leaving.kept[rows]]
    new[rows] = slices
    return slices.numel()


def norm(old: nn.BatchNorm2d, new: nn.BatchNorm2d, leaving: Stream) -> int:
    vector(old.running_mean, new.running_mean, leaving)
    vector(old.running_var, new.running_var, leaving)
    return vector(old.weight, new.weight, leaving) + vector(old.bias, new.bias, leaving)


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
