"""What a search was asked for, and what runs of other kinds have in common with it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from nas import boards
from nas.datasets import DatasetInfo
from nas.networks.architecture import Choice, Knobs
from nas.objective import HARD, Objective
from nas.quotas import MOST_HOURS
from nas.recipes import RECIPES, Recipe
from nas.refusal import Refusal, between, distinct, positive
from nas.specs.fidelity import Fidelity
from nas.worth import Worth

MOST_TRIALS = 100_000
MOST_BASELINES = 200
MOST_LEARNT_FROM = 20
MOST_DEVICES = 32
MOST_PARALLEL = 1024
MOST_PRIORITY = 100
FINAL_SEEDS = 2  # trainings of each final


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
    most_drop: float | None = None
    """Networks that lose more points of accuracy in 8 bits are refused once they are trained; for objective.precision
    int8. Null: they may lose any number."""
    peak_memory: int | None = None
    """Networks that hold more bytes of values at once, in the objective's precision, are not trained. Null: of any
    number."""
    model_bytes: int | None = None
    """Networks of more bytes of weights and biases, in the objective's precision, are not trained. Null: of any
    number."""
    board: str | None = None
    """A board that networks have to fit on in int8. Three quarters of its memory are for the values of an image as
    TFLite Micro places them, and three quarters of its flash for weights. `GET /v1/boards` and `nas boards` list them.
    Null: none."""

    def __post_init__(self) -> None:
        positive(self, "params", "mult_adds", "latency_ms", "peak_memory", "model_bytes", "most_drop")
        if self.board is not None:
            boards.named(self.board)


def check_knobs(knobs: Knobs) -> None:
    for knob, choices in knobs.items():
        if not choices:
            raise Refusal(f"knob {knob!r} is left without a choice: name at least one", field="knobs", alone=True)
        if len(set(choices)) < len(choices):
            raise Refusal(f"knob {knob!r} has a choice twice: name each once", field="knobs", alone=True)


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
    """Pixels a side that images are resized to. Null: as the dataset has them; with a parent as that saw its own, up to
    128, whatever the dataset has: a network that knows large features finds none in small images."""
    knobs: dict[str, tuple[Choice, ...]] = field(default_factory=dict)
    """Knobs of the space that have only some of their choices, such as stage1.op: conv and fused. The others have
    all."""
    searcher: str = "surrogate"
    """What proposes the next network to try. `GET /v1/searchers` and `nas searchers` list them."""
    options: dict[str, Choice] = field(default_factory=dict)
    """The searcher's own options, such as a population of 10."""
    learn_from: tuple[str, ...] = ()
    """Earlier searches of the same images and space, by their ids, whose accuracies the searcher knows from the first
    trial on. What they trained by another recipe or at another resolution counts as far as it foretells what this one
    finds. None of it is taken over: a network of theirs that leads here is a trial here."""
    baselines: tuple[str, ...] = ()
    """Published networks to compare with; "parent" is the search's own parent. They are the first trials, trained and
    measured like the others, and no limit refuses them; `GET /v1/published` and `nas published` list them."""
    objective: Objective = Objective()
    """What the search maximises. A target without exponents asks for the best within it."""
    limits: Limits = Limits()
    """Caps on a candidate."""
    devices: tuple[str, ...] = ("cpu",)
    """Where latency is measured, such as cpu or cpu:threads=2,batch=8. Objective and limits look at the first; on the
    others every candidate is measured as well, before it is trained. `GET /v1/devices` and `nas devices` list them."""
    predict_within: float = 0.1
    """The relative error within which earlier measurements have to predict latency for the searcher to know it in
    advance; 0: never. That takes 20 networks measured on the device, or ten where other devices are known."""
    recipe: Recipe = RECIPES["search"]
    """How each network is trained. `GET /v1/recipes` and `nas recipes` list some by name, to begin with. What a request
    leaves out is as in recipe "search", with shared weights as in "supernet", and with a parent as in "finetune"."""
    parent: str | None = None
    """A trained network that candidates are cut out of, weights and all. `GET /v1/parents` and `nas parents` list some;
    model:RUN-NUMBER and file:/path/to/a.safetensors are others. Null: candidates begin with random weights."""
    worth: Worth | None = None
    """What a training is worth, which the service writes down itself when the search is submitted."""
    trials: int = 20
    """Trainings, after which the search ends. Each is a trial, also where a network is trained again. With shared
    weights, where it takes seconds, a request that leaves them out means 200."""
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
    """Trials at once, as far as there is room beside those of other runs."""
    priority: int = 1
    """The run's share beside others of the same owner, from 1 to 100: one of 3 gets three times as much processor time
    as one of 1. Owners have equal shares, however many runs each has."""
    seed: int = 0
    """The seed of everything random."""
    save_weights: bool = False
    """Whether the weights of trials are kept, to be downloaded: once it has ended of the best alone, ten unless the
    service is told otherwise (NAS_MOST_MODELS)."""
    confirm: int = 0
    """Trials that train a leading network once more, from another seed. What looks best of many has most likely been
    lucky; it is then judged by the mean of its trainings, on the highest rung where there are rungs."""
    fidelity: Fidelity | None = None
    """Short trainings first, and longer ones of the best. Null: every network is trained by the whole recipe."""

    weights: Literal["own", "shared"] = "own"
    """What candidates are scored with. "own": the weights of a training of their own. "shared": those of the largest
    network of the knobs, which is the first trial and is trained so that all smaller ones work as parts of it (BigNAS,
    Yu et al. 2020). Its training takes as long as some three others, and a candidate then takes seconds. Knobs that a
    request leaves out have the choices that one network holds. Comes with confirm 0, no fidelity, one fold."""
    finals: int = 3
    """With shared weights: how many of the best are trained on alone at the end, by the whole recipe at a quarter of
    its learning rate, from the weights that they have; each twice, from two seeds, which are two trials. Where that
    makes one worse on the validation images it stays what it was. Their weights are kept. A search that ends by its
    hours before its trials has none."""

    @property
    def trained(self) -> str:
        """What its recipe trains, in words."""
        return "the supernet" if self.weights == "shared" else "each candidate"

    @staticmethod
    def otherwise(said: Mapping[str, Any]) -> dict[str, Any]:
        """What fields are that a request leaves out, where it is not their default."""
        recipe = "finetune" if said.get("parent") else "supernet" if said.get("weights") == "shared" else "search"
        others: dict[str, Any] = {"recipe": RECIPES[recipe]}
        if said.get("weights") == "shared":
            others["trials"] = 200
        given = said.get("objective")
        aim = given if isinstance(given, Mapping) else {}
        if "target" in aim and not {"w_under", "w_over"} & aim.keys() and aim.get("form") != "absolute":
            others["objective"] = Objective(w_under=HARD[0], w_over=HARD[1])
        return others

    def __post_init__(self) -> None:
        between(self, "trials", 1, MOST_TRIALS)
        positive(self, "hours", "compute_hours", most=MOST_HOURS)
        positive(self, "least_gain")
        between(self, "parallel", 1, MOST_PARALLEL)
        between(self, "priority", 1, MOST_PRIORITY)
        between(self, "confirm", 0, MOST_TRIALS // 2)
        if self.confirm > (half := self.trials // 2):
            detail = f"confirm {self.confirm} is not between 0 and {half}, half of {self.trials} trials"
            raise Refusal(detail, field="confirm")
        between(self, "seed", 0, 2**31 - 1 - self.confirm)
        between(self, "predict_within", 0, 1)
        if self.resolution is not None:
            between(self, "resolution", 8, 2048)
        check_knobs(self.knobs)
        distinct(self, "devices", least=1, most=MOST_DEVICES)
        distinct(self, "learn_from", most=MOST_LEARNT_FROM)
        distinct(self, "baselines", most=MOST_BASELINES)
        if self.baselines and len(self.baselines) >= self.trials:
            raise Refusal(
                f"{len(self.baselines)} baselines leave none of {self.trials} trials to the search: give more",
                field="trials",
            )
        between(self, "finals", 0, 1000)
        if self.weights == "shared":
            self._check_shared()
        if self.limits.most_drop is not None and self.objective.precision == "float32":
            raise Refusal(
                f"limits.most_drop {self.limits.most_drop:g} is of 8 bits: give objective.precision int8 with it",
                field="limits",
            )
        self.recipe.require_precision(self.objective.precision)
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

    def _check_shared(self) -> None:
        if self.fidelity:
            raise Refusal(
                "weights 'shared' are a fidelity of their own, the lowest: leave fidelity out, or give weights 'own'",
                field="fidelity",
            )
        if self.confirm:
            raise Refusal(
                f"confirm {self.confirm} trains leaders from another seed, as weights 'shared' do with all finals: "
                "leave confirm out, and give more finals",
                field="confirm",
            )
        if self.recipe.folds > 1:
            raise Refusal(
                f"weights 'shared' would have seen what each of {self.recipe.folds} folds holds out: give recipe.folds "
                "1, or weights 'own'",
                field="weights",
            )
        if not self.recipe.body_rate:
            raise Refusal(
                "recipe.body_rate 0 trains none of the weights that are to be shared: give more, or weights 'own'",
                field="weights",
            )
        needed = 2 + len(self.baselines) + FINAL_SEEDS * self.finals
        if self.trials < needed:
            raise Refusal(
                f"trials {self.trials} is less than {needed}: the supernet, {len(self.baselines)} baselines, a "
                f"candidate and {FINAL_SEEDS} for each of {self.finals} finals; give more, or fewer finals",
                field="trials",
            )
