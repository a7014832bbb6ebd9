"""EfficientNetV2's stage space (Tan & Le 2021): MBConv or fused MBConv, kernel, expansion {1, 4, 6} and layers per
stage.

Widths are the backbone's, MBConv has squeeze-and-excitation and fused MBConv has none, skips are always taken: every
choice is another network. EfficientNetV2-B0 is a point of the space for images of 128 pixels and more; others get three
stages.
"""

from typing import TYPE_CHECKING, Any

from nas import surroundings
from nas.networks.architecture import Architecture, Choices, Images, Knobs, Stage

if TYPE_CHECKING:
    from torch import nn

    import search_spaces.efficientnetv2
    from nas.networks.lowering import AnyArchitecture
    from nas.spaces import SearchSpace

    _satisfied: SearchSpace = search_spaces.efficientnetv2

# stride, channels, layers
LARGE = ((1, 16, 1), (2, 32, 2), (2, 48, 2), (2, 96, 3), (1, 112, 5), (2, 192, 8))
SMALL = ((2, 24, 2), (2, 48, 2), (2, 96, 2))
SMALL_BELOW = 128  # pixels


def stages(images: Images) -> tuple[tuple[int, int, int], ...]:
    return SMALL if images.resolution < SMALL_BELOW else LARGE


def knobs(images: Images) -> Knobs:
    """Four knobs a stage, named "stage1.op" and so on."""
    table: dict[str, tuple[str | int | float | bool, ...]] = {}
    for number, (_, _, layers) in enumerate(stages(images), 1):
        table |= {
            f"stage{number}.op": ("mbconv", "fused"),
            f"stage{number}.kernel": (3, 5),
            f"stage{number}.expand": (1, 4, 6),
            f"stage{number}.layers": (layers - 1, layers, layers + 1) if layers > 1 else (1, 2),
        }
    return table


def architecture(choices: Choices, images: Images) -> Architecture:
    """A fused block without expansion is the plain convolution it amounts to."""
    small = images.resolution < SMALL_BELOW
    rows = []
    for number, (stride, channels, _) in enumerate(stages(images), 1):
        op, kernel, expand, layers = (choices[f"stage{number}.{name}"] for name in ("op", "kernel", "expand", "layers"))
        kind: Any = "conv" if (op, expand) == ("fused", 1) else op
        rows.append(
            Stage(
                op=kind,
                kernel=int(kernel),
                stride=stride,
                expand=int(expand),
                channels=channels,
                repeats=int(layers),
                se_ratio=0.25 if op == "mbconv" else 0.0,
            )
        )
    return Architecture(
        images=images,
        stem=16 if small else 32,
        stem_stride=1 if small else 2,
        stages=tuple(rows),
        head=128 if small else 1280,
        activation="swish",
        dropout=0.0 if small else 0.2,
        drop_connect=0.0 if small else 0.2,
    )


def canonical(choices: Choices, images: Images) -> Choices:
    """The choices themselves: no two build the same network."""
    return choices


def nested(images: Images) -> Knobs:
    """MBConv of other kernels, expansions and layers."""
    table: dict[str, tuple[str | int, ...]] = {}
    for number in range(1, len(stages(images)) + 1):
        table |= {f"stage{number}.op": ("mbconv",), f"stage{number}.expand": (4, 6)}
    return table


def around(parent: "AnyArchitecture") -> "SearchSpace":
    """Kernels, expansions and repeats up to the parent's, stage by stage; widths are the parent's."""
    return surroundings.around(parent, ("kernel", "expand", "repeats"))


def build(architecture: "AnyArchitecture") -> "nn.Module":
    from nas.networks.blocks import network

    return network(architecture)
