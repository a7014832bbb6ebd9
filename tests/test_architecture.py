"""Architectures, their counts and their scaling, against the published numbers."""

import dataclasses
import random
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nas import plugins, spaces, zoo
from nas.codec import decode, encode
from nas.networks.architecture import Architecture, Choices, Images, Stage, digest, random_choices, round_channels
from nas.networks.blocks import DropPath
from nas.networks.counts import counts
from nas.networks.describe import facts
from nas.networks.lowering import lowered, tensorflow_padded
from nas.networks.members import member
from nas.networks.scaling import MEMBERS, PUBLISHED, CompoundScaling, grid
from nas.refusal import Refusal
from nas.spaces import SearchSpace
from search_spaces import mbconv

IMAGES = (
    Images(resolution=28, channels=1, classes=10),
    Images(resolution=33, channels=3, classes=7),
    Images(resolution=224),
)
SPACES = plugins.names("search_spaces")

EFFICIENTNET_B0: Choices = {}
for _stage, (_kernel, _expand, _repeats) in enumerate(
    [(3, 1, 1), (3, 6, 2), (5, 6, 2), (3, 6, 3), (5, 6, 3), (5, 6, 4), (3, 6, 1)], 1
):
    EFFICIENTNET_B0 |= {
        f"stage{_stage}.op": "mbconv",
        f"stage{_stage}.kernel": _kernel,
        f"stage{_stage}.expand": _expand,
        f"stage{_stage}.se_ratio": 0.25,
        f"stage{_stage}.width": 1.0,
        f"stage{_stage}.repeats": _repeats,
        f"stage{_stage}.skip": "identity",
    }


def b0() -> Architecture:
    return mbconv.architecture(EFFICIENTNET_B0, Images(resolution=224))


def drawn(name: str, images: Images, seed: int) -> tuple[SearchSpace, Choices]:
    draw = random.Random(seed)
    chosen = spaces.load(name)
    return chosen, random_choices(chosen.knobs(images), draw)


def params(architecture: Architecture, name: str = "mbconv") -> int:
    with torch.device("meta"):
        return sum(tensor.numel() for tensor in spaces.load(name).build(architecture).parameters())


def mult_adds(network: torch.nn.Module, images: Images) -> int:
    """Counted by watching every convolution and linear layer of the built network at work."""
    total = 0

    def watch(module: torch.nn.Module, _: object, output: torch.Tensor) -> None:
        nonlocal total
        if isinstance(module, torch.nn.Conv2d):
            total += output[0].numel() * module.weight[0].numel()
        elif isinstance(module, torch.nn.Linear):
            total += module.weight.numel()

    for module in network.modules():
        module.register_forward_hook(watch)
    device = next(network.parameters()).device
    with torch.no_grad():
        network.eval()(torch.empty(1, images.channels, images.resolution, images.resolution, device=device))
    return total


@pytest.mark.parametrize(
    ("name", "expected_params", "expected_mult_adds"),
    [
        ("B0", 5_288_548, 385_814_752),
        ("B1", 7_794_184, 686_802_832),
        ("B2", 9_109_994, 993_561_872),
        ("B3", 12_233_232, 1_827_141_392),
        ("B4", 19_341_616, 4_393_771_024),
        ("B5", 30_389_784, 10_266_384_752),
        ("B6", 43_040_704, 19_067_593_536),
        ("B7", 66_347_960, 37_745_884_192),
    ],
)
def test_efficientnets_have_the_published_counts(name: str, expected_params: int, expected_mult_adds: int) -> None:
    grown = member(b0(), name)
    assert (counts(grown).params, counts(grown).mult_adds) == (expected_params, expected_mult_adds)
    assert params(grown) == expected_params


def test_efficientnet_b7_has_the_published_shape() -> None:
    grown = member(b0(), "B7")
    assert grown.images.resolution == 600
    assert [grown.stem, *(stage.channels for stage in grown.stages), grown.head] == [
        64, 32, 48, 80, 160, 224, 384, 640, 2560,
    ]  # fmt: skip
    assert [stage.repeats for stage in grown.stages] == [4, 7, 7, 10, 10, 13, 4]
    assert grown.dropout == 0.5


@pytest.mark.parametrize("scaling", [None, CompoundScaling()], ids=["published", "own"])
@pytest.mark.parametrize("name", SPACES)
def test_the_first_of_a_family_is_the_network_that_was_searched(name: str, scaling: CompoundScaling | None) -> None:
    for images in IMAGES:
        chosen, choices = drawn(name, images, 3)
        searched = chosen.architecture(choices, images)
        assert member(searched, "B0", scaling) == searched


@pytest.mark.parametrize(
    ("dropout", "grown"),
    [
        (0.0, [0.0, 0.0, 0.1, 0.1, 0.2, 0.2, 0.3, 0.3]),
        (0.2, [0.2, 0.2, 0.3, 0.3, 0.4, 0.4, 0.5, 0.5]),
        (0.6, [0.6] * 8),
    ],
)
def test_a_family_is_regularised_from_what_its_first_network_was(dropout: float, grown: list[float]) -> None:
    first = dataclasses.replace(b0(), dropout=dropout, drop_connect=0.1)
    family = [member(first, name) for name in MEMBERS]
    assert [each.dropout for each in family] == grown
    assert {each.drop_connect for each in family} == {0.1}


def test_published_efficientnets_have_their_own_dropout() -> None:
    names = [f"EfficientNet-{name}" for name in (*MEMBERS, "B8", "L2")]
    rates = [getattr(zoo.architecture(name), "dropout", None) for name in names]
    assert rates == [0.2, 0.2, 0.3, 0.3, 0.4, 0.4, 0.5, 0.5, 0.5, 0.5]


@pytest.mark.parametrize("images", IMAGES, ids=lambda images: str(images.resolution))
@pytest.mark.parametrize("name", SPACES)
class TestEverySpace:
    @pytest.mark.parametrize("seed", range(5))
    def test_counts_equal_those_of_the_built_network(self, name: str, images: Images, seed: int) -> None:
        chosen, choices = drawn(name, images, seed)
        architecture = chosen.architecture(choices, images)
        network = chosen.build(architecture)  # for real: the meta device takes three times as long
        counted = counts(architecture)
        assert counted.params == sum(tensor.numel() for tensor in network.parameters())
        assert counted.mult_adds == mult_adds(network, images)
        assert counted.params == sum(row.params for row in counted.rows)

    def test_choices_with_one_canonical_form_build_one_network(self, name: str, images: Images) -> None:
        for seed in range(100):
            chosen, choices = drawn(name, images, seed)
            canonical = chosen.canonical(choices, images)
            assert set(canonical) == set(choices)
            assert all(canonical[knob] in chosen.knobs(images)[knob] for knob in canonical)
            assert chosen.canonical(canonical, images) == canonical
            counted = [counts(chosen.architecture(each, images)) for each in (choices, canonical)]
            one, other = (dataclasses.replace(each, peak_values=0) for each in counted)  # those depend on the order
            assert one == other

    @pytest.mark.parametrize("seed", range(3))
    def test_choices_that_build_the_same_layers_have_one_canonical_form(
        self, name: str, images: Images, seed: int
    ) -> None:
        chosen, choices = drawn(name, images, seed)
        layers, canonical = lowered(chosen.architecture(choices, images)), chosen.canonical(choices, images)
        for knob, options in chosen.knobs(images).items():
            for option in options:
                other = {**choices, knob: option}
                if lowered(chosen.architecture(other, images)) == layers:
                    assert chosen.canonical(other, images) == canonical, knob

    def test_the_network_answers_with_finite_logits(self, name: str, images: Images) -> None:
        chosen, choices = drawn(name, images, 1)
        network = chosen.build(chosen.architecture(choices, images))
        logits = network(torch.randn(2, images.channels, images.resolution, images.resolution))
        assert logits.shape == (2, images.classes)
        assert torch.isfinite(logits).all()

    def test_an_architecture_survives_json(self, name: str, images: Images) -> None:
        chosen, choices = drawn(name, images, 2)
        architecture = chosen.architecture(choices, images)
        copy = decode(type(architecture), encode(architecture))
        assert copy == architecture
        assert copy.digest() == architecture.digest()


@pytest.mark.parametrize("name", SPACES)
def test_a_spaces_norms_have_the_epsilon_of_its_paper_when_grown_too(name: str) -> None:
    chosen, choices = drawn(name, IMAGES[1], 1)
    for member_name in ("B0", "B2"):
        with torch.device("meta"):
            built = chosen.build(member(chosen.architecture(choices, IMAGES[1]), member_name))
        found = {module.eps for module in built.modules() if isinstance(module, torch.nn.BatchNorm2d)}
        assert found == {1e-5 if name in ("darts", "nasbench201") else 1e-3}


def test_digests_are_stable_across_versions() -> None:
    assert b0().digest() == "a8f23c7c0a09"
    assert dataclasses.replace(b0(), dropout=0.1).digest() != b0().digest()


def test_a_network_pads_as_its_weights_were_trained() -> None:
    padded = dataclasses.replace(b0(), padding="tensorflow")
    assert padded.digest() != b0().digest()
    assert lowered(padded) == tensorflow_padded(lowered(b0())) != lowered(b0())
    assert counts(padded) == counts(b0())
    assert member(padded, "B3").padding == "tensorflow"
    assert (facts(padded).get("padding"), facts(b0()).get("padding")) == ("tensorflow", None)
    with pytest.raises(Refusal, match="padding 'valid' is neither same nor tensorflow"):
        dataclasses.replace(b0(), padding="valid")  # type: ignore[arg-type]


def test_equal_networks_have_equal_digests_however_their_numbers_are_written() -> None:
    whole = dataclasses.replace(b0(), dropout=0, drop_connect=0)
    assert whole == dataclasses.replace(b0(), dropout=0.0, drop_connect=0.0)
    first = whole.digest()
    digest.cache_clear()
    assert first == dataclasses.replace(b0(), dropout=0.0, drop_connect=0.0).digest()


def test_residuals_are_dropped_in_training_only_and_never_in_the_first_block() -> None:
    network = mbconv.build(b0())
    drops = [module.rate for module in network.modules() if isinstance(module, DropPath)]
    assert drops == pytest.approx([0.2 * block / 16 for block in (2, 4, 6, 7, 9, 10, 12, 13, 14)])
    branch, features = (
        next(module for module in network.modules() if isinstance(module, DropPath)),
        torch.ones(64, 2, 3, 3),
    )
    branch.rate = 0.5
    assert set(branch.train()(features).unique().tolist()) == {0.0, 2.0}
    assert torch.equal(branch.eval()(features), features)


@pytest.mark.parametrize(
    ("channels", "width", "expected"), [(32, 1.1, 32), (40, 1.1, 48), (320, 1.1, 352), (24, 0.25, 8), (16, 1.0, 16)]
)
def test_channels_round_by_the_ten_percent_rule(channels: int, width: float, expected: int) -> None:
    assert round_channels(channels, width) == expected


@given(st.floats(0, 7), st.floats(0, 7))
def test_a_larger_phi_never_gives_a_smaller_network(low: float, high: float) -> None:
    low, high = sorted((low, high))
    scaling = CompoundScaling()
    assert counts(b0().scaled(scaling.at(low))).params <= counts(b0().scaled(scaling.at(high))).params


def test_the_papers_coefficients_are_on_the_grid() -> None:
    assert CompoundScaling().growth == pytest.approx(1.92027)
    assert CompoundScaling(alpha=1.2, beta=1.1, gamma=1.15) in grid()
    assert all(abs(triple.growth - 2) <= 0.1 for triple in grid())
    assert PUBLISHED["B7"].resolution * 224 == pytest.approx(600)


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (lambda: Images(resolution=4), "resolution 4 is not between"),
        (lambda: Images(resolution=28, channels=2), "channels 2 is neither"),
        (lambda: Images(resolution=28, classes=1), "classes 1 is not between 2 and 131072"),
        (lambda: Stage(op="conv", kernel=4, stride=1, expand=1, channels=8, repeats=1), "kernel 4"),
        (lambda: Stage(op="conv", kernel=3, stride=1, expand=6, channels=8, repeats=1), "expand 6"),
        (lambda: Stage(op="fused", kernel=3, stride=1, expand=1, channels=8, repeats=1), "write that"),
        (lambda: Stage(op="mbconv", kernel=3, stride=1, expand=1, channels=8, repeats=0), "repeats 0"),
        (lambda: CompoundScaling(alpha=0.5), "alpha 0.5 is not between"),
        (
            lambda: dataclasses.replace(b0(), images=Images(resolution=16)),
            "resolution 16 is too small for total stride 32",
        ),
    ],
)
def test_what_cannot_be_is_refused_with_its_value(broken: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        broken()
