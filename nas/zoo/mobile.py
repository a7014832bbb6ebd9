"""Small networks: SqueezeNet (Iandola et al. 2016), MobileNetV1 (Howard et al. 2017) and ShuffleNet (Zhang et al.
2018)."""

from functools import partial

from nas.networks.architecture import TORCH_EPSILON, Images
from nas.networks.layers import Conv, Dropout, GlobalPool, Layer, Pool
from nas.networks.network import Network, Part
from nas.networks.units import chain, classifier, fire, repeated, shuffled


def squeezenet(images: Images) -> Network:
    pool = Pool("max", 3, stride=2, padding="valid", ceil=True)
    last = Conv(images.classes, bias=True, norm=False)
    parts = [
        Part(name="conv1", blocks=(Conv(96, 7, stride=2, padding="valid", bias=True, norm=False), pool)),
        Part(name="fire2-4", blocks=(fire(16, 64), fire(16, 64), fire(32, 128), pool)),
        Part(name="fire5-8", blocks=(fire(32, 128), fire(48, 192), fire(48, 192), fire(64, 256), pool)),
        Part(name="fire9", blocks=(fire(64, 256),)),
        Part(name="classifier", blocks=(chain(Dropout(0.5), last, GlobalPool()),)),
    ]
    return Network(images=images, parts=tuple(parts))


def mobilenet_v1(images: Images, *, width: float = 1.0, full: bool = False) -> Network:
    """`full`: ordinary 3×3 convolutions, which the paper's table 4 compares with."""

    def scaled(channels: int) -> int:
        return max(8, int(channels * width))

    def unit(entering: int, out: int, stride: int) -> Layer:
        if full:
            return Conv(out, 3, stride=stride)
        return chain(Conv(entering, 3, stride=stride, groups=entering), Conv(out))

    parts, channels = [Part(name="conv1", blocks=(Conv(scaled(32), 3, stride=2),))], scaled(32)
    for stride, out, repeats in ((1, 64, 1), (2, 128, 2), (2, 256, 2), (2, 512, 6), (2, 1024, 2)):
        parts.append(Part(name=f"stage {out}", blocks=repeated(unit, channels, scaled(out), repeats, stride)))
        channels = scaled(out)
    parts.append(Part(name="classifier", blocks=classifier(images.classes)))
    return Network(images=images, parts=tuple(parts))


def shufflenet(images: Images, *, stem: int = 24, channels: int, groups: int) -> Network:
    """Stages of `channels`, doubled twice."""
    parts = [Part(name="conv1", blocks=(Conv(stem, 3, stride=2), Pool("max", 3, stride=2)))]
    entering = stem
    for stage, repeats in enumerate((4, 8, 4)):
        out = channels * 2**stage
        first = shuffled(entering, out, stride=2, groups=groups, first=stage == 0)
        blocks = (first, *(shuffled(out, out, groups=groups) for _ in range(repeats - 1)))
        parts.append(Part(name=f"stage {stage + 2}", blocks=blocks))
        entering = out
    parts.append(Part(name="classifier", blocks=classifier(images.classes, bias=False)))
    return Network(images=images, parts=tuple(parts), norm_epsilon=TORCH_EPSILON)


NETWORKS = {
    "SqueezeNet 1.0": squeezenet,
    "Conv MobileNet (full conv)": partial(mobilenet_v1, full=True),
    "ShuffleNet v1 1x (g=3)": partial(shufflenet, channels=240, groups=3),
    "ShuffleNet v1 1.5x (g=3)": partial(shufflenet, channels=360, groups=3),
    "ShuffleNet v1 2x (g=3)": partial(shufflenet, stem=48, channels=480, groups=3),
    "ShuffleNet v1 0.5x (arch2, g=8)": partial(shufflenet, stem=16, channels=192, groups=8),
}
for width in ("1.0", "0.75", "0.5", "0.25"):
    for pixels in (224, 192, 160, 128):
        NETWORKS[f"MobileNetV1 {width}-{pixels}"] = partial(mobilenet_v1, width=float(width))
