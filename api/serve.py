"""`nas serve`: the API, and beside it a coordinator that is started again when it dies."""

import fcntl
import json
import logging
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

import uvicorn

from api import own_token
from api.app import create_app
from api.connections import HANDLES_EACH, Configuration, handles
from api.edge import ANYWHERE, Edge, Limits
from nas import home, logs, settings
from nas.refusal import Refusal
from nas.roots import Roots
from nas.store import Store, StoreError
from nas.uploads import receiving

PATIENCE_SECONDS = 30  # for a coordinator that was asked to leave
LONGEST_PAUSE_SECONDS = 10  # between two starts of one that dies
QUEUE = 2048  # connections that the system keeps until they are accepted
STEADY_SECONDS = 60  # after which one that dies is started again at once

log = logging.getLogger("nas.serve")


class CannotServe(RuntimeError):
    """The service does not start; the message says why and what to do."""


class Lock:
    """One `nas serve` on a home: held as long as the process lives, however it ends."""

    def __init__(self, path: Path) -> None:
        self._file = open(path, "a+")  # noqa: SIM115  # closed by the end of the process, which gives the lock back
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CannotServe(
                f"{self._holder()} on {path.parent}: stop that one, or set NAS_HOME to another folder"
            ) from None

    def note(self, url: str) -> None:
        """Write down who holds it, for whoever tries."""
        self._file.truncate(0)
        self._file.write(json.dumps({"pid": os.getpid(), "url": url}))
        self._file.flush()

    def _holder(self) -> str:
        self._file.seek(0)
        try:
            holder = json.loads(self._file.read())
        except ValueError:  # it holds the lock and has not written yet
            return "another `nas serve` is starting"
        return f"`nas serve` is running already, as process {holder['pid']} at {holder['url']},"


class Coordinator:
    """`python -m workers` as a child that ends with this process: it leaves when its standard input ends."""

    def __init__(self, database: str, url: str, agent_secret: str | None, roots: Roots) -> None:
        secret = {settings.AGENT_TOKEN.name: agent_secret} if agent_secret else {}
        self._environment = settings.environment(
            NAS_DATABASE=database, NAS_URL=url, NAS_IMAGES=os.pathsep.join(roots.folders), **secret
        )
        self._leaving = threading.Event()
        self._child: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._keep, name="coordinator", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def state(self) -> str:
        child = self._child
        return "running" if child is not None and child.poll() is None else "restarting"

    def stop(self) -> None:
        """Ask it to leave, and wait until it has; kill it if it does not."""
        self._leaving.set()
        child = self._child
        if child is not None:
            assert child.stdin is not None
            child.stdin.close()
            try:
                child.wait(PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                log.warning("the coordinator (process %d) does not leave: it is killed", child.pid)
                child.kill()
        self._thread.join()

    def _keep(self) -> None:
        pause = 0.0
        while not self._leaving.wait(pause):
            began = time.monotonic()
            # A session of its own: Ctrl-C in the terminal reaches this process alone, which then ends it in order.
            self._child = subprocess.Popen(
                [sys.executable, "-m", "workers", "--until-eof"],
                stdin=subprocess.PIPE,
                env=self._environment,
                start_new_session=True,
            )
            if self._leaving.is_set():  # meanwhile; stop() knows only the one before
                self._child.communicate()
            code = self._child.wait()
            assert self._child.stdin is not None
            self._child.stdin.close()
            if not self._leaving.is_set():
                lived = time.monotonic() - began
                pause = 0.0 if lived > STEADY_SECONDS else min(LONGEST_PAUSE_SECONDS, 2 * pause or 1.0)
                how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
                log.warning("the coordinator ended with %s: it is started again in %g s", how, pause)


class Server(uvicorn.Server):
    """Says where it is as soon as it answers."""

    def __init__(self, config: uvicorn.Config, url: str, way_in: str) -> None:
        super().__init__(config)
        self._url, self._way_in = url, way_in

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listening in sockets or ():
            listening.listen(QUEUE)  # more than are accepted at once
        if self.started:
            print(f"Dashboard: {self._url}   API: {self._url}/v1   Ctrl-C stops it", flush=True)
            if self._way_in:
                print(self._way_in, flush=True)

    def leave(self, number: int, frame: FrameType | None) -> None:
        """A signal's handler. The server handles them while it runs, but raises them once more when it has stopped,
        which by default would end this process with the code of a failure."""
        self.should_exit = True


def serve(
    host: str,
    port: int,
    database: str | None = None,
    *,
    images: Sequence[str] = (),
    coordinator: bool = True,
    login: bool = True,
) -> int:
    """Serve until SIGINT or SIGTERM; the exit code. Datasets may be folders in those `images` as in NAS_IMAGES.
    Without `login` whoever reaches a loopback address is an admin."""
    try:
        logs.begin("warning")
        # Evaluators send networks to agents through the API, and what they send is nobody else's business.
        agent_secret = settings.agent_token() or (secrets.token_urlsafe(32) if login else None)
        edge = Edge(
            login=login,
            bound=host,
            hosts=settings.HOSTS.entries + ((socket.gethostname(),) if host in ANYWHERE else ()),
            proxies=settings.FORWARDED_BY.entries,
            prefix=settings.PREFIX.value.rstrip("/"),
            agent_secret=agent_secret,
            limits=Limits.within(handles() // HANDLES_EACH),
        )
        roots = Roots.named((*settings.IMAGES.folders, *images))
        settings.check()
        lock = Lock(home.home() / "serve.lock")
        receiving.clear()
        listening = _listen(host, port)
        url = _url(host, listening.getsockname()[1])
        database = database or home.database_url()
        store = Store(database)
        way_in = _way_in(store, url + edge.prefix) if login else ""
    except (CannotServe, Refusal, StoreError, OSError) as error:
        print(f"nas serve: {error}", file=sys.stderr)
        return 1
    lock.note(url)
    child = Coordinator(database, url + edge.prefix, agent_secret, roots) if coordinator else None
    state = child.state if child else lambda: None
    app = create_app(store, edge, roots, remote_workers=child is None, coordinator=state)
    config = Configuration(app, edge, timeout_graceful_shutdown=3)
    server = Server(config, url + edge.prefix, way_in)
    app.state.leaving = lambda: server.should_exit
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup sets it
            signal.signal(number, server.leave)
    if child:
        child.start()
    try:
        server.run([listening])
    finally:
        if child:
            print("Stopping: the coordinator leaves, what it is training goes on from its last epoch", flush=True)
            child.stop()
        store.close()
    print("Stopped.", flush=True)
    return 0


def _way_in(store: Store, url: str) -> str:
    """How to sign in, where this machine's user cannot yet. The first token is made here; no others are, as a container
    without a home of its own would make one at each start."""
    if not store.tokens.any():
        return (
            f"Sign in, this once, at {url}/#/sign-in/{own_token.made(store)}\n"
            f"That token is an admin's; {home.token_file()} keeps it for `nas` on this machine."
        )
    if own_token.is_known(store):
        return ""
    return (
        f"Nobody can sign in with {home.token_file()}: an admin makes you a token with nas token create --owner NAME\n"
        "Where no admin has theirs any more, nas serve --no-login asks for none, and lets you make one."
    )


def _listen(host: str, port: int) -> socket.socket:
    """A socket at that address, before anything is started. Raises CannotServe."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=QUEUE)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        detail = f"{host}:{port} cannot be listened at ({reason})"
        raise CannotServe(f"{detail}: another --port may be free, and --port 0 takes one that is") from error


def _url(host: str, port: int) -> str:
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{shown}:{port}"
