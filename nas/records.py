"""Records: everything that is stored or sent, as frozen dataclasses that check themselves."""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal, get_args

from nas.architecture import Choice, Choices, Images
from nas.lowering import AnyArchitecture
from nas.objective import Objective
from nas.scaling import MEMBERS, CompoundScaling

Kind = Literal["search", "growth", "measurement", "proxy"]
RunState = Literal["queued", "running", "paused", "finished", "stopped", "cancelled", "failed"]
Wish = Literal["run", "pause", "stop", "cancel"]
Phase = Literal["waiting", "measuring", "training", "scoring"]
TrialState = Literal["running", "done", "refused", "failed", "cancelled"]

ENDED: frozenset[RunState] = frozenset(("finished", "stopped", "cancelled", "failed"))
MOST_TRIALS = 100_000
MOST_SEEDS = 100
MOST_NETWORKS = 1000  # in one measurement, or one proxy
FEWEST_CANDIDATES = 4  # of which an order says anything


class Refusal(ValueError):
    """A record with a value that it must not have; the message names the value and what is allowed."""


def _positive(record: object, *names: str) -> None:
    for name in names:
        value = getattr(record, name)
        if value is not None and not (math.isfinite(value) and value > 0):
            raise Refusal(f"{name} {value} is not a positive number")


def _between(record: object, name: str, low: float, high: float) -> None:
    value = getattr(record, name)
    if value is not None and not low <= value <= high:
        raise Refusal(f"{name} {value} is not between {low} and {high}")


def _distinct(device: str, further_devices: tuple[str, ...]) -> None:
    if len({device, *further_devices}) <= len(further_devices):
        raise Refusal(f"further_devices {', '.join(further_devices)} beside {device} repeat themselves: name each once")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a network is trained. After a warm-up in a line the learning rate falls by the schedule: "cosine" in half a
    cosine to zero; "one-cycle" in a line to zero, momentum moving against it (Smith & Topin 2017); "steps" by a factor
    every so many epochs (Tan & Le 2019). "sgd" is with Nesterov momentum, "rmsprop" TensorFlow's, "muon" turns the
    steps of dense convolutions (Jordan et al. 2024) and wants a momentum of 0.6 and a rate of 0.08."""

    # An unknown field in a request is refused, not ignored; the setting is inert without pydantic.
    __pydantic_config__: ClassVar[Mapping[str, str]] = {"extra": "forbid"}

    epochs: int = 2
    train_images: int | None = None  # a random, class-balanced part of the training images; None: all
    batch: int = 128
    learning_rate: float = 0.2
    momentum: float = 0.9
    weight_decay: float = 5e-4
    warmup: float = 0.2  # fraction of the steps
    label_smoothing: float = 0.1
    flip: bool = True
    crop_pixels: int = 0  # random shift by up to so many pixels, zero-padded
    cutout_pixels: int = 0  # side of the square that is blanked
    optimizer: Literal["sgd", "rmsprop", "muon"] = "sgd"
    schedule: Literal["cosine", "one-cycle", "steps"] = "cosine"
    decay: float = 0.97  # of the learning rate, in "steps"
    decay_epochs: float = 2.4  # between two of them
    norm_decay: float = 0.9  # how much of a norm's running mean and variance a step keeps
    clip_norm: float | None = None  # gradients longer than this, all taken together, are shortened to it
    drop_path: float | None = None  # stochastic depth of the last residual branch; None: as the architecture says
    ema: float = 0.0  # how much of the averaged weights a step keeps; 0: none are averaged

    def __post_init__(self) -> None:
        _between(self, "epochs", 1, 10_000)
        _between(self, "batch", 2, 65_536)
        _positive(self, "learning_rate", "train_images")
        _between(self, "momentum", 0, 0.9999)
        _between(self, "weight_decay", 0, 1)
        _between(self, "warmup", 0, 1)
        _between(self, "label_smoothing", 0, 0.9)
        _between(self, "crop_pixels", 0, 256)
        _between(self, "cutout_pixels", 0, 256)
        _between(self, "decay", 0.01, 1)
        _positive(self, "decay_epochs", "clip_norm")
        _between(self, "norm_decay", 0, 0.9999)
        _between(self, "drop_path", 0, 0.9)
        _between(self, "ema", 0, 0.99999)


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
        _between(self, "eta", 2, 10)
        _between(self, "rungs", 2, 8)

    @property
    def fewest(self) -> int:
        """Trials with which one network reaches the highest rung from the lowest."""
        return sum(self.eta**rung for rung in range(self.rungs))

    def recipes(self, highest: Recipe) -> tuple[Recipe, ...]:
        """Of each rung, the lowest first. Raises Refusal where there is too little to divide."""
        whole: int | None = getattr(highest, self.scaled)
        if whole is None:
            raise Refusal(f"fidelity scales {self.scaled}, of which the recipe takes all: give recipe.{self.scaled}")
        parts = [max(1, round(whole / self.eta**below)) for below in reversed(range(self.rungs))]
        if len(set(parts)) < len(parts):
            raise Refusal(
                f"fidelity has rungs of {', '.join(map(str, parts))} {self.scaled}, and each must have more than the "
                f"one below: give recipe.{self.scaled} {self.eta ** (self.rungs - 1)} or more, or fewer rungs"
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
        _positive(self, "params", "mult_adds", "latency_ms")


@dataclass(frozen=True, kw_only=True)
class SearchSpec:
    """A search, as asked for. `knobs` narrows knobs of the space to some of their choices; `options` are the
    searcher's own; `resolution` None takes the dataset's. `baselines` are reference networks to compare with: they are
    the first trials, trained and measured like the others, and no limit refuses them. Objective and limits look at the
    latency on `device`; on the `further_devices` every candidate is measured as well, before it is trained. Where what
    was measured before predicts latencies `predict_within` that relative error, the searcher knows them in advance;
    0: never.

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
    device: str = "cpu"
    further_devices: tuple[str, ...] = ()
    predict_within: float = 0.1
    recipe: Recipe = Recipe()
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
        _between(self, "trials", 1, MOST_TRIALS)
        _positive(self, "hours", "compute_hours", "least_gain")
        _between(self, "parallel", 1, 1024)
        _between(self, "confirm", 0, self.trials // 2)
        _between(self, "seed", 0, 2**31 - 1 - self.confirm)
        _between(self, "predict_within", 0, 1)
        if self.resolution is not None:
            _between(self, "resolution", 8, 2048)
        for knob, choices in self.knobs.items():
            if not choices:
                raise Refusal(f"knob {knob!r} is left without a choice: name at least one")
        _distinct(self.device, self.further_devices)
        if len(set(self.baselines)) < len(self.baselines):
            raise Refusal(f"baselines {', '.join(self.baselines)} repeat themselves: name each once")
        if self.baselines and len(self.baselines) >= self.trials:
            raise Refusal(
                f"{len(self.baselines)} baselines leave none of {self.trials} trials to the search: give more"
            )
        if self.fidelity:
            self.fidelity.recipes(self.recipe)
            needed = self.fidelity.fewest + len(self.baselines)
            if self.trials < needed:
                raise Refusal(
                    f"trials {self.trials} is less than {needed}, with which a network reaches the highest rung of "
                    f"fidelity: give more, fewer rungs or a smaller eta"
                )


@dataclass(frozen=True, kw_only=True)
class GrowthSpec:
    """A family to grow from one architecture; `scaling` None takes the published B0…B7 coefficients.

    Every member is trained on all training images and tested once, `seeds` times from different beginnings: by `seed`,
    `seed + 1` and so on. `source` is the search and trial it came from.
    """

    name: str = ""
    dataset: str
    space: str
    architecture: AnyArchitecture
    source: tuple[str, int] | None = None
    members: tuple[str, ...] = ("B0", "B1", "B2", "B3")
    scaling: CompoundScaling | None = None
    device: str = "cpu"
    further_devices: tuple[str, ...] = ()
    recipe: Recipe = Recipe(epochs=20)
    parallel: int = 2
    seed: int = 0
    seeds: int = 1

    def __post_init__(self) -> None:
        if not self.members:
            raise Refusal("members is empty: name at least one of " + ", ".join(MEMBERS))
        for member in self.members:
            if member not in MEMBERS:
                raise Refusal(f"member {member!r} is none of {', '.join(MEMBERS)}")
        if len(set(self.members)) < len(self.members):
            raise Refusal(f"members {', '.join(self.members)} repeat themselves: name each once")
        _distinct(self.device, self.further_devices)
        _between(self, "parallel", 1, 1024)
        _between(self, "seeds", 1, MOST_SEEDS)
        _between(self, "seed", 0, 2**31 - self.seeds)

    @property
    def trials(self) -> int:
        """How many trainings there are."""
        return len(self.members) * self.seeds


@dataclass(frozen=True, kw_only=True)
class MeasurementSpec:
    """Networks to measure on some devices and not to train: the `architecture`, if there is one, otherwise so many
    `networks` of the space for such `images`, drawn at random.

    `reference` and `model` say where the architecture comes from.
    """

    dataset: ClassVar[None] = None

    name: str = ""
    space: str = "mbconv"
    images: Images
    architecture: AnyArchitecture | None = None
    choices: Choices = field(default_factory=dict)
    reference: str | None = None
    model: str | None = None
    networks: int = 1
    knobs: dict[str, tuple[Choice, ...]] = field(default_factory=dict)
    devices: tuple[str, ...] = ("cpu",)
    parallel: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.devices:
            raise Refusal("devices is empty: name at least one")
        if len(set(self.devices)) < len(self.devices):
            raise Refusal(f"devices {', '.join(self.devices)} repeat themselves: name each once")
        _between(self, "networks", 1, MOST_NETWORKS)
        _between(self, "parallel", 1, 1024)
        _between(self, "seed", 0, 2**31 - 1)

    @property
    def trials(self) -> int:
        """How many measurements there are."""
        return self.networks * len(self.devices)


@dataclass(frozen=True, kw_only=True)
class ProxySpec:
    """Candidates of a space, drawn at random, to train by a `cheap` and a `dear` recipe: does the cheap one order them
    as the dear one does?"""

    __pydantic_config__: ClassVar[Mapping[str, str]] = {"extra": "forbid"}

    name: str = ""
    dataset: str
    space: str = "mbconv"
    knobs: dict[str, tuple[Choice, ...]] = field(default_factory=dict)
    limits: Limits = Limits()
    candidates: int = 12
    cheap: Recipe = Recipe(epochs=2, train_images=20_000)
    dear: Recipe = Recipe(epochs=5, learning_rate=0.4, warmup=0.1, label_smoothing=0.05, flip=False)
    device: str = "cpu"
    parallel: int = 2
    seed: int = 0

    def __post_init__(self) -> None:
        _between(self, "candidates", FEWEST_CANDIDATES, MOST_NETWORKS)
        if self.cheap == self.dear:
            raise Refusal("cheap and dear are the same recipe: name two")
        _between(self, "parallel", 1, 1024)
        _between(self, "seed", 0, 2**31 - 1)

    @property
    def trials(self) -> int:
        """How many trainings there are."""
        return 2 * self.candidates


Spec = SearchSpec | GrowthSpec | MeasurementSpec | ProxySpec
SPECS: dict[Kind, type[Spec]] = {
    "search": SearchSpec,
    "growth": GrowthSpec,
    "measurement": MeasurementSpec,
    "proxy": ProxySpec,
}


@dataclass(frozen=True, kw_only=True)
class Job:
    """What to evaluate, whole: whoever gets it needs nothing else but the dataset.

    Without a `dataset` and a `recipe` only latency is measured. `scores` wants the scores of the untrained network too.
    `baseline` names the reference network that it is, if it is one. `repeats` is the trial whose network it trains once
    more, from another seed; `promotes` the one whose network it trains longer, on the next `rung`. `final`: train on
    all training images and score the test images; otherwise a tenth of the training images is kept out of training, and
    `accuracy` is measured there. `expected_gain` is what the searcher expected of it when it proposed it, as in
    `SearchSpec.least_gain`.
    """

    run: str
    number: int
    space: str
    architecture: AnyArchitecture
    choices: Choices = field(default_factory=dict)
    member: str | None = None
    baseline: str | None = None
    dataset: str | None = None
    device: str
    further_devices: tuple[str, ...] = ()
    recipe: Recipe | None = None
    limits: Limits = Limits()
    seed: int = 0
    scores: bool = False
    final: bool = False
    save_weights: bool = False
    expected_gain: float | None = None
    repeats: int | None = None
    promotes: int | None = None
    rung: int | None = None

    def __post_init__(self) -> None:
        if (self.dataset is None) != (self.recipe is None):
            raise Refusal(f"dataset {self.dataset!r} with recipe {self.recipe}: give both, or neither to measure only")

    @property
    def anew(self) -> bool:
        """Whether its network has been trained before."""
        return self.repeats is not None or self.promotes is not None


@dataclass(frozen=True, kw_only=True)
class Latency:
    """Measured milliseconds for one batch, which is one image unless the device was told otherwise; `spread` is the
    interquartile range over the median.

    `fingerprint` says on what: processor, threads, runtime, versions. `ratio` is to a reference network that ran in
    turns with this one and took `reference_ms`; `noisy` says why the latency may not repeat to 1 %, if it may not, and
    `shared` whether other programs worked on the host meanwhile. Null in measurements from before there were these.
    """

    device: str
    median_ms: float
    p95_ms: float
    minimum_ms: float
    spread: float
    runs: int
    fingerprint: dict[str, str]
    rounds: int | None = None
    ratio: float | None = None
    reference_ms: float | None = None
    noisy: str | None = None
    shared: bool | None = None

    def __post_init__(self) -> None:
        _positive(self, "median_ms", "p95_ms", "minimum_ms", "runs", "rounds", "ratio", "reference_ms")


@dataclass(frozen=True, kw_only=True)
class Score:
    """What nas.training.zero_cost says of a network before it is trained, and how long that took; `value` is null where
    it is not finite."""

    value: float | None
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """What came back for a job. `refused` says which limit was broken; then nothing was trained.

    `accuracy` is on the validation images, `test_accuracy` on the test images (of a final job only), both in [0, 1].
    `accuracy_error` is the standard error of the one that was measured, from the number of images alone;
    `unaveraged_accuracy` is on the same images without the averaging of weights, where the recipe averages.
    `weights` is the SHA-256 of the saved checkpoint, its name in the artifact folder. `further_latencies` are those on
    the job's further devices, by their names there.
    `trained_on` is the name of the GPU, or of the processor.
    """

    params: int
    mult_adds: int
    latency: Latency | None = None
    further_latencies: dict[str, Latency] = field(default_factory=dict)
    accuracy: float | None = None
    test_accuracy: float | None = None
    refused: str | None = None
    train_seconds: float = 0.0
    seconds: float = 0.0
    weights: str | None = None
    accuracy_error: float | None = None
    unaveraged_accuracy: float | None = None
    scores: dict[str, Score] = field(default_factory=dict)
    trained_on: str | None = None

    def __post_init__(self) -> None:
        for name in ("accuracy", "test_accuracy", "unaveraged_accuracy"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 1:
                raise Refusal(f"{name} {value} is not between 0 and 1")

    def cost(self, name: str, further_device: str | None = None) -> float | None:
        """The measured value of the cost of that name, or None where it was not measured; latency is that on the job's
        first device, or on one of its further devices."""
        if name == "latency_ms":
            latency = self.further_latencies.get(further_device) if further_device else self.latency
            return latency.median_ms if latency else None
        return float(self.params if name == "params" else self.mult_adds)


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a running trial is, sent after every epoch and when its phase changes."""

    run: str
    number: int
    phase: Phase
    epoch: int = 0
    epochs: int = 0
    loss: float | None = None
    accuracy: float | None = None
    images_per_second: float | None = None


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One numbered job of a run. `finished` counts ended trials of the run in the order in which they ended.

    `compute_seconds`, of an ended one, are those in which its evaluation held a processor, or a GPU, times the part of
    it; of one whose evaluation died without saying so, all from its beginning to its end.
    """

    run: str
    number: int
    state: TrialState
    job: Job
    measurement: Measurement | None = None
    error: str | None = None
    progress: Progress | None = None
    finished: int | None = None
    started_at: float
    ended_at: float | None = None
    compute_seconds: float | None = None


@dataclass(frozen=True, kw_only=True)
class Run:
    """A search, or a run of another kind, its state as the coordinator left it and its wish as the user put it.

    `trials` is the budget in force (a search's can be raised); `reason` says why a finished run ended before it.
    Times are seconds since 1970, UTC; `worked_seconds` are those in which a coordinator worked on it, pauses left out.
    """

    id: str
    kind: Kind
    spec: Spec
    state: RunState
    wish: Wish
    trials: int
    error: str | None = None
    created_at: float
    started_at: float | None = None
    ended_at: float | None = None
    worked_seconds: float = 0.0
    reason: str | None = None

    def spent(self, compute_seconds: float) -> str | None:
        """Which of its hours are spent, in words, where so much of the devices' time is; None: it may go on."""
        if not isinstance(self.spec, SearchSpec):
            return None
        hours, compute_hours = self.spec.hours, self.spec.compute_hours
        if hours is not None and self.worked_seconds >= 3600 * hours:
            return f"its {hours:g} hours have passed"
        if compute_hours is not None and compute_seconds >= 3600 * compute_hours:
            return f"its {compute_hours:g} compute hours are spent"
        return None


@dataclass(frozen=True, kw_only=True)
class Model:
    """A trained network that can be downloaded; `id` is "<run>-<trial number>"."""

    id: str
    run: str
    number: int
    sha256: str
    bytes: int
    created_at: float


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened to a run, in words; `id` rises."""

    id: int
    run: str
    at: float
    kind: str
    text: str


def replaced(recipe: Recipe, **changes: object) -> Recipe:
    """`recipe` with the fields that are given and not None."""
    known = {name: value for name, value in changes.items() if value is not None}
    return dataclasses.replace(recipe, **known)  # type: ignore[arg-type]


TRIAL_STATES: tuple[str, ...] = get_args(TrialState)
