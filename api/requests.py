"""What is asked for in a body, where that is not a specification as it is stored."""

from dataclasses import dataclass, field
from typing import ClassVar

from nas.networks.architecture import Choice, Images
from nas.networks.lowering import AnyArchitecture
from nas.networks.scaling import CompoundScaling, Member
from nas.recipes import RECIPES, Recipe
from nas.refusal import Refusal, between, distinct, positive
from nas.specs import MOST_DEVICES, MOST_TRIALS, BenchmarkSpec, GrowthSpec, ScoredOn, SearchSpec

WHAT = ("architecture", "published", "model", "networks")


@dataclass(frozen=True, kw_only=True)
class BenchmarkRequest:
    """Networks to measure, given by one of `architecture`, `published`, `model` and `networks`."""

    LIKE: ClassVar[tuple[type, ...]] = (BenchmarkSpec, SearchSpec)
    __pydantic_config__ = {"extra": "forbid"}

    name: str = ""
    architecture: AnyArchitecture | None = None
    """A network, whole, that the space builds."""
    published: str | None = None
    """A published network's name. `GET /v1/published` and `nas published` list them."""
    model: str | None = None
    """A trained network's id."""
    networks: int | None = None
    """Networks, different ones, to draw from the space at random."""
    space: str = "mbconv"
    knobs: dict[str, tuple[Choice, ...]] = field(default_factory=dict)
    images: Images | None = None
    """What the networks are for. Drawn ones need it; a published one has its own, and may be measured for others."""
    dataset: str | None = None
    """A dataset whose images the networks are for, to be named instead of them."""
    devices: tuple[str, ...] = ("cpu",)
    """Where latency is measured, such as cpu or cpu:threads=2,batch=8. `GET /v1/devices` and `nas devices` list
    them."""
    parallel: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        names = self.given()
        if len(names) != 1:
            what = f"what to measure is {' and '.join(names) or 'missing'}: give one of {', '.join(WHAT)}"
            raise Refusal(what, field=names[-1] if names else "")
        if self.images and self.dataset:
            raise Refusal("images and dataset both say what the networks are for: give one of them", field="dataset")
        if (self.images or self.dataset) and names[0] in ("architecture", "model"):
            also = "images" if self.images else "dataset"
            raise Refusal(f"{also} is a part of the {names[0]} already: leave it out", field=also)
        if self.knobs and self.networks is None:
            raise Refusal("knobs narrow the space that networks are drawn from: leave them out", field="knobs")
        distinct(self, "devices", least=1, most=MOST_DEVICES)

    def given(self) -> list[str]:
        return [name for name in WHAT if getattr(self, name) is not None]


@dataclass(frozen=True, kw_only=True)
class GrowthRequest:
    """A family to grow from a network that a search has found."""

    LIKE: ClassVar[tuple[type, ...]] = (GrowthSpec,)
    __pydantic_config__ = {"extra": "forbid"}

    name: str = ""
    search: str
    """The id of the search."""
    trial: int | None = None
    """The number of the trial whose network is grown. Null: the search's best."""
    members: tuple[Member, ...] = ("B0", "B1", "B2", "B3")
    scaling: CompoundScaling | None = None
    devices: tuple[str, ...] | None = None
    """Where latency is measured. Null: on the search's devices."""
    recipe: Recipe = RECIPES["growth"]
    parallel: int = 2
    seed: int = 0
    seeds: int = 1
    scored_on: ScoredOn = "test"
    inherit: bool = False

    def __post_init__(self) -> None:
        distinct(self, "members", least=1)
        if self.devices is not None:
            distinct(self, "devices", least=1, most=MOST_DEVICES)


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What can be changed of a search; what is left out stays."""

    __pydantic_config__ = {"extra": "forbid"}

    trials: int | None = None
    """Trainings in all, those that have ended included."""
    hours: float | None = None
    """Hours of work in all, pauses left out."""
    compute_hours: float | None = None
    """Hours in all that evaluations may hold processors or GPUs."""

    def __post_init__(self) -> None:
        if self.trials is None and self.hours is None and self.compute_hours is None:
            raise Refusal("trials, hours and compute_hours are all left out: give one", field="trials")
        between(self, "trials", 1, MOST_TRIALS)
        positive(self, "hours", "compute_hours")
