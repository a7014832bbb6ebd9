"""The reward of a candidate: accuracy × (cost / target)^w (Tan et al. 2019, MnasNet)."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

Cost = Literal["latency_ms", "mult_adds"]
COSTS: tuple[Cost, ...] = ("latency_ms", "mult_adds")

SOFT = (-0.07, -0.07)  # doubling the cost is worth about 5 % relative accuracy
HARD = (0.0, -1.0)  # free under the target, proportionally punished over it


@dataclass(frozen=True, kw_only=True)
class Objective:
    """What a search maximises; `w_under` applies up to the target, `w_over` above it, both 0 is plain accuracy."""

    __pydantic_config__: ClassVar[Mapping[str, str]] = {"extra": "forbid"}

    cost: Cost = "mult_adds"
    target: float = 5e6
    w_under: float = SOFT[0]
    w_over: float = SOFT[1]

    def __post_init__(self) -> None:
        if self.cost not in COSTS:
            raise ValueError(f"cost {self.cost!r} is none of {', '.join(COSTS)}")
        if not (math.isfinite(self.target) and self.target > 0):
            raise ValueError(f"target {self.target} is not a positive number ({self.cost})")
        for name in ("w_under", "w_over"):
            value = getattr(self, name)
            if not (math.isfinite(value) and -10 <= value <= 0):
                raise ValueError(f"{name} {value} is not between -10 and 0: a higher cost must not be a gain")

    def reward(self, accuracy: float, cost: float) -> float:
        """`accuracy` in [0, 1] and a positive `cost` to one number, larger is better."""
        if not cost > 0:
            raise ValueError(f"cost {cost} is not positive: it was not measured")
        exponent = self.w_under if cost <= self.target else self.w_over
        return accuracy * math.pow(cost / self.target, exponent)
