"""Random search: every choice uniform and on its own. The baseline that every other searcher has to beat."""

from collections.abc import Sequence

from nas.networks.architecture import Choices, random_choices
from nas.searchers import Costed, Problem, dice


class Searcher:
    def __init__(self, problem: Problem, *, seed: int) -> None:
        self._problem, self._seed = problem, seed

    def ask(self, number: int, pending: Sequence[Choices] | None = None, *, attempt: int = 0) -> Choices:
        draw = dice(self._seed, number, attempt)
        return self._problem.within(random_choices(self._problem.knobs, draw), draw, attempt)

    def tell(self, choices: Choices, outcome: Costed | None) -> None:
        """Nothing to learn."""
