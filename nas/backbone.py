"""A network as a backbone: its features at several strides, for detectors and whatever else reads more than one map.

Maps are called "0", "1" and so on by rising stride, as torchvision's detectors call them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional

from nas.networks.blocks import Wired
from nas.networks.lowering import AnyArchitecture, lowered
from nas.networks.shapes import Shape, after

STRIDES = (4, 8, 16, 32)
LARGE = 1024  # pixels a side of an image whose maps tell the strides


@dataclass(frozen=True, kw_only=True)
class Map:
    """A map of features that a network gives on its way."""

    stride: int
    """Pixels of an image that one of the map's stands for, each way."""
    channels: int
    """Its channels."""
    part: int
    """The number of the network's part that gives it, from 0."""


def maps(architecture: AnyArchitecture) -> tuple[Map, ...]:
    """The last map of each stride, by rising stride, until the pixels are pooled away."""
    last: dict[int, Map] = {}
    states = [Shape(architecture.images.channels, LARGE, LARGE)]
    for number, part in enumerate(lowered(architecture)):
        entering = tuple(states[state] for state in part.inputs or (number,))
        for block in part.blocks if not part.auxiliary else ():
            entering = (after(block, *entering),)
        states.append(entering[0])
        if part.auxiliary:
            continue
        if states[-1].height == 1:
            break
        stride = 2 ** round(math.log2(LARGE / states[-1].height))  # without padding it is a little more
        last[stride] = Map(stride=stride, channels=states[-1].channels, part=number)
    return tuple(last[stride] for stride in sorted(last))


class Backbone(nn.Module):
    """The parts of `network` that `architecture` describes, up to the last map of `strides`; of all that it has of 4 to
    32 where none are given. They are its own, weights and all: who trains one trains the other.

    Raises ValueError for strides that it has no map of.
    """

    def __init__(self, network: nn.Module, architecture: AnyArchitecture, strides: Sequence[int] | None = None) -> None:
        super().__init__()
        known = {each.stride: each for each in maps(architecture)}
        wanted = [stride for stride in STRIDES if stride in known] if strides is None else sorted(set(strides))
        missing = [stride for stride in wanted or STRIDES if stride not in known]
        if missing:
            raise ValueError(
                f"the network has no map of stride {' or '.join(map(str, missing))}: there are "
                f"{', '.join(map(str, known))}. It is for images of {architecture.images.resolution} pixels"
            )
        chosen = [known[stride] for stride in wanted]
        self.strides = tuple(wanted)
        self.channels = tuple(each.channels for each in chosen)
        self._places = {each.part: str(place) for place, each in enumerate(chosen)}
        modules = network.parts if isinstance(network, Wired) else network
        assert isinstance(modules, nn.Sequential | nn.ModuleList)
        parts = lowered(architecture)[: max(self._places) + 1]
        self.parts = nn.ModuleList(
            nn.Identity() if part.auxiliary else module for part, module in zip(parts, modules, strict=False)
        )
        self._inputs = [part.inputs or (number,) for number, part in enumerate(parts)]
        self._auxiliary = [part.auxiliary for part in parts]

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Of float (N, C, H, W), normalised as the network wants them."""
        states, features = [images], {}
        for number, (part, inputs) in enumerate(zip(self.parts, self._inputs)):
            states.append(images if self._auxiliary[number] else part(*(states[state] for state in inputs)))
            if number in self._places:
                features[self._places[number]] = states[-1]
        return features


class Pyramid(nn.Module):
    """A feature pyramid (Lin et al. 2017) on a backbone: maps of equally many channels, each with what the coarser ones
    know, and one of half the coarsest, "pool". With four maps it is what torchvision's Faster, Mask and Keypoint R-CNN
    take as they are."""

    def __init__(self, backbone: Backbone, channels: int = 256) -> None:
        super().__init__()
        self.backbone, self.out_channels = backbone, channels
        self.strides = (*backbone.strides, 2 * backbone.strides[-1])
        self.sideways = nn.ModuleList(nn.Conv2d(entering, channels, 1) for entering in backbone.channels)
        self.smoothing = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1) for _ in backbone.channels)
        for convolution in (*self.sideways, *self.smoothing):
            assert isinstance(convolution, nn.Conv2d)
            nn.init.kaiming_uniform_(convolution.weight, a=1)
            assert convolution.bias is not None
            nn.init.zeros_(convolution.bias)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        features = self.backbone(images)
        levels: dict[str, Tensor] = {}
        coarser: Tensor | None = None
        for name, sideways, smoothing in reversed(list(zip(features, self.sideways, self.smoothing))):
            level = sideways(features[name])
            if coarser is not None:
                level = level + functional.interpolate(coarser, size=level.shape[-2:])
            coarser, levels[name] = level, smoothing(level)
        levels = dict(reversed(levels.items()))
        return {**levels, "pool": functional.max_pool2d(next(reversed(levels.values())), 1, 2)}
