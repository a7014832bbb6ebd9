"""Request bodies: JSON to records, strictly, with every wrong value named at once."""

import dataclasses
import json
import math
from collections.abc import Iterator, Sequence
from typing import Any, get_args, get_type_hints

from pydantic import PlainValidator, TypeAdapter, ValidationError

from api.problems import Fault, Problem, complaint, shown

MOST_SHOWN = 8


def strictly(record: type[Any]) -> Any:
    """The annotation of a body that is a `record`: `Annotated[SearchSpec, strictly(SearchSpec)]`.

    Nothing is converted ("8" is no number), an unknown field is refused, and an object that is given in part overrides
    the fields of its default. Raises Problem.
    """
    adapter = TypeAdapter(record)

    def read(data: Any) -> Any:
        if isinstance(data, bytes):
            raise Problem(415, "the body is not declared as JSON: send it with Content-Type: application/json")
        wrong = [
            Fault(pointer=pointer, value=value, detail=f"{value} at {pointer} is not a number that JSON has")
            for pointer, value in _not_finite(data)
        ]
        if not wrong:
            completed = _completed(record, data)
            try:
                return adapter.validate_json(json.dumps(completed), strict=True)
            except ValidationError as error:
                wrong = _faults(record, completed, error)
        raise together(wrong)

    return PlainValidator(read, json_schema_input_type=record)


def together(faults: Sequence[Fault]) -> Problem:
    """One problem for all that is wrong."""
    detail = "; ".join(fault.detail for fault in faults[:MOST_SHOWN])
    more = len(faults) - MOST_SHOWN
    return Problem(422, f"{detail}; and {more} more" if more > 0 else detail, faults=faults)


def pointer(path: Sequence[str | int]) -> str:
    """A JSON pointer (RFC 6901); "" is the whole body."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


def _completed(record: type[Any], data: Any) -> Any:
    if not isinstance(data, dict):
        return data
    defaults = {
        field.name: dataclasses.asdict(field.default)
        for field in dataclasses.fields(record)
        if dataclasses.is_dataclass(field.default) and not isinstance(field.default, type)
    }
    return {
        name: defaults[name] | value if name in defaults and isinstance(value, dict) else value
        for name, value in data.items()
    }


def _not_finite(data: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str, float]]:
    if isinstance(data, float) and not math.isfinite(data):
        yield pointer(path), data
    parts = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for name, value in parts:
        yield from _not_finite(value, (*path, name))


def _faults(record: type[Any], data: Any, error: ValidationError) -> list[Fault]:
    """One fault for each wrong value; the several complaints of a union about one value are joined."""
    complaints: dict[str, tuple[Any, list[str]]] = {}
    for found in error.errors():
        path, value = _descend(data, found["loc"])
        name = str(path[-1]) if path else "the body"
        if found["type"] == "missing":
            name = str(found["loc"][-1])
            path, value, message = (*path, name), None, f"{name} is missing"
        elif found["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
            message = f"unknown field {name!r}: there are {', '.join(_fields(record, path[:-1]))}"
        elif found["type"] == "value_error":
            message = str(found["ctx"]["error"])
            first = message.partition(" ")[0]
            field = next((field for field in _fields(record, path) if field in (first, f"{first}s")), None)
            if field and isinstance(value, dict):
                path, value = (*path, field), value.get(field)
        elif found["type"] == "dataclass_type":
            message = f"{name} {shown(value)} is not an object with fields of {', '.join(_fields(record, path))}"
        else:
            message = complaint(name, value, found["msg"])
        complaints.setdefault(pointer(path), (value, []))[1].append(message)
    return [
        Fault(pointer=place, value=value, detail=" and ".join(messages))
        for place, (value, messages) in complaints.items()
    ]


def _descend(data: Any, location: Sequence[str | int]) -> tuple[tuple[str | int, ...], Any]:
    """The part of `location` that is in `data` (a union's members are not) and the value there."""
    path: tuple[str | int, ...] = ()
    for part in location:
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):
            break
        path = (*path, part)
    return path, data


def _fields(record: Any, path: Sequence[str | int]) -> list[str]:
    """Names of the fields of the record that is at `path` in a `record`."""
    for part in path:
        hint = get_type_hints(record).get(str(part))
        record = next((kind for kind in (hint, *get_args(hint)) if dataclasses.is_dataclass(kind)), None)
        if record is None:
            return []
    return [field.name for field in dataclasses.fields(record)]
