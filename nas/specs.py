"""Specs: what a run was asked for, as stored and as sent; they check themselves."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from nas.networks.architecture import Choice, Choices, Images, Knobs
from nas.networks.lowering import AnyArchitecture
from nas.networks.scaling import MEMBERS, CompoundScaling
from nas.objective import Objective
from nas.recipes import RECIPES, Recipe
from nas.refusal import Refusal, between, distinct, positive

Kind = Literal["search", "growth", "benchmark", "proxy"]
MOST_TRIALS = 100_000
MOST_SEEDS = 100
MOST_NETWORKS = 1000  # in one benchmark, or one proxy
MOST_BASELINES = 200
MOST_DEVICES = 32
FEWEST_CANDIDATES = 4  # of which an order says anything


@dataclass(frozen=True, kw_only=True)
class Fidelity:
    """Trainings of rising length. On the highest of the `rungs` a network is trained by the search's own recipe; on
    each below it by 1/`eta` of the `scaled` quantity, with a schedule of its own. The best 1/`eta` of the networks that
    have ended on a rung are trained anew on the next, which waits for nobody (ASHA, Li et al. 2020).

    By "halving" every network begins on the lowest rung. By "hyperband" (Li et al. 2018) some begin higher, in case
    the lowest says little: in turns 9 on the lowest of 3, 5 on the next, 3 on the highest.
    """

    __pydantic_config__: ClassVar[Mapping[str, str]] = {"extra": "forbid"}

    kind: Literal["halving", "hyperband"] = "halving"
    eta: int = 3
    rungs: int = 3
    scaled: Literal["epochs", "train_images"] = "epochs"

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
        if whole is None:
            detail = f"fidelity scales {self.scaled}, of which the recipe takes all: give recipe.{self.scaled}"
            raise Refusal(detail, field="fidelity")
        parts = [max(1, round(whole / self.eta**below)) for below in reversed(range(self.rungs))]
        if len(set(parts)) < len(parts):
            raise Refusal(
                f"fidelity has rungs of {', '.join(map(str, parts))} {self.scaled}, and each must have more than the "
                f"one below: give recipe.{self.scaled} {self.eta ** (self.rungs - 1)} or more, or fewer rungs",
                field="fidelity",
            )
        return tuple(_scaled(highest, **{self.scaled: part}) for part in parts)


def _scaled(recipe: Recipe, **part: int) -> Recipe:
    """`recipe` with a part of its epochs or images, annealed as the whole is."""
    shorter = dataclasses.replace(recipe, **part)  # type: ignore[arg-type]
    return dataclasses.replace(shorter, decay_epochs=recipe.decay_epochs * shorter.epochs / recipe.epochs)


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Hard caps; a candidate over one is refused before it is trained. None: no cap."""

    __pydantic_config__: ClassVar[Mapping[str, str]] = {"extra": "forbid"}

    params: int | None = None
    mult_adds: int | None = None
    latency_ms: float | None = None

    def __post_init__(self) -> None:
        positive(self, "params", "mult_adds", "latency_ms")


def _check_knobs(knobs: Knobs) -> None:
    for knob, choices in knobs.items():
        if not choices:
            raise Refusal(f"knob {knob!r} is left without a choice: name at least one", field="knobs")
        if len(set(choices)) < len(choices):
            raise Refusal(f"knob {knob!r} has a choice twice: name each once", field="knobs")


@dataclass(frozen=True, kw_only=True)
class SearchSpec:
    """A search, as asked for. `knobs` narrows knobs of the space to some of their choices; `options` are the
    searcher's own; `resolution` None takes the dataset's. `baselines` are published networks to compare with: they are
    the first trials, trained and measured like the others, and no limit refuses them. Objective and limits look at the
    latency on the first of the `devices`; on the others every candidate is measured as well, before it is trained.
    Where what was measured before predicts latencies `predict_within` that relative error, the searcher knows them in
    advance; 0: never.

    Every training is a trial. Up to `confirm` of them train a network that leads once more, from another seed, because
    what looks best of many has most likely been lucky; it is then judged by its mean. With a `fidelity` networks are
    first trained for a short time, and only the best of them for longer; what was trained on one rung is never
    compared with what was trained on another, and leads are confirmed on the highest.

    It ends after `trials`, or when no more begin because one of these is spent: `hours` in which it was worked on,
    pauses left out, and `compute_hours` in which its evaluations held a GPU (a part of one counts as that part) or,
    on a machine without any, a processor. It also ends when its searcher expects to gain less than `least_gain` by any
    network, several proposals in a row: of reward, or of a front, as a share of the area under it. What has begun by
    then still ends."""

    __pydantic_config__: ClassVar[Mapping[str, str]] = {"extra": "forbid"}

    name: str = ""
    dataset: str
    space: str = "mbconv"
    resolution: int | None = None
    knobs: dict[str, tuple[Choice, ...]] = field(default_factory=dict)
    searcher: str = "surrogate"
    options: dict[str, Choice] = field(default_factory=dict)
    baselines: tuple[str, ...] = ()
    objective: Objective = Objective()
    limits: Limits = Limits()
    devices: tuple[str, ...] = ("cpu",)
    predict_within: float = 0.1
    recipe: Recipe = RECIPES["search"]
    trials: int = 20
    hours: float | None = None
    compute_hours: float | None = None
    least_gain: float | None = None
    parallel: int = 2
    seed: int = 0
    save_weights: bool = False
    confirm: int = 0
    fidelity: Fidelity | None = None

    def __post_init__(self) -> None:
        between(self, "trials", 1, MOST_TRIALS)
        positive(self, "hours", "compute_hours", "least_gain")
        between(self, "parallel", 1, 1024)
        between(self, "confirm", 0, self.trials // 2)
        between(self, "seed", 0, 2**31 - 1 - self.confirm)
        between(self, "predict_within", 0, 1)
        if self.resolution is not None:
            between(self, "resolution", 8, 2048)
        _check_knobs(self.knobs)
        distinct(self, "devices", least=1, most=MOST_DEVICES)
        distinct(self, "baselines", most=MOST_BASELINES)
        if self.baselines and len(self.baselines) >= self.trials:
            raise Refusal(
                f"{len(self.baselines)} baselines leave none of {self.trials} trials to the search: give more",
                field="trials",
            )
        if self.fidelity:
            self.fidelity.recipes(self.recipe)
            needed = self.fidelity.fewest + len(self.baselines)
            if self.trials < needed:
                raise Refusal(
                    f"trials {self.trials} is less than {needed}, with which a network reaches the highest rung of "
                    f"fidelity: give more, fewer rungs or a smaller eta",
                    field="trials",
                )


@dataclass(frozen=True, kw_only=True)
class GrowthSpec:
    """A family to grow from one architecture; `scaling` None takes the published B0…B7 coefficients.

    Every member is trained on all training images and tested once, `seeds` times from different beginnings: by `seed`,
    `seed + 1` and so on; its latency is measured on all `devices`. `source` is the search and trial it came from.
    """

    name: str = ""
    dataset: str
    space: str
    architecture: AnyArchitecture
    source: tuple[str, int] | None = None
    members: tuple[str, ...] = ("B0", "B1", "B2", "B3")
    scaling: CompoundScaling | None = None
    devices: tuple[str, ...] = ("cpu",)
    recipe: Recipe = RECIPES["growth"]
    parallel: int = 2
    seed: int = 0
    seeds: int = 1

    def __post_init__(self) -> None:
        if not self.members:
            raise Refusal("members is empty: name at least one of " + ", ".join(MEMBERS), field="members")
        for member in self.members:
            if member not in MEMBERS:
                raise Refusal(f"member {member!r} is none of {', '.join(MEMBERS)}", field="members")
        distinct(self, "members")
        distinct(self, "devices", least=1, most=MOST_DEVICES)
        between(self, "parallel", 1, 1024)
        between(self, "seeds", 1, MOST_SEEDS)
        between(self, "seed", 0, 2**31 - self.seeds)

    @property
    def trials(self) -> int:
        """How many trainings there are."""
        return len(self.members) * self.seeds


@dataclass(frozen=True, kw_only=True)
class BenchmarkSpec:
    """Networks to measure on some devices and not to train: the `architecture`, if there is one, otherwise so many
    `networks` of the space for such `images`, drawn at random.

    `published` and `model` say where the architecture comes from.
    """

    dataset: ClassVar[None] = None

    name: str = ""
    space: str = "mbconv"
    images: Images
    architecture: AnyArchitecture | None = None
    choices: Choices = field(default_factory=dict)
    published: str | None = None
    model: str | None = None
    networks: int = 1
    knobs: dict[str, tuple[Choice, ...]] = field(default_factory=dict)
    devices: tuple[str, ...] = ("cpu",)
    parallel: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        distinct(self, "devices", least=1, most=MOST_DEVICES)
        between(self, "networks", 1, MOST_NETWORKS)
        _check_knobs(self.knobs)
        between(self, "parallel", 1, 1024)
        between(self, "seed", 0, 2**31 - 1)

    @property
    def trials(self) -> int:
        """How many measurements there are."""
        return self.networks * len(self.devices)


@dataclass(frozen=True, kw_only=True)
class ProxySpec:
    """Candidates of a space, drawn at random, to train by a `cheap` and a `dear` recipe: does the cheap one order them
    as the dear one does? `limits` look at the latency on the first of the `devices`."""

    __pydantic_config__: ClassVar[Mapping[str, str]] = {"extra": "forbid"}

    name: str = ""
    dataset: str
    space: str = "mbconv"
    knobs: dict[str, tuple[Choice, ...]] = field(default_factory=dict)
    limits: Limits = Limits()
    candidates: int = 12
    cheap: Recipe = RECIPES["proxy"]
    dear: Recipe = RECIPES["short"]
    devices: tuple[str, ...] = ("cpu",)
    parallel: int = 2
    seed: int = 0

    def __post_init__(self) -> None:
        between(self, "candidates", FEWEST_CANDIDATES, MOST_NETWORKS)
        _check_knobs(self.knobs)
        if self.cheap == self.dear:
            raise Refusal("cheap and dear are the same recipe: name two", field="cheap")
        distinct(self, "devices", least=1, most=MOST_DEVICES)
        between(self, "parallel", 1, 1024)
        between(self, "seed", 0, 2**31 - 1)

    @property
    def trials(self) -> int:
        """How many trainings there are."""
        return 2 * self.candidates


Spec = SearchSpec | GrowthSpec | BenchmarkSpec | ProxySpec
SPECS: dict[Kind, type[Spec]] = {
    "search": SearchSpec,
    "growth": GrowthSpec,
    "benchmark": BenchmarkSpec,
    "proxy": ProxySpec,
}
