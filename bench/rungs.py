"""What shorter trainings are worth to a search: `python -m bench.rungs --table nb201_mit.npz [--seeds N]`.

Searches of the space nasbench201 for CIFAR-10's accuracies of NAS-Bench-201, by the service's own plan, whose trainings
come from the table (see bench/_tables.py): cost is multiply-adds. With rungs every network is first trained for a third
of the time, and the best third of them again for the whole. What such a short training gives is another column of the
table: the accuracy on CIFAR-100, which ranks the better half of all networks by 0.91 as CIFAR-10's does, or, as the
worst that can be, the accuracy of any other network. What counts is the time, in whole trainings, until a network that
was trained for all of it is near the best.
"""

import argparse
import dataclasses
import functools
import math
import random
import statistics
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Literal

from bench._landscapes import Landscape
from bench._lifts import TABLE_GOALS, WORDS, interval
from bench._rows import row
from bench._searcher_runs import Trail, Yardstick, objective
from bench._tables import table
from nas import settings
from nas.measurements import Measurement
from nas.metering import host
from nas.networks.architecture import Choices, Images
from nas.networks.counts import counts
from nas.plans.search import SearchPlan
from nas.recipes import RECIPES
from nas.specs import Fidelity, SearchSpec
from search_spaces import nasbench201

Short = Literal["none", "telling", "worthless"]
ETA = 3
IMAGES = Images(resolution=32, classes=10)
SHORT: dict[Short, str] = {"telling": "short trainings that tell", "worthless": "short trainings that tell nothing"}


@functools.cache
def landscape(file: Path, images: str) -> Landscape:
    """The table of these images, with multiply-adds for cost."""
    land = table(file, images, "pixel3")
    costs = {tuple(one.values()): _mult_adds(one) for one in land.networks or ()}
    target = statistics.median(costs.values())
    return dataclasses.replace(
        land,
        name="NAS-Bench-201, cifar10, multiply-adds",
        cost=lambda choices: costs[tuple(land.canonical(choices).values())],
        targets=(target, target),
    )


def _mult_adds(choices: Choices) -> float:
    return float(counts(nasbench201.architecture(choices, IMAGES)).mult_adds)


def near(file: Path, searcher: str, goal: str, short: Short, seed: int, most: int) -> float:
    """Whole trainings' time until a network that was trained for all of it is near the best; infinite where none is
    within `most`."""
    land = landscape(file, "cifar10")
    aim = objective(goal, land.targets)
    recipe = dataclasses.replace(RECIPES["short"], epochs=ETA)
    spec = SearchSpec(
        dataset="CIFAR-10", space="nasbench201", searcher=searcher, objective=aim, recipe=recipe, seed=seed,
        trials=10 * most, parallel=1, fidelity=None if short == "none" else Fidelity(eta=ETA, rungs=2),
    )  # fmt: skip
    plan, draw = SearchPlan("bench", spec, spec.trials, IMAGES), random.Random(f"{seed}/{goal}")
    below = landscape(file, "cifar100") if short == "telling" else land
    others = random.Random(seed).sample(land.networks or (), len(land.networks or ()))
    strangers = dict(zip((tuple(one.values()) for one in land.networks or ()), others))
    trail, spent, times = Trail([], {}, {}), 0.0, list[float]()
    yardstick = Yardstick(land, goal, [])
    for number in range(spec.trials):
        job = plan.ask(number)
        if job is None or spent >= most:
            break
        choices = land.canonical(job.choices)
        whole = job.recipe == recipe
        trained = choices if whole or short == "telling" else strangers[tuple(choices.values())]
        accuracy = draw.choice((land if whole else below).trainings(trained))
        spent += 1 if whole else 1 / ETA
        counted = counts(job.architecture)
        plan.tell(job, Measurement(
            params=counted.params, mult_adds=counted.mult_adds, accuracy=accuracy, accuracy_error=land.error(accuracy),
        ))  # fmt: skip
        if whole:
            trail.points.append((land.cost(choices), land.accuracy(choices)))
            times.append(spent)
            if (found := yardstick.trials_to_near(trail)) < math.inf:
                return times[round(found) - 1]
    return math.inf


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.rungs", description=__doc__)
    parser.add_argument("--table", type=Path, required=True, help="the file nb201_mit.npz")
    parser.add_argument("--seeds", type=int, default=30)
    parser.add_argument("--searchers", default="surrogate,optuna_tpe,evolution", help="the default first")
    parser.add_argument("--time", type=int, default=60, help="whole trainings, after which a search ends")
    parser.add_argument("--jobs", type=int, default=host.processors(), help="processes")
    options = parser.parse_args()
    settings.prepare(settings.THREADS)  # the processes are the parallelism
    default, *peers = options.searchers.split(",")
    with ProcessPoolExecutor(options.jobs) as pool:

        def times(searcher: str, goal: str, short: Short) -> list[float]:
            runs = [
                pool.submit(near, options.table, searcher, goal, short, seed, options.time)
                for seed in range(options.seeds)
            ]
            return [min(run.result(), float(options.time)) for run in runs]

        for goal in TABLE_GOALS:
            alone = times(default, goal, "none")
            for short, words in SHORT.items():
                claim = f"NAS-Bench-201, cifar10, {WORDS[goal]}, {words}, {options.seeds} seeds"
                ours = times(default, goal, short)
                _row(claim, ours, f"{default} without", alone)
                for peer in peers:
                    _row(claim, ours, peer, times(peer, goal, short))
    return 0


def _row(claim: str, ours: list[float], peer: str, theirs: list[float]) -> None:
    ratio = statistics.median(theirs) / statistics.median(ours)
    row(
        claim, statistics.median(ours), "whole trainings until near", peer=peer, peer_value=statistics.median(theirs),
        ratio=ratio, interval=interval(ours, theirs), target="no more", holds=ratio >= 1,
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
