"""Members of a family by their names: what is solved over phi, by counts or by measurements."""

import dataclasses
import itertools
import math
from collections.abc import Callable

import pytest

from nas import zoo
from nas.measurements import Measurement
from nas.networks.architecture import Architecture, Images
from nas.networks.cells import CellArchitecture
from nas.networks.counts import counts
from nas.networks.lowering import AnyArchitecture
from nas.networks.members import MOST_MEASURED, at, member, scaled
from nas.networks.scaling import CompoundScaling
from nas.plans.budgets import Quest
from nas.plans.growth import GrowthPlan
from nas.recipes import Recipe
from nas.records import Job
from nas.refusal import Refusal
from nas.specs import GrowthSpec
from tests.service import latency

B0 = zoo.architecture("EfficientNet-B0", Images(resolution=64, classes=10))
NASNET = zoo.architecture("NASNet-A (6 @ 768) CIFAR + cutout")
WHOLE = counts(B0).mult_adds


def mult_adds(name: str) -> float:
    return counts(member(B0, name)).mult_adds / WHOLE


@pytest.mark.parametrize(
    "name", ["mult_adds<=2x", "peak_memory<=0.5x", "params<=2M", "width:model_bytes<=36e6", "depth:mult_adds<=3x"]
)
def test_a_member_is_the_largest_within_its_budget(name: str) -> None:
    found = scaled(B0, name)
    cost, _, limit = name.rpartition(":")[2].partition("<=")
    most = float(limit[:-1]) * counts(B0).cost(cost) if limit.endswith("x") else float(limit.replace("M", "e6"))
    assert counts(found.architecture).cost(cost) <= most
    assert found.phi is not None
    way = {"width": CompoundScaling(alpha=1, beta=2**0.5, gamma=1), "depth": CompoundScaling(alpha=2, beta=1, gamma=1)}
    more = at(B0, way.get(name.partition(":")[0], CompoundScaling()), found.phi + 0.2).architecture
    assert counts(more).cost(cost) > most


@pytest.mark.parametrize(("name", "limit"), [("model_bytes<=2M", 2e6), ("peak_memory~200k", 2e5)])
def test_a_budget_of_bytes_is_of_networks_in_the_precision_that_they_are_judged_in(name: str, limit: float) -> None:
    spec = dataclasses.replace(growth_of(name), precision="int8")
    (job, *_) = filter(None, map(GrowthPlan("g", spec).ask, range(2)))
    assert job.architecture == spec.scaled(name).architecture
    cost = name.partition("<=")[0].partition("~")[0]
    taken = counts(job.architecture).cost(cost, "int8")
    assert 0.85 <= taken / limit <= (1.15 if "~" in name else 1)


def test_one_dimension_is_scaled_alone_to_the_multiply_adds_that_are_nearest() -> None:
    for way in ("depth", "width", "resolution"):
        scale = scaled(B0, f"{way}:mult_adds~2x").scale
        assert scale is not None
        assert [name for name in ("depth", "width", "resolution") if getattr(scale, name) != 1] == [way]
        assert mult_adds(f"{way}:mult_adds~2x") == pytest.approx(2, rel=0.15)
        within = mult_adds(f"{way}:mult_adds<=2x")
        assert abs(math.log(mult_adds(f"{way}:mult_adds~2x") / 2)) <= abs(math.log(within / 2))


def test_a_phi_may_be_any_number_and_factors_may_be_ones_own() -> None:
    own = CompoundScaling(alpha=1.4, beta=1.0, gamma=1.2)
    assert member(B0, "phi=0") == member(B0, "B0") == B0
    assert member(B0, "phi=2", own) == member(B0, "B2", own)
    assert member(B0, "1.4:1:1.2") == member(B0, "phi=1", own)
    smaller = member(B0, "phi=-2")
    assert smaller.images.resolution == 48
    assert counts(smaller).mult_adds < WHOLE / 2
    assert scaled(B0, "mult_adds<=2x", own) != scaled(B0, "mult_adds<=2x")


def test_cells_are_scaled_by_their_number_and_the_filters_before_the_classifier() -> None:
    grown = member(NASNET, "7@2304")
    assert grown == zoo.architecture("NASNet-A (7 @ 2304) CIFAR + cutout")
    assert counts(member(NASNET, "mult_adds<=0.5x")).mult_adds <= counts(NASNET).mult_adds / 2


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("B9", "is none of B0 to B7, phi"),
        ("phi=17", "not between -16 and 16"),
        ("phi=1.2.3", "'1.2.3' is not a number"),
        ("latency_ms<=0", "0 is no budget: give one above 0"),
        ("latency_ms~1e999", "1e999 is no budget"),
        ("speed<=2", "'speed' is none of latency_ms, mult_adds, params"),
        ("kernel:params<=2M", "'kernel' is none of depth, width, resolution"),
        ("params<=10", "no network of this family within 10"),
        ("6@768", "is of cells, and this network is not"),
        ("0.5:1:1", "alpha 0.5 is not between 1 and 4"),
        ("latency_ms<=5", "known once it is measured"),
    ],
)
def test_a_name_that_says_nothing_of_this_network_is_refused(name: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        member(B0, name)


def test_cells_that_their_outputs_do_not_divide_are_refused() -> None:
    with pytest.raises(Refusal, match="1000 is not a multiple of 24"):
        member(NASNET, "6@1000")


def test_larger_members_may_be_regularised_more_from_what_the_network_and_its_recipe_do() -> None:
    scaling = CompoundScaling(dropout=0.05, drop_connect=0.02, augment=0.3)
    recipe = Recipe(epochs=1, augment=0.2)
    spec = GrowthSpec(
        dataset="x", space="mbconv", architecture=B0, members=("phi=-1", "B0", "B2", "B7"), scaling=scaling,
        recipe=recipe,
    )  # fmt: skip
    plan = GrowthPlan("g", spec)
    rates = {}
    for job in filter(None, map(plan.ask, range(4))):
        assert isinstance(job.architecture, Architecture)
        assert job.recipe is not None
        rates[job.member] = (job.architecture.dropout, job.architecture.drop_connect, job.recipe.augment)
    assert rates == {
        "phi=-1": (0.2, 0.2, 0.2), "B0": (0.2, 0.2, 0.2), "B2": (0.3, 0.24, 0.8), "B7": (0.5, 0.34, 1.0),
    }  # fmt: skip
    cells = member(NASNET, "B2", CompoundScaling(drop_connect=0.02))
    assert isinstance(cells, CellArchitecture)
    assert isinstance(NASNET, CellArchitecture)
    assert cells.drop_path == pytest.approx(NASNET.drop_path + 0.04)


def milliseconds(architecture: AnyArchitecture) -> float:
    return 0.3 + math.pow(counts(architecture).mult_adds / WHOLE, 0.8)


@pytest.mark.parametrize("times", [0.4, 1.0, 2.5, 16.0])
@pytest.mark.parametrize("takes", [milliseconds, lambda architecture: milliseconds(architecture) ** 1.2])
def test_the_largest_network_within_a_latency_is_found_by_few_measurements(
    times: float, takes: Callable[[AnyArchitecture], float]
) -> None:
    base, readings = zoo.architecture("EfficientNet-B0"), list[float]()
    quest = Quest(base, f"resolution:latency_ms<={times}x", None)  # depth and width rise in larger steps
    while network := quest.proposal():
        readings.append(takes(network))
        quest.tell(readings[-1])
    found = quest.answer()
    assert found is not None
    assert 0.9 * times <= takes(found.architecture) / takes(base) <= times
    assert len(readings) <= MOST_MEASURED


def test_where_latency_rises_in_a_step_the_network_below_it_is_taken_or_the_nearer_one() -> None:
    for relation, taken in (("<=", 1.0), ("~", 2.3)):
        quest = Quest(B0, f"latency_ms{relation}2", None)
        while network := quest.proposal():
            quest.tell(1.0 if counts(network).mult_adds <= 3 * WHOLE else 2.3)
        found = quest.answer()
        assert found is not None
        assert (counts(found.architecture).mult_adds <= 3 * WHOLE) is (taken == 1.0)


def test_no_network_explodes_while_a_latency_is_looked_for() -> None:
    quest, sizes = Quest(B0, "latency_ms<=1000000", None), []
    while network := quest.proposal():
        sizes.append(counts(network).mult_adds)
        quest.tell(1.0)
    assert all(after <= 6 * before for before, after in itertools.pairwise(sizes))


def growth_of(*members: str) -> GrowthSpec:
    return GrowthSpec(dataset="fashion_mnist", space="mbconv", architecture=B0, members=members, seeds=2)


def measured(job: Job) -> Measurement:
    taken = latency(milliseconds(job.architecture), "cpu")
    return Measurement(params=1, mult_adds=1, latencies={"cpu": taken})


def test_a_growth_measures_until_it_knows_its_members_and_then_trains_them() -> None:
    spec = growth_of("B0", "latency_ms<=2x")
    plan, jobs = GrowthPlan("g", spec), list[Job]()
    while (job := plan.ask(len(jobs))) and job.recipe is None:
        jobs.append(job)
        assert plan.ask(len(jobs)) is None  # the next one depends on it
        plan.tell(job, measured(job))
    number = len(jobs)
    again = GrowthPlan("g", spec)  # as after a restart
    for job in jobs:
        again.tell(job, measured(job))
    trainings = [each for place in range(number, number + 4) if (each := again.ask(place))]
    assert again.ask(number + 4) is None
    assert [each.number for each in trainings] == list(range(number, number + 4))
    assert [(each.member, each.seed) for each in trainings] == [
        ("latency_ms<=2x", 0), ("latency_ms<=2x", 1), ("B0", 0), ("B0", 1),
    ]  # fmt: skip
    assert 1.9 <= milliseconds(trainings[0].architecture) / milliseconds(B0) <= 2
    assert number + 4 <= spec.trials == 4 + MOST_MEASURED


def test_a_growth_leaves_out_what_no_network_is_within() -> None:
    plan, number = GrowthPlan("g", growth_of("latency_ms<=0.1", "latency_ms<=0.2")), 0
    while job := plan.ask(number):
        plan.tell(job, measured(job))
        number += 1
    assert plan.exhausted == "no network of the family that was measured is within latency_ms<=0.1 or latency_ms<=0.2"


@pytest.mark.parametrize("name", ["latency_ms<=0.5x", "latency_ms~2x"])
def test_of_what_cannot_be_measured_there_is_no_multiple(name: str) -> None:
    quest = Quest(B0, name, None)
    assert quest.proposal() == B0
    quest.tell(None)
    assert (quest.proposal(), quest.answer()) == (None, None)
