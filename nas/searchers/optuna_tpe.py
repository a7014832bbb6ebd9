"""Optuna's tree-structured Parzen estimator (Bergstra et al. 2011; Watanabe 2023).

Needs the package optuna.
"""

from nas.networks.architecture import Knobs
from nas.objective import Objective
from nas.searchers import Allowed, Canonical, CostOf
from nas.searchers._optuna import OptunaSearcher, samplers


class Searcher(OptunaSearcher):
    """The first `startup` proposals are random; `multivariate` models knobs together (0 or 1)."""

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
        startup: int = 10,
        multivariate: bool = False,
    ) -> None:
        if startup < 1:
            raise ValueError(f"startup {startup} is less than 1")

        def sampler(seed: int) -> samplers.BaseSampler:
            return samplers.TPESampler(seed=seed, n_startup_trials=startup, multivariate=multivariate)

        super().__init__(knobs, objective, sampler, seed=seed)
