"""A small network for Fashion-MNIST, searched for and trained in the time that five epochs of Keras' GoogLeNet take."""

import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace

from bench import training
from bench._rows import row
from bench.accuracy import IMAGES, RECIPE, Machine, reached, speed
from bench.supernet import MOST_TRIALS, alone, searched
from nas.datasets import ImageSet
from nas.metering import host
from nas.networks.architecture import Choice, Knobs
from nas.networks.counts import counts
from nas.objective import Objective
from nas.plans.search import SearchPlan
from nas.specs import Limits, SearchSpec
from nas.worth import settled

SECONDS = 293  # of a machine that trains `training.PACE` images a second by the naive loop
SEARCHED = 0.3  # of these; the rest is for the one that is chosen
MOST_PARAMS, MOST_MULT_ADDS = 300_000, 7_000_000  # of more multiply-adds the final training would see too few images
# Dense convolutions without gates learn more in the time than others, by the recipe that is theirs.
PLAIN: dict[str, Choice] = {"op": "conv", "expand": 1, "se_ratio": 0.0}
KNOBS: Knobs = {f"stage{stage}.{knob}": (choice,) for stage in (1, 2, 3) for knob, choice in PLAIN.items()}
CANDIDATE_IMAGES = 10_000  # that each is trained on, once


def small(images: ImageSet) -> None:
    """Candidates are scored on held-out training images; the test images are looked at once, by the one that is
    chosen."""
    processors = host.processors()
    factor = training.times_as_slow()
    seconds = factor * SECONDS
    begun = time.perf_counter()
    spec = SearchSpec(
        dataset=images.info.name,
        knobs=dict(KNOBS),
        objective=Objective(target=MOST_MULT_ADDS, w_under=0, w_over=-1),
        limits=Limits(params=MOST_PARAMS, mult_adds=MOST_MULT_ADDS),
        recipe=settled(replace(RECIPE, epochs=1, train_images=CANDIDATE_IMAGES), images.info),
        trials=MOST_TRIALS,
        parallel=processors,
    )
    plan = SearchPlan("bench", spec, spec.trials, IMAGES)
    with ProcessPoolExecutor(processors, initializer=alone) as pool:
        tried = list(searched(pool, plan, lambda: time.perf_counter() - begun < SEARCHED * seconds))
    best = max(tried, key=lambda each: each[1].accuracy or 0.0)[0].architecture
    machine = Machine(time.perf_counter, pace=1, threads=processors)
    pace = speed(best, RECIPE, images, machine)
    left = seconds - (time.perf_counter() - begun)
    score = reached(best, RECIPE, images, left, pace, machine)
    params = counts(best).params
    row(
        f"Fashion-MNIST test accuracy of {params:,} parameters, the best of {len(tried)} candidates, searched for and "
        f"trained in {seconds:.0f} s, which are {SECONDS} s of a machine that is {factor:.2g} times as fast",
        score,
        "of 1",
        target=f"at least 0.94, of at most {MOST_PARAMS:,} parameters",
        holds=score >= 0.94 and params <= MOST_PARAMS,
    )
