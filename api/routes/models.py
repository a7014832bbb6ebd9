"""Trained networks: list, card, and the checkpoint as a file that can be fetched in parts and checked."""

import base64
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from fastapi import APIRouter, Header, Query, Request, Response
from starlette.responses import FileResponse

from api.access import Asker
from api.history import Rows
from api.problems import Problem, documented
from api.routes.runs import Id, Limit, Page
from api.views import search
from nas.metrics import Quality
from nas.models.checkpoint import BadCheckpoint, Card, artifact, card
from nas.records import Job, Measurement, Model, Run
from nas.specs import GrowthSpec
from nas.store import Store

router = APIRouter(prefix="/models", tags=["models"])
UNKNOWN = "there is no model '0a1b2c3d4e5f-3'"
GONE = "the checkpoint of model 0a1b2c3d4e5f-3 is gone: its file is not in /state/artifacts"
FILE = "application/vnd.safetensors"


@dataclass(frozen=True, kw_only=True)
class Trained(Model):
    """A model with what was measured of it, which is of its one training."""

    LIKE: ClassVar[tuple[type, ...]] = (Measurement, Job)

    file: str
    """The name that its checkpoint is downloaded under."""
    member: str | None
    seed: int
    accuracy: float | None
    test_accuracy: float | None
    accuracy_error: float | None
    quality: Quality | None
    params: int
    mult_adds: int
    latencies_ms: dict[str, float]
    """Its latency on each device: the median of the fastest runs of six rounds, in milliseconds."""
    links: dict[str, str]
    """Where it is, its checkpoint and its card."""


@dataclass(frozen=True, kw_only=True)
class Models(Page):
    """A page of models, newest first."""

    models: tuple[Trained, ...]
    """The models of this page."""


@router.get("", summary="Trained networks, newest first", responses=documented(_404=UNKNOWN))
def list_models(
    store: Rows,
    run: Annotated[str | None, Query(description="only those of this search or growth")] = None,
    limit: Limit = 200,
    before: Annotated[str | None, Query(description="the id that the page before ended with")] = None,
) -> Models:
    """Every member of a growth, and the trials of searches that save weights."""
    whole = store.models(run, limit + 1, before)
    rows = whole[:limit]
    runs = {row.run: store.run(row.run) for row in rows}
    more = f"/v1/models?limit={limit}&before={rows[-1].id}" + (f"&run={run}" if run else "") if whole[limit:] else None
    return Models(models=tuple(_trained(row, runs[row.run], store) for row in rows), next=more)


@router.get("/{model}", summary="A trained network", responses=documented(_404=UNKNOWN))
def get_model(model: Id, store: Rows) -> Trained:
    """What was measured of it, and where its checkpoint and card are."""
    row = store.model(model)
    return _trained(row, store.run(row.run), store)


@router.get("/{model}/card", summary="A trained network's card", responses=documented(_404=UNKNOWN, _410=GONE))
def get_card(model: Id, store: Rows) -> Card:
    """What stands in the header of its checkpoint: all that is needed to rebuild the network, feed it and check it."""
    row = store.model(model)
    try:
        return card(_file(row))
    except BadCheckpoint as error:
        raise Problem(410, f"the checkpoint of model {row.id} is damaged: {error}") from error


@router.head("/{model}/checkpoint", include_in_schema=False)
@router.get(
    "/{model}/checkpoint",
    summary="A trained network's checkpoint",
    response_class=FileResponse,
    responses={
        200: {"description": "The safetensors file", "content": {FILE: {"schema": {"type": "string"}}}},
        206: {"description": "The part of it that the Range names"},
        304: {"description": "The file that If-None-Match names is still the one"},
        **documented(
            _404=UNKNOWN,
            _410=GONE,
            _400="Range 'bytes=a-b' cannot be read: write it like bytes=1000-",
            _416="Range 'bytes=9999-' begins behind the end: the file has 1,234 bytes",
        ),
    },
)
def get_checkpoint(
    model: Id,
    request: Request,
    store: Rows,
    asker: Asker,
    if_none_match: Annotated[str | None, Header(description='"SHA-256" of the file that is there already')] = None,
    wanted: Annotated[str | None, Header(alias="range", description="a part of the file, such as bytes=1000-")] = None,
) -> Response:
    """Weights with the card in the header. The ETag and Repr-Digest are the SHA-256 of the whole file, so a download
    that broke off goes on with Range and If-Range and can be checked."""
    row = store.model(model)
    digest = base64.b64encode(bytes.fromhex(row.sha256)).decode()
    headers = {
        "ETag": f'"{row.sha256}"',
        "Repr-Digest": f"sha-256=:{digest}:",
        "Cache-Control": "private, no-cache",
    }
    path = _file(row)
    if if_none_match and _matches(if_none_match, row.sha256):
        return Response(status_code=304, headers=headers)
    if wanted is not None:
        _check_range(wanted, row.bytes)
    name = _trained(row, store.run(row.run), store).file
    if request.method == "GET":
        store.note(row.run, "downloaded", f"model {row.id} downloaded" + (" in part" if wanted else ""), asker)
    return FileResponse(path, headers=headers, media_type=FILE, filename=name)


def _trained(model: Model, run: Run, store: Store) -> Trained:
    trial = store.trial(model.run, model.number)
    measured = trial.measurement
    assert measured is not None, "a model is added with its measurement"
    words = re.sub(r"[^A-Za-z0-9._]+", "-", run.spec.name)[:60].strip("-._") or run.id
    seed = f"-seed{trial.job.seed}" if isinstance(run.spec, GrowthSpec) and run.spec.seeds > 1 else ""
    address = f"/v1/models/{model.id}"
    return Trained(
        **vars(model),
        file=f"{words}-{trial.job.member or model.number}{seed}-{model.sha256[:8]}.safetensors",
        member=trial.job.member,
        seed=trial.job.seed,
        accuracy=measured.accuracy,
        test_accuracy=measured.test_accuracy,
        accuracy_error=measured.accuracy_error,
        quality=measured.quality,
        params=measured.params,
        mult_adds=measured.mult_adds,
        latencies_ms=search.medians([measured]),
        links={"self": address, "checkpoint": f"{address}/checkpoint", "card": f"{address}/card"},
    )


def _file(model: Model) -> Path:
    """Where the checkpoint is. Raises Problem where it is not there any more."""
    path = artifact(model.sha256)
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        detail = f"the checkpoint of model {model.id} is gone: {path.name} is not in {path.parent}"
        raise Problem(410, f"{detail}: put it back, or train it again") from None
    if size != model.bytes:
        detail = f"the checkpoint of model {model.id} is damaged: {path} has {size:,} of {model.bytes:,} bytes"
        raise Problem(410, detail)
    return path


def _matches(tags: str, sha256: str) -> bool:
    return tags.strip() == "*" or f'"{sha256}"' in [tag.strip().removeprefix("W/") for tag in tags.split(",")]


def _check_range(wanted: str, size: int) -> None:
    """Raise Problem for what the file response would answer without a document."""
    parts = re.fullmatch(r"bytes=((?:\d+-\d*|-\d+)(?:\s*,\s*(?:\d+-\d*|-\d+))*)", wanted.strip())
    bounds = [part.strip().split("-") for part in parts[1].split(",")] if parts else []
    if not bounds or any(first and last and int(last) < int(first) for first, last in bounds):
        raise Problem(400, f"Range {wanted!r} cannot be read: write it like bytes=1000- or bytes=0-999")
    if any(int(first or 0) >= size for first, _ in bounds):
        detail = f"Range {wanted!r} begins behind the end: the file has {size:,} bytes"
        raise Problem(416, detail, headers={"Content-Range": f"bytes */{size}"})
