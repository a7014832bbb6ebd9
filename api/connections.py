"""The connections of the service: how many each client may have, and how long one may keep it waiting."""

import contextlib
import resource
from asyncio import TimerHandle, Transport
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from api.edge import Edge
from api.places import Places
from api.problems import Problem, response

HEAD_SECONDS = 15.0  # in which the head of a request has come
TAKING_SECONDS = 30.0  # in which some of an answer that waits is taken
LOOK_SECONDS = 1.0  # between two looks at a connection
KEEP_ALIVE_SECONDS = 10  # without a request; longer than clients keep theirs, which would else meet a closed one
HANDLES_EACH = 3  # of a connection: its own, a file that it reads, and as one of those that are about to be refused
LEAST_HANDLES = 96  # for anybody to be answered


def handles() -> int:
    """How many files and connections this process may have open, once it has been given as many as it can get. Raises
    OSError where that is too few for a service."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # where "no limit" is more than the system allows
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = hard
    most = 2**20 if soft == resource.RLIM_INFINITY else soft
    if most < LEAST_HANDLES:
        raise OSError(f"this process may open {most} files, and needs {LEAST_HANDLES}: raise `ulimit -n`")
    return most


class Configuration(uvicorn.Config):
    """How uvicorn serves `app`, which is reached as `edge` says. Its own parser bounds a head by 64 KiB."""

    def __init__(self, app: Callable[..., Any], edge: Edge, **more: Any) -> None:
        self.edge, self.places = edge, Places(edge.limits.connections)
        super().__init__(
            app,
            http=Connection,
            ws="none",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            # So many are accepted before the first of them can be refused.
            backlog=max(8, edge.limits.connections // 8),
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            **more,
        )


class Connection(H11Protocol):
    """One that is refused where its client has too many, and closed where it makes the service wait: for the head of a
    request, or for an answer to be taken. A body is waited for by whoever reads it."""

    config: Configuration
    transport: Transport
    _whose: str | None = None
    _timer: TimerHandle | None = None
    _head_since: float | None = None  # None: a request is under way, or none has begun since the last
    _unsent = 0  # bytes of an answer, when last looked at
    _taken_at = 0.0

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        edge, places = self.config.edge, self.config.places
        address = self.client[0] if self.client else ""
        whose, most = edge.client(address), edge.most_of(address)
        if not places.take(whose, most):
            busy = Problem(503, f"{edge.limits.connections} connections are open, which is all there are: try again")
            many = Problem(429, f"{most} connections of {whose} are open, which is all that one may have: close some")
            return self._refuse(busy if places.all_taken else many)
        self._whose, self._head_since = whose, self.loop.time()
        return self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer:
            self._timer.cancel()
        if self._whose is not None:
            self.config.places.give_back(self._whose)
            self._whose = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._head_since is None and not self._under_way():
            self._head_since = self.loop.time()
        super().data_received(data)
        if self._under_way():
            self._head_since = None

    def _under_way(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _look(self) -> None:
        now, unsent = self.loop.time(), self.transport.get_write_buffer_size()
        if not unsent or unsent != self._unsent:
            self._unsent, self._taken_at = unsent, now
        if now - self._taken_at > TAKING_SECONDS:
            self.transport.abort()
            return
        if self._head_since is not None and now - self._head_since > HEAD_SECONDS and not self.transport.is_closing():
            detail = f"the head of the request had not come after {HEAD_SECONDS:g} seconds: send it at once"
            self._refuse(Problem(408, detail))
        self._timer = self.loop.call_later(LOOK_SECONDS, self._look)

    def _refuse(self, problem: Problem) -> None:
        """Answer without a request, and close the connection."""
        answer = response("/", problem)
        head = [(b"connection", b"close"), (b"retry-after", b"5"), *answer.raw_headers]
        status = HTTPStatus(answer.status_code)
        lines = [f"HTTP/1.1 {status.value} {status.phrase}".encode(), *(b": ".join(field) for field in head)]
        self.transport.write(b"\r\n".join([*lines, b"", bytes(answer.body)]))
        self.transport.close()
