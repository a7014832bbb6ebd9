"""Random search: every choice uniform and on its own. The baseline that every other searcher has to beat."""

import random

from nas.architecture import Choices, Knobs
from nas.objective import Objective
from nas.searchers import Canonical, CostOf, Outcome


class Searcher:
    def __init__(
        self,
        knobs: Knobs,
        objective: Objective,
        *,
        seed: int,
        cost: CostOf | None = None,
        canonical: Canonical | None = None,
    ) -> None:
        self._knobs = knobs
        self._seed = seed

    def ask(self, number: int) -> Choices:
        draw = random.Random(f"{self._seed}/{number}")
        return {knob: draw.choice(choices) for knob, choices in self._knobs.items()}

    def tell(self, choices: Choices, outcome: Outcome | None) -> None:
        """Nothing to learn."""
