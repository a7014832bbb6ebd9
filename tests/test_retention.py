"""Which models of a search stay when not all can, and that nothing that somebody goes by is among those that go."""

import dataclasses
import random
from pathlib import Path
from typing import Any

import pytest

from api.views import search as view
from nas import retention
from nas.measurements import Measurement
from nas.models.checkpoint import artifact
from nas.objective import Objective
from nas.pareto import front
from nas.recipes import Recipe
from nas.records import Run
from nas.refusal import Refusal
from nas.settings import NUMBERS
from nas.specs import Fidelity, SearchSpec
from nas.store import Store
from tests.service import HARD, latency
from tests.stored import GROWTH, job
from workers.coordinator import _tidy

ANNA = "anna"
FRONT = Objective(form="front", cost="params", target=1e6)


@pytest.fixture
def sqlite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("NAS_HOME", str(tmp_path))
    monkeypatch.setenv("NAS_MOST_MODELS", "3")
    return Store(f"sqlite:///{tmp_path}/nas.db")


def measured(accuracy: float, cost: int = 1_000_000, **more: Any) -> Measurement:
    return Measurement(params=cost, mult_adds=cost, accuracy=accuracy, **more)


def searched(store: Store, *came: Measurement, **spec: Any) -> Run:
    """A claimed search whose trials have saved weights, each of ten bytes."""
    wanted = SearchSpec(dataset="fashion_mnist", searcher="random", save_weights=True, trials=50, **spec)
    store.add_run("search", wanted)
    run = store.claims.claim(ANNA, 1e6)
    assert run is not None
    for number, each in enumerate(came):
        ended(store, run, number, each)
    return run


def ended(store: Store, run: Run, number: int, came: Measurement, **changes: Any) -> None:
    weights = f"{run.id}{number:x}".ljust(64, "0")
    artifact(weights).write_bytes(b"0123456789")
    store.claims.begin(ANNA, dataclasses.replace(job(run.id, number), final=False, member=None, **changes))
    came = dataclasses.replace(came, weights=weights)
    store.claims.end(ANNA, number, run.id, "done", came, checkpoint_bytes=10)


def finished(store: Store, run: Run) -> Run:
    run = store.claims.release(run.id, ANNA, "finished")
    _tidy(store, run)
    return run


def kept(store: Store, run: Run) -> set[int]:
    models = store.models(run.id)
    for model in store.models(run.id, removed=True):
        assert artifact(model.sha256).exists() == (model in models)
    return {model.number for model in models}


def test_the_best_and_the_newest_stay_and_the_others_say_why_they_went(sqlite: Store) -> None:
    values = (0.5, 0.9, 0.7, 0.8, 0.6, 0.1)
    run = searched(sqlite, *map(measured, values))
    before = sqlite.trials(run.id)
    finished(sqlite, run)
    assert kept(sqlite, run) == {1, 3, 5}
    assert sqlite.trials(run.id) == before
    assert sqlite.model(f"{run.id}-0").removed == "kept the best 3 of the run"
    assert sqlite.events(run.id)[-1].text == "weights of 3 models removed: kept the best 3 of the run"


def test_the_objective_says_what_is_best(sqlite: Store) -> None:
    points = ((0.99, 40_000_000), (0.9, 4_000_000), (0.8, 4_000_000), (0.98, 40_000_000), (0.1, 1_000_000))
    run = searched(sqlite, *(measured(*point) for point in points), objective=HARD)
    finished(sqlite, run)
    assert kept(sqlite, run) == {1, 2, 4}


def test_of_a_front_its_networks_stay_and_the_best_by_the_product(sqlite: Store) -> None:
    points = ((0.5, 1000), (0.95, 9000), (0.94, 9500), (0.93, 9600), (0.7, 2000), (0.1, 9999))
    run = searched(sqlite, *(measured(*point) for point in points), objective=FRONT)
    assert front([(cost, value) for value, cost in points]) == [0, 4, 1]
    leader = retention.ranked(_spec(run), sqlite.trials(run.id))[0].number
    finished(sqlite, run)
    assert {leader, 5} < kept(sqlite, run) < {0, 1, 4, 5}


def test_the_highest_rung_is_best_and_confirmations_of_others_go_first(sqlite: Store) -> None:
    fidelity = Fidelity(eta=2, rungs=2)
    run = searched(sqlite, fidelity=fidelity, recipe=Recipe(epochs=4))
    for number, (value, changes) in enumerate(
        (
            (0.9, {"rung": 0}),
            (0.8, {"rung": 0}),
            (0.6, {"rung": 1}),
            (0.5, {"rung": 1}),
            (0.7, {"rung": 1, "repeats": 2}),
        )
    ):
        ended(sqlite, run, number, measured(value), **changes)
    ended(sqlite, run, 5, measured(0.1), rung=0)
    finished(sqlite, run)
    assert kept(sqlite, run) == {2, 3, 5}


@pytest.mark.parametrize("seed", range(4))
def test_what_is_shown_as_the_best_never_goes(sqlite: Store, seed: int) -> None:
    """The view's own leader, of several trainings, latencies with errors, baselines and rungs."""
    draw = random.Random(seed)
    objective = Objective(cost="latency_ms", target=1.0)
    run = searched(sqlite, objective=objective)
    for number in range(14):
        took = dataclasses.replace(latency(draw.uniform(0.5, 3)), error_ms=draw.choice((0.01, 0.5)))
        changes: dict[str, Any] = {"baseline": "MnasNet-A1"} if number < 2 else {"rung": draw.choice((0, 1))}
        if number > 9:
            changes["repeats"] = number - 6
        ended(sqlite, run, number, measured(draw.random(), latencies={"cpu": took}), **changes)
    trials = sqlite.trials(run.id)
    best = view.standing(view.among(trials, objective, "cpu"), objective)[1]
    assert best is not None
    assert next(each.number for each in retention.ranked(_spec(run), trials) if not each.baseline) == best.number
    finished(sqlite, run)
    assert best.number in kept(sqlite, run)
    assert len(kept(sqlite, run)) == 3


def _spec(run: Run) -> SearchSpec:
    assert isinstance(run.spec, SearchSpec)
    return run.spec


def test_while_a_search_works_they_become_twice_as_many_at_most(sqlite: Store) -> None:
    run = searched(sqlite, *map(measured, (0.5, 0.9, 0.7, 0.8, 0.6, 0.1)))
    retention.keep_best(sqlite, run)
    assert len(kept(sqlite, run)) == 6
    ended(sqlite, run, 6, measured(0.2))
    retention.keep_best(sqlite, run)
    assert kept(sqlite, run) == {1, 3, 6}


def test_what_a_trial_of_a_search_that_works_began_with_stays_until_it_has_ended(sqlite: Store) -> None:
    run = searched(sqlite, *map(measured, (0.1, 0.9, 0.7, 0.8, 0.6, 0.5)))
    ended(sqlite, run, 6, measured(0.2), parent=sqlite.model(f"{run.id}-0").sha256)
    retention.keep_best(sqlite, run)
    assert kept(sqlite, run) == {0, 1, 6}
    finished(sqlite, run)
    assert kept(sqlite, run) == {0, 1, 6}


def test_a_supernet_stays_as_long_as_a_larger_budget_may_need_it(sqlite: Store) -> None:
    run = searched(sqlite)
    ended(sqlite, run, 0, measured(0.1), baseline="supernet", rung=0, children={"stage1.op": ("conv",)})
    for number, value in enumerate((0.9, 0.7, 0.8, 0.6, 0.5), 1):
        ended(sqlite, run, number, measured(value), rung=1)
    finished(sqlite, run)
    assert kept(sqlite, run) == {0, 1, 5}


def test_a_run_that_is_deleted_as_it_ends_troubles_nobody(sqlite: Store) -> None:
    """Nor does one that is deleted while room is made for another."""
    gone, run = searched(sqlite, measured(0.5)), searched(sqlite, measured(0.5))
    retention.keep_best(sqlite, run)
    sqlite.claims.release(gone.id, ANNA, "finished")
    its = sqlite.models(gone.id)
    sqlite.removals.delete_run(gone.id)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NAS_MOST_KEPT", "1")
        patch.setattr(sqlite, "models", lambda: its)
        retention.make_room(sqlite)


def test_those_that_others_of_a_run_begin_with_stay_until_it_has_ended(sqlite: Store) -> None:
    inheriting: dict[str, Any] = {
        "fidelity": Fidelity(eta=2, rungs=2, inherit=True),
        "recipe": Recipe(epochs=4, folds=1),
    }
    run = searched(sqlite, *map(measured, [0.5] * 8), **inheriting)
    retention.keep_best(sqlite, run)
    assert len(kept(sqlite, run)) == 8
    finished(sqlite, run)
    assert len(kept(sqlite, run)) == 3


def test_what_is_pinned_or_needed_or_of_a_family_stays(sqlite: Store) -> None:
    run = searched(sqlite, *map(measured, (0.1, 0.2, 0.7, 0.8, 0.6, 0.5)))
    sqlite.removals.pin(f"{run.id}-0", True)
    teacher = sqlite.model(f"{run.id}-1").sha256
    sqlite.add_run("search", SearchSpec(dataset="fashion_mnist", recipe=Recipe(teacher=teacher)))
    finished(sqlite, run)
    assert kept(sqlite, run) == {0, 1, 3, 5}
    sqlite.add_run("growth", dataclasses.replace(GROWTH, members=("B0", "B1", "B2", "B3", "B4")))
    while (growth := sqlite.claims.claim(ANNA, 1e6)) and growth.kind != "growth":
        pass
    assert growth is not None
    for number in range(5):
        ended(sqlite, growth, number, measured(0.5))
    finished(sqlite, growth)
    assert len(kept(sqlite, growth)) == 5


def test_bytes_are_bounded_over_all_runs_the_oldest_first(
    sqlite: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    runs = [finished(sqlite, searched(sqlite, *map(measured, (0.9, 0.8, 0.7)))) for _ in range(3)]
    monkeypatch.setenv("NAS_MOST_KEPT", "75")
    retention.make_room(sqlite)
    assert [kept(sqlite, run) for run in runs] == [{0, 2}, {0, 2}, {0, 1, 2}]
    assert sqlite.model(f"{runs[0].id}-1").removed == "all weights together were over NAS_MOST_KEPT"
    monkeypatch.setenv("NAS_MOST_KEPT", "10")
    retention.make_room(sqlite)
    assert [kept(sqlite, run) for run in runs] == [{0, 2}] * 3, "what RUN@best and RUN@latest name"
    assert "50 bytes more than NAS_MOST_KEPT allows" in caplog.text


@pytest.mark.parametrize("setting", NUMBERS, ids=lambda setting: setting.name)
def test_a_bound_is_a_whole_number(setting: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for value in ("0", "-1", "10GB", "1.5"):
        monkeypatch.setenv(setting.name, value)
        with pytest.raises(Refusal, match=rf"{setting.name} '{value}' is not a whole number from 1 on: give one like"):
            _ = setting.number
