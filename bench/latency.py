"""Does a latency repeat, and can it be predicted? `python -m bench.latency [repeatability] [predictor]`

Repeatability: 20 measurements of one network, the host idle and with a training on it that takes its turns with the
meter as ours do, beside the mean of 100 runs after 50 warm-ups in the same state. Predictor: learnt from some networks
of the default space, tried on others that it has not seen.
"""

import multiprocessing
import multiprocessing.synchronize
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import nn

from bench._rows import row
from nas import devices, latency_predictor, spaces
from nas.correlation import spearman
from nas.devices import cpu, cpu_eager, cuda, cuda_graph
from nas.metering import PLAIN, meter, quiet, runtime
from nas.networks.architecture import Images, random_choices
from nas.networks.blocks import network
from nas.networks.lowering import AnyArchitecture
from nas.zoo import architecture

IMAGES = Images(resolution=28, channels=1, classes=10)
MEASUREMENTS = 20
PEER_WARM_UPS, PEER_RUNS = 50, 100
LEARNT, HELD = 140, 40
# With the variation that is allowed; where there is no GPU its two are left out.
RUNTIMES = {"cpu": (cpu, 0.01), "cpu_eager": (cpu_eager, 0.02), "cuda": (cuda, 0.02), "cuda_graph": (cuda_graph, 0.01)}


def repeatability() -> None:
    architecture = networks(1, seed=1)[0]
    model = network(architecture).eval()
    for name, (device, allowed) in RUNTIMES.items():
        if device.available():
            continue
        device.latency(model, IMAGES)  # imports, and the yardstick's own preparation
        exercised, image = runtime.exercised(model, IMAGES)
        agreement = cuda.AGREEMENT if name.startswith("cuda") else runtime.AGREEMENT
        ready = device._prepared(exercised, image, PLAIN)
        compared = runtime._yardstick(device._prepared, PLAIN, agreement)
        ours: dict[str, list[float]] = {}
        peers: dict[str, list[float]] = {}
        for state in ("idle", "training"):
            with training(gpu=name.startswith("cuda")) if state == "training" else idle():
                pairs = [(device.latency(model, IMAGES), _peer(ready.run)) for _ in range(MEASUREMENTS)]  # in turns
                readings = [own for own, _ in pairs]
                ours[state] = [own.median_ms for own in readings]
                peers[state] = [milliseconds for _, milliseconds in pairs]
                ratios = [each.ratio for each in readings if each.ratio]
                begun = time.perf_counter()
                for _ in range(5):
                    meter.meter(ready.run, compared, ready.within)
                seconds = (time.perf_counter() - begun) / 5
            varies, peer = _variation(ours[state]), _variation(peers[state])
            noisy = sum(each.noisy is not None for each in readings)
            shared = sum(bool(each.shared) for each in readings)
            what = f"{name}, {state}"
            row(
                f"coefficient of variation of {MEASUREMENTS} latencies, {what}",
                varies,
                "fraction",
                peer=f"mean of {PEER_RUNS} runs after {PEER_WARM_UPS} warm-ups",
                peer_value=peer,
                ratio=peer / varies,
                target=f"at most {allowed}",
                holds=varies <= allowed,
            )
            row(f"the same of the ratio to the yardstick, {what}", _variation(ratios), "fraction")
            row(f"of {MEASUREMENTS}, called noisy by the meter itself, {what}", noisy, "measurements")
            row(f"of {MEASUREMENTS}, with other programs on the host, {what}", shared, "measurements")
            target = 0.1
            row(f"to measure, beyond export, {what}", seconds, "s", target=f"at most {target}", holds=seconds <= target)
        shift, peer = (abs(_mean(each["training"]) / _mean(each["idle"]) - 1) for each in (ours, peers))
        row(
            f"shift of the mean latency by a training, {name}",
            shift,
            "fraction",
            peer=f"mean of {PEER_RUNS} runs after {PEER_WARM_UPS} warm-ups",
            peer_value=peer,
            ratio=peer / max(shift, 1e-9),
            target=f"at most {allowed}",
            holds=shift <= allowed,
        )


def predictor() -> None:
    device, options = devices.find("cpu")
    candidates = networks(LEARNT + HELD, seed=0)
    readings = [device.latency(network(candidate).eval(), IMAGES, options) for candidate in candidates]
    measured = [(candidate, each.median_ms) for candidate, each in zip(candidates, readings)]
    learnt = latency_predictor.predictor(measured[:LEARNT])
    unseen = measured[LEARNT:]
    guesses, times = [learnt(candidate) for candidate, _ in unseen], [milliseconds for _, milliseconds in unseen]
    error = _mean([abs(guess / milliseconds - 1) for guess, milliseconds in zip(guesses, times)])
    rank = spearman(guesses, times)
    assert rank is not None  # networks of a space do not all take the same time
    what = f"{HELD} networks of mbconv unseen, {LEARNT} learnt from"
    row(f"mean relative error, {what}", error, "fraction", target="at most 0.05", holds=error <= 0.05)
    row(f"Spearman's rank correlation, {what}", rank, "", target="at least 0.99", holds=rank >= 0.99)
    row("the error that the predictor itself reports", learnt.error, "fraction")
    noisy = sum(each.noisy is not None for each in readings)
    row(f"of {len(readings)}, called noisy by the meter itself", noisy, "measurements")


def networks(number: int, seed: int) -> list[AnyArchitecture]:
    """Of the default space, at random."""
    space, draw = spaces.load("mbconv"), random.Random(seed)
    knobs = space.knobs(IMAGES)
    return [space.architecture(random_choices(knobs, draw), IMAGES) for _ in range(number)]


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
    names = sys.argv[1:] or ["repeatability", "predictor"]
    for name in names:
        {"repeatability": repeatability, "predictor": predictor}[name]()


if __name__ == "__main__":
    main()
