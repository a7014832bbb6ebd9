"""How latency is metered, and who else works meanwhile."""

import itertools
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial

import pytest

from nas.devices import cpu, cpu_eager
from nas.metering import DeviceError, Options, host, meter, quiet, runtime
from nas.metering.runtime import exercised
from tests.networks import IMAGES
from tests.waiting import eventually

pytestmark = pytest.mark.usefixtures("own_quiet")


class TestHost:
    def test_who_else_works_is_told_from_what_this_process_does(self) -> None:
        """A process of ours turns in a circle meanwhile, so that somebody does."""
        circle = "print(flush=True)\nwhile True: pass"
        with subprocess.Popen([sys.executable, "-c", circle], stdout=subprocess.PIPE) as other:
            try:
                assert other.stdout
                other.stdout.readline()
                load = host.Load()
                eventually(lambda: (used := load.others()) is None or used > 0.1)
            finally:
                other.kill()

    def test_the_own_work_is_not_somebody_elses(self, monkeypatch: pytest.MonkeyPatch) -> None:
        clock = {"busy": 100.0, "own": 10.0, "wall": 0.0}
        monkeypatch.setattr(host, "_busy_seconds", lambda: clock["busy"])
        monkeypatch.setattr(time, "process_time", lambda: clock["own"])
        monkeypatch.setattr(time, "perf_counter", lambda: clock["wall"])
        load = host.Load()
        clock.update(busy=103.0, own=11.0, wall=4.0)
        assert load.others() == pytest.approx(0.5)
        monkeypatch.setattr(host, "_busy_seconds", lambda: None)
        assert load.others() is None


def always(milliseconds: float) -> Callable[[], float]:
    return lambda: milliseconds


def always_the_same(milliseconds: float) -> meter.Yardstick:
    return meter.Yardstick(always(milliseconds))


class Governor:
    """A host whose clock is low until it has worked for a third of a second. It alone lets time pass."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seconds = 0.0
        monkeypatch.setattr(time, "perf_counter", lambda: self.seconds)

    def run(self, milliseconds: float) -> float:
        took = milliseconds * (1 if self.seconds > 1 / 3 else 2)
        self.seconds += took / 1000
        return took


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What has no clock to raise is warm already."""
    monkeypatch.setattr(meter, "FIRST_SECONDS", 0.0)


class TestFirst:
    """A measurement that no other was before."""

    def test_a_clock_that_is_yet_to_rise_does_not_pass_for_the_hosts(self, monkeypatch: pytest.MonkeyPatch) -> None:
        host = Governor(monkeypatch)
        times = meter.meter(lambda: host.run(4.0), meter.Yardstick(lambda: host.run(1.0)))
        assert (times.median_ms, times.yardstick_ms, times.noisy) == (4.0, 1.0, None)
        assert host.seconds > meter.FIRST_SECONDS

    def test_it_does_not_wait_where_the_yardstick_is_known(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Which finds the low clock; then it goes on until that has risen."""
        host = Governor(monkeypatch)
        times = meter.meter(lambda: host.run(4.0), meter.Yardstick(lambda: host.run(1.0), quiet_ms=1.0))
        assert (times.median_ms, times.noisy) == (4.0, None)
        assert times.minimum_ms < times.p95_ms == 8.0, "it began at once"
        warm = meter.Yardstick(lambda: host.run(1.0), quiet_ms=1.0)
        before = host.seconds
        meter.meter(lambda: host.run(4.0), warm)
        assert host.seconds - before < 0.2

    def test_a_host_that_stays_slower_than_it_was_known_to_be_is_noisy(self, at_once: None) -> None:
        times = meter.meter(always(4.0), meter.Yardstick(always(1.0), quiet_ms=0.9))
        assert times.noisy is not None
        assert times.noisy.startswith("the yardstick took 1.11 times what it took before")


@pytest.mark.usefixtures("at_once")
class TestMeter:
    def test_statistics(self) -> None:
        series = itertools.cycle([3.0, 1.0, 2.0, 5.0, 4.0])
        times = meter.meter(lambda: next(series), always_the_same(0.25))
        assert (times.median_ms, times.minimum_ms, times.p95_ms) == (1.0, 1.0, 5.0)
        assert (times.ratio, times.yardstick_ms, times.noisy) == (4.0, 0.25, None)
        assert times.spread == pytest.approx((4 - 2) / 3)
        assert times.runs > 100

    def test_the_median_is_of_the_six_fastest_rounds(self) -> None:
        fastest = [8.0, 4.0, 40.0, 7.0, 5.0, 3.0, 30.0, 6.0]
        rounds = [meter.Round([9 * each, each, 2 * each], each, each / 2) for each in fastest[:6]]
        rounds += [meter.Round([each] * 2, each, 1.0) for each in fastest[6:]]
        times = meter._times(rounds, quiet_ms=1.0, within=0.01, others=1.25)
        assert (times.median_ms, times.minimum_ms, times.runs, times.rounds) == (5.5, 3.0, 22, 8)
        assert times.ratio == 2.0, "the median of five times 2 and of 6"
        assert times.yardstick_ms == 2.25, "of the six that count"
        assert times.shared
        assert times.noisy == (
            "the 6 fastest of 8 rounds agree to 166.7% only; other programs used 1.2 processors meanwhile"
        )

    def test_unsteady_rounds_are_followed_by_more(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Until six agree, however far off the others are."""
        monkeypatch.setattr(meter, "ROUND_SECONDS", 0.0)
        monkeypatch.setattr(meter, "WARM_UP_SECONDS", 0.0)
        monkeypatch.setattr(meter, "MOST_SECONDS", 600.0)
        steady = meter.meter(always(1.0), always_the_same(1.0))
        assert (steady.rounds, steady.runs) == (meter.ROUNDS, meter.ROUNDS * meter.ROUND_RUNS)
        # One run before the room, one to warm up, then in every other round another program has its turn.
        wild = itertools.chain([1.0] * 2, itertools.cycle([10.0] * meter.ROUND_RUNS + [1.0] * meter.ROUND_RUNS))
        times = meter.meter(partial(next, wild), always_the_same(1.0))
        assert (times.rounds, times.median_ms, times.noisy) == (2 * meter.ROUNDS, 1.0, None)
        assert times.p95_ms == 10.0, "it is seen there"

    @pytest.mark.parametrize(("within", "rounds"), [(0.01, 2 * meter.ROUNDS - 1), (0.02, meter.ROUNDS)])
    def test_they_agree_as_well_as_such_times_can(
        self, within: float, rounds: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(meter, "ROUND_SECONDS", 0.0)
        monkeypatch.setattr(meter, "WARM_UP_SECONDS", 0.0)
        monkeypatch.setattr(meter, "MOST_SECONDS", 600.0)
        rising = itertools.chain([1.0] * 2, itertools.cycle([1.0] * meter.ROUND_RUNS + [1.015] * meter.ROUND_RUNS))
        times = meter.meter(partial(next, rising), always_the_same(1.0), within)
        assert (times.rounds, times.noisy) == (rounds, None)

    def test_torch_alone_may_vary_more(self) -> None:
        built, image = exercised(runtime.yardstick(), IMAGES)
        assert cpu_eager._prepared(built, image, Options()).within == 0.02
        assert cpu._prepared(built, image, Options()).within == 0.01

    def test_what_stays_unsteady_is_called_noisy(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(meter, "MOST_SECONDS", 0.1)
        monkeypatch.setattr(meter, "ROUND_SECONDS", 1e-3)
        growing = (1.001**number for number in itertools.count())
        times = meter.meter(partial(next, growing), always_the_same(1.0))
        assert times.noisy is not None
        assert f"the 6 fastest of {times.rounds} rounds agree to " in times.noisy

    def test_a_host_that_has_become_slower_is_found_by_the_yardstick(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(meter, "MOST_SECONDS", 0.1)
        host = {"slower": 1.0}
        yardstick = meter.Yardstick(lambda: host["slower"])
        assert meter.meter(lambda: 3 * host["slower"], yardstick).noisy is None
        host["slower"] = 1.3
        times = meter.meter(lambda: 3 * host["slower"], yardstick)
        assert str(times.noisy).startswith("the yardstick took 1.30 times what it took before")
        assert times.ratio == pytest.approx(3)
        host["slower"] = 1.04
        assert meter.meter(lambda: 3 * host["slower"], yardstick).noisy is None

    def test_it_waits_for_the_host_to_be_itself_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(meter, "MOST_SECONDS", 600.0)
        monkeypatch.setattr(meter, "ROUND_SECONDS", 0.0)
        monkeypatch.setattr(meter, "WARM_UP_SECONDS", 0.0)
        runs = itertools.count()

        def run() -> float:
            return 1.3 if next(runs) < 2 + 10 * meter.ROUND_RUNS else 1.0

        yardstick = meter.Yardstick(lambda: 1.0)
        meter.meter(always(1.0), yardstick)
        slow = itertools.chain([1.3] * (2 + 10 * meter.ROUND_RUNS), itertools.repeat(1.0))
        yardstick.run = partial(next, slow)
        times = meter.meter(run, yardstick)
        assert (times.median_ms, times.noisy, times.rounds) == (1.0, None, 10 + meter.ROUNDS)

    def test_a_slow_run_is_a_round_by_itself(self) -> None:
        times = meter.meter(always(meter.SLOW_MS + 1), always_the_same(1.0))
        assert times.median_ms == meter.SLOW_MS + 1
        waits = itertools.repeat(meter.SLOW_MS + 1)

        def slow() -> float:
            time.sleep(meter.ROUND_SECONDS)
            return next(waits)

        times = meter.meter(slow, always_the_same(1.0))
        assert times.runs == times.rounds == meter.ROUNDS

    @pytest.mark.parametrize("milliseconds", [0.0, -1.0, float("nan"), float("inf")])
    def test_no_latency_is_made_up(self, milliseconds: float) -> None:
        with pytest.raises(DeviceError, match="no latency can be told from that"):
            meter.meter(always(milliseconds), always_the_same(1.0))
        with pytest.raises(DeviceError, match="no latency can be told from that"):
            meter.meter(always(1.0), always_the_same(milliseconds))

    def test_a_host_that_does_not_get_quiet_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(meter, "measuring", partial(quiet.measuring, 0.01))
        with quiet.Step(), pytest.raises(DeviceError, match="latency was not measured: training on this host"):
            meter.meter(always(1.0), always_the_same(1.0))

    def test_steps_wait_while_it_measures(self) -> None:
        """Every timed run sees the room locked against another measurement, the untimed first one does not."""
        entered = []

        def run() -> float:
            try:
                with quiet.measuring(0.0):
                    entered.append(True)
            except quiet.NotQuiet:
                entered.append(False)
            return 1.0

        times = meter.meter(run, always_the_same(1.0))
        assert entered[0]
        assert not any(entered[1:])
        assert len(entered) >= 1 + times.runs
