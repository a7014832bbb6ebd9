"""The head of a Ray cluster, watched: without one, Ray waits for a long time, or for ever, and says nothing."""

import logging
import os
import re
import socket
import threading
import time
from collections.abc import Callable

LOOK_SECONDS = 1.0
PATIENCE_SECONDS = 5.0  # before a head that does not answer is given up
ANSWER_SECONDS = 5.0  # in which one answers, however busy its machine is

log = logging.getLogger("workers")


def reach(address: str) -> None:
    """Raise OSError where nobody listens at `address`, if it is one like "host:6379"; Ray would try for minutes."""
    parts = re.fullmatch(r"\[?([\w.:%-]+?)\]?:(\d+)", address)
    if parts:
        socket.create_connection((parts[1], int(parts[2])), ANSWER_SECONDS).close()


def watch(lost: Callable[[], str | None], leave: threading.Event, end: Callable[[int], object] = os._exit) -> None:
    """Until `leave` is set, ask why the head is lost, if it is. Once it has been for some seconds this process ends at
    once, with 1, so that whoever started it starts another: calls to Ray that are under way do not come back."""
    since: float | None = None
    while not leave.wait(LOOK_SECONDS):
        why = lost()
        since = None if why is None else since or time.monotonic()
        if since is not None and time.monotonic() - since >= PATIENCE_SECONDS:
            log.error("%s: this coordinator ends, and another can go on with its runs", why)
            logging.shutdown()
            end(1)
            return
