"""The candidates of a fit: factors on depth, width and resolution that all make about twice as dear a network."""

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from nas.networks.counts import counts
from nas.networks.lowering import AnyArchitecture
from nas.networks.members import member, named
from nas.networks.scaling import DOUBLED, CompoundScaling, grid
from nas.refusal import Refusal, between, positive

MOST_CANDIDATES = 190
MOST_TIMED = 40  # networks that are measured, to find those of twice the latency


@dataclass(frozen=True, kw_only=True)
class Fit:
    """A grid of factors to fit to a network, as EfficientNet's were (Tan & Le 2019): alpha on depth, beta on width and
    gamma on resolution, at phi 1."""

    __pydantic_config__: ClassVar[Mapping[str, str]] = {"extra": "forbid"}

    cost: Literal["formula", "mult_adds", "latency_ms"] = "formula"
    """What is to be twice as much as before. "formula": alpha · beta² · gamma². "mult_adds": the multiply-adds of the
    network that comes out, which rounding changes. "latency_ms": the latency on the first device; up to 40 networks of
    the grid are measured for it, those first whose multiply-adds are nearest to twice as many, and the others are
    skipped."""
    step: float = 0.1
    """The step from one factor of the grid to the next, from 1 on."""
    tolerance: float = 0.1
    """How far from twice the cost may be, as a part of it."""
    least_gain: float | None = None
    """A candidate is skipped where a model of those that were scored expects of none that is left that it raises the
    best score by so much, as by 0.001. Null: all are trained."""

    def __post_init__(self) -> None:
        between(self, "step", 0.02, 1)
        between(self, "tolerance", 0.001, 0.5)
        positive(self, "least_gain")

    @property
    def timed(self) -> bool:
        """Whether only measurements tell which candidates are dear enough."""
        return self.cost == "latency_ms"

    def near(self, times: float) -> bool:
        """Whether a cost that is so many times the network's own is about twice that."""
        return abs(times / DOUBLED - 1) <= self.tolerance

    def candidates(self, architecture: AnyArchitecture) -> dict[str, tuple[str, ...]]:
        """The members to train, or to measure, and the names of others that come out as the same network: the published
        factors, then the grid. Raises ValueError for a network that cannot be scaled, and for a grid with none or too
        many."""
        return dict(_candidates(self, architecture))


@functools.lru_cache(maxsize=64)  # whoever shows a fit asks again and again
def _candidates(fit: Fit, architecture: AnyArchitecture) -> tuple[tuple[str, tuple[str, ...]], ...]:
    names = dict.fromkeys((named(CompoundScaling()), *map(named, _grid(fit, architecture))))
    networks: dict[AnyArchitecture, list[str]] = {}
    for name in names:
        networks.setdefault(member(architecture, name), []).append(name)
    if fit.timed:
        networks = dict(list(networks.items())[: MOST_TIMED + 1])  # the published factors besides
    if not 1 < len(networks) <= MOST_CANDIDATES:
        few = len(networks) < 2
        raise Refusal(
            f"fit has {len(networks)} candidates with step {fit.step:g} and tolerance {fit.tolerance:g}: give "
            f"{'a smaller step, or a larger tolerance' if few else 'a larger step, or a smaller tolerance'}",
            field="fit",
        )
    return tuple((first, tuple(others)) for first, *others in networks.values())


def _grid(fit: Fit, architecture: AnyArchitecture) -> list[CompoundScaling]:
    if fit.cost == "formula":
        return grid(fit.step, DOUBLED, fit.tolerance)
    whole = counts(architecture).mult_adds
    near = grid(fit.step, DOUBLED, 0.5)  # by the formula, from which rounding does not lead farther
    times = [(counts(member(architecture, named(factors))).mult_adds / whole, factors) for factors in near]
    if fit.timed:
        nearest = sorted(times, key=lambda each: abs(math.log(each[0] / DOUBLED)))
        return [factors for each, factors in nearest if each > 1]
    return [factors for each, factors in times if fit.near(each)]
