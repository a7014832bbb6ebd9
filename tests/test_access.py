"""Who may do what: tokens, sessions, and every route of the service tried without."""

import contextlib
import os
import re
import sqlite3
import stat
import time
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from fastapi import FastAPI
from starlette.routing import Route

from api.access import COOKIE, FREE
from api.app import create_app
from api.edge import Edge
from nas import tokens
from nas.client import Client, ServiceError
from nas.quotas import QuotaRequest
from nas.refusal import Refusal
from nas.store import NotFound, Store
from nas.tokens import COVERS, SCOPES, Scope, TokenRequest
from tests.databases import Clock
from tests.service import OPEN, SMALLEST, Service, serving
from tests.waiting import eventually

AGENTS_SECRET = "a secret of evaluators and agents"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    store = Store(f"sqlite:///{tmp_path_factory.mktemp('access')}/nas.db")
    yield store
    store.close()


@pytest.fixture(scope="module")
def app(store: Store) -> FastAPI:
    return create_app(store, Edge(agent_secret=AGENTS_SECRET))


@pytest.fixture(scope="module")
def url(app: FastAPI) -> Iterator[str]:
    with serving(app) as url:
        yield url


@pytest.fixture(scope="module")
def secrets(store: Store) -> dict[Scope, str]:
    return {scope: store.tokens.create("anna", scope)[1] for scope in SCOPES}


def asked(url: str, method: str, path: str, token: str | None = None, **more: Any) -> httpx.Response:
    headers = more.pop("headers", {}) | ({"Authorization": f"Bearer {token}"} if token else {})
    return httpx.request(method, url + path, headers=headers, timeout=60, **more)


class Operation(NamedTuple):
    method: str
    path: str
    name: str
    tag: str

    @property
    def needs(self) -> Scope:
        if self.tag == "agents":
            return "agent"
        if self.tag in ("tokens", "quotas"):
            return "admin"
        return "read" if self.method == "GET" else "write"


def operations(app: FastAPI) -> list[Operation]:
    """Everything under /v1, at an address that has the form of a real one."""
    return [
        Operation(method.upper(), re.sub(r"{\w+}", "0a1b2c3d4e5f", path), found["operationId"], found["tags"][0])
        for path, methods in app.openapi()["paths"].items()
        for method, found in methods.items()
    ]


class TestEveryRoute:
    def test_asks_for_a_token_that_is_known_and_allows_it(
        self, app: FastAPI, url: str, store: Store, secrets: dict[Scope, str]
    ) -> None:
        """Without one, with a wrong one, with an expired and with a revoked one: 401; with too small a one: 403."""
        expired = store.tokens.create("anna", "admin", days=1e-9)[1]
        revoked, text = store.tokens.create("anna", "admin")
        store.tokens.revoke(revoked.id)
        other = secrets["admin"][:-1] + ("A" if secrets["admin"][-1] != "A" else "B")
        wrongs = ["", "Bearer", *(f"Bearer {text}" for text in ("nas", other, expired, text, secrets["admin"].upper()))]
        with httpx.Client(base_url=url, timeout=60) as client:

            def status(operation: Operation, **headers: str) -> int:
                asked = client.stream(operation.method, operation.path, headers=headers, content=b"{")
                with asked as response:  # of which only the head is waited for: a stream of events has no end
                    if response.is_error:
                        response.read()
                if response.status_code == 401:
                    assert response.headers["www-authenticate"] == "Bearer"
                    assert response.headers["content-type"] == "application/problem+json"
                return response.status_code

            guarded = [operation for operation in operations(app) if operation.name not in FREE]
            assert len(guarded) > 40
            for operation in guarded:
                assert status(operation) == 401, operation
                for wrong in wrongs:
                    assert status(operation, Authorization=wrong) == 401, (operation, wrong)
                allowing = [
                    scope
                    for scope, secret in secrets.items()
                    if status(operation, Authorization=f"Bearer {secret}") not in (401, 403)
                ]
                assert allowing == [scope for scope in SCOPES if operation.needs in COVERS[scope]], operation

    def test_asks_for_it_too_where_only_headers_are_wanted(self, url: str, secrets: dict[Scope, str]) -> None:
        for path in ("/v1/images/flowers", "/v1/models/0a1b2c3d4e5f-1/checkpoint"):
            statuses = [
                asked(url, "HEAD", path, token).status_code for token in (None, secrets["agent"], secrets["read"])
            ]
            assert statuses == [401, 403, 404], path

    def test_is_in_the_description(self, app: FastAPI) -> None:
        """So that the test above misses none: beside it are the description itself, and the dashboard's files."""
        assert [route.path for route in app.routes if isinstance(route, Route)] == ["/v1/openapi.json", "/", "/{file}"]

    def test_what_is_free_tells_nothing_of_anybodys_networks(self, app: FastAPI, url: str) -> None:
        assert {operation.name for operation in operations(app)} >= FREE
        assert {"sign_in", "health", "livez", "readyz"} == FREE
        assert asked(url, "GET", "/livez").json() == {"status": "ok"}
        assert set(asked(url, "GET", "/readyz").json()) == {"database", "disk", "coordinator"}
        health = asked(url, "GET", "/v1/health").json()
        assert set(health) == {"status", "version", "database", "disk", "coordinator", "waiting_seconds"}

    def test_is_open_where_nobody_signs_in_but_for_those_of_agents(self, store: Store) -> None:
        with serving(create_app(store, Edge(login=False, agent_secret=AGENTS_SECRET))) as url:
            assert asked(url, "GET", "/v1/runs").status_code == 200
            assert asked(url, "GET", "/v1/session").json()["login"] is False
            assert asked(url, "POST", "/v1/agents/pi4/errands", content=b"x").status_code == 401
            answered = asked(url, "POST", "/v1/agents/pi4/errands", AGENTS_SECRET, content=b"x")
            assert answered.status_code == 415

    def test_of_agents_takes_the_secret_that_evaluators_share(self, url: str) -> None:
        assert asked(url, "GET", "/v1/errands/0a1b2c3d", AGENTS_SECRET).status_code == 404
        assert asked(url, "GET", "/v1/errands/0a1b2c3d/parcel", AGENTS_SECRET + "x").status_code == 401
        assert asked(url, "GET", "/v1/runs", AGENTS_SECRET).status_code == 403


class TestSessions:
    @contextlib.contextmanager
    def signed_in(self, url: str, token: str) -> Iterator[httpx.Client]:
        with httpx.Client(base_url=url, timeout=60) as client:
            response = client.post("/v1/session", json={"token": token}, headers={"Origin": url})
            assert response.status_code == 200, response.text
            cookie = response.headers["set-cookie"].lower()
            assert "httponly" in cookie
            assert "samesite=strict" in cookie
            assert "max-age=43200" in cookie
            assert "; secure" not in cookie  # which this address could not give back
            yield client

    def test_begins_with_a_token_and_ends_when_asked(self, url: str, secrets: dict[Scope, str]) -> None:
        with self.signed_in(url, secrets["write"]) as client:
            assert client.cookies[COOKIE] != secrets["write"]
            who = client.get("/v1/session").json()
            assert (who["owner"], who["scope"], who["login"]) == ("anna", "write", True)
            assert client.get("/v1/runs").status_code == 200
            assert client.get("/v1/tokens").status_code == 403
            kept = client.cookies[COOKIE]
            assert client.delete("/v1/session", headers={"Origin": url}).status_code == 204
            assert asked(url, "GET", "/v1/runs", headers={"Cookie": f"{COOKIE}={kept}"}).status_code == 401

    def test_writes_only_from_the_services_own_pages(self, url: str, secrets: dict[Scope, str]) -> None:
        with self.signed_in(url, secrets["admin"]) as client:
            wanted = {"owner": "bert"}
            assert client.post("/v1/tokens", json=wanted).status_code == 403  # nobody says where it comes from
            for foreign in ({"Origin": "http://127.0.0.1:9"}, {"Sec-Fetch-Site": "same-site"}):
                assert client.post("/v1/tokens", json=wanted, headers=foreign).status_code == 403
            assert client.post("/v1/tokens", json=wanted, headers={"Sec-Fetch-Site": "same-origin"}).status_code == 201
            assert client.post("/v1/tokens", json=wanted, headers={"Origin": url}).status_code == 201

    def test_ends_with_its_token(self, url: str, store: Store) -> None:
        token, text = store.tokens.create("carl", "read")
        admin = store.tokens.create("dora", "admin")[1]
        with self.signed_in(url, text) as client:
            assert client.get("/v1/runs").status_code == 200
            assert asked(url, "DELETE", f"/v1/tokens/{token.id}", admin).status_code == 204
            assert client.get("/v1/runs").status_code == 401

    def test_is_refused_to_who_is_not_known(self, url: str) -> None:
        for text in ("", "nas", AGENTS_SECRET):
            assert asked(url, "POST", "/v1/session", json={"token": text}).status_code == 401

    def test_is_as_secure_as_the_address(self, store: Store, secrets: dict[Scope, str]) -> None:
        edge = Edge(proxies=("127.0.0.1",), hosts=("nas.example.com",), prefix="/search")
        with serving(create_app(store, edge)) as url:
            told = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "nas.example.com"}
            body = {"token": secrets["read"]}
            response = asked(url, "POST", "/search/v1/session", json=body, headers=told)
            cookie = response.headers["set-cookie"].lower()
            assert "; secure" in cookie
            assert "path=/search;" in cookie


class TestTokens:
    def test_are_made_listed_and_revoked_by_an_admin(self, url: str, secrets: dict[Scope, str]) -> None:
        with Client(url, secrets["admin"]) as admin:
            made = admin.create_token(owner="Zoë", scope="read", days=2)
            assert made["expires_at"] == pytest.approx(time.time() + 2 * 86_400, abs=60)
            listed = next(token for token in admin.tokens() if token["id"] == made["id"])
            assert listed == {name: value for name, value in made.items() if name != "token"}
            with Client(url, made["token"]) as reader:
                reader.runs()
                with pytest.raises(ServiceError, match="this token is for 'read', and this takes one for 'write'"):
                    reader.search(dataset="fashion_mnist")
            admin.revoke_token(made["id"])
            with (
                pytest.raises(ServiceError, match="no token, or one that is not known"),
                Client(url, made["token"]) as no,
            ):
                no.runs()
            with pytest.raises(ServiceError, match=f"no token '{made['id']}'"):
                admin.revoke_token(made["token"])

    def test_no_secret_is_stored(self, tmp_path: Path) -> None:
        store = Store(f"sqlite:///{tmp_path}/nas.db")
        token, text = store.tokens.create("anna", "admin")
        session = store.tokens.sign_in(token, 60)[1]
        store.close()
        with sqlite3.connect(tmp_path / "nas.db") as database:
            whole = "\n".join(database.iterdump())
        for secret in (text, session):
            assert secret.split("_", 2)[2] not in whole

    def test_expire(self, tmp_path: Path) -> None:
        clock = Clock()
        store = Store(f"sqlite:///{tmp_path}/nas.db", clock)
        assert not store.tokens.any()
        token, text = store.tokens.create("anna", "write", days=1)
        session, cookie = store.tokens.sign_in(token, 7 * 86_400)
        assert store.tokens.find(text) == token
        assert store.tokens.find(cookie) == session
        assert session.expires_at == token.expires_at  # it lives no longer than what it began with
        clock.now += 86_399
        assert store.tokens.find(text)
        clock.now += 1
        assert store.tokens.find(text) is None
        assert store.tokens.find(cookie) is None
        assert store.tokens.all() == [token]  # to be seen, and revoked with what is left of it
        store.tokens.revoke(token.id)
        with pytest.raises(NotFound):
            store.tokens.revoke(session.id)
        store.close()

    def test_have_one_owner_however_the_accents_are_spelled(self) -> None:
        apart = unicodedata.normalize("NFD", "Zoë")
        assert apart != "Zoë"
        assert TokenRequest(owner=apart).owner == QuotaRequest(owner=apart).owner == "Zoë"
        assert TokenRequest(owner=unicodedata.normalize("NFD", "ë" * 80)).owner == "ë" * 80

    @pytest.mark.parametrize("owner", ["", "  ", "a\nb", "x" * 81])
    def test_have_an_owner(self, owner: str) -> None:
        with pytest.raises(Refusal, match="owner"):
            TokenRequest(owner=owner)

    def test_lie_in_a_file_that_nobody_else_reads(self, tmp_path: Path) -> None:
        file = tmp_path / "token"
        assert tokens.from_file(file) is None
        file.write_text("old")
        file.chmod(0o644)
        with pytest.raises(PermissionError, match=f"chmod 600 {file}"):
            tokens.from_file(file)
        tokens.to_file(file, "new")
        assert stat.S_IMODE(os.stat(file).st_mode) == 0o600
        assert tokens.from_file(file) == "new"

    def test_the_client_finds_its_token(
        self, url: str, secrets: dict[Scope, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def allowed() -> bool:
            with Client(url) as client:
                return client._http.get("/v1/runs").status_code == 200

        monkeypatch.setenv("NAS_HOME", str(tmp_path))
        assert not allowed()
        tokens.to_file(tmp_path / "token", secrets["read"])
        assert allowed()  # the service is on this machine, and so is its token
        tokens.to_file(tmp_path / "other", secrets["read"])
        (tmp_path / "token").unlink()
        monkeypatch.setenv("NAS_TOKEN_FILE", str(tmp_path / "other"))
        assert allowed()
        (tmp_path / "other").chmod(0o640)
        with pytest.raises(ServiceError, match="can be read by others"):
            allowed()
        monkeypatch.setenv("NAS_TOKEN", secrets["read"])
        assert allowed()

    @pytest.mark.parametrize("around", [" ", "\n", "\r\n"])
    def test_what_surrounds_one_is_not_sent(self, monkeypatch: pytest.MonkeyPatch, around: str) -> None:
        monkeypatch.setenv("NAS_TOKEN", f"secret{around}")
        with Client() as by_variable, Client(token=f"secret{around}") as given:
            for client in (by_variable, given):
                assert client._http.headers["authorization"] == "Bearer secret"

    @pytest.mark.parametrize("wrong", ["nas_sécret", "nas_one\nnas_two", "nas_\x00secret", "nas_secret…"])
    def test_one_that_no_request_can_carry_is_refused_unseen(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: str
    ) -> None:
        def refused(source: str, token: str | None = None) -> None:
            with pytest.raises(ServiceError, match=f"{source} has a character that no token has") as caught:
                Client(token=token)
            assert "cret" not in str(caught.value)

        refused("token=", wrong)
        monkeypatch.setenv("NAS_TOKEN_FILE", str(tmp_path / "token"))
        tokens.to_file(tmp_path / "token", wrong)
        refused(str(tmp_path / "token"))
        if "\x00" not in wrong:  # which no variable has
            monkeypatch.setenv("NAS_TOKEN", wrong)
            refused("NAS_TOKEN")

    def test_a_file_that_is_named_has_one(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """So that nobody looks for the fault in a token that was never sent."""
        named = tmp_path / "token"
        monkeypatch.setenv("NAS_TOKEN_FILE", str(named))
        for _ in range(2):
            with pytest.raises(ServiceError, match=f"there is none in {named}, which NAS_TOKEN_FILE names"):
                Client("http://nas.example.com")
            tokens.to_file(named, "")

    def test_the_one_of_this_machine_is_sent_to_no_other(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("NAS_HOME", str(tmp_path))
        tokens.to_file(tmp_path / "token", "secret")
        with Client("http://nas.example.com") as elsewhere, Client("http://localhost:8000") as here:
            assert "authorization" not in elsewhere._http.headers
            assert here._http.headers["authorization"] == "Bearer secret"


class TestWhoDidWhat:
    """Is in the events of a run, in its rows, and for what is no run's in the log."""

    def test_runs_and_events_have_the_owner_of_the_token(
        self, url: str, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("NAS_HOME", str(tmp_path))
        zoe, bert = (store.tokens.create(owner, "write")[1] for owner in ("Zoë", "bert"))
        run = asked(url, "POST", "/v1/searches", zoe, json=SMALLEST).json()
        assert run["submitted_by"] == "Zoë"
        for method, path, body, token in (
            ("POST", "/pause", None, bert),
            ("POST", "/resume", None, zoe),
            ("PATCH", "", {"trials": 9}, bert),
            ("POST", "/cancel", None, zoe),
        ):
            response = asked(url, method, f"/v1/searches/{run['id']}{path}", token, json=body)
            assert (response.status_code, response.json()["submitted_by"]) == (200, "Zoë")
        events = asked(url, "GET", f"/v1/searches/{run['id']}/events", bert).json()["events"]
        assert [(event["kind"], event["by"]) for event in events] == [
            ("added", "Zoë"),
            ("worth", None),
            ("wish", "bert"),
            ("wish", "Zoë"),
            ("budget", "bert"),
            ("wish", "Zoë"),
            ("cancelled", None),
        ]
        with Client(url, zoe) as client:
            (row,) = (each for each in client.runs() if each["id"] == run["id"])
            assert row["submitted_by"] == "Zoë"

    def test_a_download_is_an_event(
        self, url: str, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("NAS_HOME", str(tmp_path))
        bert = store.tokens.create("bert", "read")[1]
        filled = Service(store, httpx.Client(base_url=url))
        run = filled.growth(filled.search([(0.9, 1000)]), members=("B0",))
        (model,) = store.models(run.id)
        path = f"/v1/models/{model.id}/checkpoint"
        assert asked(url, "GET", path, bert).status_code == 200
        assert asked(url, "GET", path, bert, headers={"Range": "bytes=9-"}).status_code == 206
        asked(url, "HEAD", path, bert)
        asked(url, "GET", path, bert, headers={"If-None-Match": "*"})
        events = [(event.text, event.by) for event in store.events(run.id) if event.kind == "downloaded"]
        assert events == [(f"model {model.id} downloaded", "bert"), (f"model {model.id} downloaded in part", "bert")]
        filled.http.close()

    def test_where_nobody_signs_in_it_is_nobodys(self, store: Store) -> None:
        with serving(create_app(store, OPEN)) as open_url:
            run = asked(open_url, "POST", "/v1/searches", json=SMALLEST).json()
            assert run["submitted_by"] is None
            assert {event.by for event in store.events(run["id"])} == {None}

    def test_tokens_uploads_and_requests_are_in_the_log(
        self, url: str, secrets: dict[Scope, str], caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level("INFO", logger="api")
        new = asked(url, "POST", "/v1/tokens", secrets["admin"], json={"owner": "bert", "scope": "read"}).json()
        asked(url, "DELETE", f"/v1/tokens/{new['id']}", secrets["admin"])
        asked(url, "GET", "/v1/runs")
        asked(url, "POST", "/v1/images", secrets["write"], json={"name": "roses", "bytes": 1000})
        asked(url, "DELETE", "/v1/images/roses", secrets["admin"])
        said = [record for record in caplog.records if record.levelname == "WARNING"]
        assert [record.getMessage() for record in said] == [
            f"token {new['id']} made for bert, of scope read, by anna",
            f"token {new['id']} revoked, by anna",
            "upload of images 'roses' begun, 1,000 bytes, by anna",
            "images 'roses' deleted, by anna",
        ]
        assert new["token"] not in caplog.text
        eventually(lambda: len([each for each in caplog.records if hasattr(each, "fields")]) == 5)
        lines = [each.fields for each in caplog.records if hasattr(each, "fields")]
        assert [line.get("owner") for line in lines] == ["anna", "anna", None, "anna", "anna"]
