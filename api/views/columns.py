"""A search's trials as columns: what a plot and a table of 100,000 need, some sixty bytes a trial."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from api.views.trial import Scored, text
from nas.measurements import Measurement
from nas.outlines import Line, Role
from nas.records import Job, Trial, TrialState

PLAIN = ("number", "state", "role", "rung", "baseline", "repeats", "promotes")
COUNTED = ("params", "mult_adds", "peak_memory", "model_bytes", "accuracy", "balanced_accuracy", "macro_f1")
OTHERS = ("worst_recall", "single_precision", "inherited", "learning_rate", "remark")
NAMES = (*PLAIN, *COUNTED, *OTHERS, "latencies", "started_at", "ended_at", "finished")
DIGITS = 6


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Trials of a search that have ended, in that order, a value of each in every column. A column is empty where
    nothing is known of any of them."""

    LIKE: ClassVar[tuple[type, ...]] = (Job, Trial, Measurement)

    after: int
    """How many trials have ended with these: ask again with it for those that end later."""
    more: bool
    """Whether more have ended already."""
    number: tuple[int, ...]
    state: tuple[TrialState, ...]
    role: tuple[Role, ...]
    """What its network is: the searcher's own, the parent whole, another baseline, or the supernet; measured: it is
    another trial's, `repeats`, and its latency alone was measured once more."""
    rung: tuple[int | None, ...]
    baseline: tuple[str | None, ...]
    repeats: tuple[int | None, ...]
    promotes: tuple[int | None, ...]
    params: tuple[int | None, ...]
    mult_adds: tuple[int | None, ...]
    peak_memory: tuple[int | None, ...]
    model_bytes: tuple[int | None, ...]
    accuracy: tuple[float | None, ...]
    balanced_accuracy: tuple[float | None, ...]
    """The mean of the classes' recalls."""
    macro_f1: tuple[float | None, ...]
    """The mean of the classes' F1."""
    worst_recall: tuple[float | None, ...]
    """The smallest of the classes' recalls."""
    single_precision: tuple[float | None, ...]
    """The accuracy before it was quantised."""
    inherited: tuple[float | None, ...]
    learning_rate: tuple[float | None, ...]
    """The learning rate that trained it, where that is not its recipe's."""
    remark: tuple[str | None, ...]
    """Why it failed or was refused, in 200 characters at most."""
    latencies: tuple[tuple[tuple[float | None, ...] | None, ...] | None, ...]
    """On each of the search's devices the latency and its standard error, in milliseconds."""
    seconds: tuple[float, ...]
    """Seconds from its beginning to its end."""
    running: tuple[Scored, ...]
    """The trials that are running, whole."""


def columns(rows: Sequence[tuple[Any, ...]], more: bool, after: int, running: Sequence[Line]) -> str:
    """The JSON of `Columns`, from rows of `NAMES`."""
    *own, latencies, begun, ended, finished = zip(*rows) if rows else [()] * len(NAMES)
    lists = {name: _known(values) for name, values in zip(NAMES, own)}
    lists["seconds"] = [round(end - start, 3) for start, end in zip(begun, ended)]
    parts = {name: json.dumps(values, separators=(",", ":")) for name, values in lists.items()}
    parts["latencies"] = f"[{','.join(each or 'null' for each in latencies)}]" if any(latencies) else "[]"
    parts["running"] = f"[{','.join(map(text, running))}]"
    parts |= {"after": str(finished[-1] if finished else after), "more": json.dumps(more)}
    return f"{{{','.join(f'{json.dumps(name)}:{value}' for name, value in parts.items())}}}"


def _known(values: Sequence[Any]) -> list[Any]:
    if all(value is None for value in values):
        return []
    return [float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value for value in values]
