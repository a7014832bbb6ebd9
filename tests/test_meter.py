"""How latency is metered, on hosts of which some are busy in phases; and who else works meanwhile."""

import itertools
import math
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import pytest

from nas.metering import DeviceError, host, meter, quiet
from nas.metering.meter import FIRST_SECONDS, MOST_SECONDS
from nas.metering.ratio import SCATTER, Round, following, ratio
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


@pytest.fixture(autouse=True)
def patient(hasty: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """No time passes here but that of the hosts below."""
    monkeypatch.setattr(meter, "MOST_SECONDS", MOST_SECONDS)
    monkeypatch.setattr(meter, "FIRST_SECONDS", FIRST_SECONDS)


class Phase(NamedTuple):
    """So long everything takes so many times as long; a network of a kind so many times that."""

    until: float
    slower: float
    kinds: dict[str, float]


class Host:
    """A host on which nothing but its runs lets time pass. It is quiet for a part of the time; in phases of the rest
    everything takes up to 2.3 times as long, each kind of network a little more, or less."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, seed: int = 0, quiet: float = 1.0, kinds: float = 0.03) -> None:
        self.seconds, self._quiet, self._kinds = 0.0, quiet, kinds
        self._draw = random.Random(seed)
        self._phase = Phase(0.0, 1.0, {})
        monkeypatch.setattr(time, "perf_counter", lambda: self.seconds)

    def run(self, milliseconds: float, kind: str = "dense") -> float:
        while self.seconds >= self._phase.until:
            slower = 1.0 if self._draw.random() < self._quiet else self._draw.uniform(1.3, 2.3)
            kinds = {
                name: 1 + (slower > 1) * self._draw.gauss(0, self._kinds) for name in ("dense", "depthwise", "memory")
            }
            self._phase = Phase(self.seconds + 0.05 * 40 ** self._draw.random(), slower, kinds)
        took = milliseconds * self._phase.slower * self._phase.kinds[kind] * (1 + abs(self._draw.gauss(0, 0.01)))
        took += self._draw.expovariate(1.0) if self._draw.random() < 0.01 else 0.0  # an interrupt
        self.seconds += took / 1000
        return took

    def yardstick(self, quiet_ms: float = 0.2) -> meter.Yardstick:
        kinds = (partial(self.run, 0.2, kind) for kind in ("dense", "depthwise", "memory"))
        return meter.Yardstick(*kinds, quiet_ms=quiet_ms)

    def latency(self, milliseconds: float = 0.4, quiet_ms: float = 0.2) -> meter.Times:
        return meter.meter(lambda: self.run(milliseconds, "depthwise"), self.yardstick(quiet_ms))


class Governor:
    """A host whose clock is low until it has worked for a third of a second. It alone lets time pass."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seconds = 0.0
        monkeypatch.setattr(time, "perf_counter", lambda: self.seconds)

    def run(self, milliseconds: float) -> float:
        took = milliseconds * (1 if self.seconds > 1 / 3 else 2)
        self.seconds += took / 1000
        return took


def variation(values: list[float]) -> float:
    return statistics.stdev(values) / statistics.fmean(values)


class TestPhases:
    """Measurements each on a host of its own."""

    def test_on_a_quiet_host_it_takes_a_twentieth_of_a_second(self, monkeypatch: pytest.MonkeyPatch) -> None:
        found = []
        for seed in range(12):
            host = Host(monkeypatch, seed)
            found.append(host.latency())
            assert meter.LEAST_SECONDS < host.seconds < 0.1
        assert variation([times.median_ms for times in found]) < 0.003
        assert all(times.median_ms == pytest.approx(0.4, rel=0.01) for times in found)
        assert all(times.slowdown < 1.02 for times in found)

    def test_a_latency_repeats_where_the_host_does_not(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """What the six fastest rounds alone say errs by tens of percent in half a second of such a host."""
        ours, theirs, seconds = [], [], []
        for seed in range(12):
            host = Host(monkeypatch, seed, quiet=0.4)
            runs = []
            while host.seconds < 0.5:
                runs.append(host.run(0.4, "depthwise"))
            theirs.append(statistics.median(sorted(runs)[:6]))
            before = host.seconds
            ours.append(host.latency().median_ms)
            seconds.append(host.seconds - before)
        assert variation(theirs) > 0.15
        assert variation(ours) < 0.02
        assert max(seconds) > 10 * min(seconds), "as long as it takes"

    @pytest.mark.parametrize("quiet", [1.0, 0.4])
    def test_the_stated_error_is_the_one_that_is_made(self, monkeypatch: pytest.MonkeyPatch, quiet: float) -> None:
        """Two standard errors hold what a quiet host tells in more than 90 of 100."""
        monkeypatch.setattr(meter, "MOST_SECONDS", 0.3)
        times = [Host(monkeypatch, seed, quiet).latency() for seed in range(30)]
        held = [abs(each.median_ms - 0.4) <= 2 * each.error_ms for each in times]
        assert statistics.fmean(held) >= 0.9
        within = [each.error_ms <= meter.WITHIN * each.median_ms for each in times]
        assert all(within) == (quiet == 1)

    def test_a_host_that_is_never_quiet_is_measured_for_three_seconds_and_errs_by_what_it_says(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        host = Host(monkeypatch, quiet=0.0)
        times = host.latency()
        assert meter.MOST_SECONDS <= host.seconds < meter.MOST_SECONDS + 0.1
        assert times.slowdown > 1.25
        assert times.error_ms > meter.WITHIN * times.median_ms
        assert abs(times.median_ms - 0.4) < 2 * times.error_ms
        assert times.minimum_ms > 0.45, "the raw times are kept as they were"

    def test_a_clock_that_stands_or_steps_makes_no_latency_up(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Hours pass in one run, as when the machine is suspended: one long run, and no other time."""
        host = Host(monkeypatch)
        runs = itertools.count()

        def run() -> float:
            took = host.run(0.4, "depthwise")
            if next(runs) == 30:
                host.seconds += 7200.0
                return took + 7.2e6
            return took

        times = meter.meter(run, host.yardstick())
        assert times.median_ms == pytest.approx(0.4, rel=0.02)
        assert math.isfinite(times.error_ms)


class TestRatio:
    def test_it_is_that_of_the_six_fastest_of_both(self) -> None:
        rounds = [Round(4.0, 1.0)] * 6 + [Round(9.0, 2.0)] * 20
        assert ratio(rounds, 1.0)[0::2] == (4.0, 1.0)

    def test_blocks_count_by_how_quiet_they_were(self) -> None:
        """A phase in which the network is slowed more than the yardstick hardly counts, if there is a quiet one."""
        rounds = [Round(4.0, 1.0)] * 48 + [Round(12.0, 2.0)] * 16
        assert ratio(rounds, 1.0).error < meter.WITHIN
        assert ratio([Round(12.0, 2.0)] * 16 + [Round(8.0, 2.0)] * 48, 2.0).error > 0.05

    def test_a_quiet_moment_alone_is_not_believed(self) -> None:
        """The network may have had none of it."""
        assert ratio([Round(9.0, 2.0)] * 70 + [Round(4.0, 1.0)] * 10, 1.0).error > 0.02

    def test_rounds_of_one_phase_are_no_independent_ones(self) -> None:
        """As many that come and go make the ratio well known."""
        together = [Round(4.0, 1.0)] * 100 + [Round(4.4, 1.0)] * 100
        mixed = [Round(4.0, 1.0), Round(4.4, 1.0)] * 100
        believed = SCATTER**2 / (8 * 7)
        assert ratio(mixed, 1.0).error == pytest.approx(math.sqrt(believed))
        assert ratio(together, 1.0).error == pytest.approx(math.sqrt((math.log(1.1) / 2) ** 2 / 7 + believed))

    def test_on_a_slow_host_the_ratio_may_be_another(self) -> None:
        rounds = [Round(4.0, 1.3)] * 20
        assert following(1.3) == pytest.approx(0.15 * (1.3 / 1.02 - 1))
        assert ratio(rounds, 1.0).error == pytest.approx(math.hypot(following(1.3), ratio(rounds, 1.3).error))
        assert following(1.01) == 0.0

    def test_a_host_that_is_seldom_quiet_may_have_hidden_it_from_one_of_them(self) -> None:
        """The fastest of both need not be of the same moments; where a quarter is quiet they are."""
        slow, quiet = [Round(6.0, 1.5)] * 13, [Round(4.0, 1.0)] * 3
        often, seldom = (ratio([*slow, *quiet * times] * 4, math.inf) for times in (3, 1))
        assert seldom[0::2] == often[0::2] == (4.0, 1.0)
        assert seldom.error > following(1.5) > 0.05 > 4 * often.error

    def test_two_rounds_are_enough(self) -> None:
        assert ratio([Round(4.0, 1.0), Round(4.4, 1.0)], math.inf).error > 0


class TestFirst:
    """A measurement that no other was before."""

    def test_a_clock_that_is_yet_to_rise_does_not_pass_for_the_hosts(self, monkeypatch: pytest.MonkeyPatch) -> None:
        host = Governor(monkeypatch)
        times = meter.meter(lambda: host.run(4.0), meter.Yardstick(lambda: host.run(1.0)))
        assert times.median_ms == pytest.approx(4.0)
        assert times.yardstick_ms == pytest.approx(1.0)
        assert times.slowdown == pytest.approx(1.0)
        assert host.seconds > meter.FIRST_SECONDS

    def test_it_does_not_wait_where_the_yardstick_is_known(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Which finds the low clock; then it goes on until that has risen."""
        host = Governor(monkeypatch)
        times = meter.meter(lambda: host.run(4.0), meter.Yardstick(lambda: host.run(1.0), quiet_ms=1.0))
        assert times.median_ms == pytest.approx(4.0)
        assert times.minimum_ms == pytest.approx(4.0)
        assert times.p95_ms == pytest.approx(8.0), "it began at once"
        warm = meter.Yardstick(lambda: host.run(1.0), quiet_ms=1.0)
        before = host.seconds
        meter.meter(lambda: host.run(4.0), warm)
        assert host.seconds - before < 0.2

    def test_a_host_that_stays_slower_than_it_was_known_to_be_says_so(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(meter, "MOST_SECONDS", 0.06)
        times = meter.meter(always(4.0), meter.Yardstick(always(1.0), quiet_ms=0.8))
        assert times.slowdown == pytest.approx(1.25)
        assert (times.ratio, times.yardstick_ms) == (4.0, 0.8)
        assert times.median_ms == pytest.approx(3.2), "as the machine is at its best"
        assert times.error_ms == pytest.approx(3.2 * math.hypot(following(1.25), SCATTER / math.sqrt(56)))


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What has no clock to raise is warm already, and no round follows the eighth."""
    monkeypatch.setattr(meter, "FIRST_SECONDS", 0.0)
    monkeypatch.setattr(meter, "MOST_SECONDS", 0.0)
    monkeypatch.setattr(meter, "LEAST_SECONDS", 0.0)


@pytest.mark.usefixtures("at_once")
class TestMeter:
    def test_statistics(self) -> None:
        series = itertools.cycle([3.0, 1.0, 2.0, 5.0, 4.0])
        times = meter.meter(lambda: next(series), always_the_same(0.25))
        assert (times.median_ms, times.minimum_ms, times.p95_ms) == (1.0, 1.0, 5.0)
        assert (times.ratio, times.yardstick_ms, times.slowdown) == (4.0, 0.25, 1.0)
        assert times.error_ms == pytest.approx(SCATTER / math.sqrt(8 * 7))
        assert times.spread == pytest.approx((4 - 2) / 3, abs=0.01)
        assert times.runs > 100
        assert times.rounds == meter.ROUNDS

    def test_the_yardstick_is_the_geometric_mean_of_its_networks(self) -> None:
        times = meter.meter(always(6.0), meter.Yardstick(always(1.0), always(2.0), always(4.0)))
        assert times.yardstick_ms == pytest.approx(2.0)
        assert times.ratio == pytest.approx(3.0)

    def test_what_it_took_at_best_is_known_to_the_next(self) -> None:
        yardstick = meter.Yardstick(always(1.0), quiet_ms=1.5)
        assert meter.meter(always(3.0), yardstick).slowdown == yardstick.quiet_ms == 1.0

    def test_a_slow_run_is_a_round_by_itself(self, monkeypatch: pytest.MonkeyPatch) -> None:
        host = Host(monkeypatch)
        times = meter.meter(lambda: host.run(meter.SLOW_MS + 1), host.yardstick())
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
