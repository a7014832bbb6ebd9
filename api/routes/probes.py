"""What whoever runs the service asks it, beside /v1: whether it lives, whether it is ready, and how much there is."""

import logging
import os
import shutil
from dataclasses import asdict, dataclass
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Request, Response
from starlette.responses import JSONResponse, PlainTextResponse

from api.history import Rows
from api.problems import documented
from api.telemetry import MEDIA_TYPE, Telemetry
from nas import home
from nas.store import Store, StoreError

LEAST_BYTES = 200_000_000  # free, as a checkpoint and its archive may take

router = APIRouter(tags=["operations"])
log = logging.getLogger("api")


@dataclass(frozen=True, kw_only=True)
class Life:
    """That the process answers."""

    status: Literal["ok"] = "ok"
    """It does."""


@dataclass(frozen=True, kw_only=True)
class Readiness:
    """Whether work can be taken; "ok" or what is wrong, which the service's log says more of."""

    database: str
    """Whether the database answers."""
    disk: str
    """Whether NAS_HOME can be written to and has 200 MB to spare."""
    coordinator: str
    """Whether the coordinator beside the service runs; "elsewhere" where there is none beside it."""

    @property
    def ready(self) -> bool:
        return (self.database, self.disk) == ("ok", "ok") and self.coordinator in ("ok", "elsewhere")


@router.get("/livez", summary="Whether the process lives", responses=documented())
def livez() -> Life:
    """Asks nothing of the database: who does not answer is to be started again."""
    return Life()


@router.get("/readyz", summary="Whether work can be taken", responses=documented())
def readyz(request: Request, store: Rows) -> Readiness:
    """Answers 503, with the same body, where something is missing: nothing is mended by starting the service again."""
    beside = request.app.state.coordinator()
    readiness = Readiness(
        database=_database(store),
        disk=disk(),
        coordinator="elsewhere" if beside is None else "ok" if beside == "running" else beside,
    )
    return readiness if readiness.ready else JSONResponse(asdict(readiness), 503)  # type: ignore[return-value]


def _telemetry(request: Request) -> Telemetry:
    telemetry: Telemetry = request.app.state.telemetry
    return telemetry


@router.get(
    "/metrics",
    summary="Figures for Prometheus",
    response_class=PlainTextResponse,
    responses=documented() | {200: {"content": {MEDIA_TYPE: {}}}},
)
def metrics(telemetry: Annotated[Telemetry, Depends(_telemetry)]) -> Response:
    """In its text format: runs, trials and events, how long the oldest run waits, and requests by operation. Takes a
    token that may read, as Prometheus sends it with `authorization: {credentials_file: …}`."""
    return Response(telemetry.text(), media_type=MEDIA_TYPE)


def _database(store: Store) -> str:
    try:
        store.runs(limit=1)
    except StoreError as error:
        log.warning("not ready: %s", error)
        return "does not answer"
    return "ok"


def disk() -> str:
    """Whether NAS_HOME can be written to and has room: "ok", or what is wrong."""
    try:
        folder = home.home()
        free = shutil.disk_usage(folder).free
    except OSError as error:
        log.warning("not ready: %s", error)
        return "cannot be read"
    if not os.access(folder, os.W_OK):
        return "cannot be written to"
    return "ok" if free >= LEAST_BYTES else f"has {free / 1e6:,.0f} MB to spare"
