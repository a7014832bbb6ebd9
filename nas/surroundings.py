"""The networks around a parent: its stages are the skeleton, and the knobs say how much smaller each is made.

Whatever is chosen, `nas.inheritance` finds all of its weights in the parent (Once-for-All, Cai et al. 2020; FNA, Fang
et al. 2020): channels are left out, kernels cropped, stages shortened, and weights do not know of the resolution. Skips
are where the parent has them, and nowhere else: a stage with one around its first block is as wide as what enters it.
"""

import dataclasses
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nas.networks.architecture import Architecture, Choice, Choices, Images, Knobs, Stage, round_channels
from nas.networks.lowering import AnyArchitecture
from nas.refusal import Refusal

if TYPE_CHECKING:
    from torch import nn

    from nas.spaces import SearchSpace

VARIED = ("kernel", "expand", "width", "repeats")
WIDTHS = (0.5, 0.75, 1.0)
RESOLUTIONS = (0.57, 0.71, 0.86)  # 128, 160 and 192 of 224 pixels
EXPANSIONS = (1 / 2, 2 / 3)
FEWEST_PIXELS = 8  # of images, and between two resolutions


@dataclass(frozen=True)
class Surroundings:
    """A search space around `parent`; of each stage what is `varied` is searched, and the rest is as the parent has it.

    Choices are in the order of size, so the last ones of all knobs are the parent. A knob that would have one choice
    alone is left out.
    """

    parent: Architecture
    varied: tuple[str, ...] = VARIED

    def knobs(self, images: Images) -> Knobs:
        """Up to four knobs a stage, named "stage1.kernel" and so on, the head's width, and the resolution in pixels."""
        dataclasses.replace(self.parent, images=images)  # which refuses those that are smaller than the strides
        table: dict[str, tuple[Choice, ...]] = {}
        for number, (stage, entering) in enumerate(zip(self.parent.stages, self.parent.entered), 1):
            for name, options in _options(stage, entering).items():
                if name in self.varied:
                    table[f"stage{number}.{name}"] = options
        if "width" in self.varied:
            table["head.width"] = _widths(self.parent.head)
        table["resolution"] = self._resolutions(images.resolution)
        table = {knob: options for knob, options in table.items() if len(options) > 1}
        if not table:
            raise Refusal("nothing of the parent can be made smaller: give a larger one", field="parent")
        return table

    def architecture(self, choices: Choices, images: Images) -> Architecture:
        """Widths are parts of the parent's channels, in multiples of 8."""
        resolution = int(choices.get("resolution", images.resolution))
        stages, entering = list[Stage](), self.parent.stem
        for number, (stage, entered) in enumerate(zip(self.parent.stages, self.parent.entered), 1):
            channels = entering if stage.skips_first(entered) else stage.channels
            stages.append(_smaller(dataclasses.replace(stage, channels=channels), number, choices))
            entering = stages[-1].channels
        child = dataclasses.replace(
            self.parent,
            images=dataclasses.replace(images, resolution=resolution),
            stages=tuple(stages),
            head=round_channels(self.parent.head, float(choices.get("head.width", 1.0))),
        )
        return child.skipping_as(self.parent)

    def canonical(self, choices: Choices, images: Images) -> Choices:
        """The choices themselves: no two build the same network."""
        return choices

    def build(self, architecture: AnyArchitecture) -> "nn.Module":
        from nas.networks.blocks import network

        return network(architecture)

    def _resolutions(self, whole: int) -> tuple[int, ...]:
        """Parts of the images' resolution that the strides divide, where there is room for them."""
        strides = self.parent.stem_stride * math.prod(stage.stride for stage in self.parent.stages)
        step = max(FEWEST_PIXELS, strides)
        smaller = {step * max(1, round(whole * part / step)) for part in RESOLUTIONS}
        return (*sorted(pixels for pixels in smaller if pixels < whole), whole)


def around(parent: AnyArchitecture, varied: tuple[str, ...] = VARIED) -> "SearchSpace":
    """Raises Refusal for a parent that is not made of stages."""
    if not isinstance(parent, Architecture):
        kind = type(parent).__name__
        raise Refusal(f"the parent is a {kind}, and only one of stage rows can be searched around", field="parent")
    return Surroundings(parent, varied)


def _options(stage: Stage, entering: int) -> dict[str, tuple[Choice, ...]]:
    # An expansion of 1 is no layer, and the next one would find other channels than it knows.
    expansions = {max(2, round(stage.expand * part)) for part in EXPANSIONS}
    return {
        "kernel": tuple(range(min(3, stage.kernel), stage.kernel + 1, 2)),
        "expand": (*sorted(expand for expand in expansions if expand < stage.expand), stage.expand),
        "width": (1.0,) if stage.skips_first(entering) else _widths(stage.channels),
        "repeats": tuple(range(1, stage.repeats + 1)),
    }


def _widths(channels: int) -> tuple[float, ...]:
    """Those that round to fewer channels than the parent's, and each to others."""
    rounded = {round_channels(channels, width): width for width in WIDTHS}
    return tuple(width for number, width in rounded.items() if number < channels or width == 1)


def _smaller(stage: Stage, number: int, choices: Choices) -> Stage:
    values: dict[str, Any] = {name: choices.get(f"stage{number}.{name}") for name in VARIED}
    width = values.pop("width")
    changes = {name: value for name, value in values.items() if value is not None}
    return dataclasses.replace(stage, channels=round_channels(stage.channels, width or 1.0), **changes)


def whole(knobs: Knobs) -> Choices:
    """The choices that are the parent."""
    return {knob: options[-1] for knob, options in knobs.items()}


def searched(knobs: Knobs, subset: Knobs) -> Choices | None:
    """The choices that are the parent, where they are among those that are searched."""
    choices = whole(knobs)
    return choices if all(choice in subset.get(knob, (choice,)) for knob, choice in choices.items()) else None
