"""Searchers propose choices and learn from outcomes. One file each, with a class `Searcher` in it.

A searcher knows nothing of training, storage or HTTP, and keeps no state but what it was told: telling a new one the
same outcomes in the same order makes it the same searcher.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from nas.architecture import Choice, Choices, Knobs
from nas.objective import Objective

CostOf: TypeAlias = Callable[[Choices], float]
Canonical: TypeAlias = Callable[[Choices], Choices]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a candidate turned out to be: `accuracy` in [0, 1] and the positive `cost` that the objective names."""

    accuracy: float
    cost: float


class Searcher(Protocol):
    """How a searcher is driven; several may be asked for before anything is told."""

    def ask(self, number: int) -> Choices:
        """Choices for proposal `number`. Randomness is drawn from (seed, number) only."""
        ...

    def tell(self, choices: Choices, outcome: Outcome | None) -> None:
        """What came of `choices`; None: the trial failed."""
        ...


class MakeSearcher(Protocol):
    """The constructor that every searcher's class has; options of its own follow by keyword, each with a default.

    `cost` gives a candidate's exact cost before training where that is possible; `canonical` the one representative of
    all choices that build the same network. Raises ValueError for an option out of range.
    """

    def __call__(
        self,
        knobs: Knobs,
        objective: Objective,
        *,
        seed: int,
        cost: CostOf | None = None,
        canonical: Canonical | None = None,
        **options: Choice,
    ) -> Searcher: ...
