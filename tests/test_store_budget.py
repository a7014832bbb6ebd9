"""A search's budget, spent and raised; on SQLite and on PostgreSQL alike."""

from typing import Any

import pytest

from nas.refusal import Refusal
from nas.specs import SearchSpec
from nas.store import Conflict, Store
from tests.databases import Clock
from tests.stored import GROWTH, SEARCH, claimed, job


class TestBudget:
    def test_a_finished_search_is_queued_again(self, store: Store) -> None:
        run = claimed(store, trials=1).id
        store.claims.begin("anna", job(run))
        store.claims.end("anna", 0, run, "cancelled")
        store.wish(run, "pause")
        store.claims.release(run, "anna", "finished")
        raised = store.raise_budget(run, 4)
        assert (raised.trials, raised.state, raised.wish, raised.ended_at) == (4, "queued", "run", None)
        assert raised == store.run(run)
        again = store.claims.claim("bert", 60)
        assert again is not None
        assert (again.id, again.trials) == (run, 4)

    def test_a_search_whose_hours_have_passed_takes_no_more_trials(self, store: Store, clock: Clock) -> None:
        run = claimed(store, trials=1, hours=1.0).id
        clock.now += 50
        store.claims.release(run, "anna", "finished", reason="the space is small")
        clock.now += 1e6  # while nobody works on it
        again = store.raise_budget(run, 2)
        assert (again.state, again.worked_seconds, again.reason) == ("queued", 50, None)
        assert store.claims.claim("anna", 5000) is not None
        clock.now += 3550
        left = store.claims.release(run, "anna", "finished", reason="its 1 hours have passed")
        assert (left.worked_seconds, left.reason) == (3600, "its 1 hours have passed")
        with pytest.raises(Conflict, match=f"run {run} takes no more trials, its 1 hours have passed: give it more"):
            store.raise_budget(run, 3)
        with pytest.raises(Conflict, match=r"its 0\.5 hours have passed"):
            store.raise_budget(run, hours=0.5)
        assert (store.run(run).state, store.run(run).trials) == ("finished", 2)
        longer = store.raise_budget(run, hours=1.5)
        assert isinstance(longer.spec, SearchSpec)
        assert (longer.state, longer.trials, longer.spec.hours) == ("queued", 2, 1.5)
        assert store.run(run) == longer
        assert store.claims.claim("anna", 5000) is not None

    def test_so_are_the_hours_of_its_devices(self, store: Store) -> None:
        run = claimed(store, trials=9, compute_hours=0.01).id
        store.claims.begin("anna", job(run))
        store.claims.end("anna", 0, run, "failed", error="no", compute_seconds=36)
        store.claims.release(run, "anna", "finished", reason="its 0.01 compute hours are spent")
        with pytest.raises(Conflict, match=r"its 0\.01 compute hours are spent: give it more"):
            store.raise_budget(run, hours=5)
        assert store.raise_budget(run, compute_hours=1).state == "queued"
        assert [event.text for event in store.events(run) if event.kind == "budget"] == [
            "1 compute hours instead of 0.01"
        ]

    def test_the_time_of_a_dead_owner_counts_until_it_was_last_heard_of(self, store: Store, clock: Clock) -> None:
        run = claimed(store).id
        for _ in range(3):
            clock.now += 10
            store.claims.renew(run, "anna", 60)
        clock.now += 1e6
        again = store.claims.claim("bert", 60)
        assert again is not None
        assert (again.id, again.worked_seconds) == (run, 30)
        clock.now += 5
        assert store.claims.renew(run, "bert", 60).worked_seconds == 35

    def test_a_trial_without_an_account_costs_all_its_time(self, store: Store, clock: Clock) -> None:
        run = claimed(store).id
        for number, known in enumerate((None, 3.5)):
            store.claims.begin("anna", job(run, number))
            clock.now += 20
            ended = store.claims.end("anna", number, run, "failed", error="no", compute_seconds=known)
            assert ended.compute_seconds == (known or 20)

    def test_a_running_search_goes_on_with_the_new_budget(self, store: Store) -> None:
        run = claimed(store).id
        assert (store.raise_budget(run, 100_000).trials, store.run(run).state) == (100_000, "running")
        store.claims.begin("anna", job(run, 0))
        store.claims.begin("anna", job(run, 1))
        assert store.raise_budget(run, 2).trials == 2
        with pytest.raises(Conflict, match=r"trials 1 is less than .* at least 2"):
            store.raise_budget(run, 1)
        assert store.run(run).trials == 2

    def test_a_finished_search_with_nothing_left_stays_finished(self, store: Store) -> None:
        run = claimed(store, trials=5).id
        store.claims.begin("anna", job(run))
        store.claims.end("anna", 0, run, "cancelled")
        store.claims.release(run, "anna", "finished")  # the space was exhausted
        assert store.raise_budget(run, 1).state == "finished"

    @pytest.mark.parametrize("more", [{"trials": 5}, {"hours": 2.0}, {"compute_hours": 2.0}])
    def test_a_budget_raised_while_the_owner_finishes_is_not_lost(
        self, store: Store, second: Store, more: dict[str, Any]
    ) -> None:
        run = claimed(store, trials=3, hours=1.0, compute_hours=1.0)
        second.raise_budget(run.id, **more)
        assert store.claims.release(run.id, "anna", "finished", worked_to=run).state == "queued"
        again = store.claims.claim("anna", 60)
        assert again is not None
        assert store.claims.release(run.id, "anna", "finished", worked_to=again).state == "finished"

    def test_a_budget_out_of_range_is_refused(self, store: Store) -> None:
        run = claimed(store).id
        for trials in (0, -1, 100_001, 10**30):
            with pytest.raises(Refusal, match=f"trials {trials} is not between 1 and 100000"):
                store.raise_budget(run, trials)

    def test_only_a_search_that_may_go_on_has_a_budget(self, store: Store) -> None:
        growth = store.add_run("growth", GROWTH).id
        with pytest.raises(Conflict, match=f"run {growth} is a growth"):
            store.raise_budget(growth, 5)
        for state in ("stopped", "cancelled", "failed"):
            run = store.add_run("search", SEARCH).id
            store.claims.release(_claim(store, run), "anna", state)
            with pytest.raises(Conflict, match=f"run {run} is {state}"):
                store.raise_budget(run, 5)


def _claim(store: Store, run: str) -> str:
    while (found := store.claims.claim("anna", 60)) is not None:
        if found.id == run:
            return run
    raise AssertionError(f"{run} cannot be claimed")
