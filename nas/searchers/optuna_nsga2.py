"""Optuna's NSGA-II (Deb et al. 2002), a genetic algorithm for fronts; with one reward, a plain one.

Needs the package optuna.
"""

import math

from nas.searchers import Problem
from nas.searchers._optuna import OptunaSearcher, samplers


class Searcher(OptunaSearcher):
    """`population` 0 sizes it to the budget: 2·√trials, between 8 and Optuna's own 50."""

    def __init__(self, problem: Problem, *, seed: int, population: int = 0) -> None:
        size = population or min(50, max(8, round(2 * math.sqrt(problem.trials or 100))))
        if size < 2:
            raise ValueError(f"population {population} is less than 2")

        def sampler(seed: int) -> samplers.BaseSampler:
            return samplers.NSGAIISampler(population_size=size, seed=seed)

        super().__init__(problem, sampler, seed=seed, through=True)
