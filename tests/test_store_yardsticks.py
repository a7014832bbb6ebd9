"""How fast kinds of machines were is known to all who share a database; on SQLite and on PostgreSQL alike."""

import dataclasses
import math

import pytest

from nas.measurements import Latency
from nas.metering import history
from nas.metering.history import DAY_SECONDS, Day, best
from nas.store import Store
from tests.databases import Clock
from tests.stored import MEASUREMENT

OLD = MEASUREMENT.latencies["cpu"]


def latency(yardstick_ms: float, slowdown: float = 1.0, device: str = "cpu", processor: str = "here") -> Latency:
    return dataclasses.replace(
        OLD,
        device=device,
        fingerprint={"processor": processor},
        yardstick="3 of abcd",
        yardstick_ms=yardstick_ms,
        slowdown=slowdown,
    )


def days(store: Store, *devices: str) -> list[tuple[Day, ...]]:
    return [each.days for each in store.yardsticks.known(devices or None)]


def test_the_best_of_each_day_is_known_to_all(store: Store, second: Store, clock: Clock) -> None:
    store.yardsticks.keep([latency(0.5), latency(0.4, processor="there\0"), latency(0.6, device="cuda")])
    clock.now += DAY_SECONDS
    second.yardsticks.keep([latency(0.5, slowdown=1.2), latency(0.5, slowdown=1.1)])
    here, there = sorted(store.yardsticks.known(["cpu", "cpu_eager"]), key=lambda each: each.way["processor"])
    assert here.way == {"processor": "here", "device": "cpu", "yardstick": "3 of abcd"}
    assert here.days == (Day(day=0, best_ms=0.5), Day(day=1, best_ms=0.55))
    assert [each.best_ms for each in there.days] == [0.4]
    assert len(store.yardsticks.known()) == 3


def test_a_home_that_knew_better_is_believed_once(store: Store, clock: Clock) -> None:
    """And not each day anew, or a speed that never comes back would never be given up."""
    for day in range(1, 10):
        clock.now = day * DAY_SECONDS
        store.yardsticks.keep([latency(0.4, slowdown=1.5)])
        ((first, *others),) = days(store)
        assert (first, len(others)) == (Day(day=1, best_ms=0.4), day - 1)
        assert all(each.best_ms == pytest.approx(0.6) for each in others)
    assert best(days(store)[0]) == pytest.approx(0.6), "a week long it did not come back"


def test_days_to_come_are_forgotten_and_what_says_nothing_of_it_is_left_out(store: Store, clock: Clock) -> None:
    clock.now = 9 * DAY_SECONDS
    store.yardsticks.keep([latency(0.1)])
    clock.now = 2 * DAY_SECONDS
    store.yardsticks.keep([latency(0.5), OLD])
    assert days(store) == [(Day(day=2, best_ms=0.5),)]
    assert history.way(OLD) is None


def test_a_row_that_is_damaged_is_as_good_as_none(store: Store) -> None:
    store.yardsticks.keep([latency(0.5)])
    with store._database.writing() as connection:
        connection.exec_driver_sql("UPDATE yardstick SET days = 'x'")
    assert best(days(store)[0]) == math.inf
    store.yardsticks.keep([latency(0.6)])
    assert best(days(store)[0]) == 0.6
