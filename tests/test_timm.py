"""Interchange with timm. What needs timm itself runs where it is installed: `make test-timm`."""

import dataclasses
import functools
import random
from typing import Any

import pytest
import torch

import nas.parents.timm
from nas import parents, zoo
from nas.models import timm_strings
from nas.models.timm_strings import Unsayable
from nas.networks.architecture import NORM_EPSILON, TORCH_EPSILON, Architecture, Images, Stage, random_choices
from search_spaces import efficientnetv2, mbconv

MISSING = "timm is not installed: make test-timm"
B0 = [
    ["ds_r1_k3_s1_e1_c16_se0.25"],
    ["ir_r2_k3_s2_e6_c24_se0.25"],
    ["ir_r2_k5_s2_e6_c40_se0.25"],
    ["ir_r3_k3_s2_e6_c80_se0.25"],
    ["ir_r3_k5_s1_e6_c112_se0.25"],
    ["ir_r4_k5_s2_e6_c192_se0.25"],
    ["ir_r1_k3_s1_e6_c320_se0.25"],
]


def staged(name: str) -> Architecture:
    found = zoo.architecture(name)
    assert isinstance(found, Architecture)
    return found


def b0() -> Architecture:
    return staged("EfficientNet-B0")


def with_first(**changes: Any) -> Architecture:
    first, *others = b0().stages
    return dataclasses.replace(b0(), stages=(dataclasses.replace(first, **changes), *others))


def test_efficientnet_b0_is_seven_strings() -> None:
    assert timm_strings.strings(b0()) == B0


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("space", [mbconv, efficientnetv2], ids=["mbconv", "efficientnetv2"])
def test_a_network_survives_its_strings_or_is_refused_with_the_reason(space: Any, seed: int) -> None:
    draw, images = random.Random(seed), Images(resolution=224)
    choices = random_choices(space.knobs(images), draw)
    drawn = space.architecture(choices, images)
    excited = any(stage.op == "conv" and stage.se_ratio for stage in drawn.stages)
    entering = (drawn.stem, *(stage.channels for stage in drawn.stages))
    widths = {
        width for stage, channels in zip(drawn.stages, entering) if stage.se_ratio for width in stage.inputs(channels)
    }
    if excited or any(round(width / 4) != width // 4 for width in widths):
        with pytest.raises(Unsayable, match=r"plain convolution|rounds squeezed channels"):
            timm_strings.strings(drawn)
        return
    strings = timm_strings.strings(drawn)
    again = timm_strings.architecture(
        strings,
        images,
        stem=drawn.stem,
        head=drawn.head,
        activation=drawn.activation,
        dropout=drawn.dropout,
        drop_connect=drawn.drop_connect,
        norm_epsilon=drawn.norm_epsilon,
    )
    assert again == drawn


def test_a_first_block_alone_without_a_skip_has_a_string_of_its_own() -> None:
    first = dataclasses.replace(b0().stages[0], skip="repeats", repeats=3)
    made = timm_strings.strings(dataclasses.replace(b0(), stages=(first,)))
    assert made == [["ds_r1_k3_s1_e1_c16_se0.25_noskip", "ds_r2_k3_s1_e1_c16_se0.25"]]
    assert len(timm_strings.names(dataclasses.replace(b0(), stages=(first,)))) > 0


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (lambda: with_first(skip="pooling"), "stage 1: timm has no pooling skip"),
        (lambda: with_first(op="conv"), "stage 1: timm has no squeeze-and-excitation on a plain convolution"),
        (lambda: with_first(channels=22), "stage 2: timm rounds squeezed channels"),
        (lambda: dataclasses.replace(b0(), head=0), "head of 1×1 convolutions"),
        (lambda: dataclasses.replace(b0(), stem_stride=1), "stem has stride 2"),
    ],
)
def test_what_timm_cannot_say_is_refused(broken: Any, reason: str) -> None:
    with pytest.raises(Unsayable, match=reason):
        timm_strings.strings(broken())


@pytest.mark.parametrize(
    ("string", "reason"),
    [
        ("ir_r1_k3_s1_e1_c16", "expansion by 1"),
        ("ir_r1_k3.5_s1_e6_c16", "one whole number"),
        ("ir_r1_k3_s1_e6_c16_cc4", "option 'cc'"),
        ("ir_r1_k3_s1_e6_c16_nhs", "activation of its own, 'nhs'"),
        ("ir_r1_k3_s1_e6", "lacks option 'c'"),
        ("uir_r1_k3_s1_e6_c16", "first word must be one of ir, ds, er, cn"),
    ],
)
def test_what_stage_rows_cannot_say_is_refused(string: str, reason: str) -> None:
    with pytest.raises(Unsayable, match=reason):
        timm_strings.architecture([[string]], Images(resolution=224))


def test_a_string_may_leave_out_what_is_usual() -> None:
    made = timm_strings.architecture([["ds_r1_k3_s1_c16_nsw", "cn_r2_k3_s2_e1_c24_skip"]], Images(resolution=224))
    assert made.stages == (
        Stage(op="mbconv", kernel=3, stride=1, expand=1, channels=16, repeats=1),
        Stage(op="conv", kernel=3, stride=2, expand=1, channels=24, repeats=2),
    )


def test_weights_go_there_and_back_and_wrong_ones_are_refused() -> None:
    small = dataclasses.replace(b0(), images=Images(resolution=64, classes=10), stages=b0().stages[:2])
    ours = timm_strings.network(small).state_dict()
    theirs = timm_strings.to_timm(small, ours)
    assert theirs["blocks.1.0.conv_dw.weight"].shape == (96, 1, 3, 3)
    back = timm_strings.from_timm(small, theirs)
    assert back.keys() == ours.keys()
    assert all(torch.equal(back[name], ours[name]) for name in ours)
    with pytest.raises(ValueError, match=r"'classifier.bias' is not among timm's weights"):
        timm_strings.from_timm(small, {name: value for name, value in theirs.items() if name != "classifier.bias"})
    with pytest.raises(ValueError, match=r"'blocks.9' is nothing that this architecture has"):
        timm_strings.from_timm(small, {**theirs, "blocks.9": ours[next(iter(ours))]})
    with pytest.raises(ValueError, match=r"'classifier.bias' has shape \(3,\), not \(10,\)"):
        timm_strings.from_timm(small, {**theirs, "classifier.bias": torch.zeros(3)})
    with pytest.raises(ValueError, match="the names differ"):
        timm_strings.to_timm(small, {"0.weight": torch.zeros(3)})


def test_tensorflow_pads_the_odd_pixel_at_the_end() -> None:
    """Of a row of four pixels, a strided convolution of three sees the second and the fourth in the middle."""
    small = dataclasses.replace(b0(), images=Images(resolution=32, classes=2), stages=())
    network, image = timm_strings.network(small), torch.zeros(1, 3, 32, 32)
    convolution = next(module for module in network.modules() if isinstance(module, torch.nn.Conv2d))
    torch.nn.init.ones_(convolution.weight)
    image[:, :, 0, 0] = 1.0
    seen: list[torch.Tensor] = []
    convolution.register_forward_hook(lambda *called: seen.append(called[-1]))
    network.eval()(image)
    image = image.roll((1, 1), (2, 3))
    network(image)
    assert [int((output[0, 0] != 0).sum()) for output in seen] == [1, 1]


@pytest.mark.parametrize(
    ("name", "theirs", "tensorflow", "epsilon"),
    [
        ("EfficientNet-B0", "tf_efficientnet_b0", True, NORM_EPSILON),
        ("EfficientNet-B1", "tf_efficientnet_b1", True, NORM_EPSILON),
        ("EfficientNetV2-B0", "tf_efficientnetv2_b0", True, NORM_EPSILON),
        ("EfficientNetV2-S", "tf_efficientnetv2_s", True, NORM_EPSILON),
        ("EfficientNet-B0", "efficientnet_b0", False, TORCH_EPSILON),
        ("MnasNet-A1", "semnasnet_100", False, TORCH_EPSILON),
        ("MnasNet-B1", "mnasnet_100", False, TORCH_EPSILON),
    ],
)
def test_the_same_weights_give_the_same_answers_as_in_timm(
    name: str, theirs: str, tensorflow: bool, epsilon: float
) -> None:
    timm = pytest.importorskip("timm", reason=MISSING)
    torch.manual_seed(0)
    architecture = dataclasses.replace(staged(name), images=Images(resolution=96), norm_epsilon=epsilon)
    model = timm.create_model(theirs).eval()
    for module in model.modules():  # running statistics that are not those of a fresh network
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)  # type: ignore[union-attr]
            module.running_var.uniform_(0.5, 1.5)  # type: ignore[union-attr]
    from nas.networks.blocks import network

    ours = (timm_strings.network if tensorflow else network)(architecture)
    ours.load_state_dict(timm_strings.from_timm(architecture, model.state_dict()))
    images = torch.randn(2, 3, 96, 96)
    with torch.no_grad():
        expected, answered = model(images), ours.eval()(images)
    assert float((expected - answered).abs().max()) < 1e-4 * max(1.0, float(expected.abs().max()))
    back = timm_strings.to_timm(architecture, ours.state_dict())
    assert all(torch.equal(back[key], value) for key, value in model.state_dict().items())


@pytest.mark.parametrize("name", nas.parents.timm.names())
def test_a_parent_of_timm_is_named_there_and_answers_as_it_does_there(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    timm = pytest.importorskip("timm", reason=MISSING)
    known = parents.described(name)
    own, _, tag = known.source.removeprefix("timm, ").partition(".")
    assert known.missing is None
    said = timm.get_pretrained_cfg(f"{own}.{tag}")
    assert said is not None, "timm has other weights now"
    assert (said.tag, said.license) == (tag, "apache-2.0")
    assert (known.mean, known.std) == (tuple(said.mean), tuple(said.std))
    torch.manual_seed(0)
    model = timm.create_model(own).eval()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)  # type: ignore[union-attr]
            module.running_var.uniform_(0.5, 1.5)  # type: ignore[union-attr]
    asked: list[tuple[str, bool]] = []

    def create(wanted: str, *, pretrained: bool) -> Any:
        """Weights that nobody has to fetch."""
        asked.append((wanted, pretrained))
        return model

    monkeypatch.setattr(timm, "create_model", create)
    ours, described = parents.load(name)
    assert (described, asked) == (known, [(f"{own}.{tag}", True)])
    side = known.architecture.images.resolution
    images = torch.randn(1, 3, side, side)
    with torch.no_grad():
        expected, answered = model(images), ours(images)
    assert expected.std() > 0
    assert float((expected - answered).abs().max()) < 1e-4 * max(1.0, float(expected.abs().max()))


@pytest.mark.parametrize("name", ["EfficientNet-B0", "EfficientNetV2-B0", "MnasNet-B1"])
def test_timm_builds_our_strings_to_the_network_they_came_from(name: str) -> None:
    builder = pytest.importorskip("timm.models._efficientnet_builder", reason=MISSING)
    efficientnet = pytest.importorskip("timm.models.efficientnet", reason=MISSING)
    architecture = staged(name)
    said = timm_strings.arguments(architecture)
    activation = {"swish": torch.nn.SiLU, "relu": torch.nn.ReLU}[said.pop("act_layer")]
    norm = functools.partial(torch.nn.BatchNorm2d, eps=said.pop("bn_eps"))
    model = efficientnet.EfficientNet(
        builder.decode_arch_def(timm_strings.strings(architecture)), act_layer=activation, norm_layer=norm, **said
    )
    shapes = {key: value.shape for key, value in model.state_dict().items()}
    with torch.device("meta"):
        ours = timm_strings.network(architecture).state_dict()
    assert {key: value.shape for key, value in timm_strings.to_timm(architecture, ours).items()} == shapes
