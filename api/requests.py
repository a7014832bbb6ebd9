"""What is asked for in a body, where that is not a specification as it is stored."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from nas.labels import Label
from nas.networks.architecture import Choice, Images
from nas.networks.fit import Fit
from nas.networks.lowering import AnyArchitecture
from nas.networks.scaling import WAYS, CompoundScaling, Member
from nas.quotas import MOST_HOURS
from nas.recipes import RECIPES, Recipe
from nas.refusal import Refusal, between, distinct, positive
from nas.specs import MOST_DEVICES, MOST_TRIALS, BenchmarkSpec, GrowthSpec, ScoredOn, SearchSpec

MOST_COMPARED = 10  # sizes
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
    parent: str | None = None
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
        if self.parent is not None and self.networks is None:
            detail = "parent is what drawn networks are cut out of, and weights change no latency: leave it out"
            raise Refusal(detail, field="parent")
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
    members: tuple[Member | str, ...] = ("B0", "B1", "B2", "B3")
    compare: tuple[float, ...] = ()
    """Multiples of the network's multiply-adds, as 2 and 4: for each there are four more members, the nearest by depth
    alone, by width alone, by resolution alone and by all together."""
    fit: Fit | None = None
    """A grid of factors on depth, width and resolution to fit to this network: each candidate is a member, beside those
    that are named."""
    scaling: CompoundScaling | None = None
    coefficients: str | None = None
    """The id of a growth with a fit, whose factors are to be taken."""
    devices: tuple[str, ...] | None = None
    """Where latency is measured. Null: on the search's devices."""
    recipe: Recipe = RECIPES["growth"]
    """How members are trained. What a request leaves out is as in the search's recipe, but for as many epochs and steps
    as in recipe "growth" and on all images; with a parent that the search did not have as in "finetune", and without
    the one that it had as in "growth"."""
    parallel: int = 2
    priority: int = 1
    seed: int = 0
    seeds: int = 1
    processes: int = 1
    scored_on: ScoredOn = "test"
    drop_dominated: bool = False
    inherit: bool = False
    parent: str | None = None
    """A trained network whose weights members begin with, named as a search's is. Null: that of the search, if the
    trial began with it; with `inherit` the trial itself, if its weights were saved."""

    @staticmethod
    def otherwise(said: Mapping[str, Any]) -> dict[str, Any]:
        """What is chosen by its scores is not scored on the test images, and has what it is compared with beside it."""
        if said.get("fit"):
            return {"scored_on": "validation", "members": ("B0", "B1")}
        return {"scored_on": "validation", "members": ("B0",)} if said.get("compare") else {}

    def __post_init__(self) -> None:
        distinct(self, "members", least=1)
        if len(self.compare) > MOST_COMPARED or any(not 0.01 <= times <= 1000 for times in self.compare):
            detail = f"compare {', '.join(map(str, self.compare))}: give up to {MOST_COMPARED}, from 0.01 to 1000"
            raise Refusal(detail, field="compare")
        if self.coefficients and self.scaling:
            raise Refusal("coefficients and scaling both give factors: leave one out", field="coefficients")
        if self.devices is not None:
            distinct(self, "devices", least=1, most=MOST_DEVICES)

    def named(self) -> tuple[str, ...]:
        """The members that are named, and those of the sizes that are to be compared."""
        sizes = (f"mult_adds~{times:g}x" for times in self.compare)
        compared = (f"{way}{size}" for size in sizes for way in (*(f"{one}:" for one in WAYS), ""))
        return tuple(dict.fromkeys((*self.members, *compared)))


@dataclass(frozen=True, kw_only=True)
class Labelling:
    """What is to be written on a run; what is left out stays."""

    __pydantic_config__ = {"extra": "forbid"}

    name: str | None = None
    """What it is to be called; empty: as it was submitted."""
    note: str | None = None
    """What is to be remembered of it."""
    tags: tuple[str, ...] | None = None
    """Words that it is found again by, all of them."""
    archived: bool | None = None
    """Whether it is put away: lists may leave it out."""

    def __post_init__(self) -> None:
        if not self.given:
            raise Refusal("name, note, tags and archived are all left out: give one", field="name")
        Label(**self.given)

    @property
    def given(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if value is not None}


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
        positive(self, "hours", "compute_hours", most=MOST_HOURS)
