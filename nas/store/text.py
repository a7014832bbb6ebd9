"""Records to JSON text and back, fast.

What is read here was written here, from records that were checked when they were made. Checking every field again, as
nas.codec.decode does for what comes from outside, takes five times as long, and a search may have 100,000 trials.
"""

import dataclasses
import functools
import hashlib
import json
import sys
import types
from collections.abc import Callable
from typing import Any, Literal, TypeAlias, TypeVar, Union, get_args, get_origin, get_type_hints

from nas.codec import encode
from nas.store.errors import StoreError

Record = TypeVar("Record")
Restore: TypeAlias = Callable[..., Any]


def written(record: Any) -> str:
    """The JSON text of a record."""
    return packed(encode(record))


def packed(data: Any) -> str:
    """JSON text without spaces."""
    return json.dumps(data, separators=(",", ":"))


@functools.cache
def edition(*kinds: type[Any]) -> str:
    """Sixteen hexadecimal digits for the fields of these records and of all records in them. What was written by the
    same edition has every field that is read now, and may be shown as it is stored."""
    known: dict[str, list[str]] = {}
    waiting: list[Any] = list(kinds)
    while waiting:
        kind = waiting.pop()
        waiting += get_args(kind)
        if _is_record(kind) and kind.__qualname__ not in known:
            hints = get_type_hints(kind)
            known[kind.__qualname__] = [field.name for field in dataclasses.fields(kind)]
            waiting += [hints[field.name] for field in dataclasses.fields(kind)]
    return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()[:16]


def restored(kind: type[Record], text: str, alike: str | None = None, *, checked: bool = True) -> Record:
    """The record that `written` gave `text` for. Raises StoreError where this version has no such record. `alike` is a
    field that has the same value in many such records, which is read once and shared where nothing in it can be
    changed. Where it is not to be `checked`, records are made as they are written, which takes half the time:
    what is in their fields is believed."""
    record: Any = kind
    try:
        rest, value = _without(text, alike) if alike else (text, None)
        shared = {alike: _shared(record, alike, value)} if alike and value else {}
        return _record(record, checked)(json.loads(rest), **shared)  # type: ignore[no-any-return]
    except (TypeError, ValueError, AttributeError) as error:
        raise StoreError(
            f"the database has a {kind.__name__} that this version cannot read: {error}. "
            "Open it with the version that wrote it, or restore a backup"
        ) from error


def _without(text: str, field: str) -> tuple[str, str | None]:
    """`text` without that field of the record, where it is an object of plain values, and the text of these. In a text
    within `text` the marks that are looked for are escaped, or there is an odd number of them."""
    before, found, after = text.partition(f',"{field}":{{')
    values, _, rest = after.partition("}")
    if not found or "{" in values or "\\" in values or values.count('"') % 2:
        return text, None
    return before + rest, f"{{{values}}}"


@functools.lru_cache(maxsize=256)
def _shared(kind: Any, field: str, text: str) -> Any:
    restore = _restore(get_type_hints(kind)[field], True)
    return restore(json.loads(text)) if restore else json.loads(text)


def plain(text: str) -> str:
    """`text` without what a database refuses: NUL characters, and bytes of file names that are no text."""
    return text.encode(errors="replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")


@functools.cache
def _restore(kind: Any, checked: bool) -> Restore | None:
    """What turns JSON into a value of type `kind`; None: JSON has it as it is."""
    origin, arguments = get_origin(kind), get_args(kind)
    if _is_record(kind):
        return lambda data: _record(kind, checked)(data)  # not before it is needed: a record may contain its like
    if origin is tuple:
        item = _restore(arguments[0], checked)
        return tuple if item is None else lambda data: tuple(map(item, data))
    if origin is dict:
        value = _restore(arguments[1], checked) or _interned
        # Trials have the same keys and words over and over.
        return lambda data: {sys.intern(key): value(entry) for key, entry in data.items()}
    if origin in (Union, types.UnionType):
        return _union(tuple(argument for argument in arguments if argument is not type(None)), checked)
    return None


@functools.cache
def _record(kind: Any, checked: bool) -> Restore:
    hints = get_type_hints(kind)
    fields = {field.name: hints[field.name] for field in dataclasses.fields(kind)}
    nested = [(name, restore) for name, type_ in fields.items() if (restore := _restore(type_, checked))]
    # A record in which nothing can be changed is shared: trials have the same stages and recipes over and over.
    shared = not nested and not any(
        dict in {get_origin(type_), *map(get_origin, get_args(type_))} for type_ in fields.values()
    )
    make = functools.lru_cache(maxsize=4096, typed=True)(kind) if shared else kind if checked else None
    defaults = {field.name: field.default for field in dataclasses.fields(kind) if _has(field.default)}
    made: dict[str, Any] = {
        field.name: field.default_factory for field in dataclasses.fields(kind) if _has(field.default_factory)
    }

    def record(data: dict[str, Any], **shared: Any) -> Any:
        for name, restore in nested:
            if data.get(name) is not None:
                data[name] = restore(data[name])
        if make:
            return make(**data, **shared)
        values = {**defaults, **data, **shared}
        for name in made.keys() - values.keys():
            values[name] = made[name]()
        if values.keys() != fields.keys():
            return kind(**data, **shared)  # which says what is wrong
        restored = object.__new__(kind)
        restored.__dict__.update(values)  # all that __init__ would do, but for checks
        return restored

    return record


def _has(default: object) -> bool:
    return default is not dataclasses.MISSING


def _union(kinds: tuple[Any, ...], checked: bool) -> Restore | None:
    """JSON tells numbers and words from lists from objects; an object is the record whose fields it has."""
    records = tuple(filter(_is_record, kinds))
    lists = [restore for kind in kinds if get_origin(kind) is tuple and (restore := _restore(kind, checked))]
    if len(kinds) == 1:
        return _restore(*kinds, checked)
    if not records and not lists:
        return None
    tags = {name for record in records for name in _tags(record)}

    def value(data: Any) -> Any:
        if isinstance(data, dict):
            tagged = tuple((name, data[name]) for name in tags if isinstance(data.get(name), str))
            return _record(_nearest(records, tuple(data), tagged), checked)(data)
        return lists[0](data) if isinstance(data, list) else data

    return value


@functools.lru_cache(maxsize=4096)
def _nearest(records: tuple[Any, ...], names: tuple[str, ...], tagged: tuple[tuple[str, str], ...]) -> Any:
    """The record with the fewest wrong tags, and among those with the fewest fields too many or too few."""

    def misfits(record: Any) -> tuple[int, int]:
        words = _tags(record)
        wrong = sum(name in words and word not in words[name] for name, word in tagged)
        return wrong, len({field.name for field in dataclasses.fields(record)} ^ set(names))

    return min(records, key=misfits)


def _interned(value: Any) -> Any:
    return sys.intern(value) if type(value) is str else value


def _is_record(kind: Any) -> bool:
    return dataclasses.is_dataclass(kind)


@functools.cache
def _tags(record: Any) -> dict[str, tuple[Any, ...]]:
    """The fields that hold one of a few words, which tell records apart."""
    return {name: get_args(kind) for name, kind in get_type_hints(record).items() if get_origin(kind) is Literal}
