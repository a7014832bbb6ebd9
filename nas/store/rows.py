"""Rows to records and back."""

import dataclasses
import functools
import json
import types
from collections.abc import Callable
from typing import Any, Union, get_args, get_origin, get_type_hints

from sqlalchemy import Row

from nas.codec import encode
from nas.records import GrowthSpec, Job, Measurement, Progress, Run, SearchSpec, Trial
from nas.store.errors import StoreError


def written(record: Any) -> str:
    """The JSON text of a record."""
    return json.dumps(encode(record), separators=(",", ":"))


def plain(text: str) -> str:
    """`text` without what a database refuses: NUL characters, and bytes of file names that are no text."""
    return text.encode(errors="replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")


def run_of(row: Row[Any]) -> Run:
    return Run(
        id=row.id,
        kind=row.kind,
        spec=_restored(SearchSpec if row.kind == "search" else GrowthSpec, row.spec),
        state=row.state,
        wish=row.wish,
        trials=row.trials,
        error=row.error,
        created_at=row.created_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
    )


def trial_of(row: Row[Any]) -> Trial:
    return Trial(
        run=row.run,
        number=row.number,
        state=row.state,
        job=_restored(Job, row.job),
        measurement=row.measurement and _restored(Measurement, row.measurement),
        error=row.error,
        progress=row.progress and _restored(Progress, row.progress),
        finished=row.finished,
        started_at=row.started_at,
        ended_at=row.ended_at,
    )


def _restored(record: type, text: str) -> Any:
    """The record that `written` gave `text` for.

    Types were checked when the record was made; checking them again, as nas.codec.decode does, takes four times as
    long, and a search may have 100,000 trials.
    """
    try:
        return _restorer(record)(json.loads(text))  # type: ignore[misc]
    except (TypeError, ValueError, AttributeError) as error:
        raise StoreError(
            f"the database has a {record.__name__} that this version cannot read: {error}. "
            "Open it with the version that wrote it, or restore a backup"
        ) from error


@functools.cache
def _restorer(kind: type) -> Callable[[Any], Any] | None:
    """What turns JSON into a value of type `kind`; None: JSON has it as it is."""
    if dataclasses.is_dataclass(kind):
        make: Callable[..., Any] = kind
        hints = get_type_hints(kind)
        types_ = {field.name: hints[field.name] for field in dataclasses.fields(kind)}
        nested = [(name, restore) for name, type_ in types_.items() if (restore := _restorer(type_))]
        if not nested and not any(get_origin(type_) is dict for type_ in types_.values()):
            # Nothing in it can be changed, and trials have the same stages and recipes over and over: share them.
            make = functools.lru_cache(maxsize=4096, typed=True)(kind)

        def record(data: dict[str, Any]) -> Any:
            for name, restore in nested:
                if data.get(name) is not None:
                    data[name] = restore(data[name])
            return make(**data)

        return record
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is tuple:
        item = _restorer(arguments[0])
        return tuple if item is None else lambda data: tuple(map(item, data))
    if origin is dict:
        value = _restorer(arguments[1])
        return None if value is None else lambda data: {key: value(entry) for key, entry in data.items()}
    if origin in (Union, types.UnionType):
        (restore,) = {_restorer(argument) for argument in arguments} - {None} or {None}
        return restore
    return None
