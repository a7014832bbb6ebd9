"""Records: what is evaluated, what came of it, and runs and trials as they are stored; they check themselves."""

import math
from dataclasses import dataclass, field
from typing import ClassVar, Literal, get_args

from nas.answers import Answers
from nas.metrics import Quality
from nas.networks.architecture import Choices
from nas.networks.lowering import AnyArchitecture
from nas.objective import Metric
from nas.recipes import Recipe
from nas.refusal import Refusal, between, distinct, positive
from nas.specs import Kind, Limits, SearchSpec, Spec

RunState = Literal["queued", "running", "paused", "finished", "stopped", "cancelled", "failed"]
Wish = Literal["run", "pause", "stop", "cancel"]
Phase = Literal["waiting", "measuring", "training", "scoring"]
TrialState = Literal["running", "done", "refused", "failed", "cancelled"]

ENDED: frozenset[RunState] = frozenset(("finished", "stopped", "cancelled", "failed"))
TRIAL_STATES: tuple[str, ...] = get_args(TrialState)


@dataclass(frozen=True, kw_only=True)
class Job:
    """What to evaluate, whole: whoever gets it needs nothing else but the dataset."""

    LIKE: ClassVar[tuple[type, ...]] = (SearchSpec,)

    run: str
    """The id of its run."""
    number: int
    """Its number in the run, from 0."""
    space: str
    architecture: AnyArchitecture
    """The network."""
    choices: Choices = field(default_factory=dict)
    """The choices of the space that the network was built of; none where it is none of the space."""
    member: str | None = None
    """The member of a family that it is, B0 to B7."""
    baseline: str | None = None
    """The name of the published network that it is, if it is one."""
    dataset: str | None = None
    """The images; null, as the recipe is then, where only latency is measured."""
    contents: str | None = None
    """The digest of the images that are meant; null: as they are."""
    devices: tuple[str, ...]
    """Where latency is measured; the limits look at the first."""
    recipe: Recipe | None = None
    limits: Limits = Limits()
    seed: int = 0
    scores: bool = False
    """Whether the scores of the untrained network are wanted too."""
    parent: str | None = None
    """The SHA-256 of the checkpoint, or the name of the parent, whose weights it begins with, as far as they go. Null:
    with random ones."""
    whole: bool = False
    """Whether its network is that of the search's parent, of which nothing was made smaller."""
    pixels: int | None = None
    """Pixels a side that images are read at, where the network sees them smaller; null: as the network sees them."""
    final: bool = False
    """Whether it is trained on all training images and scored on the test images. Otherwise some of the training images
    are kept out, as the recipe says, and the accuracy is measured there."""
    shuffle: int = 0
    """Which images are held out together, where its recipe has several folds; of a trial that repeats another, which
    is so scored on other folds, from 1."""
    save_weights: bool = False
    """Whether its weights are kept."""
    handed_on: bool = False
    """Whether these are kept for the next rung alone, until the search ends: they are no model."""
    expected_gain: float | None = None
    """What the searcher expected to gain by it: of reward, or of a front, as a share of its area."""
    repeats: int | None = None
    """The number of the trial whose network it trains once more, from another seed."""
    promotes: int | None = None
    """The number of the trial whose network it trains longer, on the next rung."""
    epochs_done: int = 0
    """Epochs of its recipe whose steps its parent has had on the rung below. It is trained for the others, or for all
    of them, from nothing, where the parent's weights are gone."""
    rung: int | None = None
    """The rung that it is trained on, from 0, where the search has rungs."""

    def __post_init__(self) -> None:
        if (self.dataset is None) != (self.recipe is None):
            detail = f"dataset {self.dataset!r} with recipe {self.recipe}: give both, or neither to measure only"
            raise Refusal(detail, field="recipe")
        distinct(self, "devices", least=1)

    @property
    def read_at(self) -> int:
        """Pixels a side that its images are read at; the network resizes what it sees."""
        return self.pixels or self.architecture.images.resolution

    @property
    def anew(self) -> bool:
        """Whether its network has been trained before."""
        return self.repeats is not None or self.promotes is not None


@dataclass(frozen=True, kw_only=True)
class Latency:
    """The milliseconds of one batch, which is one image unless the device was told otherwise."""

    device: str
    """The device, with its options."""
    median_ms: float
    """The latency: the median of the fastest runs of the six fastest rounds, in milliseconds."""
    p95_ms: float
    """Milliseconds that 95 % of all runs took at most."""
    minimum_ms: float
    """Milliseconds of the fastest run."""
    spread: float
    """The interquartile range of all runs over their median."""
    runs: int
    """Runs that were timed."""
    fingerprint: dict[str, str]
    """What it was measured on: processor, threads, runtime, versions."""
    rounds: int | None = None
    """Rounds of the network and the yardstick in turns; null, as what follows, in measurements from before there were
    these."""
    ratio: float | None = None
    """The latency over that of a yardstick, a network that ran in turns with this one."""
    yardstick_ms: float | None = None
    """Milliseconds that the yardstick took."""
    noisy: str | None = None
    """Why the latency may not repeat as well as it should; null: it should."""
    shared: bool | None = None
    """Whether other programs kept the host's processors busy meanwhile."""

    def __post_init__(self) -> None:
        positive(self, "median_ms", "p95_ms", "minimum_ms", "runs", "rounds", "ratio", "yardstick_ms")
        between(self, "spread", 0, math.inf)


@dataclass(frozen=True, kw_only=True)
class Score:
    """What is said of a network before it is trained."""

    value: float | None
    """The score, whose higher values promise a higher accuracy; null where it is minus infinity, or
    no number: the lowest of all. JSON has no infinity."""
    seconds: float
    """Seconds that it took to compute."""


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """What came back for a job."""

    params: int
    """Parameters of the network."""
    mult_adds: int
    """Multiply-adds of the network for one image, which the papers call FLOPs."""
    latencies: dict[str, Latency] = field(default_factory=dict)
    """The latency on each of the job's devices, by their names there."""
    accuracy: float | None = None
    """The accuracy on the validation images, from 0 to 1; null in a final job."""
    test_accuracy: float | None = None
    """The accuracy on the test images, from 0 to 1; null unless the job is final."""
    refused: str | None = None
    """The limit that was broken, in words. Nothing was trained then, or in vain, where only a noisy latency was known
    before."""
    train_seconds: float = 0.0
    """Seconds of training."""
    seconds: float = 0.0
    """Seconds of all of it."""
    weights: str | None = None
    """The SHA-256 of the saved checkpoint, which is its name in the artifact folder."""
    accuracy_error: float | None = None
    """The standard error of the accuracy that was measured, by the number of images alone; it is that of Agresti and
    Coull (1998), and not 0 where all were got right."""
    answers: Answers | None = None
    """What it answered to the images that it was scored on; null where it was not recorded."""
    quality: Quality | None = None
    """What these answers are worth class by class; null where that was not recorded."""
    steps: int | None = None
    """Steps of each of its trainings; null where they were not recorded."""
    unaveraged_accuracy: float | None = None
    """The accuracy on the same images without the averaging of weights, where the recipe averages."""
    scores: dict[str, Score] = field(default_factory=dict)
    """What was said of the untrained network, by the name of the score."""
    trained_on: str | None = None
    """The name of the GPU, or of the processor, that it was trained on."""
    learning_rate: float | None = None
    """The learning rate that trained it: a third of its recipe's where it diverged at that, null where it was not
    recorded."""
    inherited: float | None = None
    """The part of its parameters that it began with from its parent, from 0 to 1; null: it has none."""

    def __post_init__(self) -> None:
        for name in ("accuracy", "test_accuracy", "unaveraged_accuracy"):
            between(self, name, 0, 1)

    def value(self, metric: Metric) -> float | None:
        """What that metric is, on the test images where the job is final; None where it was not recorded."""
        if metric == "accuracy":
            return self.accuracy if self.test_accuracy is None else self.test_accuracy
        return getattr(self.quality, metric) if self.quality else None

    def value_error(self, metric: Metric) -> float | None:
        """The standard error of that, by the number of images alone; None where it is not known."""
        if metric == "accuracy":
            return self.accuracy_error
        return getattr(self.quality, f"{metric}_error") if self.quality else None

    def cost(self, name: str, device: str) -> float | None:
        """The measured value of the cost of that name, or None where it was not measured; latency is the one on
        `device`."""
        if name == "latency_ms":
            latency = self.latencies.get(device)
            return latency.median_ms if latency else None
        return float(self.params if name == "params" else self.mult_adds)


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a running trial is, sent after every epoch and when its phase changes."""

    LIKE: ClassVar[tuple[type, ...]] = (Job,)

    run: str
    number: int
    phase: Phase
    """What it is doing."""
    epoch: int = 0
    """Epochs that have ended."""
    epochs: int = 0
    """Epochs in all."""
    loss: float | None = None
    """The mean training loss of the last epoch."""
    accuracy: float | None = None
    """The accuracy on the validation images after it, from 0 to 1."""
    images_per_second: float | None = None
    """Images trained on in a second of it."""


@dataclass(frozen=True, kw_only=True)
class Notice:
    """What whoever asked for a trial should know of it while it runs: a warning of its evaluation, which goes on."""

    LIKE: ClassVar[tuple[type, ...]] = (Job,)

    run: str
    number: int
    text: str
    """The warning."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One numbered job of a run, and what came of it."""

    LIKE: ClassVar[tuple[type, ...]] = (Job,)

    run: str
    number: int
    state: TrialState
    """Where it is: running, or how it ended. Refused is one whose network is over a limit."""
    job: Job
    """What is evaluated."""
    measurement: Measurement | None = None
    """What came back; null before that, and where nothing did."""
    error: str | None = None
    """Why it failed."""
    progress: Progress | None = None
    """How far it is while it runs."""
    finished: int | None = None
    """Its place in the order in which the run's trials ended, from 1."""
    started_at: float
    """When it began, in seconds since 1970, UTC."""
    ended_at: float | None = None
    """When it ended, in seconds since 1970, UTC."""
    compute_seconds: float | None = None
    """Seconds, once it has ended, in which its evaluation held a processor, or a GPU, times the part of it. Of one
    whose evaluation died without saying so, all from its beginning to its end."""
    traceback: str | None = None
    """Where in the code it failed, of what failed in it; cut in the middle where it is long."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """A search, or a run of another kind, its state as the coordinator left it and its wish as the user put it."""

    id: str
    """Twelve hexadecimal digits."""
    kind: Kind
    """What kind of run it is."""
    spec: Spec
    """What it was asked for, as stored."""
    state: RunState
    """Where it is, as its coordinator left it."""
    wish: Wish
    """What was wished of it last."""
    trials: int
    """The budget of trials in force."""
    error: str | None = None
    """Why it failed."""
    created_at: float
    """When it was submitted, in seconds since 1970, UTC."""
    started_at: float | None = None
    """When work on it began, in seconds since 1970, UTC."""
    ended_at: float | None = None
    """When it ended, in seconds since 1970, UTC."""
    worked_seconds: float = 0.0
    """Seconds in which a coordinator worked on it, pauses left out."""
    reason: str | None = None
    """Why a finished run ended before its budget."""
    submitted_by: str | None = None
    """The owner of the token that submitted it. Null: nobody had to sign in, or it is older than such notes."""

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
    """A trained network that can be downloaded."""

    id: str
    """The id of its run, a dash, and the number of the trial that trained it."""
    run: str
    """The id of its run."""
    number: int
    """The number of the trial that trained it."""
    sha256: str
    """The SHA-256 of its checkpoint."""
    bytes: int
    """The size of its checkpoint."""
    created_at: float
    """When it was saved, in seconds since 1970, UTC."""


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened to a run."""

    id: int
    """A number that rises."""
    run: str
    """The id of the run."""
    at: float
    """When it happened, in seconds since 1970, UTC."""
    kind: str
    """What kind of event it is, in a word."""
    text: str
    """What happened."""
    by: str | None = None
    """The owner of the token whose doing it was. Null: it was the service's own, or nobody had to sign in."""
