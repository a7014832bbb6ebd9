"""`nas serve` as a program: its lock, its port, its signals, and the coordinator that it keeps alive."""

import contextlib
import hashlib
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from api import agent_program
from api.serve import Coordinator
from nas.roots import Roots
from tests.dataset_files import fill, pack
from tests.waiting import PATIENCE_SECONDS, eventually, heeded


@dataclass
class Serving:
    """A running `nas serve`, where it answers, and the file that its log goes to."""

    process: "subprocess.Popen[str]"
    url: str
    log: Path

    def leave(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_SECONDS)


def command(*arguments: str, login: bool = False) -> list[str]:
    return [sys.executable, "-m", "api.cli", "serve", *(() if login else ("--no-login",)), *arguments]


def environment(home: Path) -> dict[str, str]:
    unset = ("NAS_DATABASE", "NAS_URL", "NAS_TOKEN", "NAS_TOKEN_FILE", "NAS_AGENT_TOKEN")
    return {name: value for name, value in os.environ.items() if name not in unset} | {"NAS_HOME": str(home)}


@contextlib.contextmanager
def serving(home: Path, *arguments: str, login: bool = False, limits: str = ":") -> Iterator[Serving]:
    """`limits` is what a shell does before."""
    log = home.with_suffix(".log")
    with open(log, "a") as file, heeded(signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        process = subprocess.Popen(
            ["sh", "-c", f"{limits} && exec {shlex.join(command('--port', '0', *arguments, login=login))}"],
            env=environment(home),
            stdout=subprocess.PIPE,
            stderr=file,
            text=True,
        )
    assert process.stdout is not None
    try:
        said = process.stdout.readline()
        found = re.match(r"Dashboard: (http://\S+)", said)
        assert found, said + log.read_text()
        yield Serving(process, found[1], log)
    finally:
        process.terminate()
        process.wait(PATIENCE_SECONDS)
        process.stdout.close()


def get(url: str) -> httpx.Response:
    return httpx.get(url, timeout=PATIENCE_SECONDS)


def refused(home: Path, *arguments: str) -> str:
    """What a `nas serve` says that does not start."""
    ran = subprocess.run(
        command(*arguments), env=environment(home), capture_output=True, text=True, timeout=PATIENCE_SECONDS
    )
    assert (ran.returncode, ran.stdout) == (1, ""), ran.stderr
    assert "Traceback" not in ran.stderr
    return ran.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_it_says_where_it_is_and_stops_in_order(tmp_path: Path, number: int) -> None:
    with serving(tmp_path / "home", "--no-coordinator") as service:
        assert get(service.url).status_code == 200
        assert get(f"{service.url}/v1/health").json()["coordinator"] is None
        assert service.leave(number) == 0
        assert service.process.stdout is not None
        assert service.process.stdout.read() == "Stopped.\n"
        assert service.log.read_text() == ""
        with pytest.raises(httpx.ConnectError):
            get(service.url)


def test_who_waits_for_something_to_happen_does_not_hold_it_up(tmp_path: Path) -> None:
    with serving(tmp_path / "home", "--no-coordinator") as service:
        agent = {"name": "pi4", "fingerprint": {}, "instance": "0" * 16, "edition": agent_program.edition()}
        assert httpx.post(f"{service.url}/v1/agents", json=agent, timeout=PATIENCE_SECONDS).status_code == 200
        answers = []

        def wait() -> None:
            url = f"{service.url}/v1/agents/pi4/take?instance={agent['instance']}&wait_seconds=20"
            answers.append(httpx.post(url, timeout=PATIENCE_SECONDS).json())

        waiting = threading.Thread(target=wait)
        heard = get(f"{service.url}/v1/devices").json()["devices"][-1]["heard_at"]
        waiting.start()
        eventually(lambda: get(f"{service.url}/v1/devices").json()["devices"][-1]["heard_at"] > heard)
        assert service.leave() == 0
        waiting.join()
        assert answers == [{"errand": None}], "an answer, not a connection that broke off"
        assert service.log.read_text() == ""


def test_who_follows_what_happens_does_not_hold_it_up(tmp_path: Path) -> None:
    with serving(tmp_path / "home", "--no-coordinator") as service:
        with httpx.stream("GET", f"{service.url}/v1/events", timeout=PATIENCE_SECONDS) as response:
            lines = response.iter_lines()
            assert "event: changed" in lines  # which reads no further
            service.process.send_signal(signal.SIGTERM)
            assert all(not line.startswith("event") for line in lines), "and it has ended in order"
        assert service.process.wait(PATIENCE_SECONDS) == 0
        assert service.log.read_text() == ""


def test_a_second_one_on_the_same_state_names_the_first(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with serving(home, "--no-coordinator") as first:
        said = refused(home, "--port", "0", "--no-coordinator")
        assert f"process {first.process.pid} at {first.url}" in said
        assert "NAS_HOME" in said
        assert get(f"{first.url}/v1/health").status_code == 200
        with serving(tmp_path / "another", "--no-coordinator") as other:
            assert other.url != first.url
        # However it ends, the next one may start.
        first.leave(signal.SIGKILL)
    with serving(home, "--no-coordinator") as next_:
        assert next_.leave() == 0


def test_whoever_restores_signs_in_and_a_lost_token_is_told_of(tmp_path: Path) -> None:
    """Other tokens than the first one are not made by starting."""
    first, second, saved = tmp_path / "first", tmp_path / "second", tmp_path / "saved.tar"

    def said(home: Path) -> str:
        """By a service that lets in whoever has the token in the home."""
        with serving(home, "--no-coordinator", login=True) as service:
            for token in filter(Path.exists, [home / "token"]):
                body = {"token": token.read_text()}
                answer = httpx.post(f"{service.url}/v1/session", json=body, timeout=PATIENCE_SECONDS)
                assert answer.status_code == 200, answer.text
            assert service.leave() == 0
            assert service.process.stdout is not None
            return service.process.stdout.read().removesuffix("Stopped.\n")

    assert "Sign in, this once, at http://127.0.0.1:" in said(first)
    assert said(first) == ""
    for home, verb in ((first, "backup"), (second, "restore")):
        program = [sys.executable, "-m", "api.cli", verb, str(saved)]
        subprocess.run(program, env=environment(home), check=True, timeout=PATIENCE_SECONDS)
    assert said(second) == ""
    (second / "token").unlink()
    for _ in range(2):
        assert said(second).startswith(f"Nobody can sign in with {second}/token: an admin makes you a token with nas ")
    assert not (second / "token").exists()


def test_a_port_in_use_is_said_before_anything_starts(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        said = refused(tmp_path / "home", "--port", str(port))
    assert f"127.0.0.1:{port} cannot be listened at" in said
    assert "--port 0" in said
    assert not (tmp_path / "home" / "nas.db").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--port", "99999"), "99999"),
        (("--host", "no-such-host.invalid", "--port", "0"), "no-such-host.invalid"),
        (("--host", "192.0.2.1", "--port", "0"), "192.0.2.1"),
        (("--port", "0", "--database", "mysql://somewhere/db"), "mysql"),
        (("--port", "0", "--database", "sqlite:////no/such/folder/nas.db"), "/no/such/folder"),
        (("--port", "0", "--database", "postgresql://me:secret@127.0.0.1:1/db"), "127.0.0.1"),
    ],
)
def test_what_cannot_be_served_is_said(tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    said = refused(tmp_path / "home", *arguments)
    assert words in said
    assert "secret" not in said


def test_a_home_that_is_a_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "home").touch()
    assert str(tmp_path / "home") in refused(tmp_path / "home", "--port", "0")


def test_an_address_for_everybody_asks_everybody_for_a_token(tmp_path: Path) -> None:
    home = tmp_path / "home"
    said = refused(home, "--host", "0.0.0.0", "--port", "0")
    assert "0.0.0.0 without login would be anybody's" in said
    with serving(home, "--no-coordinator", "--host", "0.0.0.0", login=True) as service:
        assert service.url.startswith("http://127.0.0.1:")


def coordinators(service: Serving) -> list[int]:
    """The process of the coordinator, if one is alive."""
    children = Path(f"/proc/{service.process.pid}/task").glob("*/children")
    found = [int(pid) for file in children for pid in file.read_text().split()]
    return [pid for pid in found if b"workers" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def alive(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    return False


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks for children in /proc, which Linux has")
def test_a_coordinator_that_dies_is_started_again_and_outlives_no_service(tmp_path: Path) -> None:
    with serving(tmp_path / "home") as service:
        eventually(lambda: len(coordinators(service)) == 1)
        (first,) = coordinators(service)
        os.kill(first, signal.SIGKILL)
        eventually(lambda: coordinators(service) not in ([], [first]))
        (second,) = coordinators(service)
        assert "SIGKILL" in service.log.read_text()
        assert get(f"{service.url}/v1/health").json()["coordinator"] == "running"
        service.leave(signal.SIGKILL)  # it cannot tell its child, whose standard input ends all the same
        eventually(lambda: not alive(second))


def test_a_coordinator_that_does_not_start_is_tried_again_within_seconds(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    child = Coordinator("sqlite:///nas.db", "http://127.0.0.1:8000", None, Roots())
    child.start()
    eventually(lambda: len(caplog.records) == 3)
    assert child.state() == "restarting"
    child.stop()
    said = [record.getMessage() for record in caplog.records]
    assert said[:3] == [
        f"the coordinator ended with exit code 1: it is started again in {pause} s" for pause in (1, 2, 4)
    ]


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks for children in /proc, which Linux has")
def test_what_killing_service_and_coordinator_leaves_of_ray_the_next_start_clears(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp", ignore_cleanup_errors=True) as place:  # short enough for sockets
        monkeypatch.setenv("TMPDIR", place)
        with serving(tmp_path / "home") as service:
            eventually(lambda: any(command.startswith("ray::") for command in in_folder(place).values()))
            (left,) = Path(place).glob("nas-ray-*")
            ((child,), rays) = coordinators(service), in_folder(place)
            service.leave(signal.SIGKILL)
            os.kill(child, signal.SIGKILL)
        with serving(tmp_path / "home"):
            eventually(lambda: not left.exists())
            eventually(lambda: not any(map(alive, rays)))


def in_folder(place: str) -> dict[int, str]:
    """Processes with files of Ray's folder open, and their commands."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            files = [os.readlink(file) for file in (process / "fd").iterdir()]
            if any(file.startswith(f"{place}/nas-ray-") for file in files):
                found[int(process.name)] = (process / "cmdline").read_text()
    return found


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks for children in /proc, which Linux has")
def test_a_coordinator_leaves_with_the_service(tmp_path: Path) -> None:
    with serving(tmp_path / "home") as service:
        eventually(lambda: len(coordinators(service)) == 1)
        (child,) = coordinators(service)
        given = Path(f"/proc/{child}/environ").read_text().split("\0")
        assert f"NAS_URL={service.url}" in given, "where evaluators send what agents measure"
        assert service.leave(signal.SIGINT) == 0
        assert not alive(child)
        assert "killed" not in service.log.read_text()


def test_the_lock_file_is_for_reading(tmp_path: Path) -> None:
    with serving(tmp_path / "home", "--no-coordinator") as service:
        held = json.loads((tmp_path / "home" / "serve.lock").read_text())
        assert held == {"pid": service.process.pid, "url": service.url}


class TestImages:
    def test_those_named_at_the_start_are_read(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("one", "other", "third"):
            fill(tmp_path / name / "flowers")
        monkeypatch.setenv("NAS_IMAGES", str(tmp_path / "one"))
        images = ("--images", str(tmp_path / "other"))
        with serving(tmp_path / "home", "--no-coordinator", *images) as service:
            for name in ("one", "other"):
                assert get(f"{service.url}/v1/datasets/folder:{tmp_path}/{name}/flowers").json()["info"]
            assert get(f"{service.url}/v1/datasets/folder:{tmp_path}/third/flowers").status_code == 404

    def test_one_that_is_no_folder_is_refused(self, tmp_path: Path) -> None:
        assert "no such" in refused(tmp_path / "home", "--port", "0", "--images", str(tmp_path / "no such"))

    def test_its_coordinator_is_told_of_them(self, tmp_path: Path) -> None:
        child = Coordinator("sqlite://", "http://127.0.0.1:8000", None, Roots(("/one", "/other")))
        assert child._environment["NAS_IMAGES"] == "/one:/other"

    def test_an_upload_in_whose_middle_it_is_killed_is_gone_on_with(self, tmp_path: Path) -> None:
        folder = fill(tmp_path / "flowers")
        (folder / "cat" / "notes.bin").write_bytes(os.urandom(6_000_000))
        archive = pack(tmp_path / "flowers.tar", folder).read_bytes()
        file = tmp_path / "home" / "images" / "flowers" / "archive"
        sent = {"Content-Type": "application/octet-stream"}
        with serving(tmp_path / "home", "--no-coordinator") as service:
            address = f"{service.url}/v1/images"
            httpx.post(address, json={"name": "flowers", "bytes": len(archive)}, timeout=PATIENCE_SECONDS)

            def broken() -> Iterator[bytes]:
                yield archive[:4_000_000]
                eventually(lambda: file.stat().st_size)
                service.process.kill()
                service.process.wait()
                yield archive[4_000_000:]

            with pytest.raises(httpx.HTTPError):
                httpx.patch(f"{address}/flowers", content=broken(), headers=sent | {"Upload-Offset": "0"})
        with serving(tmp_path / "home", "--no-coordinator") as service:
            address = f"{service.url}/v1/images/flowers"
            assert get(f"{service.url}/v1/datasets/images:flowers").json()["info"] is None
            offset = int(httpx.head(address, timeout=PATIENCE_SECONDS).headers["upload-offset"])
            assert 0 < offset <= 4_000_000
            rest = sent | {"Upload-Offset": str(offset)}
            done = httpx.patch(address, content=archive[offset:], headers=rest, timeout=PATIENCE_SECONDS)
            assert done.json()["sha256"] == hashlib.sha256(archive).hexdigest()
            assert get(f"{service.url}/v1/datasets/images:flowers").json()["info"]["classes"] == ["cat", "dog"]
