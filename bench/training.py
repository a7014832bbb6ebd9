"""Training throughput beside a naive loop in the same run: `python -m bench.training`.

The peer is what most tools do: a DataLoader that transforms each image, Adam, eager, single precision, NCHW, on all
processors. Ours is the loop that the service has, one thread a training and a training a processor, as its workers are
started. Both train the same network on the same images; they take turns, and the best round of each counts, because
whatever else a machine does can only slow it down. `--processor-time` is for a machine that is busy with other things:
one training of each, on one thread, by the time that the processor gave it.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from bench.rows import row
from nas.architecture import Architecture, Images, Stage
from nas.blocks import network
from nas.counts import counts
from nas.recipes import Recipe
from nas.training import ALLOCATOR
from nas.training.data import Batches, Normalisation, View
from nas.training.device import alone
from nas.training.train import Epoch, train

TARGET = 2.7
IMAGES, BATCH, ROUNDS = 1_920, 128, 2
CPU = torch.device("cpu")
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
    processors = 1 if processor_time else len(os.sched_getaffinity(0))
    clock = "process_time" if processor_time else "perf_counter"
    params = counts(NETWORK).params
    naive, ours = [], []
    for _ in range(ROUNDS):
        naive += together("naive", clock, 1, {"OMP_NUM_THREADS": str(processors)})
        ours.append(sum(together("ours", clock, processors, {"OMP_NUM_THREADS": "1", **ALLOCATOR})))
    best, peer = max(ours), max(naive)
    row(
        f"training an MBConv network of {params:,} parameters at 28×28 on {processors} processors",
        best,
        "images per second of processor time" if processor_time else "images/s",
        peer="DataLoader with per-image transforms, Adam, eager NCHW",
        peer_value=peer,
        ratio=best / peer,
        target=f"at least {TARGET} times the peer",
        holds=best >= TARGET * peer,
    )


def together(which: str, clock: str, number: int, environment: dict[str, str]) -> list[float]:
    """Images a second of so many trainings side by side, each in a process of its own."""
    command = [sys.executable, "-m", "bench.training", which, clock]
    running = [
        subprocess.Popen(command, env={**os.environ, **environment}, stdout=subprocess.PIPE) for _ in range(number)
    ]
    return [json.loads(process.communicate()[0]) for process in running]


def drawn() -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(0)
    return draw.integers(0, 256, (IMAGES, 1, 28, 28), np.uint8), draw.integers(0, 10, IMAGES)


def ours(now: Callable[[], float]) -> float:
    """Images a second of the second epoch, random crops and flips included."""
    recipe = Recipe(epochs=2, batch=BATCH, crop_pixels=2)
    images, labels = drawn()
    ends: list[float] = []

    def mark(epoch: Epoch) -> None:
        ends.append(now())

    with alone(CPU):
        batches = Batches(images, labels, np.arange(IMAGES), recipe, View(28, PLAIN, CPU), CPU)
        train(network(NETWORK), batches, recipe, seed=0, device=CPU, after_epoch=mark)
    return IMAGES / (ends[1] - ends[0])


class PerImage(Dataset[tuple[torch.Tensor, int]]):
    """Each image cropped, flipped and normalised on its own, as torchvision's transforms are used."""

    def __init__(self) -> None:
        self._images, self._labels = drawn()

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


def naive(now: Callable[[], float]) -> float:
    """Images a second of the second epoch."""
    model, loader = network(NETWORK).train(), DataLoader(PerImage(), BATCH, shuffle=True, drop_last=True)
    optimizer = torch.optim.Adam(model.parameters())
    seconds = 0.0
    for _ in range(2):
        begun = now()
        for images, labels in loader:
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(images), labels).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        seconds = now() - begun
    return len(loader) * BATCH / seconds


if __name__ == "__main__":
    if sys.argv[2:]:
        print(json.dumps({"ours": ours, "naive": naive}[sys.argv[1]](getattr(time, sys.argv[2]))))
    else:
        main("--processor-time" in sys.argv)
