"""The changes of TrivialAugment (Müller & Hutter 2021) as operations on batches, on the device where they lie."""

import math
from collections.abc import Callable
from typing import TypeAlias

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

WHITE = 255.0
MOST = 0.99  # of a lean, and of what a colour loses
TURN = math.radians(135)
BITS = 6  # of 8 that a colour loses

# Images (N, C, H, W) of values from 0 to 255, changed by so much (N) from -1 to 1, and not at all by 0. What has no
# direction is changed alike by as much either way.
Change: TypeAlias = Callable[[Tensor, Tensor], Tensor]


def changed(images: Tensor, strength: float, draw: torch.Generator) -> Tensor:
    """Each of `images`, of values from 0 to 255, as it is or changed in one way, by up to that strength."""
    if not strength:
        return images
    count, device, images = len(images), images.device, images.clone()
    kind = torch.randint(0, len(CHANGES) + 1, (count,), generator=draw, device=device)  # the last: as it is
    by = strength * (2 * torch.rand(count, generator=draw, device=device) - 1)
    for number, change in enumerate(CHANGES):
        its = (kind == number).nonzero()[:, 0]
        if len(its):
            images[its] = change(images[its], by[its])
    return images


def affine(
    images: Tensor,
    a: Tensor | float = 1.0,
    b: Tensor | float = 0.0,
    c: Tensor | float = 0.0,
    d: Tensor | float = 0.0,
    e: Tensor | float = 1.0,
    f: Tensor | float = 0.0,
) -> Tensor:
    """What was at (ax + by + c, dx + ey + f) is at (x, y), or zero where nothing was; an image is from -1 to 1, either
    way. The six are numbers, or of each image its own."""
    entries = [torch.as_tensor(entry, device=images.device).expand(len(images)) for entry in (a, b, c, d, e, f)]
    places = F.affine_grid(torch.stack(entries, 1).view(-1, 2, 3), list(images.shape), align_corners=False)
    return F.grid_sample(images, places, align_corners=False)


def _turned(images: Tensor, by: Tensor) -> Tensor:
    height, width = images.shape[2:]
    cosine, sine = (TURN * by).cos(), (TURN * by).sin()
    return affine(images, cosine, -sine * height / width, 0.0, sine * width / height, cosine)


def _towards(images: Tensor, others: Tensor, by: Tensor) -> Tensor:
    """From `images` (0) to the `others` (1), or as far away from them (-1)."""
    return torch.lerp(images, others.expand_as(images), by[:, None, None, None]).clamp(0, WHITE)


def _brighter(images: Tensor, by: Tensor) -> Tensor:
    return _towards(images, torch.zeros_like(images), MOST * by)


def _contrasted(images: Tensor, by: Tensor) -> Tensor:
    return _towards(images, images.mean((1, 2, 3), keepdim=True), MOST * by)


def _coloured(images: Tensor, by: Tensor) -> Tensor:
    return _towards(images, images.mean(1, keepdim=True), MOST * by)


def _sharpened(images: Tensor, by: Tensor) -> Tensor:
    smooth = F.avg_pool2d(F.pad(images, (1, 1, 1, 1), mode="replicate"), 3, 1)
    return _towards(images, smooth, MOST * by)


def _posterized(images: Tensor, by: Tensor) -> Tensor:
    step = 2 ** (BITS * by.abs()).round()[:, None, None, None]
    return (images / step).floor() * step


def _solarized(images: Tensor, by: Tensor) -> Tensor:
    return torch.where(images > WHITE * (1 - by.abs()[:, None, None, None]), WHITE - images, images)


def _spread(images: Tensor, by: Tensor) -> Tensor:
    """Each channel from black to white."""
    low, high = images.amin((2, 3), keepdim=True), images.amax((2, 3), keepdim=True)
    whole = torch.where(high > low, (images - low) * WHITE / (high - low).clamp(min=1), images)
    return _towards(images, whole, by.abs())


def _equalized(images: Tensor, by: Tensor) -> Tensor:
    """Each channel with as many pixels of every brightness: a pixel is as bright as it ranks."""
    pixels = images.flatten(2).contiguous()
    rank = torch.searchsorted(pixels.sort(-1).values, pixels, side="right")
    return _towards(images, (rank * (WHITE / pixels.shape[-1])).view_as(images), by.abs())


CHANGES: tuple[Change, ...] = (
    lambda images, by: affine(images, b=MOST * by),  # leans
    lambda images, by: affine(images, d=MOST * by),
    lambda images, by: affine(images, c=2 * by),  # shifted, by up to its whole side
    lambda images, by: affine(images, f=2 * by),
    _turned,
    _brighter,
    _contrasted,
    _coloured,
    _sharpened,
    _posterized,
    _solarized,
    _spread,
    _equalized,
)
