"""Residual networks: ResNet (He et al. 2015, 2016), stochastic depth (Huang et al. 2016), wide ResNet (Zagoruyko &
Komodakis 2016), ResNeXt (Xie et al. 2017) and squeeze-and-excitation ResNets (Hu et al. 2018)."""

import dataclasses
from collections.abc import Callable
from functools import partial

from nas.networks.architecture import TORCH_EPSILON, Images
from nas.networks.layers import IDENTITY, Activate, Conv, Layer, Norm, Pool
from nas.networks.network import Network, Part
from nas.networks.units import basic, bottleneck, classifier, linear, preactivated, repeated, residual, squeeze_excite

Unit = Callable[..., Layer]


def imagenet(
    images: Images, *, unit: Unit, repeats: tuple[int, ...], widest: int = 4, preactivated: bool = False
) -> Network:
    """Stem of stride 4, then stages of 64, 128, 256 and 512 channels times `widest`. `preactivated`: every unit but the
    first, which the stem serves, begins with a norm, and the last is followed by one."""
    parts = [
        Part(name="conv1", blocks=(Conv(64, 7, stride=2),)),
        Part(name="pool", blocks=(Pool("max", 3, stride=2),)),
    ]
    channels = 64
    for stage, count in enumerate(repeats):
        out = 64 * widest * 2**stage
        blocks = repeated(unit, channels, out, count, 2 if stage else 1)
        if preactivated and not stage:
            blocks = (unit(channels, out, stride=1, first=True), *blocks[1:])
        parts.append(Part(name=f"conv{stage + 2}_x", blocks=blocks))
        channels = out
    if preactivated:
        parts.append(Part(name="norm", blocks=(Norm(), Activate())))
    parts.append(Part(name="classifier", blocks=classifier(images.classes)))
    return Network(images=images, parts=tuple(parts), norm_epsilon=TORCH_EPSILON)


def cifar(images: Images, *, unit: Unit, repeats: int, widen: int = 1, last_norm: bool = False) -> Network:
    """3×3 stem, then three stages of 16, 32 and 64 channels times `widen`."""
    stem = linear(16, 3, norm=False) if last_norm else Conv(16, 3)
    parts, channels = [Part(name="conv1", blocks=(stem,))], 16
    for stage in range(3):
        out = 16 * widen * 2**stage
        blocks = repeated(unit, channels, out, repeats, 2 if stage else 1)
        parts.append(Part(name=f"conv{stage + 2}_x", blocks=blocks))
        channels = out
    if last_norm:
        parts.append(Part(name="norm", blocks=(Norm(), Activate())))
    parts.append(Part(name="classifier", blocks=classifier(images.classes)))
    return Network(images=images, parts=tuple(parts), norm_epsilon=TORCH_EPSILON)


def stochastic(images: Images, *, repeats: int, last: float) -> Network:
    """The CIFAR ResNet with its blocks dropped at rates that grow linearly to `last`."""
    network, blocks = cifar(images, unit=partial(basic, shortcut="zeros"), repeats=repeats), 3 * repeats
    parts, channels = [network.parts[0]], 16
    for stage, part in enumerate(network.parts[1:-1]):
        out = 16 * 2**stage
        units = tuple(
            basic(
                out if place else channels,
                out,
                stride=2 if stage and not place else 1,
                shortcut="zeros",
                drop=last * (stage * repeats + place + 1) / blocks,
            )
            for place in range(repeats)
        )
        parts.append(dataclasses.replace(part, blocks=units))
        channels = out
    return dataclasses.replace(network, parts=(*parts, network.parts[-1]))


def senet154(images: Images) -> Network:
    """The challenge winner: a deeper stem, doubled middles, 3×3 projections (Hu et al. 2018, appendix)."""

    def unit(entering: int, out: int, *, stride: int) -> Layer:
        middle = out // 2
        body = (
            Conv(middle),
            Conv(out, 3, stride=stride, groups=64),
            linear(out),
            squeeze_excite(out, out // 16),
        )
        projection = linear(out, 1 if out == 256 else 3, stride=stride)
        return residual(*body, shortcut=IDENTITY if entering == out else projection, activation="relu")

    stem = (Conv(64, 3, stride=2), Conv(64, 3), Conv(128, 3), Pool("max", 3, stride=2))
    parts, channels = [Part(name="conv1", blocks=stem)], 128
    for stage, count in enumerate((3, 8, 36, 3)):
        out = 256 * 2**stage
        parts.append(Part(name=f"conv{stage + 2}_x", blocks=repeated(unit, channels, out, count, 2 if stage else 1)))
        channels = out
    parts.append(Part(name="classifier", blocks=classifier(images.classes, 0.2)))
    return Network(images=images, parts=tuple(parts), norm_epsilon=TORCH_EPSILON)


def bottlenecks(
    entering: int, out: int, *, stride: int, width: float = 0.25, groups: int = 1, early: bool = False, ratio: int = 0
) -> Layer:
    """`width` of the middle and 1 / `ratio` of the squeezed channels, as parts of those that leave."""
    return bottleneck(
        entering,
        out,
        middle=round(out * width),
        stride=stride,
        groups=groups,
        early=early,
        squeezed=out // ratio if ratio else 0,
    )


def wide(entering: int, out: int, *, stride: int) -> Layer:
    return preactivated(entering, out, Conv(out, 3, stride=stride), linear(out, 3, norm=False), stride=stride)


def preactivated_bottleneck(entering: int, out: int, *, stride: int, first: bool = False) -> Layer:
    middle = out // 4
    body = (Conv(middle), Conv(middle, 3, stride=stride), linear(out, norm=False))
    return preactivated(entering, out, *body, stride=stride, first=first)


DEPTHS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3), 200: (3, 24, 36, 3)}

NETWORKS = {
    "ResNet-18": partial(imagenet, unit=basic, repeats=(2, 2, 2, 2), widest=1),
    "ResNet-34": partial(imagenet, unit=basic, repeats=(3, 4, 6, 3), widest=1),
    "WRN-50-2 (ImageNet)": partial(imagenet, unit=partial(bottlenecks, width=0.5), repeats=DEPTHS[50]),
    "ResNeXt-101 64x4d": partial(imagenet, unit=partial(bottlenecks, width=1, groups=64), repeats=DEPTHS[101]),
    "ResNet-200 (pre-act)": partial(imagenet, unit=preactivated_bottleneck, repeats=DEPTHS[200], preactivated=True),
    "SENet (NASNet table)": senet154,
    "ResNet-110 stochastic depth (CIFAR)": partial(stochastic, repeats=18, last=0.5),
    "ResNet-164 (CIFAR)": partial(cifar, unit=preactivated_bottleneck, repeats=18, widen=4, last_norm=True),
}
for depth in (50, 101, 152):
    NETWORKS[f"ResNet-{depth}"] = partial(imagenet, unit=bottlenecks, repeats=DEPTHS[depth])
    excited = partial(bottlenecks, early=True, ratio=16)
    NETWORKS[f"SE-ResNet-{depth}"] = partial(imagenet, unit=excited, repeats=DEPTHS[depth])
for depth in (50, 101):
    grouped = partial(bottlenecks, width=0.5, groups=32)
    NETWORKS[f"ResNeXt-{depth} 32x4d"] = partial(imagenet, unit=grouped, repeats=DEPTHS[depth])
    NETWORKS[f"SE-ResNeXt-{depth} 32x4d"] = partial(imagenet, unit=partial(grouped, ratio=16), repeats=DEPTHS[depth])
for depth in (20, 56, 110, 1202):
    unit = partial(basic, shortcut="zeros")
    NETWORKS[f"ResNet-{depth} (CIFAR)"] = partial(cifar, unit=unit, repeats=(depth - 2) // 6)
for depth, widen in ((16, 4), (16, 8), (22, 8), (28, 10), (40, 4)):
    NETWORKS[f"WRN-{depth}-{widen} (CIFAR)"] = partial(
        cifar, unit=wide, repeats=(depth - 4) // 6, widen=widen, last_norm=True
    )
