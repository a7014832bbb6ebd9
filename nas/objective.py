"""The reward of a candidate: accuracy × (cost / target)^w (Tan et al. 2019, MnasNet), or
accuracy + w·|cost / target - 1| (Bender et al. 2020, TuNAS)."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from nas.refusal import Refusal
from nas.rounding import PRECISIONS, Precision

Cost = Literal["latency_ms", "mult_adds", "params", "peak_memory", "model_bytes"]
COSTS: tuple[Cost, ...] = ("latency_ms", "mult_adds", "params", "peak_memory", "model_bytes")
UNITS: dict[Cost, str] = {
    "latency_ms": "milliseconds",
    "mult_adds": "multiply-adds",
    "params": "parameters",
    "peak_memory": "bytes",
    "model_bytes": "bytes",
}
COST_WORDS: dict[str, str] = {
    "latency_ms": "latency",
    "mult_adds": "multiply-adds",
    "params": "parameters",
    "peak_memory": "peak memory",
    "model_bytes": "weights",
}
Metric = Literal["accuracy", "balanced_accuracy", "macro_f1", "worst_recall"]
METRICS: tuple[Metric, ...] = ("accuracy", "balanced_accuracy", "macro_f1", "worst_recall")
METRIC_WORDS: dict[str, str] = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro-F1",
    "worst_recall": "the worst class's recall",
}
Form = Literal["product", "absolute", "front"]
FORMS: tuple[Form, ...] = ("product", "absolute", "front")

MOST_TARGET = 1e18
SOFT = (-0.07, -0.07)  # doubling the cost is worth about 5 % relative accuracy; the target is a mere factor
HARD = (0.0, -1.0)  # free under the target, proportionally punished over it: the best within it
ALONE = (0.0, 0.0)  # accuracy, whatever it costs
EXPONENTS: dict[str, tuple[float, float]] = {"soft": SOFT, "hard": HARD, "accuracy": ALONE}


@dataclass(frozen=True, kw_only=True)
class Objective:
    """What a search maximises: accuracy, or another metric, against a cost."""

    __pydantic_config__: ClassVar[Mapping[str, str]] = {"extra": "forbid"}

    cost: Cost = "mult_adds"
    """What is to be small. Of memory it is the bytes of the values that one image makes a network hold at the worst
    moment, or those of its weights in use, both in the precision that is asked for."""
    target: float = 5e6
    """The cost that is wanted: multiply-adds, parameters, milliseconds or bytes of a network. The default counts
    multiply-adds; any other cost needs a target of its own."""
    w_under: float = SOFT[0]
    """The exponent up to the target. 0: a lower cost is no gain, which is what a request means that gives a target and
    no exponents."""
    w_over: float = SOFT[1]
    """The exponent above the target. Of a request that gives a target and no exponents -1: what is sought is the best
    within it. Both of -0.07: twice the cost must bring 5 % more accuracy, and the target does not choose; both 0:
    accuracy alone."""
    form: Form = "product"
    """The form of the reward. "product": accuracy × (cost / target)^w (MnasNet). "absolute": accuracy +
    w·|cost / target - 1|, which peaks at the target (TuNAS, whose own w is -0.1). "front": all the best compromises;
    searchers that maximise one number take the product, as does whatever shows one best network."""
    also: Cost | None = None
    """A second cost that is to be small as well, of a front. No network on it is beaten by another in accuracy and both
    costs."""
    metric: Metric = "accuracy"
    """What is to be large and stands for accuracy in all of this. Where classes are unequal, an accuracy may be the
    share of the largest and nothing more: "balanced_accuracy" is the mean of the classes' recalls, "macro_f1" that of
    their F1, "worst_recall" the smallest recall, which is by far the least certain."""
    precision: Precision = "float32"
    """What networks are judged in. "int8": each is quantised once it is trained, to 8 bits a value, and its accuracy is
    what that network does; what it did in single precision is told beside it. Latency is then to be measured in 8 bits
    as well, on device cpu:dtype=int8 or remote:NAME:dtype=int8."""

    def __post_init__(self) -> None:
        if self.cost not in COSTS:
            raise Refusal(f"cost {self.cost!r} is none of {', '.join(COSTS)}", field="cost")
        if self.metric not in METRICS:
            raise Refusal(f"metric {self.metric!r} is none of {', '.join(METRICS)}", field="metric")
        if self.form not in FORMS:
            raise Refusal(f"form {self.form!r} is none of {', '.join(FORMS)}", field="form")
        if self.precision not in PRECISIONS:
            raise Refusal(f"precision {self.precision!r} is none of {', '.join(PRECISIONS)}", field="precision")
        if self.also is not None:
            if self.also not in COSTS:
                raise Refusal(f"also {self.also!r} is none of {', '.join(COSTS)}", field="also")
            if self.form != "front":
                detail = f"also {self.also!r} is for form 'front' alone, not {self.form!r}: leave it out"
                raise Refusal(detail, field="also")
            if self.also == self.cost:
                raise Refusal(f"also {self.also!r} is the cost already: give another, or leave it out", field="also")
        if not 0 < self.target <= MOST_TARGET:
            detail = f"target {self.target} is not a positive number up to {MOST_TARGET:g}"
            raise Refusal(detail, field="target", alone=True)
        for name in ("w_under", "w_over"):
            value = getattr(self, name)
            if not (math.isfinite(value) and -10 <= value <= 0):
                detail = f"{name} {value} is not between -10 and 0: a higher cost must not be a gain"
                raise Refusal(detail, field=name, alone=True)

    @property
    def bound(self) -> bool:
        """Whether its target chooses: with one exponent alone it is a mere factor of every reward."""
        return self.form == "absolute" or self.w_under != self.w_over

    @property
    def costs(self) -> tuple[Cost, ...]:
        """The one cost, or both."""
        return (self.cost,) if self.also is None else (self.cost, self.also)

    def fits(self, cost: float) -> bool:
        """Whether a cost is within the target, where the target is a bound."""
        return cost <= self.target or self.w_over >= self.w_under

    def reward(self, accuracy: float, cost: float) -> float:
        """`accuracy`, or what the metric is instead, in [0, 1] and a positive `cost` to one number: larger is
        better."""
        factor, offset = self.terms(cost)
        return accuracy * factor + offset

    def reward_error(self, accuracy: float, cost: float, cost_error: float) -> float:
        """What a relative standard error of the cost leaves open of the reward."""
        bounds = [self.reward(accuracy, cost * math.exp(sign * cost_error)) for sign in (-1, 1)]
        return abs(bounds[0] - bounds[1]) / 2

    def terms(self, cost: float) -> tuple[float, float]:
        """(factor, offset) such that the reward at a positive `cost` is accuracy × factor + offset."""
        if not cost > 0:
            raise ValueError(f"cost {cost} is not positive: it was not measured")
        exponent = self.w_under if cost <= self.target else self.w_over
        if self.form == "absolute":
            return 1.0, exponent * abs(cost / self.target - 1)
        return math.pow(cost / self.target, exponent), 0.0
