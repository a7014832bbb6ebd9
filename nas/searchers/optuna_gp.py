"""Optuna's Gaussian process, which models the reward or, for a front, accuracy and cost alike.

Needs the packages optuna, scipy and torch.
"""

from nas.extras import require
from nas.searchers import Problem
from nas.searchers._optuna import OptunaSearcher, samplers


class Searcher(OptunaSearcher):
    """The first `startup` proposals are random."""

    def __init__(self, problem: Problem, *, seed: int, startup: int = 10) -> None:
        if startup < 1:
            raise ValueError(f"startup {startup} is less than 1")
        require("this searcher", "searchers", "scipy", "torch")

        def sampler(seed: int) -> samplers.BaseSampler:
            return samplers.GPSampler(seed=seed, n_startup_trials=startup)

        super().__init__(problem, sampler, seed=seed)
