"""The papers' blocks, as functions that spell them in layers.

`entering` is the number of channels that enter, `out` that leave, `stride` the block's. What only one network uses
stands with that network in `nas/zoo`.
"""

from collections.abc import Callable
from typing import Literal

from nas.networks.layers import (
    IDENTITY,
    Activate,
    Activation,
    Branches,
    Conv,
    Dropout,
    DropPath,
    GlobalPool,
    Layer,
    Linear,
    Norm,
    Pool,
    Sequence,
    Shift,
    Shuffle,
    Widen,
)


def chain(*layers: Layer) -> Sequence:
    return Sequence(layers)


def concat(*branches: Layer) -> Branches:
    return Branches(branches, "concat")


def linear(out: int, kernel: int = 1, *, stride: int = 1, groups: int = 1, norm: bool = True) -> Conv:
    """A convolution without an activation."""
    return Conv(out, kernel, stride=stride, groups=groups, norm=norm, activation=None)


def repeated(unit: Callable[..., Layer], entering: int, out: int, repeats: int, stride: int) -> tuple[Layer, ...]:
    """`repeats` blocks, the first of which carries the stride and the change of channels."""
    first = unit(entering, out, stride=stride)
    return (first, *(unit(out, out, stride=1) for _ in range(repeats - 1)))


def classifier(classes: int, dropout: float = 0.0, *, bias: bool = True) -> tuple[Layer, ...]:
    """Global average pooling, dropout, linear layer."""
    layers: tuple[Layer, ...] = (GlobalPool(), Linear(classes, bias=bias))
    return (Sequence((layers[0], Dropout(dropout), layers[1]) if dropout else layers),)


def squeeze_excite(
    channels: int, squeezed: int, activation: Activation = "relu", gate: Activation = "sigmoid"
) -> Layer:
    """Channel gates from the pooled features (Hu et al. 2018)."""
    gates = chain(
        GlobalPool(),
        Conv(squeezed, bias=True, norm=False, activation=activation),
        Conv(channels, bias=True, norm=False, activation=gate),
    )
    return Branches((IDENTITY, gates), "multiply")


def residual(
    *body: Layer, shortcut: Layer = IDENTITY, drop: float = 0.0, activation: Activation | None = None
) -> Layer:
    """`body` added to `shortcut`, then `activation`; the body is dropped at rate `drop` in training."""
    added = Branches((Sequence((*body, DropPath(drop)) if drop else body), shortcut))
    return chain(added, Activate(activation)) if activation else added


def inverted(
    entering: int,
    out: int,
    kernel: int = 3,
    *,
    stride: int = 1,
    expanded: int,
    squeezed: int = 0,
    activation: Activation = "relu",
    gate: Activation = "sigmoid",
    skip: bool | Literal["pooling"] = True,
    drop: float = 0.0,
    fused: bool = False,
) -> Layer:
    """MobileNetV2's inverted bottleneck: expansion to `expanded` channels, depthwise, squeeze-and-excitation to
    `squeezed`, projection. `fused`: one dense convolution instead of the first two (EfficientNetV2)."""
    body: list[Layer] = []
    if fused:
        body.append(Conv(expanded, kernel, stride=stride, activation=activation))
    else:
        if expanded != entering:
            body.append(Conv(expanded, activation=activation))
        body.append(Conv(expanded, kernel, stride=stride, groups=expanded, activation=activation))
    if squeezed:
        gating: Activation = "relu" if gate == "hsigmoid" else activation
        body.append(squeeze_excite(expanded, squeezed, gating, gate))
    return skipping((*body, linear(out)), entering, out, stride, skip, drop)


def skipping(
    body: tuple[Layer, ...], entering: int, out: int, stride: int, skip: bool | Literal["pooling"], drop: float
) -> Layer:
    """`body` with the skip that shapes allow: the identity, or 3×3 average pooling, which can stride (MnasNet)."""
    if skip == "pooling" and entering == out:
        return residual(*body, shortcut=Pool("average", 3, stride=stride), drop=drop)
    if skip is True and stride == 1 and entering == out:
        return residual(*body, drop=drop)
    return Sequence(body)


def separable(entering: int, out: int, kernel: int = 3, *, stride: int = 1, dilation: int = 1) -> tuple[Layer, ...]:
    """Activation, depthwise and pointwise convolution with nothing between them, normalisation (Xception, NASNet)."""
    depthwise = Conv(entering, kernel, stride=stride, groups=entering, dilation=dilation, norm=False, activation=None)
    return (Activate(), depthwise, linear(out))


def basic(
    entering: int,
    out: int,
    *,
    stride: int = 1,
    squeezed: int = 0,
    shortcut: Literal["projection", "zeros"] = "projection",
    drop: float = 0.0,
) -> Layer:
    """ResNet's two 3×3 convolutions (He et al. 2015)."""
    excited = (squeeze_excite(out, squeezed),) if squeezed else ()
    body = (Conv(out, 3, stride=stride), linear(out, 3), *excited)
    return residual(*body, shortcut=_shortcut(entering, out, stride, shortcut), drop=drop, activation="relu")


def bottleneck(
    entering: int,
    out: int,
    *,
    middle: int,
    stride: int = 1,
    groups: int = 1,
    early: bool = False,
    squeezed: int = 0,
    drop: float = 0.0,
) -> Layer:
    """ResNet's 1×1, 3×3, 1×1. The 3×3 carries the stride (v1.5) unless `early` (v1: the first 1×1)."""
    first, second = (stride, 1) if early else (1, stride)
    excited = (squeeze_excite(out, squeezed),) if squeezed else ()
    body = (Conv(middle, stride=first), Conv(middle, 3, stride=second, groups=groups), linear(out), *excited)
    return residual(*body, shortcut=_shortcut(entering, out, stride, "projection"), drop=drop, activation="relu")


def preactivated(
    entering: int, out: int, *convolutions: Conv, stride: int = 1, drop: float = 0.0, first: bool = False
) -> Layer:
    """`convolutions` on normalised, activated input, their sum left alone (He et al. 2016). Where the shape changes,
    the projection reads the activated input too. The `first` of a network gets it so from the stem."""
    activated = () if first else (Norm(), Activate())
    if stride == 1 and entering == out:
        return residual(*activated, *convolutions, drop=drop)
    projection = linear(out, stride=stride, norm=False)
    return chain(*activated, residual(*convolutions, shortcut=projection, drop=drop))


def _shortcut(entering: int, out: int, stride: int, kind: Literal["projection", "zeros"]) -> Layer:
    if stride == 1 and entering == out:
        return IDENTITY
    if kind == "projection":
        return linear(out, stride=stride)
    return chain(Pool("average", 1, stride=stride), Widen(out))


def highway(entering: int, kernel: int = 3) -> Layer:
    """A gate between a convolution and the identity (Srivastava et al. 2015)."""
    gate = Conv(entering, kernel, bias=True, norm=False, activation="sigmoid")
    return Branches((gate, Conv(entering, kernel), IDENTITY), "gate")


def dense(entering: int, growth: int, bottleneck: int = 4) -> Layer:
    """DenseNet-B's layer: `growth` new channels appended to what enters (Huang et al. 2017)."""
    return concat(IDENTITY, chain(Norm(), Activate(), Conv(bottleneck * growth), linear(growth, 3, norm=False)))


def fire(squeeze: int, expand: int, *, norm: bool = False) -> Layer:
    """SqueezeNet's module: 1×1 to `squeeze`, then 1×1 and 3×3 to `expand` channels each (Iandola et al. 2016).

    The paper's has biases; with `norm` it has normalisations instead, and trains at the usual learning rates.
    """
    wide = concat(*(Conv(expand, kernel, bias=not norm, norm=norm) for kernel in (1, 3)))
    return chain(Conv(squeeze, bias=not norm, norm=norm), wide)


def shuffled(entering: int, out: int, *, stride: int = 1, groups: int, first: bool = False) -> Layer:
    """ShuffleNet's unit: grouped 1×1, shuffle, depthwise, grouped 1×1; with a stride, concatenated to the pooled input.
    The `first` unit's 1×1 is not grouped (Zhang et al. 2018)."""
    middle = out // 4
    leaving = out if stride == 1 else out - entering
    body = chain(
        Conv(middle, groups=1 if first else groups),
        Shuffle(groups),
        linear(middle, 3, stride=stride, groups=middle),
        linear(leaving, groups=groups),
    )
    if stride == 1:
        return residual(body, activation="relu")
    return chain(concat(Pool("average", 3, stride=stride), body), Activate())


def factorized_reduction(out: int) -> tuple[Layer, ...]:
    """Half the pixels without losing any: two 1×1 convolutions, one on the image shifted by a pixel (NASNet)."""
    subsample = Pool("average", 1, stride=2)
    paths = (
        chain(subsample, linear(out // 2, norm=False)),
        chain(Shift(), subsample, linear(out - out // 2, norm=False)),
    )
    return (concat(*paths), Norm())
