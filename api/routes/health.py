"""How the service is, as those who use it ask."""

import time
from dataclasses import dataclass
from typing import Literal

from fastapi import APIRouter, Request

from api.history import Rows
from api.problems import documented
from api.routes.probes import disk
from nas.version import version

WAITING_RUNS = 200  # that are looked through for one that waits

router = APIRouter(tags=["catalogue"])


@dataclass(frozen=True, kw_only=True)
class Health:
    """How the service is."""

    status: Literal["ok", "waiting"]
    """Whether runs are worked on; waiting: one has been queued for a minute and none is."""
    version: str
    """The service's version, with the commit behind a plus, where it is known."""
    database: str
    """How the database is."""
    disk: str
    """Whether NAS_HOME can be written to and has room, or what is wrong."""
    coordinator: str | None
    """How the coordinator beside the service is; null where it runs elsewhere."""
    waiting_seconds: float | None
    """Seconds for which the oldest run has been queued while no other was worked on; a coordinator takes it within
    seconds."""


@router.get("/health", summary="How the service is", responses=documented())
def health(request: Request, store: Rows) -> Health:
    """Answers 503 where the database cannot be reached."""
    runs = store.runs(limit=WAITING_RUNS)
    busy = any(run.state == "running" for run in runs)
    queued = [run.created_at for run in runs if run.state == "queued" and run.started_at is None]
    waiting = time.time() - min(queued) if queued and not busy else None
    return Health(
        status="ok" if waiting is None or waiting < 60 else "waiting",
        version=version(),
        database="ok",
        disk=disk(),
        coordinator=request.app.state.coordinator(),
        waiting_seconds=waiting,
    )
