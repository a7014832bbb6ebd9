"""The command line in terminals and environments of all kinds, as a program of its own."""

import contextlib
import json
import socket
import subprocess
import threading
from collections.abc import Iterator

import pytest

from nas import settings
from nas.agents import http
from nas.client import Client, ServiceError
from nas.specs import SearchSpec
from tests.command_line import command
from tests.service import Service


def ran(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[bytes]":
    found = subprocess.run(command(*arguments), env=settings.environment(**environment), capture_output=True)
    assert b"Traceback" not in found.stderr
    return found


@pytest.mark.parametrize(("encoding", "name"), [("latin-1", "Café ?"), ("ascii", "Caf? ?"), ("utf-8", "Café ł")])
def test_a_terminal_gets_characters_that_it_has(service: Service, encoding: str, name: str) -> None:
    service.store.add_run("search", SearchSpec(dataset="fashion_mnist", name="Café ł"))
    listed = ran("list", PYTHONIOENCODING=encoding)
    assert listed.returncode == 0, listed.stderr
    first = listed.stdout.decode(encoding).splitlines()[2]
    assert first.rstrip().endswith(name)
    assert (" – " in first) == (encoding == "utf-8"), "no accuracy yet: a dash, or what looks like one"


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "utf-8"])
def test_programs_get_every_character_whatever_the_encoding(service: Service, encoding: str) -> None:
    service.store.add_run("search", SearchSpec(dataset="fashion_mnist", name="寿 ★"))
    listed = ran("list", "--json", "--limit", "1", PYTHONIOENCODING=encoding)
    assert json.loads(listed.stdout.decode(encoding))[0]["name"] == "寿 ★"


def test_an_error_can_be_printed_anywhere(service: Service) -> None:
    refused = ran("show", "ł", PYTHONIOENCODING="ascii:strict")
    assert refused.returncode == 1
    assert refused.stderr.startswith(b"nas: there is no run")


@pytest.mark.parametrize(
    "environment",
    [
        {"NO_PROXY": "localhost,::1", "no_proxy": "localhost,::1"},
        {"HTTP_PROXY": "http://192.0.2.1:9", "http_proxy": "http://192.0.2.1:9"},
        {"ALL_PROXY": "socks5://192.0.2.1:9", "all_proxy": "socks5://192.0.2.1:9"},
        {"HTTP_PROXY": "http://[::1", "http_proxy": "http://[::1", "SSL_CERT_FILE": "/no/such/file"},
    ],
)
def test_this_machine_is_asked_without_a_proxy(service: Service, environment: dict[str, str]) -> None:
    assert ran("list", **environment).returncode == 0
    url = service.url.replace("127.0.0.1", "localhost")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        assert json.loads(http.ask("GET", f"{url}/v1/health"))["status"]


@contextlib.contextmanager
def proxy() -> Iterator[tuple[str, list[bytes]]]:
    """A proxy's address, and what is asked of it; it knows no site."""
    asked: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listening.accept()
                    with connection:
                        asked.append(connection.recv(65536))
                        connection.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

        threading.Thread(target=answer, daemon=True).start()
        yield f"127.0.0.1:{listening.getsockname()[1]}", asked


def test_another_machine_is_asked_through_the_proxy_unless_it_is_excepted(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_PROXY", "no_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    with proxy() as (address, asked):
        monkeypatch.setenv("http_proxy", address)  # as curl takes it, without a scheme
        with Client("http://service.example:8000") as client, pytest.raises(ServiceError, match="404"):
            client.runs()
        with pytest.raises(http.NotTaken):
            http.ask("GET", "http://service.example:8000/v1/health")
    assert [line.split(b"\r\n")[0] for line in asked] == [
        b"GET http://service.example:8000/v1/runs?limit=50 HTTP/1.1",
        b"GET http://service.example:8000/v1/health HTTP/1.1",
    ]
    monkeypatch.setenv("no_proxy", "::1,.example")
    assert http.proxy("http://service.example:8000") is None
    assert http.proxy("http://service.test:8000") == f"http://{address}"


@pytest.mark.parametrize(
    "variables", [{"HTTP_PROXY": "http://[::1"}, {"ALL_PROXY": "socks5://h:1"}, {"SSL_CERT_FILE": "/no/such/file"}]
)
def test_an_environment_that_cannot_be_used_is_said(variables: dict[str, str]) -> None:
    url = "https" if "SSL_CERT_FILE" in variables else "http"
    without = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"), "")
    lower = {name.lower(): value for name, value in (without | variables).items() if name.endswith("PROXY")}
    refused = ran("list", "--url", f"{url}://192.0.2.1:8000", **without | variables | lower)
    assert refused.returncode == 1
    assert b"look at HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY and SSL_CERT_FILE" in refused.stderr
