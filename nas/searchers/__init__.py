"""Searchers propose choices and learn from outcomes. One file each, with a class `Searcher` in it.

A searcher knows nothing of training, storage or HTTP, and keeps no state but what it was told: telling a new one the
same outcomes in the same order makes it the same searcher.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Protocol, TypeAlias

from nas.networks.architecture import Choice, Choices, Knobs
from nas.objective import Objective
from nas.wiring import Wiring

CostOf: TypeAlias = Callable[[Choices], float]
Canonical: TypeAlias = Callable[[Choices], Choices]
Allowed: TypeAlias = Callable[[Choices], float]

REFUSALS = 20  # refused answers to one proposal, after which what is over the limits is led to what is within them


@dataclass(frozen=True, kw_only=True)
class Earlier:
    """What another search found of a network on the same images: its `accuracy`, or what the metric is instead, of
    which `error` is the standard error; `kind` as in Outcome."""

    choices: Choices
    accuracy: float
    error: float = 0.0
    kind: int = 0


@dataclass(frozen=True, kw_only=True)
class Problem:
    """What a searcher is to solve.

    `cost` gives a candidate's exact cost before training where that is possible, `also` its second one. `canonical`
    gives the one representative of all choices that build the same network. `allowed` says by what share of them a
    candidate is over its limits, all those together that are known before training; 0: it is within them. `trials` is
    the budget that the search begins with, `earlier` what is known of networks before it begins, `wirings` the cells
    that the knobs make up.
    """

    knobs: Knobs
    objective: Objective
    cost: CostOf | None = None
    also: CostOf | None = None
    canonical: Canonical | None = None
    allowed: Allowed | None = None
    trials: int | None = None
    earlier: tuple[Earlier, ...] = ()
    wirings: tuple[Wiring, ...] = ()

    @property
    def costs(self) -> tuple[CostOf | None, ...]:
        """One for each cost that the objective names; None where a cost is not known before it is measured."""
        return (self.cost, self.also) if self.objective.also else (self.cost,)

    def within(self, choices: Choices, draw: Random, attempt: int = REFUSALS) -> Choices:
        """`choices`, or where they are over the limits, and so were others for some attempts, what one change after
        another leads to: a knob and a choice that are drawn, and kept unless the excess rises. That is still over the
        limits where no change helps any more.
        """
        if self.allowed is None or attempt < REFUSALS:
            return choices
        changes = [(knob, choice) for knob, options in self.knobs.items() for choice in options]
        over, before = self.allowed(choices), math.inf
        while 0 < over < before:
            before = over
            for knob, choice in draw.sample(changes, len(changes)):
                changed = {**choices, knob: choice}
                if (now := self.allowed(changed)) <= over:  # equal too: many a knob does nothing until another changes
                    choices, over = changed, now
                if not over:
                    break
        return choices


def dice(seed: int, number: int, attempt: int = 0) -> Random:
    """All the randomness of one proposal. Attempts were once numbers over 2^32: old seeds still give old searches."""
    return Random(f"{seed}/{number + attempt * 2**32}")


@dataclass(frozen=True, kw_only=True)
class Costed:
    """What a candidate cost that was refused for it and not trained: the positive `cost` that the objective names,
    `also` the second one, where it names one, and `load`, its share of a limit that only measuring tells, where there
    is one: over 1, it is over the limit. `cost_error` is the relative standard error of what was measured of these; 0:
    nothing is known of it."""

    cost: float
    also: float | None = None
    load: float | None = None
    cost_error: float = 0.0

    def __post_init__(self) -> None:
        for cost in self.costs if self.load is None else (*self.costs, self.load):
            if not 0 < cost < math.inf:
                raise ValueError(f"cost {cost} is not a positive number: tell None for a failed trial")
        if not 0 <= self.cost_error < math.inf:
            raise ValueError(f"cost_error {self.cost_error} is neither 0 nor a positive number")

    @property
    def costs(self) -> tuple[float, ...]:
        """The one cost, or both."""
        return (self.cost,) if self.also is None else (self.cost, self.also)

    def instead(self, worst: float) -> float:
        """The reward of what was refused, to a searcher that learns from rewards alone: less than that of the `worst`
        that was trained, the less the further it is over the limit."""
        return worst - abs(worst) * (1 - 1 / max(1.0, self.load or 1.0))


@dataclass(frozen=True, kw_only=True)
class Outcome(Costed):
    """What a candidate turned out to be: what it cost, and its `accuracy` in [0, 1], or what the objective's metric is
    instead, of which `error` is the standard
    error where it is known; 0: nothing is known of it. `kind` 0: it was trained as what is searched for is. Otherwise a
    number for how it was, the smaller the dearer: accuracies of another kind have a level of their own, and say
    less."""

    accuracy: float
    error: float = 0.0
    kind: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.accuracy <= 1:
            raise ValueError(f"accuracy {self.accuracy} is not between 0 and 1: tell None for a failed trial")
        if not 0 <= self.error < math.inf:
            raise ValueError(f"error {self.error} is neither 0 nor a positive number")


class Searcher(Protocol):
    """How a searcher is driven; several may be asked for before anything is told.

    One that can say what it expects of its proposals declares `expected_gain: float | None` in its class besides: by
    how much the last one will improve on the best so far (reward, or of a front the share of the area under it), which
    is the most that it expects of any network; None where it cannot say yet.
    """

    def ask(self, number: int, pending: Sequence[Choices] | None = None, *, attempt: int = 0) -> Choices | None:
        """Choices for proposal `number`; None: there is no network left. Randomness is drawn from the seed, `number`
        and `attempt` only: so many answers to this proposal were refused, and searchers stray further the more.

        `pending` are the choices that are being evaluated now or were refused; with None a searcher that minds them
        remembers what it proposed and was not told. Who resumes a search gives them: a new searcher cannot know.
        """
        ...

    def tell(self, choices: Choices, outcome: Costed | None) -> None:
        """What came of `choices`: an `Outcome`, or what they cost where they were refused for it; None: the trial
        failed."""
        ...


class MakeSearcher(Protocol):
    """The constructor that every searcher's class has; options of its own follow by keyword, each with a default.

    Raises ValueError for an option out of range, and ImportError naming what to install.
    """

    def __call__(self, problem: Problem, *, seed: int, **options: Choice) -> Searcher: ...
