"""Ids of requests, in answers and in the log, and the log's line for each request."""

import contextlib
import io
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from api.app import create_app
from nas.client import Client, ServiceError
from nas.store import Store
from tests.log import logged, objects
from tests.service import OPEN, UNKNOWN, serving

MADE = r"[0-9a-f]{16}"


@contextlib.contextmanager
def broken_service(folder: Path, level: str = "info") -> Iterator[tuple[httpx.Client, io.StringIO]]:
    """A client of it, and its log; its health is more than it can tell."""

    def broken() -> str:
        raise RuntimeError("secret")

    store = Store(f"sqlite:///{folder}/nas.db")
    with (
        logged(level, "json") as written,
        serving(create_app(store, OPEN, coordinator=broken)) as url,
        httpx.Client(base_url=url, timeout=60) as http,
    ):
        yield http, written
    store.close()


def test_a_request_s_own_id_is_its_id(tmp_path: Path) -> None:
    with broken_service(tmp_path) as (http, written):
        answer = http.get(f"/v1/searches/{UNKNOWN}", headers={"X-Request-ID": "build-7.a_b"})
        dashboard = http.get("/", headers={"X-Request-ID": "other"})
    assert answer.headers["x-request-id"] == answer.json()["request_id"] == "build-7.a_b"
    assert dashboard.headers["x-request-id"] == "other"
    assert [line["request"] for line in objects(written)] == ["build-7.a_b", "other"]


@pytest.mark.parametrize("given", ["", "two words", "x" * 65, 'a"b', "é".encode(), None])
def test_others_get_one_and_never_the_same(given: str | bytes | None, tmp_path: Path) -> None:
    headers = {} if given is None else {b"X-Request-ID": given if isinstance(given, bytes) else given.encode()}
    with broken_service(tmp_path) as (http, written):
        answers = [http.get(f"/v1/searches/{UNKNOWN}", headers=headers) for _ in range(2)]
    ids = [answer.json()["request_id"] for answer in answers]
    assert all(re.fullmatch(MADE, id_) for id_ in ids)
    assert ids == [answer.headers["x-request-id"] for answer in answers]
    assert ids == [line["request"] for line in objects(written)]
    assert ids[0] != ids[1]


def test_a_request_that_is_turned_away_at_the_gate_has_one_too(tmp_path: Path) -> None:
    with broken_service(tmp_path) as (http, written):
        answer = http.post("/v1/searches", headers={"origin": "https://evil.example"}, json={})
    assert (answer.status_code, answer.json()["request_id"]) == (403, answer.headers["x-request-id"])
    assert objects(written)[0]["status"] == 403


def test_a_line_says_who_asked_for_what_and_what_came_of_it(tmp_path: Path) -> None:
    with broken_service(tmp_path) as (http, written):
        http.get("/v1/runs?limit=3&before=secret%0Ax")
        http.delete("/v1/a%0A%1bb")
    first, second = objects(written)
    assert first.pop("milliseconds") >= 0
    del first["time"], first["request"]
    assert first == {
        "level": "info",
        "logger": "api.access",
        "message": "GET /v1/runs: 404",
        "client": "127.0.0.1",
        "method": "GET",
        "path": "/v1/runs",
        "status": 404,
    }
    assert second["path"] == "/v1/a%0A%1bb", "as it was sent"


def test_what_nobody_expected_is_logged_with_its_traceback_under_the_id_of_the_answer(tmp_path: Path) -> None:
    with broken_service(tmp_path, level="warning") as (http, written), Client(str(http.base_url)) as client:
        answer = http.get("/v1/health")
        http.get("/v1/runs")
        with pytest.raises(ServiceError, match=rf"its log says more \(request {MADE}\)$"):
            client.health()
    lines = [line for line in objects(written) if line["request"] == answer.json()["request_id"]]
    assert answer.headers["x-request-id"] == answer.json()["request_id"]
    assert [(line["logger"], line["level"]) for line in lines] == [("api.access", "error"), ("api.access", "warning")]
    assert lines[0]["traceback"].endswith("RuntimeError: secret")
    assert len(objects(written)) == 4, "of what went well nothing at this level"
