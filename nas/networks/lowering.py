"""Every kind of architecture, lowered to parts of layers."""

from dataclasses import replace
from typing import Literal, TypeAlias

from nas.networks.architecture import Architecture, Stage
from nas.networks.cells import CellArchitecture, family
from nas.networks.layers import Activation, Branches, Conv, Layer, Pool, Sequence
from nas.networks.network import Network, Part
from nas.networks.units import classifier, inverted, skipping, squeeze_excite

AnyArchitecture: TypeAlias = Architecture | CellArchitecture | Network


def lowered(architecture: AnyArchitecture) -> tuple[Part, ...]:
    """The parts that `architecture` stands for; what `counts` counts and `nas.networks.blocks` builds."""
    match architecture:
        case Network():
            return architecture.parts
        case CellArchitecture():
            return family(architecture.family).parts(architecture)
    activation, drop = architecture.activation, architecture.drop_connect
    parts = [stem_part(architecture.stem, architecture.stem_stride, activation)]
    channels, index = architecture.stem, 0
    blocks = sum(stage.repeats for stage in architecture.stages)
    for stage in architecture.stages:
        drops = tuple(drop * (index + place) / blocks for place in range(stage.repeats))
        parts.append(stage_part(stage, channels, activation, drops))
        channels, index = stage.channels, index + stage.repeats
    parts.extend(last_parts(architecture.head, architecture.images.classes, activation, architecture.dropout))
    return tuple(parts) if architecture.padding == "same" else tensorflow_padded(tuple(parts))


def stem_part(channels: int, stride: int, activation: Activation = "relu") -> Part:
    return Part(name="stem", blocks=(Conv(channels, 3, stride=stride, activation=activation),))


def stage_part(stage: Stage, entering: int, activation: Activation = "relu", drops: tuple[float, ...] = ()) -> Part:
    """The blocks of `stage`; `drops` are the rates at which their residual branches are dropped in training."""
    name = stage.op if stage.expand == 1 else f"{stage.op}{stage.expand}"
    entered = stage.inputs(entering)
    strides = (stage.stride,) + (1,) * (stage.repeats - 1)
    places = tuple(zip(entered, strides, drops or (0.0,) * stage.repeats, stage.skips))
    blocks = {place: _block(stage, activation, *place) for place in dict.fromkeys(places)}
    return Part(name=f"{name} {stage.kernel}x{stage.kernel}", blocks=tuple(blocks[place] for place in places))


def last_parts(head: int, classes: int, activation: Activation = "relu", dropout: float = 0.0) -> tuple[Part, ...]:
    """The 1×1 head, unless `head` is 0, and the classifier."""
    answer = Part(name="classifier", blocks=classifier(classes, dropout))
    return (Part(name="head", blocks=(Conv(head, activation=activation),)), answer) if head else (answer,)


def tensorflow_padded(parts: tuple[Part, ...]) -> tuple[Part, ...]:
    """The same parts, padding where they stride as TensorFlow does; no cells are among them."""
    return tuple(replace(part, blocks=tuple(_tensorflow(block) for block in part.blocks)) for part in parts)


def _tensorflow(layer: Layer) -> Layer:
    match layer:
        case Conv(padding="same") | Pool(kind="max", padding="same"):
            return replace(layer, padding="tensorflow")
        case Sequence():
            return replace(layer, layers=tuple(map(_tensorflow, layer.layers)))
        case Branches():
            return replace(layer, branches=tuple(map(_tensorflow, layer.branches)))
    return layer


def _block(
    stage: Stage, activation: Activation, entering: int, stride: int, drop: float, skip: bool | Literal["pooling"]
) -> Layer:
    squeezed = max(1, int(entering * stage.se_ratio)) if stage.se_ratio else 0
    if stage.op == "conv":
        convolution = Conv(stage.channels, stage.kernel, stride=stride, activation=activation)
        excited = (squeeze_excite(stage.channels, squeezed, activation),) if squeezed else ()
        return skipping((convolution, *excited), entering, stage.channels, stride, skip, drop)
    return inverted(
        entering,
        stage.channels,
        stage.kernel,
        stride=stride,
        expanded=entering * stage.expand,
        squeezed=squeezed,
        activation=activation,
        skip=skip,
        drop=drop,
        fused=stage.op == "fused",
    )
