"""Channels on their way: which of the parent's each of the child's is."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

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


Choose: TypeAlias = Callable[[Tensor, int], Stream]
"""By the importance of the parent's channels, those that so many of the child's are."""


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
    return first(importance, channels)


def first(importance: Tensor, channels: int) -> Stream:
    """The first channels, or all of them and new ones behind: of any two children one has what the other has."""
    width = len(importance)
    return Stream(torch.cat((torch.arange(min(width, channels)), torch.full((max(0, channels - width),), NEW))), width)


def ranked(importance: Tensor, channels: int) -> Stream:
    """As many as there are, the most important ones first."""
    assert channels == len(importance)
    return Stream(importance.argsort(descending=True, stable=True), channels)


def halves(choose: Choose, importance: Tensor, channels: int) -> Stream:
    """The same of each half, as a factorized reduction concatenates them."""
    middle = len(importance) // 2
    return joined((choose(importance[:middle], channels // 2), choose(importance[middle:], channels - channels // 2)))


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
