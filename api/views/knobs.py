"""What the knobs of a search had to do with what became of its networks."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nas.importance import importances
from nas.networks.architecture import Choice, Choices
from nas.networks.architecture import Knobs as Varied
from nas.objective import Objective
from nas.pareto import Point

MOST = 1000  # networks that are looked at


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """A choice of a knob, and the networks that have it."""

    choice: Choice
    """What the knob is set to."""
    networks: int
    """How many have it."""
    value: float
    """The mean of what the metric is of them."""
    cost: float
    """The mean of the cost that the objective names."""
    best: int
    """The number of the one among them with the highest reward."""


@dataclass(frozen=True, kw_only=True)
class Knob:
    """A knob of which several choices were tried."""

    name: str
    """As the space has it."""
    importance: float | None
    """How much it had to do with being among the best quarter of the networks, as a share: those of all knobs add up to
    1. Null before 20 networks have been compared."""
    choices: tuple[Chosen, ...]
    """Those that were tried: numbers by size, words as they came."""


@dataclass(frozen=True, kw_only=True)
class Placed:
    """A network by its choices."""

    number: int
    """The number of its first trial."""
    reward: float
    """What it is worth by the objective."""
    value: float
    """What the metric is of it."""
    cost: float
    """The cost that the objective names."""
    choices: tuple[int, ...]
    """Of each knob, in their order, the place of its choice."""


@dataclass(frozen=True, kw_only=True)
class Knobs:
    """The knobs of a search, the most important first, and its networks by what they chose."""

    objective: Objective
    """What networks are ranked by."""
    device: str
    """The device whose latency it means."""
    measured: int
    """Networks that were compared. Of more than 1,000 as many are looked at, evenly by when they were proposed."""
    knobs: tuple[Knob, ...]
    """The most important first; those of which a single choice was tried are left out."""
    networks: tuple[Placed, ...]
    """The networks that were looked at."""


def looked_at(numbers: Sequence[int]) -> list[int]:
    """Of these trials the ones that are looked at."""
    if len(numbers) <= MOST:
        return list(numbers)
    return [numbers[index * len(numbers) // MOST] for index in range(MOST)]


def view(points: Mapping[int, Point], choices: Mapping[int, Choices], objective: Objective, device: str) -> Knobs:
    """`points` are the cost and the value of each network that was compared; `choices` those of the ones looked at."""
    numbers = [number for number in points if choices.get(number)]
    rewards = {number: objective.reward(points[number][-1], points[number][0]) for number in numbers}
    tried: dict[str, list[Choice]] = {}
    for number in numbers:
        for knob, choice in choices[number].items():
            if choice not in tried.setdefault(knob, []):
                tried[knob].append(choice)
    varied: Varied = {knob: tuple(_in_order(its)) for knob, its in tried.items() if len(its) > 1}
    shares = importances(varied, [choices[number] for number in numbers], [*rewards.values()])
    names = sorted(varied, key=lambda knob: -shares.get(knob, 0.0))
    return Knobs(
        objective=objective,
        device=device,
        measured=len(points),
        knobs=tuple(
            Knob(
                name=name,
                importance=shares.get(name),
                choices=tuple(
                    _chosen(choice, [number for number in numbers if choices[number][name] == choice], points, rewards)
                    for choice in varied[name]
                ),
            )
            for name in names
        ),
        networks=tuple(
            Placed(
                number=number,
                reward=rewards[number],
                value=points[number][-1],
                cost=points[number][0],
                choices=tuple(varied[name].index(choices[number][name]) for name in names),
            )
            for number in numbers
        ),
    )


def _chosen(choice: Choice, numbers: list[int], points: Mapping[int, Point], rewards: Mapping[int, float]) -> Chosen:
    return Chosen(
        choice=choice,
        networks=len(numbers),
        value=statistics.fmean(points[number][-1] for number in numbers),
        cost=statistics.fmean(points[number][0] for number in numbers),
        best=max(numbers, key=rewards.__getitem__),
    )


def _in_order(choices: list[Choice]) -> list[Choice]:
    """Numbers by size, words as they came."""
    return sorted(choices) if all(isinstance(choice, int | float) for choice in choices) else choices
