"""Networks of a few layers, to be measured."""

from torch import nn

from nas.networks.architecture import Architecture, Images, Stage
from nas.networks.blocks import network

IMAGES = Images(resolution=32, channels=3, classes=10)


def rows(channels: int, repeats: int) -> Architecture:
    stage = Stage(op="mbconv", kernel=3, stride=2, expand=3, channels=channels, repeats=repeats, se_ratio=0.25)
    return Architecture(images=IMAGES, stem=8, stem_stride=1, stages=(stage,), head=16)


def mbconv(channels: int, repeats: int) -> nn.Module:
    return network(rows(channels, repeats))
