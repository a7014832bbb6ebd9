"""Interchange with timm (PyTorch Image Models): architecture definition strings and weights of its EfficientNet family.

A stage row is one string such as "ir_r2_k3_s2_e6_c24_se0.25". What timm's strings, or the stage rows, cannot say is
refused with the reason. The strings say nothing of stem, head, activation, dropout and the norms' epsilon, which go
beside them. timm's "tf_" models pad as TensorFlow does, as does `network` here, and its others as
`nas.networks.blocks.network` does; those have an epsilon of 1e-3, and these one of 1e-5.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from nas.networks.architecture import NORM_EPSILON, Architecture, Images, Stage
from nas.networks.layers import Activation
from nas.networks.lowering import tensorflow_padded

if TYPE_CHECKING:
    from torch import Tensor, nn

ACTIVATIONS: dict[str, Activation] = {"re": "relu", "r6": "relu6", "hs": "hswish", "sw": "swish"}
_STRING = re.compile(r"(?P<kind>[a-z]+)(?P<options>(_[a-z]+[0-9.]*)*)")
_KINDS = {"ir": "mbconv", "ds": "mbconv", "er": "fused", "cn": "conv"}


class Unsayable(ValueError):
    """One side has no words for what the other has; the message says for what."""


def strings(architecture: Architecture) -> list[list[str]]:
    """The stages as timm's `arch_def`, one string in each of its lists, or two where the first block alone has no skip.
    Raises Unsayable."""
    if architecture.stem_stride != 2:
        raise Unsayable(f"timm's stem has stride 2, and this one has {architecture.stem_stride}")
    if not architecture.head:
        raise Unsayable("timm's network has a head of 1×1 convolutions, and this one has none")
    channels, stages = architecture.stem, []
    for number, stage in enumerate(architecture.stages, 1):
        try:
            stages.append(list(_strings(stage, channels)))
        except Unsayable as error:
            raise Unsayable(f"stage {number}: {error}") from error
        channels = stage.channels
    return stages


def arguments(architecture: Architecture) -> dict[str, Any]:
    """What timm is to be told beside the strings, by the names of its models' arguments."""
    return {
        "stem_size": architecture.stem,
        "num_features": architecture.head,
        "act_layer": {"swish": "swish", "hswish": "hard_swish"}.get(architecture.activation, architecture.activation),
        "drop_rate": architecture.dropout,
        "drop_path_rate": architecture.drop_connect,
        "bn_eps": architecture.norm_epsilon,
        "in_chans": architecture.images.channels,
        "num_classes": architecture.images.classes,
    }


def architecture(
    definition: Sequence[Sequence[str]],
    images: Images,
    *,
    stem: int = 32,
    head: int = 1280,
    activation: Activation = "swish",
    dropout: float = 0.0,
    drop_connect: float = 0.0,
    norm_epsilon: float = NORM_EPSILON,
) -> Architecture:
    """The network of a timm `arch_def`; a list of several strings gives as many rows. Raises Unsayable."""
    return Architecture(
        images=images,
        stem=stem,
        stem_stride=2,
        stages=tuple(_stage(string, activation) for strings in definition for string in strings),
        head=head,
        activation=activation,
        dropout=dropout,
        drop_connect=drop_connect,
        norm_epsilon=norm_epsilon,
    )


def network(architecture: Architecture) -> "nn.Module":
    """The network as timm's "tf_" models compute it: strided convolutions pad like TensorFlow's."""
    from nas.networks.blocks import assembled
    from nas.networks.lowering import lowered

    return assembled(tensorflow_padded(lowered(architecture)), architecture.images, architecture.norm_epsilon)


def names(architecture: Architecture) -> list[str]:
    """timm's names of the network's tensors, in the order in which the network here has its own."""
    return list(_names(architecture))


def from_timm(architecture: Architecture, weights: "Mapping[str, Tensor]") -> "dict[str, Tensor]":
    """A state for `nas.networks.blocks.network(architecture)` from that of timm's model. Raises ValueError."""
    ours, theirs = _tensors(architecture), names(architecture)
    if missing := [name for name in theirs if name not in weights]:
        raise ValueError(f"{missing[0]!r} is not among timm's weights: they are of another architecture")
    if unknown := weights.keys() - set(theirs):
        raise ValueError(f"{min(unknown)!r} is nothing that this architecture has: the weights are of another one")
    for (name, tensor), their in zip(ours.items(), theirs):
        if tensor.shape != weights[their].shape:
            raise ValueError(
                f"{their!r} has shape {tuple(weights[their].shape)}, not {tuple(tensor.shape)} as {name!r}"
            )
    return {name: weights[their] for name, their in zip(ours, theirs)}


def to_timm(architecture: Architecture, weights: "Mapping[str, Tensor]") -> "dict[str, Tensor]":
    """A state for timm's model from that of the network here. Raises ValueError."""
    ours = _tensors(architecture)
    if ours.keys() != weights.keys():
        raise ValueError(f"these are not the weights of architecture {architecture.digest()}: the names differ")
    return {their: weights[name] for name, their in zip(ours, names(architecture))}


def _strings(stage: Stage, entering: int) -> Iterator[str]:
    if stage.skip != "repeats":
        yield _string(stage, entering)
        return
    yield _string(replace(stage, repeats=1, skip=False), entering)
    if stage.repeats > 1:
        yield _string(replace(stage, repeats=stage.repeats - 1, stride=1, skip=True), stage.channels)


def _string(stage: Stage, entering: int) -> str:
    if stage.pools:
        raise Unsayable("timm has no pooling skip")
    squeezed = [channels * stage.se_ratio for channels in stage.inputs(entering)]
    if stage.se_ratio and stage.op == "conv":
        raise Unsayable("timm has no squeeze-and-excitation on a plain convolution")
    if any(round(channels) != max(1, int(channels)) for channels in squeezed if stage.se_ratio):
        raise Unsayable(f"timm rounds squeezed channels to the nearest number, and here {max(squeezed):g} are cut off")
    kind = (
        "ds" if (stage.op, stage.expand) == ("mbconv", 1) else {"mbconv": "ir", "fused": "er", "conv": "cn"}[stage.op]
    )
    words = [
        kind,
        f"r{stage.repeats}",
        f"k{stage.kernel}",
        f"s{stage.stride}",
        f"e{stage.expand}",
        f"c{stage.channels}",
    ]
    words += [f"se{stage.se_ratio:g}"] if stage.se_ratio else []
    if kind == "cn":
        words += ["skip"] if stage.skip else []
    else:
        words += [] if stage.skip else ["noskip"]
    return "_".join(words)


def _stage(string: str, activation: Activation) -> Stage:
    match = _STRING.fullmatch(string)
    if not match or match["kind"] not in _KINDS:
        known = ", ".join(_KINDS)
        raise Unsayable(f"{string!r} is no block that stage rows have: the first word must be one of {known}")
    kind, skip, options = match["kind"], match["kind"] != "cn", {}
    for word in match["options"].split("_")[1:]:
        if word in ("skip", "noskip"):
            skip = word == "skip"
        elif word[0] == "n":
            if ACTIVATIONS.get(word[1:]) != activation:
                raise Unsayable(
                    f"{string!r} has an activation of its own, {word!r}, and the network has {activation!r}"
                )
        else:
            name = word.rstrip("0123456789.")
            options[name] = float(word[len(name) :]) if name == "se" else _whole(word[len(name) :], string)
    for name in options:
        if name not in ("r", "k", "s", "e", "c", "se"):
            raise Unsayable(f"{string!r} has option {name!r}, for which stage rows have no field")
    for name in ("r", "k", "s", "c"):
        if name not in options:
            raise Unsayable(f"{string!r} lacks option {name!r}")
    expand = int(options.get("e", 1))
    if expand == 1 and kind in ("ir", "er"):
        raise Unsayable(
            f"{string!r} has a convolution for an expansion by 1, which stage rows leave out: say ds, or cn"
        )
    op: Any = _KINDS[kind]
    return Stage(
        op=op,
        kernel=int(options["k"]),
        stride=int(options["s"]),
        expand=expand,
        channels=int(options["c"]),
        repeats=int(options["r"]),
        se_ratio=options.get("se", 0.0),
        skip=skip,
    )


def _whole(text: str, string: str) -> float:
    if not text.isdigit():
        raise Unsayable(f"{string!r} has {text!r} where stage rows have one whole number")
    return int(text)


def _names(architecture: Architecture) -> Iterator[str]:
    yield from _normed("conv_stem", "bn1")
    for number, stage in enumerate(architecture.stages):
        for block in range(stage.repeats):
            for name in _block(stage):
                yield f"blocks.{number}.{block}.{name}"
    yield from _normed("conv_head", "bn2")
    yield from ("classifier.weight", "classifier.bias")


def _block(stage: Stage) -> Iterator[str]:
    gates = ("conv_reduce", "conv_expand") if stage.se_ratio else ()
    excitation = [f"se.{gate}.{name}" for gate in gates for name in ("weight", "bias")]
    before, last = {
        ("mbconv", True): (("conv_pw", "conv_dw"), "conv_pwl"),
        ("mbconv", False): (("conv_dw",), "conv_pw"),
        ("fused", True): (("conv_exp",), "conv_pwl"),
        ("conv", False): ((), "conv"),
    }[stage.op, stage.expand > 1]
    for number, name in enumerate(before, 1):
        yield from _normed(name, f"bn{number}")
    yield from excitation
    yield from _normed(last, f"bn{len(before) + 1}")


def _normed(convolution: str, norm: str) -> Iterator[str]:
    yield f"{convolution}.weight"
    for name in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked"):
        yield f"{norm}.{name}"


def _tensors(architecture: Architecture) -> "dict[str, Tensor]":
    import torch

    with torch.device("meta"):
        return dict(network(architecture).state_dict())
