"""Measurements: what came of a network, and how well each figure is known; they check themselves."""

import math
from dataclasses import dataclass, field

from nas.answers import Answers
from nas.metrics import Quality
from nas.objective import Metric
from nas.refusal import Refusal, between, positive
from nas.rounding import Rounding

MOST_ERROR = 0.1  # relative; a latency that is known no better decides nothing where others can
SLOWER = 1.05  # times as long as at best, from which on a machine is called slower


@dataclass(frozen=True, kw_only=True)
class Latency:
    """The milliseconds of one batch, which is one image unless the device was told otherwise."""

    device: str
    """The device, with its options."""
    median_ms: float
    """The latency: what the network takes where nobody else is there, in milliseconds."""
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
    """The latency over that of the yardstick, networks that ran in turns with this one."""
    yardstick_ms: float | None = None
    """Milliseconds that the yardstick takes at best on this machine."""
    error_ms: float | None = None
    """The standard error of the latency, in milliseconds; null: not known, in measurements from before there was
    one."""
    slowdown: float | None = None
    """How many times as long as at best the yardstick took meanwhile."""
    shared: bool | None = None
    """Whether other programs kept the host's processors busy meanwhile."""
    yardstick: str | None = None
    """How many networks that was, and a digest of what they are; null in measurements from before it was said."""
    shares: tuple[float, ...] | None = None
    """What each part of the network has of the latency, from the stem to the classifier, by the runtime's own word;
    null where it has none."""

    def __post_init__(self) -> None:
        positive(self, "median_ms", "p95_ms", "minimum_ms", "runs", "rounds", "ratio", "yardstick_ms", "slowdown")
        between(self, "spread", 0, math.inf)
        between(self, "error_ms", 0, math.inf)
        if any(not 0 <= share <= 1 for share in self.shares or ()):
            raise Refusal(f"shares {list(self.shares or ())} are not all between 0 and 1", field="shares")

    @property
    def error(self) -> float:
        """The standard error over the latency; 0 where it is not known."""
        return (self.error_ms or 0.0) / self.median_ms

    @property
    def noisy(self) -> str | None:
        """Why it is not to be relied on, in words; None: it is known well enough to decide by."""
        if self.error <= MOST_ERROR:
            return None
        slowed = (
            f"the machine took {self.slowdown:.1f} times as long as at best" if (self.slowdown or 0) > SLOWER else ""
        )
        shared = "other programs kept its processors busy" if self.shared else ""
        why = " and ".join(filter(None, (slowed, shared)))
        return f"known to ± {self.error:.0%} only{f', as {why}' if why else ''}"

    @property
    def rounded(self) -> bool:
        """Whether it is of the network in 8 bits."""
        return self.fingerprint.get("dtype", "").startswith("int8")


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
    """The limit that was broken, in words. Nothing was trained then, or in vain, where the latency was not well known
    before."""
    train_seconds: float = 0.0
    """Seconds of training."""
    seconds: float = 0.0
    """Seconds of all of it."""
    weights: str | None = None
    """The SHA-256 of the saved checkpoint, which is its name in the artifact folder."""
    saved_accuracy: float | None = None
    """The accuracy of the saved network alone, where there are several folds: that of the first, on the images that it
    held out. Null where no weights were saved, or where it is that of all."""
    saved_error: float | None = None
    """The standard error of that."""
    saved_quality: Quality | None = None
    """What the answers of the saved network alone are worth class by class; null likewise, and where an earlier version
    did not record it."""
    saved_rounding: Rounding | None = None
    """What quantising did to the accuracy of the saved network alone; null likewise, and where nothing was
    quantised."""
    accuracy_error: float | None = None
    """The standard error of the accuracy that was measured, by the number of images alone; it is that of Agresti and
    Coull (1998), and not 0 where all were got right."""
    answers: Answers | None = None
    """What it answered to the images that it was scored on; null where it was not recorded."""
    quality: Quality | None = None
    """What these answers are worth class by class; null where that was not recorded."""
    steps: int | None = None
    """Steps of each of its trainings; null where they were not recorded."""
    losses: tuple[float, ...] = ()
    """The mean training loss of each epoch, of several folds in turn; nothing where they were not recorded."""
    rounding: Rounding | None = None
    """What quantising did to its accuracy, where it is judged in 8 bits; null where it is not."""
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
    seen: bool = False
    """Whether its parent or its teacher may have been trained on images that it was scored on, in another fold of
    theirs: that flatters it."""
    peak_memory: int | None = None
    """The bytes of the values that the network holds at the worst moment of one image, in its precision. Null, as what
    follows, where it was not counted yet."""
    model_bytes: int | None = None
    """The bytes of its weights and biases in use, in its precision, normalisations folded."""

    def __post_init__(self) -> None:
        for name in ("accuracy", "test_accuracy", "unaveraged_accuracy", "saved_accuracy"):
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
        value: int | None = getattr(self, name)
        return None if value is None else float(value)

    def latency_error(self, device: str) -> float:
        """The relative standard error of the latency on `device`; 0 where it is not known."""
        return self.latencies[device].error if device in self.latencies else 0.0
