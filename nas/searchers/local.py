"""Local search: move to the first neighbour that is better, a neighbour differing in one knob. Nothing to tune.

White, Nolen, Savani 2021, "Exploring the Loss Landscape in Neural Architecture Search" (UAI), found it hard to beat.
"""

import random
import statistics
from collections.abc import Sequence

from nas.networks.architecture import Choices
from nas.searchers import Costed, Outcome, Problem, dice
from nas.searchers._candidates import Candidates, Code

START = 5  # random networks, the best of which is where it starts
KICK = 3  # knobs that change when every neighbour was tried


class Searcher:
    """Once all neighbours were tried, it goes on from the best network with three knobs changed."""

    def __init__(self, problem: Problem, *, seed: int) -> None:
        self._objective, self._seed = problem.objective, seed
        self._candidates = Candidates(problem)
        self._seen: dict[Code, list[float]] = {}  # the rewards of each network's trainings
        self._asked: dict[Code, None] = {}
        self._outcomes = 0
        self._here: tuple[float, Code] | None = None  # where the search stands: its reward, its network
        self._best: tuple[float, Code] | None = None

    def ask(self, number: int, pending: Sequence[Choices] | None = None, *, attempt: int = 0) -> Choices | None:
        draw = dice(self._seed, number, attempt)
        busy = self._asked if pending is None else [self._candidates.code(choices) for choices in pending]
        code = self._propose(draw, {*self._seen, *busy}, KICK + attempt // 10)
        if code is None:
            return None
        self._asked[code] = None
        return self._candidates.choices(code)

    def tell(self, choices: Choices, outcome: Costed | None) -> None:
        code = self._candidates.code(choices)
        self._asked.pop(code, None)
        rewards = self._seen.setdefault(code, [])
        if isinstance(outcome, Outcome) and rewards:
            rewards.append(self._objective.reward(outcome.accuracy, outcome.cost))
            self._weigh(code)
        elif isinstance(outcome, Outcome):
            self._outcomes += 1
            result = (self._objective.reward(outcome.accuracy, outcome.cost), code)
            rewards.append(result[0])
            self._best = max(result, self._best or result, key=lambda one: one[0])
            # A kick's landing place is taken whatever its reward, else it would fall back at once.
            if self._here is None or result[0] > self._here[0] or self._outcomes <= START:
                self._here = self._best if self._outcomes <= START else result
        if self._here is not None and self._seen.keys() >= set(self._candidates.neighbours(self._here[1])):
            self._here = None

    def _weigh(self, code: Code) -> None:
        """A network that was trained again is worth its mean; where it led and no longer does, the search goes back."""
        assert self._best is not None
        led, mean = self._best[1] == code, statistics.fmean(self._seen[code])
        means = ((statistics.fmean(rewards), other) for other, rewards in self._seen.items() if rewards)
        self._best = max(means, key=lambda one: one[0])
        if self._here is not None and self._here[1] == code:
            self._here = self._best if led else (mean, code)

    def _propose(self, draw: random.Random, taken: set[Code], kick: int) -> Code | None:
        if self._best is None or self._outcomes < START:
            return self._candidates.new(draw, taken)
        if self._here is not None:
            near = [code for code in self._candidates.neighbours(self._here[1]) if code not in taken]
            if near:
                return draw.choice(near)
        return self._candidates.new(draw, taken, near=self._best[1], knobs=kick) or self._candidates.new(draw, taken)
