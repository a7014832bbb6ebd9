"""Does a latency repeat, and can it be predicted? `python -m bench.latency [--quick] [PART …]`, of repeatability,
coverage, order and predictor; all of them where none is named. Quick is of fewer networks and on ONNX Runtime alone:
some three minutes a part where each latency takes the three seconds of a noisy host, more where its export waits too.

Repeatability: 20 measurements of one network, the host idle and with a training on it that takes its turns with the
meter as ours do, beside the mean of 100 runs after 50 warm-ups in the same state. Coverage: how often the stated error
holds. Order: of networks that differ by 3 %. Predictor: learnt from some networks of the default space, tried on others
that it has not seen. With each the host's own noise: how many times as long as at best the yardstick took.
"""

import argparse
import multiprocessing
import multiprocessing.synchronize
import random
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock

import torch
from torch import nn

from bench._rows import row
from nas import latency_predictor, spaces
from nas.correlation import kendall, spearman
from nas.devices import cpu, cpu_eager, cuda, cuda_graph
from nas.measurements import Latency
from nas.metering import PLAIN, meter, quiet, runtime
from nas.networks.architecture import Images, random_choices
from nas.networks.blocks import network
from nas.networks.lowering import AnyArchitecture
from nas.noise import surest
from nas.zoo import architecture

IMAGES = Images(resolution=28, channels=1, classes=10)
MEASUREMENTS = 20
PEER_WARM_UPS, PEER_RUNS = 50, 100
ORDERED, APART = 20, 0.03
QUIET = 1.03  # times as long as at best: a host that is below it in the median is quiet
# With the variation that is allowed on a noisy host and on a quiet one; where there is no GPU its two are left out.
RUNTIMES = {
    "cpu": (cpu, 0.02, 0.005),
    "cpu_eager": (cpu_eager, 0.04, 0.01),
    "cuda": (cuda, 0.04, 0.01),
    "cuda_graph": (cuda_graph, 0.02, 0.01),
}
SHIFTS = {"cpu": 0.01, "cpu_eager": 0.02, "cuda": 0.02, "cuda_graph": 0.01}


@dataclass(frozen=True, kw_only=True)
class Size:
    """How much is measured: on which runtimes, and how many networks, or how often one."""

    runtimes: tuple[str, ...] = tuple(RUNTIMES)
    covered: int = 100
    candidates: int = 60
    passes: int = 3
    learnt: int = 140
    held: int = 40


QUICK = Size(runtimes=("cpu",), covered=45, candidates=20, passes=2, learnt=36, held=12)


def repeatability(size: Size) -> None:
    model = network(networks(1, seed=1)[0]).eval()
    for name in size.runtimes:
        device, on_noisy, on_quiet = RUNTIMES[name]
        if device.available():
            continue
        device.latency(model, IMAGES)  # imports, and the yardstick's own preparation
        exercised, image = runtime.exercised(model, IMAGES)
        ready = device._prepared(exercised, image, PLAIN)
        ours: dict[str, list[float]] = {}
        peers: dict[str, list[float]] = {}
        for state in ("idle", "training"):
            readings, peers[state] = [], []
            beside = training(gpu=name.startswith("cuda")) if state == "training" else idle()
            with beside, timed() as seconds:
                for _ in range(MEASUREMENTS):  # in turns
                    readings.append(device.latency(model, IMAGES))
                    peers[state].append(_peer(ready.run))
            ours[state] = [own.median_ms for own in readings]
            what = f"{name}, {state}"
            slowdown = _noise(what, readings)
            _beside(
                f"coefficient of variation of {MEASUREMENTS} latencies, {what}",
                _variation(ours[state]),
                _variation(peers[state]),
                on_quiet if slowdown < QUIET else on_noisy,
            )
            target = 0.06 if slowdown < QUIET else 2.0
            spent = statistics.median(seconds)
            row(f"to measure, beyond export, {what}", spent, "s", target=f"at most {target}", holds=spent <= target)
        shift, peer = (abs(_mean(each["training"]) / _mean(each["idle"]) - 1) for each in (ours, peers))
        _beside(f"shift of the mean latency by a training, {name}", shift, peer, SHIFTS[name])


def coverage(size: Size) -> None:
    """The value on a quiet host is taken to be the mean of all, each counted by its error. The network is exported
    once."""
    ready = cpu._prepared(*runtime.exercised(network(networks(1, seed=1)[0]), IMAGES), PLAIN)
    compared = cpu.yardstick()
    readings = [meter.meter(ready.run, compared) for _ in range(size.covered)]
    truth, _ = surest([each.median_ms for each in readings], [each.error_ms for each in readings])
    held = _mean([abs(each.median_ms - truth) <= 2 * (each.error_ms or 0) for each in readings])
    _noise(f"{size.covered} latencies", readings)
    what = f"of {size.covered} latencies, two standard errors hold the mean of all"
    row(what, held, "fraction", target="0.9 to 0.99", holds=0.9 <= held <= 0.99)


def order(size: Size) -> None:
    """What each takes is the mean of some measurements, counted by their errors; it is measured once more then."""
    candidates = [network(each).eval() for each in networks(size.candidates, seed=2)]
    passes = [[cpu.latency(model, IMAGES) for model in candidates] for _ in range(size.passes)]
    known = [surest([each.median_ms for each in its], [each.error_ms for each in its])[0] for its in zip(*passes)]
    apart: list[int] = []
    for place in sorted(range(size.candidates), key=known.__getitem__):
        if len(apart) < ORDERED and (not apart or known[place] >= (1 + APART) * known[apart[-1]]):
            apart.append(place)
    shuffled = random.Random(0).sample(apart, len(apart))
    readings = {place: cpu.latency(candidates[place], IMAGES) for place in shuffled}
    rank = kendall([known[place] for place in apart], [readings[place].median_ms for place in apart])
    assert rank is not None  # no two take the same time
    slowdown = _noise(f"{len(apart)} networks", list(readings.values()))
    target = 1.0 if slowdown < QUIET else 0.9
    what = f"Kendall's rank correlation of {len(apart)} networks {APART:.0%} apart or more"
    row(what, rank, "", target=f"at least {target}", holds=rank >= target)


def predictor(size: Size) -> None:
    candidates = networks(size.learnt + size.held, seed=0)
    readings = [cpu.latency(network(candidate).eval(), IMAGES) for candidate in candidates]
    measured = [(candidate, each.median_ms) for candidate, each in zip(candidates, readings)]
    errors = [each.error for each in readings]
    learnt = latency_predictor.predictor(measured[: size.learnt], errors[: size.learnt])
    unseen = measured[size.learnt :]
    guesses, times = [learnt(candidate) for candidate, _ in unseen], [milliseconds for _, milliseconds in unseen]
    error = _mean([abs(guess / milliseconds - 1) for guess, milliseconds in zip(guesses, times)])
    rank = spearman(guesses, times)
    assert rank is not None  # networks of a space do not all take the same time
    what = f"{size.held} networks of mbconv unseen, {size.learnt} learnt from"
    target = 0.02 if _noise(f"{len(readings)} networks", readings) < QUIET else 0.05
    row(f"mean relative error, {what}", error, "fraction", target=f"at most {target}", holds=error <= target)
    row(f"Spearman's rank correlation, {what}", rank, "", target="at least 0.99", holds=rank >= 0.99)
    row("the error that the predictor itself reports", learnt.error, "fraction")


def _noise(what: str, readings: Sequence[Latency | meter.Times]) -> float:
    """Rows of the host's own noise; the median of how many times as long as at best it took."""
    slowdown = statistics.median(each.slowdown or 1.0 for each in readings)
    row(f"the host, times as long as at best, {what}", slowdown, "times")
    row(f"the largest of it, {what}", max(each.slowdown or 1.0 for each in readings), "times")
    errors = [(each.error_ms or 0.0) / each.median_ms for each in readings]
    row(f"median stated error, {what}", statistics.median(errors), "fraction")
    return slowdown


def _beside(what: str, value: float, peer: float, allowed: float) -> None:
    row(
        what,
        value,
        "fraction",
        peer=f"mean of {PEER_RUNS} runs after {PEER_WARM_UPS} warm-ups",
        peer_value=peer,
        ratio=peer / max(value, 1e-9),
        target=f"at most {allowed}",
        holds=value <= allowed,
    )


def networks(number: int, seed: int) -> list[AnyArchitecture]:
    """Of the default space, at random."""
    space, draw = spaces.load("mbconv"), random.Random(seed)
    knobs = space.knobs(IMAGES)
    return [space.architecture(random_choices(knobs, draw), IMAGES) for _ in range(number)]


@contextmanager
def timed() -> Iterator[list[float]]:
    """The seconds that the meter takes each time meanwhile."""
    seconds: list[float] = []

    def timing(*arguments: Any) -> meter.Times:
        begun = time.perf_counter()
        times = meter.meter(*arguments)
        seconds.append(time.perf_counter() - begun)
        return times

    with mock.patch.object(runtime, "meter", timing):
        yield seconds


@contextmanager
def idle() -> Iterator[None]:
    yield


@contextmanager
def training(gpu: bool) -> Iterator[None]:
    """Another process trains meanwhile, on one thread or on the GPU."""
    context = multiprocessing.get_context("spawn")
    begun = context.Event()
    trainer = context.Process(target=_train, args=(begun, gpu), daemon=True)
    trainer.start()
    if not begun.wait(120):
        raise RuntimeError("the training that is to run beside the meter has not begun within two minutes")
    try:
        yield
    finally:
        trainer.kill()
        trainer.join()


def _train(begun: "multiprocessing.synchronize.Event", gpu: bool) -> None:
    torch.set_num_threads(1)
    torch.set_default_device("cuda" if gpu else "cpu")
    model = network(architecture("LeNet-5")).to("cuda" if gpu else "cpu").train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    images, labels = torch.randn(256, 1, 32, 32), torch.arange(256) % 10
    step = quiet.Step()
    while True:
        with step:
            nn.functional.cross_entropy(model(images), labels).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            optimizer.zero_grad()
        begun.set()


def _peer(run: Callable[[], float]) -> float:
    """Milliseconds, as most measure them."""
    for _ in range(PEER_WARM_UPS):
        run()
    return _mean([run() for _ in range(PEER_RUNS)])


def _variation(values: list[float]) -> float:
    return statistics.stdev(values) / _mean(values)


def _mean(values: list[float]) -> float:
    return statistics.fmean(values)


def main() -> None:
    torch.set_num_threads(1)
    parts = {part.__name__: part for part in (repeatability, coverage, order, predictor)}
    parser = argparse.ArgumentParser(prog="python -m bench.latency", description=__doc__.partition("\n\n")[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(parts)}; all where none is named")
    parser.add_argument("--quick", action="store_true", help="fewer networks, on ONNX Runtime alone")
    options = parser.parse_args()
    if unknown := set(options.parts) - parts.keys():
        parser.error(f"unknown part {min(unknown)!r}: there are {', '.join(parts)}")
    for name in options.parts or parts:
        parts[name](QUICK if options.quick else Size())


if __name__ == "__main__":
    main()
