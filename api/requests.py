"""What is asked for in a body, where that is not a specification as it is stored."""

from dataclasses import dataclass, field

from nas.networks.architecture import Choice, Images
from nas.networks.lowering import AnyArchitecture
from nas.networks.scaling import CompoundScaling
from nas.recipes import RECIPES, Recipe
from nas.refusal import Refusal, between, distinct, positive
from nas.specs import MOST_DEVICES, MOST_TRIALS

WHAT = ("architecture", "published", "model", "networks")


@dataclass(frozen=True, kw_only=True)
class BenchmarkRequest:
    """Networks to measure, given by one of: an `architecture`, whole, that the space builds; a `published` network's
    name; a `model`'s id; or the number of `networks` to draw at random from the space, `knobs` narrowed. What a
    published network is for may be said, and what drawn ones are for has to be: as `images`, or as a `dataset`."""

    __pydantic_config__ = {"extra": "forbid"}

    name: str = ""
    architecture: AnyArchitecture | None = None
    published: str | None = None
    model: str | None = None
    networks: int | None = None
    space: str = "mbconv"
    knobs: dict[str, tuple[Choice, ...]] = field(default_factory=dict)
    images: Images | None = None
    dataset: str | None = None
    devices: tuple[str, ...] = ("cpu",)
    parallel: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        given = self.given()
        if len(given) != 1:
            what = f"what to measure is {' and '.join(given) or 'missing'}: give one of {', '.join(WHAT)}"
            raise Refusal(what, field=given[-1] if given else "")
        if self.images and self.dataset:
            raise Refusal("images and dataset both say what the networks are for: give one of them", field="dataset")
        if (self.images or self.dataset) and given[0] in ("architecture", "model"):
            also = "images" if self.images else "dataset"
            raise Refusal(f"{also} is a part of the {given[0]} already: leave it out", field=also)
        if self.knobs and self.networks is None:
            raise Refusal("knobs narrow the space that networks are drawn from: leave them out", field="knobs")
        distinct(self, "devices", least=1, most=MOST_DEVICES)

    def given(self) -> list[str]:
        return [name for name in WHAT if getattr(self, name) is not None]


@dataclass(frozen=True, kw_only=True)
class GrowthRequest:
    """A family to grow from a search's trial (null: its best by its own objective); `scaling` null takes the published
    B0…B7 coefficients; `devices` null takes the search's. A `recipe` may be given in part. Each member is trained
    `seeds` times from different beginnings, and its accuracy is the mean."""

    __pydantic_config__ = {"extra": "forbid"}

    name: str = ""
    search: str
    trial: int | None = None
    members: tuple[str, ...] = ("B0", "B1", "B2", "B3")
    scaling: CompoundScaling | None = None
    devices: tuple[str, ...] | None = None
    recipe: Recipe = RECIPES["growth"]
    parallel: int = 2
    seed: int = 0
    seeds: int = 1

    def __post_init__(self) -> None:
        distinct(self, "members", least=1)
        if self.devices is not None:
            distinct(self, "devices", least=1, most=MOST_DEVICES)


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What can be changed of a search; what is left out stays."""

    __pydantic_config__ = {"extra": "forbid"}

    trials: int | None = None
    hours: float | None = None
    compute_hours: float | None = None

    def __post_init__(self) -> None:
        if self.trials is None and self.hours is None and self.compute_hours is None:
            raise Refusal("trials, hours and compute_hours are all left out: give one", field="trials")
        between(self, "trials", 1, MOST_TRIALS)
        positive(self, "hours", "compute_hours")
