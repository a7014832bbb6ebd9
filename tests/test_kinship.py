"""What is said of inheritance by the descriptions alone holds when it is tried."""

import dataclasses
import random

import pytest

from nas import spaces, zoo
from nas.inheritance import CannotInherit, inherited
from nas.kinship import fitted, obstacles
from nas.networks.architecture import Architecture, Images, Scale, random_choices
from nas.networks.blocks import network
from nas.networks.lowering import AnyArchitecture
from nas.refusal import Refusal

IMAGES = Images(resolution=32, channels=1, classes=4)


def drawn(space: str, seed: int) -> AnyArchitecture:
    module = spaces.load(space)
    return module.architecture(random_choices(module.knobs(IMAGES), random.Random(seed)), IMAGES)


def relative(parent: Architecture, seed: int) -> Architecture:
    """Another network whose stages differ in what may differ."""
    draw = random.Random(seed)
    return dataclasses.replace(
        parent,
        stem=draw.choice((8, 16, 24)),
        stages=tuple(
            dataclasses.replace(
                stage,
                kernel=draw.choice((3, 5)),
                channels=draw.choice((16, 24, 40)),
                repeats=draw.choice((1, 2, 3)),
                expand=1 if stage.op == "conv" else draw.choice((2, 3, 6) if stage.op == "fused" else (1, 3, 6)),
                skip=draw.choice((True, False)) if stage.skip != "pooling" else "pooling",
            )
            for stage in parent.stages
        ),
    )


@pytest.mark.parametrize("space", ["mbconv", "mnasnet", "efficientnetv2"])
@pytest.mark.parametrize("seed", range(6))
def test_what_has_no_obstacle_is_inherited(space: str, seed: int) -> None:
    parent = drawn(space, seed)
    assert isinstance(parent, Architecture)
    child = relative(parent, seed)
    assert obstacles(parent, child) == ()
    assert inherited(network(parent), parent, child).share > 0


@pytest.mark.parametrize("seed", range(30))
def test_what_cannot_be_inherited_has_an_obstacle(seed: int) -> None:
    names = ("mbconv", "mnasnet", "efficientnetv2", "nasnet", "nasbench201")
    parent, child = drawn(names[seed % 5], seed), drawn(names[seed // 5 % 5], seed + 1)
    if not obstacles(parent, child):
        inherited(network(parent), parent, child)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"activation": "swish"}, "its activation is swish, and the parent's is relu6"),
        ({"stem_stride": 1}, "its stem_stride is 1, and the parent's is 2"),
        ({"head": 0}, "its head is missing, and the parent's is there"),
    ],
)
def test_what_a_network_differs_in_is_named_and_refused_when_it_is_tried(
    change: dict[str, int | str], words: str
) -> None:
    parent = zoo.architecture("MobileNetV2 1.0", dataclasses.replace(IMAGES, resolution=64))
    child = dataclasses.replace(parent, **change)  # type: ignore[arg-type]
    assert obstacles(parent, child) == (words,)
    with pytest.raises(CannotInherit):
        inherited(network(parent), parent, child)


def test_what_a_stage_differs_in_is_named() -> None:
    parent = zoo.architecture("MobileNetV2 1.0")
    assert isinstance(parent, Architecture)
    first, second, *others = parent.stages
    gated = dataclasses.replace(second, se_ratio=0.25)
    child = dataclasses.replace(parent, stages=(dataclasses.replace(first, op="conv"), gated, *others))
    assert obstacles(parent, child) == (
        "stage 1: its op is conv, and the parent's is mbconv",
        "stage 2: its squeeze-and-excitation is there, and the parent's is missing",
    )
    assert obstacles(parent, dataclasses.replace(parent, stages=parent.stages[1:]))[0] == (
        "its number of stages is 6, and the parent's is 7"
    )


def test_another_kind_of_network_is_no_relative() -> None:
    cells, stages = drawn("nasnet", 0), drawn("mbconv", 0)
    assert obstacles(stages, cells) == ("it is a network of cells, and the parent one of stages",)
    assert obstacles(cells, drawn("nasnet", 1)) == (
        "its cells have other operations than the parent's: only their number and filters may be others",
    )
    assert obstacles(cells, cells.scaled(Scale(depth=2, width=2, resolution=1))) == ()
    assert obstacles(zoo.architecture("VGG-11 (A)"), stages) == (
        "it is a network of stages, and the parent one spelled out layer by layer",
    )


def test_a_parent_is_fitted_to_other_images_or_refused() -> None:
    parent = zoo.architecture("EfficientNet-Lite0")
    assert fitted(parent, IMAGES).images == IMAGES
    with pytest.raises(Refusal, match="resolution 28 is too small for total stride 32"):
        fitted(parent, dataclasses.replace(IMAGES, resolution=28))
