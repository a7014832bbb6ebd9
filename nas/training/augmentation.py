"""Images changed at random, a batch at a time, as tensors on the device where they lie.

Images are (N, C, H, W). Each change is drawn for every image on its own from the generator that is passed, and is none
at its zero value.
"""

import math

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from nas.training.changes import affine

ERASED = 0.02, 1 / 3  # of an image's area
ERASED_SHAPES = 0.3, 1 / 0.3  # height over width
CROPPED_SHAPES = 3 / 4, 4 / 3


def moved(raw: Tensor, shift: float, draw: torch.Generator, mirrored: Tensor | None) -> Tensor:
    """Each image mirrored and shifted by up to that part of its sides, by one look-up of its pixels."""
    count, _, height, width = raw.shape
    reach = [round(shift * side) for side in (height, width)]
    if mirrored is None and not any(reach):
        return raw
    device = raw.device
    places = [torch.arange(side, device=device).expand(count, -1) for side in (height, width)]
    if mirrored is not None:
        places[1] = torch.where(mirrored[:, None], width - 1 - places[1], places[1])
    if any(reach):
        raw = F.pad(raw, (reach[1], reach[1], reach[0], reach[0]))
        for axis, pixels in enumerate(reach):
            offset = torch.randint(0, 2 * pixels + 1, (count, 1), generator=draw, device=device)
            places[axis] = places[axis] + offset
    number = torch.arange(count, device=device)[:, None, None]
    return raw[number, :, places[0][:, :, None], places[1][:, None, :]].permute(0, 3, 1, 2)


def cropped(images: Tensor, least: float, draw: torch.Generator) -> Tensor:
    """A random part of each image, of at least that part of its area, in the size of the whole."""
    if least == 1:
        return images
    count = len(images)
    area, shape = _uniform(count, draw, images, least, 1), _shapes(count, draw, images, CROPPED_SHAPES)
    sides = [(area / shape).sqrt().clamp(max=1), (area * shape).sqrt().clamp(max=1)]  # width and height
    places = [(1 - side) * _uniform(count, draw, images, -1, 1) for side in sides]
    return affine(images, a=sides[0], c=places[0], e=sides[1], f=places[1])


def uncut(images: Tensor, side: float, draw: torch.Generator) -> Tensor:
    """1 everywhere but in a square somewhere in each image, of that part of its sides (DeVries & Taylor 2017)."""
    count, _, height, width = images.shape
    sides = [torch.full((count,), round(side * length), device=images.device) for length in (height, width)]
    return ~_rectangles(images, sides[0], sides[1], draw)


def unerased(images: Tensor, part: float, draw: torch.Generator) -> Tensor:
    """1 everywhere but in a rectangle of that part of the images (Zhong et al. 2020)."""
    count, _, height, width = images.shape
    area, shape = _uniform(count, draw, images, *ERASED), _shapes(count, draw, images, ERASED_SHAPES)
    heights, widths = (area * shape).sqrt() * height, (area / shape).sqrt() * width
    erased = _rectangles(images, heights.round().long(), widths.round().long(), draw)
    return ~(erased & (_uniform(count, draw, images, 0, 1) < part)[:, None, None, None])


def mixed(
    images: Tensor, labels: Tensor, classes: int, mixup: float, cutmix: float, draw: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Each image with some of another, and their labels as shares (N, classes): by Zhang et al. 2018, or Yun et al.
    2019, or in a half of all batches by either. Alphas of 0 leave both as they are."""
    if not mixup and not cutmix:
        return images, labels
    count, _, height, width = images.shape
    others = torch.randperm(count, generator=draw, device=images.device)
    cut = bool(cutmix) and (not mixup or bool(torch.randint(0, 2, (), generator=draw, device=images.device)))
    alpha = torch.full((count, 2), cutmix if cut else mixup, device=images.device)
    share = torch._sample_dirichlet(alpha, generator=draw)[:, 0]  # a beta distribution, of a generator of one's own
    if cut:
        side = (1 - share).sqrt()
        inside = _rectangles(images, (side * height).round().long(), (side * width).round().long(), draw)
        images = torch.where(inside, images[others], images)
        share = 1 - inside.flatten(1).float().mean(1)
    else:
        images = torch.lerp(images[others], images, share[:, None, None, None])
    whole = F.one_hot(labels, classes).float()
    return images, torch.lerp(whole[others], whole, share[:, None])


def _rectangles(images: Tensor, heights: Tensor, widths: Tensor, draw: torch.Generator) -> Tensor:
    """Whether pixels (N, 1, H, W) are inside rectangles of so many pixels about places drawn in the images."""
    inside = []
    for length, side in zip(images.shape[2:], (heights, widths)):
        centre = torch.randint(0, length, (len(images),), generator=draw, device=images.device)
        distance = torch.arange(length, device=images.device) - (centre - side // 2)[:, None]
        inside.append((distance >= 0) & (distance < side[:, None]))
    return inside[0][:, None, :, None] & inside[1][:, None, None, :]


def _uniform(count: int, draw: torch.Generator, like: Tensor, low: float, high: float) -> Tensor:
    return low + (high - low) * torch.rand(count, generator=draw, device=like.device)


def _shapes(count: int, draw: torch.Generator, like: Tensor, bounds: tuple[float, float]) -> Tensor:
    """Height over width, as often a wide one as a high one."""
    return _uniform(count, draw, like, math.log(bounds[0]), math.log(bounds[1])).exp()
