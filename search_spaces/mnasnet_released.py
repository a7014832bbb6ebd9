"""The MnasNet space as Google released it: seven blocks around MobileNetV2's, 216^5 × 144^2 networks.

Each block chooses conv or MBConv, expansion (inert for a conv), kernel, squeeze-and-excitation, filters and repeats;
skips are always taken. Images below 128 pixels get three blocks.
"""

from typing import TYPE_CHECKING, Any

from nas.networks.architecture import Architecture, Choices, Images, Knobs, Stage

if TYPE_CHECKING:
    from torch import nn

    import search_spaces.mnasnet_released
    from nas.networks.lowering import AnyArchitecture
    from nas.spaces import SearchSpace

    _satisfied: SearchSpace = search_spaces.mnasnet_released

# stride, filters, repeats
LARGE = ((1, 16, 1), (2, 24, 2), (2, 32, 3), (2, 64, 4), (1, 96, 3), (2, 160, 3), (1, 320, 1))
SMALL = ((2, 24, 2), (2, 48, 2), (2, 96, 2))
SMALL_BELOW = 128  # pixels

_KNOBS = ("block_fn", "expand", "kernel", "se_ratio", "filters", "repeats")


def blocks(images: Images) -> tuple[tuple[int, int, int], ...]:
    return SMALL if images.resolution < SMALL_BELOW else LARGE


def knobs(images: Images) -> Knobs:
    """Six knobs a block, named "block1.block_fn" and so on."""
    table: dict[str, tuple[str | int | float | bool, ...]] = {}
    for number, (_, _, repeats) in enumerate(blocks(images), 1):
        table |= {
            f"block{number}.block_fn": ("conv", "mbconv"),
            f"block{number}.expand": (1, 3, 6),
            f"block{number}.kernel": (3, 5),
            f"block{number}.se_ratio": (0.0, 0.25),
            f"block{number}.filters": (0.75, 1.0, 1.25),
            f"block{number}.repeats": (repeats - 1, repeats, repeats + 1) if repeats > 1 else (1, 2),
        }
    return table


def architecture(choices: Choices, images: Images) -> Architecture:
    small = images.resolution < SMALL_BELOW
    stages = []
    for number, (stride, filters, _) in enumerate(blocks(images), 1):
        values: dict[str, Any] = {name: choices[f"block{number}.{name}"] for name in _KNOBS}
        stages.append(
            Stage(
                op=values["block_fn"],
                kernel=values["kernel"],
                stride=stride,
                expand=values["expand"] if values["block_fn"] == "mbconv" else 1,
                channels=int(filters * values["filters"]),
                repeats=values["repeats"],
                se_ratio=values["se_ratio"],
            )
        )
    return Architecture(
        images=images,
        stem=16 if small else 32,
        stem_stride=1 if small else 2,
        stages=tuple(stages),
        head=128 if small else 1280,
        dropout=0.0 if small else 0.2,
    )


def canonical(choices: Choices, images: Images) -> Choices:
    """Expansion of a conv is 1."""
    plain = (number for number in range(1, len(blocks(images)) + 1) if choices[f"block{number}.block_fn"] == "conv")
    return choices | {f"block{number}.expand": 1 for number in plain}


def nested(images: Images) -> Knobs:
    """MBConv of other kernels, expansions, filters and repeats."""
    same: dict[str, tuple[str | int | float, ...]] = {"block_fn": ("mbconv",), "expand": (3, 6), "se_ratio": (0.0,)}
    numbers = range(1, len(blocks(images)) + 1)
    return {f"block{number}.{name}": choices for number in numbers for name, choices in same.items()}


def build(architecture: "AnyArchitecture") -> "nn.Module":
    from nas.networks.blocks import network

    return network(architecture)
