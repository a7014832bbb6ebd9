"""What becomes of a latency that is not well known: it is measured again, and refuses nothing that its error leaves
open; on a device that says what it is told to."""

import dataclasses
import logging
from collections.abc import Callable, Iterator

import pytest

from nas import latencies
from nas.devices import cpu, cpu_eager
from nas.evaluate import evaluate
from nas.measurements import Latency
from nas.metering import DeviceError, Options
from nas.records import Progress
from nas.specs import Limits
from nas.training.resume import Resume
from tests.pictures import RECIPE, job, pictures
from tests.service import latency

LIMIT = Limits(latency_ms=2.0)
ONCE = dataclasses.replace(RECIPE, epochs=1)

Reading = Latency | Exception


def rough(median_ms: float, error: float = 0.25) -> Latency:
    return dataclasses.replace(latency(median_ms), error_ms=error * median_ms)


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


@pytest.mark.parametrize("known", [latency(1.0), rough(1.0, latencies.ROUGH)])
def test_what_is_well_known_is_measured_once(device: Callable[..., Device], known: Latency) -> None:
    device(known)
    assert evaluate(job(recipe=ONCE, limits=LIMIT), images=pictures()).latencies == {"cpu": known}


def test_what_is_not_is_measured_again_after_the_training(device: Callable[..., Device]) -> None:
    on_cpu, on_the_other = device(rough(1.2), latency(1.1)), device(rough(4.0), rough(3.0, 0.1), of=cpu_eager)

    def report(progress: Progress) -> None:
        if progress.phase == "training":
            assert (on_cpu.asked, on_the_other.asked) == (1, 1), "far from the limit there is no hurry"

    found = evaluate(job(recipe=ONCE, limits=LIMIT, devices=("cpu", "cpu_eager")), report, images=pictures())
    assert found.latencies == {"cpu": latency(1.1), "cpu_eager": rough(3.0, 0.1)}
    assert found.accuracy is not None


@pytest.mark.parametrize("errors", [(0.2, 0.1), (0.1, 0.2)])
def test_of_two_the_one_with_the_smaller_error_counts(
    device: Callable[..., Device], errors: tuple[float, float]
) -> None:
    readings = [rough(1.1, errors[0]), rough(1.0, errors[1])]
    device(*readings)
    found = evaluate(job(recipe=ONCE, limits=LIMIT), images=pictures())
    assert found.latencies == {"cpu": readings[errors.index(0.1)]}


@pytest.mark.parametrize(
    ("within", "again"), [(rough(2.3, 0.1), latencies.AGAIN), (rough(1.8, 0.1), latencies.AGAIN), (rough(1.6, 0.1), 0)]
)
def test_near_the_limit_it_is_measured_at_once_and_refuses_nothing(
    device: Callable[..., Device], within: Latency, again: int
) -> None:
    """Two standard errors leave it open, before the training and after it."""
    on_cpu = device(*[within] * (1 + (2 * again or 1)))

    def report(progress: Progress) -> None:
        if progress.phase == "training":
            assert on_cpu.asked == 1 + again

    found = evaluate(job(recipe=ONCE, limits=LIMIT), report, images=pictures())
    assert (found.refused, found.latencies) == (None, {"cpu": within})
    assert found.accuracy is not None


def test_a_moment_of_quiet_is_enough(device: Callable[..., Device]) -> None:
    device(rough(2.2), rough(2.3), rough(1.9, 0.02))
    found = evaluate(job(recipe=ONCE, limits=LIMIT), images=pictures())
    assert (found.refused, found.latencies) == (None, {"cpu": rough(1.9, 0.02)})


@pytest.mark.parametrize(
    ("readings", "words"),
    [
        ([latency(3.0)], "latency_ms 3 over the limit of 2"),
        ([rough(3.0, 0.15)], "latency_ms 3 ± 0.45 over the limit of 2"),
        ([rough(3.0), rough(2.4, 0.01)], "latency_ms 2.4 ± 0.024 over the limit of 2"),
    ],
)
def test_what_is_over_the_limit_by_more_than_two_errors_is_refused_before_it_is_trained(
    device: Callable[..., Device], readings: list[Latency], words: str
) -> None:
    device(*readings)
    device(of=cpu_eager)
    seen: list[Progress] = []
    found = evaluate(job(limits=LIMIT, devices=("cpu", "cpu_eager")), seen.append, images=pictures())
    assert found.refused == words
    assert found.latencies == {"cpu": readings[-1]}
    assert (phases(seen), found.train_seconds) == ({"measuring"}, 0.0)


def test_or_after_it_where_the_host_was_busy_before(device: Callable[..., Device]) -> None:
    device(*[rough(3.0)] * (1 + latencies.AGAIN), latency(3.0))
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
    device(rough(1.2), DeviceError("its agent went away"))
    with caplog.at_level(logging.WARNING):
        found = evaluate(job(recipe=ONCE), images=pictures())
    assert found.latencies == {"cpu": rough(1.2)}
    assert found.accuracy is not None
    assert "its rough latency on cpu is kept: its agent went away" in caplog.text


def test_where_nothing_is_trained_it_is_measured_again_at_once(device: Callable[..., Device]) -> None:
    device(rough(1.5), rough(1.4), latency(1.2))
    assert evaluate(job(dataset=None, recipe=None)).latencies == {"cpu": latency(1.2)}
    device(*[rough(1.5)] * (1 + latencies.AGAIN))
    assert evaluate(job(dataset=None, recipe=None)).latencies == {"cpu": rough(1.5)}
