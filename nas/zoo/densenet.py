"""DenseNet-BC (Huang et al. 2017): growth 32, half the channels and pixels kept at every transition."""

from functools import partial

from nas.networks.architecture import TORCH_EPSILON, Images
from nas.networks.layers import Activate, Conv, Norm, Pool
from nas.networks.network import Network, Part
from nas.networks.units import classifier, dense, linear

GROWTH = 32


def densenet(images: Images, *, repeats: tuple[int, ...]) -> Network:
    parts = [
        Part(name="conv1", blocks=(Conv(64, 7, stride=2),)),
        Part(name="pool", blocks=(Pool("max", 3, stride=2),)),
    ]
    channels = 64
    for stage, count in enumerate(repeats, 1):
        blocks = tuple(dense(channels + GROWTH * place, GROWTH) for place in range(count))
        parts.append(Part(name=f"dense block {stage}", blocks=blocks))
        channels += GROWTH * count
        if stage < len(repeats):
            channels //= 2
            halved = (Norm(), Activate(), linear(channels, norm=False), Pool("average", 2, stride=2, padding="valid"))
            parts.append(Part(name=f"transition {stage}", blocks=halved))
    parts += [
        Part(name="norm", blocks=(Norm(), Activate())),
        Part(name="classifier", blocks=classifier(images.classes)),
    ]
    return Network(images=images, parts=tuple(parts), norm_epsilon=TORCH_EPSILON)


REPEATS = {121: (6, 12, 24, 16), 169: (6, 12, 32, 32), 201: (6, 12, 48, 32), 264: (6, 12, 64, 48)}

NETWORKS = {f"DenseNet-{depth}": partial(densenet, repeats=repeats) for depth, repeats in REPEATS.items()}
