"""Inception: GoogLeNet (Szegedy et al. 2014), BN-Inception (Ioffe & Szegedy 2015), v3 (2015), v4 and
Inception-ResNet-v2 (2016), and Xception (Chollet 2017).

A module is a concatenation of branches; a branch is a row of (channels, kernel) or a pooling.
"""

from functools import partial

from nas.networks.architecture import Images
from nas.networks.layers import Activate, Conv, Layer, Norm, Pool, Scale
from nas.networks.network import Network, Part
from nas.networks.units import chain, classifier, concat, linear, residual, separable

Kernel = int | tuple[int, int]
Widths = tuple[int, int, int, int, int, int]

WIDE, TALL = (1, 7), (7, 1)
CEILED = Pool("max", 3, stride=2, padding="valid", ceil=True)
HALVED = Pool("max", 3, stride=2, padding="valid")
AVERAGE = Pool("average", 3)


def branch(*convolutions: int | tuple[int, Kernel], stride: int = 1) -> Layer:
    """Convolutions of so many channels and such a kernel (1×1 where none is given); the last one carries the stride,
    and then pads nothing."""
    rows = [(each, 1) if isinstance(each, int) else each for each in convolutions]
    *first, (out, kernel) = rows
    last = Conv(out, kernel, stride=stride, padding="valid" if stride > 1 else "same")
    return chain(*(Conv(channels, size) for channels, size in first), last)


def pooled(pool: Pool, channels: int) -> Layer:
    return chain(pool, Conv(channels))


def googlenet(images: Images, *, normed: bool = False) -> Network:
    """`normed`: the Keras variant, with batch normalisation where the original has local response normalisation."""

    def plain(out: int, kernel: int = 1, stride: int = 1) -> Conv:
        return Conv(out, kernel, stride=stride, bias=True, norm=False)

    def module(one: int, reduce3: int, three: int, reduce5: int, five: int, pool: int) -> Layer:
        towers = (chain(plain(reduce3), plain(three, 3)), chain(plain(reduce5), plain(five, 5)))
        return concat(plain(one), *towers, chain(Pool("max", 3), plain(pool)))

    halve, norm = Pool("max", 3, stride=2), Norm("batch" if normed else "local")
    second = HALVED if normed else halve
    parts = [
        Part(name="conv1", blocks=(plain(64, 7, 2), halve, norm)),
        Part(name="conv2", blocks=(plain(64), plain(192, 3), norm, second)),
        Part(name="inception 3a-3b", blocks=(module(64, 96, 128, 16, 32, 32), module(128, 128, 192, 32, 96, 64))),
        Part(
            name="inception 4a-4e",
            blocks=(
                halve,
                module(192, 96, 208, 16, 48, 64),
                module(160, 112, 224, 24, 64, 64),
                module(128, 128, 256, 24, 64, 64),
                module(112, 144, 288, 32, 64, 64),
                module(256, 160, 320, 32, 128, 128),
            ),
        ),
        Part(
            name="inception 5a-5b",
            blocks=(halve, module(256, 160, 320, 32, 128, 128), module(384, 192, 384, 48, 128, 128)),
        ),
        Part(name="classifier", blocks=classifier(images.classes, 0.4)),
    ]
    return Network(images=images, parts=tuple(parts))


def bn_inception(images: Images) -> Network:
    """As its Caffe model has it: every convolution is biased and normalised."""

    def normed(out: int, kernel: int = 1, stride: int = 1) -> Conv:
        return Conv(out, kernel, stride=stride, bias=True)

    def module(one: int, reduce3: int, three: int, reduce5: int, five: int, pool: int, kind: Pool = AVERAGE) -> Layer:
        towers = (
            chain(normed(reduce3), normed(three, 3)),
            chain(normed(reduce5), normed(five, 3), normed(five, 3)),
        )
        return concat(normed(one), *towers, chain(kind, normed(pool)))

    def reduction(reduce3: int, three: int, reduce5: int, five: int) -> Layer:
        towers = (
            chain(normed(reduce3), normed(three, 3, 2)),
            chain(normed(reduce5), normed(five, 3), normed(five, 3, 2)),
        )
        return concat(*towers, CEILED)

    parts = [
        Part(name="conv1", blocks=(normed(64, 7, 2), CEILED)),
        Part(name="conv2", blocks=(normed(64), normed(192, 3), CEILED)),
        Part(
            name="inception 3a-3c",
            blocks=(module(64, 64, 64, 64, 96, 32), module(64, 64, 96, 64, 96, 64), reduction(128, 160, 64, 96)),
        ),
        Part(
            name="inception 4a-4e",
            blocks=(
                module(224, 64, 96, 96, 128, 128),
                module(192, 96, 128, 96, 128, 128),
                module(160, 128, 160, 128, 160, 128),
                module(96, 128, 192, 160, 192, 128),
                reduction(128, 192, 192, 256),
            ),
        ),
        Part(
            name="inception 5a-5b",
            blocks=(
                module(352, 192, 320, 160, 224, 128),
                module(352, 192, 320, 192, 224, 128, Pool("max", 3)),
            ),
        ),
        Part(name="classifier", blocks=classifier(images.classes)),
    ]
    return Network(images=images, parts=tuple(parts))


def stem() -> tuple[Conv, Conv, Conv]:
    return (Conv(32, 3, stride=2, padding="valid"), Conv(32, 3, padding="valid"), Conv(64, 3))


def longer_stem() -> tuple[Part, Part]:
    """From 299 pixels to 35, of 192 channels (v3 and Inception-ResNet-v2)."""
    more = (Conv(80), Conv(192, 3, padding="valid"), HALVED)
    return Part(name="stem", blocks=(*stem(), HALVED)), Part(name="stem 2", blocks=more)


def split(*before: int | tuple[int, Kernel], out: int) -> Layer:
    """A branch that ends in 1×3 and 3×1 side by side."""
    return chain(branch(*before), concat(Conv(out, (1, 3)), Conv(out, (3, 1))))


def inception_v3(images: Images) -> Network:
    def fine(pool: int) -> Layer:
        return concat(branch(64), branch(48, (64, 5)), branch(64, (96, 3), (96, 3)), pooled(AVERAGE, pool))

    def middle(c: int) -> Layer:
        twice = branch(c, (c, TALL), (c, WIDE), (c, TALL), (192, WIDE))
        return concat(branch(192), branch(c, (c, WIDE), (192, TALL)), twice, pooled(AVERAGE, 192))

    def coarse() -> Layer:
        return concat(branch(320), split(384, out=384), split(448, (384, 3), out=384), pooled(AVERAGE, 192))

    first = concat(branch((384, 3), stride=2), branch(64, (96, 3), (96, 3), stride=2), HALVED)
    second = concat(branch(192, (320, 3), stride=2), branch(192, (192, WIDE), (192, TALL), (192, 3), stride=2), HALVED)
    parts = (
        *longer_stem(),
        Part(name="inception A", blocks=(fine(32), fine(64), fine(64))),
        Part(name="reduction A", blocks=(first,)),
        Part(name="inception B", blocks=tuple(middle(c) for c in (128, 160, 160, 192))),
        Part(name="reduction B", blocks=(second,)),
        Part(name="inception C", blocks=(coarse(), coarse())),
        Part(name="classifier", blocks=classifier(images.classes, 0.5)),
    )
    return Network(images=images, parts=parts)


def inception_v4(images: Images) -> Network:
    narrow = chain(Conv(64), Conv(96, 3, padding="valid"))
    wide = chain(Conv(64), Conv(64, WIDE), Conv(64, TALL), Conv(96, 3, padding="valid"))
    fine = concat(branch(96), branch(64, (96, 3)), branch(64, (96, 3), (96, 3)), pooled(AVERAGE, 96))
    first = concat(branch((384, 3), stride=2), branch(192, (224, 3), (256, 3), stride=2), HALVED)
    twice = branch(192, (192, TALL), (224, WIDE), (224, TALL), (256, WIDE))
    middle = concat(branch(384), branch(192, (224, WIDE), (256, TALL)), twice, pooled(AVERAGE, 128))
    second = concat(branch(192, (192, 3), stride=2), branch(256, (256, WIDE), (320, TALL), (320, 3), stride=2), HALVED)
    coarse = concat(
        branch(256), split(384, out=256), split(384, (448, (3, 1)), (512, (1, 3)), out=256), pooled(AVERAGE, 256)
    )
    parts = (
        Part(name="stem", blocks=(*stem(), concat(HALVED, branch((96, 3), stride=2)))),
        Part(name="stem 2", blocks=(concat(narrow, wide), concat(branch((192, 3), stride=2), HALVED))),
        Part(name="inception A", blocks=(fine,) * 4),
        Part(name="reduction A", blocks=(first,)),
        Part(name="inception B", blocks=(middle,) * 7),
        Part(name="reduction B", blocks=(second,)),
        Part(name="inception C", blocks=(coarse,) * 3),
        Part(name="classifier", blocks=classifier(images.classes, 0.2)),
    )
    return Network(images=images, parts=parts)


def scaled_residual(out: int, factor: float, *branches: Layer) -> Layer:
    """The Inception-ResNet block: branches, projected back to `out` channels, scaled down and added."""
    back = Conv(out, bias=True, norm=False, activation=None)
    return residual(concat(*branches), back, Scale(factor), activation="relu")


def inception_resnet_v2(images: Images) -> Network:
    fine = scaled_residual(320, 0.17, branch(32), branch(32, (32, 3)), branch(32, (48, 3), (64, 3)))
    middle = scaled_residual(1088, 0.1, branch(192), branch(128, (160, WIDE), (192, TALL)))
    coarse = (branch(192), branch(192, (224, (1, 3)), (256, (3, 1))))
    last = residual(concat(*coarse), Conv(2080, bias=True, norm=False, activation=None))
    mixed = concat(branch(96), branch(48, (64, 5)), branch(64, (96, 3), (96, 3)), pooled(AVERAGE, 64))
    first = concat(branch((384, 3), stride=2), branch(256, (256, 3), (384, 3), stride=2), HALVED)
    second = concat(
        branch(256, (384, 3), stride=2),
        branch(256, (288, 3), stride=2),
        branch(256, (288, 3), (320, 3), stride=2),
        HALVED,
    )
    parts = (
        *longer_stem(),
        Part(name="inception A", blocks=(mixed, *(fine,) * 10)),
        Part(name="reduction A", blocks=(first,)),
        Part(name="inception B", blocks=(middle,) * 20),
        Part(name="reduction B", blocks=(second,)),
        Part(name="inception C", blocks=(*(scaled_residual(2080, 0.2, *coarse),) * 9, last)),
        Part(name="head", blocks=(Conv(1536),)),
        Part(name="classifier", blocks=classifier(images.classes, 0.2)),
    )
    return Network(images=images, parts=parts)


def xception(images: Images) -> Network:
    def unit(entering: int, out: int, middle: int) -> Layer:
        body = (*separable(entering, middle), *separable(middle, out), Pool("max", 3, stride=2))
        return residual(*body, shortcut=linear(out, stride=2))

    first = residual(
        *separable(64, 128)[1:], *separable(128, 128), Pool("max", 3, stride=2), shortcut=linear(128, stride=2)
    )
    middle = residual(*separable(728, 728), *separable(728, 728), *separable(728, 728))
    exits = (*separable(1024, 1536)[1:], Activate(), *separable(1536, 2048)[1:], Activate())
    parts = (
        Part(name="stem", blocks=(Conv(32, 3, stride=2, padding="valid"), Conv(64, 3, padding="valid"))),
        Part(name="entry flow", blocks=(first, unit(128, 256, 256), unit(256, 728, 728))),
        Part(name="middle flow", blocks=(middle,) * 8),
        Part(name="exit flow", blocks=(unit(728, 1024, 728), chain(*exits))),
        Part(name="classifier", blocks=classifier(images.classes)),
    )
    return Network(images=images, parts=parts)


NETWORKS = {
    "GoogLeNet (Inception v1)": googlenet,
    "GoogLeNet (Keras, Fashion-MNIST 28x28x1, 10 classes)": partial(googlenet, normed=True),
    "BN-Inception": bn_inception,
    "Inception V2 (NASNet table)": bn_inception,
    "Inception V3": inception_v3,
    "Inception-v4": inception_v4,
    "Inception ResNet V2": inception_resnet_v2,
    "Xception": xception,
}
