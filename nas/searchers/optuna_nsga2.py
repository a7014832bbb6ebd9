"""Optuna's NSGA-II (Deb et al. 2002), a genetic algorithm for fronts; with one reward, a plain one.

Needs the package optuna.
"""

import math

from nas.networks.architecture import Knobs
from nas.objective import Objective
from nas.searchers import Allowed, Canonical, CostOf
from nas.searchers._optuna import OptunaSearcher, samplers


class Searcher(OptunaSearcher):
    """`population` 0 sizes it to the budget: 2·√trials, between 8 and Optuna's own 50."""

    def __init__(
        self,
        knobs: Knobs,
        objective: Objective,
        *,
        seed: int,
        cost: CostOf | None = None,
        also: CostOf | None = None,
        canonical: Canonical | None = None,
        allowed: Allowed | None = None,
        trials: int | None = None,
        population: int = 0,
    ) -> None:
        size = population or min(50, max(8, round(2 * math.sqrt(trials or 100))))
        if size < 2:
            raise ValueError(f"population {population} is less than 2")

        def sampler(seed: int) -> samplers.BaseSampler:
            return samplers.NSGAIISampler(population_size=size, seed=seed)

        super().__init__(knobs, objective, sampler, seed=seed, through=True)
