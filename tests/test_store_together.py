"""Several threads and programs on one database, SQLite and PostgreSQL alike."""

import multiprocessing
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path

from sqlalchemy import insert, select, update

from nas.records import Run
from nas.store import Store
from nas.store.tables import EVENT, RUN
from tests.databases import Clock
from tests.stored import MEASUREMENT, SEARCH, claimed, job, snapshot


class TestTogether:
    """Several threads and programs on one database."""

    def test_each_run_is_claimed_by_one_of_two_programs(self, database_url: str) -> None:
        programs = [_Program(_claim_all, database_url, owner) for owner in ("anna", "bert")]
        for program in programs:
            program.pipe.send("open")  # both at once, a database that is not there yet
        for program in programs:
            assert program.pipe.recv() == "opened"
        store = Store(database_url)
        runs = [store.add_run("search", SEARCH).id for _ in range(30)]
        for program in programs:
            program.pipe.send("claim")
        by_anna, by_bert = (program.pipe.recv() for program in programs)
        for program in programs:
            program.process.join()
        assert sorted(by_anna + by_bert) == sorted(runs)
        claims = [entry for run in runs for entry in store.events(run) if entry.kind == "claimed"]
        assert len(claims) == 30
        store.close()

    def test_each_run_is_claimed_by_one_of_four_threads(self, store: Store) -> None:
        runs = [store.add_run("search", SEARCH).id for _ in range(30)]
        barrier = threading.Barrier(4)

        def claim_all(owner: str) -> list[str]:
            barrier.wait()
            return [run.id for run in iter(lambda: store.claims.claim(owner, 60), None)]

        with ThreadPoolExecutor(4) as pool:
            by_owner = list(pool.map(claim_all, "abcd"))
        assert sorted(run for claims in by_owner for run in claims) == sorted(runs)

    def test_a_killed_program_loses_nothing_that_had_ended(self, database_url: str, clock: Clock) -> None:
        store = Store(database_url, clock)
        run = store.add_run("search", SEARCH).id
        program = _Program(_work_until_killed, database_url, "anna")
        ended = [program.pipe.recv() for _ in range(5)]
        assert program.pipe.recv() == "begun 5"
        program.kill()

        assert store.trials(run)[:5] == ended
        assert [trial.state for trial in store.trials(run)] == ["done"] * 5 + ["running"]
        assert [(model.number, model.sha256) for model in store.models(run)] == [
            (number, "ab" * 32) for number in (4, 3, 2, 1, 0)
        ]
        assert store.claims.claim("bert", 60) is None
        clock.now = 2000.0
        again = store.claims.claim("bert", 60)
        assert again is not None
        (running,) = store.trials(run, state="running")
        assert running.job == job(run, 5)
        assert store.claims.end("bert", 5, run, "done", MEASUREMENT, checkpoint_bytes=1).finished == 6
        store.close()

    def test_a_program_killed_in_a_transaction_leaves_none_of_it(self, store: Store, database_url: str) -> None:
        run = store.add_run("search", SEARCH).id
        program = _Program(_write_until_killed, database_url, run)
        assert program.pipe.recv() == "written"
        assert store.run(run).state == "queued"
        program.kill()
        assert store.run(run).state == "queued"
        assert len(store.events(run)) == 1
        assert store.claims.claim("anna", 60) is not None

    def test_who_reads_does_not_wait_for_who_writes(self, store: Store, second: Store) -> None:
        run = claimed(store).id
        before = snapshot(second, run)
        with store._database.writing() as connection:
            connection.execute(update(RUN).values(state="failed"))
            connection.execute(insert(EVENT).values(run=run, at=0.0, kind="new", text=""))
            assert snapshot(second, run) == before
        assert second.run(run).state == "failed"
        assert second.events(run)[-1].kind == "new"

    def test_who_writes_does_not_wait_for_who_reads(self, store: Store, second: Store) -> None:
        run = claimed(store).id
        with second._database.reading() as connection:
            assert connection.execute(select(RUN.c.state)).scalar_one() == "running"
            assert store.claims.release(run, "anna", "finished").state == "finished"

    def test_who_reads_sees_trials_whole_while_another_writes(self, store: Store, second: Store) -> None:
        run = claimed(store, trials=50).id
        done = threading.Event()

        def write() -> None:
            try:
                for number in range(50):
                    store.claims.begin("anna", job(run, number))
                    store.claims.end("anna", number, run, "done", MEASUREMENT, checkpoint_bytes=1)
            finally:
                done.set()

        seen = 0
        with ThreadPoolExecutor(1) as pool:
            writing = pool.submit(write)
            last = False
            while not last:
                last = done.is_set()
                trials, models = second.trials(run), second.models(run)
                ended = [trial for trial in trials if trial.state == "done"]
                assert len(ended) >= seen
                seen = len(ended)
                assert len(models) >= seen
                assert len(trials) - seen in (0, 1)
                for number, trial in enumerate(ended):
                    assert (trial.finished, trial.measurement) == (number + 1, MEASUREMENT)
            writing.result()
        assert seen == 50

    def test_many_open_databases_of_their_own_at_once(self, tmp_path: Path) -> None:
        barrier = threading.Barrier(4)

        def open_new(number: int) -> list[Run]:
            barrier.wait()
            store = Store(f"sqlite:///{tmp_path}/{number}.db")
            runs = store.runs()
            store.close()
            return runs

        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(open_new, range(4))) == [[]] * 4

    def test_many_open_a_new_database_at_once(self, database_url: str) -> None:
        barrier = threading.Barrier(6)

        def open_and_add(_: int) -> str:
            barrier.wait()
            store = Store(database_url)
            run = store.add_run("search", SEARCH).id
            store.close()
            return run

        with ThreadPoolExecutor(6) as pool:
            runs = list(pool.map(open_and_add, range(6)))
        store = Store(database_url)
        assert sorted(run.id for run in store.runs()) == sorted(runs)
        store.close()


class _Program:
    """A function of this file in a program of its own."""

    def __init__(self, function: Callable[[Connection, str, str], None], *arguments: str) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=function, args=(theirs, *arguments), daemon=True)
        self.process.start()
        theirs.close()

    def kill(self) -> None:
        self.process.kill()
        self.process.join()
        assert self.process.exitcode == -9


def _claim_all(pipe: Connection, url: str, owner: str) -> None:
    assert pipe.recv() == "open"
    store = Store(url)
    pipe.send("opened")
    assert pipe.recv() == "claim"
    pipe.send([run.id for run in iter(lambda: store.claims.claim(owner, 600), None)])
    store.close()


def _work_until_killed(pipe: Connection, url: str, owner: str) -> None:
    store = Store(url, Clock())
    run = store.claims.claim(owner, 60)
    assert run is not None
    for number in range(5):
        store.claims.begin(owner, job(run.id, number))
        pipe.send(store.claims.end(owner, number, run.id, "done", MEASUREMENT, checkpoint_bytes=1))
    store.claims.begin(owner, job(run.id, 5))
    pipe.send("begun 5")
    pipe.recv()


def _write_until_killed(pipe: Connection, url: str, run: str) -> None:
    with Store(url)._database.writing() as connection:
        connection.execute(update(RUN).values(state="failed"))
        connection.execute(insert(EVENT).values(run=run, at=0.0, kind="new", text=""))
        pipe.send("written")
        pipe.recv()
