"""What the yardstick took at best is known to the next process, on a meter that says what it is told to."""

import dataclasses
import math
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from nas import home
from nas.devices import cpu, cpu_eager
from nas.metering import PLAIN, Options, best, runtime
from nas.metering.meter import Run, Times, Yardstick
from tests.networks import IMAGES, mbconv

TIMES = Times(
    median_ms=1.0,
    p95_ms=1.0,
    minimum_ms=1.0,
    spread=0.0,
    runs=9,
    rounds=6,
    ratio=1.0,
    yardstick_ms=1.0,
    noisy=None,
    shared=None,
)
HERE = {"processor": "here"}


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("NAS_HOME", str(tmp_path))
    runtime._yardstick.cache_clear()
    yield
    runtime._yardstick.cache_clear()


@pytest.fixture
def knew(monkeypatch: pytest.MonkeyPatch) -> Callable[..., float]:
    """What a process that has just begun knew of the yardstick before it took so long at best."""

    def knew(best_ms: float, device: ModuleType = cpu, options: Options = PLAIN, *, noisy: str | None = None) -> float:
        known = math.nan

        def meter(run: Run, yardstick: Yardstick, within: float) -> Times:
            nonlocal known
            known = yardstick.quiet_ms
            yardstick.quiet_ms = min(known, best_ms)
            return dataclasses.replace(TIMES, noisy=noisy)

        monkeypatch.setattr(runtime, "meter", meter)
        runtime._yardstick.cache_clear()
        assert device.latency(mbconv(8, 1), IMAGES, options).noisy == noisy
        return known

    return knew


def test_a_process_knows_what_it_took_in_the_ones_before(knew: Callable[..., float]) -> None:
    assert [knew(0.5), knew(0.6), knew(0.4), knew(0.7)] == [math.inf, 0.5, 0.5, 0.4]


def test_it_is_known_of_one_way_to_run_it(knew: Callable[..., float]) -> None:
    knew(0.5)
    for other in ((cpu, Options(threads=2)), (cpu, Options(batch=2)), (cpu_eager, PLAIN)):
        assert knew(0.1, *other) == math.inf
    assert knew(0.5) == 0.5


def test_what_a_noisy_host_took_is_not_kept(knew: Callable[..., float]) -> None:
    assert [knew(0.5, noisy="busy"), knew(0.6), knew(0.3, noisy="busy"), knew(0.7)] == [math.inf, math.inf, 0.6, 0.6]


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


def test_it_is_forgotten_a_week_after_the_host_was_last_itself() -> None:
    best.keep(HERE, 0.5)
    (path,) = home.folder("yardsticks").iterdir()
    for days, known in ((6.9, 0.5), (7.1, math.inf)):
        then = time.time() - days * 24 * 3600
        os.utime(path, (then, then))
        assert best.known(HERE) == known
    best.keep(HERE, 0.8)
    assert best.known(HERE) == 0.8
    assert best.known({"processor": "there"}) == math.inf


@pytest.mark.parametrize("damaged", ["", "[1]", "null", "-1.0", "0", "NaN", '"fast"'])
def test_a_damaged_file_is_as_good_as_none(damaged: str) -> None:
    best.keep(HERE, 0.5)
    (path,) = home.folder("yardsticks").iterdir()
    path.write_text(damaged)
    assert best.known(HERE) == math.inf
