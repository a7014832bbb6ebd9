"""The plans of runs of every kind."""

import dataclasses
import itertools
import random
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import pytest

import nas.searchers.random
from nas import parents, plugins, spaces
from nas.kinship import obstacles
from nas.latency_predictor import Predictor
from nas.measurements import Latency, Measurement
from nas.networks.architecture import Choice, Choices, Images, random_choices
from nas.networks.counts import counts
from nas.networks.lowering import AnyArchitecture
from nas.objective import Objective
from nas.plans.benchmark import BenchmarkPlan
from nas.plans.growth import GrowthPlan
from nas.plans.problem import searcher
from nas.plans.proxy import ProxyPlan
from nas.plans.rungs import Rungs, shares
from nas.plans.sample import sample
from nas.plans.search import SearchPlan
from nas.recipes import Recipe
from nas.records import Job
from nas.refusal import Refusal
from nas.searchers import Costed, Outcome, Problem
from nas.spaces import narrowed
from nas.specs import BenchmarkSpec, Fidelity, GrowthSpec, Limits, ProxySpec, SearchSpec
from tests.pictures import saved
from tests.test_architecture import b0

IMAGES = Images(resolution=28, channels=1, classes=10)
SPEC = SearchSpec(dataset="fashion_mnist", searcher="random", trials=12)


def measured(job: Job) -> Measurement:
    """A made-up landscape: more multiply-adds, more accuracy."""
    counted = counts(job.architecture)
    return Measurement(
        params=counted.params, mult_adds=counted.mult_adds, accuracy=1 - 1 / (1 + counted.mult_adds / 1e6)
    )


def run(plan: SearchPlan, until: int) -> list[Job]:
    jobs = []
    for number in range(until):
        job = plan.ask(number)
        if job is None:
            break
        plan.tell(job, measured(job))
        jobs.append(job)
    return jobs


def together(plan: SearchPlan, at_once: int) -> list[Job]:
    """The plan's jobs, where so many run at once and the first to begin ends first."""
    jobs, running = list[Job](), list[Job]()
    while True:
        job = plan.ask(len(jobs)) if len(running) < at_once else None
        if job:
            running.append(job)
            jobs.append(job)
        elif running:
            ended = running.pop(0)
            plan.tell(ended, measured(ended))
        else:
            return jobs


CLIMB = dataclasses.replace(
    SPEC,
    recipe=Recipe(epochs=8),
    fidelity=Fidelity(eta=2),
    confirm=6,
    trials=26,
    objective=Objective(w_under=0, w_over=0),
)
# Parameters that one of a million random choices keeps, by multilevel splitting; of mbconv, a few more.
TIGHT = {"darts": 16_834, "mbconv": 8_000, "mnasnet_released": 15_924, "nasnet": 18_350}
GAINED = (0.0, 0.05, 0.09)  # accuracy on a rung, over that on the lowest


@pytest.fixture
def parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A checkpoint of a network of the space mbconv."""
    monkeypatch.setenv("NAS_HOME", str(tmp_path))
    space = spaces.load("mbconv")
    return saved(space.architecture(random_choices(space.knobs(IMAGES), random.Random(1)), IMAGES))


@pytest.mark.parametrize("name", ["random", "evolution", "local", "surrogate"])
def test_every_candidate_is_a_relative_of_the_parent_and_begins_with_it(name: str, parent: str) -> None:
    spec = dataclasses.replace(CLIMB, searcher=name, parent=parent)
    jobs = run(SearchPlan("run", spec, 20, IMAGES), 20)
    assert len(jobs) == 20
    assert {job.parent for job in jobs} == {parent}
    assert {job.anew for job in jobs} == {True, False}
    known = parents.described(parent).architecture
    assert {obstacles(known, job.architecture) for job in jobs} == {()}


def test_a_baseline_begins_with_the_parent_if_it_is_a_relative(parent: str) -> None:
    spec = dataclasses.replace(SPEC, parent=parent, baselines=("parent", "ResNet-20 (CIFAR)"))
    plan = SearchPlan("run", spec, spec.trials, IMAGES)
    stranger, whole, candidate = (plan.ask(number) for number in range(3))
    assert whole
    assert stranger
    assert candidate
    assert whole.architecture == parents.described(parent).architecture
    assert (whole.whole, whole.compared, whole.parent) == (True, None, parent)
    assert (stranger.baseline, stranger.parent) == ("ResNet-20 (CIFAR)", None)
    assert candidate.parent == parent


@pytest.mark.parametrize("changes", [{"limits": Limits(params=100)}, {"knobs": {"stage1.repeats": (1,)}}])
def test_a_parent_that_is_no_candidate_is_trained_where_it_is_a_baseline(changes: dict[str, Any], parent: str) -> None:
    spec = dataclasses.replace(SPEC, parent=parent, baselines=("parent",), **changes)
    plan = SearchPlan("run", spec, spec.trials, IMAGES)
    job = plan.ask(0)
    assert job
    assert (job.whole, job.compared, job.choices, job.limits) == (True, "parent", {}, Limits())
    plan.tell(job, measured(job))
    assert not plan._told
    others = [plan.ask(number) for number in range(1, 4)]
    assert job.architecture not in [other.architecture for other in others if other]


def noisy(job: Job) -> Measurement:
    """The same landscape with luck, which is that of the seed, and lower on low rungs."""
    clean = measured(job)
    luck = random.Random(f"{job.architecture.digest()}/{job.seed}/{job.rung}").gauss(0, 0.01)
    assert clean.accuracy is not None
    weights = f"weights of {job.number}" if job.save_weights else None
    return dataclasses.replace(clean, accuracy=0.8 * clean.accuracy + GAINED[job.rung or 0] + luck, weights=weights)


Event = tuple[Literal["ask", "tell"], Job]


def course(plan: SearchPlan, trials: int, past: Sequence[Event] = ()) -> list[Event]:
    """What happens to a search of which so much is `past`; three are under way, and end in an order of their own."""
    asked, told = ([job for event, job in past if event == kind] for kind in ("ask", "tell"))
    running, events = [job for job in asked if job not in told], list[Event]()
    for job in told:
        plan.tell(job, noisy(job))
    for job in running:
        plan.begun(job)
    while len(told) < trials:
        while len(running) < 3 and (new := plan.ask(len(asked))):
            asked.append(new)
            running.append(new)
            events.append(("ask", new))
        told.append(running.pop(len(told) % len(running)))
        plan.tell(told[-1], noisy(told[-1]))
        events.append(("tell", told[-1]))
    return events


@pytest.mark.parametrize("name", plugins.names("nas.searchers"))
class TestEverySearcher:
    def test_no_network_is_proposed_twice_and_the_budget_ends_it(self, name: str) -> None:
        plan = SearchPlan("r", dataclasses.replace(SPEC, searcher=name), 12, IMAGES)
        jobs = run(plan, 100)
        assert [job.number for job in jobs] == list(range(12))
        assert len({job.architecture.digest() for job in jobs}) == 12

    def test_a_new_plan_told_the_past_goes_on_as_the_old_one(self, name: str) -> None:
        spec = dataclasses.replace(SPEC, searcher=name, trials=16)
        plan = SearchPlan("r", spec, 16, IMAGES)
        whole = run(plan, 11)
        running = [plan.ask(11), plan.ask(12)]
        again = SearchPlan("r", spec, 16, IMAGES)
        for job in whole:
            again.tell(job, measured(job))
        assert running[0] is not None
        again.begun(running[0])
        assert [again.ask(12)] == running[1:]

    @pytest.mark.parametrize("kind", ["halving", "hyperband"])
    def test_with_rungs_and_confirmed_leads_a_new_plan_goes_on_as_the_old_one(
        self, name: str, kind: Literal["halving", "hyperband"]
    ) -> None:
        spec = dataclasses.replace(CLIMB, searcher=name, fidelity=Fidelity(kind=kind, eta=2))
        whole = course(SearchPlan("r", spec, spec.trials, IMAGES), spec.trials)
        jobs = [job for event, job in whole if event == "ask"]
        assert any(job.repeats is not None for job in jobs)
        assert any(job.promotes is not None for job in jobs)
        for cut in (len(whole) // 2, len(whole) - 9):
            again = SearchPlan("r", spec, spec.trials, IMAGES)
            assert course(again, spec.trials, whole[:cut]) == whole[cut:]

    def test_limits_that_are_known_before_training_are_kept(self, name: str) -> None:
        limits = Limits(params=60_000, mult_adds=4_000_000)
        for job in run(SearchPlan("r", dataclasses.replace(SPEC, searcher=name, limits=limits), 8, IMAGES), 8):
            assert counts(job.architecture).params <= 60_000
            assert counts(job.architecture).mult_adds <= 4_000_000

    def test_a_space_with_fewer_networks_than_the_budget_is_exhausted(self, name: str) -> None:
        knobs = SearchPlan("r", SPEC, 1, IMAGES).ask(0).choices  # type: ignore[union-attr]
        fixed: dict[str, tuple[Choice, ...]] = {knob: (choice,) for knob, choice in knobs.items()}
        fixed["stage3.width"] = (0.75, 1.0, 1.25)
        plan = SearchPlan("r", dataclasses.replace(SPEC, searcher=name, knobs=fixed), 100, IMAGES)
        assert len(run(plan, 100)) == 3
        assert plan.exhausted == "no untried network was found for trial 3"

    @pytest.mark.parametrize("space", TIGHT)
    def test_a_search_begins_where_hardly_any_network_keeps_the_limits(self, name: str, space: str) -> None:
        limits, trials = Limits(params=TIGHT[space]), 10 if space == "mbconv" else 2
        spec = dataclasses.replace(SPEC, searcher=name, space=space, limits=limits, trials=trials)
        plan = SearchPlan("r", spec, trials, IMAGES)
        jobs = run(plan, trials)
        assert len({job.architecture.digest() for job in jobs}) == trials, plan.exhausted
        assert max(counts(job.architecture).params for job in jobs) <= TIGHT[space]

    def test_limits_that_no_network_keeps_are_said(self, name: str) -> None:
        plan = SearchPlan("r", dataclasses.replace(SPEC, searcher=name, limits=Limits(params=1_000)), 5, IMAGES)
        assert plan.ask(0) is None
        assert plan.exhausted
        assert plan.exhausted.startswith("no untried network within the limits was found for trial 0")


@pytest.mark.parametrize("searcher", ["surrogate", "local", "random"])
def test_all_networks_of_a_narrowed_space_are_found(searcher: str) -> None:
    """Its representatives may have choices that were left out."""
    space, draw = spaces.load("nasbench201"), random.Random(1)
    knobs = {knob: tuple(draw.sample(choices, 2)) for knob, choices in space.knobs(IMAGES).items()}
    every = (dict(zip(knobs, choices)) for choices in itertools.product(*knobs.values()))
    distinct = {space.architecture(space.canonical(choices, IMAGES), IMAGES).digest() for choices in every}
    assert 1 < len(distinct) < 2 ** len(knobs)
    spec = dataclasses.replace(SPEC, space="nasbench201", knobs=knobs, searcher=searcher)
    assert len(run(SearchPlan("r", spec, 100, IMAGES), 100)) == len(distinct)


def test_knobs_can_be_narrowed_to_choices_that_exist() -> None:
    knobs = {"op": ("a", "b", "c"), "width": (1, 2)}
    assert narrowed(knobs, {"op": ("c", "a")}) == {"op": ("a", "c"), "width": (1, 2)}
    with pytest.raises(Refusal, match="unknown knob 'opp': there are op, width"):
        narrowed(knobs, {"opp": ("a",)})
    with pytest.raises(Refusal, match="knob 'op' has no choice 'd': there are 'a', 'b', 'c'"):
        narrowed(knobs, {"op": ("d",)})


def test_an_option_that_the_searcher_does_not_have_is_refused() -> None:
    with pytest.raises(Refusal, match="populaton"):
        searcher(dataclasses.replace(SPEC, searcher="evolution", options={"populaton": 3}), IMAGES)
    with pytest.raises(ValueError, match="population 1 is less than 2"):
        searcher(dataclasses.replace(SPEC, searcher="evolution", options={"population": 1}), IMAGES)


HERE = {"processor": "here"}
LATENCY = dataclasses.replace(
    SPEC,
    objective=Objective(cost="latency_ms", target=0.5),
    limits=Limits(latency_ms=1.0),
    devices=("cpu", "cpu_eager"),
)


def timed(job: Job, fingerprint: dict[str, str] = HERE) -> Measurement:
    """A device that does 5 million multiply-adds in a millisecond, give or take; and another one, of which nothing is
    known and that does not count."""
    milliseconds = counts(job.architecture).mult_adds / 5e6 * random.Random(job.number).uniform(0.9, 1.1)
    latency = Latency(
        device="cpu",
        median_ms=milliseconds,
        p95_ms=milliseconds,
        minimum_ms=milliseconds,
        spread=0.01,
        runs=9,
        fingerprint=fingerprint,
    )
    other = dataclasses.replace(latency, device="cpu_eager", median_ms=9 * milliseconds, fingerprint={})
    return dataclasses.replace(measured(job), latencies={"cpu_eager": other, "cpu": latency})


class Oracle(Predictor):
    """It knows what the device does, but for its noise."""

    def __call__(self, architecture: AnyArchitecture) -> float:
        return counts(architecture).mult_adds / 5e6


ORACLE = Oracle(error=0.05, rank=None, networks=20, weights={}, fingerprint=HERE)


@pytest.mark.parametrize("name", ["surrogate", "evolution", "random"])
class TestPredictedLatency:
    def test_what_is_far_over_the_limit_is_not_proposed(self, name: str) -> None:
        spec = dataclasses.replace(LATENCY, searcher=name)
        slow = [ORACLE(job.architecture) for job in run(SearchPlan("r", spec, 12, IMAGES), 12)]
        assert max(slow) > 1.15, "without a predictor there are some"
        known = list(run(SearchPlan("r", spec, 12, IMAGES, ORACLE), 12))
        assert len(known) == 12
        assert max(ORACLE(job.architecture) for job in known) <= 1.15
        assert [job.predicted_ms for job in known] == [ORACLE(job.architecture) for job in known]

    @pytest.mark.parametrize("elsewhere", [99, 5])
    def test_a_new_plan_told_the_past_goes_on_as_the_old_one(self, name: str, elsewhere: int) -> None:
        """Also where the search has moved to another machine."""
        spec = dataclasses.replace(LATENCY, searcher=name, trials=16)
        plan, again = (SearchPlan("r", spec, 16, IMAGES, ORACLE) for _ in range(2))
        past = []
        for number in range(11):
            job = plan.ask(number)
            assert job is not None
            past.append((job, timed(job, {"processor": "there"} if number == elsewhere else HERE)))
            plan.tell(*past[-1])
        running = [plan.ask(11), plan.ask(12)]
        for job, measurement in past:
            again.tell(job, measurement)
        assert running[0] is not None
        again.begun(running[0])
        assert [again.ask(12)] == running[1:]


def test_latency_that_is_predicted_is_a_cost_that_the_searcher_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    problems, told = list[Problem](), list[list[float | None]]()

    class Listening(nas.searchers.random.Searcher):
        def __init__(self, problem: Problem, *, seed: int) -> None:
            super().__init__(problem, seed=seed)
            problems.append(problem)
            told.append([])

        def tell(self, choices: Choices, outcome: Costed | None) -> None:
            told[-1].append(None if outcome is None else outcome.cost)

    monkeypatch.setattr(nas.searchers.random, "Searcher", Listening)
    plan = SearchPlan("r", dataclasses.replace(LATENCY, limits=Limits()), 12, IMAGES, ORACLE)
    first, second = plan.ask(0), plan.ask(1)
    assert first is not None
    assert second is not None
    assert problems[0].cost is not None
    assert problems[0].cost(first.choices) == ORACLE(first.architecture)
    plan.tell(first, timed(first))
    assert told[0] == [timed(first).cost("latency_ms", "cpu")], "what counts is measured"
    plan.tell(second, timed(second, {"processor": "there"}))
    assert problems[1].cost is None, "it knows nothing of that machine"
    assert told[1] == [timed(job).cost("latency_ms", "cpu") for job in (first, second)]


def test_what_is_refused_for_its_latency_is_told_with_what_it_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    told = list[Costed | None]()
    monkeypatch.setattr(nas.searchers.random.Searcher, "tell", lambda _, __, outcome: told.append(outcome))
    plan = SearchPlan("r", dataclasses.replace(LATENCY, limits=Limits(latency_ms=0.1)), 4, IMAGES)
    jobs = [plan.ask(number) for number in range(4)]
    slow, fast, failed, other = (job for job in jobs if job)
    latency_ms = timed(slow).cost("latency_ms", "cpu") or 0.0
    plan.tell(slow, dataclasses.replace(timed(slow), accuracy=None, refused="latency_ms over the limit"))
    plan.tell(fast, dataclasses.replace(timed(fast), accuracy_error=0.003))
    plan.tell(failed, dataclasses.replace(timed(failed), accuracy=None))
    plan.tell(other, dataclasses.replace(measured(other), accuracy=None, refused="params over the limit"))
    assert told[0] == Costed(cost=latency_ms, load=latency_ms / 0.1)
    assert isinstance(told[1], Outcome)
    assert (told[1].error, told[1].load) == (0.003, told[1].cost / 0.1)
    assert told[2:] == [None, None]


def test_a_failed_trial_is_told_as_failed() -> None:
    plan = SearchPlan("r", dataclasses.replace(SPEC, objective=Objective(cost="latency_ms")), 3, IMAGES)
    job = plan.ask(0)
    assert job is not None
    plan.tell(job, None)
    plan.tell(job, measured(job))  # it has no latency: no outcome either
    assert plan.ask(1) is not None


def expecting(gains: list[float | None], parallel: int) -> SearchPlan:
    """A plan whose searcher expects so much of its first proposals, one after the other."""
    spec = dataclasses.replace(SPEC, least_gain=0.01, parallel=parallel, trials=50)
    plan, found = SearchPlan("r", spec, 50, IMAGES), iter(gains)
    asked = plan._searcher.ask

    def ask(number: int, pending: list[Choices], *, attempt: int) -> Choices | None:
        plan._searcher._own.expected_gain = next(found)  # type: ignore[attr-defined]
        return asked(number, pending, attempt=attempt)

    plan._searcher.ask = ask  # type: ignore[assignment, method-assign]
    return plan


LOW, HIGH = 0.0099, 0.01


@pytest.mark.parametrize(
    ("gains", "parallel", "trials"),
    [
        ([None, None, None, LOW, LOW, LOW], 1, 6),
        ([LOW, LOW, HIGH, LOW, LOW, HIGH, LOW, LOW, LOW], 1, 9),
        ([LOW, LOW, None, LOW], 1, 4),  # what nothing was said of is no reason to go on
        ([HIGH, LOW, LOW, LOW, LOW, LOW, LOW], 4, 7),  # four at once know the same
    ],
)
def test_a_search_ends_when_too_little_is_expected_several_times_in_a_row(
    gains: list[float | None], parallel: int, trials: int
) -> None:
    plan = expecting(gains, parallel)
    jobs = run(plan, 50)
    assert len(jobs) == trials
    assert [job.expected_gain for job in jobs] == gains
    window = 2 + parallel
    assert plan.exhausted == f"no gain of 0.01 is expected any more: of the last {window} proposals 0.0099 at most"
    again, shorter = expecting([LOW], parallel), expecting([LOW], parallel)
    for job in jobs[::-1]:
        again.tell(job, measured(job))
        if job.number < trials - 2:
            shorter.tell(job, measured(job))
    shorter.begun(jobs[-2])
    assert again.ask(trials) is None
    assert again.exhausted == plan.exhausted
    assert shorter.ask(trials - 1) is not None


def test_without_a_least_gain_the_budget_alone_ends_a_search() -> None:
    plan = SearchPlan("r", dataclasses.replace(SPEC, searcher="surrogate", trials=14), 14, IMAGES)
    gains = [job.expected_gain for job in run(plan, 50)]
    assert len(gains) == 14
    assert gains[0] is None
    assert gains[-1] is not None


@pytest.mark.parametrize("at_once", [1, 2, 3, 8])
@pytest.mark.parametrize("rungs", [2, 3])
def test_the_smallest_budget_brings_a_network_to_the_highest_rung(rungs: int, at_once: int) -> None:
    """However many are trained at once: what is left of the trials waits for those that run and may go up."""
    fidelity = Fidelity(rungs=rungs)
    spec = dataclasses.replace(CLIMB, fidelity=fidelity, recipe=Recipe(epochs=9), confirm=0, trials=fidelity.fewest)
    jobs = together(SearchPlan("r", spec, spec.trials, IMAGES), at_once)
    assert len(jobs) == spec.trials
    assert {job.rung for job in jobs} == set(range(rungs))


@pytest.mark.parametrize("at_once", [1, 2, 4, 8])
def test_the_smallest_budget_confirms_a_lead(at_once: int) -> None:
    """However many are trained at once: the last trials wait until one network leads before another."""
    jobs = together(SearchPlan("r", dataclasses.replace(CLIMB, fidelity=None, confirm=2, trials=4), 4, IMAGES), at_once)
    assert len(jobs) == 4
    assert any(job.repeats is not None for job in jobs)


def test_the_best_of_a_rung_go_up_and_nobody_waits() -> None:
    """One at a time: a network goes up as soon as it is in the best third of those that have ended on its rung."""
    plan = SearchPlan(
        "r", dataclasses.replace(CLIMB, fidelity=Fidelity(), recipe=Recipe(epochs=9), confirm=0), 60, IMAGES
    )
    ended: dict[int, dict[int, float]] = {0: {}, 1: {}, 2: {}}  # accuracies by rung and network
    lead, gone = dict[int, int](), set[int]()
    for number in range(60):
        job = plan.ask(number)
        assert job is not None
        assert job.rung is not None
        assert job.recipe is not None
        assert job.recipe.epochs == (1, 3, 9)[job.rung]
        ready = [
            network
            for rung in (1, 0)
            for network in sorted(ended[rung], key=ended[rung].__getitem__)[-(len(ended[rung]) // 3) :]
            if len(ended[rung]) >= 3 and network not in ended[rung + 1]
        ]
        if job.promotes is None:
            assert not ready
            assert job.rung == 0
            network = number
        else:
            below = lead[job.promotes]
            assert below in ready
            network = below
            assert job.promotes not in gone
            gone.add(job.promotes)
        lead[number] = network
        accuracy = random.Random(network).random() * 0.5
        ended[job.rung][network] = accuracy
        plan.tell(job, dataclasses.replace(measured(job), accuracy=accuracy))
    assert all(ended.values())


INHERITING = dataclasses.replace(CLIMB, fidelity=Fidelity(eta=2, inherit=True))


def test_a_network_goes_on_with_the_weights_of_the_rung_below() -> None:
    whole = course(SearchPlan("r", INHERITING, 26, IMAGES), 26)
    jobs = {job.number: job for event, job in whole if event == "ask"}
    promoted = [job for job in jobs.values() if job.promotes is not None]
    assert {job.rung for job in promoted} == {1, 2}
    for job in jobs.values():
        assert job.handed_on == job.save_weights == (job.rung != 2)
        below = None if job.promotes is None else f"weights of {job.promotes}"
        assert (job.parent, job.epochs_done) == (below, (0, 2, 4)[job.rung or 0] if below else 0)
        assert job.recipe == INHERITING.fidelity.recipes(INHERITING.recipe)[job.rung or 0]  # type: ignore[union-attr]
        assert job.ancestor is None
    assert any(job.repeats is not None for job in jobs.values())
    for cut in (len(whole) // 2, len(whole) - 9):
        assert course(SearchPlan("r", INHERITING, 26, IMAGES), 26, whole[:cut]) == whole[cut:]


def test_what_a_rung_adds_is_the_steps_that_those_below_have_not_had() -> None:
    epochs = Fidelity(inherit=True)
    assert [epochs.epochs_done(epochs.recipes(Recipe(epochs=9)), rung) for rung in range(3)] == [0, 1, 3]
    images = Fidelity(inherit=True, scaled="train_images")
    recipes = images.recipes(Recipe(epochs=6, train_images=900))
    assert [images.epochs_done(recipes, rung) for rung in range(3)] == [0, 2, 2]
    few = images.recipes(Recipe(epochs=1, train_images=900))
    assert [images.epochs_done(few, rung) for rung in range(3)] == [0, 0, 0]
    anew = Fidelity()
    assert anew.epochs_done(anew.recipes(Recipe(epochs=9)), 2) == 0


def test_where_those_weights_are_gone_the_parent_of_the_search_is_still_known() -> None:
    spec = dataclasses.replace(INHERITING, parent="efficientnet_lite0", resolution=64)
    seen = Images(resolution=64, channels=3, classes=4)
    jobs = [job for event, job in course(SearchPlan("r", spec, 12, seen), 12) if event == "ask"]
    promoted = [job for job in jobs if job.promotes is not None]
    assert promoted
    for job in jobs:
        own = ("efficientnet_lite0", None) if job.promotes is None else (f"weights of {job.promotes}", spec.parent)
        assert (job.parent, job.ancestor) == own


def test_with_folds_that_are_held_out_in_turns_nothing_is_inherited() -> None:
    """The weights of the rung below would have seen what is held out on this one."""
    with pytest.raises(Refusal, match=r"5 folds holds out: give recipe\.folds 1") as caught:
        dataclasses.replace(INHERITING, recipe=Recipe(epochs=8, folds=5))
    assert caught.value.field == "fidelity"


def test_every_rung_has_its_share_of_the_trainings() -> None:
    assert shares(Fidelity()) == pytest.approx([9 / 13, 3 / 13, 1 / 13])
    # 9 begin on the lowest, 5 on the next and 3 on the highest, and a third of each rung goes up.
    whole = [9, 9 / 3 + 5, 9 / 9 + 5 / 3 + 3]
    assert shares(Fidelity(kind="hyperband")) == pytest.approx([part / sum(whole) for part in whole])


def test_hyperband_begins_some_networks_higher() -> None:
    plan = SearchPlan(
        "r", dataclasses.replace(CLIMB, fidelity=Fidelity(kind="hyperband"), recipe=Recipe(epochs=9)), 90, IMAGES
    )
    begun = [job.rung for event, job in course(plan, 90) if event == "ask" and not job.anew]
    assert begun[:34] == 2 * ([0] * 9 + [1] * 5 + [2] * 3)


def test_a_failed_network_goes_no_higher_and_does_not_count() -> None:
    plan = SearchPlan("r", dataclasses.replace(CLIMB, confirm=0), 26, IMAGES)
    first, second, third = (plan.ask(number) for number in range(3))
    assert first and second and third  # noqa: PT018
    plan.tell(first, None)
    plan.tell(second, measured(second))
    fourth = plan.ask(3)
    assert fourth is not None
    assert not fourth.anew, "one has ended, and there is no best half of one"
    plan.tell(third, None)
    plan.tell(fourth, measured(fourth))
    fifth = plan.ask(4)
    assert fifth is not None
    assert fifth.promotes in (second.number, fourth.number)


def test_other_searchers_hear_of_every_rung_in_the_terms_of_the_lowest(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that was trained longer must not look better for that than those that were not."""
    plan, jobs, heard = SearchPlan("r", dataclasses.replace(CLIMB, confirm=0), 60, IMAGES), list[Job](), list[float]()
    monkeypatch.setattr(plan._searcher, "tell", lambda _, outcome: heard.append(outcome.accuracy))
    for number in range(60):
        job = plan.ask(number)
        assert job is not None
        clean = measured(job).accuracy or 0.0
        told = dataclasses.replace(measured(job), accuracy=0.8 * clean + GAINED[job.rung or 0])
        jobs.append(job)
        plan.tell(job, told)
    assert {job.rung for job in jobs} == {0, 1, 2}
    for job, accuracy in zip(jobs, heard, strict=True):
        assert accuracy == pytest.approx(0.8 * (measured(job).accuracy or 0.0))


def test_a_searcher_that_tells_kinds_apart_hears_how_far_below_the_highest_rung_it_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spec, heard = dataclasses.replace(CLIMB, searcher="surrogate", confirm=0), list[Outcome]()
    plan = SearchPlan("r", spec, 26, IMAGES)
    monkeypatch.setattr(plan._searcher, "tell", lambda _, outcome: heard.append(outcome))
    jobs = run(plan, 26)
    assert {job.rung for job in jobs} == {0, 1, 2}
    assert [outcome.kind for outcome in heard] == [2 - (job.rung or 0) for job in jobs]
    assert [outcome.accuracy for outcome in heard] == [measured(job).accuracy for job in jobs]


def test_what_cannot_be_compared_with_the_lowest_rung_yet_is_not_told() -> None:
    rungs = Rungs(Fidelity(kind="hyperband"), Objective())
    rungs.end("a", 0, Outcome(accuracy=0.5, cost=1.0))
    rungs.end("b", 1, Outcome(accuracy=0.7, cost=1.0))
    assert rungs.level(1, Outcome(accuracy=0.7, cost=1.0)) is None
    rungs.end("a", 1, Outcome(accuracy=0.6, cost=1.0))
    levelled = rungs.level(1, Outcome(accuracy=0.7, cost=1.0))
    assert levelled is not None
    assert levelled.accuracy == pytest.approx(0.6)


def test_where_a_front_is_searched_for_the_whole_front_of_a_rung_goes_up() -> None:
    rungs = Rungs(Fidelity(eta=2), Objective(form="front"))
    points = {"slow": (0.9, 9.0), "quick": (0.5, 1.0), "beaten": (0.8, 10.0), "no better": (0.5, 2.0)}
    for name, (accuracy, cost) in points.items():
        rungs.end(name, 0, Outcome(accuracy=accuracy, cost=cost))
    up = set()
    while promoted := rungs.promotion():
        up.add(promoted[0])
        rungs.begin(*promoted)
    assert up == {"slow", "quick"}


def test_a_baseline_is_trained_by_the_whole_recipe_and_rivals_none_of_a_rung() -> None:
    plan = SearchPlan("r", dataclasses.replace(CLIMB, baselines=("ResNet-20 (CIFAR)",), confirm=0), 30, IMAGES)
    jobs = [job for event, job in course(plan, 30) if event == "ask"]
    assert (jobs[0].baseline, jobs[0].rung, jobs[0].recipe) == ("ResNet-20 (CIFAR)", 2, CLIMB.recipe)
    assert all(not job.anew for job in jobs[:3])


def test_a_leading_network_is_trained_again_from_other_seeds() -> None:
    plan = SearchPlan("r", dataclasses.replace(CLIMB, fidelity=None, confirm=10), 40, IMAGES)
    jobs = {job.number: job for event, job in course(plan, 40) if event == "ask"}
    repeats = [job for job in jobs.values() if job.repeats is not None]
    assert 5 <= len(repeats) <= 10
    for number, job in jobs.items():  # they are spread over the trials
        assert sum(other.number <= number for other in repeats) <= 10 * (number + 1) / 40
        if job.repeats is not None:
            assert job.choices == jobs[job.repeats].choices
            assert job.recipe == jobs[job.repeats].recipe
    assert len({(job.repeats, job.seed) for job in repeats}) == len(repeats)
    assert all(job.seed > 0 for job in repeats)
    best = sorted((noisy(job).accuracy or 0.0 for job in jobs.values() if job.repeats is None), reverse=True)[:12]
    assert all((noisy(jobs[job.repeats or 0]).accuracy or 0.0) > statistics.median(best) - 0.1 for job in repeats)


def test_with_rungs_leads_are_confirmed_on_the_highest() -> None:
    jobs = {job.number: job for event, job in course(SearchPlan("r", CLIMB, 26, IMAGES), 26) if event == "ask"}
    repeats = [job for job in jobs.values() if job.repeats is not None]
    assert repeats
    assert all(job.rung == 2 and jobs[job.repeats or 0].rung == 2 for job in repeats)


def test_an_exhausted_space_still_gives_what_has_done_well_more() -> None:
    knobs = SearchPlan("r", SPEC, 1, IMAGES).ask(0).choices  # type: ignore[union-attr]
    fixed: dict[str, tuple[Choice, ...]] = {knob: (choice,) for knob, choice in knobs.items()}
    fixed["stage3.width"] = (0.75, 1.0, 1.25)
    fixed["stage3.kernel"] = (3, 5)
    plan = SearchPlan("r", dataclasses.replace(CLIMB, knobs=fixed, confirm=0), 26, IMAGES)
    jobs = run(plan, 26)
    assert [job.rung for job in jobs].count(0) == 6
    assert jobs[-1].anew
    assert len(jobs) < 26
    assert plan.exhausted


def test_what_is_under_way_is_told_to_the_searcher(monkeypatch: pytest.MonkeyPatch) -> None:
    plan, heard = SearchPlan("r", SPEC, 12, IMAGES), list[list[Choices]]()
    asked = plan._searcher.ask

    def listening(number: int, pending: list[Choices], *, attempt: int) -> Choices | None:
        heard.append(pending)
        return asked(number, pending, attempt=attempt)

    monkeypatch.setattr(plan._searcher, "ask", listening)
    first, second = plan.ask(0), plan.ask(1)
    assert first is not None
    assert second is not None
    plan.tell(first, measured(first))
    plan.ask(2)
    assert heard == [[], [first.choices], [second.choices]]


def test_a_refused_proposal_is_asked_for_again_as_another() -> None:
    plan = SearchPlan("r", dataclasses.replace(SPEC, searcher="surrogate"), 12, IMAGES)
    first = plan.ask(0)
    assert first is not None
    other = SearchPlan("r", dataclasses.replace(SPEC, searcher="surrogate"), 12, IMAGES)
    other._begun[other._network(first)] = {}  # such as a baseline that is a point of the space
    again = other.ask(0)
    assert again is not None
    assert again.architecture != first.architecture
    assert not other.exhausted


def test_a_family_is_trained_from_the_largest_to_the_smallest() -> None:
    spec = GrowthSpec(
        dataset="fashion_mnist",
        space="mbconv",
        architecture=b0(),
        members=("B0", "B2", "B1"),
        recipe=Recipe(epochs=3),
        seed=7,
    )
    plan = GrowthPlan("g", spec)
    jobs = [plan.ask(number) for number in range(4)]
    assert jobs[3] is None
    members = [job for job in jobs if job is not None]
    assert [job.member for job in members] == ["B2", "B1", "B0"]
    assert [counts(job.architecture).params for job in members] == [9_109_994, 7_794_184, 5_288_548]
    assert all(job.final and job.save_weights and job.recipe == spec.recipe and job.seed == 7 for job in members)


def test_a_family_that_is_compared_is_trained_and_scored_as_candidates_are() -> None:
    spec = GrowthSpec(dataset="fashion_mnist", space="mbconv", architecture=b0(), scored_on="validation")
    plan = GrowthPlan("g", spec)
    jobs = [job for number in range(4) if (job := plan.ask(number))]
    assert [(job.final, job.save_weights) for job in jobs] == [(False, True)] * 4


def test_a_family_that_inherits_is_trained_from_the_smallest_each_seed_from_its_own() -> None:
    spec = GrowthSpec(
        dataset="fashion_mnist",
        space="mbconv",
        architecture=b0(),
        members=("B2", "B0", "B1"),
        seeds=2,
        inherit=True,
    )
    plan, again = GrowthPlan("g", spec), GrowthPlan("g", spec)

    def ended(number: int, weights: str | None) -> None:
        job = plan.ask(number)
        assert job is not None
        for each in (plan, again):  # the other one is told the same after a restart
            each.tell(job, Measurement(params=1, mult_adds=1, weights=weights) if weights else None)

    first = plan.ask(0)
    assert first is not None
    assert (first.member, first.parent) == ("B0", None)
    searched = GrowthPlan("g", dataclasses.replace(spec, parent="s")).ask(0)
    assert searched is not None
    assert searched.parent == "s"
    alike = GrowthPlan("g", dataclasses.replace(spec, parent="s", inherit=False))
    assert {job.parent for number in range(6) if (job := alike.ask(number))} == {"s"}
    assert plan.ask(2) is None  # until there is something to inherit
    ended(0, "a")
    ended(1, "b")
    heirs = [job for number in (2, 3) if (job := plan.ask(number))]
    assert [(job.member, job.seed, job.parent) for job in heirs] == [("B1", 0, "a"), ("B1", 1, "b")]
    ended(2, None)  # it failed: what it would have inherited is inherited over its head
    ended(3, "d")
    heirs = [job for number in (4, 5) if (job := again.ask(number))]
    assert [(job.member, job.seed, job.parent) for job in heirs] == [("B2", 0, "a"), ("B2", 1, "d")]
    assert plan.ask(6) is None


def test_the_member_that_teaches_is_trained_first_and_others_are_taught_by_its_seed() -> None:
    spec = GrowthSpec(
        dataset="fashion_mnist",
        space="mbconv",
        architecture=b0(),
        members=("B0", "B1", "B2"),
        recipe=Recipe(epochs=3, teacher="b1"),
        seeds=2,
    )
    plan, failing = GrowthPlan("g", spec), GrowthPlan("g", spec)
    jobs = [job for number in range(6) if (job := plan.ask(number))]
    assert [(job.number, job.member, job.recipe and job.recipe.teacher) for job in jobs] == [
        (0, "B1", None),
        (1, "B1", None),
    ]
    plan.tell(jobs[1], Measurement(params=1, mult_adds=1, weights="second"))
    assert [plan.ask(number) is None for number in (2, 3, 4, 5)] == [True, False, True, False]
    plan.tell(jobs[0], Measurement(params=1, mult_adds=1, weights="first"))
    taught = [job for number in range(2, 7) if (job := plan.ask(number))]
    assert [(job.member, job.seed, job.recipe and job.recipe.teacher) for job in taught] == [
        ("B2", 0, "first"),
        ("B2", 1, "second"),
        ("B0", 0, "first"),
        ("B0", 1, "second"),
    ]
    failing.tell(jobs[0], None)
    assert (failing.ask(2), failing.exhausted) == (None, None), "another seed may yet teach"
    failing.tell(jobs[1], None)
    assert failing.ask(2) is None
    assert failing.exhausted == "B1, which was to teach the others, has failed"
    half = GrowthPlan("g", spec)
    half.tell(jobs[0], None)
    half.tell(jobs[1], Measurement(params=1, mult_adds=1, weights="second"))
    taught = [job for number in (2, 3) if (job := half.ask(number))]
    assert [job.recipe and job.recipe.teacher for job in taught] == ["second"] * 2


def test_a_teacher_that_would_begin_with_what_it_teaches_is_refused() -> None:
    def check(teacher: str) -> None:
        recipe = Recipe(teacher=teacher)
        members = ("B0", "B1", "latency_ms<=5") if teacher == "b0" else ("B0", "B1")
        dataclasses.replace(spec, recipe=recipe, members=members).check_teacher()

    spec = GrowthSpec(dataset="fashion_mnist", space="mbconv", architecture=b0(), inherit=True)
    with pytest.raises(Refusal, match="teacher B1 would begin with the weights of B0, which waits"):
        check("B1")
    with pytest.raises(Refusal, match="teacher B0 would begin with the weights of latency_ms<=5"):
        check("b0")
    dataclasses.replace(spec, recipe=Recipe(teacher="B0")).check_teacher()
    dataclasses.replace(spec, recipe=Recipe(teacher="B1"), inherit=False).check_teacher()


def test_every_network_of_a_measurement_is_measured_on_every_device_and_not_trained() -> None:
    spec = BenchmarkSpec(images=IMAGES, networks=3, devices=("cpu", "cpu_eager"), seed=5)
    plan = BenchmarkPlan("m", spec)
    jobs = [plan.ask(number) for number in range(7)]
    assert plan.trials == spec.trials == 6
    assert jobs[6] is None
    networks = [job.architecture for job in jobs if job]
    assert networks[0::2] == networks[1::2]
    assert len({network.digest() for network in networks}) == 3
    assert [job.devices for job in jobs if job] == [("cpu",), ("cpu_eager",)] * 3
    assert all(job.recipe is None and job.dataset is None for job in jobs if job)
    assert BenchmarkPlan("m", spec).ask(4) == jobs[4]
    one = dataclasses.replace(spec, architecture=b0(), networks=1, published="EfficientNet-B0")
    assert BenchmarkPlan("m", one).ask(1) == Job(
        run="m",
        number=1,
        space="mbconv",
        architecture=b0(),
        baseline="EfficientNet-B0",
        devices=("cpu_eager",),
        seed=5,
    )


def test_candidates_of_a_proxy_are_scored_and_trained_by_the_one_recipe_and_then_by_the_other() -> None:
    spec = ProxySpec(dataset="fashion_mnist", candidates=4, limits=Limits(params=60_000))
    plan = ProxyPlan("p", spec, IMAGES)
    jobs = [job for number in range(9) if (job := plan.ask(number))]
    assert [job.number for job in jobs] == list(range(8))
    assert [job.recipe for job in jobs] == [spec.cheap] * 4 + [spec.dear] * 4
    assert [job.scores for job in jobs] == [True] * 4 + [False] * 4
    assert [job.architecture for job in jobs[:4]] == [job.architecture for job in jobs[4:]]
    assert all(counts(job.architecture).params <= 60_000 for job in jobs)


def test_around_a_parent_both_recipes_begin_with_it_and_what_is_drawn_is_less_than_all_of_it(parent: str) -> None:
    spec = ProxySpec(dataset="fashion_mnist", candidates=4, parent=parent)
    plan = ProxyPlan("p", spec, IMAGES)
    jobs = [job for number in range(9) if (job := plan.ask(number))]
    assert [job.parent for job in jobs] == [parent] * 8
    known = parents.described(parent).architecture
    assert {obstacles(known, job.architecture) for job in jobs} == {()}
    assert known not in [job.architecture for job in jobs]
    assert {job.read_at for job in jobs} == {28}
    assert {job.architecture.images.resolution for job in jobs} > {28}
    shared = ProxyPlan("p", dataclasses.replace(spec, weights="shared", cheap=spec.dear), IMAGES)
    supernet = shared.ask(0)
    assert supernet
    assert (supernet.architecture, supernet.parent) == (known, parent)
    shared.tell(supernet, dataclasses.replace(measured(supernet), weights="weights"))
    heirs = [job for number in range(1, 9) if (job := shared.ask(number))]
    assert [job.parent for job in heirs] == ["weights"] * 4 + [parent] * 4
    drawn = BenchmarkPlan("b", BenchmarkSpec(images=IMAGES, networks=3, parent=parent))
    measuring = [job for number in range(3) if (job := drawn.ask(number))]
    assert {obstacles(known, job.architecture) for job in measuring} == {()}
    assert {job.parent for job in measuring} == {None}


def test_a_sample_that_is_larger_than_the_space_is_refused() -> None:
    knobs: dict[str, tuple[Choice, ...]] = {
        knob: choices[:1] for knob, choices in spaces.load("mbconv").knobs(IMAGES).items()
    }
    assert len(sample("mbconv", IMAGES, 1, knobs=knobs, seed=0)) == 1
    with pytest.raises(Refusal, match="only 1 networks in reach, not 2"):
        sample("mbconv", IMAGES, 2, knobs=knobs, seed=0)


def test_each_member_is_trained_by_several_seeds_where_that_is_asked_for() -> None:
    spec = GrowthSpec(dataset="fashion_mnist", space="mbconv", architecture=b0(), members=("B0", "B1"), seed=7, seeds=3)
    plan = GrowthPlan("g", spec)
    jobs = [plan.ask(number) for number in range(7)]
    assert plan.trials == spec.trials == 6
    assert [(job.member, job.seed) for job in jobs if job] == [(name, 7 + k) for name in ("B1", "B0") for k in range(3)]
    assert [job.number for job in jobs if job] == [0, 1, 2, 3, 4, 5]
