"""What rounding to 8 bits did to a trained network."""

from dataclasses import dataclass
from typing import Literal

from nas.refusal import between

Precision = Literal["float32", "int8"]
PRECISIONS: tuple[Precision, ...] = ("float32", "int8")


@dataclass(frozen=True, kw_only=True)
class Rounding:
    """The accuracy of a network on the same images before and after."""

    float32: float
    """The accuracy in single precision, from 0 to 1."""
    int8: float
    """The accuracy in 8 bits, from 0 to 1."""
    per_channel: bool
    """Whether each channel has a scale of its own; otherwise a layer has one."""

    def __post_init__(self) -> None:
        between(self, "float32", 0, 1)
        between(self, "int8", 0, 1)

    @property
    def drop(self) -> float:
        """Points of accuracy that were lost."""
        return 100 * (self.float32 - self.int8)


def collapsed(most_drop: float | None, rounding: Rounding | None) -> str | None:
    """In words, that a network has lost more in 8 bits than it may; None where it has not."""
    if most_drop is None or rounding is None or rounding.drop <= most_drop:
        return None
    return (
        f"drop {rounding.drop:.3g} points by 8 bits, from {rounding.float32:.4f} to {rounding.int8:.4f}, over the "
        f"most_drop of {most_drop:g}; recipe.int8_epochs may lower it"
    )
