"""Records: what is evaluated, what came of it, and runs and trials as they are stored; they check themselves."""

from dataclasses import dataclass, field
from typing import Literal, get_args

from nas.networks.architecture import Choices
from nas.networks.lowering import AnyArchitecture
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
    """What to evaluate, whole: whoever gets it needs nothing else but the dataset.

    Without a `dataset` and a `recipe` only latency is measured. `scores` wants the scores of the untrained network too.
    `baseline` names the published network that it is, if it is one. `repeats` is the trial whose network it trains once
    more, from another seed; `promotes` the one whose network it trains longer, on the next `rung`. `final`: train on
    all training images and score the test images; otherwise a tenth of the training images is kept out of training, and
    `accuracy` is measured there. `expected_gain` is what the searcher expected of it when it proposed it, as in
    `SearchSpec.least_gain`. The first of the `devices` is the one that `limits` look at.
    """

    run: str
    number: int
    space: str
    architecture: AnyArchitecture
    choices: Choices = field(default_factory=dict)
    member: str | None = None
    baseline: str | None = None
    dataset: str | None = None
    devices: tuple[str, ...]
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
            detail = f"dataset {self.dataset!r} with recipe {self.recipe}: give both, or neither to measure only"
            raise Refusal(detail, field="recipe")
        distinct(self, "devices", least=1)

    @property
    def anew(self) -> bool:
        """Whether its network has been trained before."""
        return self.repeats is not None or self.promotes is not None


@dataclass(frozen=True, kw_only=True)
class Latency:
    """Measured milliseconds for one batch, which is one image unless the device was told otherwise. `median_ms` is the
    median of the fastest runs of the six fastest rounds; `p95_ms`, `minimum_ms` and `spread`, the interquartile range
    over the median, are of all runs.

    `fingerprint` says on what: processor, threads, runtime, versions. `ratio` is to a yardstick that ran in
    turns with this one and took `yardstick_ms`; `noisy` says why the latency may not repeat as well as it should, if it
    may not, and `shared` whether other programs worked on the host meanwhile. Null in measurements from before there
    were these.
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
    yardstick_ms: float | None = None
    noisy: str | None = None
    shared: bool | None = None

    def __post_init__(self) -> None:
        positive(self, "median_ms", "p95_ms", "minimum_ms", "runs", "rounds", "ratio", "yardstick_ms")


@dataclass(frozen=True, kw_only=True)
class Score:
    """What nas.training.zero_cost says of a network before it is trained, and how long that took; `value` is null where
    it is not finite."""

    value: float | None
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """What came back for a job. `refused` says which limit was broken; then nothing was trained, or for nothing, where
    only a noisy latency was known before.

    `accuracy` is on the validation images, `test_accuracy` on the test images (of a final job only), both in [0, 1].
    `accuracy_error` is the standard error of the one that was measured, from the number of images alone;
    `unaveraged_accuracy` is on the same images without the averaging of weights, where the recipe averages.
    `weights` is the SHA-256 of the saved checkpoint, its name in the artifact folder. `latencies` are by device, as the
    job names them. `trained_on` is the name of the GPU, or of the processor. `learning_rate` is the one that trained
    it, a third of its recipe's where it diverged at that; null where it was not recorded.
    """

    params: int
    mult_adds: int
    latencies: dict[str, Latency] = field(default_factory=dict)
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
    learning_rate: float | None = None

    def __post_init__(self) -> None:
        for name in ("accuracy", "test_accuracy", "unaveraged_accuracy"):
            between(self, name, 0, 1)

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

    run: str
    number: int
    phase: Phase
    epoch: int = 0
    epochs: int = 0
    loss: float | None = None
    accuracy: float | None = None
    images_per_second: float | None = None


@dataclass(frozen=True, kw_only=True)
class Notice:
    """What whoever asked for a running trial should know of it: a warning of its evaluation, which goes on."""

    run: str
    number: int
    text: str


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
