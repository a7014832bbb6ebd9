"""What the yardstick took at best is known to the next process, on a meter that says what it is told to."""

import dataclasses
import logging
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

from nas import home
from nas.devices import cpu, cpu_eager
from nas.measurements import Latency
from nas.metering import PLAIN, DeviceError, Options, history, runtime
from nas.metering.history import Day, History, best, noted
from nas.metering.meter import Run, Times, Yardstick
from nas.metering.ratio import following
from tests.networks import IMAGES, mbconv

if TYPE_CHECKING:
    from torch import Tensor, nn

HERE = {"processor": "here"}


@pytest.fixture(autouse=True)
def unknown_machine(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing is remembered of it."""
    monkeypatch.setattr(runtime, "_warned", set())
    runtime._yardstick.cache_clear()
    yield
    runtime._yardstick.cache_clear()


@pytest.fixture
def knew(monkeypatch: pytest.MonkeyPatch) -> Callable[..., float]:
    """What a process that has just begun knew of the yardstick before it took so long."""

    def knew(took_ms: float, device: ModuleType = cpu, options: Options = PLAIN) -> float:
        known = math.nan

        def meter(run: Run, yardstick: Yardstick) -> Times:
            nonlocal known
            known = yardstick.quiet_ms
            yardstick.quiet_ms = min(known, took_ms)
            return times(yardstick.quiet_ms, took_ms / yardstick.quiet_ms)

        monkeypatch.setattr(runtime, "meter", meter)
        runtime._yardstick.cache_clear()
        device.latency(mbconv(8, 1), IMAGES, options)
        return known

    return knew


def times(yardstick_ms: float, slowdown: float = 1.0) -> Times:
    return Times(
        median_ms=2 * yardstick_ms,
        p95_ms=1.0,
        minimum_ms=1.0,
        spread=0.0,
        runs=9,
        rounds=8,
        ratio=2.0,
        yardstick_ms=yardstick_ms,
        error_ms=0.02 * yardstick_ms,
        slowdown=slowdown,
        shared=None,
    )


def test_a_process_knows_what_it_took_in_the_ones_before(knew: Callable[..., float]) -> None:
    assert [knew(0.5), knew(0.6), knew(0.4), knew(0.7)] == [math.inf, 0.5, 0.5, 0.4]


def test_it_is_known_of_one_way_to_run_it(knew: Callable[..., float], monkeypatch: pytest.MonkeyPatch) -> None:
    knew(0.5)
    for other in ((cpu, Options(threads=2)), (cpu, Options(batch=2)), (cpu_eager, PLAIN)):
        assert knew(0.1, *other) == math.inf
    assert knew(0.5) == 0.5
    monkeypatch.setattr(runtime, "digest", lambda: "another")
    assert knew(0.5) == math.inf


def test_in_one_process_it_is_known_though_it_cannot_be_kept(
    knew: Callable[..., float], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(path: Path, data: bytes) -> None:
        raise OSError(28, "the disk is full")

    monkeypatch.setattr(home, "write", full)
    assert [knew(0.5), knew(0.5)] == [math.inf, math.inf]
    assert "what the yardstick takes at best on this machine cannot be kept" in caplog.text
    yardstick = runtime._yardstick(cpu._prepared, PLAIN, runtime.AGREEMENT)
    cpu.latency(mbconv(8, 1), IMAGES)
    assert yardstick.quiet_ms == 0.5


def test_a_machine_that_is_slower_than_ever_says_so_once(
    knew: Callable[..., float], caplog: pytest.LogCaptureFixture
) -> None:
    knew(0.5)
    assert not caplog.messages
    runtime._warned.clear()  # as in the next process
    knew(0.7)
    knew(0.7)
    (warning,) = caplog.messages
    assert warning.startswith("device cpu: its machine takes 1.40 times as long as it did at best")


def test_what_others_measured_is_told_by_the_best_that_is_known_here() -> None:
    """An agent that has just begun takes what it sees for its best."""
    said = Latency(device="remote:pi4", **vars(times(0.5)), fingerprint=HERE, yardstick="3 of abcd")
    assert runtime.on_record(said) == said
    slow = runtime.on_record(dataclasses.replace(said, **vars(times(0.6, slowdown=1.1))))
    assert (slow.ratio, slow.yardstick_ms, slow.median_ms) == (2.0, 0.5, 1.0)
    assert slow.slowdown == pytest.approx(0.66 / 0.5)
    assert slow.error == pytest.approx(math.hypot(0.01, following(0.66 / 0.5)))
    for changed in ({"device": "remote:pi5"}, {"yardstick": "2 of abcd"}, {"fingerprint": {"processor": "there"}}):
        other = dataclasses.replace(said, **vars(times(0.6)), **changed)
        assert runtime.on_record(other) == other


def test_what_was_seen_of_its_kind_elsewhere_is_known_here(
    knew: Callable[..., float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each day counts with its best, whoever saw it; of days to come nothing is believed."""
    monkeypatch.setattr(time, "time", lambda: 3.5 * history.DAY_SECONDS)
    knew(0.5)
    way = history.ran(cpu.latency(mbconv(8, 1), IMAGES).fingerprint, "cpu", runtime.named())
    seen = tuple(Day(day=day, best_ms=best_ms) for day, best_ms in ((2, 0.45), (3, 0.7), (4, 0.1)))
    history.learn([History(way=way, days=seen), History(way=way | {"processor": "other"}, days=seen)])
    assert knew(0.6) == 0.45
    assert history._read(way) == (Day(day=2, best_ms=0.45), Day(day=3, best_ms=0.5))
    written = {path: path.stat().st_mtime_ns for path in home.folder("yardsticks").iterdir()}
    history.learn([History(way=way, days=seen)])
    assert {path: path.stat().st_mtime_ns for path in home.folder("yardsticks").iterdir()} == written


def test_the_best_of_all_days_counts() -> None:
    assert best(()) == math.inf
    days: tuple[Day, ...] = ()
    for day, milliseconds in ((1, 0.6), (1, 0.7), (3, 0.5), (3, 0.55), (9, 0.52)):
        days = noted(days, day, milliseconds)
    assert days == (Day(day=1, best_ms=0.6), Day(day=3, best_ms=0.5), Day(day=9, best_ms=0.52))
    assert best(days) == 0.5
    assert len(noted([Day(day=day, best_ms=1.0) for day in range(500)], 500, 1.0)) == history.MOST_DAYS


def test_where_its_speed_does_not_come_back_for_a_week_the_history_starts_anew() -> None:
    days: tuple[Day, ...] = (Day(day=1, best_ms=0.5),)
    for day in range(30, 37):
        days = noted(days, day, 0.8)
        assert best(days) == 0.5, "a month without a measurement says nothing"
    days = noted(days, 37, 0.9)
    assert best(days) == 0.8
    assert best(noted(days, 38, 0.51)) == 0.5, "it was only away"


def test_days_to_come_are_forgotten() -> None:
    """Of a clock that was ahead, and was put right."""
    assert noted((Day(day=1, best_ms=0.5), Day(day=999, best_ms=0.1)), 2, 0.6) == (
        Day(day=1, best_ms=0.5),
        Day(day=2, best_ms=0.6),
    )


def test_a_new_beginning_is_said(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    for day, known in ((1.5, 0.5), (2.5, 0.5), (9.5, 0.8), (9.6, 0.8)):
        monkeypatch.setattr(time, "time", lambda day=day: day * history.DAY_SECONDS)
        history.keep(HERE, 0.5 if day == 1.5 else 0.8)
        assert history.known(HERE) == known
    assert caplog.messages == [
        "the yardstick has taken 1.60 times what it took at best for a week, on processor here: its history starts anew"
    ]
    assert history.known({"processor": "there"}) == math.inf


@pytest.mark.parametrize(
    "damaged", ["", "[1]", "null", "0.5", "[[1, -1.0]]", "[[1, 0]]", "[[1, NaN]]", '[["x", 1]]', "[[1e999, 1]]"]
)
def test_a_damaged_file_is_as_good_as_none(damaged: str) -> None:
    history.keep(HERE, 0.5)
    (path,) = home.folder("yardsticks").iterdir()
    path.write_text(damaged)
    assert history.known(HERE) == math.inf
    history.keep(HERE, 0.6)
    assert history.known(HERE) == 0.6


class TestRuntimes:
    """That do not take all networks of the yardstick."""

    def taking(self, number: int) -> runtime.Prepare:
        taken: list[int] = []

        def prepared(network: "nn.Module", image: "Tensor", options: Options) -> runtime.Prepared:
            if len(taken) == number:
                raise DeviceError("it has no depthwise convolutions")
            taken.append(1)
            return runtime.Prepared(run=lambda: 1.0, answer=lambda: network(image))

        return prepared

    def test_those_count_that_run(self, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.WARNING):
            assert len(runtime._yardstick(self.taking(2), PLAIN, runtime.AGREEMENT).runs) == 2
        assert caplog.messages == [
            "a network of the yardstick is left out on this runtime: it has no depthwise convolutions"
        ]

    def test_without_any_there_is_no_latency(self) -> None:
        with pytest.raises(DeviceError, match="no network of the yardstick runs there"):
            runtime._yardstick(self.taking(0), PLAIN, runtime.AGREEMENT)
