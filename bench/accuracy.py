"""Accuracy after so many seconds of wall time: `python -m bench.accuracy`, on the processors that it may use.

A dense network of the block library beside the network of Keras' GoogLeNet example (5,978,554 parameters), trained by
the same loop for the same time, on all processors: as many images as fit, found out by a trial of some seconds, with
the schedule of just that many. The example has no normalisations, which Muon wants, and trains by SGD. Images are
loaded and decoded beforehand; the time counts from the first step to the last.
"""

import argparse
import math
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from bench._parallel import Parallel
from bench._rows import row
from nas import datasets, home, settings, zoo
from nas.datasets import ImageSet
from nas.metering import host
from nas.networks.architecture import Architecture, Images, Stage
from nas.networks.blocks import network
from nas.networks.counts import counts
from nas.networks.lowering import AnyArchitecture
from nas.recipes import RECIPES, Recipe
from nas.training.accuracy import accuracy
from nas.training.data import Batches, View, everything, normalisation
from nas.training.train import Epoch, train

PEER = "GoogLeNet (Keras, Fashion-MNIST 28x28x1, 10 classes)"
TARGETS = {60: 0.930, 180: 0.940}
SHARE = 0.95  # of the time that is planned for; other programs may slow the machine down after the trial
TRIAL_SECONDS = 8
SHORT_TRIAL = 6_400  # images, to find out how many the trial is to have
CPU = torch.device("cpu")
IMAGES = Images(resolution=28, channels=1, classes=10)


def dense(stem: int, *stages: tuple[int, int, int]) -> Architecture:
    """3×3 convolutions throughout, `stages` of (stride, channels, repeats)."""
    return Architecture(
        images=IMAGES,
        stem=stem,
        stem_stride=2,
        stages=tuple(
            Stage(op="conv", kernel=3, stride=stride, expand=1, channels=channels, repeats=repeats)
            for stride, channels, repeats in stages
        ),
        head=0,
    )


NETWORK = dense(24, (1, 32, 1), (2, 56, 2), (2, 112, 2))
RECIPE = RECIPES["dense"]
PEER_RECIPE = Recipe(learning_rate=0.01, warmup=0.1, clip_norm=1.0)


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
    options = parser.parse_args()
    processors = host.processors()
    if options.processor_time:
        machine = Machine(time.process_time, pace=processors, threads=1)
    else:
        machine = Machine(time.perf_counter, pace=1, threads=processors)
    kind = f"{'processor' if options.processor_time else 'wall'} time on {processors} processors"
    images = datasets.load("fashion_mnist", IMAGES.resolution, home.folder("datasets"))
    ours, peer = (NETWORK, RECIPE), (zoo.architecture(PEER, IMAGES), PEER_RECIPE)
    speeds: dict[tuple[AnyArchitecture, Recipe], float] = {}
    for seconds in options.seconds:
        accuracies = []
        for one in (ours,) if options.without_peer else (ours, peer):
            if one not in speeds:
                speeds[one] = speed(*one, images, machine)
            accuracies.append(reached(*one, images, seconds, speeds[one], machine))
        row(
            f"Fashion-MNIST test accuracy of {counts(ours[0]).params:,} parameters after {seconds} s of {kind}",
            accuracies[0],
            "fraction",
            peer=None if options.without_peer else "Keras' GoogLeNet by the same loop",
            peer_value=None if options.without_peer else accuracies[1],
            target=f"at least {TARGETS[seconds]}" if seconds in TARGETS else None,
            holds=accuracies[0] >= TARGETS[seconds] if seconds in TARGETS else None,
        )


@dataclass(frozen=True)
class Machine:
    """`now` counts seconds, of which `pace` pass in one; so many threads train."""

    now: Callable[[], float]
    pace: int
    threads: int


def speed(architecture: AnyArchitecture, recipe: Recipe, images: ImageSet, machine: Machine) -> float:
    """Images a second that are trained on, once all is warm."""

    def of(number: int) -> float:
        _, times = trained(architecture, replace(recipe, epochs=2, train_images=number, clean=0.0), images, machine)
        return number / (times[2] - times[1])

    return of(min(len(images.train_labels), int(TRIAL_SECONDS * machine.pace * of(SHORT_TRIAL))))


def reached(
    architecture: AnyArchitecture, recipe: Recipe, images: ImageSet, seconds: float, rate: float, machine: Machine
) -> float:
    """Test accuracy after a training at `rate` images a second that fits into the time; not a number where it took
    longer."""
    available = seconds * machine.pace
    fitting = SHARE * available * rate
    epochs = math.ceil(fitting / len(images.train_labels))
    recipe = replace(recipe, epochs=epochs, train_images=int(fitting / epochs))
    score, times = trained(architecture, recipe, images, machine)
    took = times[-1] - times[0]
    print(
        f"{counts(architecture).params:,} parameters: {epochs} epochs of {recipe.train_images:,} images "
        f"in {took:.1f} s, test accuracy {score:.4f}",
        file=sys.stderr,
    )
    return score if took <= available else math.nan


def trained(
    architecture: AnyArchitecture, recipe: Recipe, images: ImageSet, machine: Machine
) -> tuple[float, list[float]]:
    """Test accuracy, and the times of the start and of each epoch's end."""
    torch.manual_seed(0)
    built = network(architecture)
    indices = everything(images.train_labels, balanced=recipe.balanced)[: recipe.train_images]
    view = View(IMAGES.resolution, normalisation(images.train_images, indices), CPU)
    batches = Batches(images.train_images, images.train_labels, indices, recipe, view, CPU)
    parallel = Parallel(built, machine.threads)
    times = [machine.now()]

    def mark(epoch: Epoch) -> None:
        times.append(machine.now())

    train(parallel, batches, recipe, seed=0, device=CPU, after_epoch=mark)
    return accuracy(built, images.test_images, images.test_labels, view, CPU), times


if __name__ == "__main__":
    environment = settings.environment(**settings.EVALUATORS)
    if environment != settings.environment():  # they count from the start of a process
        os.execve(sys.executable, sys.orig_argv, environment)
    main()
