"""Clients that are slow, or too many: the service answers the others meanwhile."""

import asyncio
import contextlib
import dataclasses
import re
import shlex
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

import httpx
import pytest

from api import agent_program, connections, steady, waiting
from api.app import create_app
from api.connections import HANDLES_EACH
from api.edge import Edge, Limits
from nas.store import Store, StoreError
from tests.agents import PI
from tests.service import OPEN, serving
from tests.test_serve import Serving, environment
from tests.test_serve import serving as served
from tests.waiting import PATIENCE_SECONDS, eventually

HANDLES = 256
KIBIBYTES = 1_500_000  # of addresses
HALF_A_HEAD = b"GET /v1/health HTTP/1.1\r\nHost: localhost\r\nX-Slow: "
HALF_A_BODY = (
    b"POST /v1/searches HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{"
)
POLL = f"/v1/agents/pi4/take?instance={PI.instance}&wait_seconds=20"
ELSEWHERE = "127.0.0.2"  # another client, on Linux at least
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs addresses like 127.0.0.2, and ulimit -v")


class Clients:
    """Connections from one address, as many as it gets."""

    def __init__(self, url: str, stack: contextlib.ExitStack, source: str = ELSEWHERE) -> None:
        self._to, self._stack, self._source = httpx.URL(url), stack, source

    def open(self, said: bytes = b"") -> socket.socket:
        address = (self._to.host, self._to.port or 0)
        client = socket.create_connection(address, PATIENCE_SECONDS, source_address=(self._source, 0))
        self._stack.enter_context(client)
        with contextlib.suppress(OSError):  # it may be refused before it has said anything
            client.sendall(said)
        return client

    def opened(self, number: int, said: bytes) -> list[socket.socket]:
        return [self.open(said) for _ in range(number)]


def answer(client: socket.socket) -> str:
    """All that a connection is told before it is closed."""
    said = b""
    with contextlib.suppress(ConnectionResetError):
        while part := client.recv(65536):
            said += part
    return said.decode()


def answered(url: str, path: str = "/v1/health") -> bool:
    return httpx.get(url + path, timeout=PATIENCE_SECONDS).status_code == 200


@pytest.fixture
def clients() -> Iterator[contextlib.ExitStack]:
    with contextlib.ExitStack() as stack:
        yield stack


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """The service as it is started, with little memory and few handles."""
    limits = f"ulimit -v {KIBIBYTES} && ulimit -S -n 128 && ulimit -H -n {HANDLES}"
    with served(tmp_path_factory.mktemp("small") / "home", "--no-coordinator", limits=limits) as service:
        yield service


class TestAsItIsStarted:
    """A program with little memory and few handles, from which one client takes what it can."""

    @pytest.mark.parametrize("said", [b"", HALF_A_HEAD, HALF_A_BODY], ids=["nothing", "half a head", "half a body"])
    def test_others_are_answered(self, small: Serving, clients: contextlib.ExitStack, said: bytes) -> None:
        slow = Clients(small.url, clients).opened(2 * HANDLES, said)
        assert answered(small.url)
        limits = Limits.within(HANDLES // HANDLES_EACH)
        refused = [client for client in slow if readable(client)]
        assert len(slow) - len(refused) <= limits.of_this_machine
        assert {answer(client)[:12] for client in refused} <= {"HTTP/1.1 429", "HTTP/1.1 408", ""}
        assert answered(small.url)
        assert small.process.poll() is None

    def test_a_client_that_was_slow_gets_its_connections_back(
        self, small: Serving, clients: contextlib.ExitStack
    ) -> None:
        with contextlib.ExitStack() as soon:
            Clients(small.url, soon, "127.0.0.1").opened(2 * HANDLES, HALF_A_HEAD)
        eventually(lambda: answered(small.url))

    def test_more_requests_wait_than_there_are_threads(self, small: Serving, clients: contextlib.ExitStack) -> None:
        agent = dataclasses.asdict(PI) | {"edition": agent_program.edition()}
        assert httpx.post(f"{small.url}/v1/agents", json=agent, timeout=PATIENCE_SECONDS).status_code == 200
        poll = f"POST {POLL} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"
        Clients(small.url, clients).opened(60, poll.encode())
        assert answered(small.url, "/v1/runs")

    def test_it_takes_all_handles_that_it_may_have(self, small: Serving) -> None:
        limits = Path(f"/proc/{small.process.pid}/limits").read_text()
        assert re.search(rf"Max open files +{HANDLES} +{HANDLES} ", limits)

    def test_too_few_handles_are_said(self, tmp_path: Path) -> None:
        command = shlex.join([sys.executable, "-m", "api.cli", "serve", "--port", "0"])
        ran = subprocess.run(
            ["sh", "-c", f"ulimit -n 64 && exec {command}"],
            env=environment(tmp_path),
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
        )
        assert ran.returncode == 1
        assert "this process may open 64 files, and needs 96: raise `ulimit -n`" in ran.stderr


def readable(client: socket.socket) -> bool:
    """Whether it has been answered, or closed."""
    client.setblocking(False)
    try:
        client.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True
    finally:
        client.settimeout(PATIENCE_SECONDS)
    return True


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(f"sqlite:///{tmp_path}/nas.db")
    yield store
    store.close()


class TestSlowness:
    def test_a_head_that_drips_is_answered_and_closed(
        self, store: Store, clients: contextlib.ExitStack, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """On a new connection, and on one that has had an answer."""
        monkeypatch.setattr(connections, "HEAD_SECONDS", 0.5)
        monkeypatch.setattr(connections, "LOOK_SECONDS", 0.05)
        with serving(create_app(store, OPEN)) as url:
            whole = b"GET /v1/health HTTP/1.1\r\nHost: localhost\r\n\r\n"
            for used in (False, True):  # one after the other, as a connection that says nothing is closed as soon
                client = Clients(url, clients).open(whole if used else HALF_A_HEAD)
                if used:
                    first = HTTPResponse(client)
                    first.begin()
                    assert (first.status, b"ok" in first.read()) == (200, True)
                    client.sendall(HALF_A_HEAD)
                dripping(client)
                said = answer(client)
                assert said.startswith("HTTP/1.1 408 Request Timeout"), said
                assert "the head of the request had not come after 0.5 seconds" in said

    def test_a_body_that_stalls_or_drips_is_answered_and_closed(
        self, store: Store, clients: contextlib.ExitStack, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(steady, "STALLED_SECONDS", 0.5)
        with serving(create_app(store, OPEN)) as url:
            for drips in (False, True):
                client = Clients(url, clients).open(HALF_A_BODY.replace(b"Length: 9", b"Length: 900000"))
                if drips:
                    dripping(client)
                said = answer(client)
                assert said.startswith("HTTP/1.1 408"), said
                assert "the body stalled: within 0.5 seconds less than 1,024 bytes" in said

    def test_a_body_that_keeps_coming_may_take_its_time(
        self, store: Store, clients: contextlib.ExitStack, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Longer in all than any of its parts may."""
        clock = iter(range(0, 10**9, 20))  # seconds
        monkeypatch.setattr(steady, "time", type("Clock", (), {"monotonic": lambda: next(clock)}))
        with serving(create_app(store, OPEN)) as url:
            client = Clients(url, clients).open(HALF_A_BODY.replace(b"Length: 9", b"Length: 500000"))
            for _ in range(499):
                client.sendall(b" " * 1000)
            client.sendall(b" " * 998 + b"}")
            assert client.recv(65536).startswith(b"HTTP/1.1 422"), "it is read as a whole"

    def test_an_answer_that_nobody_takes_is_given_up(
        self, store: Store, clients: contextlib.ExitStack, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(connections, "TAKING_SECONDS", 0.5)
        monkeypatch.setattr(connections, "LOOK_SECONDS", 0.05)
        gone = threading.Event()

        async def endless(scope: Any, receive: Any, send: Any) -> None:
            await receive()
            left = asyncio.ensure_future(receive())
            await send({"type": "http.response.start", "status": 200, "headers": []})
            while not left.done():
                await send({"type": "http.response.body", "body": bytes(2**20), "more_body": True})
                await asyncio.sleep(0)
            gone.set()

        app = create_app(store, OPEN)
        app.mount("/v1/endless", endless)
        with serving(app) as url:
            Clients(url, clients).open(b"GET /v1/endless/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
            eventually(gone.is_set)


def dripping(client: socket.socket) -> None:
    """A byte more, again and again, until there is an answer."""

    def dripped() -> bool:
        with contextlib.suppress(OSError):
            client.sendall(b"x")
        return readable(client)

    eventually(dripped)


class TestNumbers:
    def test_each_client_has_so_many_and_all_have_so_many(self, store: Store, clients: contextlib.ExitStack) -> None:
        edge = Edge(login=False, limits=Limits(connections=5, of_one=1, of_this_machine=3))
        with serving(create_app(store, edge)) as url:
            first = Clients(url, clients).opened(3, HALF_A_HEAD)
            said = answer(Clients(url, clients).open(HALF_A_HEAD))
            assert said.startswith("HTTP/1.1 429")
            assert "3 connections of 127.0.0.2 are open" in said
            assert "retry-after: 5" in said
            Clients(url, clients, "127.0.0.3").opened(2, HALF_A_HEAD)
            said = answer(Clients(url, clients, "127.0.0.4").open(HALF_A_HEAD))
            assert said.startswith("HTTP/1.1 503")
            assert "5 connections are open" in said
            first[0].close()
            eventually(lambda: answered(url))

    def test_behind_a_proxy_each_client_has_so_many(self, store: Store) -> None:
        """Known by what the last proxy says: what a client says itself is not believed."""
        limits = Limits(connections=50, of_one=2, of_this_machine=3)
        edge = Edge(login=False, proxies=("127.0.0.1",), limits=limits)
        store.agents.introduce(PI)
        app = create_app(store, edge)
        with serving(app) as url, ThreadPoolExecutor(4) as pool:

            def poll(of: str) -> int:
                headers = {"X-Forwarded-For": f"6.6.6.6, {of}"}
                return httpx.post(url + POLL, headers=headers, timeout=PATIENCE_SECONDS).status_code

            begun = [pool.submit(poll, "10.0.0.9") for _ in range(2)]
            eventually(lambda: len(app.state.waiting._waiting) == 2)
            assert status(url, "10.0.0.9") == 429
            assert status(url, "10.0.0.8") == 200
            store.agents.send("pi4", b"x")
            assert [each.result() for each in begun] == [200, 200]
            eventually(lambda: status(url, "10.0.0.9") == 200)

    @pytest.mark.parametrize(
        ("peer", "client", "most"),
        [
            ("10.0.0.9", "10.0.0.9", 100),
            ("127.0.0.9", "127.0.0.9", 1500),
            ("::1", "::/64", 1500),
            ("2001:db8::1", "2001:db8::/64", 100),
            ("2001:db8::ffff:1", "2001:db8::/64", 100),
            ("::ffff:10.0.0.9", "::ffff:10.0.0.9", 100),
            ("10.0.0.2", "10.0.0.2", 2000),
            ("unknown", "unknown", 100),
        ],
    )
    def test_what_is_one_client(self, peer: str, client: str, most: int) -> None:
        edge = Edge(proxies=("10.0.0.2",))
        assert (edge.client(peer), edge.most_of(peer)) == (client, most)

    @pytest.mark.parametrize("connections", [32, 341, 10**6])
    def test_limits_leave_room(self, connections: int) -> None:
        limits = Limits.within(connections)
        assert limits.connections <= connections
        assert 0 < limits.of_one < limits.of_this_machine < limits.connections


class TestWaiting:
    def test_who_waits_is_told_as_soon_as_this_process_writes(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(waiting, "LOOK_SECONDS", 10.0 * PATIENCE_SECONDS)
        until = waiting.Waiting.until
        monkeypatch.setattr(
            waiting.Waiting, "until", lambda self, happened, _, whose: until(self, happened, None, whose)
        )
        store.agents.introduce(PI)
        app = create_app(store, OPEN)
        with serving(app) as url, ThreadPoolExecutor() as pool:
            taken = pool.submit(httpx.post, url + POLL, timeout=PATIENCE_SECONDS)
            eventually(lambda: app.state.waiting._waiting)
            kind = {"Content-Type": "application/octet-stream"}
            sent = httpx.post(f"{url}/v1/agents/pi4/errands", content=b"x", headers=kind, timeout=PATIENCE_SECONDS)
            errand = sent.json()["id"]
            assert taken.result().json() == {"errand": errand}
            told = pool.submit(httpx.get, f"{url}/v1/errands/{errand}?wait_seconds=20", timeout=PATIENCE_SECONDS)
            eventually(lambda: app.state.waiting._waiting)
            address = f"{url}/v1/errands/{errand}/answer?instance={PI.instance}"
            httpx.post(address, json={"error": "no"}, timeout=PATIENCE_SECONDS)
            assert told.result().json()["answer"]["error"] == "no"

    def test_many_that_wait_hold_up_nobody_and_too_many_are_refused(
        self, store: Store, clients: contextlib.ExitStack
    ) -> None:
        """There are four times as many as threads."""
        store.agents.introduce(PI)
        with serving(create_app(store, OPEN)) as url:
            poll = f"POST {POLL} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
            polls = Clients(url, clients).opened(waiting.MOST_OF_ONE + 60, poll.encode())
            eventually(lambda: sum(map(readable, polls)) == 60)
            assert answered(url, "/v1/runs")
            store.agents.send("pi4", b"x")
            said = sorted(map(answer, polls))
            assert [each[:12] for each in said] == ["HTTP/1.1 200"] * waiting.MOST_OF_ONE + ["HTTP/1.1 429"] * 60
            assert "100 requests of 127.0.0.2 wait for something to happen" in said[-1]
            assert "retry-after: 5" in said[-1]

    def test_what_is_wrong_with_the_database_is_told(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        store.agents.introduce(PI)
        errors, look = [StoreError("the disk is full")], store.agents.unanswered

        def broken_once() -> dict[str, str]:
            if errors:
                raise errors.pop()
            return look()

        monkeypatch.setattr(store.agents, "unanswered", broken_once)
        with serving(create_app(store, OPEN)) as url:
            said = httpx.post(url + POLL, timeout=PATIENCE_SECONDS)
            assert (said.status_code, said.json()["detail"]) == (503, "the disk is full")
            errand = store.agents.send("pi4", b"x").id
            assert httpx.post(url + POLL, timeout=PATIENCE_SECONDS).json() == {"errand": errand}


def status(url: str, of: str) -> int:
    return httpx.get(f"{url}/v1/health", headers={"X-Forwarded-For": of}, timeout=PATIENCE_SECONDS).status_code
