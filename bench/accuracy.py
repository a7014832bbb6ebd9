"""Accuracy after so many seconds of wall time: `python -m bench.accuracy`, on the processors that it may use.

A dense network of the block library beside the network of Keras' GoogLeNet example (5,978,554 parameters), trained by
the same loop and recipe for the same time: as many epochs as fit, found out by a short trial of each, with the schedule
of just that many. Images are loaded and decoded beforehand; the time counts from the first step to the last.
"""

import argparse
import dataclasses
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from bench.rows import row
from nas import datasets, home, zoo
from nas.architecture import Architecture, Images, Stage
from nas.blocks import network
from nas.counts import counts
from nas.datasets import ImageSet
from nas.lowering import AnyArchitecture
from nas.records import Recipe
from nas.training.data import Batches, View, everything, normalisation
from nas.training.score import accuracy
from nas.training.train import Epoch, train

PEER = "GoogLeNet (Keras, Fashion-MNIST 28x28x1, 10 classes)"
TARGETS = {60: 0.930, 180: 0.940}
SHARE = 0.92  # of the time that is planned for; other programs may slow the machine down after the trial
TRIAL_IMAGES = 6_400
CPU = torch.device("cpu")
IMAGES = Images(resolution=28, channels=1, classes=10)
OURS = Architecture(
    images=IMAGES,
    stem=16,
    stem_stride=2,
    stages=tuple(
        Stage(op="conv", kernel=3, stride=stride, expand=1, channels=channels, repeats=repeats)
        for stride, channels, repeats in ((1, 24, 1), (2, 48, 2), (2, 96, 2))
    ),
    head=0,
)
RECIPE = Recipe(learning_rate=0.4, warmup=0.1)
PEER_RATE = 0.01  # it has no normalisations, and diverges at ours


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.accuracy", description=__doc__)
    parser.add_argument("--seconds", type=int, nargs="+", default=list(TARGETS))
    parser.add_argument(
        "--processor-time",
        action="store_true",
        help="count the processor time that such a wall time has on idle processors, on one thread: for a "
        "machine that is busy with other things, where wall time says little and threads wait for each other",
    )
    parser.add_argument("--without-peer", action="store_true", help="the peer takes as long again")
    chosen = parser.parse_args()
    processors = len(os.sched_getaffinity(0))
    torch.set_num_threads(1 if chosen.processor_time else processors)
    clock = Clock(time.process_time, processors) if chosen.processor_time else Clock(time.perf_counter, 1)
    kind = f"{'processor' if chosen.processor_time else 'wall'} time on {processors} processors"
    images = datasets.load("fashion_mnist", IMAGES.resolution, home.folder("datasets"))
    for seconds in chosen.seconds:
        ours = reached(OURS, images, seconds, clock)
        peer = None if chosen.without_peer else reached(zoo.reference(PEER, IMAGES), images, seconds, clock, PEER_RATE)
        row(
            f"Fashion-MNIST test accuracy of {counts(OURS).params:,} parameters after {seconds} s of {kind}",
            ours,
            "fraction",
            peer=None if peer is None else "Keras' GoogLeNet by the same loop",
            peer_value=peer,
            target=f"at least {TARGETS[seconds]}" if seconds in TARGETS else None,
            holds=ours >= TARGETS[seconds] if seconds in TARGETS else None,
        )


@dataclass(frozen=True)
class Clock:
    """`now` counts seconds, of which so many pass in one."""

    now: Callable[[], float]
    pace: int


def reached(
    architecture: AnyArchitecture, images: ImageSet, seconds: float, clock: Clock, rate: float = RECIPE.learning_rate
) -> float:
    """Test accuracy after a training that fits into the time; not a number where it took longer."""
    available = seconds * clock.pace
    begun, ends = clock.now(), list[float]()
    trial = dataclasses.replace(RECIPE, learning_rate=rate, epochs=2, train_images=TRIAL_IMAGES)

    def mark(epoch: Epoch) -> None:
        ends.append(clock.now())

    trained(architecture, images, trial, mark)
    besides = clock.now() - begun - 2 * (ends[1] - ends[0])  # normalisation, a slow first epoch, scoring
    most = (SHARE * available - besides) * TRIAL_IMAGES / (ends[1] - ends[0])  # images
    whole = len(images.train_labels)
    epochs = max(1, int(most / whole))
    recipe = dataclasses.replace(RECIPE, learning_rate=rate, epochs=epochs, train_images=int(min(whole, most / epochs)))
    begun = clock.now()
    found = trained(architecture, images, recipe, ignore)
    took = clock.now() - begun
    print(
        f"{counts(architecture).params:,} parameters: {epochs} epochs of {recipe.train_images:,} images "
        f"in {took:.1f} s, test accuracy {found:.4f}",
        file=sys.stderr,
    )
    return found if took <= available else float("nan")


def trained(architecture: AnyArchitecture, images: ImageSet, recipe: Recipe, after: Callable[[Epoch], None]) -> float:
    """Test accuracy."""
    torch.manual_seed(0)
    built = network(architecture)
    chosen = everything(images.train_labels)[: recipe.train_images]
    view = View(IMAGES.resolution, normalisation(images.train_images, chosen), CPU)
    batches = Batches(images.train_images, images.train_labels, chosen, recipe, view, CPU)
    train(built, batches, recipe, seed=0, device=CPU, after_epoch=after)
    return accuracy(built, images.test_images, images.test_labels, view, CPU)


def ignore(epoch: Epoch) -> None:
    """It ends when it ends."""


if __name__ == "__main__":
    main()
