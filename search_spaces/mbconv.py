"""Stages of convolutions and inverted bottlenecks: the factorized space of MnasNet and EfficientNet.

Tan et al. 2019 (MnasNet), Tan & Le 2019 and 2021 (EfficientNet, EfficientNetV2). Each stage chooses its operation,
kernel, expansion, squeeze-and-excitation, width, repeats and skip on its own; blocks within a stage are alike.
EfficientNet-B0 is one point of the space for images of 128 pixels and more.
"""

import dataclasses
import functools
from typing import TYPE_CHECKING, Any

from nas import surroundings
from nas.networks.architecture import Activation, Architecture, Choices, Images, Knobs, Stage, round_channels

if TYPE_CHECKING:
    from torch import nn

    import search_spaces.mbconv
    from nas.networks.lowering import AnyArchitecture
    from nas.spaces import SearchSpace

    _satisfied: SearchSpace = search_spaces.mbconv

_KNOBS = ("op", "kernel", "expand", "se_ratio", "width", "repeats", "skip")
_WIDTHS = (0.75, 1.0, 1.25)

SMALL_PIXELS = (8, 127)  # three reductions; from 128 pixels on ImageNet's five


@dataclasses.dataclass(frozen=True, kw_only=True)
class Skeleton:
    """What the knobs vary around: per stage (stride, channels, repeats)."""

    stem: int
    stem_stride: int
    stages: tuple[tuple[int, int, int], ...]
    head: int
    activation: Activation
    dropout: float
    drop_connect: float


SMALL = Skeleton(
    stem=16,
    stem_stride=2,
    stages=((1, 24, 2), (2, 48, 2), (2, 96, 2)),
    head=0,
    activation="relu",
    dropout=0.0,
    drop_connect=0.0,
)
LARGE = Skeleton(
    stem=32,
    stem_stride=2,
    stages=((1, 16, 1), (2, 24, 2), (2, 40, 2), (2, 80, 3), (1, 112, 3), (2, 192, 4), (1, 320, 1)),
    head=1280,
    activation="swish",
    dropout=0.2,
    drop_connect=0.2,
)


def skeleton(images: Images) -> Skeleton:
    return SMALL if images.resolution <= SMALL_PIXELS[1] else LARGE


def knobs(images: Images) -> Knobs:
    """Seven knobs a stage, named "stage1.op" and so on."""
    table: dict[str, tuple[str | int | float | bool, ...]] = {}
    for number, (_, _, repeats) in enumerate(skeleton(images).stages, 1):
        table |= {
            f"stage{number}.op": ("conv", "fused", "mbconv"),
            f"stage{number}.kernel": (3, 5),
            f"stage{number}.expand": (1, 3, 6),
            f"stage{number}.se_ratio": (0.0, 0.25),
            f"stage{number}.width": _WIDTHS,
            f"stage{number}.repeats": (repeats - 1, repeats, repeats + 1) if repeats > 1 else (1, 2),
            f"stage{number}.skip": ("identity", "none"),
        }
    return table


def architecture(choices: Choices, images: Images) -> Architecture:
    """Width factors round to multiples of 8; `fused` without expansion is the plain convolution it amounts to."""
    plan = skeleton(images)
    return Architecture(
        images=images,
        stem=plan.stem,
        stem_stride=plan.stem_stride,
        stages=_stages(choices, plan),
        head=plan.head,
        activation=plan.activation,
        dropout=plan.dropout,
        drop_connect=plan.drop_connect,
    )


def _stages(choices: Choices, plan: Skeleton) -> tuple[Stage, ...]:
    return tuple(
        _stage(stride, channels, *[choices[f"stage{number}.{name}"] for name in _KNOBS])
        for number, (stride, channels, _) in enumerate(plan.stages, 1)
    )


@functools.lru_cache(maxsize=4096, typed=True)  # a searcher describes thousands of networks, of few stages
def _stage(
    stride: int, channels: int, op: Any, kernel: Any, expand: Any, se_ratio: Any, width: Any, repeats: Any, skip: Any
) -> Stage:
    plain = op == "conv" or (op == "fused" and expand == 1)
    return Stage(
        op="conv" if plain else op,
        kernel=kernel,
        stride=stride,
        expand=1 if plain else expand,
        channels=round_channels(channels, width),
        repeats=repeats,
        se_ratio=se_ratio,
        skip=skip == "identity",
    )


def canonical(choices: Choices, images: Images) -> Choices:
    """Expansion of a plain convolution is 1; a skip that no block of the stage can take is "identity"; of widths that
    round to the same channels it is the narrowest."""
    table, plan = dict(choices), skeleton(images)
    channels = plan.stem
    for number, (stage, (_, reference, _)) in enumerate(zip(_stages(choices, plan), plan.stages), 1):
        same = (width for width in _WIDTHS if round_channels(reference, width) == stage.channels)
        table[f"stage{number}.width"] = next(same)
        if stage.op == "conv":
            table |= {f"stage{number}.op": "conv", f"stage{number}.expand": 1}
        if stage.repeats == 1 and (stage.stride > 1 or channels != stage.channels):
            table[f"stage{number}.skip"] = "identity"
        channels = stage.channels
    return table


def nested(images: Images) -> Knobs:
    """Inverted bottlenecks of other kernels, expansions, widths and repeats."""
    same: dict[str, tuple[str | int | float, ...]] = {
        "op": ("mbconv",),
        "expand": (3, 6),
        "se_ratio": (0.0,),
        "skip": ("identity",),
    }
    stages = range(1, len(skeleton(images).stages) + 1)
    return {f"stage{number}.{name}": choices for number in stages for name, choices in same.items()}


def around(parent: "AnyArchitecture") -> "SearchSpace":
    """Kernels, expansions, widths and repeats up to the parent's, stage by stage."""
    return surroundings.around(parent)


def build(architecture: "AnyArchitecture") -> "nn.Module":
    from nas.networks.blocks import network

    return network(architecture)
