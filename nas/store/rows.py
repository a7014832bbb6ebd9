"""Rows to records."""

import dataclasses
import functools
import json
from typing import Any

from sqlalchemy import Row

from nas.labels import Label
from nas.measurements import Measurement
from nas.outlines import Line
from nas.records import Job, Progress, Run, Trial
from nas.specs import SPECS, Kind, Spec
from nas.store.tables import OUTLINE, TRIAL
from nas.store.text import edition, restored, written

_TEXTS: dict[str, type[Any]] = {"job": Job, "measurement": Measurement, "progress": Progress}
_ALIKE = {"job": "recipe"}  # in all trials of a rung
EDITION = edition(Job, Measurement, Progress)
_WHOLE = tuple(TRIAL.c[field.name] for field in dataclasses.fields(Trial))
LINE: tuple[Any, ...] = (*_WHOLE, OUTLINE.c.reward, OUTLINE.c.edition)
_RUN = tuple(field.name for field in dataclasses.fields(Run) if field.name not in ("spec", "label", "again"))
_TRIAL = tuple(field.name for field in dataclasses.fields(Trial) if field.name not in _TEXTS)


def run_of(row: Row[Any], **written: Any) -> Run:
    """The run of a row in which `written` has been changed since."""
    values = {**row._mapping, **written}
    label = restored(Label, values["label"]) if values["label"] else Label()
    again = tuple(json.loads(values["again"] or "[]"))
    spec = _own(_spec(values["kind"], values["spec"]))
    return Run(**{name: values[name] for name in _RUN}, spec=spec, label=label, again=again)


def spec_of(row: Any) -> Spec:
    """The spec of a run's row, to be read and not to be handed out."""
    return _spec(row.kind, row.spec)


def trial_of(row: Row[Any], **written: Any) -> Trial:
    """The trial of a row in which `written` has been changed since."""
    values = {**row._mapping, **written}
    texts = {
        name: values[name] and restored(kind, values[name], _ALIKE.get(name), checked=False)
        for name, kind in _TEXTS.items()
    }
    return Trial(**{name: values[name] for name in _TRIAL}, **texts)


def line_of(row: Row[Any]) -> Line:
    """Of a row of `LINE`. What another edition wrote lacks fields that were added since: it is written anew."""
    values = dict(row._mapping)
    if values.pop("edition") != EDITION:
        values |= {name: values[name] and written(restored(kind, values[name])) for name, kind in _TEXTS.items()}
    return Line(**values)


@functools.lru_cache(maxsize=1024)
def _spec(kind: Kind, text: str) -> Spec:
    """A run's row is read all the time, and its spec hardly ever changes."""
    return restored(SPECS[kind], text)


def _own(spec: Spec) -> Spec:
    """A copy: what its reader does to it must not be seen by the next one."""
    changeable: dict[str, Any] = {name: dict(value) for name, value in vars(spec).items() if isinstance(value, dict)}
    return dataclasses.replace(spec, **changeable) if changeable else spec
