"""A trained network to be used: pictures in, the names of classes out. Needs torch and numpy."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from nas import home
from nas.backbone import Backbone
from nas.classify import pixels
from nas.models import checkpoint, opening
from nas.training.data import Normalisation, View, tensor

if TYPE_CHECKING:
    from torch import nn

    from nas.models.checkpoint import Card

ADDRESS = re.compile(r"(https?://.+?)/v1/models/([^/]+)(/.*)?")
MODEL = re.compile(r"[0-9a-f]{12}(-\d+|@\w+)")


@dataclass(frozen=True, kw_only=True, eq=False)
class Answers:
    """What a network says of each image."""

    classes: tuple[str, ...]
    """The names of the columns."""
    logits: Tensor
    """float32 (N, classes)."""

    @property
    def probabilities(self) -> Tensor:
        """float32 (N, classes), whose rows sum to 1."""
        return self.logits.softmax(1)

    @property
    def names(self) -> list[str]:
        """The most probable class of each image."""
        return [self.classes[number] for number in self.logits.argmax(1).tolist()]


class Network:
    """A trained network with all that it needs to be shown pictures: `module` is torch's, `card` says what it is, and
    `classes` what its answers are called."""

    def __init__(self, module: "nn.Module", card: "Card", device: str = "cpu") -> None:
        where = torch.device(device)
        self.module, self.card, self.classes = module.to(where), card, card.classes
        how = Normalisation(mean=card.mean, std=card.std)
        self._view = View(card.architecture.images.resolution, how, where)

    def __call__(self, images: Any) -> Answers:
        """Of raw images, uint8 (N, channels, side, side) or one of them without its N, an array or a tensor; or of
        Pillow's images, one or a list of them, of any size and mode. Raises ValueError for others."""
        raw = self._raw(images)
        with torch.inference_mode():
            logits = self.module(self._view(raw)).float().cpu()
        return Answers(classes=self.classes, logits=logits)

    def backbone(self, strides: Sequence[int] | None = None) -> Backbone:
        """Its features at several strides, 4 to 32 where it has them: for a detector, and to be trained with it. What
        goes in is normalised by `card.mean` and `card.std`. Raises ValueError for strides that it has no map of."""
        return Backbone(self.module, self.card.architecture, strides)

    def _raw(self, images: Any) -> Tensor:
        channels = self.card.architecture.images.channels
        pictures = images if isinstance(images, Sequence) else [images]
        if pictures and all(hasattr(picture, "getexif") for picture in pictures):
            side = self.card.pixels or self.card.architecture.images.resolution
            each = [pixels(picture, channels, side, self.card.greys) for picture in pictures]
            return tensor(np.stack(each))
        raw = images if isinstance(images, Tensor) else tensor(np.asarray(images))
        raw = raw[None] if raw.ndim == 3 else raw
        if raw.dtype != torch.uint8 or raw.ndim != 4 or raw.shape[1] != channels or raw.shape[2] != raw.shape[3]:
            raise ValueError(
                f"{raw.dtype} of shape {tuple(raw.shape)} are no images for this network: give uint8 of shape "
                f"(N, {channels}, side, side), or Pillow's images, which it makes square itself"
            )
        return raw


def load(what: str | Path, device: str = "cpu") -> Network:
    """See nas.load."""
    path = Path(what)
    if not path.exists():
        path = _fetched(str(what)) or path
    module, card = checkpoint.loaded(opening.checkpoint(path), str(path))
    return Network(module, card, device)


def _fetched(what: str) -> Path | None:
    """The checkpoint of the model that `what` names at a service, fetched unless it is here already; None where it
    names none."""
    at = ADDRESS.fullmatch(what)
    if not (at or MODEL.fullmatch(what)):
        return None
    from nas.client import Client

    with Client(at[1] if at else None) as client:
        return client.download(at[2] if at else what, home.folder("downloads"))
