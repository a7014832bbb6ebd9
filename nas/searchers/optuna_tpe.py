"""Optuna's tree-structured Parzen estimator (Bergstra et al. 2011; Watanabe 2023).

Needs the package optuna.
"""

from nas.searchers import Problem
from nas.searchers._optuna import OptunaSearcher, samplers


class Searcher(OptunaSearcher):
    """The first `startup` proposals are random. `multivariate` 1 models knobs together where Optuna does by default,
    which is with one reward; 0: each on its own."""

    def __init__(self, problem: Problem, *, seed: int, startup: int = 10, multivariate: bool = True) -> None:
        if startup < 1:
            raise ValueError(f"startup {startup} is less than 1")
        together = None if multivariate else False  # None leaves it to Optuna

        def sampler(seed: int) -> samplers.BaseSampler:
            return samplers.TPESampler(seed=seed, n_startup_trials=startup, multivariate=together)

        super().__init__(problem, sampler, seed=seed)
