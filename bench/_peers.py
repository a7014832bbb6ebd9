"""Optuna's samplers as their authors ship them where there is a limit: they are told of it as a constraint."""

from collections.abc import Callable, Sequence

import optuna
from optuna.distributions import CategoricalDistribution
from optuna.samplers import BaseSampler, GPSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState, create_trial

from nas.networks.architecture import Choices
from nas.searchers import Costed, Outcome, Problem

optuna.logging.set_verbosity(optuna.logging.WARNING)

CONSTRAINED: dict[str, Callable[[int], BaseSampler]] = {
    "optuna_tpe constrained": lambda seed: TPESampler(seed=seed),
    "optuna_gp constrained": lambda seed: GPSampler(seed=seed),
}


class Constrained:
    """A searcher that maximises accuracy and is told by how much of its target a cost is over it."""

    def __init__(self, problem: Problem, sampler: BaseSampler) -> None:
        self._knobs, self._target = problem.knobs, problem.objective.target
        self._study = optuna.create_study(direction="maximize", sampler=sampler)
        self._distributions = {
            knob: CategoricalDistribution(range(len(choices))) for knob, choices in problem.knobs.items()
        }

    @property
    def trials(self) -> list[FrozenTrial]:
        """What it was told."""
        return self._study.get_trials(states=[TrialState.COMPLETE])

    def ask(self, number: int, pending: Sequence[Choices] | None = None, *, attempt: int = 0) -> Choices:
        trial = self._study.ask(self._distributions)  # type: ignore[arg-type]
        self._study.tell(trial, state=TrialState.FAIL)  # a failed trial is looked at by no sampler
        return {knob: choices[trial.params[knob]] for knob, choices in self._knobs.items()}

    def tell(self, choices: Choices, outcome: Costed | None) -> None:
        assert isinstance(outcome, Outcome)
        self._study.add_trial(
            create_trial(
                params={knob: options.index(choices[knob]) for knob, options in self._knobs.items()},
                distributions=dict(self._distributions),
                value=outcome.accuracy,
                system_attrs={"constraints": [outcome.cost / self._target - 1]},
            )
        )
