"""Sinks, `python -m nas.sinks NAME WHERE < run.json`: other tools' own forms of a run, one file each, found by name.

The JSON has the run as the service shows it, and its `trials` as it shows them; what has ended is written.
"""

from typing import Any, Protocol, TypeAlias, cast

from nas import extras, plugins

Json: TypeAlias = dict[str, Any]
NEEDS = ("PACKAGES", "EXTRA", "WHERE", "write")


class Sink(Protocol):
    """A module in `nas/sinks/`."""

    PACKAGES: tuple[str, ...]
    """What it needs."""
    EXTRA: str
    """Which extra of this package brings that."""
    WHERE: str
    """Where it writes by default."""

    def write(self, run: Json, trials: list[Json], where: str) -> str:
        """Write the trials of a run; how to look at them, in words. Raises OSError where that cannot be done, or has
        been done before."""
        ...


def names() -> tuple[str, ...]:
    """The sinks, in alphabetical order."""
    return plugins.names(__name__)


def load(name: str) -> Sink:
    """The sink of that name, which imports nothing heavy by itself. Raises BrokenPlugin."""
    return cast(Sink, plugins.load(__name__, name, *NEEDS))


def require(name: str) -> None:
    """Raise NotInstalled where its packages are missing, and BrokenPlugin."""
    sink = load(name)
    extras.require(f"sink {name}", sink.EXTRA, *sink.PACKAGES)


def settings(trial: Json) -> dict[str, Any]:
    """What was chosen for a trial, knob by knob."""
    job = trial["job"]
    named = {name: job[name] for name in ("member", "baseline") if job.get(name)}
    return {**named, **job["choices"]}


def figures(trial: Json) -> dict[str, float]:
    """What came of a trial, as far as that is known."""
    measured = trial["measurement"] or {}
    names = ("accuracy", "test_accuracy", "params", "mult_adds", "peak_memory", "model_bytes", "train_seconds")
    known = {name: measured.get(name) for name in names} | {"reward": trial.get("reward")}
    known |= {f"latency_ms/{device}": each["median_ms"] for device, each in measured.get("latencies", {}).items()}
    return {name: float(value) for name, value in known.items() if value is not None}
