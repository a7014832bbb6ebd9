"""Optuna's tree-structured Parzen estimator (Bergstra et al. 2011; Watanabe 2023).

Needs the package optuna.
"""

from nas.searchers import Problem
from nas.searchers._optuna import OptunaSearcher, samplers


class Searcher(OptunaSearcher):
    """The first `startup` proposals are random; `multivariate` models knobs together (0 or 1)."""

    def __init__(self, problem: Problem, *, seed: int, startup: int = 10, multivariate: bool = False) -> None:
        if startup < 1:
            raise ValueError(f"startup {startup} is less than 1")

        def sampler(seed: int) -> samplers.BaseSampler:
            return samplers.TPESampler(seed=seed, n_startup_trials=startup, multivariate=multivariate)

        super().__init__(problem, sampler, seed=seed)
