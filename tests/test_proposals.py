"""Proposals that take long: what they do not hold up, and which are made before there is room for them."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import pytest

from nas.measurements import Measurement
from nas.plans import Plan
from nas.records import Job, Run
from nas.store import Store
from tests.test_drive import SPEC, Deferred, Inbox, Inline, by_formula, claimed, sqlite
from tests.waiting import eventually
from workers.drive import drive

__all__ = ["sqlite"]


class Slow:
    """A plan that thinks of a job until it is let go on."""

    def __init__(self, plan: Plan, slow: Callable[[int], bool]) -> None:
        self._plan, self._slow = plan, slow
        self.patience, self.exhausted, self.again = plan.patience, plan.exhausted, plan.again
        self.thinking = threading.Event()
        self.go, self.calls = threading.Event(), list[str]()

    @property
    def trials(self) -> int:
        return self._plan.trials

    @trials.setter
    def trials(self, trials: int) -> None:
        self._plan.trials = trials

    def ask(self, number: int) -> Job | None:
        if self._slow(number):
            self.thinking.set()
            assert self.go.wait(600)
        self.calls += [f"ask {number}"] if number < self.trials else []
        return self._plan.ask(number)

    def begun(self, job: Job) -> None:
        self._plan.begun(job)

    def tell(self, job: Job, measurement: Measurement | None) -> None:
        assert not self.thinking.is_set() or self.go.is_set(), "told while it thinks"
        self.calls.append(f"tell {job.number}")
        self._plan.tell(job, measurement)


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.drive.LEASE_SECONDS", 600.0)
    monkeypatch.setattr("workers.proposals.PATIENCE_SECONDS", 0.0)


def test_what_has_ended_is_written_down_while_the_plan_thinks(sqlite: Store) -> None:
    sqlite.add_run("search", replace(SPEC, trials=3, parallel=2))
    run, plan = claimed(sqlite)
    slow, pool = Slow(plan, lambda number: number == 2), Deferred(by_formula)

    def state(number: int) -> str:
        return sqlite.trial(run.id, number).state

    with ThreadPoolExecutor(1) as thread:
        driven = thread.submit(drive, sqlite, "me", run, slow, pool, Inbox())
        eventually(lambda: len(pool._waiting) == 2)
        pool.work(1)
        assert slow.thinking.wait(600)
        pool.work(1)
        eventually(lambda: [state(0), state(1)] == ["done", "done"])
        assert len(sqlite.trials(run.id)) == 2
        slow.go.set()
        eventually(lambda: len(pool._waiting) == 1)
        pool.work()
        left = driven.result()
    assert left
    assert left.state == "finished"
    assert slow.calls == ["ask 0", "ask 1", "tell 0", "ask 2", "tell 1", "tell 2"]


@pytest.mark.parametrize("wish", ["pause", "cancel"])
def test_a_wish_is_heeded_while_the_plan_thinks(sqlite: Store, wish: str) -> None:
    sqlite.add_run("search", replace(SPEC, parallel=1))
    run, plan = claimed(sqlite)
    slow = Slow(plan, lambda _: True)
    with ThreadPoolExecutor(1) as thread:
        driven = thread.submit(drive, sqlite, "me", run, slow, Inline(), Inbox())
        assert slow.thinking.wait(600)
        sqlite.wish(run.id, wish)  # type: ignore[arg-type]
        left = driven.result()
        slow.go.set()
    assert left
    assert left.state == {"pause": "paused", "cancel": "cancelled"}[wish]
    assert sqlite.trials(run.id) == []


@contextmanager
def ahead(store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Run, Slow, Deferred, Future[Run | None]]]:
    """A search for four trials, two at once, whose proposals take long: two run, and the third is made already."""
    monkeypatch.setattr("workers.proposals.SLOW_SECONDS", -1.0)
    store.add_run("search", replace(SPEC, trials=4, parallel=2))
    run, plan = claimed(store)
    slow, pool = Slow(plan, lambda _: False), Deferred(by_formula)
    with ThreadPoolExecutor(1) as thread:
        driven = thread.submit(drive, store, "me", run, slow, pool, Inbox())
        eventually(lambda: slow.calls == ["ask 0", "ask 1", "ask 2"])
        yield run, slow, pool, driven


def test_where_proposals_are_slow_the_next_is_ready_before_there_is_room(
    sqlite: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ahead(sqlite, monkeypatch) as (run, slow, pool, driven):
        assert len(sqlite.trials(run.id)) == 2, "it has not begun"
        eventually(lambda: len(pool._waiting) == 2)
        pool.work(1)
        eventually(lambda: slow.calls[3:] == ["tell 0", "ask 3"])
        assert len(sqlite.trials(run.id)) == 3
        for left in (2, 2, 1):
            eventually(lambda: len(pool._waiting) == left)  # noqa: B023  # at once
            pool.work(1)
    assert driven.result().state == "finished"  # type: ignore[union-attr]
    assert len(sqlite.trials(run.id)) == 4
    assert sorted(slow.calls) == sorted(f"{what} {number}" for what in ("ask", "tell") for number in range(4))


def test_what_was_proposed_ahead_is_not_begun_once_the_budget_is_lowered(
    sqlite: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ahead(sqlite, monkeypatch) as (run, _, pool, driven):
        sqlite.raise_budget(run.id, trials=2)
        eventually(lambda: len(pool._waiting) == 2)
        pool.work(2)
        eventually(lambda: driven.done() or pool._waiting)
        pool.work(len(pool._waiting))
    assert driven.result().state == "finished"  # type: ignore[union-attr]
    assert len(sqlite.trials(run.id)) == 2


def test_one_at_a_time_each_is_proposed_knowing_all_before_it(sqlite: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.proposals.SLOW_SECONDS", -1.0)
    sqlite.add_run("search", replace(SPEC, trials=3, parallel=1))
    run, plan = claimed(sqlite)
    slow = Slow(plan, lambda _: False)
    left: Run | None = drive(sqlite, "me", run, slow, Inline(), Inbox())
    assert left
    assert left.state == "finished"
    assert slow.calls == ["ask 0", "tell 0", "ask 1", "tell 1", "ask 2", "tell 2"]
