"""Optuna's samplers behind the searchers' protocol: the study is in memory, made of what was told."""

import math
import random
import warnings
from collections.abc import Callable, Sequence

try:
    import optuna
    from optuna import samplers as samplers
    from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
    from optuna.exceptions import ExperimentalWarning
    from optuna.study import StudyDirection
    from optuna.trial import FrozenTrial, TrialState, create_trial
except ImportError as error:
    raise ImportError("this searcher needs Optuna: pip install 'nas-service[searchers]'") from error

from nas.networks.architecture import Choices
from nas.searchers import Costed, Outcome, Problem, dice

optuna.logging.set_verbosity(optuna.logging.WARNING)

PATIENCE = 5  # refusals of one proposal that are passed on to the sampler
VAIN_ASKS = 500  # proposals that were never told, after which the study is made anew without them


class OptunaSearcher:
    """Knobs are given to the sampler as places among their choices: as numbers where `ordered`, else as categories.

    `sampler` makes one from a seed, anew for each proposal, so that nothing but the study is remembered. With `through`
    what is told passes through the sampler, which then writes down on the trial what it will need of it. A sampler that
    draws by a trial's number as well gets a study of the `latest` trials alone, made for each proposal. No sampler
    minds a refusal: after some, what it proposed last has knobs drawn anew, more of them the longer that takes. What
    was refused for what it cost is worth less than the worst that was trained before.
    """

    def __init__(
        self,
        problem: Problem,
        sampler: Callable[[int], samplers.BaseSampler],
        *,
        seed: int,
        ordered: bool = False,
        through: bool = False,
        fronts: bool = True,
        latest: int | None = None,
    ) -> None:
        self._problem, self._seed = problem, seed
        self._knobs, self._objective = problem.knobs, problem.objective
        self._sampler, self._through, self._latest = sampler, through, latest
        self._front = fronts and self._objective.form == "front"
        self._distributions: dict[str, BaseDistribution] = {
            knob: IntDistribution(0, len(choices) - 1)
            if ordered or _numbers(choices)
            else CategoricalDistribution(range(len(choices)))
            for knob, choices in self._knobs.items()
        }
        self._places = {knob: {choice: place for place, choice in enumerate(cs)} for knob, cs in self._knobs.items()}
        self._told: list[FrozenTrial] = []
        self._study = self._new_study()
        self._vain = 0
        self._worst = math.inf
        self._refused: Choices = {}

    def ask(self, number: int, pending: Sequence[Choices] | None = None, *, attempt: int = 0) -> Choices:
        draw = dice(self._seed, number, attempt)
        if attempt >= PATIENCE and self._refused:
            return self._problem.within(self._near(self._refused, draw, attempt // PATIENCE), draw, attempt)
        study = self._seeded(draw)
        trial = study.ask(self._distributions)
        study.tell(trial, state=TrialState.FAIL)  # a failed trial is looked at by no sampler
        self._vain += 1
        self._refused = {knob: choices[trial.params[knob]] for knob, choices in self._knobs.items()}
        return dict(self._refused)

    def tell(self, choices: Choices, outcome: Costed | None) -> None:
        if outcome is None:
            return
        if isinstance(outcome, Outcome):
            worth = outcome.accuracy if self._front else self._objective.reward(outcome.accuracy, outcome.cost)
            self._worst = min(self._worst, worth)
        elif self._worst < math.inf:
            worth = outcome.instead(self._worst)
        else:
            return  # nothing yet to compare it with
        params = {knob: places[choices[knob]] for knob, places in self._places.items()}
        values = [worth, *outcome.costs] if self._front else [worth]
        if self._through:
            study = self._seeded(random.Random(f"{self._seed}/told/{len(self._told)}"))
            study.enqueue_trial(params)
            trial = study.ask(self._distributions)
            assert trial.relative_params is not None  # reading it is what makes the sampler write
            self._told.append(study.tell(trial, values))
        else:
            self._told.append(create_trial(params=params, distributions=self._distributions, values=values))
            self._study.add_trial(self._told[-1])

    def _near(self, choices: Choices, draw: random.Random, knobs: int) -> Choices:
        """`choices` with so many knobs drawn anew."""
        changed = draw.sample(list(self._knobs), min(knobs, len(self._knobs)))
        return choices | {knob: draw.choice(self._knobs[knob]) for knob in changed}

    def _seeded(self, draw: random.Random) -> optuna.Study:
        """The study with a new sampler."""
        if self._latest is not None or self._vain > VAIN_ASKS + len(self._told):
            self._study = self._new_study()
            self._study.add_trials(self._told if self._latest is None else self._told[-self._latest :])
            self._vain = 0
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)  # so Optuna calls what it may yet change
            self._study.sampler = self._sampler(draw.randrange(2**32))
        return self._study

    def _new_study(self) -> optuna.Study:
        costs = self._objective.costs if self._front else ()
        directions = [StudyDirection.MAXIMIZE, *(StudyDirection.MINIMIZE for _ in costs)]
        return optuna.create_study(directions=directions)


def _numbers(choices: Sequence[object]) -> bool:
    return all(isinstance(choice, int | float) and not isinstance(choice, bool) for choice in choices)
