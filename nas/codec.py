"""Records to JSON-able values and back, checked on the way in. Standard library only."""

import dataclasses
import functools
import itertools
import types
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple, TypeAlias, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from nas.refusal import Faults, shown

Record = TypeVar("Record")
# From data, its JSON pointer and where to note what is wrong to a value, which means nothing if something is.
Reader: TypeAlias = Callable[[Any, str, Faults], Any]

WORDS = {str: "a valid string", int: "a valid integer", float: "a valid number", bool: "a valid boolean"}
LARGEST = 2**63  # of whole numbers


class Malformed(ValueError):
    """Data that is not the record it was said to be: what is wrong with it, and where."""

    def __init__(self, faults: Faults) -> None:
        super().__init__(
            faults.told(lambda fault: f"{fault.pointer}: {fault.detail}" if fault.pointer else fault.detail)
        )
        self.faults = faults


def encode(value: Any) -> Any:
    """Dictionaries, lists and scalars for a record or any nest of records."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: encode(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: encode(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [encode(item) for item in value]
    return value


def least(record: Any) -> dict[str, Any]:
    """The data that says no more of a record than `decode` needs to make it again: what it would say by itself is left
    out."""
    kind, data = type(record), encode(record)

    def spared(within: dict[str, Any]) -> None:
        for name, value in list(within.items()):
            del within[name]
            try:
                same = decode(kind, data) == record
            except Malformed:
                same = False
            if not same:
                within[name] = value
                if isinstance(value, dict):
                    spared(value)

    spared(data)
    whole: dict[str, Any] = data
    return whole


def decode(record: type[Record], data: Any) -> Record:
    """The record that `encode` gave `data` for. Raises Malformed for all unknown, missing and wrong fields at once.

    Nothing is converted, but for whole numbers to fractions. A record in a record that is given in part overrides the
    fields of its default; a record's `otherwise(data)` may give others, by what else is said. Of a union of records it
    is the one whose fields `data` has.
    """
    faults, kind = Faults(), cast(Any, record)
    value: Record = _reader(kind)(data, "", faults)
    if faults:
        raise Malformed(faults)
    return value


def pointer(within: str, name: str | int) -> str:
    """The JSON pointer (RFC 6901) of what has that name in what `within` points at."""
    return f"{within}/{str(name).replace('~', '~0').replace('/', '~1')}"


@functools.cache
def _reader(kind: Any) -> Reader:
    origin, arguments = get_origin(kind), get_args(kind)
    if dataclasses.is_dataclass(kind):
        return functools.partial(_record, kind)
    if origin in (Union, types.UnionType):
        return _union(arguments)
    if origin is tuple:
        return functools.partial(_list, arguments)
    if origin is dict:
        return functools.partial(_object, arguments[1])
    if origin is Literal:
        return functools.partial(_word, arguments)
    return functools.partial(_scalar, kind)


def _scalar(kind: Any, data: Any, at: str, faults: Faults) -> Any:
    if type(data) is not kind and not (kind is float and type(data) is int):
        _wrong(data, at, WORDS[kind], faults)
    elif isinstance(data, int) and abs(data) >= LARGEST:
        _wrong(data, at, f"between -{LARGEST - 1} and {LARGEST - 1}", faults)
    else:
        return kind(data)
    return None


def _word(words: tuple[Any, ...], data: Any, at: str, faults: Faults) -> Any:
    if data not in words:
        _wrong(data, at, _either(tuple(map(repr, words))), faults)
    return data


def _list(kinds: tuple[Any, ...], data: Any, at: str, faults: Faults) -> Any:
    if not isinstance(data, list | tuple):
        return _wrong(data, at, "a valid array", faults)
    if kinds[-1] is Ellipsis:
        read = _reader(kinds[0])
        return tuple([read(item, f"{at}/{index}", faults) for index, item in enumerate(data)])
    if len(kinds) != len(data):
        return _wrong(data, at, f"an array of {len(kinds)}", faults)
    return tuple([_reader(kind)(item, f"{at}/{index}", faults) for index, (kind, item) in enumerate(zip(kinds, data))])


def _object(kind: Any, data: Any, at: str, faults: Faults) -> Any:
    if not isinstance(data, dict):
        return _wrong(data, at, "a valid object", faults)
    read = _reader(kind)
    return {name: read(item, pointer(at, name), faults) for name, item in data.items()}


class _Field(NamedTuple):
    """Of a record; its `default` is MISSING where there has to be a value."""

    kind: Any
    read: Reader
    default: Any

    @property
    def required(self) -> bool:
        return self.default is dataclasses.MISSING


@functools.cache
def _fields(record: Any) -> dict[str, _Field]:
    hints, missing = get_type_hints(record), dataclasses.MISSING
    return {
        field.name: _Field(
            hints[field.name],
            _reader(hints[field.name]),
            field.default if field.default_factory is missing else field.default_factory(),
        )
        for field in dataclasses.fields(record)
    }


def _record(kind: Any, data: Any, at: str, faults: Faults, default: Any = None) -> Any:
    fields = _fields(kind)
    if not isinstance(data, dict):
        return _wrong(data, at, f"an object with fields of {', '.join(fields)}", faults)
    before, values = len(faults), {}
    if default is None and hasattr(kind, "otherwise"):
        values = kind.otherwise(data)
        fields = fields | {name: fields[name]._replace(default=value) for name, value in values.items()}
    for name, item in data.items():
        if name in fields:
            known, value = len(faults), _part(fields[name], item, f"{at}/{name}", faults)
            if len(faults) == known:
                values[name] = value
        else:
            faults.add(pointer(at, name), item, f"unknown field {name[:80]!r}: there are {', '.join(fields)}")
    for name, field in fields.items():
        if field.required and default is None and name not in data:
            faults.add(f"{at}/{name}", None, f"{name} is missing")
    while default or all(name in values for name, field in fields.items() if field.required):
        try:
            return dataclasses.replace(default, **values) if default else kind(**values)
        except ValueError as error:
            wrong = getattr(error, "field", "")
            if len(faults) == before or getattr(error, "alone", False):  # others may be for what is left out
                value = data.get(wrong, encode(fields[wrong].default)) if wrong in fields else data
                faults.add(f"{at}/{wrong}" if wrong else at, value, str(error))
            if wrong not in values:
                return None
            del values[wrong]
    return None


def _part(field: _Field, data: Any, at: str, faults: Faults) -> Any:
    if isinstance(data, dict) and dataclasses.is_dataclass(field.default):
        return _record(type(field.default), data, at, faults, field.default)
    return field.read(data, at, faults)


def _union(kinds: tuple[Any, ...]) -> Reader:
    optional = type(None) in kinds
    records: tuple[Any, ...] = tuple(kind for kind in kinds if dataclasses.is_dataclass(kind))
    others = tuple(kind for kind in kinds if kind is not type(None) and kind not in records)

    def read(data: Any, at: str, faults: Faults) -> Any:
        if data is None and optional:
            return None
        if isinstance(data, dict) and records:
            return _nearest(records, data, at, faults)
        fitting = [kind for kind in others if _fits(kind, data)] or (others if len(others) == 1 and not records else [])
        if fitting:
            return _reader(fitting[0])(data, at, faults)
        if len(records) == 1 and not others:
            return _reader(records[0])(data, at, faults)
        return _wrong(data, at, _either((*map(_said, others), *(["a valid object"] if records else []))), faults)

    return read


def _fits(kind: Any, data: Any) -> bool:
    """Whether `data` is of that kind as far as can be seen without looking into it."""
    origin = get_origin(kind)
    if origin is Literal:
        return data in get_args(kind)
    if origin in (tuple, dict):
        return isinstance(data, list | tuple if origin is tuple else dict)
    return type(data) is kind or (kind is float and type(data) is int)


def _said(kind: Any) -> str:
    origin = get_origin(kind)
    if origin is Literal:
        return _either(tuple(map(repr, get_args(kind))))
    return {tuple: "a valid array", dict: "a valid object"}.get(origin) or WORDS[kind]


def _either(words: tuple[str, ...]) -> str:
    *others, last = dict.fromkeys(words)
    return f"{', '.join(others)} or {last}" if others else last


def _nearest(records: tuple[Any, ...], data: dict[str, Any], at: str, faults: Faults) -> Any:
    """The record among several that `data` is: by the word that tells them apart, or by its fields."""
    for tag, words in _words(records).items():
        if tag in data:
            if isinstance(data[tag], str) and data[tag] in words:
                return _record(words[data[tag]], data, at, faults)
            return _wrong(data[tag], f"{at}/{tag}", _either(tuple(map(repr, words))), faults)
    return _record(min(records, key=lambda record: _misfits(record, data)), data, at, faults)


@functools.cache
def _words(records: tuple[Any, ...]) -> dict[str, dict[str, Any]]:
    """The fields that hold one word, another in each record, and which record each word means."""
    tags = [name for name, field in _fields(records[0]).items() if len(_word_of(field)) == 1]
    words = {tag: {word: record for record in records for word in _word_of(_fields(record).get(tag))} for tag in tags}
    return {tag: each for tag, each in words.items() if 1 < len(each) == len(records)}


def _word_of(field: _Field | None) -> tuple[Any, ...]:
    return get_args(field.kind) if field and get_origin(field.kind) is Literal else ()


def _misfits(record: Any, data: dict[str, Any]) -> int:
    """How many fields of `data` are unknown to `record` or missing for it."""
    fields = _fields(record)
    missing = sum(field.required and name not in data for name, field in fields.items())
    return len(data.keys() - fields.keys()) + missing


def _wrong(value: Any, at: str, allowed: str, faults: Faults) -> None:
    faults.add(at, value, f"{_name(at)}{shown(value)} is not {allowed}")


def _name(at: str) -> str:
    """What stands at that pointer, in words: "recipe ", or "baselines[1] " of an entry of a list."""
    *_, name = ["", *(part for part in at.split("/") if not part.isdigit())]
    entries = itertools.takewhile(str.isdigit, reversed(at.split("/")))
    text = name.replace("~1", "/").replace("~0", "~") + "".join(f"[{entry}]" for entry in reversed(list(entries)))
    return f"{text} " if text else ""
