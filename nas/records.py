"""Records: what is evaluated, what came of it, and runs and trials as they are stored; they check themselves."""

from dataclasses import dataclass, field
from typing import ClassVar, Literal, get_args

from nas.labels import Label
from nas.measurements import Measurement
from nas.networks.architecture import Choice, Choices
from nas.networks.lowering import AnyArchitecture
from nas.recipes import Recipe
from nas.refusal import Refusal, distinct
from nas.rounding import Precision
from nas.specs import Kind, Limits, SearchSpec, Spec

RunState = Literal["queued", "running", "paused", "finished", "stopped", "cancelled", "failed"]
Wish = Literal["run", "pause", "stop", "cancel"]
Phase = Literal["waiting", "measuring", "training", "scoring"]
TrialState = Literal["running", "done", "refused", "failed", "cancelled"]

ENDED: frozenset[RunState] = frozenset(("finished", "stopped", "cancelled", "failed"))
PARENT = "parent"  # among baselines, the search's own parent
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
    network: str | None = None
    """The digest of the network that stands for all choices which build the same one: a search proposes it once. Null
    in jobs from before this was kept."""
    member: str | None = None
    """The member of a family that it is, by its name, or, without a recipe, is measured for."""
    baseline: str | None = None
    """The name of the published network that it is, if it is one."""
    dataset: str | None = None
    """The images; null, as the recipe is then, where only latency is measured."""
    contents: str | None = None
    """The digest of the images that are meant; null: as they are."""
    devices: tuple[str, ...]
    """Where latency is measured; the limits look at the first."""
    recipe: Recipe | None = None
    precision: Precision = "float32"
    """What its accuracy is measured in; "int8": quantised once it is trained."""
    limits: Limits = Limits()
    seed: int = 0
    scores: bool = False
    """Whether the scores of the untrained network are wanted too."""
    parent: str | None = None
    """The SHA-256 of the checkpoint, or the name of the parent, whose weights it begins with, as far as they go. Null:
    with random ones."""
    children: dict[str, tuple[Choice, ...]] = field(default_factory=dict)
    """The knobs of all networks that are trained with it, as parts of it, and work with its weights then. Without any
    it is trained alone."""
    calibrated: bool = False
    """Whether it is not trained but scored with the weights of its parent, of which it is a part; its norms see some
    training images."""
    whole: bool = False
    """Whether its network is that of the search's parent, of which nothing was made smaller. Without choices it is no
    candidate, but to be compared with them."""
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
    predicted_ms: float | None = None
    """The latency on the first device, in milliseconds, that was predicted of its network before it is measured."""
    repeats: int | None = None
    """The number of the trial whose network it trains once more, from another seed."""
    measures: int | None = None
    """The number of the trial whose network's latency it measures once more, and nothing else: something hangs on that,
    and the host is quieter than it was. The latency that is known better counts."""
    promotes: int | None = None
    """The number of the trial whose network it trains longer, on the next rung."""
    epochs_done: int = 0
    """Epochs of its recipe whose steps its parent has had on the rung below. It is trained for the others, or for all
    of them, from what `ancestor` is, where the parent's weights are gone."""
    ancestor: str | None = None
    """The parent of its search, where its own is the network of the rung below. Null: that began with random
    weights."""
    rung: int | None = None
    """The rung that it is trained on, from 0, where the search has rungs."""
    processes: int = 1
    """Processes that train it together, on one machine: each has a processor, or a GPU, of its own, and its part of
    every batch."""

    def __post_init__(self) -> None:
        if (self.dataset is None) != (self.recipe is None):
            detail = f"dataset {self.dataset!r} with recipe {self.recipe}: give both, or neither to measure only"
            raise Refusal(detail, field="recipe")
        distinct(self, "devices", least=1)
        if self.calibrated and self.parent is None:
            raise Refusal("calibrated is for the weights of a parent: name one", field="parent")

    @property
    def read_at(self) -> int:
        """Pixels a side that its images are read at; the network resizes what it sees."""
        return self.pixels or self.architecture.images.resolution

    @property
    def compared(self) -> str | None:
        """What the search's candidates are compared with where it is none of them: a baseline, or the parent."""
        return self.baseline or (PARENT if self.whole and not self.choices else None)

    @property
    def anew(self) -> bool:
        """Whether its network has been evaluated before."""
        return any(before is not None for before in (self.repeats, self.measures, self.promotes))


@dataclass(frozen=True, kw_only=True)
class Sending:
    """A request that may be sent again: digests of whose it is with its key, and of what is asked for."""

    key: str
    body: str


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
    losses: tuple[float, ...] = ()
    """The mean training loss of each epoch so far, of several folds in turn."""

    @property
    def share(self) -> float:
        """Of its epochs, those that have ended."""
        return self.epoch / self.epochs if self.epochs else 0.0


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
    label: Label = Label()
    """What was written on it since."""
    again: tuple[int, ...] = ()
    """The trials of a search whose latency is to be measured again, as somebody asked for, and is not under way yet."""

    @property
    def name(self) -> str:
        """What it is called now."""
        return self.label.name or self.spec.name

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
    """A trained network that can be downloaded, as long as its weights are kept."""

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
    removed: str | None = None
    """Why its weights were removed; null: they are kept. What was measured of it stays."""
    pinned: bool = False
    """Whether its weights stay whatever else is removed."""


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
