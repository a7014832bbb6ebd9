"""Plain stacks of convolutions: LeNet-5, AlexNet, ZFNet and VGG."""

from functools import partial

from nas.networks.architecture import Images
from nas.networks.layers import Activation, Conv, Dropout, Layer, Linear, Norm, Padding, Pool
from nas.networks.network import Network, Part
from nas.networks.units import chain


def plain(out: int, kernel: int, *, stride: int = 1, padding: Padding = "same", groups: int = 1) -> Conv:
    """A convolution of the days before batch normalisation."""
    return Conv(out, kernel, stride=stride, padding=padding, groups=groups, bias=True, norm=False)


def dense(classes: int, *sizes: int) -> Part:
    """Fully connected layers with dropout, then the logits."""
    hidden = tuple(chain(Dropout(0.5), Linear(size, activation="relu")) for size in sizes)
    return Part(name="classifier", blocks=(*hidden, Linear(classes)))


def stacked(images: Images, features: tuple[tuple[Layer, ...], ...], sizes: tuple[int, ...]) -> Network:
    parts = [Part(name=f"features {number}", blocks=layers) for number, layers in enumerate(features, 1)]
    return Network(images=images, parts=(*parts, dense(images.classes, *sizes)))


def lenet5(images: Images) -> Network:
    """As it is built today: C3 sees every map of S2, and the output layer is linear."""
    act: Activation = "tanh"
    pool = Pool("average", 2, stride=2, padding="valid")
    convolutions = [Conv(out, 5, padding="valid", bias=True, norm=False, activation=act) for out in (6, 16, 120)]
    parts = [
        Part(name="C1, S2", blocks=(convolutions[0], pool)),
        Part(name="C3, S4", blocks=(convolutions[1], pool)),
        Part(name="C5", blocks=(convolutions[2],)),
        Part(name="F6", blocks=(Linear(84, activation=act),)),
        Part(name="classifier", blocks=(Linear(images.classes),)),
    ]
    return Network(images=images, parts=tuple(parts))


def alexnet(images: Images) -> Network:
    """With the two groups that lay on two GPUs."""
    local, pool = Norm("local"), Pool("max", 3, stride=2, padding="valid")
    features: tuple[tuple[Layer, ...], ...] = (
        (plain(96, 11, stride=4, padding="valid"), local, pool),
        (plain(256, 5, groups=2), local, pool),
        (plain(384, 3),),
        (plain(384, 3, groups=2),),
        (plain(256, 3, groups=2), pool),
    )
    return stacked(images, features, (4096, 4096))


def zfnet(images: Images) -> Network:
    local = Norm("local")
    features: tuple[tuple[Layer, ...], ...] = (
        (plain(96, 7, stride=2, padding=1), Pool("max", 3, stride=2), local),
        (plain(256, 5, stride=2, padding="valid"), Pool("max", 3, stride=2), local),
        (plain(384, 3),),
        (plain(384, 3),),
        (plain(256, 3), Pool("max", 3, stride=2, padding="valid")),
    )
    return stacked(images, features, (4096, 4096))


def vgg(images: Images, *, kernels: tuple[tuple[int, ...], ...]) -> Network:
    """Stages of 64, 128, 256, 512 and 512 channels, each with these kernels and a pooling."""
    pool = Pool("max", 2, stride=2, padding="valid")
    channels = (64, 128, 256, 512, 512)
    features: list[tuple[Layer, ...]] = [
        (*(plain(out, kernel) for kernel in stage), pool) for out, stage in zip(channels, kernels)
    ]
    return stacked(images, tuple(features), (4096, 4096))


NETWORKS = {
    "LeNet-5": lenet5,
    "AlexNet": alexnet,
    "ZFNet": zfnet,
    "VGG-11 (A)": partial(vgg, kernels=((3,), (3,), (3, 3), (3, 3), (3, 3))),
    "VGG-13 (B)": partial(vgg, kernels=((3, 3),) * 5),
    "VGG-16-C (conv1)": partial(vgg, kernels=((3, 3), (3, 3), (3, 3, 1), (3, 3, 1), (3, 3, 1))),
    "VGG-16 (D)": partial(vgg, kernels=((3, 3), (3, 3), (3, 3, 3), (3, 3, 3), (3, 3, 3))),
    "VGG-19 (E)": partial(vgg, kernels=((3, 3), (3, 3), (3,) * 4, (3,) * 4, (3,) * 4)),
}
