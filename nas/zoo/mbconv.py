"""Inverted bottlenecks as stage rows: MobileNetV2 (Sandler et al. 2018), MnasNet (Tan et al. 2019), Single-Path NAS
(Stamoulis et al. 2019), EfficientNet (Tan & Le 2019), EfficientNet-Lite (Liu 2020) and EfficientNetV2 (Tan & Le
2021)."""

import dataclasses
import math
from functools import partial

from nas.networks.architecture import Activation, Architecture, Images, Op, Scale, Stage, round_channels
from nas.networks.scaling import PUBLISHED

# op, kernel, stride, expand, channels, repeats, then "se" and "noskip"
Row = tuple[Op, int, int, int, int, int] | tuple[Op, int, int, int, int, int, str]


def rows(*table: Row) -> tuple[Stage, ...]:
    return tuple(
        Stage(
            op=op,
            kernel=kernel,
            stride=stride,
            expand=expand,
            channels=channels,
            repeats=repeats,
            se_ratio=0.25 if "se" in flags else 0.0,
            skip="noskip" not in flags,
        )
        for op, kernel, stride, expand, channels, repeats, *flags in table
    )


MOBILENET_V2 = rows(
    ("mbconv", 3, 1, 1, 16, 1),
    ("mbconv", 3, 2, 6, 24, 2),
    ("mbconv", 3, 2, 6, 32, 3),
    ("mbconv", 3, 2, 6, 64, 4),
    ("mbconv", 3, 1, 6, 96, 3),
    ("mbconv", 3, 2, 6, 160, 3),
    ("mbconv", 3, 1, 6, 320, 1),
)
MNASNET_A1 = rows(
    ("mbconv", 3, 1, 1, 16, 1, "noskip"),
    ("mbconv", 3, 2, 6, 24, 2),
    ("mbconv", 5, 2, 3, 40, 3, "se"),
    ("mbconv", 3, 2, 6, 80, 4),
    ("mbconv", 3, 1, 6, 112, 2, "se"),
    ("mbconv", 5, 2, 6, 160, 3, "se"),
    ("mbconv", 3, 1, 6, 320, 1),
)
MNASNET_B1 = rows(
    ("mbconv", 3, 1, 1, 16, 1, "noskip"),
    ("mbconv", 3, 2, 3, 24, 3),
    ("mbconv", 5, 2, 3, 40, 3),
    ("mbconv", 5, 2, 6, 80, 3),
    ("mbconv", 3, 1, 6, 96, 2),
    ("mbconv", 5, 2, 6, 192, 4),
    ("mbconv", 3, 1, 6, 320, 1, "noskip"),
)
MNASNET_SMALL = rows(
    ("mbconv", 3, 1, 1, 8, 1),
    ("mbconv", 3, 2, 3, 16, 1),
    ("mbconv", 3, 2, 6, 16, 2),
    ("mbconv", 5, 2, 6, 32, 4, "se"),
    ("mbconv", 3, 1, 6, 32, 3, "se"),
    ("mbconv", 5, 2, 6, 88, 3, "se"),
    ("mbconv", 3, 1, 6, 144, 1),
)
SINGLE_PATH = rows(
    ("mbconv", 3, 1, 1, 16, 1, "noskip"),
    ("mbconv", 3, 2, 3, 24, 3),
    ("mbconv", 5, 2, 6, 40, 1),
    ("mbconv", 3, 1, 3, 40, 3),
    ("mbconv", 5, 2, 6, 80, 1),
    ("mbconv", 3, 1, 3, 80, 3),
    ("mbconv", 5, 1, 6, 96, 1),
    ("mbconv", 5, 1, 3, 96, 3),
    ("mbconv", 5, 2, 6, 192, 4),
    ("mbconv", 3, 1, 6, 320, 1, "noskip"),
)
EFFICIENTNET = rows(
    ("mbconv", 3, 1, 1, 16, 1, "se"),
    ("mbconv", 3, 2, 6, 24, 2, "se"),
    ("mbconv", 5, 2, 6, 40, 2, "se"),
    ("mbconv", 3, 2, 6, 80, 3, "se"),
    ("mbconv", 5, 1, 6, 112, 3, "se"),
    ("mbconv", 5, 2, 6, 192, 4, "se"),
    ("mbconv", 3, 1, 6, 320, 1, "se"),
)
EFFICIENTNET_V2_BASE = rows(
    ("conv", 3, 1, 1, 16, 1),
    ("fused", 3, 2, 4, 32, 2),
    ("fused", 3, 2, 4, 48, 2),
    ("mbconv", 3, 2, 4, 96, 3, "se"),
    ("mbconv", 3, 1, 6, 112, 5, "se"),
    ("mbconv", 3, 2, 6, 192, 8, "se"),
)
EFFICIENTNET_V2_S = rows(
    ("conv", 3, 1, 1, 24, 2),
    ("fused", 3, 2, 4, 48, 4),
    ("fused", 3, 2, 4, 64, 4),
    ("mbconv", 3, 2, 4, 128, 6, "se"),
    ("mbconv", 3, 1, 6, 160, 9, "se"),
    ("mbconv", 3, 2, 6, 256, 15, "se"),
)
EFFICIENTNET_V2_M = rows(
    ("conv", 3, 1, 1, 24, 3),
    ("fused", 3, 2, 4, 48, 5),
    ("fused", 3, 2, 4, 80, 5),
    ("mbconv", 3, 2, 4, 160, 7, "se"),
    ("mbconv", 3, 1, 6, 176, 14, "se"),
    ("mbconv", 3, 2, 6, 304, 18, "se"),
    ("mbconv", 3, 1, 6, 512, 5, "se"),
)
EFFICIENTNET_V2_L = rows(
    ("conv", 3, 1, 1, 32, 4),
    ("fused", 3, 2, 4, 64, 7),
    ("fused", 3, 2, 4, 96, 7),
    ("mbconv", 3, 2, 4, 192, 10, "se"),
    ("mbconv", 3, 1, 6, 224, 19, "se"),
    ("mbconv", 3, 2, 6, 384, 25, "se"),
    ("mbconv", 3, 1, 6, 640, 7, "se"),
)


def staged(
    images: Images,
    *,
    stages: tuple[Stage, ...],
    stem: int = 32,
    head: int = 1280,
    activation: Activation = "relu",
    width: float = 1.0,
    dropout: float = 0.2,
    drop_connect: float = 0.0,
) -> Architecture:
    """`width` scales the stages alone."""
    scaled = tuple(dataclasses.replace(stage, channels=round_channels(stage.channels, width)) for stage in stages)
    return Architecture(
        images=images,
        stem=stem,
        stem_stride=2,
        stages=scaled,
        head=head,
        activation=activation,
        dropout=dropout,
        drop_connect=drop_connect,
    )


def efficientnet(images: Images, *, scale: Scale) -> Architecture:
    """B0 scaled, for images of the resolution that is asked for."""
    base = staged(images, stages=EFFICIENTNET, activation="swish", drop_connect=0.2)
    return base.scaled(dataclasses.replace(scale, resolution=1.0))


def efficientnet_lite(images: Images, *, depth: float = 1.0, width: float = 1.0, dropout: float = 0.2) -> Architecture:
    """EfficientNet without gates and swish; stem, head, and how often the first and the last stage repeat, are not
    scaled. It pads as TensorFlow does, as the weights that go with it are trained."""
    first, *middle, last = (dataclasses.replace(stage, se_ratio=0.0) for stage in EFFICIENTNET)
    deeper = (dataclasses.replace(stage, repeats=math.ceil(depth * stage.repeats)) for stage in middle)
    network = staged(
        images,
        stages=(first, *deeper, last),
        activation="relu6",
        width=width,
        dropout=dropout,
        drop_connect=0.2,
    )
    return dataclasses.replace(network, padding="tensorflow")


mobilenet_v2 = partial(staged, stages=MOBILENET_V2, activation="relu6")
efficientnet_v2 = partial(staged, activation="swish", drop_connect=0.2)

NETWORKS = (
    {
        "MobileNetV2 1.0": mobilenet_v2,
        "MobileNetV2 1.4": partial(mobilenet_v2, stem=48, width=1.4, head=1792),
        "MnasNet-A1": partial(staged, stages=MNASNET_A1),
        "MnasNet-A1 x1.4": partial(staged, stages=MNASNET_A1, stem=48, width=1.4),
        "MnasNet-A1 x0.75": partial(staged, stages=MNASNET_A1, stem=24, width=0.75),
        "MnasNet-A1 x0.5": partial(staged, stages=MNASNET_A1, stem=16, width=0.5),
        "MnasNet-B1": partial(staged, stages=MNASNET_B1),
        "MnasNet-B1 x1.3 (torchvision)": partial(staged, stages=MNASNET_B1, stem=40, width=1.3),
        "MnasNet-B1 x0.5 (torchvision)": partial(staged, stages=MNASNET_B1, stem=16, width=0.5),
        "MnasNet-small": partial(staged, stages=MNASNET_SMALL, stem=8, dropout=0.0),
        "Single-Path NAS": partial(staged, stages=SINGLE_PATH),
        "EfficientNetV2-B0": partial(efficientnet_v2, stages=EFFICIENTNET_V2_BASE),
        "EfficientNetV2-S": partial(efficientnet_v2, stages=EFFICIENTNET_V2_S, stem=24),
        "EfficientNetV2-M": partial(efficientnet_v2, stages=EFFICIENTNET_V2_M, stem=24, dropout=0.3),
        "EfficientNetV2-L": partial(efficientnet_v2, stages=EFFICIENTNET_V2_L, stem=32, dropout=0.4),
    }
    | {f"EfficientNet-{name}": partial(efficientnet, scale=scale) for name, scale in PUBLISHED.items()}
    | {
        "EfficientNet-B8": partial(efficientnet, scale=Scale(width=2.2, depth=3.6, resolution=1.0, dropout=0.3)),
        "EfficientNet-L2": partial(efficientnet, scale=Scale(width=4.3, depth=5.3, resolution=1.0, dropout=0.3)),
        "EfficientNet-Lite0": efficientnet_lite,
        "EfficientNet-Lite1": partial(efficientnet_lite, depth=1.1),
        "EfficientNet-Lite2": partial(efficientnet_lite, width=1.1, depth=1.2, dropout=0.3),
        "EfficientNet-Lite3": partial(efficientnet_lite, width=1.2, depth=1.4, dropout=0.3),
        "EfficientNet-Lite4": partial(efficientnet_lite, width=1.4, depth=1.8, dropout=0.3),
    }
)
