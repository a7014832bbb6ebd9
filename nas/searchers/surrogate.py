"""A Gaussian process models accuracy alone; cost is known before training, so it is never guessed of what is proposed.
The default.

Each proposal has the largest expected improvement: of the reward, or of the area under the front. A candidate whose
cost is known is uncertain in one number only, which is worth many trials in some spaces and none in others.
"""

import functools
import logging
import random
from collections.abc import Sequence

import numpy as np

from nas.networks.architecture import Choices
from nas.pareto import Point, front, hypervolume
from nas.searchers import Costed, Problem, dice
from nas.searchers._acquisition import hypervolume_improvement, improvement
from nas.searchers._belief import Belief, Known
from nas.searchers._candidates import ENUMERABLE, Candidates, Code
from nas.searchers._features import Features
from nas.searchers._gaussian_process import Codes, Floats, distances

log = logging.getLogger(__name__)

EFFORT = 2e8  # candidates × outcomes² that one proposal may take
SAMPLE = 600  # random networks that stand for a space too large to be looked at whole
PARENTS = 12
LEADERS = 3  # whose neighbours are all looked at
OFFSPRING, STRANGERS = 800, 200  # of which those that promise most are counted, each of which is much arithmetic
FRONT_POINTS = 48
DEAREST = 0.1  # of the networks within a hard target are where the first trials of a search for accuracy lie
SOFT_FIRST = 2  # trials where cost counts in the reward: the model asks better after two than chance does after four
DOUBT = 1.5  # times the model's own deviation where cost counts in the reward: fitted to few outcomes, it is too sure
GLOOM = 1.0  # standard deviations by which a failed network is believed to fall short: what is near it may fail too
MOST_FAILED = 50
FEWEST = 4  # outcomes of earlier searches, with which none of its own is needed to begin with
MOST_EARLIER = 250  # outcomes of earlier searches that are learnt from
BELOW = 0.3  # how much lower, by its height, a front is looked for


class Searcher:
    """`first` trials (0: as many as suit knobs and objective) are chosen by cost and spread before the model speaks.

    Spaces of up to 12,000 choices are looked at whole. Of larger ones many networks around the best and all over the
    space are looked at by what they seem to cost, and few are counted. Networks are ranked by what the model believes
    of them, since a lucky measurement is no proof: see `believed`.
    """

    expected_gain: float | None = None

    def __init__(self, problem: Problem, *, seed: int, first: int = 0) -> None:
        if not 0 <= first <= 1000:
            raise ValueError(f"first {first} is not between 0 and 1000")
        self._problem, self._objective, self._seed = problem, problem.objective, seed
        self._candidates = Candidates(problem)
        self._tables = [distances(choices) for choices in problem.knobs.values()]
        self._terms = functools.lru_cache(maxsize=2 * ENUMERABLE)(problem.objective.terms)
        self._known = [cost is not None for cost in problem.costs]
        self._first = first or (SOFT_FIRST if self._soft else min(10, max(4, len(problem.knobs) // 4)))
        self._seen: set[Code] = set()
        self._failed: list[Code] = []
        self._asked: dict[Code, None] = {}

    def tell(self, choices: Choices, outcome: Costed | None) -> None:
        code = self._candidates.code(choices)
        self._asked.pop(code, None)
        self._seen.add(code)
        if outcome is None:
            if not self._belief.knows(code):  # otherwise it can be trained, and was
                self._failed = [*self._failed, code][-MOST_FAILED:]
        else:
            self._belief.tell(code, outcome)

    def ask(self, number: int, pending: Sequence[Choices] | None = None, *, attempt: int = 0) -> Choices | None:
        busy = list(self._asked) if pending is None else [self._candidates.code(choices) for choices in pending]
        self.expected_gain = None
        code = self._propose(dice(self._seed, number, attempt), list(dict.fromkeys(busy)))
        if code is None:
            return None
        self._asked[code] = None
        return self._candidates.choices(code)

    def believed(self, networks: Sequence[Choices]) -> list[float]:
        """The accuracy that the model expects of each, without the luck of one training; something must be told."""
        codes, costs = self._candidates.rows([self._candidates.code(choices) for choices in networks])
        self._learn([])
        return [float(mean) for mean in self._belief.accuracy(codes, self._belief.costs(codes, costs))]

    @property
    def _soft(self) -> bool:
        """Whether a known cost counts in the reward, above and below the target, so that there is no telling from it
        alone where the best will be."""
        return self._known[0] and self._objective.form != "front" and self._objective.w_under != 0

    @functools.cached_property
    def _pool(self) -> list[Code]:
        """The whole space, or a sample of it, with the cheapest of many where the target is hard to meet."""
        if self._candidates.whole:
            return self._candidates.everything()
        log.info("the space is too large to be looked at whole: proposals are near the best, or of a sample")
        sample = self._candidates.drawn(random.Random(f"{self._seed}/pool"), SAMPLE)
        self._candidates.learn_costs(sample)
        return sample

    @functools.cached_property
    def _largest_costs(self) -> Floats:
        return np.asarray(self._candidates.rows(self._pool)[1].max(axis=0, initial=1.0))

    @functools.cached_property
    def _belief(self) -> Belief:
        codes, costs = self._candidates.rows(self._pool)
        log_costs = [np.log(own) if known and len(own) else None for known, own in zip(self._known, costs.T)]
        wirings = self._problem.wirings
        features = Features(self._problem.knobs, wirings, codes) if wirings and len(codes) else None
        return Belief(self._tables, log_costs, self._earlier, features)

    @property
    def _taught(self) -> bool:
        """Whether what is known before the search begins is as good as an opening."""
        return len(self._earlier) >= max(FEWEST, self._first)

    @functools.cached_property
    def _earlier(self) -> list[Known]:
        """What is known before the search begins; of too much the best half and the latest half."""
        known = []
        for one in self._problem.earlier:
            code = self._candidates.code(one.choices)
            costs = tuple(cost(one.choices) if cost else 1.0 for cost in self._problem.costs)
            known.append(Known(code, costs, one.accuracy, one.error, one.kind))
        if len(known) > MOST_EARLIER:
            order = np.argsort([-self._objective.reward(one.accuracy, one.costs[0]) for one in known], kind="stable")
            kept = {*order[: MOST_EARLIER // 2].tolist(), *range(len(known) - MOST_EARLIER // 2, len(known))}
            known = [one for place, one in enumerate(known) if place in kept]
        return known

    @functools.cached_property
    def _opening(self) -> list[Code]:
        """The first trials: far apart, and where cost alone says that the best will be."""
        objective, pool = self._objective, self._pool
        if self._known[0] and objective.form != "front" and not self._soft:
            costs = {code: self._candidates.costs(code)[0] for code in pool}
            cheap = [code for code in pool if objective.w_over == 0 or costs[code] <= objective.target]
            cheap.sort(key=costs.__getitem__, reverse=True)
            pool = cheap[: max(4 * self._first, round(DEAREST * len(cheap)))] or pool
        codes, known = self._candidates.rows(pool)
        rank = np.argsort(np.argsort(known[:, 0], kind="stable")) / max(1, len(pool) - 1)
        draw = random.Random(f"{self._seed}/opening")
        indices = [draw.randrange(len(pool))] if pool else []
        nearest = np.full(len(pool), np.inf)
        while len(indices) < min(self._first, len(pool)):
            last = indices[-1]
            apart = np.mean([table[own, own[last]] for table, own in zip(self._tables, codes.T)], axis=0)
            nearest = np.minimum(nearest, apart + np.abs(rank - rank[last]))
            nearest[last] = -1.0
            indices.append(int(np.argmax(nearest + [1e-3 * draw.random() for _ in pool])))
        return [pool[index] for index in indices]

    def _propose(self, draw: random.Random, busy: list[Code]) -> Code | None:
        taken = self._seen.union(busy)
        ready = len(self._belief) or (self._taught and all(self._known))
        if not ready or (len(taken) < self._first and not self._taught):
            for code in self._opening:
                if code not in taken:
                    return code
        if not ready:
            return self._cheapest(draw, taken)
        best = self._learn(busy)
        fresh = [code for code in self._pool if code not in taken]
        if not self._candidates.whole:
            fresh = list(dict.fromkeys([*fresh, *self._promising(draw, self._around(draw, best), taken)]))
            scores = self._scores(*self._candidates.rows(fresh))
            leaders = [fresh[index] for index in np.argsort(-scores, kind="stable")[:LEADERS]]
            fresh = list(dict.fromkeys([*leaders, *self._promising(draw, self._near(leaders), taken)]))
        if not fresh:
            return self._anything(draw, taken)
        scores = self._scores(*self._candidates.rows(fresh))
        place = int(np.argmax(scores))
        whole, (worst, floor) = 1.0, self._corner
        if self._objective.form == "front":
            whole = hypervolume(_points(*self._front), (*worst.tolist(), floor))
        self.expected_gain = float(scores[place]) / whole if whole > 0 else None
        return fresh[place]

    def _learn(self, busy: list[Code]) -> list[Code]:
        """Condition the model; the best networks so far, as it believes."""
        _, costs, accuracies = self._belief.told()
        own, measured = len(self._belief), self._rewards(accuracies, costs)
        short = np.repeat([0.0, GLOOM], [len(busy), len(self._failed)])
        self._belief.condition(*self._candidates.rows([*busy, *self._failed]), short, measured)
        codes, costs, _ = self._belief.everything()
        believed = self._belief.accuracy(codes, costs)
        self._front = self._believed_front(costs[:own], believed[:own])
        reached = self._believed_front(costs, believed)[1]
        lowest, highest = float(reached.min()), float(reached.max())
        most = np.maximum(self._largest_costs, costs[:own].max(axis=0, initial=0.0))
        self._corner = (most, lowest - BELOW * (highest - lowest))
        rewards = self._rewards(believed, costs)
        self._best = float(rewards[:own].max() if own else rewards.min())  # what is known of others is yet to be had
        if self._objective.form == "front":
            order = front(_points(costs, believed))
        else:
            order = np.argsort(-rewards, kind="stable")[:PARENTS].tolist()
        return list(dict.fromkeys(tuple(int(place) for place in codes[index]) for index in order))

    def _believed_front(self, costs: Floats, accuracies: Floats) -> tuple[Floats, Floats]:
        kept = front(_points(costs, accuracies))
        if len(kept) > FRONT_POINTS:
            kept = [kept[round(index)] for index in np.linspace(0, len(kept) - 1, FRONT_POINTS)]
        return costs[kept], accuracies[kept]

    def _around(self, draw: random.Random, best: list[Code]) -> list[Code]:
        """Offspring of the best, all that is one change from the best of all, and strangers."""
        return [
            *self._candidates.offspring(draw, best, OFFSPRING),
            *self._near(best[:LEADERS]),
            *self._candidates.strangers(draw, STRANGERS),
        ]

    def _near(self, leaders: Sequence[Code]) -> list[Code]:
        return [code for leader in leaders for code in self._candidates.around(leader)]

    def _promising(self, draw: random.Random, many: list[Code], taken: set[Code]) -> list[Code]:
        """Those of `many` that are worth counting, by costs that are guessed."""
        many = [code for code in dict.fromkeys(many) if code not in taken]
        if not many:
            return []
        scores = self._scores(*self._candidates.guessed(many))
        return self._candidates.checked(draw, [many[index] for index in np.argsort(-scores, kind="stable")], taken)

    def _scores(self, codes: Codes, costs: Floats) -> Floats:
        """Expected improvement; where the candidates are too many, only of those that a first look leaves.

        Times the probability that a limit is kept of which only measuring tells (Gardner et al., Gelbart et al. 2014).
        """
        costs = self._belief.costs(codes, costs)
        within = self._belief.within(codes)
        most = int(EFFORT / self._belief.known**2)
        if len(codes) <= most:
            return self._gain(*self._belief.predict(codes, costs), costs) * within
        mean = self._belief.mean(codes, costs)
        rough = self._gain(mean, np.full(len(mean), self._belief.uncertainty), costs) * within
        kept = np.argsort(-rough, kind="stable")[:most]
        scores = np.full(len(codes), -1.0)
        scores[kept] = self._gain(*self._belief.predict(codes[kept], costs[kept]), costs[kept]) * within[kept]
        return scores

    def _gain(self, mean: Floats, deviation: Floats, costs: Floats) -> Floats:
        if self._objective.form == "front":
            return hypervolume_improvement(mean, deviation, costs, self._front, self._corner)
        terms = np.array([self._terms(cost) for cost in costs[:, 0].tolist()]).reshape(-1, 2)
        if self._soft:
            deviation = DOUBT * deviation
        return improvement(mean, deviation, terms[:, 0], terms[:, 1], self._best)

    def _rewards(self, accuracies: Floats, costs: Floats) -> Floats:
        return np.array([self._objective.reward(*pair) for pair in zip(accuracies.tolist(), costs[:, 0].tolist())])

    def _cheapest(self, draw: random.Random, taken: set[Code]) -> Code | None:
        """Where all that was measured was over a limit, what most likely is not."""
        fresh = [code for code in self._pool if code not in taken]
        if not self._belief.limited or not fresh:
            return self._anything(draw, taken)
        self._belief.condition_costs()
        return fresh[int(np.argmax(self._belief.within(self._candidates.rows(fresh)[0])))]

    def _anything(self, draw: random.Random, taken: set[Code]) -> Code | None:
        if not self._candidates.whole:
            return self._candidates.new(draw, taken)
        fresh = [code for code in self._pool if code not in taken]
        return draw.choice(fresh) if fresh else None


def _points(costs: Floats, accuracies: Floats) -> list[Point]:
    return [(*row, accuracy) for row, accuracy in zip(costs.tolist(), accuracies.tolist())]
