"""Records to JSON-able values and back, checked on the way in. Standard library only."""

import dataclasses
import functools
import types
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

Record = TypeVar("Record")


class Malformed(ValueError):
    """Data that is not the record it was said to be; the message gives the path, the value and what is allowed."""


def encode(value: Any) -> Any:
    """Dictionaries, lists and scalars for a record or any nest of records."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: encode(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: encode(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [encode(item) for item in value]
    return value


def decode(record: type[Record], data: Any) -> Record:
    """The record that `encode` gave `data` for. Raises Malformed for an unknown, missing or wrong field.

    Of a union of records it is the one whose fields `data` has.
    """
    value: Record = _decode(record, data, getattr(record, "__name__", "record"))
    return value


@functools.cache
def _fields(record: type) -> dict[str, tuple[Any, bool]]:
    """Name to (type, required)."""
    hints = get_type_hints(record)
    missing = dataclasses.MISSING
    return {
        field.name: (hints[field.name], field.default is missing and field.default_factory is missing)
        for field in dataclasses.fields(record)
        if get_origin(hints[field.name]) is not ClassVar
    }


def _decode(kind: Any, data: Any, path: str) -> Any:
    if dataclasses.is_dataclass(kind):
        return _decode_record(kind, data, path)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        if data not in arguments:
            raise Malformed(f"{path}: {data!r} is none of {', '.join(map(repr, arguments))}")
        return data
    if origin in (Union, types.UnionType):
        return _decode_union(arguments, data, path)
    if origin is tuple:
        if not isinstance(data, list | tuple):
            raise Malformed(f"{path}: {data!r} is not a list")
        kinds = (arguments[0],) * len(data) if arguments[-1] is Ellipsis else arguments
        if len(kinds) != len(data):
            raise Malformed(f"{path}: {data!r} does not have {len(kinds)} entries")
        return tuple(_decode(inner, item, f"{path}[{i}]") for i, (inner, item) in enumerate(zip(kinds, data)))
    if origin is dict:
        if not isinstance(data, dict):
            raise Malformed(f"{path}: {data!r} is not an object")
        return {key: _decode(arguments[1], item, f"{path}.{key}") for key, item in data.items()}
    if kind is float and type(data) is int:
        return float(data)
    if type(data) is not kind:
        raise Malformed(f"{path}: {data!r} is not of type {getattr(kind, '__name__', kind)}")
    return data


def _decode_record(kind: Any, data: Any, path: str) -> Any:
    if not isinstance(data, dict):
        raise Malformed(f"{path}: {data!r} is not an object")
    fields = _fields(kind)
    for name in data:
        if name not in fields:
            raise Malformed(f"{path}: unknown field {name!r}: there are {', '.join(fields)}")
    for name, (_, required) in fields.items():
        if required and name not in data:
            raise Malformed(f"{path}: field {name!r} is missing")
    values = {name: _decode(fields[name][0], item, f"{path}.{name}") for name, item in data.items()}
    try:
        return kind(**values)
    except Malformed:
        raise
    except ValueError as error:
        raise Malformed(f"{path}: {error}") from error


def _decode_union(kinds: tuple[Any, ...], data: Any, path: str) -> Any:
    if data is None and type(None) in kinds:
        return None
    records = [kind for kind in kinds if dataclasses.is_dataclass(kind)]
    if records and isinstance(data, dict):
        nearest = min(records, key=lambda kind: (len(_wrong_tags(kind, data)), _misfits(kind, data)))
        if len(records) > 1:
            for tag in _wrong_tags(nearest, data):
                known = {repr(value): None for kind in records for value in _tags(kind).get(tag, ())}
                raise Malformed(f"{path}.{tag}: {data[tag]!r} is none of {', '.join(known)}")
        return _decode(nearest, data, path)
    exact = [kind for kind in kinds if kind is type(data)]
    failures = []
    for kind in exact or [kind for kind in kinds if kind is not type(None)]:
        try:
            return _decode(kind, data, path)
        except Malformed as error:
            failures.append(error)
    if len(failures) == 1:
        raise failures[0]
    raise Malformed(
        f"{path}: {data!r} fits none of {', '.join(getattr(kind, '__name__', str(kind)) for kind in kinds)}"
    )


def _tags(record: Any) -> dict[str, tuple[Any, ...]]:
    """The fields that hold one of a few words, by which records are told apart."""
    return {name: get_args(kind) for name, (kind, _) in _fields(record).items() if get_origin(kind) is Literal}


def _wrong_tags(record: Any, data: dict[str, Any]) -> list[str]:
    return [tag for tag, words in _tags(record).items() if tag in data and data[tag] not in words]


def _misfits(record: Any, data: dict[str, Any]) -> int:
    """How many fields of `data` are unknown to `record` or missing for it."""
    fields = _fields(record)
    return len(data.keys() - fields.keys()) + sum(need and name not in data for name, (_, need) in fields.items())
