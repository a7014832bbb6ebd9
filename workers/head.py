"""The head of a Ray cluster, watched: without one, Ray waits for a long time, or for ever, and says nothing."""

import logging
import os
import re
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

LOOK_SECONDS = 1.0
PATIENCE_SECONDS = 5.0  # before a head that does not answer is given up
ANSWER_SECONDS = 5.0  # in which one answers, however busy its machine is
STARTED = ("gcs_server", "raylet")  # the head and its node, by the names of Ray's programs

log = logging.getLogger("workers")


def reach(address: str) -> None:
    """Raise OSError where nobody listens at `address`, if it is one like "host:6379"; Ray would try for minutes."""
    parts = re.fullmatch(r"\[?([\w.:%-]+?)\]?:(\d+)", address)
    if parts:
        socket.create_connection((parts[1], int(parts[2])), ANSWER_SECONDS).close()


class Loss(NamedTuple):
    """Why a head is of no use any more."""

    why: str
    certain: bool
    """Whether it cannot come back: it need not be waited for."""


def ended() -> Loss | None:
    """Which program of Ray's has ended that this process started and has not asked for yet; None where the system does
    not say. While Ray starts it waits for such a one for half a minute; for a head that has never listened it does so
    in a call that lets no other thread look."""
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it is gone
            name, _, more = status.read_text().partition("(")[2].rpartition(")")
            state, parent = more.split()[:2]
            if name in STARTED and state == "Z" and int(parent) == os.getpid():
                return Loss(f"{name} has ended while Ray started", certain=True)
    return None


def watch(lost: Callable[[], Loss | None], leave: threading.Event, end: Callable[[int], object] = os._exit) -> None:
    """Until `leave` is set, ask whether the head is lost. Once it is for certain, or has been for some seconds, this
    process ends at once, with 1, so that whoever started it starts another: calls to Ray that are under way do not come
    back."""
    since: float | None = None
    while not leave.wait(LOOK_SECONDS):
        loss = lost()
        since = None if loss is None else since or time.monotonic()
        if loss and since and (loss.certain or time.monotonic() - since >= PATIENCE_SECONDS):
            log.error("%s: this coordinator ends, and another can go on with its runs", loss.why)
            logging.shutdown()
            end(1)
            return
