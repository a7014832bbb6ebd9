"""Compound scaling: depth, width and resolution grown together (Tan & Le 2019, EfficientNet)."""

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

from nas.networks.architecture import Scale
from nas.refusal import Refusal, between, positive

DOUBLED = 2.0  # multiply-adds, from a member to the next

# Width, depth, resolution in pixels and dropout as released; they follow phi = 0, 0.5, 1, 2, 3.5, 5, 6, 7 only roughly.
_RELEASED = {
    "B0": (1.0, 1.0, 224, 0.2),
    "B1": (1.0, 1.1, 240, 0.2),
    "B2": (1.1, 1.2, 260, 0.3),
    "B3": (1.2, 1.4, 300, 0.3),
    "B4": (1.4, 1.8, 380, 0.4),
    "B5": (1.6, 2.2, 456, 0.4),
    "B6": (1.8, 2.6, 528, 0.5),
    "B7": (2.0, 3.1, 600, 0.5),
}

PUBLISHED: dict[str, Scale] = {
    name: Scale(width=width, depth=depth, resolution=pixels / 224, dropout=round(dropout - _RELEASED["B0"][-1], 10))
    for name, (width, depth, pixels, dropout) in _RELEASED.items()
}

Member = Literal["B0", "B1", "B2", "B3", "B4", "B5", "B6", "B7"]
MEMBERS: tuple[Member, ...] = get_args(Member)


@dataclass(frozen=True, kw_only=True)
class CompoundScaling:
    """Factors of a family's growth: multiply-adds grow by about `(alpha * beta^2 * gamma^2)^phi` from a member to the
    next, and the paper's grid keeps that base near 2."""

    __pydantic_config__: ClassVar[Mapping[str, str]] = {"extra": "forbid"}

    alpha: float = 1.2
    """The factor on depth, to the power of the number in a member's name."""
    beta: float = 1.1
    """The factor on width, to the same power."""
    gamma: float = 1.15
    """The factor on resolution, to the same power."""
    dropout: float = 0.0
    """What is added to the network's own dropout with each step of that number, up to 0.5 in all; the published family
    adds 0.3 in seven steps."""
    drop_connect: float = 0.0
    """What is added to the rate at which its residual branches are dropped, in the same way."""
    augment: float = 0.0
    """What is added to the recipe's `augment`, up to 1 in all."""
    tolerance: float | None = None
    """How far alpha · beta² · gamma² may be from 2, as a part of it, for these factors to be taken. Null: as far as it
    is, with a hint."""

    def __post_init__(self) -> None:
        for name in ("alpha", "beta", "gamma"):
            value = getattr(self, name)
            if not (math.isfinite(value) and 1 <= value <= 4):
                raise Refusal(f"{name} {value} is not between 1 and 4: a family grows", field=name)
        for name in ("dropout", "drop_connect", "augment"):
            between(self, name, 0, 1)
        positive(self, "tolerance")
        if self.tolerance is not None and abs(self.growth / DOUBLED - 1) > self.tolerance:
            detail = f"alpha · beta² · gamma² is {self.growth:.2f}, not within {self.tolerance:.0%} of {DOUBLED:g}"
            raise Refusal(f"{detail}: give others, or a larger tolerance", field="tolerance")

    @property
    def growth(self) -> float:
        """The factor on multiply-adds for one step of phi, before rounding."""
        return self.alpha * self.beta**2 * self.gamma**2

    def at(self, phi: float) -> Scale:
        """The factors for compound coefficient `phi`; 0 leaves the network as it is."""
        steps = max(0.0, phi)
        return Scale(
            depth=self.alpha**phi,
            width=self.beta**phi,
            resolution=self.gamma**phi,
            dropout=self.dropout * steps,
            drop_connect=self.drop_connect * steps,
        )

    def augmented(self, augment: float, phi: float) -> float:
        """The strength of augmentation that a member is trained with, where the recipe's own is `augment`."""
        return max(augment, min(1.0, round(augment + self.augment * max(0.0, phi), 10)))


# One dimension alone, each doubling the multiply-adds with a step of phi, before rounding.
WAYS = {
    "depth": CompoundScaling(alpha=2.0, beta=1.0, gamma=1.0),
    "width": CompoundScaling(alpha=1.0, beta=2**0.5, gamma=1.0),
    "resolution": CompoundScaling(alpha=1.0, beta=1.0, gamma=2**0.5),
}


def grid(step: float = 0.05, growth: float = 2.0, tolerance: float = 0.05) -> list[CompoundScaling]:
    """All (alpha, beta, gamma) on a grid of `step` with `alpha * beta^2 * gamma^2` within `tolerance` of `growth`."""
    values = [round(1 + step * index, 10) for index in range(int((growth - 1) / step) + 1)]
    return [
        CompoundScaling(alpha=alpha, beta=beta, gamma=gamma)
        for alpha, beta, gamma in itertools.product(values, repeat=3)
        if abs(alpha * beta**2 * gamma**2 - growth) <= tolerance * growth
    ]
