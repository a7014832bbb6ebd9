"""Random search: every choice uniform and on its own. The baseline that every other searcher has to beat."""

import random
from collections.abc import Sequence

from nas.networks.architecture import Choices, Knobs
from nas.objective import Objective
from nas.searchers import Allowed, Canonical, CostOf, Outcome


class Searcher:
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
    ) -> None:
        self._knobs = knobs
        self._seed = seed

    def ask(self, number: int, pending: Sequence[Choices] | None = None) -> Choices:
        draw = random.Random(f"{self._seed}/{number}")
        return {knob: draw.choice(choices) for knob, choices in self._knobs.items()}

    def tell(self, choices: Choices, outcome: Outcome | None) -> None:
        """Nothing to learn."""
