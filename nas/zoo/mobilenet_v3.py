"""MobileNetV3 (Howard et al. 2019): searched rows with widths of their own, so spelled out layer by layer."""

from functools import partial

from nas.networks.architecture import Images, round_channels
from nas.networks.layers import Activation, Conv, Dropout, GlobalPool, Linear
from nas.networks.network import Network, Part
from nas.networks.units import chain, inverted

# kernel, expanded, out, squeeze-and-excitation, activation, stride
Row = tuple[int, int, int, bool, Activation, int]

LARGE: tuple[Row, ...] = (
    (3, 16, 16, False, "relu", 1),
    (3, 64, 24, False, "relu", 2),
    (3, 72, 24, False, "relu", 1),
    (5, 72, 40, True, "relu", 2),
    (5, 120, 40, True, "relu", 1),
    (5, 120, 40, True, "relu", 1),
    (3, 240, 80, False, "hswish", 2),
    (3, 200, 80, False, "hswish", 1),
    (3, 184, 80, False, "hswish", 1),
    (3, 184, 80, False, "hswish", 1),
    (3, 480, 112, True, "hswish", 1),
    (3, 672, 112, True, "hswish", 1),
    (5, 672, 160, True, "hswish", 2),
    (5, 960, 160, True, "hswish", 1),
    (5, 960, 160, True, "hswish", 1),
)
SMALL: tuple[Row, ...] = (
    (3, 16, 16, True, "relu", 2),
    (3, 72, 24, False, "relu", 2),
    (3, 88, 24, False, "relu", 1),
    (5, 96, 40, True, "hswish", 2),
    (5, 240, 40, True, "hswish", 1),
    (5, 240, 40, True, "hswish", 1),
    (5, 120, 48, True, "hswish", 1),
    (5, 144, 48, True, "hswish", 1),
    (5, 288, 96, True, "hswish", 2),
    (5, 576, 96, True, "hswish", 1),
    (5, 576, 96, True, "hswish", 1),
)


def mobilenet_v3(images: Images, *, rows: tuple[Row, ...], last: int) -> Network:
    parts, channels = [Part(name="stem", blocks=(Conv(16, 3, stride=2, activation="hswish"),))], 16
    for kernel, expanded, out, excited, activation, stride in rows:
        block = inverted(
            channels,
            out,
            kernel,
            stride=stride,
            expanded=expanded,
            squeezed=round_channels(expanded, 0.25) if excited else 0,
            activation=activation,
            gate="hsigmoid",
        )
        parts.append(Part(name=f"mbconv {kernel}x{kernel}", blocks=(block,)))
        channels = out
    head = Conv(6 * channels, activation="hswish")
    answer = (GlobalPool(), Linear(last, activation="hswish"), Dropout(0.2), Linear(images.classes))
    return Network(
        images=images,
        parts=(*parts, Part(name="head", blocks=(head,)), Part(name="classifier", blocks=(chain(*answer),))),
    )


NETWORKS = {
    "MobileNetV3-Large 1.0": partial(mobilenet_v3, rows=LARGE, last=1280),
    "MobileNetV3-Small 1.0": partial(mobilenet_v3, rows=SMALL, last=1024),
}
