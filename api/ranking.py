"""How the front of a search is to be ranked, as asked for in a query."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from nas.objective import HARD, Cost, Form, Metric, Objective
from nas.records import Run
from nas.refusal import Refusal
from nas.specs import SearchSpec


class Ranking(BaseModel):
    """Another objective for what a search has measured; whatever is left out is the search's own."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    cost: Cost | None = None
    """The cost to rank by."""
    target: float | None = None
    """The target T, in units of the cost. Given without an exponent, where the search's own would make a mere factor of
    it, it asks for the best within it."""
    w: str | None = Field(None, examples=["-0.07"])
    """The exponent, or two with a comma between: up to the target, and above it."""
    w_under: float | None = None
    """The exponent up to the target alone."""
    w_over: float | None = None
    """The exponent above the target alone."""
    form: Form | None = None
    """The form of the reward; a front is ranked by the product."""
    also: Cost | None = None
    """A second cost that counts as well, with form front."""
    metric: Metric | None = None
    """What stands for accuracy: whatever each network was scored by is recorded."""
    device: str | None = Field(None, examples=["cpu"])
    """Which of the search's devices the latency is of; the first one where none is named."""

    def applied(self, run: Run) -> tuple[Objective, str]:
        """The objective, and the device whose latency it means. Raises Refusal naming a parameter."""
        assert isinstance(run.spec, SearchSpec)
        return self.instead(run.spec.objective, run.spec.devices, f"search {run.id}")

    def instead(self, own: Objective, devices: Sequence[str], whose: str) -> tuple[Objective, str]:
        """The same for an objective and devices that are nobody's but a run's as it is called."""
        device = self.device or devices[0]
        if device not in devices:
            detail = f"{whose} was not measured on device {device!r}: there are {', '.join(devices)}"
            raise Refusal(detail, field="device")
        cost = self.cost or ("latency_ms" if self.device and "latency_ms" not in own.costs else own.cost)
        if cost != own.cost and self.target is None:
            detail = f"target is missing: {whose} has one for {own.cost}, and cost {cost!r} needs its own"
            raise Refusal(detail, field="target")
        also = self.also
        if also is None and self.form in (None, "front"):
            also = own.cost if cost == own.also else own.also
        w_under, w_over = self._exponents()
        changes: dict[str, Any] = {"target": self.target, "form": self.form, "metric": self.metric}
        changes |= {"w_under": w_under, "w_over": w_over}
        changes = {name: value for name, value in changes.items() if value is not None}
        try:
            objective = dataclasses.replace(own, cost=cost, also=also, **changes)
            if self.target is not None and w_under is None is w_over and not objective.bound:
                objective = dataclasses.replace(objective, w_under=HARD[0], w_over=HARD[1])
        except Refusal as error:
            if self.w and error.field.startswith("w_"):  # in the words of the question
                raise Refusal(f"w{str(error).removeprefix(error.field)}", field="w") from error
            raise
        if self.device and "latency_ms" not in objective.costs:
            raise Refusal(f"device {device!r} has no part in cost {cost!r}: leave one of them out", field="device")
        return objective, device

    def _exponents(self) -> tuple[float | None, float | None]:
        under, over = self.w_under, self.w_over
        if self.w is not None:
            try:
                first, *second = map(float, self.w.split(",", 2))
                (last,) = second or [first]
            except ValueError:
                detail = f"w {self.w!r} is neither a number nor two with a comma between, under and over"
                raise Refusal(detail, field="w") from None
            under, over = first if under is None else under, last if over is None else over
        return under, over


OWN = Ranking(w=None, device=None)  # as searched


class Together(Ranking):
    """What is compared, and by which objective; what is left out of that is as the first search has it."""

    of: str = Field(examples=["0a1b2c3d4e5f,0a1b2c3d4e60:37"])
    """Searches and growths, up to six with commas between: RUN, for which its best network stands, or RUN:TRIAL."""
