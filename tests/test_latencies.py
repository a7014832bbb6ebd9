"""What becomes of a latency that is noisy: it is measured again, and refuses nothing; on a device that says what it is
told to."""

import dataclasses
import logging
from collections.abc import Callable, Iterator

import pytest

from nas import latencies
from nas.devices import cpu, cpu_eager
from nas.evaluate import evaluate
from nas.metering import DeviceError, Options
from nas.records import Latency, Progress
from nas.specs import Limits
from nas.training.resume import Resume
from tests.pictures import RECIPE, job, pictures
from tests.service import latency

LIMIT = Limits(latency_ms=2.0)
ONCE = dataclasses.replace(RECIPE, epochs=1)

Reading = Latency | Exception


def noisy(median_ms: float) -> Latency:
    return dataclasses.replace(latency(median_ms), noisy=f"somebody else was there at {median_ms}")


class Device:
    """It gives these readings, one after another, and fails the test where one more is asked for."""

    def __init__(self, *readings: Reading) -> None:
        self._readings = iter(readings)
        self.asked = 0

    def __call__(self, network: object, images: object, options: Options) -> Latency:
        self.asked += 1
        reading = next(self._readings, None)
        assert reading is not None, "it was measured once too often"
        if isinstance(reading, Exception):
            raise reading
        return reading

    def emptied(self) -> bool:
        return next(self._readings, None) is None


@pytest.fixture(autouse=True)
def _home(one_thread: None) -> None:
    """Of each test's own."""


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Device]]:
    devices: list[Device] = []

    def reading(*readings: Reading, of: object = cpu) -> Device:
        devices.append(Device(*readings))
        monkeypatch.setattr(of, "latency", devices[-1])
        return devices[-1]

    yield reading
    assert all(each.emptied() for each in devices), "it was not measured as often as it should have been"


def phases(seen: list[Progress]) -> set[str]:
    return {progress.phase for progress in seen}


def test_what_is_not_noisy_is_measured_once(device: Callable[..., Device]) -> None:
    device(latency(1.0))
    assert evaluate(job(recipe=ONCE, limits=LIMIT), images=pictures()).latencies == {"cpu": latency(1.0)}


def test_what_is_noisy_is_measured_again_after_the_training(device: Callable[..., Device]) -> None:
    on_cpu, on_the_other = device(noisy(1.5), latency(1.2)), device(latency(4.0), of=cpu_eager)

    def report(progress: Progress) -> None:
        if progress.phase == "training":
            assert (on_cpu.asked, on_the_other.asked) == (1, 1), "within the limit there is no hurry"

    found = evaluate(job(recipe=ONCE, limits=LIMIT, devices=("cpu", "cpu_eager")), report, images=pictures())
    assert found.latencies == {"cpu": latency(1.2), "cpu_eager": latency(4.0)}
    assert found.accuracy is not None


def test_so_it_is_on_every_device(device: Callable[..., Device]) -> None:
    device(latency(1.0))
    device(noisy(4.0), latency(3.0), of=cpu_eager)
    found = evaluate(job(recipe=ONCE, devices=("cpu", "cpu_eager")), images=pictures())
    assert found.latencies == {"cpu": latency(1.0), "cpu_eager": latency(3.0)}


@pytest.mark.parametrize(("before", "after"), [(1.5, 1.3), (1.3, 1.5)])
def test_the_smaller_is_kept_where_both_are_noisy(device: Callable[..., Device], before: float, after: float) -> None:
    device(noisy(before), noisy(after))
    assert evaluate(job(recipe=ONCE, limits=LIMIT), images=pictures()).latencies == {"cpu": noisy(1.3)}


def test_one_that_is_not_noisy_counts_for_more_than_a_smaller_one_that_is(device: Callable[..., Device]) -> None:
    device(noisy(1.1), latency(1.2))
    assert evaluate(job(recipe=ONCE), images=pictures()).latencies == {"cpu": latency(1.2)}


def test_a_busy_host_refuses_nothing(device: Callable[..., Device]) -> None:
    """Measured at once a few times, and a few times more when it is trained: over the limit whenever it is noisy."""
    readings = [noisy(9.0 - number / 10) for number in range(2 * latencies.AGAIN + 1)]
    on_cpu = device(*readings)

    def report(progress: Progress) -> None:
        if progress.phase == "training":
            assert on_cpu.asked == 1 + latencies.AGAIN

    found = evaluate(job(recipe=ONCE, limits=LIMIT), report, images=pictures())
    assert (found.refused, found.latencies) == (None, {"cpu": readings[-1]})
    assert found.accuracy is not None


@pytest.mark.parametrize("within", [latency(1.9), noisy(1.8)])
def test_a_moment_of_quiet_is_enough_to_be_within_the_limit(device: Callable[..., Device], within: Latency) -> None:
    device(noisy(9.0), noisy(8.0), within, *([latency(1.7)] if within.noisy else []))
    found = evaluate(job(recipe=ONCE, limits=LIMIT), images=pictures())
    assert (found.refused, found.accuracy is None) == (None, False)
    assert found.latencies["cpu"].noisy is None


def test_what_is_over_the_limit_on_a_quiet_host_is_refused_before_it_is_trained(
    device: Callable[..., Device],
) -> None:
    device(noisy(9.0), latency(3.0))
    device(of=cpu_eager)
    seen: list[Progress] = []
    found = evaluate(job(limits=LIMIT, devices=("cpu", "cpu_eager")), seen.append, images=pictures())
    assert found.refused == "latency_ms 3 over the limit of 2"
    assert found.latencies == {"cpu": latency(3.0)}
    assert (phases(seen), found.train_seconds) == ({"measuring"}, 0.0)


def test_or_after_it_where_the_host_was_busy_before(device: Callable[..., Device]) -> None:
    device(*[noisy(9.0)] * (1 + latencies.AGAIN), latency(3.0))
    wanted = job(recipe=ONCE, limits=LIMIT, save_weights=True)
    found = evaluate(wanted, images=pictures())
    assert found.refused == "latency_ms 3 over the limit of 2"
    assert found.latencies == {"cpu": latency(3.0)}
    assert (found.accuracy, found.weights) == (None, None)
    assert 0 < found.train_seconds <= found.seconds
    assert Resume(wanted, pictures().info).load() is None, "it is not gone on with"


def test_a_device_that_is_gone_after_the_training_costs_nothing_of_it(
    device: Callable[..., Device], caplog: pytest.LogCaptureFixture
) -> None:
    device(noisy(1.5), DeviceError("its agent went away"))
    with caplog.at_level(logging.WARNING):
        found = evaluate(job(recipe=ONCE), images=pictures())
    assert found.latencies == {"cpu": noisy(1.5)}
    assert found.accuracy is not None
    assert "its noisy latency on cpu is kept: its agent went away" in caplog.text


def test_where_nothing_is_trained_it_is_measured_again_at_once(device: Callable[..., Device]) -> None:
    device(noisy(1.5), noisy(1.4), latency(1.2))
    assert evaluate(job(dataset=None, recipe=None)).latencies == {"cpu": latency(1.2)}
    device(*[noisy(1.5)] * (1 + latencies.AGAIN))
    assert evaluate(job(dataset=None, recipe=None)).latencies == {"cpu": noisy(1.5)}
