"""Regularized evolution: mutate the best of a random sample, then let the oldest die.

Real, Aggarwal, Huang, Le 2019, "Regularized Evolution for Image Classifier Architecture Search" (AAAI).
"""

import math
import statistics
from collections import deque
from collections.abc import Sequence

from nas.networks.architecture import Choices, random_choices
from nas.searchers import REFUSALS, Costed, Outcome, Problem, dice


class Searcher:
    """`population` living candidates, of which `sample` compete to be the parent; the first proposals are random.

    0 sizes them: the population to 2·√trials, between 8 and the paper's 100, the sample to a quarter of it, as in the
    paper. What failed or was refused takes no place in the population; what is trained again is worth its mean.
    """

    def __init__(self, problem: Problem, *, seed: int, population: int = 0, sample: int = 0) -> None:
        population = population or min(100, max(8, round(2 * math.sqrt(problem.trials or 100))))
        sample = sample or max(2, population // 4)
        if population < 2:
            raise ValueError(f"population {population} is less than 2")
        if not 1 <= sample <= population:
            raise ValueError(f"sample {sample} is not between 1 and the population, {population}")
        self._problem, self._seed, self._sample = problem, seed, sample
        self._living: deque[tuple[list[float], Choices]] = deque(maxlen=population)  # rewards of its trainings

    def ask(self, number: int, pending: Sequence[Choices] | None = None, *, attempt: int = 0) -> Choices:
        draw, knobs = dice(self._seed, number, attempt), self._problem.knobs
        if len(self._living) < (self._living.maxlen or 0):
            return self._problem.within(random_choices(knobs, draw), draw, attempt)
        contest = [draw.choice(self._living) for _ in range(self._sample)]
        child = dict(max(contest, key=lambda candidate: statistics.fmean(candidate[0]))[1])
        mutable = [knob for knob, choices in knobs.items() if len(choices) > 1]
        for knob in draw.sample(mutable, min(len(mutable), 1 + attempt // REFUSALS)):  # one more, the longer it takes
            child[knob] = draw.choice([choice for choice in knobs[knob] if choice != child[knob]])
        return self._problem.within(child, draw, attempt)

    def tell(self, choices: Choices, outcome: Costed | None) -> None:
        if not isinstance(outcome, Outcome):
            return
        reward = self._problem.objective.reward(outcome.accuracy, outcome.cost)
        again = next((rewards for rewards, living in self._living if living == choices), None)
        if again is None:
            self._living.append(([reward], choices))
        else:
            again.append(reward)  # trained once more, it grows no older
