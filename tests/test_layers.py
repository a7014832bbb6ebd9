"""Layers: what they count and what they build agree, and what cannot be is refused."""

import copy
import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nas import zoo
from nas.codec import Malformed, decode, encode
from nas.networks import units
from nas.networks.architecture import Architecture, Images, Stage
from nas.networks.blocks import DropPath, module, network, schedule
from nas.networks.counts import counts
from nas.networks.layers import (
    IDENTITY,
    Activate,
    Branches,
    Conv,
    Dropout,
    GlobalPool,
    Graph,
    Layer,
    Linear,
    Node,
    Norm,
    Padding,
    Pool,
    Scale,
    Sequence,
    Shift,
    Shuffle,
    Step,
    Widen,
)
from nas.networks.lowering import AnyArchitecture
from nas.networks.network import Network, Part
from nas.networks.scaling import PUBLISHED
from nas.networks.shapes import Shape, after

SHAPE = Shape(12, 9, 9)

LAYERS: dict[str, Layer] = {
    "convolution": Conv(8, 3),
    "rectangular": Conv(8, (1, 7), stride=(1, 2), bias=True),
    "dilated": Conv(8, 3, dilation=2, norm=False, activation="tanh"),
    "tensorflow": Conv(8, 3, stride=2, padding="tensorflow", activation="hswish"),
    "valid": Conv(8, 4, stride=3, padding="valid", activation="relu6"),
    "padded": Conv(24, 5, padding=1, groups=12, activation="sigmoid"),
    "max pool": Pool("max", 3, stride=2),
    "ceil pool": Pool("max", 2, stride=2, padding="valid", ceil=True),
    "tensorflow pool": Pool("max", 2, stride=2, padding="tensorflow"),
    "average": Pool("average", 3, stride=2, padding="valid"),
    "global": GlobalPool(),
    "linear": Linear(5, activation="relu"),
    "unbiased": Linear(5, bias=False),
    "dropout": Dropout(0.5),
    "norm": Norm(),
    "local": Norm("local"),
    "swish": Activate("swish"),
    "shuffle": Shuffle(3),
    "widen": Widen(31),
    "shift": Shift(),
    "scale": Scale(0.5),
    "identity": IDENTITY,
    "chain": Sequence((Conv(6, 3, stride=2), Norm(), Linear(4))),
    "add": Branches((IDENTITY, Conv(12, 3))),
    "concat": Branches((IDENTITY, Conv(5), Conv(6, 3)), "concat"),
    "squeeze-and-excitation": units.squeeze_excite(12, 3, gate="hsigmoid"),
    "highway": units.highway(12),
    "fire": units.fire(3, 8),
    "fire, normalised": units.fire(3, 8, norm=True),
    "dense": units.dense(12, 4),
    "basic": units.basic(12, 20, stride=2),
    "parameter-free shortcut": units.basic(12, 20, stride=2, shortcut="zeros", squeezed=4),
    "bottleneck": units.bottleneck(12, 20, middle=6, stride=2, groups=3, early=True),
    "pre-activated": units.preactivated(12, 16, Conv(16, 3, stride=2), stride=2),
    "shuffled": units.shuffled(12, 24, stride=2, groups=3),
    "fused": units.inverted(12, 12, expanded=36, fused=True, squeezed=3),
    "pooling skip": units.inverted(12, 12, expanded=24, stride=2, skip="pooling"),
    "factorized reduction": Sequence(units.factorized_reduction(7)),
    "residual of Inception": units.residual(Conv(12, 3), Scale(0.2), activation="relu", drop=0.1),
    "graph": Graph(
        (Conv(6),),
        (Node((Step(Conv(6, 3), 0), Step(IDENTITY, 0))), Node((Step(IDENTITY, 0), Step(Conv(4), 1)), "concat")),
        Node((Step(IDENTITY, 1), Step(IDENTITY, 2)), "concat"),
    ),
}


@pytest.mark.parametrize("name", LAYERS)
def test_what_leaves_a_layer_has_the_shape_that_is_computed(name: str) -> None:
    built = module(LAYERS[name], SHAPE).eval()
    left = built(torch.randn(2, *SHAPE)).flatten(1).shape[1]
    channels, height, width = after(LAYERS[name], SHAPE)
    assert left == channels * height * width


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_counts_what_it_builds_and_survives_json(name: str) -> None:
    images = Images(resolution=9, classes=3)
    block = Sequence((Conv(12, norm=False), LAYERS[name]))
    spelled = Network(images=images, parts=(Part(name="block", blocks=(block, Linear(3))),))
    assert counts(spelled).params == sum(tensor.numel() for tensor in network(spelled).parameters())
    assert decode(Network, encode(spelled)) == spelled


@given(
    st.integers(3, 20),
    st.sampled_from([1, 3, 5]),
    st.integers(1, 3),
    st.sampled_from(["same", "tensorflow", "valid", 0, 1]),
    st.integers(1, 2),
)
@settings(max_examples=150)
def test_convolutions_leave_as_many_pixels_as_torch_does(
    size: int, kernel: int, stride: int, padding: Any, dilation: int
) -> None:
    convolution, shape = Conv(2, kernel, stride=stride, padding=padding, dilation=dilation), Shape(1, size, size)
    room = size if padding in ("same", "tensorflow") else size + 2 * (padding if isinstance(padding, int) else 0)
    if room < dilation * (kernel - 1) + 1 and padding not in ("same", "tensorflow"):
        with pytest.raises(ValueError, match="does not fit"):
            after(convolution, shape)
        return
    assert module(convolution, shape).eval()(torch.zeros(1, *shape)).shape[1:] == after(convolution, shape)


@given(st.integers(2, 20), st.integers(2, 3), st.integers(1, 3), st.booleans(), st.integers(0, 1))
@settings(max_examples=150)
def test_pools_leave_as_many_pixels_as_torch_does(
    size: int, kernel: int, stride: int, ceil: bool, padding: int
) -> None:
    pool, shape = Pool("max", kernel, stride=stride, padding=padding, ceil=ceil), Shape(1, size, size)
    if kernel > size + 2 * padding:
        return
    assert module(pool, shape)(torch.zeros(1, *shape)).shape[1:] == after(pool, shape)


def test_tensorflow_pads_the_odd_pixel_behind_and_same_pads_both_sides() -> None:
    """On eight pixels with stride two, only the first way ever sees two pixels beyond the last window's middle."""
    row = torch.zeros(1, 1, 8, 8)
    row[..., 0, 0] = 1.0
    seen = {}
    paddings: tuple[Padding, ...] = ("same", "tensorflow")
    for padding in paddings:
        convolution = module(Conv(1, 3, stride=2, padding=padding, norm=False, activation=None), Shape(1, 8, 8))
        assert isinstance(convolution, torch.nn.Conv2d)
        with torch.no_grad():
            convolution.weight.zero_()
            convolution.weight[..., 0, 0] = 1.0
            seen[padding] = float(convolution(row).sum())
    assert seen == {"same": 0.0, "tensorflow": 1.0}


def test_local_response_normalisation_is_torchs() -> None:
    features = torch.randn(2, *SHAPE)
    expected = torch.nn.LocalResponseNorm(5)(features)
    assert torch.allclose(module(Norm("local"), SHAPE)(features), expected, atol=1e-6)


def test_a_gate_is_between_its_two_sides() -> None:
    built, features = module(units.highway(12), SHAPE).eval(), torch.randn(1, *SHAPE)
    with torch.no_grad():
        gate, body, identity = (branch(features) for branch in built.branches)  # type: ignore[union-attr]
        assert torch.equal(identity, features)
        assert torch.allclose(built(features), gate * body + (1 - gate) * features)


def test_channels_are_dealt_out_as_torch_deals_them() -> None:
    features = torch.randn(2, *SHAPE)
    assert torch.equal(module(Shuffle(3), SHAPE)(features), torch.nn.functional.channel_shuffle(features, 3))


def test_a_scheduled_drop_path_grows_over_the_training() -> None:
    dropping, features = DropPath(0.5, scheduled=True), torch.ones(400, 1, 1, 1)
    schedule(dropping, 0.0)
    assert torch.equal(dropping.train()(features), features)
    kept = {}
    for progress in (0.5, 1.0):
        schedule(dropping, progress)
        torch.manual_seed(0)
        answered = dropping(features)
        kept[progress] = float((answered != 0).float().mean())
        assert float(answered.max()) == pytest.approx(1 / (1 - 0.5 * progress))
    assert kept[1.0] < kept[0.5] < 1
    plain = DropPath(0.5, scheduled=False)
    schedule(plain, 0.0)
    assert plain.progress == 1.0


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (Conv(8, 3, groups=5), "5 groups do not divide 12 channels into 8"),
        (Conv(8, 11, padding="valid"), "a window of 11 pixels does not fit in 9"),
        (Conv(8, 2), "kernel 2 is even"),
        (Shuffle(5), "5 groups do not divide 12 channels"),
        (Widen(11), "12 channels cannot be widened to 11"),
        (Branches((IDENTITY, Conv(5))), "12×9×9 and 5×9×9 cannot be joined by 'add'"),
        (Branches((IDENTITY, Conv(5, stride=2)), "concat"), "12×9×9 and 5×5×5 pixels cannot be concatenated"),
        (Branches((IDENTITY, IDENTITY), "gate"), "joins three branches, not 2"),
        (Branches(()), "no branch to join"),
        (Graph((IDENTITY,), (Node((Step(IDENTITY, 1),)),), Node((Step(IDENTITY, 0),))), "state 1 is not there yet"),
    ],
)
def test_layers_that_do_not_fit_are_refused(layer: Layer, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        after(layer, SHAPE)
    images = Images(resolution=9, classes=2)
    with pytest.raises(ValueError, match="part 2, 'wrong', of a network for 9 pixels: .*" + message):
        Network(images=images, parts=(Part(name="stem", blocks=(Conv(12),)), Part(name="wrong", blocks=(layer,))))


def spelled(*parts: Part) -> Callable[[], Network]:
    return lambda: Network(images=Images(resolution=9, classes=2), parts=parts)


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (spelled(), "a network needs parts"),
        (spelled(Part(name="last", blocks=(Linear(3),))), "'last' gives 3×1×1 values, not one for each of 2 classes"),
        (spelled(Part(name="last", blocks=(Linear(2),), inputs=(1,))), "reads a state that is not there yet"),
        (lambda: Part(name="two", blocks=(Linear(2),), inputs=(0, 1)), "takes 2 states, which only a lone graph can"),
        (lambda: Pool("average", 3, padding="tensorflow"), "an average pads alike"),
        (lambda: zoo.architecture("ResNet-18").scaled(PUBLISHED["B1"]), "has no stages to scale"),
        (lambda: zoo.architecture("ResNet-19"), "unknown published network 'ResNet-19': there are ResNet-18"),
        (
            lambda: zoo.architecture("VGG-16 (D)", Images(resolution=16)),
            "part 5, 'features 5', of a network for 16 pixels",
        ),
        (
            lambda: Architecture(
                images=Images(resolution=12),
                stem=8,
                stem_stride=1,
                stages=tuple(
                    Stage(op="conv", kernel=3, stride=stride, expand=1, channels=8, repeats=1)
                    for stride in (2, 3, 3, 1)
                ),
                head=0,
            ),
            "resolution 12 is too small for total stride 18: less than a pixel is left in stage 3; give at least 18",
        ),
    ],
)
def test_networks_that_cannot_be_are_refused(broken: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        broken()


def changed(name: str, *path: str | int, to: Any) -> Any:
    data = copy.deepcopy(encode(zoo.architecture(name)))
    at = data
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = to
    return data


@pytest.mark.parametrize("name", ["ResNet-18", "EfficientNet-B0", "NASNet-A (6 @ 768) CIFAR + cutout"])
def test_every_kind_of_architecture_is_told_from_its_json(name: str) -> None:
    network = zoo.architecture(name)
    found: AnyArchitecture = decode(AnyArchitecture, encode(network))  # type: ignore[arg-type]
    assert found == network
    assert found.digest() == network.digest()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            changed("ResNet-18", "parts", 0, "blocks", 0, "kernal", to=3),
            "/parts/0/blocks/0/kernal: unknown field 'kernal': there are out, kernel",
        ),
        (
            changed("ResNet-18", "parts", 0, "blocks", 0, "layer", to="convv"),
            "/parts/0/blocks/0/layer: layer \"convv\" is not 'conv', 'pool'",
        ),
        (
            changed("ResNet-18", "parts", 0, "blocks", 0, "out", to="many"),
            '/parts/0/blocks/0/out: out "many" is not a valid integer',
        ),
        (
            changed("EfficientNet-B0", "stages", 0, "op", to="mbcnv"),
            "/stages/0/op: op \"mbcnv\" is not 'conv', 'fused' or 'mbconv'",
        ),
        (
            changed("EfficientNet-B0", "stages", 0, "skip", to="yes"),
            "/stages/0/skip: skip \"yes\" is not a valid boolean or 'pooling'",
        ),
        (changed("EfficientNet-B0", "version", to=2), "/version: version 2 of an architecture is not 1"),
        (
            changed("NASNet-A (6 @ 768) CIFAR + cutout", "normal", "nodes", 1, "inputs", 0, to=["max9", 0]),
            "/normal: normal cell, node 1: unknown operation 'max9': there are identity, 1x3-3x1",
        ),
    ],
)
def test_wrong_json_of_an_architecture_is_refused_at_its_place(data: Any, message: str) -> None:
    with pytest.raises(Malformed, match=message):
        decode(AnyArchitecture, data)  # type: ignore[arg-type]


def test_equal_networks_have_equal_digests_whatever_their_version_is_called() -> None:
    one, other = zoo.architecture("ResNet-18"), zoo.architecture("ResNet-18")
    assert one.digest() == other.digest() == "a6c6cc1ee179"
    assert zoo.architecture("ResNet-34").digest() != one.digest()
    assert dataclasses.replace(one, images=Images(resolution=64)).digest() != one.digest()


@pytest.mark.parametrize(
    ("name", "digest"),
    [
        ("EfficientNet-B0", "a8f23c7c0a09"),
        ("ResNet-18", "3364a5f7dc6d"),
        ("NASNet-A (4 @ 1056) mobile", "4be75d7e8ffa"),
    ],
)
def test_a_description_without_an_epsilon_is_what_it_was(name: str, digest: str) -> None:
    """The digests are those of before architectures had one, when it was 1e-3 everywhere."""
    data = encode(zoo.architecture(name))
    del data["norm_epsilon"]
    earlier: Any = decode(AnyArchitecture, data)  # type: ignore[arg-type]
    assert earlier.digest() == digest
    assert epsilons(earlier) == {1e-3}
    other = dataclasses.replace(earlier, norm_epsilon=1e-4)
    assert other.digest() != digest
    assert epsilons(other) == {1e-4}


def epsilons(architecture: AnyArchitecture) -> set[float]:
    with torch.device("meta"):
        built = network(architecture)
    return {module.eps for module in built.modules() if isinstance(module, torch.nn.BatchNorm2d)}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("EfficientNet-B0", 1e-3),
        ("MobileNetV2 1.0", 1e-3),
        ("Inception V3", 1e-3),
        ("NASNet-A (4 @ 1056) mobile", 1e-3),
        ("ResNet-50", 1e-5),
        ("WRN-16-4 (CIFAR)", 1e-5),
        ("ResNet-110 stochastic depth (CIFAR)", 1e-5),
        ("SENet (NASNet table)", 1e-5),
        ("DenseNet-121", 1e-5),
        ("DARTS (second order, CIFAR)", 1e-5),
        ("ShuffleNet v1 1x (g=3)", 1e-5),
    ],
)
def test_norms_have_the_epsilon_of_the_papers_own_code(name: str, expected: float) -> None:
    assert epsilons(zoo.architecture(name)) == {expected}
