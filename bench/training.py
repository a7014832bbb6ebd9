"""Training throughput beside a naive loop in the same run: `python -m bench.training`.

The peer is what most tools do: a DataLoader that transforms each image, Adam, eager, single precision, NCHW, on all
processors. Ours is the loop that the service has, one thread a training and a training a processor, as its workers are
started: so a row is of several trainings side by side, whose images are added up, and another of one alone. All train
the same network on the same images; they take turns, and the best round of each counts, because whatever else a
machine does can only slow it down. Where there is a GPU the same is done there, and with several of our
trainings at a time, as a search has them. `--processor-time` is for a machine that is busy with other things: one
training of each, on one thread, by the time that the processor gave it.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from bench._rows import row
from nas import settings
from nas.metering import host
from nas.networks.architecture import Architecture, Images, Stage
from nas.networks.blocks import network
from nas.networks.counts import counts
from nas.recipes import RECIPES, Recipe
from nas.training.data import Batches, Normalisation, View
from nas.training.device import alone
from nas.training.train import Epoch, train

TARGET = 2.7
IMAGES, EPOCHS = {"cpu": 1_920, "cuda": 51_200}, {"cpu": 2, "cuda": 6}
BATCH, ROUNDS = 128, 2
PACE, PROCESSORS = 979, 2  # images a second by the naive loop, of the machine that seconds of targets are meant of
SIDE_BY_SIDE = 4  # trainings that share a GPU
CANDIDATE = RECIPES["proxy"]
PLAIN = Normalisation(mean=(0.5,), std=(0.25,))
NETWORK = Architecture(
    images=Images(resolution=28, channels=1, classes=10),
    stem=16,
    stem_stride=2,
    stages=tuple(
        Stage(op="mbconv", kernel=3, stride=stride, expand=4, channels=channels, repeats=2)
        for stride, channels in ((1, 24), (2, 40), (2, 56))
    ),
    head=0,
)


def main(processor_time: bool) -> None:
    processors = 1 if processor_time else host.processors()
    clock = "process_time" if processor_time else "perf_counter"
    params = counts(NETWORK).params
    naive, ours, single = [], [], []
    for _ in range(ROUNDS):
        naive += rates(together("naive", "cpu", clock, 1, {"OMP_NUM_THREADS": str(processors)}))
        ours.append(sum(rates(together("ours", "cpu", clock, processors, settings.EVALUATORS))))
        if processors > 1:
            single += rates(together("ours", "cpu", clock, 1, settings.EVALUATORS))
    what = f"an MBConv network of {params:,} parameters at 28×28"
    unit = "images per second of processor time" if processor_time else "images/s"
    loop = f"one DataLoader loop with per-image transforms, Adam, eager NCHW, threads: {processors}"
    trainings = f"{processors} trainings side by side, one thread each" if single else "one training, one thread"
    best, peer = max(ours), max(naive)
    row(
        f"{trainings}, of {what}",
        best,
        unit,
        peer=loop,
        peer_value=peer,
        ratio=best / peer,
        target=f"at least {TARGET} times the peer",
        holds=best >= TARGET * peer,
    )
    if single:
        one = max(single)
        row(f"one training alone, one thread, of {what}", one, unit, peer=loop, peer_value=peer, ratio=one / peer)
    if torch.cuda.is_available() and not processor_time:
        on_gpu(f"{what} on {torch.cuda.get_device_name()}")


def on_gpu(what: str) -> None:
    """The peer's images lie on the GPU, too, as it is the loops that are compared; a candidate is a training by the
    recipe "proxy"."""
    naive, ours, many = [], [], []
    for _ in range(ROUNDS):
        naive += rates(together("naive", "cuda", "perf_counter", 1, {}))
        ours += rates(together("ours", "cuda", "perf_counter", 1, {}))
        several = together("ours", "cuda", "perf_counter", SIDE_BY_SIDE, {})
        # From the first one's begin to the last one's end, as they do not begin at once.
        begin, end = min(each.begin for each in several), max(each.end for each in several)
        many.append(sum(each.images for each in several) / (end - begin))
    best, peer, side_by_side = max(ours), max(naive), max(many)
    eager = "Adam, eager NCHW in single precision, images on the GPU"
    row(f"training {what}", best, "images/s", peer=eager, peer_value=peer, ratio=best / peer)
    candidate = CANDIDATE.least_epochs * (CANDIDATE.train_images or 0) / 60
    row(
        f"{SIDE_BY_SIDE} trainings at a time of {what}",
        side_by_side / candidate,
        "candidates/minute",
        peer=f"one after the other, {eager}",
        peer_value=peer / candidate,
        ratio=side_by_side / peer,
    )


class Trained(NamedTuple):
    """So many images, from begin to end in seconds of a clock that all processes share."""

    images: int
    begin: float
    end: float


def rates(trainings: list[Trained]) -> list[float]:
    return [each.images / (each.end - each.begin) for each in trainings]


def together(which: str, device: str, clock: str, number: int, environment: dict[str, str]) -> list[Trained]:
    """So many trainings side by side, each in a process of its own."""
    command = [sys.executable, "-m", "bench.training", which, device, clock]
    running = [
        subprocess.Popen(command, env=settings.environment(**environment), stdout=subprocess.PIPE)
        for _ in range(number)
    ]
    return [Trained(*json.loads(process.communicate()[0])) for process in running]


def times_as_slow(clock: str = "perf_counter") -> float:
    """How many seconds take the place here of one that a target means, by the naive loop: of the whole machine, or by
    the clock "process_time" of one processor."""
    processors = 1 if clock == "process_time" else host.processors()
    threads = {"OMP_NUM_THREADS": str(processors)}
    rate = max(rate for _ in range(ROUNDS) for rate in rates(together("naive", "cpu", clock, 1, threads)))
    slower = (PACE / PROCESSORS if clock == "process_time" else PACE) / rate
    print(f"naive loop: {rate:.0f} images/s, so that a second is {slower:.2f} here", file=sys.stderr)
    return slower


def drawn(number: int) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(0)
    return draw.integers(0, 256, (number, 1, 28, 28), np.uint8), draw.integers(0, 10, number)


def ours(device: torch.device, now: Callable[[], float]) -> Trained:
    """All epochs but the first, random crops and flips included."""
    number, epochs = IMAGES[device.type], EPOCHS[device.type]
    recipe = Recipe(epochs=epochs, batch=BATCH, shift=0.06)
    images, labels = drawn(number)
    ends: list[float] = []

    def mark(epoch: Epoch) -> None:
        ends.append(now())

    with alone(device):
        batches = Batches(images, labels, np.arange(number), recipe, View(28, PLAIN, device), device)
        train(network(NETWORK).to(device), batches, recipe, seed=0, device=device, after_epoch=mark)
    return Trained(number * (epochs - 1), ends[0], ends[-1])


class PerImage(Dataset[tuple[torch.Tensor, int]]):
    """Each image cropped, flipped and normalised on its own, as torchvision's transforms are used."""

    def __init__(self) -> None:
        self._images, self._labels = drawn(IMAGES["cpu"])

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        image = torch.from_numpy(self._images[index]).float().div(255)
        padded = nn.functional.pad(image, (2, 2, 2, 2))
        top, left = (int(torch.randint(0, 5, ())) for _ in range(2))
        image = padded[:, top : top + 28, left : left + 28]
        if torch.rand(()) < 0.5:
            image = image.flip(-1)
        return (image - 0.5) / 0.25, int(self._labels[index])


def naive(device: torch.device, now: Callable[[], float]) -> Trained:
    """All epochs but the first."""
    model, epochs = network(NETWORK).to(device).train(), EPOCHS[device.type]
    loader = on_device(device) if device.type == "cuda" else DataLoader(PerImage(), BATCH, shuffle=True, drop_last=True)
    optimizer = torch.optim.Adam(model.parameters())
    ends = []
    for _ in range(epochs):
        loss = torch.zeros(())
        for images, labels in loader:
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(images), labels)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        loss.item()  # waits for the GPU
        ends.append(now())
    return Trained(len(loader) * BATCH * (epochs - 1), ends[0], ends[-1])


def on_device(device: torch.device) -> list[tuple[torch.Tensor, torch.Tensor]]:
    images, labels = drawn(IMAGES[device.type])
    ready = (torch.from_numpy(images).to(device).float() / 255 - 0.5) / 0.25
    answers = torch.from_numpy(labels).to(device)
    return [(ready[start : start + BATCH], answers[start : start + BATCH]) for start in range(0, len(ready), BATCH)]


if __name__ == "__main__":
    if sys.argv[3:]:
        which, device, clock = sys.argv[1:]
        print(json.dumps({"ours": ours, "naive": naive}[which](torch.device(device), getattr(time, clock))))
    else:
        parser = argparse.ArgumentParser(prog="python -m bench.training", description=__doc__)
        parser.add_argument("--processor-time", action="store_true", help="by time of a processor, not by the clock")
        main(parser.parse_args().processor_time)
