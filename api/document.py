"""The OpenAPI document: what the framework derives from routes and records, completed for people and other tools."""

import dataclasses
from collections.abc import Iterable
from typing import Any, get_args, get_type_hints

from fastapi import APIRouter
from fastapi.routing import APIRoute
from pydantic import TypeAdapter

from api import examples
from api.problems import ProblemDocument
from nas.fields import described


def complete(document: dict[str, Any], routers: Iterable[APIRouter]) -> None:
    """Add problem documents, the words below the fields of records, and examples of answers."""
    schemas = document["components"]["schemas"]
    problem = TypeAdapter(ProblemDocument).json_schema(ref_template="#/components/schemas/{model}")
    schemas |= problem.pop("$defs") | {"ProblemDocument": problem}
    records = _records(ProblemDocument, {})
    for route in (route for router in routers for route in router.routes if isinstance(route, APIRoute)):
        for kind in (route.response_model, *get_type_hints(route.endpoint).values()):
            _records(kind, records)
    for name, schema in schemas.items():
        for field, words in described(records[name]).items():
            schema["properties"][field]["description"] = words
    _arrays(document)
    _illustrate(document, examples.answers())


def _records(kind: Any, records: dict[str, Any]) -> dict[str, Any]:
    """`records` with all those in `kind`, by their names in the document: where two have the same, with the module."""
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        whole = f"{kind.__module__}.{kind.__name__}".replace(".", "__")
        if whole not in records:
            records |= {whole: kind, kind.__name__: kind}
            for part in get_type_hints(kind).values():
                _records(part, records)
    for part in get_args(kind):
        _records(part, records)
    return records


def _arrays(part: Any) -> None:
    """Pairs as arrays of either kind: many tools know no `prefixItems`, and stop at them."""
    if isinstance(part, dict) and "prefixItems" in part:
        kinds = [kind for index, kind in enumerate(part["prefixItems"]) if kind not in part["prefixItems"][:index]]
        del part["prefixItems"]
        part["items"] = kinds[0] if len(kinds) == 1 else {"anyOf": kinds}
    for inner in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        _arrays(inner)


def _illustrate(document: dict[str, Any], answers: dict[str, Any]) -> None:
    """Put an example into every successful response whose schema has one."""
    for operations in document["paths"].values():
        for operation in operations.values():
            for status, response in operation["responses"].items():
                content = response.get("content", {}).get("application/json", {})
                name = content.get("schema", {}).get("$ref", "").rpartition("/")[2]
                if status in ("200", "201") and name in answers:
                    content["example"] = answers[name]
