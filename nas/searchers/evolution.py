"""Regularized evolution: mutate the best of a random sample, then let the oldest die.

Real, Aggarwal, Huang, Le 2019, "Regularized Evolution for Image Classifier Architecture Search" (AAAI).
"""

import random
from collections import deque

from nas.architecture import Choices, Knobs
from nas.objective import Objective
from nas.searchers import Canonical, CostOf, Outcome


class Searcher:
    """`population` living candidates, of which `sample` compete to be the parent. The first `population` proposals are
    random; a failed candidate takes no place in the population."""

    def __init__(
        self,
        knobs: Knobs,
        objective: Objective,
        *,
        seed: int,
        cost: CostOf | None = None,
        canonical: Canonical | None = None,
        population: int = 20,
        sample: int = 5,
    ) -> None:
        if population < 2:
            raise ValueError(f"population {population} is less than 2")
        if not 1 <= sample <= population:
            raise ValueError(f"sample {sample} is not between 1 and the population, {population}")
        self._knobs = knobs
        self._objective = objective
        self._seed = seed
        self._sample = sample
        self._living: deque[tuple[float, Choices]] = deque(maxlen=population)

    def ask(self, number: int) -> Choices:
        draw = random.Random(f"{self._seed}/{number}")
        if len(self._living) < (self._living.maxlen or 0):
            return {knob: draw.choice(choices) for knob, choices in self._knobs.items()}
        contest = [draw.choice(self._living) for _ in range(self._sample)]
        child = dict(max(contest, key=lambda candidate: candidate[0])[1])
        mutable = [knob for knob, choices in self._knobs.items() if len(choices) > 1]
        if mutable:
            knob = draw.choice(mutable)
            child[knob] = draw.choice([choice for choice in self._knobs[knob] if choice != child[knob]])
        return child

    def tell(self, choices: Choices, outcome: Outcome | None) -> None:
        if outcome is not None:
            self._living.append((self._objective.reward(outcome.accuracy, outcome.cost), choices))
