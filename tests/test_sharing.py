"""Searches with shared weights: what comes first, what waits, and what is trained at the end."""

import dataclasses
from typing import Any

import pytest

from nas import nesting, spaces
from nas.measurements import Measurement
from nas.networks.architecture import Choice, Images
from nas.networks.counts import counts
from nas.plans.proxy import ProxyPlan
from nas.plans.search import SearchPlan
from nas.proxy_report import report
from nas.recipes import RECIPES, Recipe
from nas.records import Job
from nas.refusal import Refusal
from nas.spaces import narrowed
from nas.specs import Fidelity, ProxySpec, SearchSpec

IMAGES = Images(resolution=28, channels=1, classes=10)
SPEC = SearchSpec(
    dataset="fashion_mnist",
    searcher="random",
    knobs=spaces.nested(spaces.load("mbconv"), IMAGES),
    weights="shared",
    finals=2,
    trials=12,
    recipe=Recipe(epochs=2),
)


def plan(**changes: Any) -> SearchPlan:
    spec = dataclasses.replace(SPEC, **changes)
    return SearchPlan("run", spec, spec.trials, IMAGES)


def measured(job: Job) -> Measurement:
    """The larger, the better."""
    counted = counts(job.architecture)
    accuracy = 1 - 1 / (1 + counted.mult_adds / 1e6)
    weights = f"weights of {job.number}" if job.save_weights else None
    return Measurement(params=counted.params, mult_adds=counted.mult_adds, accuracy=accuracy, weights=weights)


def run(shared: SearchPlan, begin: int = 0) -> list[Job]:
    jobs = []
    for number in range(begin, shared.trials):
        if (job := shared.ask(number)) is None:
            break
        shared.tell(job, measured(job))
        jobs.append(job)
    return jobs


def test_a_part_has_no_skip_that_the_whole_has_not() -> None:
    """Of ImageNet's skeleton the last stage but one can be as wide as the last, and the widest cannot."""
    space, images = spaces.load("mbconv"), dataclasses.replace(IMAGES, resolution=128)
    knobs = narrowed(space.knobs(images), spaces.nested(space, images))
    whole = nesting.largest(space, knobs, images)
    alone = space.architecture(whole.choices | {"stage7.width": 0.75}, images)
    assert nesting.apart(whole.architecture, alone) == "stage 7 has one skip more"
    assert nesting.apart(whole.architecture, nesting.within(whole.architecture, alone)) is None
    narrow: dict[str, tuple[Choice, ...]] = {"stage7.width": (0.75, 1.25), "stage6.width": (1.25,)}
    fixed: dict[str, tuple[Choice, ...]] = {knob: (choice,) for knob, choice in whole.choices.items()}
    shared = SearchPlan("run", dataclasses.replace(SPEC, knobs=fixed | narrow, finals=0, trials=3), 3, images)
    jobs = run(shared)
    assert [nesting.apart(whole.architecture, job.architecture) for job in jobs] == [None] * 3


@pytest.mark.parametrize("pixels", [28, 128])
@pytest.mark.parametrize("name", ["mbconv", "mnasnet", "mnasnet_released", "efficientnetv2"])
def test_what_a_space_says_nests_is_parts_of_one_network(name: str, pixels: int) -> None:
    space, images = spaces.load(name), dataclasses.replace(IMAGES, resolution=pixels)
    knobs = narrowed(space.knobs(images), spaces.nested(space, images))
    whole = nesting.largest(space, knobs, images)
    smallest = space.architecture(whole.smallest, images)
    assert nesting.apart(whole.architecture, smallest) is None
    assert counts(smallest).params < counts(whole.architecture).params / 2


def test_the_first_trial_trains_the_largest_network_with_all_others() -> None:
    job = plan(parallel=3).ask(0)
    assert job
    assert job.baseline == "supernet"
    assert set(job.children) == set(spaces.load("mbconv").knobs(IMAGES))
    assert (job.calibrated, job.parent, job.save_weights, job.rung) == (False, None, True, 0)
    assert job.architecture == nesting.largest(spaces.load("mbconv"), job.children, IMAGES).architecture


def test_candidates_wait_for_the_supernet_and_have_its_weights() -> None:
    shared = plan(baselines=("ResNet-20 (CIFAR)",))
    supernet, baseline = shared.ask(0), shared.ask(1)
    assert supernet
    assert baseline
    assert (baseline.baseline, baseline.parent, baseline.calibrated) == ("ResNet-20 (CIFAR)", None, False)
    assert shared.ask(2) is None
    shared.tell(supernet, measured(supernet))
    candidate = shared.ask(2)
    assert candidate
    assert (candidate.parent, candidate.calibrated, candidate.rung) == ("weights of 0", True, 0)
    assert not candidate.save_weights
    assert nesting.apart(supernet.architecture, candidate.architecture) is None


def test_the_best_candidates_are_trained_on_at_the_end_from_two_seeds() -> None:
    jobs = run(plan())
    assert [job.rung for job in jobs] == [0] * 8 + [1] * 4
    best = sorted(jobs[1:8], key=lambda job: counts(job.architecture).mult_adds, reverse=True)[:2]
    finals = jobs[8:]
    assert [job.promotes for job in finals] == [best[0].number, None, best[1].number, None]
    assert [job.repeats for job in finals] == [None, 8, None, 10]
    assert [job.seed for job in finals] == [0, 1, 0, 1]
    assert {job.parent for job in finals} == {"weights of 0"}
    assert {(job.calibrated, job.shuffle, job.save_weights) for job in finals} == {(False, 0, True)}
    rates = [job.recipe.learning_rate for job in jobs if job.recipe]
    assert rates == [SPEC.recipe.learning_rate] * 8 + [SPEC.recipe.learning_rate / 4] * 4
    assert [job.architecture for job in finals[::2]] == [job.architecture for job in best]


def test_finals_wait_for_candidates_that_may_be_among_the_best() -> None:
    shared = plan(trials=7)
    supernet = shared.ask(0)
    assert supernet
    shared.tell(supernet, measured(supernet))
    one, other = shared.ask(1), shared.ask(2)
    assert one
    assert other
    shared.tell(one, measured(one))
    assert shared.ask(3) is None
    shared.tell(other, measured(other))
    final = shared.ask(3)
    assert final
    assert final.rung == 1


def test_a_plan_that_is_told_what_was_goes_on_as_the_other_would_have() -> None:
    jobs, again = run(plan()), plan()
    for job in jobs[:9]:
        again.tell(job, measured(job))
    assert run(again, 9) == jobs[9:]


def test_a_larger_budget_is_for_candidates_and_then_for_finals_that_were_none() -> None:
    shared = plan()
    before = run(shared)
    shared.trials = 20
    after = run(shared, 12)
    assert [job.rung for job in after] == [0] * 4 + [1] * 4
    promoted = [job.promotes for job in (*before, *after) if job.promotes is not None]
    assert len(set(promoted)) == len(promoted) == 4


def test_where_no_network_is_left_the_finals_begin() -> None:
    knobs = {knob: choices[:1] for knob, choices in spaces.load("mbconv").knobs(IMAGES).items()}
    knobs |= {"stage1.op": ("mbconv",), "stage1.kernel": (3, 5), "stage1.expand": (3,)}
    shared = plan(knobs=knobs)
    assert [job.rung for job in run(shared)] == [0] * 3 + [1] * 4
    assert shared.exhausted


def test_without_its_supernet_a_search_ends_and_says_so() -> None:
    shared = plan()
    supernet = shared.ask(0)
    assert supernet
    shared.tell(supernet, None)
    assert shared.ask(1) is None
    assert shared.exhausted == "the supernet was not trained, whose weights all networks share"


def test_limits_are_for_candidates_and_not_for_what_they_are_cut_out_of() -> None:
    limits = dataclasses.replace(SPEC.limits, params=200_000)
    jobs = run(plan(limits=limits, finals=0))
    assert counts(jobs[0].architecture).params > 200_000
    assert jobs[0].limits.params is None
    assert all(counts(job.architecture).params <= 200_000 for job in jobs[1:])


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"fidelity": Fidelity(), "trials": 40}, "fidelity", "leave fidelity out"),
        ({"confirm": 1}, "confirm", "give more finals"),
        ({"recipe": Recipe(folds=5)}, "weights", "give recipe.folds 1"),
        ({"recipe": Recipe(head="ridge", body_rate=0)}, "weights", "give more, or weights 'own'"),
        (
            {"trials": 5},
            "trials",
            "trials 5 is less than 6: the supernet, 0 baselines, a candidate and 2 for each",
        ),
    ],
)
def test_what_does_not_go_with_shared_weights_is_refused_with_a_way_out(
    changes: dict[str, Any], field: str, words: str
) -> None:
    with pytest.raises(Refusal, match=words) as told:
        dataclasses.replace(SPEC, **changes)
    assert told.value.field == field


def test_what_a_request_leaves_out_is_made_for_shared_weights() -> None:
    assert SearchSpec.otherwise({"weights": "shared"}) == {"recipe": RECIPES["supernet"], "trials": 200}
    parented = SearchSpec.otherwise({"weights": "shared", "parent": "efficientnet_lite0"})
    assert parented == {"recipe": RECIPES["finetune"], "trials": 200}
    assert SearchSpec.otherwise({}) == {"recipe": RECIPES["search"]}


PROXY = ProxySpec(
    dataset="none",
    weights="shared",
    knobs=SPEC.knobs,
    cheap=Recipe(epochs=2, folds=1),
    dear=Recipe(epochs=3),
    candidates=4,
)


def test_a_proxy_with_shared_weights_trains_a_supernet_and_compares_what_it_says_with_trainings_alone() -> None:
    proxy = ProxyPlan("run", PROXY, IMAGES)
    supernet = proxy.ask(0)
    assert supernet
    assert (proxy.trials, proxy.ask(1)) == (9, None)
    ended = [(supernet, dataclasses.replace(measured(supernet), train_seconds=40.0))]
    proxy.tell(*ended[0])
    jobs = [job for number in range(1, 9) if (job := proxy.ask(number))]
    assert [(job.calibrated, job.parent) for job in jobs] == [(True, "weights of 0")] * 4 + [(False, None)] * 4
    assert {job.recipe for job in jobs[4:]} == {PROXY.dear}
    told = report(PROXY, [*ended, *((job, dataclasses.replace(measured(job), train_seconds=1.0)) for job in jobs)])
    assert told.orderings
    assert (told.orderings[0].name, told.orderings[0].seconds) == ("inherited weights", 11)
    assert told.orderings[0].spearman == pytest.approx(1)
    assert [row.number for row in told.candidates] == [1, 2, 3, 4]


def test_a_proxy_whose_supernet_fails_ends() -> None:
    proxy = ProxyPlan("run", PROXY, IMAGES)
    supernet = proxy.ask(0)
    assert supernet
    proxy.tell(supernet, None)
    assert proxy.ask(1) is None
    assert proxy.exhausted


def test_a_proxy_of_shared_weights_has_one_fold() -> None:
    with pytest.raises(Refusal, match="give folds 1") as told:
        dataclasses.replace(PROXY, cheap=Recipe(folds=5))
    assert told.value.field == "weights"
