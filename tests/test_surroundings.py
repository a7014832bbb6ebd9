"""Searches around a parent: which networks there are, that each has all of its weights in the parent, and that the
search begins with the parent itself."""

import dataclasses
import math
import random
from pathlib import Path
from typing import Any

import pytest
import torch

from nas import parents, plugins, soundness, spaces, surroundings
from nas.evaluate import evaluate
from nas.inheritance import inherited
from nas.kinship import obstacles
from nas.measurements import Measurement
from nas.networks.architecture import Architecture, Images, Scale, Stage, random_choices
from nas.networks.blocks import network
from nas.networks.counts import counts
from nas.networks.lowering import AnyArchitecture
from nas.plans.search import SearchPlan
from nas.records import Job
from nas.refusal import Refusal
from nas.specs import Limits, SearchSpec
from tests.pictures import RECIPE, TINY, pictures
from tests.test_inheritance import answers, lively, same

JOB = Job(
    run="0a1b2c3d4e5f",
    number=3,
    space="mbconv",
    architecture=TINY,
    dataset="pictures",
    devices=("cpu",),
    recipe=RECIPE,
    save_weights=True,
)
STAGE = Stage(op="mbconv", kernel=5, stride=2, expand=6, channels=32, repeats=3)
PARENT = Architecture(
    images=Images(resolution=48, classes=5),
    stem=16,
    stem_stride=2,
    stages=(
        Stage(op="conv", kernel=3, stride=1, expand=1, channels=16, repeats=2),
        Stage(op="fused", kernel=3, stride=2, expand=4, channels=24, repeats=2),
        STAGE,
        dataclasses.replace(STAGE, kernel=3, stride=1, channels=48, se_ratio=0.25),
    ),
    head=64,
    activation="relu6",
    padding="tensorflow",
)
SEEN = dataclasses.replace(PARENT.images, classes=3)
LITE0 = "efficientnet_lite0"


def test_the_knobs_of_a_stage_are_what_can_be_smaller_and_the_last_choices_are_the_parent() -> None:
    knobs = spaces.around("mbconv", PARENT).knobs(PARENT.images)
    assert {knob: options for knob, options in knobs.items() if "stage" not in knob} == {
        "head.width": (0.5, 0.75, 1.0),
        "resolution": (24, 32, 40, 48),
    }
    assert {knob: options for knob, options in knobs.items() if "stage1" in knob or "stage3" in knob} == {
        "stage1.repeats": (1, 2),  # and not the width, as its first block has a skip
        "stage3.kernel": (3, 5),
        "stage3.expand": (3, 4, 6),
        "stage3.width": (0.5, 0.75, 1.0),
        "stage3.repeats": (1, 2, 3),
    }
    assert spaces.around("mbconv", PARENT).architecture(surroundings.whole(knobs), PARENT.images) == PARENT
    assert not [knob for knob in spaces.around("efficientnetv2", PARENT).knobs(PARENT.images) if "width" in knob]


@pytest.mark.parametrize("name", spaces.surrounding())
@pytest.mark.parametrize("images", [PARENT.images, SEEN, dataclasses.replace(SEEN, resolution=33, channels=1)])
class TestSpaces:
    def test_nothing_is_wrong_with_the_space(self, name: str, images: Images) -> None:
        assert soundness.problems(spaces.around(name, PARENT), images) == []

    def test_every_network_is_its_own(self, name: str, images: Images) -> None:
        space, draw = spaces.around(name, PARENT), random.Random(0)
        drawn = [random_choices(space.knobs(images), draw) for _ in range(300)]
        networks = {space.architecture(choices, images) for choices in drawn}
        assert len(networks) == len({tuple(space.canonical(choices, images).items()) for choices in drawn})

    @pytest.mark.parametrize("seed", range(6))
    def test_every_child_has_its_weights_from_the_parent(self, name: str, images: Images, seed: int) -> None:
        space = spaces.around(name, PARENT)
        child = space.architecture(random_choices(space.knobs(images), random.Random(seed)), images)
        assert obstacles(PARENT, child) == ()
        assert isinstance(child, Architecture)
        kept = ("stem", "stem_stride", "activation", "padding", "norm_epsilon", "dropout")
        assert [getattr(child, field) for field in kept] == [getattr(PARENT, field) for field in kept]
        given = inherited(lively(PARENT), PARENT, child, classes="abcde", wanted="abcde"[: images.classes])
        assert given.share == 1

    def test_the_child_that_is_all_of_the_parent_answers_alike(self, name: str, images: Images) -> None:
        space, parent = spaces.around(name, PARENT), lively(PARENT)
        child = space.architecture(surroundings.whole(space.knobs(images)), images)
        given = inherited(parent, PARENT, child, classes="abcde", wanted="abcde"[: images.classes])
        # Where TensorFlow pads depends on the pixels, so the parent is built for them.
        whole = network(
            dataclasses.replace(PARENT, images=dataclasses.replace(PARENT.images, resolution=images.resolution))
        )
        whole.load_state_dict(parent.state_dict())
        shown = torch.rand(4, images.channels, images.resolution, images.resolution)
        with torch.no_grad():  # grey is a colour whose channels are alike
            expected = whole.eval()(shown.expand(-1, 3, -1, -1))[:, : images.classes]
            assert same(given.network(shown), expected)


def skips(architecture: Architecture) -> list[bool]:
    return [stage.skips_first(entering) for stage, entering in zip(architecture.stages, architecture.entered)]


@pytest.mark.parametrize("pools", [False, True])
def test_a_stage_that_happens_to_be_as_wide_as_what_enters_it_has_no_skip_for_that(pools: bool) -> None:
    """Stage 4 of a quarter more channels than stage 3 is left with as many."""
    stages = tuple(dataclasses.replace(stage, skip="pooling" if pools else True) for stage in PARENT.stages)
    parent = dataclasses.replace(PARENT, stages=stages)
    space = spaces.around("mbconv", parent)
    choices = surroundings.whole(space.knobs(parent.images)) | {"stage3.width": 0.75, "stage4.width": 0.5}
    child = space.architecture(choices, parent.images)
    assert isinstance(child, Architecture)
    assert child.stages[2].channels == child.stages[3].channels == 24
    assert skips(child) == skips(parent)
    assert child.stages[3].skip == ("pooling repeats" if pools else "repeats")
    assert counts(child).params == sum(weights.numel() for weights in network(child).parameters())


@pytest.mark.parametrize("seed", range(8))
def test_of_two_children_the_larger_computes_what_the_smaller_does_with_its_weights(seed: int) -> None:
    space, draw = spaces.around("mbconv", PARENT), random.Random(seed)
    knobs = {knob: options for knob, options in space.knobs(PARENT.images).items() if knob != "resolution"}
    less = random_choices(knobs, draw) | {"stage3.width": 0.5, "stage4.width": draw.choice((0.5, 0.75))}
    more = {knob: draw.choice(options[options.index(less[knob]) :]) for knob, options in knobs.items()}
    more |= {"stage3.width": 0.75, "stage4.width": max(0.5, float(less["stage4.width"]))}
    smaller, larger = (space.architecture(choices, PARENT.images) for choices in (less, more))
    parent = lively(smaller)
    assert same(answers(inherited(parent, smaller, larger).network, PARENT.images), answers(parent, PARENT.images))


def test_a_growth_brings_no_skips_either() -> None:
    uneven = dataclasses.replace(PARENT, stem=12, stages=(dataclasses.replace(PARENT.stages[0], channels=14),))
    grown = uneven.scaled(Scale(depth=1, width=1.1, resolution=1))
    assert grown.stem == grown.stages[0].channels == 16
    assert skips(grown) == skips(uneven) == [False]
    parent = lively(uneven)
    assert same(answers(inherited(parent, uneven, grown).network, PARENT.images), answers(parent, PARENT.images))


def test_without_names_of_classes_the_classifier_alone_is_new() -> None:
    space = spaces.around("mbconv", PARENT)
    child = space.architecture(surroundings.whole(space.knobs(SEEN)), SEEN)
    classifier = 3 * (PARENT.head + 1)
    assert inherited(lively(PARENT), PARENT, child).share == 1 - classifier / counts(child).params


def test_a_space_that_cannot_be_searched_around_a_parent_says_which_can() -> None:
    for name in set(plugins.names("search_spaces")) - set(spaces.surrounding()):
        with pytest.raises(Refusal, match=f"space '{name}' cannot be .*: there are efficientnetv2, mbconv") as refused:
            spaces.around(name, PARENT)
        assert refused.value.field == "space"


def test_a_parent_that_is_none_of_stages_or_has_nothing_to_leave_out_is_refused() -> None:
    darts = spaces.load("darts")
    cells: AnyArchitecture = darts.architecture(surroundings.whole(darts.knobs(SEEN)), SEEN)
    with pytest.raises(Refusal, match="the parent is a CellArchitecture, and only one of stage rows") as refused:
        spaces.around("mbconv", cells)
    assert refused.value.field == "parent"
    least = Stage(op="mbconv", kernel=3, stride=1, expand=1, channels=8, repeats=1)
    smallest = dataclasses.replace(PARENT, stem=8, stages=(least,), head=0)
    with pytest.raises(Refusal, match="nothing of the parent can be made smaller"):
        spaces.around("mbconv", smallest).knobs(dataclasses.replace(SEEN, resolution=8))


def test_images_may_be_as_small_as_the_strides_and_no_smaller() -> None:
    lite = spaces.load("mbconv", LITE0)
    small = Images(resolution=64, classes=10)
    assert lite.knobs(small)["resolution"] == (32, 64)
    assert lite.knobs(Images(resolution=224))["resolution"] == (128, 160, 192, 224)
    assert "resolution" not in lite.knobs(dataclasses.replace(small, resolution=32))
    with pytest.raises(Refusal, match="resolution 28 is too small for total stride 32"):
        lite.knobs(dataclasses.replace(small, resolution=28))


def test_the_surroundings_of_a_published_network_are_counted_without_its_weights() -> None:
    space, images = spaces.load("mbconv", LITE0), Images(resolution=224)
    knobs = space.knobs(images)
    assert math.prod(map(len, knobs.values())) == 9_795_520_512
    whole = space.architecture(surroundings.whole(knobs), images)
    least = space.architecture({knob: options[0] for knob, options in knobs.items()}, images)
    assert whole == parents.described(LITE0).architecture
    assert counts(least).mult_adds < counts(whole).mult_adds / 10


def spec(**changes: Any) -> SearchSpec:
    usual: dict[str, Any] = {"dataset": "fashion_mnist", "searcher": "random", "trials": 6, "parent": LITE0}
    return SearchSpec(**usual | changes)


def plan(**changes: Any) -> SearchPlan:
    return SearchPlan("run", spec(**changes), 6, Images(resolution=64, classes=10))


def asked(searching: SearchPlan) -> list[Job]:
    return [job for number in range(6) if (job := searching.ask(number))]


def test_the_parent_itself_is_the_first_candidate_and_the_only_one_that_is_whole() -> None:
    jobs = asked(plan())
    assert [job.whole for job in jobs] == [True, False, False, False, False, False]
    first = dataclasses.replace(parents.described(LITE0).architecture, images=Images(resolution=64, classes=10))
    assert jobs[0].architecture == first
    assert {job.parent for job in jobs} == {LITE0}
    assert len({job.architecture.digest() for job in jobs}) == 6


def test_a_plan_that_is_taken_up_again_does_not_begin_with_the_parent_once_more() -> None:
    jobs = asked(plan())
    again = plan()
    for job in jobs[:2]:
        again.tell(job, Measurement(params=1, mult_adds=1, accuracy=0.5))
    assert [again.ask(number) for number in range(2, 6)] == jobs[2:]


def test_the_searcher_hears_what_came_of_the_parent() -> None:
    searching = plan(searcher="evolution")
    first = searching.ask(0)
    assert first is not None
    searching.tell(first, Measurement(params=1, mult_adds=1, accuracy=0.5))
    assert searching._told[0][0] == first.choices


@pytest.mark.parametrize(
    "changes",
    [{"knobs": {"stage2.repeats": (1,)}}, {"limits": Limits(mult_adds=20_000_000)}, {"parent": None}],
)
def test_a_parent_that_knobs_or_limits_leave_out_is_no_candidate(changes: dict[str, Any]) -> None:
    jobs = asked(plan(**changes))
    assert len(jobs) == 6
    assert not any(job.whole for job in jobs)


def test_images_are_read_at_one_resolution_whatever_the_networks_see() -> None:
    jobs = asked(plan())
    assert {job.architecture.images.resolution for job in jobs} == {32, 64}
    assert {job.read_at for job in jobs} == {64}
    assert asked(plan(parent=None))[0].pixels is None


def test_a_knob_is_narrowed_to_what_there_is_around_the_parent() -> None:
    with pytest.raises(Refusal, match=r"unknown knob 'stage1.op': there are stage1.width, stage2.expand"):
        plan(knobs={"stage1.op": ("conv",)})
    with pytest.raises(Refusal, match=r"knob 'stage2.expand' has no choice 9: there are 3, 4, 6"):
        plan(knobs={"stage2.expand": (9,)})


def test_a_search_around_a_trained_network_begins_with_its_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAS_HOME", str(tmp_path))
    images = pictures()
    trained = evaluate(JOB, images=images)
    assert trained.weights is not None
    assert trained.accuracy is not None
    around = SearchSpec(
        dataset="pictures",
        searcher="random",
        trials=3,
        parent=trained.weights,
        recipe=dataclasses.replace(RECIPE, epochs=1, learning_rate=1e-6),
    )
    searching = SearchPlan("run", around, 3, images.info.as_seen())
    measured = []
    for number in range(3):
        job = searching.ask(number)
        assert job is not None
        measured.append(evaluate(job, images=images))
        searching.tell(job, measured[-1])
    assert [each.inherited for each in measured] == [1, 1, 1]
    # A step of next to no length leaves the parent what it was.
    assert measured[0].accuracy == pytest.approx(trained.accuracy, abs=0.05)
    assert measured[0].mult_adds > max(each.mult_adds for each in measured[1:])
