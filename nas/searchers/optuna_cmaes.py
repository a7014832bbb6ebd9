"""Optuna's CMA-ES (Hansen & Ostermeier 2001): every knob is taken as a scale of its choices in their order.

Needs the packages optuna and cmaes. It maximises one reward only: for a front, the product.
"""

from nas.extras import require
from nas.searchers import Problem
from nas.searchers._optuna import OptunaSearcher, samplers

LATEST = 200  # two of its generations and more


class Searcher(OptunaSearcher):
    def __init__(self, problem: Problem, *, seed: int) -> None:
        require("this searcher", "searchers", "cmaes")

        def sampler(seed: int) -> samplers.BaseSampler:
            return samplers.CmaEsSampler(seed=seed, warn_independent_sampling=False)

        super().__init__(problem, sampler, seed=seed, ordered=True, through=True, fronts=False, latest=LATEST)
