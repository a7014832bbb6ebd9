"""A service with all of its processes, any of which can be killed: `nas serve`, Ray below it, and its database."""

import contextlib
import getpass
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx

from bench._postgresql import Server
from nas import settings

ROOT = Path(__file__).parent.parent
PATIENCE_SECONDS = 900  # in which whatever was killed is back, however busy the machine is
LEAVING_SECONDS = 120  # Ray's agents look for their parent once a minute


def _is(name: str) -> Callable[[list[str]], bool]:
    return lambda command: command[0].endswith(f"/{name}")


# What is killed, by its command line. Ray starts the last two; what they are called is Ray's own choice.
VICTIMS: dict[str, Callable[[list[str]], bool]] = {
    "API": lambda command: "api.cli" in command,
    "coordinator": lambda command: "workers" in command,
    "Ray worker": lambda command: command[0].startswith("ray::_evaluate"),
    "raylet": _is("raylet"),
    "Ray's head": _is("gcs_server"),
}
POSTGRESQL = "PostgreSQL"
# Latencies matter to nobody here, and on a busy host each takes seconds.
SPACE = """
from nas.metering import meter
from search_spaces import mbconv
from search_spaces.mbconv import architecture, canonical, knobs


def build(architecture):
    meter.FIRST_SECONDS, meter.MOST_SECONDS = 0.0, 0.05
    return mbconv.build(architecture)
"""


class Living:
    """The service on a home of its own, until it is left. All of its processes work in one folder, by which they are
    known."""

    def __init__(self, *, postgresql: bool) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="nas-", dir="/tmp"))  # short enough for the names of Ray's sockets
        self.home, self.temporary = self.folder / "h", self.folder / "t"
        self.home.mkdir()
        self.temporary.mkdir()
        (self.folder / "spaces").mkdir()
        (self.folder / "spaces" / "hasty.py").write_text(SPACE)
        self._server = Server(Path(tempfile.mkdtemp(prefix="nas-p-", dir="/tmp"))) if postgresql else None
        self.database = self._server.url if self._server else f"sqlite:///{self.home}/nas.db"
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}"
        self._api = self._serve()

    @property
    def kinds(self) -> tuple[str, ...]:
        """What can be killed."""
        return (*VICTIMS, *([POSTGRESQL] if self._server else []))

    def _serve(self) -> "subprocess.Popen[bytes]":
        environment = settings.environment(
            NAS_HOME=str(self.home),
            NAS_DATABASE=self.database,
            NAS_IMAGES=str(self.folder),
            NAS_SPACES=f"{self.folder}/spaces",
            TMPDIR=str(self.temporary),
            PYTHONPATH=str(ROOT),
        )
        command = [sys.executable, "-m", "api.cli", "serve", "--no-login", "--port", str(self._port)]
        with open(self.folder / "log", "ab") as log:
            return subprocess.Popen(command, cwd=self.folder, env=environment, stdout=log, stderr=log)

    def ask(self, method: str, path: str, **more: object) -> httpx.Response:
        """As a client would that is told to be patient."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            with contextlib.suppress(httpx.TransportError):
                answer = httpx.request(method, self.url + path, timeout=60, **more)  # type: ignore[arg-type]
                if answer.status_code < 500:
                    return answer.raise_for_status()
            assert time.monotonic() < deadline, f"{path} is not answered: see {self.folder}/log"
            time.sleep(0.2)

    def kill(self, kind: str, draw: random.Random) -> bool:
        """One of that kind, if there is one, and start again what nobody else does."""
        if kind == POSTGRESQL:
            assert self._server
            self._server.stop(signal.SIGKILL)
            self._server.start()
            return True
        found = self.found(kind)
        if not found:
            return False
        try:
            os.kill(draw.choice(found), signal.SIGKILL)
        except ProcessLookupError:
            return False
        if kind == "API":
            self._api.wait()
            self._api = self._serve()
        return True

    def found(self, kind: str) -> list[int]:
        """The living of that kind."""
        return sorted(process for process, command in self.processes().items() if VICTIMS[kind](command))

    def processes(self) -> dict[int, list[str]]:
        """All that there are, with their commands."""
        found = {}
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                command = (process / "cmdline").read_text()
                if command and Path(os.readlink(process / "cwd")) == self.folder:
                    found[int(process.name)] = command.rstrip("\0").split("\0")
        return found

    def leave(self) -> tuple[list[list[str]], list[Path]]:
        """Ask it to leave. Gives what is left: commands of processes, and temporary folders."""
        self._api.terminate()
        self._api.wait(PATIENCE_SECONDS)
        deadline = time.monotonic() + LEAVING_SECONDS
        while self.processes() and time.monotonic() < deadline:
            time.sleep(0.5)
        kept = {f"nas-{os.getuid()}", f"torchinductor_{getpass.getuser()}"}  # turns of trainings; torch's own cache
        folders = [path for path in self.temporary.iterdir() if path.is_dir() and path.name not in kept]
        return list(self.processes().values()), folders

    def clear(self) -> None:
        """Kill what is still there, and remove its files."""
        for process in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        self._api.wait()
        if self._server:
            self._server.stop()
            shutil.rmtree(Path(self.database.partition("host=")[2]))
        shutil.rmtree(self.folder, ignore_errors=True)


@contextlib.contextmanager
def living(*, postgresql: bool) -> Iterator[Living]:
    service = Living(postgresql=postgresql)
    try:
        yield service
    finally:
        service.clear()
