"""Rows to records."""

import dataclasses
import functools
from typing import Any

from sqlalchemy import Row

from nas.records import Job, Measurement, Progress, Run, Trial
from nas.specs import SPECS, Kind, Spec
from nas.store.text import restored

_TEXTS: dict[str, type[Any]] = {"job": Job, "measurement": Measurement, "progress": Progress}
_RUN = tuple(field.name for field in dataclasses.fields(Run) if field.name != "spec")
_TRIAL = tuple(field.name for field in dataclasses.fields(Trial) if field.name not in _TEXTS)


def run_of(row: Row[Any], **written: Any) -> Run:
    """The run of a row in which `written` has been changed since."""
    values = {**row._mapping, **written}
    return Run(**{name: values[name] for name in _RUN}, spec=_own(_spec(values["kind"], values["spec"])))


def trial_of(row: Row[Any], **written: Any) -> Trial:
    """The trial of a row in which `written` has been changed since."""
    values = {**row._mapping, **written}
    texts = {name: values[name] and restored(kind, values[name]) for name, kind in _TEXTS.items()}
    return Trial(**{name: values[name] for name in _TRIAL}, **texts)


@functools.lru_cache(maxsize=1024)
def _spec(kind: Kind, text: str) -> Spec:
    """A run's row is read all the time, and its spec hardly ever changes."""
    return restored(SPECS[kind], text)


def _own(spec: Spec) -> Spec:
    """A copy: what its reader does to it must not be seen by the next one."""
    changeable: dict[str, Any] = {name: dict(value) for name, value in vars(spec).items() if isinstance(value, dict)}
    return dataclasses.replace(spec, **changeable) if changeable else spec
