"""Networks as backbones: their maps are the network's own, train with it, and feed torchvision's detectors."""

import random
from typing import Any

import pytest
import torch
from torch import Tensor

from nas import spaces
from nas.backbone import Backbone, Pyramid, maps
from nas.networks.architecture import Architecture, Images, Stage, random_choices
from nas.networks.blocks import Wired, network
from nas.networks.lowering import AnyArchitecture

IMAGES = Images(resolution=64, channels=3, classes=5)
MISSING = "torchvision is not installed: make test-timm"


def staged(padding: Any = "same") -> Architecture:
    strides = (1, 2, 2, 2, 2)
    stages = tuple(
        Stage(op="mbconv", kernel=3, stride=stride, expand=2, channels=8 * (place + 1), repeats=1)
        for place, stride in enumerate(strides)
    )
    return Architecture(images=IMAGES, stem=8, stem_stride=2, stages=stages, head=48, padding=padding)


def drawn(name: str) -> AnyArchitecture:
    space = spaces.load(name)
    return space.architecture(random_choices(space.knobs(IMAGES), random.Random(3)), IMAGES)


@pytest.mark.parametrize("padding", ["same", "tensorflow"])
def test_a_network_of_stages_has_a_map_of_each_stride(padding: str) -> None:
    architecture = staged(padding)
    body = Backbone(network(architecture).eval(), architecture)
    features = body(torch.rand(2, 3, 64, 96) if padding == "same" else torch.rand(2, 3, 64, 64))
    assert body.strides == (4, 8, 16, 32)
    assert body.channels == (16, 24, 32, 48)
    assert list(features) == ["0", "1", "2", "3"]
    for stride, channels, each in zip(body.strides, body.channels, features.values()):
        assert each.shape == (2, channels, 64 // stride, each.shape[3])
        assert each.shape[3] == (96 if padding == "same" else 64) // stride


@pytest.mark.parametrize("name", ["staged", "nasnet", "nasbench201"])
def test_the_rest_of_the_network_answers_to_the_last_map_as_it_does_itself(name: str) -> None:
    architecture = staged() if name == "staged" else drawn(name)
    torch.manual_seed(0)
    module = network(architecture).eval()
    images = torch.rand(2, 3, 64, 64)
    body = Backbone(module, architecture, strides=[each.stride for each in maps(architecture)])
    parts = list((module.parts if isinstance(module, Wired) else module).children())
    with torch.no_grad():
        *_, features = body(images).values()
        for part in parts[len(body.parts) :]:
            features = part(features)
        assert torch.equal(features, module(images))


def test_every_part_up_to_the_last_map_is_trained_and_is_the_network_s_own() -> None:
    module = network(staged())
    body = Backbone(module, staged(), strides=(4, 16))
    assert list(body(torch.rand(1, 3, 64, 64))) == ["0", "1"]
    sum(each.square().mean() for each in body(torch.rand(2, 3, 64, 64)).values()).backward()
    assert all(parameter.grad is not None for parameter in body.parameters())
    own = {id(parameter) for parameter in module.parameters()}
    assert {id(parameter) for parameter in body.parameters()} < own


def test_strides_that_a_network_does_not_have_are_named() -> None:
    architecture = drawn("nasbench201")
    with pytest.raises(ValueError, match=r"no map of stride 16 or 32: there are 1, 2, 4\. It is for images of 64"):
        Backbone(network(architecture), architecture, strides=(4, 16, 32))
    assert Backbone(network(architecture), architecture).strides == (4,)


def test_a_pyramid_has_equal_channels_and_one_map_more() -> None:
    body = Pyramid(Backbone(network(staged()), staged()), 12)
    images = torch.rand(1, 3, 64, 64, requires_grad=True)
    levels = body(images)
    assert (body.out_channels, body.strides) == (12, (4, 8, 16, 32, 64))
    assert [tuple(each.shape) for each in levels.values()] == [(1, 12, side, side) for side in (16, 8, 4, 2, 1)]
    assert list(levels) == ["0", "1", "2", "3", "pool"]
    levels["0"].sum().backward()
    assert all(convolution.weight.grad is not None for convolution in body.sideways)  # the finest knows of the coarsest


def shapes(count: int, seed: int) -> tuple[list[Tensor], list[dict[str, Tensor]]]:
    """Bright squares on dark noise, where they are, what they cover, and their corners."""
    draw = torch.Generator().manual_seed(seed)
    pictures, targets = [], []
    for _ in range(count):
        side = int(torch.randint(20, 40, (), generator=draw))
        left, top = (int(torch.randint(0, 64 - side, (), generator=draw)) for _ in range(2))
        picture = 0.1 * torch.rand(3, 64, 64, generator=draw)
        picture[:, top : top + side, left : left + side] += 0.8
        mask = torch.zeros(1, 64, 64, dtype=torch.uint8)
        mask[:, top : top + side, left : left + side] = 1
        box = torch.tensor([[left, top, left + side, top + side]], dtype=torch.float32)
        corners = torch.tensor([[[left, top, 1], [left + side - 1, top + side - 1, 1]]], dtype=torch.float32)
        pictures.append(picture)
        targets.append({"boxes": box, "labels": torch.ones(1, dtype=torch.int64), "masks": mask, "keypoints": corners})
    return pictures, targets


@pytest.mark.parametrize(
    ("name", "more", "out"),
    [("FasterRCNN", {}, "boxes"), ("MaskRCNN", {}, "masks"), ("KeypointRCNN", {"num_keypoints": 2}, "keypoints")],
)
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # torchvision's own
def test_torchvision_s_detectors_learn_on_it(name: str, more: dict[str, int], out: str) -> None:
    detection = pytest.importorskip("torchvision.models.detection", reason=MISSING)
    torch.manual_seed(0)
    body = Pyramid(Backbone(network(staged()), staged()), 32)
    detector = getattr(detection, name)(body, num_classes=2, min_size=64, max_size=64, **more)
    optimizer = torch.optim.Adam(detector.parameters(), 1e-3)
    pictures, targets = shapes(4, 0)
    losses = []
    for _ in range(12):
        loss = sum(detector(pictures, targets).values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss))
    assert sum(losses[-3:]) < 0.8 * sum(losses[:3])
    detector.eval()
    detector.roi_heads.score_thresh = 0.0
    with torch.no_grad():
        answers = detector(pictures)
    assert all(len(answer[out]) == len(answer["boxes"]) > 0 for answer in answers)
