"""What a search knows of accuracies before it trains any, from a real database."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nas.datasets import DatasetInfo
from nas.objective import Objective
from nas.plans import plan_for
from nas.plans.earlier import earlier, obstacle
from nas.recipes import Recipe
from nas.records import Run
from nas.specs import BenchmarkSpec, Fidelity, Kind, Limits, Spec
from nas.store import Conflict
from tests.past import GREY, OWNER, SEARCH, Past
from workers.earlier import learnt

FIRST = dataclasses.replace(SEARCH, limits=Limits(), trials=40)
UNDER = Objective(target=2e6, w_under=0, w_over=-1)
SECOND = dataclasses.replace(FIRST, name="", searcher="surrogate", objective=UNDER)


@pytest.fixture
def past(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Past]:
    monkeypatch.setenv("NAS_HOME", str(tmp_path))
    its = Past.beginning(tmp_path)
    yield its
    its.store.close()


def second(past: Past, *of: Run, **changes: Any) -> Run:
    past.clock.now += 1
    return past.search(dataclasses.replace(SECOND, learn_from=tuple(run.id for run in of), **changes), 0)


def said(past: Past, run: Run) -> list[str]:
    return [event.text for event in past.store.events(run.id) if event.kind == "learnt"]


def test_a_search_knows_what_another_had_found_when_it_began_and_nothing_since(past: Past) -> None:
    first = past.search(FIRST, 35)
    run = second(past, first)
    known = learnt(past.store, run, GREY)
    assert (len(known), {one.kind for one in known}) == (34, {0}), "one of them failed"
    trial = past.store.trial(first.id, 0)
    assert trial.measurement
    assert (known[0].choices, known[0].accuracy) == (trial.job.choices, trial.measurement.accuracy)
    assert known[0].error == 0.003
    assert said(past, run) == [
        f"accuracies are known before the first trial: 34 trials of search {first.id} (Fashion, 5 M multiply-adds)"
    ]
    past.clock.now += 1
    past.search(dataclasses.replace(FIRST, seed=3), 5)
    job = plan_for(first, GREY)
    for trial in past.store.trials(first.id):
        job.tell(trial.job, trial.measurement)
    asked = job.ask(35)
    assert asked
    past.store.claims.begin(OWNER, asked)
    past.end(asked)
    assert learnt(past.store, past.store.run(run.id), GREY) == known, "a run that is taken up again knows the same"
    past.store.claims.begin(OWNER, dataclasses.replace(trial.job, run=run.id, number=0))
    learnt(past.store, run, GREY)
    assert len(said(past, run)) == 1 + 1, "and says so no more once it has trials"


def test_its_first_trial_is_of_the_best_that_it_knows_and_the_same_whenever_it_is_taken_up(past: Past) -> None:
    run = second(past, past.search(FIRST, 35))
    one, again = (plan_for(run, GREY, None, learnt(past.store, run, GREY)) for _ in range(2))
    without = plan_for(run, GREY)
    known_job, known_again, opening = (plan.ask(0) for plan in (one, again, without))
    assert known_job == known_again
    assert known_job
    assert opening
    assert known_job.choices != opening.choices
    assert known_job.expected_gain is not None
    assert opening.expected_gain is None


def test_other_trainings_are_of_a_kind_of_their_own(past: Past) -> None:
    shorter = past.search(dataclasses.replace(FIRST, recipe=Recipe(epochs=2), seed=2), 4)
    smaller = past.search(dataclasses.replace(FIRST, resolution=28, seed=3), 3)
    alike = past.search(dataclasses.replace(FIRST, seed=4), 2)
    run = second(past, shorter, smaller, alike)
    assert [one.kind for one in learnt(past.store, run, GREY)] == [1] * 4 + [0] * 5, "28 pixels are all that there are"
    shown = said(past, run)[0]
    assert f"4 trials of search {shorter.id} (Fashion, 5 M multiply-adds), 4 of them trained otherwise" in shown


def test_what_was_trained_as_long_as_a_rung_is_of_its_kind(past: Past) -> None:
    whole, fidelity = Recipe(epochs=6), Fidelity(eta=3, rungs=2)
    lowest = past.search(dataclasses.replace(FIRST, recipe=fidelity.recipes(whole)[0], seed=2), 3)
    highest = past.search(dataclasses.replace(FIRST, recipe=whole, seed=3), 2)
    other = past.search(dataclasses.replace(FIRST, recipe=Recipe(epochs=3), seed=4), 1)
    run = second(past, lowest, highest, other, recipe=whole, fidelity=fidelity)
    assert [one.kind for one in learnt(past.store, run, GREY)] == [1] * 3 + [0] * 2 + [2]


def test_networks_that_the_search_cannot_propose_are_left_out(past: Past) -> None:
    first = past.search(FIRST, 20)
    knob, choices = next((knob, choices) for knob, choices in past.store.trial(first.id, 0).job.choices.items())
    run = second(past, first, knobs={knob: (choices,)})
    known = learnt(past.store, run, GREY)
    assert 0 < len(known) < 20
    assert {one.choices[knob] for one in known} == {choices}


def test_a_space_that_has_changed_since_tells_nothing(past: Past) -> None:
    first = past.search(FIRST, 3)
    trials = past.store.trials(first.id)
    changed = [dataclasses.replace(trial, job=dataclasses.replace(trial.job, network="0" * 64)) for trial in trials]
    assert len(earlier(SECOND, GREY, [(FIRST, trials)])[0]) == 3
    assert earlier(SECOND, GREY, [(FIRST, changed)]) == [()]


def test_what_is_learnt_from_is_not_deleted_before_the_end(past: Past) -> None:
    first = past.search(FIRST, 3)
    past.store.claims.release(first.id, OWNER, "finished")
    run = second(past, first)
    with pytest.raises(Conflict, match=f"search {run.id}, which is running, learns from run {first.id}: wait for"):
        past.store.removals.delete_run(first.id)
    past.store.claims.release(run.id, OWNER, "finished")
    past.store.removals.delete_run(first.id)
    assert learnt(past.store, past.store.run(run.id), GREY) == ()
    assert said(past, run)[-1].endswith(f"nothing of search {first.id}, which was deleted")


def ended(spec: Spec, kind: Kind = "search") -> Run:
    return Run(id="a", kind=kind, spec=spec, state="finished", wish="run", trials=1, created_at=0.0)


def images(digest: str) -> DatasetInfo:
    return DatasetInfo(
        name="folder:/images",
        classes=("a", "b"),
        channels=1,
        resolution=28,
        train_images=100,
        test_images=0,
        digest=digest,
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, None),
        ({"name": "other", "resolution": 64, "recipe": Recipe(epochs=9), "devices": ("cpu_eager",)}, None),
        ({"space": "nasbench201"}, "was in space 'nasbench201', this one is in 'mbconv'"),
        ({"parent": "MobileNetV2 1.0"}, "was around MobileNetV2 1.0, this one is around none"),
        ({"dataset": "digits"}, "was on other images, 'digits' as they were then"),
        ({"contents": images("b" * 64)}, "was on other images, 'fashion_mnist' as they were then"),
    ],
)
def test_what_keeps_a_search_from_learning_is_said(changes: dict[str, Any], words: str | None) -> None:
    why = obstacle(SECOND, ended(dataclasses.replace(FIRST, **changes)))
    assert why == words if words is None else why and words in why


def test_images_are_known_by_what_they_are_and_not_by_where_they_lie() -> None:
    here, there = (dataclasses.replace(FIRST, dataset=f"folder:/{name}", contents=images("a" * 64)) for name in "ab")
    assert obstacle(here, ended(there)) is None


def test_only_a_search_can_be_learnt_from() -> None:
    assert obstacle(SECOND, ended(BenchmarkSpec(images=GREY), "benchmark")) == "run a is a benchmark: name a search"
