"""Runs of searchers on a landscape: what each found after every trial, and what that is worth."""

import bisect
import json
import math
import multiprocessing
import random
import statistics
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path

from bench._landscapes import Landscape, synthetic
from bench._peers import CONSTRAINED, Constrained
from bench._tables import table
from nas import plugins
from nas.confirmation import Measured, confirmation
from nas.networks.architecture import Choices
from nas.objective import Objective
from nas.pareto import hypervolume
from nas.searchers import Costed, Earlier, Outcome, Problem, Searcher

Point = tuple[float, float]  # cost and accuracy
COST_RANK = "cost rank"  # no searcher: the most expensive that is allowed comes first
GOALS = ("accuracy", "soft-tight", "soft-loose", "under-tight", "under-loose", "capped", "front")
NO_BEST = ("capped", "front")  # goals of which no network is handed over, nor confirmed
BUDGETS = (25, 50, 100, 200, 400)
ATTEMPTS = 1000
NEAR_FRONT = 0.95  # of the hypervolume


@dataclass(frozen=True, kw_only=True)
class Course:
    """One run to be made: a searcher with a seed on a landscape. `workers` networks are evaluated at a time; up to
    `confirm` of the trials train a leading network once more, as a search's do. `after` is the goal of a search of
    as many trials that has ended, which it learns from."""

    landscape: str
    searcher: str
    goal: str
    filtered: bool
    seed: int
    trials: int
    workers: int = 1
    confirm: int = 0
    after: str = ""

    @property
    def name(self) -> str:
        filtered = f"{self.searcher}, filtered" if self.filtered else self.searcher
        again = f"{filtered}, after a search for {self.after}" if self.after else filtered
        return f"{again}, leads confirmed" if self.confirm else again


@cache
def landscape(name: str) -> Landscape:
    """ "synthetic 2 stages", or the path of a table with its columns behind commas."""
    if name.startswith("synthetic"):
        return synthetic(int(name.split()[1]))
    file, *columns = name.split(",")
    return table(Path(file), *columns)


def objective(goal: str, targets: tuple[float, float]) -> Objective:
    target = targets[0] if goal.endswith("tight") or goal == "capped" else targets[1]
    if goal in ("accuracy", "capped"):
        return Objective(target=target, w_under=0, w_over=0)
    if goal.startswith("under"):
        return Objective(target=target, w_under=0, w_over=-10)
    return Objective(target=target, form="front" if goal == "front" else "product")


class CostRank:
    """Nothing but multiply-adds: the most that are allowed, or for a front spaced evenly on their logarithm."""

    def __init__(self, land: Landscape, goal: str, aim: Objective, trials: int) -> None:
        self._land = land
        costed = sorted((land.cost(choices), number) for number, choices in enumerate(land.networks or ()))
        if goal == "front":
            low, high = costed[0][0], costed[-1][0]
            spaced = [low * (high / low) ** (step / max(1, trials - 1)) for step in range(trials)]
            nearest = [min(costed, key=lambda pair: abs(pair[0] - wanted))[1] for wanted in spaced]
            self._order = list(dict.fromkeys([*nearest, *(number for _, number in costed)]))
        else:
            limit = aim.target if goal.startswith("under") else math.inf
            self._order = [number for cost, number in reversed(costed) if cost <= limit]
        self._next = 0

    def ask(self, number: int, pending: Sequence[Choices] | None = None, *, attempt: int = 0) -> Choices:
        assert self._land.networks
        self._next += 1
        return self._land.networks[self._order[(self._next - 1) % len(self._order)]]

    def tell(self, choices: Choices, outcome: Costed | None) -> None:
        """Nothing to learn."""


@dataclass
class Trail:
    """What a run found: after each trial the cost and the accuracy of what was tried. By trials, the true rewards of
    two networks: `handed` over, as a search does it, and the one that the searcher `believed` best, if it says."""

    points: list[Point]
    handed: dict[int, float]
    believed: dict[int, float]


def follow(course: Course) -> Trail:
    """Make the run. Where the cost is capped it is known of nothing that was not measured, and what is over the cap is
    refused, which costs a trial."""
    return _searched(course)[0]


def _searched(course: Course) -> tuple[Trail, tuple[Earlier, ...]]:
    """The run, and what another can learn from it."""
    earlier = _searched(replace(course, goal=course.after, after=""))[1] if course.after else ()
    land = landscape(course.landscape)
    aim = objective(course.goal, land.targets)
    draw = random.Random(f"{course.seed}/{course.goal}")

    def allowed(choices: Choices) -> float:
        if not land.exists(choices):
            return 1.0
        return max(0.0, land.cost(choices) / aim.target - 1) if course.filtered else 0.0

    if course.searcher == COST_RANK:
        searcher: Searcher = CostRank(land, course.goal, aim, course.trials)
    else:
        problem = Problem(
            knobs=land.knobs,
            objective=aim,
            cost=None if course.goal == "capped" else land.cost,
            canonical=land.canonical,
            allowed=allowed,
            trials=course.trials,
            earlier=earlier,
            wirings=land.wirings,
        )
        if course.searcher in CONSTRAINED:
            searcher = Constrained(problem, CONSTRAINED[course.searcher](course.seed))
        else:
            searcher = plugins.load("nas.searchers", course.searcher).Searcher(problem, seed=course.seed)
    proposed: set[tuple[object, ...]] = set()
    running: list[Choices] = []
    networks: list[Choices] = []  # in the order of their first results
    accuracies: list[list[float]] = []
    trail = Trail([], {}, {})

    def worth(choices: Choices) -> float:
        return true_reward(course.goal, aim, land.cost(choices), land.accuracy(choices))

    def measured() -> list[Measured]:
        return [
            Measured(costs=(land.cost(choices),), accuracies=tuple(results))
            for choices, results in zip(networks, accuracies)
        ]

    while (ended := len(trail.points)) < course.trials:
        while len(running) < min(course.workers, course.trials - ended):
            again = ended - len(networks) + 1 <= course.confirm * (ended + 1) / course.trials
            if again and (doubtful := confirmation(measured(), aim)) is not None:
                running.append(networks[doubtful])
                continue
            for attempt in range(ATTEMPTS):
                asked = searcher.ask(len(proposed), running, attempt=attempt)
                if asked is None:
                    return trail, _outcomes(land, networks, accuracies)  # exhausted
                choices = land.canonical(asked)
                key = tuple(choices[knob] for knob in land.knobs)
                if key not in proposed and not allowed(choices):
                    break
            else:
                return trail, _outcomes(land, networks, accuracies)  # exhausted
            proposed.add(key)
            running.append(choices)
        choices = running.pop(draw.randrange(len(running)))
        cost, accuracy = land.cost(choices), draw.choice(land.trainings(choices))
        load = cost / aim.target if course.goal == "capped" else None
        trail.points.append((cost, land.accuracy(choices)))
        if load is not None and load > 1:
            searcher.tell(choices, Costed(cost=cost, load=load))
            continue
        searcher.tell(choices, Outcome(accuracy=accuracy, error=land.error(accuracy), cost=cost, load=load))
        if choices not in networks:
            networks.append(choices)
            accuracies.append([])
        accuracies[networks.index(choices)].append(accuracy)
        ended = len(trail.points)
        if (ended in BUDGETS or ended == course.trials) and course.goal not in NO_BEST:
            trail.handed[ended] = worth(networks[best_measured(measured(), aim)])
            if hasattr(searcher, "believed"):
                beliefs = zip(networks, searcher.believed(networks))
                rewards = [aim.reward(max(0.0, accuracy), land.cost(choices)) for choices, accuracy in beliefs]
                trail.believed[ended] = worth(networks[max(range(len(networks)), key=rewards.__getitem__)])
    return trail, _outcomes(land, networks, accuracies)


def _outcomes(land: Landscape, networks: list[Choices], accuracies: list[list[float]]) -> tuple[Earlier, ...]:
    return tuple(
        Earlier(choices=choices, accuracy=accuracy, error=land.error(accuracy))
        for choices, results in zip(networks, accuracies)
        for accuracy in results
    )


def best_measured(measured: Sequence[Measured], aim: Objective) -> int:
    """The index of the network that a search hands over: the highest reward by its mean accuracy; of equal ones the
    cheapest, then the earliest (`api.views.search.best`)."""

    def rank(index: int) -> tuple[float, float, int]:
        cost = measured[index].costs[0]
        return aim.reward(statistics.fmean(measured[index].accuracies), cost), -cost, -index

    return max(range(len(measured)), key=rank)


def true_reward(goal: str, aim: Objective, cost: float, accuracy: float) -> float:
    """In points, on the mean over trainings; nothing for what is over a limit."""
    if goal.startswith(("under", "capped")) and cost > aim.target:
        return 0.0
    return 100 * aim.reward(accuracy, cost)


class Yardstick:
    """What a trail is worth: regret in points, or for a front its share of the hypervolume of the best there is.

    Of a space too large to be looked at whole, the best that any of the `trails` found stands for the best there is.
    A front counts up to the largest cost and down to the accuracy that one network in a hundred falls short of.
    """

    def __init__(self, land: Landscape, goal: str, trails: Sequence[Trail]) -> None:
        self._goal, self._aim, self._near = goal, objective(goal, land.targets), land.near
        points = [(land.cost(choices), land.accuracy(choices)) for choices in land.networks or ()]
        points = points or [point for trail in trails for point in trail.points]
        accuracies = sorted(accuracy for _, accuracy in points)
        self._corner = (max(cost for cost, _ in points), accuracies[len(accuracies) // 100])
        self._best = max(true_reward(goal, self._aim, *point) for point in points)
        self._volume = hypervolume(points, self._corner)

    def after(self, trail: Trail, trials: int) -> float:
        points = trail.points[:trials]
        if self._goal == "front":
            return hypervolume(points, self._corner) / self._volume
        return self._best - max(true_reward(self._goal, self._aim, *point) for point in points)

    def regret(self, reward: float) -> float:
        """Of a true reward, in points."""
        return self._best - reward

    def trials_to_near(self, trail: Trail) -> float:
        """Trials until the best is within the landscape's tolerance, or the front has most of the hypervolume; infinite
        where it never was."""
        if self._goal == "front":
            counts = range(1, len(trail.points) + 1)
            place = bisect.bisect_left(counts, NEAR_FRONT, key=lambda trials: self.after(trail, trials))
            return counts[place] if place < len(counts) else math.inf
        for number, point in enumerate(trail.points, 1):
            if self._best - true_reward(self._goal, self._aim, *point) <= 100 * self._near + 1e-9:
                return number
        return math.inf


def trails(wanted: Sequence[Course], jobs: int, keep: Path | None) -> dict[Course, Trail]:
    """Made in `jobs` processes. With `keep`, those that the file holds are not made again, and new ones are added."""
    done: dict[Course, Trail] = {}
    for line in keep.read_text().splitlines() if keep and keep.exists() else ():
        kept = json.loads(line)
        done[Course(**kept["course"])] = Trail(
            [(cost, accuracy) for cost, accuracy in kept["points"]],
            *({int(mark): reward for mark, reward in kept[by].items()} for by in ("handed", "believed")),
        )
    missing = [course for course in wanted if course not in done]
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        futures = {pool.submit(follow, course): course for course in missing}
        for count, future in enumerate(as_completed(futures), 1):
            course, trail = futures[future], future.result()
            done[course] = trail
            if keep:
                with keep.open("a") as file:
                    file.write(json.dumps({"course": asdict(course), **asdict(trail)}) + "\n")
            if sys.stderr.isatty():
                print(f"\r{count}/{len(missing)} {course.name}, {course.goal}\033[K", end="", file=sys.stderr)
    return {course: done[course] for course in wanted}
