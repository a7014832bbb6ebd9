"""How much each knob of a search had to do with reaching the best of what was tried.

Watanabe, Bansal & Hutter 2023, "PED-ANOVA: Efficiently Quantifying Hyperparameter Importance in Arbitrary Subspaces",
by Optuna, an extra that is imported where it is asked for.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nas.extras import missing
from nas.networks.architecture import Choices, Knobs

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

BEST = 0.25  # of the networks, which the others are told apart from
LEAST = 20  # networks: the method wants five among the best


def importances(knobs: Knobs, networks: Sequence[Choices], rewards: Sequence[float]) -> dict[str, float]:
    """Of each of the `knobs` its share, together 1, from networks and their rewards; empty where these are too few, or
    where Optuna is not installed."""
    if len(networks) < LEAST or not knobs or missing("importance", "searchers", "optuna"):
        return {}
    from optuna import create_study, create_trial, logging
    from optuna.distributions import CategoricalDistribution
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
    from optuna.storages import InMemoryStorage

    asked: dict[str, BaseDistribution] = {knob: CategoricalDistribution(choices) for knob, choices in knobs.items()}
    logging.set_verbosity(logging.WARNING)
    study = create_study(storage=InMemoryStorage(), study_name="knobs", direction="maximize")
    study.add_trials(
        create_trial(params={knob: its[knob] for knob in knobs}, distributions=asked, value=reward)
        for its, reward in zip(networks, rewards)
    )
    return get_param_importances(study, evaluator=PedAnovaImportanceEvaluator(target_quantile=BEST))
