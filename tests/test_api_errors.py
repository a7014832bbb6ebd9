"""What the service answers to what is no request, and when it fails itself; every answer is held against OpenAPI."""

import gzip
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from api.app import create_app
from api.gate import MOST_BYTES
from nas.store import Store
from tests.service import OPEN, UNKNOWN, Service, serving
from tests.waiting import PATIENCE_SECONDS

JSON = "application/json"
BODIES: list[tuple[bytes, str | None, int, str]] = [
    (b"", JSON, 422, "the body is empty"),
    (b'{"dataset"', JSON, 400, "not JSON: Expecting ':' delimiter at character 10"),
    (b"\xff", JSON, 400, "JSON"),
    (b"[" * 10_000, JSON, 400, "JSON|parsing"),
    (b"[" * 100_000, JSON, 422, "the body has more than 50,000 values"),
    (b"[]", JSON, 422, "\\[\\] is not an object with fields of name, dataset"),
    (b"null", JSON, 422, "null is not an object"),
    (b'{"dataset": "x", "objective": {"target": NaN}}', JSON, 422, "nan at /objective/target is not a number"),
    (b'{"dataset": "x", "objective": {"target": 1e999}}', JSON, 422, "inf at /objective/target"),
    (b'{"dataset": "x", "options": {"a": -Infinity}}', JSON, 422, "-inf at /options/a"),
    (b'{"dataset": "x", "knobs": {"a": [1, NaN]}}', JSON, 422, "nan at /knobs/a/1"),
    (b'{"dataset": "x", "trials": ' + b"1" * 5000 + b"}", JSON, 400, "JSON|parsing"),
    (b'{"dataset": "fashion_mnist"}', "text/plain", 415, "Content-Type: application/json"),
    (b'{"dataset": "fashion_mnist"}', None, 415, "Content-Type: application/json"),
    (b"dataset=fashion_mnist", "application/x-www-form-urlencoded", 415, "application/json"),
    (b" " * (MOST_BYTES + 1), JSON, 413, "1,000,001 bytes or more: 1,000,000 are taken"),
]


@pytest.mark.parametrize(("body", "kind", "status", "words"), BODIES)
def test_a_body_that_is_no_request_is_refused(
    service: Service, body: bytes, kind: str | None, status: int, words: str
) -> None:
    headers = {"content-type": kind} if kind else {}
    problem = service.ask("POST", "/v1/searches", status, content=body, headers=headers)
    assert re.search(words, problem["detail"]), problem["detail"]


@pytest.mark.parametrize("path", ["/v1/searches", "/v1/images/flowers", f"/v1/runs/{UNKNOWN}"])
@pytest.mark.parametrize("coding", ["gzip", "BR", "identity, gzip", "\u00e4"])
def test_a_body_in_a_content_coding_is_refused_by_its_name(service: Service, path: str, coding: str) -> None:
    headers = {b"content-type": JSON.encode(), b"content-encoding": coding.encode("latin-1")}
    method = "POST" if path == "/v1/searches" else "PATCH"
    response = service.http.request(method, path, content=gzip.compress(b"{}"), headers=headers)
    assert (response.status_code, response.headers["accept-encoding"]) == (415, "identity")
    assert f'the body is encoded as "{coding}": send it as it is' in response.json()["detail"]


def test_identity_is_no_coding(service: Service) -> None:
    headers = {"content-encoding": "Identity"}
    service.ask("POST", "/v1/searches", 201, json={"dataset": "fashion_mnist"}, headers=headers)
    service.ask("GET", "/v1/searches", 200, headers={"content-encoding": "gzip"})


def test_a_large_body_in_pieces_is_not_read_to_its_end(service: Service) -> None:
    sent = 0

    def pieces() -> Iterator[bytes]:
        nonlocal sent
        for _ in range(1000):
            sent += 100_000
            yield b" " * 100_000

    response = service.http.post("/v1/searches", content=pieces(), headers={"content-type": JSON})
    assert response.status_code == 413
    assert response.headers["content-type"] == "application/problem+json"


ELSEWHERE: list[tuple[str, str, int, str]] = [
    ("GET", f"/v1/searches/{UNKNOWN}", 404, f"no run '{UNKNOWN}'"),
    ("GET", f"/v1/growths/{UNKNOWN}/trials", 404, UNKNOWN),
    ("GET", f"/v1/searches/{UNKNOWN}/pareto", 404, UNKNOWN),
    ("POST", f"/v1/searches/{UNKNOWN}/pause", 404, UNKNOWN),
    ("POST", f"/v1/searches/{UNKNOWN}/explode", 404, "explode.*'pause', 'resume', 'stop' or 'cancel'"),
    ("GET", "/v1/runs/%00", 404, "no run"),
    ("GET", f"/v1/runs?before={UNKNOWN}", 404, UNKNOWN),
    ("GET", "/v1/models/nothing-1", 404, "no model 'nothing-1'"),
    ("GET", "/v1/models/nothing-1/checkpoint", 404, "nothing-1"),
    ("GET", f"/v1/models?run={UNKNOWN}", 404, UNKNOWN),
    ("GET", "/v1/spaces/cubes", 404, "'cubes'.*mbconv"),
    ("GET", "/v1/datasets/mnist", 404, "'mnist'.*fashion_mnist"),
    ("GET", "/v2/searches", 404, "/v2/searches.*openapi.json"),
    ("GET", "/nothing.js", 404, "nothing.js"),
    ("GET", "/..%2fapp.py", 404, "app.py"),
    ("GET", "/%2e%2e/app.py", 404, "app.py"),
    ("DELETE", "/v1/searches", 405, "DELETE.*use GET, HEAD, POST"),
    ("PUT", f"/v1/searches/{UNKNOWN}", 405, "PUT.*use DELETE, GET, HEAD, PATCH"),
    ("GET", f"/v1/searches/{UNKNOWN}/pause", 405, "GET.*use POST"),
    ("GET", f"/v1/searches/{UNKNOWN}/trials.csv", 404, "nothing at /v1/searches/.*/trials.csv"),
    ("POST", "/v1/health", 405, "POST.*use GET, HEAD"),
    ("POST", "/livez", 405, "POST.*use GET, HEAD"),
    ("POST", "/v1/openapi.json", 405, "POST.*use GET, HEAD"),
    ("DELETE", "/v1/looks/folder:/a/b", 405, "DELETE.*use GET, HEAD"),
    ("POST", "/", 405, "POST"),
    ("GET", "/v1/runs?limit=0", 422, 'limit "0" is not greater than or equal to 1'),
    ("GET", "/v1/runs?limit=1001", 422, "1001.*less than or equal to 1000"),
    ("GET", "/v1/runs?limit=x", 422, 'limit "x" is not a valid integer'),
    ("GET", "/v1/runs?limt=5", 422, "unknown parameter 'limt': there are limit, before"),
    ("GET", "/v1/health?verbose=1", 422, "unknown parameter 'verbose': there are none here"),
    ("GET", f"/v1/searches/{UNKNOWN}/trials?after=-2", 422, "-2"),
    ("GET", f"/v1/searches/{UNKNOWN}/trials?state=dead", 422, "dead.*'running', 'done'"),
    ("GET", "/v1/spaces/mbconv?resolution=7", 422, "resolution 7 is not between 8 and 2048"),
    ("GET", "/v1/spaces/mbconv?channels=2", 422, "channels 2 is neither 1"),
]


@pytest.mark.parametrize(("method", "path", "status", "words"), ELSEWHERE)
def test_an_address_that_is_wrong_is_answered_with_the_way_out(
    service: Service, method: str, path: str, status: int, words: str
) -> None:
    problem = service.ask(method, path, status)
    assert problem["status"] == status
    assert re.search(words, problem["detail"]), problem["detail"]


def test_a_method_that_is_not_allowed_is_answered_with_those_that_are(service: Service) -> None:
    assert service.http.delete("/v1/searches").headers["allow"] == "GET, HEAD, POST"
    refused = service.http.head("/v1/forecasts")
    assert (refused.status_code, refused.headers["allow"]) == (405, "POST")


def test_head_is_answered_as_get_is_without_a_body(service: Service, search: str, growth: str) -> None:
    known = {"run": search, "number": "0", "model": service.store.models(growth)[0].id}
    own = ("date", "x-request-id", "content-length")
    statuses = set()
    for path, operations in service.get("/v1/openapi.json")["paths"].items():
        if "get" in operations:
            address = re.sub(r"{(\w+)}", lambda name: known.get(name[1], "mbconv"), path)
            head = service.http.head(address)
            with service.http.stream("GET", address) as got:  # a stream of events has no end
                assert (head.status_code, head.content) == (got.status_code, b""), path
                left, right = [
                    {name: each.headers[name] for name in each.headers if name not in own} for each in (head, got)
                ]
                assert left == right, path
                if "content-length" in got.headers:
                    assert "content-length" in head.headers
            statuses.add(head.status_code)
    assert {200, 404} <= statuses
    columns = f"/v1/searches/{search}/columns"
    known_by = {"If-None-Match": service.http.head(columns).headers["etag"]}
    assert service.http.head(columns, headers=known_by).status_code == 304


def test_another_sites_page_can_neither_submit_nor_cancel(service: Service) -> None:
    run = service.search([])
    for headers in ({"origin": "https://evil.example"}, {"origin": "null"}):
        service.ask("POST", f"/v1/searches/{run.id}/cancel", 403, headers=headers)
    assert service.store.run(run.id).wish == "run"
    service.ask("POST", f"/v1/searches/{run.id}/cancel", 200, headers={"origin": service.url})


def test_a_database_that_fails_is_answered_with_503(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path}/nas.db")
    with serving(create_app(store, OPEN)) as url:
        assert httpx.get(f"{url}/v1/runs", timeout=PATIENCE_SECONDS).status_code == 200
        with sqlite3.connect(tmp_path / "nas.db") as database:
            for (table,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
                database.execute(f"ALTER TABLE {table} RENAME TO lost_{table}")
        database.close()
        response = httpx.get(f"{url}/v1/runs", timeout=PATIENCE_SECONDS)
    store.close()
    assert response.status_code == 503
    assert response.headers["retry-after"] == "5"
    assert "nas.db" in response.json()["detail"]


def test_an_error_of_the_service_is_answered_without_its_insides(tmp_path: Path) -> None:
    def broken() -> str:
        raise RuntimeError("secret")

    store = Store(f"sqlite:///{tmp_path}/nas.db")
    with serving(create_app(store, OPEN, coordinator=broken)) as url:
        response = httpx.get(f"{url}/v1/health", timeout=PATIENCE_SECONDS)
    store.close()
    assert (response.status_code, response.headers["content-type"]) == (500, "application/problem+json")
    assert "secret" not in response.text
    assert "log" in response.json()["detail"]
