"""The fidelity of a search: how long its networks are trained."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from nas.recipes import Recipe, shortened
from nas.refusal import Refusal, between


@dataclass(frozen=True, kw_only=True)
class Fidelity:
    """Short trainings of many networks and longer ones of the best, each by a schedule of its own (ASHA, Li et al.
    2020)."""

    __pydantic_config__: ClassVar[Mapping[str, str]] = {"extra": "forbid"}

    kind: Literal["halving", "hyperband"] = "halving"
    """How networks begin. "halving": every one on the lowest rung. "hyperband" (Li et al. 2018): some higher, in case
    the lowest says little; of 3 rungs, in turns 9 networks on the lowest, 5 on the next and 3 on the highest."""
    eta: int = 3
    """So many times longer is the training on the next rung, for the best one in so many. They are trained again there,
    as soon as they are known: nothing waits."""
    rungs: int = 3
    """Lengths of training. On the highest a network is trained by the search's own recipe; what was trained on one rung
    is never compared with what was trained on another."""
    scaled: Literal["epochs", "train_images"] = "epochs"
    """What the lower rungs have less of."""
    inherit: bool = False
    """Whether a network begins on the next rung with the weights that it has from the one below, and is trained there
    for the rest of the epochs alone, by a schedule of their own. Otherwise it is trained anew."""

    def __post_init__(self) -> None:
        between(self, "eta", 2, 10)
        between(self, "rungs", 2, 8)

    @property
    def fewest(self) -> int:
        """Trials with which one network reaches the highest rung from the lowest."""
        return sum(self.eta**rung for rung in range(self.rungs))

    def recipes(self, highest: Recipe) -> tuple[Recipe, ...]:
        """Of each rung, the lowest first. Raises Refusal where there is too little to divide."""
        whole: int | None = getattr(highest, self.scaled)
        if not whole:
            detail = f"fidelity scales {self.scaled}, of which the recipe takes all: give recipe.{self.scaled}"
            raise Refusal(detail, field="fidelity")
        parts = [max(1, round(whole / self.eta**below)) for below in reversed(range(self.rungs))]
        if len(set(parts)) < len(parts):
            raise Refusal(
                f"fidelity has rungs of {', '.join(map(str, parts))} {self.scaled}, and each must have more than the "
                f"one below: give recipe.{self.scaled} {self.eta ** (self.rungs - 1)} or more, or fewer rungs",
                field="fidelity",
            )
        if self.scaled == "epochs":
            return tuple(shortened(highest, part) for part in parts)
        return tuple(dataclasses.replace(highest, train_images=part) for part in parts)

    def epochs_done(self, recipes: Sequence[Recipe], rung: int) -> int:
        """Of the epochs of that rung's recipe those whose steps a network has had that inherits from the rung below."""
        if not self.inherit or not rung:
            return 0
        parts: list[int] = [getattr(recipe, self.scaled) for recipe in recipes]
        epochs = recipes[rung].epochs
        return max(0, min(round(epochs * parts[rung - 1] / parts[rung]), epochs - 1))
