"""What nobody should send, to every operation of a service that has little memory: it refuses, and goes on."""

import json
import sys
from collections.abc import Iterator
from typing import Any, TypeAlias
from urllib.parse import quote

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import Case, GenerationMode
from schemathesis.core.result import Ok
from schemathesis.schemas import APIOperation

from tests.test_api_refusals import BODIES
from tests.test_serve import Serving, serving
from tests.waiting import PATIENCE_SECONDS

Operation: TypeAlias = APIOperation[Any, Any, Any, Any]

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs ulimit -v")

KIBIBYTES = 1_500_000  # of addresses, which the service has as well without this
FAILURE = 500  # and above: the service's own
TEXTS = ("~nosuchuser", "x" * 300, "x" * 5000, "\0", "../../etc/passwd", "🐈")
NUMBERS = ("-1", "9" * 40, "nan")
PLACES = ("folder:", "folder:/", "images:", "model:", "file:")  # that a dataset or a parent is named by
DEEP = "[" * 900 + "]" * 900


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A service that nobody drives runs for, and that nothing went wrong in when all is over."""
    home = tmp_path_factory.mktemp("hostile") / "home"
    with serving(home, "--no-coordinator", limits=f"ulimit -v {KIBIBYTES}") as running:
        yield running
        assert httpx.get(f"{running.url}/readyz", timeout=PATIENCE_SECONDS).status_code == 200
        assert "Traceback" not in running.log.read_text()


@pytest.fixture(scope="module")
def operations(hostile: Serving) -> list[Operation]:
    document = httpx.get(f"{hostile.url}/v1/openapi.json", timeout=PATIENCE_SECONDS).json()
    described = schemathesis.openapi.from_dict(document)
    described.validate()
    found = [each.ok() for each in described.get_all_operations() if isinstance(each, Ok)]
    assert len(found) == sum(len(operations) for operations in document["paths"].values())
    return found


def test_no_request_breaks_it_that_the_document_allows_or_forbids(
    hostile: Serving, operations: list[Operation], pytestconfig: pytest.Config
) -> None:
    broken: list[str] = []
    with httpx.Client(base_url=hostile.url, timeout=PATIENCE_SECONDS) as http:
        for operation in operations:
            modes = [GenerationMode.POSITIVE]
            if operation.body or operation.query:  # the rest takes any text
                modes.append(GenerationMode.NEGATIVE)
            for mode in modes:

                @seed(0)
                @settings(
                    max_examples=pytestconfig.getoption("--hostile-examples"),
                    database=None,
                    phases=[Phase.generate],
                    suppress_health_check=list(HealthCheck),
                )
                @given(case=operation.as_strategy(generation_mode=mode))
                def ask(case: Case[Any]) -> None:
                    if "wait_seconds" in case.query:
                        case.query["wait_seconds"] = 0
                    if case.operation.path == "/v1/events":
                        case.query["run"] = "none"  # what is told of one that is there has no end
                    sent = case.as_transport_kwargs(base_url=hostile.url)
                    response = case.call(base_url=hostile.url, timeout=PATIENCE_SECONDS)
                    if response.status_code >= FAILURE:
                        broken.append(f"{response.status_code} {sent}"[:1000])

                ask()
        assert broken == []
        assert http.get("/livez").status_code == 200


def test_no_text_in_an_address_breaks_it(hostile: Serving, operations: list[Operation]) -> None:
    with httpx.Client(base_url=hostile.url, timeout=PATIENCE_SECONDS) as http:
        for operation in operations:
            path, names = operation.path, [parameter.name for parameter in operation.path_parameters]
            for text in TEXTS if names else ():
                address = path
                for name in names:
                    address = address.replace(f"{{{name}}}", quote(text, safe=""))
                response = http.request(operation.method, address)
                assert response.status_code < FAILURE, (operation.label, text)
            for parameter in operation.query:
                for text in (TEXTS[2], TEXTS[3], *NUMBERS) if parameter.name != "wait_seconds" else ():
                    response = http.request(operation.method, path, params={parameter.name: text})
                    assert response.status_code < FAILURE, (operation.label, parameter.name, text)


def test_no_name_of_a_place_and_no_depth_breaks_it(hostile: Serving) -> None:
    first: dict[str, tuple[str, dict[str, Any]]] = {}
    for method, address, _, body in BODIES:
        first.setdefault(address.replace("/?", "/0a1b2c3d4e5f"), (method, body))
    with httpx.Client(base_url=f"{hostile.url}/v1/", timeout=PATIENCE_SECONDS) as http:
        for address, (method, body) in first.items():
            bodies = [DEEP, *(json.dumps(body | {name: "?"}).replace('"?"', DEEP) for name in body)]
            for name in {"dataset", "parent"} & body.keys():
                bodies += [json.dumps(body | {name: place + text}) for place in PLACES for text in TEXTS]
            for each in bodies:
                response = http.request(method, address, content=each, headers={"content-type": "application/json"})
                assert 400 <= response.status_code < FAILURE, (address, each[:300], response.text[:300])
