"""MnasNet's factorized hierarchical space (Tan et al. 2019): 432^5 networks.

Each of five blocks chooses its convolution {conv, depthwise-separable conv, MBConv of expansion 3 or 6}, kernel,
squeeze-and-excitation, skip {identity, pooling, none}, width and layers around MobileNetV2's. The paper gives the sizes
432 and 5 without saying which blocks: here they are MobileNetV2's middle five, between its first and its last one.
The pooling skip is a 3×3 average, taken where a layer keeps its channels. Images below 128 pixels get three blocks.
"""

from typing import TYPE_CHECKING, Any

from nas.networks.architecture import Architecture, Choices, Images, Knobs, Stage, round_channels

if TYPE_CHECKING:
    from torch import nn

    import search_spaces.mnasnet
    from nas.networks.lowering import AnyArchitecture
    from nas.spaces import SearchSpace

    _satisfied: SearchSpace = search_spaces.mnasnet

LARGE = ((2, 24, 2), (2, 32, 3), (2, 64, 4), (1, 96, 3), (2, 160, 3))  # stride, channels, layers
SMALL = ((2, 24, 2), (2, 48, 2), (2, 96, 2))
SMALL_BELOW = 128  # pixels

FIRST = Stage(op="mbconv", kernel=3, stride=1, expand=1, channels=16, repeats=1)
LAST = Stage(op="mbconv", kernel=3, stride=1, expand=6, channels=320, repeats=1)

_OPS: dict[str, tuple[Any, int]] = {
    "conv": ("conv", 1),
    "dconv": ("mbconv", 1),
    "mbconv3": ("mbconv", 3),
    "mbconv6": ("mbconv", 6),
}
_SKIPS: dict[str, Any] = {"identity": True, "pooling": "pooling", "none": False}
_WIDTHS = (0.75, 1.0, 1.25)
_KNOBS = ("op", "kernel", "se_ratio", "skip", "width", "layers")


def blocks(images: Images) -> tuple[tuple[int, int, int], ...]:
    return SMALL if images.resolution < SMALL_BELOW else LARGE


def knobs(images: Images) -> Knobs:
    """Six knobs a block, named "block1.op" and so on."""
    table: dict[str, tuple[str | int | float | bool, ...]] = {}
    for number, (_, _, layers) in enumerate(blocks(images), 1):
        table |= {
            f"block{number}.op": tuple(_OPS),
            f"block{number}.kernel": (3, 5),
            f"block{number}.se_ratio": (0.0, 0.25),
            f"block{number}.skip": tuple(_SKIPS),
            f"block{number}.width": _WIDTHS,
            f"block{number}.layers": (layers - 1, layers, layers + 1),
        }
    return table


def architecture(choices: Choices, images: Images) -> Architecture:
    small = images.resolution < SMALL_BELOW
    stages = [] if small else [FIRST]
    for number, (stride, channels, _) in enumerate(blocks(images), 1):
        values: dict[str, Any] = {name: choices[f"block{number}.{name}"] for name in _KNOBS}
        op, expand = _OPS[values["op"]]
        stages.append(
            Stage(
                op=op,
                kernel=values["kernel"],
                stride=stride,
                expand=expand,
                channels=round_channels(channels, values["width"]),
                repeats=values["layers"],
                se_ratio=values["se_ratio"],
                skip=_SKIPS[values["skip"]],
            )
        )
    return Architecture(
        images=images,
        stem=16 if small else 32,
        stem_stride=1 if small else 2,
        stages=tuple(stages if small else [*stages, LAST]),
        head=128 if small else 1280,
        dropout=0.0 if small else 0.2,
    )


def canonical(choices: Choices, images: Images) -> Choices:
    """A skip that no layer of the block can take is "identity"; of widths that round alike it is the narrowest."""
    table = dict(choices)
    built = architecture(choices, images)
    searched = built.stages if images.resolution < SMALL_BELOW else built.stages[1:-1]
    channels = built.stem if images.resolution < SMALL_BELOW else FIRST.channels
    for number, (stage, (_, reference, _)) in enumerate(zip(searched, blocks(images)), 1):
        same = (width for width in _WIDTHS if round_channels(reference, width) == stage.channels)
        table[f"block{number}.width"] = next(same)
        pools = stage.repeats > 1 or channels == stage.channels
        skips = stage.repeats > 1 or (channels == stage.channels and stage.stride == 1)
        if not pools or (not skips and stage.skip is False):
            table[f"block{number}.skip"] = "identity"
        channels = stage.channels
    return table


def nested(images: Images) -> Knobs:
    """MBConv of other kernels, expansions, widths and layers."""
    table: dict[str, tuple[str | float, ...]] = {}
    for number in range(1, len(blocks(images)) + 1):
        table |= {
            f"block{number}.op": ("mbconv3", "mbconv6"),
            f"block{number}.se_ratio": (0.0,),
            f"block{number}.skip": ("identity",),
        }
    return table


def build(architecture: "AnyArchitecture") -> "nn.Module":
    from nas.networks.blocks import network

    return network(architecture)
