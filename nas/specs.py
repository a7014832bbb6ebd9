"""Specs: what a run was asked for, as stored and as sent; they check themselves."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from nas.datasets import DatasetInfo
from nas.networks.architecture import Choice, Choices, Images, Knobs
from nas.networks.lowering import AnyArchitecture
from nas.networks.scaling import MEMBERS, CompoundScaling, Member
from nas.objective import Metric, Objective
from nas.recipes import RECIPES, Recipe, shortened
from nas.refusal import Refusal, between, distinct, positive
from nas.worth import Worth

Kind = Literal["search", "growth", "benchmark", "proxy"]
ScoredOn = Literal["validation", "test"]
MOST_TRIALS = 100_000
MOST_SEEDS = 100
MOST_NETWORKS = 1000  # in one benchmark, or one proxy
MOST_BASELINES = 200
MOST_DEVICES = 32
FEWEST_CANDIDATES = 4  # of which an order says anything


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


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Hard caps on a candidate, which is refused before it is trained where it is over one."""

    __pydantic_config__: ClassVar[Mapping[str, str]] = {"extra": "forbid"}

    params: int | None = None
    """Networks of more parameters are not trained. Null: of any number."""
    mult_adds: int | None = None
    """Networks of more multiply-adds for an image are not trained. Null: of any number."""
    latency_ms: float | None = None
    """Slower networks are not trained, by their milliseconds on the first device. Null: of any latency."""

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
    """A search for the best network, as asked for."""

    __pydantic_config__: ClassVar[Mapping[str, str]] = {"extra": "forbid"}

    name: str = ""
    """What you find it again by. A line of up to 200 characters, in any language."""
    dataset: str
    """The images: a dataset's name, folder:/path/to/images, or images:NAME of an upload. The folder has one of images
    for each class, or is an archive of such a one; it lies where the service reads images."""
    space: str = "mbconv"
    """The search space that networks are taken from. `GET /v1/spaces` and `nas spaces` list them."""
    contents: DatasetInfo | None = None
    """What the images were when the run was submitted, which the service writes down itself. Where it is given, other
    images are refused."""
    resolution: int | None = None
    """Pixels a side that images are resized to. Null: as the dataset has them."""
    knobs: dict[str, tuple[Choice, ...]] = field(default_factory=dict)
    """Knobs of the space that have only some of their choices, such as stage1.op: conv and fused. The others have
    all."""
    searcher: str = "surrogate"
    """What proposes the next network to try. `GET /v1/searchers` and `nas searchers` list them."""
    options: dict[str, Choice] = field(default_factory=dict)
    """The searcher's own options, such as a population of 10."""
    baselines: tuple[str, ...] = ()
    """Published networks to compare with; "parent" is the search's own parent. They are the first trials, trained and
    measured like the others, and no limit refuses them; `GET /v1/published` and `nas published` list them."""
    objective: Objective = Objective()
    """What the search maximises."""
    limits: Limits = Limits()
    """Caps on a candidate."""
    devices: tuple[str, ...] = ("cpu",)
    """Where latency is measured, such as cpu or cpu:threads=2,batch=8. Objective and limits look at the first; on the
    others every candidate is measured as well, before it is trained. `GET /v1/devices` and `nas devices` list them."""
    predict_within: float = 0.1
    """The relative error within which earlier measurements have to predict latency for the searcher to know it in
    advance; 0: never."""
    recipe: Recipe = RECIPES["search"]
    """How each network is trained. `GET /v1/recipes` and `nas recipes` list some by name, to begin with. What a request
    leaves out is as in recipe "search", and with a parent as in "finetune"."""
    parent: str | None = None
    """A trained network that candidates are cut out of, weights and all. `GET /v1/parents` and `nas parents` list some;
    model:RUN-NUMBER and file:/path/to/a.safetensors are others. Null: candidates begin with random weights."""
    worth: Worth | None = None
    """What a training is worth, which the service writes down itself when the search is submitted."""
    trials: int = 20
    """Trainings, after which the search ends. Each is a trial, also where a network is trained again."""
    hours: float | None = None
    """Hours of work after which no trial begins. Pauses are left out, and what has begun still ends. Null: any
    number."""
    compute_hours: float | None = None
    """Hours of processors or GPUs after which no trial begins. Those count in which an evaluation holds one, and of a
    part of a GPU that part. Null: any number."""
    least_gain: float | None = None
    """The search ends when no network is expected to gain more than this. It is of reward, or of a front, as a share of
    the area under it. Null: it goes on whatever is expected."""
    parallel: int = 2
    """Trials at once."""
    seed: int = 0
    """The seed of everything random."""
    save_weights: bool = False
    """Whether the weights of every trial are kept, to be downloaded."""
    confirm: int = 0
    """Trials that train a leading network once more, from another seed. What looks best of many has most likely been
    lucky; it is then judged by the mean of its trainings, on the highest rung where there are rungs."""
    fidelity: Fidelity | None = None
    """Short trainings first, and longer ones of the best. Null: every network is trained by the whole recipe."""

    @staticmethod
    def otherwise(said: Mapping[str, Any]) -> dict[str, Any]:
        """What fields are that a request leaves out, where it is not their default."""
        return {"recipe": RECIPES["finetune"]} if said.get("parent") else {}

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
            if self.fidelity.inherit and self.recipe.folds > 1:
                raise Refusal(
                    f"fidelity inherits weights, which would have seen what each of {self.recipe.folds} folds holds "
                    f"out: give recipe.folds 1, or leave fidelity.inherit out",
                    field="fidelity",
                )
            if self.recipe.epochs or self.fidelity.scaled != "epochs":  # otherwise once they are settled
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
    """A family to grow from one architecture: every member is trained and scored once a seed."""

    LIKE: ClassVar[tuple[type, ...]] = (SearchSpec,)

    name: str = ""
    dataset: str
    contents: DatasetInfo | None = None
    space: str
    architecture: AnyArchitecture
    """The network that it is grown from."""
    source: tuple[str, int] | None = None
    """The id of the search, and the number of the trial, that the network came from."""
    members: tuple[Member, ...] = ("B0", "B1", "B2", "B3")
    """The networks to grow, of B0 to B7. B0 is the network itself."""
    scaling: CompoundScaling | None = None
    """Own factors on depth, width and resolution. Null: those published for B0 to B7."""
    devices: tuple[str, ...] = ("cpu",)
    recipe: Recipe = RECIPES["growth"]
    parallel: int = 2
    seed: int = 0
    seeds: int = 1
    """Trainings of each member, by `seed`, `seed + 1` and so on. Its accuracy is their mean, with a standard error."""
    scored_on: ScoredOn = "test"
    """The images that members are scored on. "test": the test images, after a training on all others. "validation":
    those that candidates of a search are ranked on, and that are not trained on; so recipes, members and scalings are
    compared and the test images are left for the one that is taken."""
    metric: Metric = "accuracy"
    """What members are compared by, which is what their search compared its networks by."""
    inherit: bool = False
    """Whether each member begins with the weights of the one before it, the smallest with those of the search's trial
    where they were saved, else with random ones. A member then waits for the one before."""
    parent: str | None = None
    """The SHA-256 of the checkpoint of that trial, if there is one."""

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
    """Networks to measure on some devices and not to train: one that is given, or some of a space, drawn at random."""

    LIKE: ClassVar[tuple[type, ...]] = (SearchSpec,)
    dataset: ClassVar[None] = None
    contents: ClassVar[None] = None

    name: str = ""
    space: str = "mbconv"
    images: Images
    """What the networks are for."""
    architecture: AnyArchitecture | None = None
    """The network, whole, which the space has to build. Null: some are drawn."""
    choices: Choices = field(default_factory=dict)
    """The choices that the network was built of, where it is one of the space."""
    published: str | None = None
    """The published network that it is."""
    model: str | None = None
    """The id of the trained network that it is."""
    networks: int = 1
    """Networks, different ones, that are drawn from the space at random."""
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
    """Candidates of a space, drawn at random, to train by two recipes: does the cheap one order them as the dear one
    does?"""

    LIKE: ClassVar[tuple[type, ...]] = (SearchSpec,)
    __pydantic_config__: ClassVar[Mapping[str, str]] = {"extra": "forbid"}

    name: str = ""
    dataset: str
    contents: DatasetInfo | None = None
    space: str = "mbconv"
    knobs: dict[str, tuple[Choice, ...]] = field(default_factory=dict)
    limits: Limits = Limits()
    candidates: int = 12
    """Networks, different ones, that are drawn from the space at random."""
    cheap: Recipe = RECIPES["proxy"]
    """The recipe that is in question."""
    dear: Recipe = RECIPES["short"]
    """The recipe whose order of the candidates counts as the true one."""
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
