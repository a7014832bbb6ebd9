"""What one proposal of the default searcher takes in every space: `python -m bench.proposals [--spaces A,B]`.

Seconds of one processor for `ask` and `tell` together, after so many outcomes of networks drawn at random on images of
32 pixels, the median of eleven proposals. Accuracies are made up: they rise with multiply-adds, and with a knob or two.
"""

import argparse
import itertools
import math
import multiprocessing
import random
import statistics
import sys
import time
from concurrent.futures import ProcessPoolExecutor

from bench._rows import row
from nas import plugins, settings
from nas.networks.architecture import Choices, Images, random_choices
from nas.objective import Objective
from nas.plans.problem import problem, searcher
from nas.searchers import Outcome
from nas.specs import SearchSpec

IMAGES = Images(resolution=32, classes=10)
TARGET = 5e6
GOALS = {
    "accuracy × (multiply-adds / 5 M)^-0.07": Objective(target=TARGET),
    "front of accuracy and multiply-adds": Objective(target=TARGET, form="front"),
}
MOST_SECONDS = {100: 0.2, 1000: 1.0}  # outcomes, and what a proposal may take after them
PROPOSALS = 11


def seconds(space: str, objective: Objective, outcomes: int) -> float:
    spec, draw = SearchSpec(dataset="none", space=space, objective=objective), random.Random(outcomes)
    asked = problem(spec, IMAGES)
    proposer = searcher(spec, IMAGES)
    worth = {knob: {choice: draw.gauss(0, 0.2) for choice in choices} for knob, choices in asked.knobs.items()}

    def outcome(choices: Choices) -> Outcome:
        assert asked.cost
        cost = asked.cost(choices)
        merit = 0.3 * math.log(cost / TARGET) + sum(worth[knob][choice] for knob, choice in choices.items())
        return Outcome(accuracy=1 / (1 + math.exp(-1 - merit - draw.gauss(0, 0.1))), error=0.005, cost=cost)

    for _ in range(outcomes):
        choices = random_choices(asked.knobs, draw)
        proposer.tell(choices, outcome(choices))
    taken = []
    for number in range(1 + PROPOSALS):
        begun = time.process_time()
        proposed = proposer.ask(outcomes + number, [])
        between = time.process_time()
        assert proposed
        told = outcome(proposed)
        again = time.process_time()
        proposer.tell(proposed, told)
        taken.append(time.process_time() - again + between - begun)
    return statistics.median(taken[1:])  # before the first one there is what is done once


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.proposals", description=__doc__)
    parser.add_argument("--spaces", default=",".join(plugins.names("search_spaces")))
    parser.add_argument("--outcomes", default=",".join(map(str, MOST_SECONDS)))
    options = parser.parse_args()
    settings.prepare(settings.THREADS)
    rows = itertools.product(options.spaces.split(","), map(int, options.outcomes.split(",")), GOALS)
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as alone:  # in a thread
        for space, outcomes, goal in rows:
            most, took = MOST_SECONDS.get(outcomes), alone.submit(seconds, space, GOALS[goal], outcomes).result()
            row(
                f"{space}, {goal}, a proposal after {outcomes:,} outcomes", took, "seconds of a processor",
                target=None if most is None else f"at most {most:g}",
                holds=None if most is None else took <= most,
            )  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
