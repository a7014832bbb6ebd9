"""Who holds a run, and how runs and trials end; on SQLite and on PostgreSQL alike."""

import dataclasses
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import event

from nas.records import ENDED, Progress, RunState, Wish
from nas.store import Conflict, LostRun, Store
from tests.databases import Clock
from tests.stored import MEASUREMENT, SEARCH, claimed, job, snapshot


class TestClaims:
    def test_the_oldest_run_is_claimed_first(self, store: Store, clock: Clock) -> None:
        assert store.claims.claim("anna", 60) is None
        runs = [store.add_run("search", SEARCH).id for _ in range(3)]
        clock.now = 1010.0
        first = store.claims.claim("anna", 60)
        assert first is not None
        assert (first.id, first.state, first.started_at) == (runs[0], "running", 1010.0)
        assert first == store.run(runs[0])
        assert [run and run.id for run in (store.claims.claim("bert", 60), store.claims.claim("anna", 60))] == runs[1:]
        assert store.claims.claim("bert", 60) is None

    def test_who_has_fewest_runs_that_are_held_is_served_first(self, store: Store, clock: Clock) -> None:
        """Also strangers, who are one owner together; and a claim that ran out holds nothing."""
        asked = [store.add_run("search", SEARCH, by=by).id for by in ("zoe", "zoe", "zoe", "max", None, None)]
        order = [store.claims.claim("anna", 60) for _ in asked]
        assert [run and asked.index(run.id) for run in order] == [0, 3, 4, 1, 5, 2]
        clock.now += 60
        again = store.claims.claim("bert", 60)
        assert again is not None
        assert again.id == asked[0]
        newcomers = [store.claims.claim("bert", 60, newcomers=True) for _ in range(3)]
        assert [run and asked.index(run.id) for run in newcomers] == [3, 4, None], "of zoe one is held"

    def test_a_run_that_was_set_aside_is_resumed_as_others_and_ends_whatever_else_is_held(self, store: Store) -> None:
        asked = [store.add_run("search", SEARCH, by="zoe").id for _ in range(3)]
        for run in asked[:2]:
            claimed = store.claims.claim("anna", 60)
            assert claimed
            store.claims.begin("anna", job(run))
        store.wish(asked[1], "pause")
        store.claims.release(asked[1], "anna", "paused")
        assert store.wish(asked[1], "run").state == "queued"
        assert store.claims.claim("anna", 60, newcomers=True) is None
        store.wish(asked[1], "stop")
        ending = store.claims.claim("anna", 60, newcomers=True)
        assert ending
        assert ending.id == asked[1]

    def test_runs_that_wait_are_moved_before_and_behind_the_others(self, store: Store) -> None:
        asked = [store.add_run("search", SEARCH, by=by).id for by in ("zoe", "zoe", "zoe", "max")]
        store.move(asked[2], "first", "zoe")
        store.move(asked[0], "last")
        store.move(asked[1], "first")
        assert [asked.index(run.id) for run in store.queue()] == [1, 2, 3, 0]
        order = [store.claims.claim("anna", 60) for _ in asked]
        assert [run and asked.index(run.id) for run in order] == [1, 3, 2, 0], "max has none"
        with pytest.raises(Conflict, match=r"is running: only runs that wait"):
            store.move(asked[0], "first")
        moved = [(event.kind, event.text, event.by) for event in store.events(asked[2])]
        assert moved[1] == ("moved", "first of those that wait", "zoe")

    def test_who_holds_a_run_is_said_in_words(self, store: Store, clock: Clock) -> None:
        run = claimed(store, "pi:71:ab").id
        store.claims.release(run, "pi:71:ab", "running")
        assert store.claims.claim("pi:72:cd", 60) is not None
        clock.now += 60
        assert store.claims.claim("desk:9:ef", 60) is not None
        assert [event.text for event in store.events(run) if event.kind == "claimed"] == [
            "begun by coordinator pi:71",
            "taken up again by coordinator pi:72",
            "coordinator pi:72 died or was cut off; coordinator desk:9 goes on",
        ]

    def test_a_coordinator_that_lost_its_claim_has_not_died(self, store: Store, clock: Clock) -> None:
        """One in a container that is started again may have the host and the number of the one that died."""
        run = claimed(store, "pi:71:8f3a:ab").id
        for owner in ("pi:71:8f3a:cd", "pi:71:c0de:ef"):
            clock.now += 60
            assert store.claims.claim(owner, 60) is not None
        assert [(event.kind, event.text) for event in store.events(run)[2:]] == [
            ("claimed again", "coordinator pi:71 could not renew its claim in time, and goes on"),
            ("claimed", "coordinator pi:71 died or was cut off; coordinator pi:71, started anew, goes on"),
        ]

    def test_a_claim_that_ran_out_is_claimed_by_another(self, store: Store, clock: Clock) -> None:
        run = claimed(store, seconds=60).id
        clock.now += 59.9
        assert store.claims.claim("bert", 60) is None
        clock.now += 0.1
        again = store.claims.claim("bert", 60)
        assert again is not None
        assert (again.id, again.started_at) == (run, 1000.0)
        store.claims.begin("bert", job(run))

    def test_renewing_keeps_a_claim_and_tells_the_wish(self, store: Store, second: Store, clock: Clock) -> None:
        run = claimed(store, seconds=60).id
        clock.now += 50
        second.wish(run, "stop")
        second.raise_budget(run, 8)
        renewed = store.claims.renew(run, "anna", 60)
        assert (renewed.wish, renewed.trials) == ("stop", 8)
        clock.now += 50
        assert second.claims.claim("bert", 60) is None
        assert store.claims.renew(run, "anna", 60) == store.run(run)

    def test_a_renewal_is_one_statement(self, store: Store) -> None:
        """It is made twice a second."""
        run, statements = claimed(store), []
        event.listen(
            store._database._reader,
            "before_cursor_execute",
            lambda _connection, _cursor, statement, *_: statements.append(statement),
        )
        assert store.claims.renew(run.id, "anna", 60) == run
        assert [statement.split()[0] for statement in statements if not statement.startswith("BEGIN")] == ["UPDATE"]

    @pytest.mark.parametrize("how", ["of another", "ran out", "passed on", "released", "unknown"])
    def test_who_lost_a_run_can_write_nothing(self, store: Store, clock: Clock, how: str) -> None:
        owner = "bert" if how == "of another" else "anna"
        run = claimed(store, owner).id
        claimed(store)  # holding another run does not help
        store.claims.begin(owner, job(run))
        if how in ("ran out", "passed on"):
            clock.now += 60
        if how == "passed on":
            assert store.claims.claim("bert", 60) is not None
        if how == "released":
            store.claims.release(run, "anna", "queued")
        before, lost = snapshot(store, run), "unknown" if how == "unknown" else run
        writes: dict[str, Callable[[], object]] = {
            "renew": lambda: store.claims.renew(lost, "anna", 60),
            "release": lambda: store.claims.release(lost, "anna", "finished"),
            "begin": lambda: store.claims.begin("anna", job(lost, 1)),
            "progress": lambda: store.claims.progress("anna", Progress(run=lost, number=0, phase="scoring")),
            "end": lambda: store.claims.end("anna", 0, lost, "done", MEASUREMENT, checkpoint_bytes=1),
        }
        for name, write in writes.items():
            with pytest.raises(LostRun, match=f"run {lost} is not claimed by anna, .*: leave it"):
                write()
            assert snapshot(store, run) == before, name

    def test_releasing_ends_a_run(self, store: Store, clock: Clock) -> None:
        for state in sorted(ENDED):
            run = claimed(store).id
            clock.now += 3
            released = store.claims.release(run, "anna", state, error="why")
            assert (released.state, released.error, released.ended_at) == (state, "why", clock.now)
            clock.now += 1000
            assert store.claims.claim("bert", 60) is None

    @pytest.mark.parametrize("state", ["queued", "paused"])
    def test_releasing_frees_a_run_that_goes_on(self, store: Store, clock: Clock, state: RunState) -> None:
        run = claimed(store).id
        clock.now += 3
        released = store.claims.release(run, "anna", state)
        assert (released.state, released.error, released.ended_at) == (state, None, None)
        again = store.claims.claim("bert", 60)
        assert again is not None
        assert (again.id, again.state, again.started_at) == (run, "running", 1000.0)

    def test_a_claimed_run_is_not_started_against_the_wish(self, store: Store) -> None:
        run = store.add_run("search", SEARCH).id
        store.wish(run, "pause")
        again = store.claims.claim("anna", 60)
        assert again is not None
        assert (again.id, again.state, again.wish) == (run, "queued", "pause")

    @pytest.mark.parametrize(("wish", "state"), [("stop", "stopped"), ("cancel", "cancelled")])
    def test_a_run_that_nobody_works_on_ends_at_once(
        self, store: Store, clock: Clock, wish: Wish, state: RunState
    ) -> None:
        """The coordinator may be busy with another for hours."""
        paused, held, left = (claimed(store).id for _ in range(3))
        queued = store.add_run("search", SEARCH).id
        store.wish(paused, "pause")
        store.claims.release(paused, "anna", "paused")
        clock.now += 5
        for run in (queued, paused):
            ended = store.wish(run, wish)
            assert (ended.state, ended.wish, ended.ended_at) == (state, wish, 1005.0)
            assert [entry.kind for entry in store.events(run)][-2:] == ["wish", state]
        store.claims.begin("anna", job(left))
        clock.now += 100  # the owner of the others has crashed, and one has a trial that is to be ended
        assert store.wish(held, wish).state == state
        assert store.wish(left, wish).state == "running"
        taken = store.claims.claim("otto", 60)
        assert taken is not None
        assert (taken.id, taken.wish) == (left, wish)
        assert store.claims.claim("otto", 60) is None

    def test_a_run_that_is_held_ends_by_its_owner(self, store: Store) -> None:
        run = claimed(store).id
        assert store.wish(run, "cancel").state == "running"
        assert store.claims.release(run, "anna", "cancelled").state == "cancelled"

    def test_a_paused_run_waits_for_another_wish(self, store: Store) -> None:
        run = claimed(store).id
        store.wish(run, "pause")
        store.claims.release(run, "anna", "paused")
        assert store.claims.claim("anna", 60) is None
        assert store.wish(run, "run").state == "queued"
        again = store.claims.claim("anna", 60)
        assert again is not None
        assert (again.state, again.wish) == ("running", "run")


class TestEnds:
    def test_an_ended_run_takes_no_wish(self, store: Store) -> None:
        for state in sorted(ENDED):
            run = claimed(store).id
            store.claims.release(run, "anna", state)
            before = snapshot(store, run)
            with pytest.raises(Conflict, match=f"run {run} is {state}"):
                store.wish(run, "cancel")
            assert snapshot(store, run) == before

    def test_a_trial_begins_once_and_ends_once(self, store: Store) -> None:
        run = claimed(store).id
        store.claims.begin("anna", job(run))
        with pytest.raises(Conflict, match=f"trial 0 of run {run} has begun before"):
            store.claims.begin("anna", job(run))
        store.claims.end("anna", 0, run, "done", MEASUREMENT, checkpoint_bytes=1)
        before = snapshot(store, run)
        with pytest.raises(Conflict, match=f"trial 0 of run {run} is done already"):
            store.claims.end("anna", 0, run, "failed", error="late")
        with pytest.raises(Conflict, match="has begun before"):
            store.claims.begin("anna", job(run))
        store.claims.progress("anna", Progress(run=run, number=0, phase="scoring"))
        assert snapshot(store, run) == before

    def test_a_trial_that_cannot_end_whole_does_not_end(self, store: Store) -> None:
        run = claimed(store).id
        store.claims.begin("anna", job(run))
        unwritable = dataclasses.replace(MEASUREMENT, weights="\udcff")
        before = snapshot(store, run)
        with pytest.raises(UnicodeEncodeError):  # while the model is written, after the trial
            store.claims.end("anna", 0, run, "done", unwritable, checkpoint_bytes=1)
        assert snapshot(store, run) == before

    def test_of_two_that_end_a_trial_one_succeeds(self, store: Store) -> None:
        run = claimed(store, trials=20).id
        barrier = threading.Barrier(2)

        def end(number: int) -> str:
            barrier.wait()
            try:
                return store.claims.end("anna", number, run, "done", MEASUREMENT, checkpoint_bytes=1).state
            except Conflict:
                return "conflict"

        with ThreadPoolExecutor(2) as pool:
            for number in range(20):
                store.claims.begin("anna", job(run, number))
                assert sorted(pool.map(end, [number, number])) == ["conflict", "done"]
        assert [trial.finished for trial in store.trials(run)] == list(range(1, 21))
        assert len(store.models(run)) == 20

    def test_trials_that_end_at_once_are_numbered_one_after_the_other(self, store: Store) -> None:
        run = claimed(store, trials=40).id
        for number in range(40):
            store.claims.begin("anna", job(run, number))
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda number: store.claims.end("anna", number, run, "cancelled"), range(40)))
        assert sorted(trial.finished or 0 for trial in store.trials(run)) == list(range(1, 41))
