"""The OpenAPI document: valid for every tool, and every field of every record described."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from api.app import DASHBOARD, create_app
from nas.fields import described
from nas.networks.cells import Node
from nas.networks.layers import Node as State
from nas.specs import SearchSpec
from nas.store import Store
from tests.service import OPEN


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    store = Store(f"sqlite:///{tmp_path_factory.mktemp('document')}/nas.db")
    app = create_app(store, OPEN)
    yield app.openapi()
    assert app.openapi() is app.openapi()
    store.close()


def parts(part: Any) -> Iterator[dict[str, Any]]:
    if isinstance(part, dict):
        yield part
    for inner in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        yield from parts(inner)


def test_every_field_of_every_schema_is_described(document: dict[str, Any]) -> None:
    fields = [
        (name, field, schema.get("description"))
        for name, record in document["components"]["schemas"].items()
        for field, schema in record.get("properties", {}).items()
    ]
    assert len(fields) > 500
    assert [(name, field) for name, field, words in fields if not words] == []
    assert [(name, field) for name, field, words in fields if not words.endswith(".")] == []


def test_what_programs_are_told_there_is_is_there(document: dict[str, Any]) -> None:
    text = (DASHBOARD / "llms.txt").read_text()
    addresses = re.findall(r"(?:(GET|POST) )?v1/([\w/:]+(?<!:)(?:\?\w+=)?)", text)
    assert len(addresses) > 15
    for method, address in addresses:
        path, _, parameter = address.partition("?")
        if path == "openapi":  # .json, which is the document itself
            continue
        like = re.compile("/v1/" + re.sub(r"[A-Z]{3,}", r"{\\w+(:path)?}", path))
        operations = [each for template, each in document["paths"].items() if like.fullmatch(template)]
        assert operations, address
        parameters = [each["name"] for each in operations[0][(method or "GET").lower()].get("parameters", ())]
        assert not parameter or parameter.rstrip("=") in parameters, address


def test_every_parameter_is_described(document: dict[str, Any]) -> None:
    operations = [(path, operation) for path, each in document["paths"].items() for operation in each.values()]
    parameters = [(path, each) for path, operation in operations for each in operation.get("parameters", ())]
    assert len(parameters) > 30
    assert [(path, each["name"]) for path, each in parameters if not each.get("description")] == []


def test_words_are_those_below_the_fields(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for name, record in (
        ("SearchSpec", SearchSpec),
        ("nas__networks__cells__Node", Node),
        ("nas__networks__layers__Node", State),
    ):
        words = {field: schema["description"] for field, schema in schemas[name]["properties"].items()}
        assert words == described(record)


def test_the_document_is_valid_as_older_readers_know_it_too(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    for name, schema in document["components"]["schemas"].items():
        Draft202012Validator.check_schema(schema)
        assert schema.get("description"), name
    for part in parts({"paths": document["paths"], "components": document["components"]}):
        assert "prefixItems" not in part
        assert isinstance(part.get("items", {}), dict)
    pair = document["components"]["schemas"]["Forecast"]["properties"]["compute_seconds_range"]["anyOf"][0]
    assert pair == {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}
