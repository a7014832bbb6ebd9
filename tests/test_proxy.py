"""Behind a real nginx, with TLS and below a path, as deploy/nginx.conf has it: in a real browser, and by the client."""

import os
import shutil
import signal
import socket
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, expect

from api.app import create_app
from api.edge import Edge
from nas.client import Client
from nas.store import Store
from tests.browser import PATIENCE_MS, PROXIED, browser  # noqa: F401
from tests.service import serving
from tests.waiting import PATIENCE_SECONDS, eventually, heeded

SITE = Path(__file__).parent.parent / "deploy" / "nginx.conf"
NGINX = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")


@dataclass
class Proxied:
    """A service, the port and the certificate of the nginx before it, and an admin's token."""

    store: Store
    port: int
    certificate: Path
    token: str


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    if NGINX is None:
        say = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        say("no nginx here: see tests/programs")
    folder = tmp_path_factory.mktemp("nginx")
    certificate, key = folder / "nas.pem", folder / "nas.key"
    subject = ("-subj", f"/CN={PROXIED}", "-addext", f"subjectAltName=DNS:{PROXIED},DNS:localhost")
    files = ("-keyout", str(key), "-out", str(certificate))
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *subject, *files], check=True, capture_output=True
    )
    store = Store(f"sqlite:///{folder}/nas.db")
    token = store.tokens.create("anna", "admin")[1]
    edge = Edge(hosts=(PROXIED,), proxies=("127.0.0.1",), prefix="/nas")
    with serving(create_app(store, edge)) as service, socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
        free.close()
        site = SITE.read_text()
        for there, here in {
            "listen 443": f"listen 127.0.0.1:{port}",
            "http://127.0.0.1:8000": service,
            "/etc/ssl/nas.pem": str(certificate),
            "/etc/ssl/nas.key": str(key),
            f"server_name {PROXIED}": f"server_name {PROXIED} localhost",
        }.items():
            assert there in site
            site = site.replace(there, here)
        places = " ".join(
            f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        main = folder / "main.conf"
        user = "user root;" if os.getuid() == 0 else ""
        main.write_text(
            f"daemon off; master_process off; pid {folder}/pid; error_log {folder}/log; {user} events {{}}\n"
            f"http {{ access_log off; {places}\n{site}}}\n"
        )
        with heeded(signal.SIGTERM):
            nginx = subprocess.Popen([NGINX, "-p", str(folder), "-c", str(main), "-e", f"{folder}/log"])
        authority = ssl.create_default_context(cafile=certificate)

        def answers() -> bool:
            assert nginx.poll() is None, (folder / "log").read_text()
            try:
                url = f"https://localhost:{port}/nas/v1/health"
                return httpx.get(url, verify=authority, timeout=PATIENCE_SECONDS).status_code == 200
            except httpx.ConnectError:
                return False

        try:
            eventually(answers)
            yield Proxied(store, port, certificate, token)
        finally:
            nginx.terminate()
            nginx.wait(PATIENCE_SECONDS)
    store.close()


def test_a_user_signs_in_submits_and_signs_out(proxied: Proxied, browser: Browser) -> None:  # noqa: F811
    context = browser.new_context(ignore_https_errors=True)
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))

    page.goto(f"https://{PROXIED}:{proxied.port}/nas#/sign-in/{proxied.token}")
    expect(page.get_by_text("anna")).to_be_visible()
    [cookie] = context.cookies()
    assert (cookie["secure"], cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, True, "Strict", "/nas")

    page.get_by_role("link", name="New search").click()
    page.get_by_label("Name", exact=True).fill("behind a proxy")
    page.get_by_role("button", name="Start the search").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("behind a proxy")
    [run] = proxied.store.runs()
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Cancel the search").click()
    eventually(lambda: proxied.store.run(run.id).wish == "cancel")

    page.get_by_role("button", name="Sign out anna").click()
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    assert not context.cookies()
    assert all("401" in complaint for complaint in complaints), "but for who is not signed in"
    context.close()


def test_the_client_does_as_on_the_services_own_machine(proxied: Proxied, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(proxied.certificate))
    with Client(f"https://localhost:{proxied.port}/nas", proxied.token) as client:
        run = client.search(dataset="fashion_mnist", name="by the client")
        assert client.run(run["id"])["name"] == "by the client"
        assert proxied.store.run(run["id"]).spec.name == "by the client"


def test_what_happens_is_told_at_once(proxied: Proxied) -> None:
    """And not held back until there is more of it."""
    authority = ssl.create_default_context(cafile=proxied.certificate)
    address, headers = f"https://localhost:{proxied.port}/nas/v1/events", {"Authorization": f"Bearer {proxied.token}"}
    with httpx.stream("GET", address, headers=headers, verify=authority, timeout=PATIENCE_SECONDS) as response:
        assert "event: changed" in response.iter_lines()
