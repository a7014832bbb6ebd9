"""Which networks a model-based searcher may propose, as rows of codes with their costs."""

import contextlib
import itertools
import math
import random
from collections.abc import Container, Iterable, Sequence

import numpy as np

from nas.networks.architecture import Choices
from nas.searchers import Problem
from nas.searchers._gaussian_process import Codes, Floats, distances
from nas.searchers._guess import Guess

Code = tuple[int, ...]
ENUMERABLE = 12_000  # a space with no more choices is looked at whole
VAIN_DRAWS = 1000
VAIN_LEADS = 70  # draws, where none is allowed and each is led to what is
FIRST_LOOK = 40  # networks; where fewer than one in 20 of them is allowed, one in 100 of all is led to what is
CHECKS = 32  # networks of a space that is not looked at whole that are counted at a time
MOST_CHECKS = 4 * CHECKS
REMEMBERED = 200_000  # costs of networks, so that memory is bounded


class Candidates:
    """Codes of choices, canonical, allowed and costed; `whole` says whether every one of the space is looked at."""

    def __init__(self, problem: Problem) -> None:
        self._problem, self._knobs = problem, problem.knobs
        self._cost_of, self._canonical, self._allowed = problem.costs, problem.canonical, problem.allowed
        self._place = [{choice: place for place, choice in enumerate(choices)} for choices in self._knobs.values()]
        self._free = [place for place, choices in enumerate(self._knobs.values()) if len(choices) > 1]
        self._sizes = [len(choices) for choices in self._knobs.values()]
        self._costs: dict[Code, tuple[float, ...] | None] = {}
        self._everything: tuple[dict[Code, int], Codes, Floats] | None = None
        self._guess: Guess | None = None
        self.whole = math.prod(self._sizes) <= ENUMERABLE

    def code(self, choices: Choices) -> Code:
        """Of the representative of the networks equal to `choices`."""
        table = self._canonical(choices) if self._canonical else choices
        return tuple(place[table[knob]] for knob, place in zip(self._knobs, self._place))

    def choices(self, code: Sequence[int]) -> Choices:
        return {knob: choices[int(place)] for (knob, choices), place in zip(self._knobs.items(), code)}

    def everything(self) -> list[Code]:
        codes = self._checked(itertools.product(*map(range, self._sizes)))
        self._everything = {code: row for row, code in enumerate(codes)}, *self._arrays(codes)
        return codes

    def drawn(self, draw: random.Random, count: int) -> list[Code]:
        return self._reached(draw, [[draw.randrange(size) for size in self._sizes] for _ in range(count)])

    def neighbours(self, code: Code) -> list[Code]:
        """Everything that is allowed and differs in one knob."""
        return self._checked(self.around(code))

    def around(self, code: Code) -> list[Code]:
        """Everything that differs in one knob, be it allowed or not."""
        return [
            (*code[:place], other, *code[place + 1 :])
            for place in self._free
            for other in range(self._sizes[place])
            if other != code[place]
        ]

    def offspring(self, draw: random.Random, parents: Sequence[Code], count: int) -> list[Code]:
        """Crossings of parents with one to three knobs changed, be they allowed or not."""
        return [tuple(self._child(draw, parents)) for _ in range(count if self._free else 0)]

    def strangers(self, draw: random.Random, count: int) -> list[Code]:
        """Random ones, be they allowed or not."""
        return [tuple(draw.randrange(size) for size in self._sizes) for _ in range(count)]

    def checked(self, draw: random.Random, ranked: Sequence[Code], taken: Container[Code]) -> list[Code]:
        """The first of those `ranked` that are allowed and not `taken`: it takes arithmetic on every network."""
        kept: dict[Code, None] = {}
        for start in range(0, min(len(ranked), MOST_CHECKS), CHECKS):
            kept |= dict.fromkeys(self._reached(draw, ranked[start : start + CHECKS]))
            if sum(code not in taken for code in kept) >= CHECKS // 2:
                break
        return [code for code in kept if code not in taken]

    def new(
        self, draw: random.Random, taken: Container[Code], *, near: Code | None = None, knobs: int = 0
    ) -> Code | None:
        """A random one that is not `taken`, or `near` with so many knobs drawn anew; None after many vain draws."""
        astray = 0  # draws that were not allowed
        for attempt in range(VAIN_DRAWS):
            changed = [draw.randrange(size) for size in self._sizes] if near is None else list(near)
            for place in draw.sample(self._free, min(len(self._free), knobs)):
                changed[place] = draw.randrange(self._sizes[place])
            code = self.code(self.choices(changed))
            if self._known(code) is None:
                astray += 1
                code = self.code(self._problem.within(self.choices(code), draw, astray))
            if code not in taken and self._known(code) is not None:
                return code
            if astray > attempt >= VAIN_LEADS:
                break  # nothing is allowed but what is led there, by much arithmetic
        return None

    def costs(self, code: Code) -> tuple[float, ...]:
        """Of one of these candidates; 1 where one cannot be known before the network is measured."""
        return self._known(code) or tuple(1.0 for _ in self._cost_of)

    def learn_costs(self, sample: Sequence[Code]) -> None:
        """From a sample of the space, what the others cost: see `guessed`."""
        if sample:
            tables = [distances(choices) for choices in self._knobs.values()]
            self._guess = Guess(tables, *self.rows(sample))

    def guessed(self, codes: Sequence[Code]) -> tuple[Codes, Floats]:
        """As `rows`, with costs that are guessed, which takes next to no time."""
        shaped = self._shaped(codes)
        return shaped, self._guess.costs(shaped) if self._guess else np.ones((len(codes), len(self._cost_of)))

    def rows(self, codes: Sequence[Code]) -> tuple[Codes, Floats]:
        """As arrays: a row of codes and a row of costs for each."""
        if self._everything is not None:
            numbers, shaped, costs = self._everything
            with contextlib.suppress(KeyError):  # of what is not allowed, but was told
                indices = [numbers[code] for code in codes]
                return shaped[indices], costs[indices]
        return self._arrays(codes)

    def _arrays(self, codes: Sequence[Code]) -> tuple[Codes, Floats]:
        costs = np.array([self.costs(code) for code in codes]).reshape(len(codes), len(self._cost_of))
        return self._shaped(codes), costs

    def _shaped(self, codes: Sequence[Code]) -> Codes:
        return np.array(codes, dtype=np.intp).reshape(len(codes), len(self._sizes))

    def _child(self, draw: random.Random, parents: Sequence[Code]) -> list[int]:
        child = list(draw.choice(parents))
        if draw.random() < 0.5:
            other = draw.choice(parents)
            child = [mine if draw.random() < 0.5 else theirs for mine, theirs in zip(child, other)]
        for place in draw.sample(self._free, min(len(self._free), draw.randint(1, 3))):
            child[place] = draw.randrange(self._sizes[place])
        return child

    def _reached(self, draw: random.Random, proposals: Sequence[Sequence[int]]) -> list[Code]:
        """Those that are allowed; where hardly any of the first is, what some of them lead to."""
        few = self._checked(proposals[:FIRST_LOOK])
        if 20 * len(few) >= len(proposals[:FIRST_LOOK]):
            return list(dict.fromkeys([*few, *self._checked(proposals[FIRST_LOOK:])]))
        some = proposals[: max(1, len(proposals) // 100)]
        led = (self.code(self._problem.within(self.choices(proposal), draw)) for proposal in some)
        return list(dict.fromkeys([*few, *self._checked(led)]))

    def _checked(self, proposals: Iterable[Sequence[int]]) -> list[Code]:
        codes: dict[Code, None] = {}
        for proposal in proposals:
            code = self.code(self.choices(proposal)) if self._canonical else tuple(proposal)
            if code not in codes and self._known(code) is not None:
                codes[code] = None
        return list(codes)

    def _known(self, code: Code) -> tuple[float, ...] | None:
        """The costs of `code`; None where it is not allowed."""
        if code not in self._costs:
            if len(self._costs) >= REMEMBERED:
                self._costs.clear()
            choices = self.choices(code)
            refused = self._allowed is not None and self._allowed(choices) > 0
            self._costs[code] = None if refused else tuple(of(choices) if of else 1.0 for of in self._cost_of)
        return self._costs[code]
