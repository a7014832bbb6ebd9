"""What a network inherits: all of a parent that it contains, the best of a larger one, nothing of a stranger."""

import dataclasses
import random
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn

from nas import spaces
from nas.inheritance import CannotInherit, inherited
from nas.networks.architecture import Architecture, Images, Scale, Stage, random_choices
from nas.networks.blocks import network
from nas.networks.cells import CellArchitecture
from nas.networks.lowering import AnyArchitecture

IMAGES = Images(resolution=16, channels=3, classes=5)
DRAWS = 6  # of architectures a space
CELLS = ("darts", "nasbench201", "nasnet")
ROWS = ("efficientnetv2", "mbconv", "mnasnet", "mnasnet_released")


def drawn(space: str, seed: int) -> AnyArchitecture:
    module = spaces.load(space)
    return module.architecture(random_choices(module.knobs(IMAGES), random.Random(seed)), IMAGES)


@torch.no_grad()
def lively(architecture: AnyArchitecture) -> nn.Module:
    """A network whose normalisations have seen something, each channel other things."""
    torch.manual_seed(0)
    built = network(architecture)
    for module in built.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.5, 2)
            module.weight.uniform_(0.5, 1.5)
            module.bias.normal_(0, 0.3)
    return built.eval()


@torch.no_grad()
def answers(built: nn.Module, images: Images = IMAGES) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    shape = (4, images.channels, images.resolution, images.resolution)
    logits = cast(Tensor, built(torch.randn(shape, generator=generator)))
    assert (logits - logits[:1]).abs().max() > 1e-6, "a network that says the same of all would prove nothing"
    return logits


def same(one: Tensor, other: Tensor) -> bool:
    return float((one - other).abs().max()) < 1e-4 * max(1.0, float(one.abs().max()))


def rows(*stages: Stage, **more: Any) -> Architecture:
    wanted: dict[str, Any] = {"images": IMAGES, "stem": 8, "stem_stride": 1, "head": 24, "activation": "relu6"}
    return Architecture(stages=stages, **(wanted | more))


STAGE = Stage(op="mbconv", kernel=3, stride=2, expand=3, channels=16, repeats=2, se_ratio=0.25)
PARENT = rows(STAGE, dataclasses.replace(STAGE, channels=32))


def with_stage(**changes: Any) -> Architecture:
    return dataclasses.replace(PARENT, stages=(PARENT.stages[0], dataclasses.replace(PARENT.stages[1], **changes)))


@pytest.mark.parametrize("space", [*CELLS, *ROWS])
@pytest.mark.parametrize("seed", range(DRAWS))
class TestSpaces:
    def test_itself_is_inherited_whole(self, space: str, seed: int) -> None:
        architecture = drawn(space, seed)
        parent = lively(architecture)
        child = inherited(parent, architecture, architecture)
        assert child.share == 1
        assert torch.equal(answers(child.network), answers(parent))

    def test_a_wider_one_computes_the_same(self, space: str, seed: int) -> None:
        architecture = drawn(space, seed)
        parent = lively(architecture)
        child = inherited(parent, architecture, architecture.scaled(Scale(depth=1, width=1.5, resolution=1)))
        assert 0.2 < child.share < 0.7
        assert same(answers(child.network), answers(parent))

    def test_a_deeper_one_does_where_blocks_have_skips(self, space: str, seed: int) -> None:
        architecture = drawn(space, seed)
        parent = lively(architecture)
        child = inherited(parent, architecture, architecture.scaled(Scale(depth=2, width=1.2, resolution=1)))
        assert child.share > 0
        preserving = isinstance(architecture, Architecture) and all(stage.skip is True for stage in architecture.stages)
        answered = answers(child.network)
        assert answered.isfinite().all()
        assert same(answered, answers(parent)) or not preserving

    def test_a_smaller_one_has_nothing_of_its_own(self, space: str, seed: int) -> None:
        architecture = drawn(space, seed)
        child = inherited(
            lively(architecture), architecture, architecture.scaled(Scale(depth=0.5, width=0.5, resolution=1))
        )
        assert child.share == 1 if space in ROWS else child.share > 0.5
        answers(child.network)


@pytest.mark.parametrize(
    "changes",
    [
        {"kernel": 7},
        {"expand": 6},
        {"se_ratio": 0.5},
        {"repeats": 4},
        {"channels": 40},
        {"kernel": 5, "expand": 4, "repeats": 3, "channels": 48, "se_ratio": 0.3},
    ],
)
def test_each_way_to_be_larger_keeps_what_is_computed(changes: dict[str, Any]) -> None:
    child = with_stage(**changes)
    parent = lively(PARENT)
    assert same(answers(inherited(parent, PARENT, child).network), answers(parent))
    back = inherited(inherited(parent, PARENT, child).network, child, PARENT)
    assert back.share == 1


def test_what_is_new_learns() -> None:
    child = inherited(lively(PARENT), PARENT, PARENT.scaled(Scale(depth=2, width=1.5, resolution=1))).network.train()
    steps = torch.optim.SGD(child.parameters(), lr=0.1)
    for _ in range(2):  # the first step moves what hands the gradients on
        steps.zero_grad()
        loss = nn.functional.cross_entropy(child(torch.randn(8, 3, 16, 16)), torch.arange(8) % 5)
        loss.backward()  # type: ignore[no-untyped-call]
        steps.step()
    assert all(weights.grad is not None and weights.grad.abs().max() > 0 for weights in child.parameters())


@pytest.mark.parametrize("where", ["inside", "between"])
def test_a_narrower_one_keeps_the_channels_that_matter(where: str) -> None:
    """Half of the channels are dead, here and there: a child of half the width computes the same without them."""
    wide = {"inside": with_stage(expand=6), "between": with_stage(channels=64, se_ratio=0.125)}[where]
    parent = lively(wide)
    generator = torch.Generator().manual_seed(2)
    dead = {size: torch.randperm(size, generator=generator)[: size // 2] for size in (64, 96, 192)}
    with torch.no_grad():
        for module in parent.get_submodule("2").modules():
            if isinstance(module, nn.BatchNorm2d) and module.num_features in dead:
                for values in (module.weight, module.bias):
                    values[dead[module.num_features]] = 0
    child = inherited(parent, wide, with_stage())
    assert same(answers(child.network), answers(parent))


def test_grey_images_are_seen_as_a_coloured_parent_sees_them() -> None:
    grey = dataclasses.replace(IMAGES, channels=1)
    parent = lively(PARENT)
    child = inherited(parent, PARENT, dataclasses.replace(PARENT, images=grey)).network
    images = torch.randn(4, 1, 16, 16)
    with torch.no_grad():
        assert same(child(images), parent(images.expand(-1, 3, -1, -1)))
    back = inherited(child, dataclasses.replace(PARENT, images=grey), PARENT).network
    with torch.no_grad():
        assert same(back(images.expand(-1, 3, -1, -1)), child(images))


def test_answers_go_by_name() -> None:
    parent = lively(PARENT)
    child = dataclasses.replace(PARENT, images=dataclasses.replace(IMAGES, classes=3))
    named = inherited(parent, PARENT, child, classes=("ant", "bee", "cat", "dog", "elk"), wanted=("dog", "yak", "ant"))
    theirs, ours = answers(parent), answers(named.network)
    assert same(ours[:, [0, 2]], theirs[:, [3, 0]])
    assert not same(ours[:, 1], theirs[:, 1])
    unnamed = inherited(parent, PARENT, child)
    assert unnamed.share < named.share
    assert not same(answers(unnamed.network)[:, 0], theirs[:, 0])


@pytest.mark.parametrize("resolution", [12, 24])
def test_the_size_of_images_is_as_it_is(resolution: int) -> None:
    images = dataclasses.replace(IMAGES, resolution=resolution)
    parent = lively(PARENT)
    child = inherited(parent, PARENT, dataclasses.replace(PARENT, images=images))
    assert child.share == 1
    assert same(answers(child.network, images), answers(parent, images))


@pytest.mark.parametrize(
    ("child", "words"),
    [
        (rows(STAGE), "the network has 4 parts and its parent 5: they are no relatives"),
        (
            with_stage(se_ratio=0.0),
            "part 'mbconv3 3x3' from .* the parent has gates on its channels, and the network has none",
        ),
        (with_stage(stride=1), "a convolution's stride 1 is not the parent's 2"),
        (dataclasses.replace(PARENT, activation="swish"), "activation 'swish' is not the parent's 'relu6'"),
        (dataclasses.replace(PARENT, stem_stride=2), "part 'stem' from the parent's 'stem'"),
        (drawn("darts", 0), "they are no relatives"),
    ],
)
def test_strangers_are_refused(child: AnyArchitecture, words: str) -> None:
    with pytest.raises(CannotInherit, match=words):
        inherited(lively(PARENT), PARENT, child)


def test_gates_are_not_invented() -> None:
    plain = with_stage(se_ratio=0.0)
    with pytest.raises(CannotInherit, match="the network has gates on its channels, and its parent has none"):
        inherited(lively(plain), plain, PARENT)


def test_a_cell_that_is_wired_otherwise_is_a_stranger() -> None:
    one, other = drawn("nasnet", 0), drawn("nasnet", 1)
    assert isinstance(one, CellArchitecture)
    with pytest.raises(CannotInherit):
        inherited(lively(one), one, other)
