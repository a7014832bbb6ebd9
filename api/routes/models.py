"""Trained networks: list, card, and the checkpoint as a file that can be fetched in parts and checked."""

import pathlib
import shlex
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

from fastapi import APIRouter, Query, Request, Response
from starlette.responses import FileResponse

from api.access import Asker
from api.aliases import Chosen, Named
from api.history import Rows
from api.problems import WRITES, Problem, documented
from api.routes.runs import Limit, Page
from api.sending import BAD_RANGE, Wanted
from api.views import search
from nas.disk import going
from nas.filenames import plain
from nas.measurements import Measurement
from nas.metrics import Quality
from nas.models.checkpoint import BadCheckpoint, Card, artifact, card
from nas.records import Job, Model, Run
from nas.rounding import Rounding
from nas.specs import GrowthSpec
from nas.store import Store

router = APIRouter(prefix="/models", tags=["models"])
UNKNOWN = "there is no model '0a1b2c3d4e5f-3'"
GONE = "the weights of model 0a1b2c3d4e5f-3 were removed (deleted by Zoë): train it again with nas grow 0a1b2c3d4e5f"
NEEDED = "growth 1b2c3d4e5f6a, which is running, needs model 0a1b2c3d4e5f-3 as its parent or teacher: wait for its end"
REMOVED = "the weights of model 0a1b2c3d4e5f-3 were removed (deleted by Zoë): they cannot be pinned"
FILE = "application/vnd.safetensors"


@dataclass(frozen=True, kw_only=True)
class Trained(Model):
    """A model with what was measured of it, which is of its one training. Of several folds the first is saved: the
    accuracy is its own then, on what it held out, and so are `quality` and `rounding`, or null where an earlier version
    did not record them."""

    LIKE: ClassVar[tuple[type, ...]] = (Measurement, Job)

    file: str
    """The name that its checkpoint is downloaded under."""
    name: str
    """What its run is called."""
    dataset: str | None
    """The images that it was trained on."""
    member: str | None
    seed: int
    accuracy: float | None
    test_accuracy: float | None
    accuracy_error: float | None
    quality: Quality | None
    rounding: Rounding | None
    seen: bool
    params: int
    mult_adds: int
    peak_memory: int | None
    model_bytes: int | None
    latencies_ms: dict[str, float]
    """Its latency on each device, as that is at its best, in milliseconds."""
    hint: str | None = None
    """That the member which leads was passed over, as its weights are gone, in the answer to RUN@best."""
    links: dict[str, str]
    """Where it is, its checkpoint and its card, what it is handed out as, and all of that in one archive."""


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
    removed: Annotated[bool, Query(description="also those whose weights were removed, each with the reason")] = False,
) -> Models:
    """Every member of a growth, and the trials of searches that save weights, as long as these are kept."""
    whole = store.models(run, limit + 1, before, removed=removed)
    rows = whole[:limit]
    runs = {row.run: store.run(row.run) for row in rows}
    asked = (f"&run={run}" if run else "") + ("&removed=true" if removed else "")
    more = f"/v1/models?limit={limit}&before={rows[-1].id}{asked}" if whole[limit:] else None
    return Models(models=tuple(_trained(row, runs[row.run], store) for row in rows), next=more)


@router.get("/{model}", summary="A trained network", responses=documented(_404=UNKNOWN))
def get_model(chosen: Chosen, store: Rows) -> Trained:
    """What was measured of it, and where its checkpoint and card are."""
    model, hint = chosen
    return replace(_trained(model, store.run(model.run), store), hint=hint)


@router.delete(
    "/{model}",
    status_code=204,
    summary="Delete a trained network",
    responses=documented(**WRITES, _404=UNKNOWN, _409=NEEDED),
)
def delete_model(model: Named, store: Rows, asker: Asker) -> None:
    """Its weights and files go, for good; its trial keeps what was measured, and the model says why it has no weights.
    Refused while a run needs them, and while it is pinned."""
    going.delete_model(store, model.id, asker)


@router.post(
    "/{model}/pin", summary="Pin a trained network", responses=documented(**WRITES, _404=UNKNOWN, _409=REMOVED)
)
def pin_model(model: Named, store: Rows, asker: Asker) -> Trained:
    """Its weights stay from then on: they are neither removed to make room nor deleted."""
    return _trained(store.removals.pin(model.id, True, asker), store.run(model.run), store)


@router.delete(
    "/{model}/pin", summary="Unpin a trained network", responses=documented(**WRITES, _404=UNKNOWN, _409=REMOVED)
)
def unpin_model(model: Named, store: Rows, asker: Asker) -> Trained:
    """Its weights may go like others."""
    return _trained(store.removals.pin(model.id, False, asker), store.run(model.run), store)


@router.get("/{model}/card", summary="A trained network's card", responses=documented(_404=UNKNOWN, _410=GONE))
def get_card(model: Named, store: Rows) -> Card:
    """What stands in the header of its checkpoint: all that is needed to rebuild the network, feed it and check it."""
    try:
        return card(file_of(model, store))
    except BadCheckpoint as error:
        raise Problem(410, f"the checkpoint of model {model.id} is damaged: {error}") from error


@router.get(
    "/{model}/checkpoint",
    summary="A trained network's checkpoint",
    response_class=FileResponse,
    responses={
        200: {"description": "The safetensors file", "content": {FILE: {"schema": {"type": "string"}}}},
        206: {"description": "The part of it that the Range names"},
        304: {"description": "The file that If-None-Match names is still the one"},
        **documented(_404=UNKNOWN, _410=GONE, **BAD_RANGE),
    },
)
def get_checkpoint(
    model: Named,
    request: Request,
    store: Rows,
    asker: Asker,
    wanted: Wanted,
) -> Response:
    """Weights with the card in the header. The ETag and Repr-Digest are the SHA-256 of the whole file, so a download
    that broke off goes on with Range and If-Range and can be checked."""
    name = _trained(model, store.run(model.run), store).file
    answer = wanted.response(file_of(model, store), model.sha256, model.bytes, name, FILE)
    note(store, model, request, answer, asker)
    return answer


def note(store: Store, model: Model, request: Request, answer: Response, asker: str | None, what: str = "") -> None:
    """Write down that something was downloaded, if it is."""
    if request.method == "GET" and answer.status_code == 200:
        part = " in part" if request.headers.get("range") is not None else ""
        store.note(model.run, "downloaded", f"model {model.id} downloaded{what}{part}", asker)


def _trained(model: Model, run: Run, store: Store) -> Trained:
    trial = store.trial(model.run, model.number)
    measured = trial.measurement
    assert measured is not None, "a model is added with its measurement"
    own = measured
    if measured.saved_accuracy is not None:  # of several folds the first was saved
        own = replace(
            measured,
            accuracy=measured.saved_accuracy,
            accuracy_error=measured.saved_error,
            quality=measured.saved_quality,
            rounding=measured.saved_rounding,
        )
    words = plain(run.name)[:60].strip("-._") or run.id
    seed = f"-seed{trial.job.seed}" if isinstance(run.spec, GrowthSpec) and run.spec.seeds > 1 else ""
    address = f"/v1/models/{model.id}"
    return Trained(
        **vars(model),
        file=f"{words}-{plain(trial.job.member or str(model.number))}{seed}-{model.sha256[:8]}.safetensors",
        name=run.name,
        dataset=trial.job.dataset,
        member=trial.job.member,
        seed=trial.job.seed,
        accuracy=own.accuracy,
        test_accuracy=measured.test_accuracy,
        accuracy_error=own.accuracy_error,
        quality=own.quality,
        rounding=own.rounding,
        seen=own.seen,
        params=measured.params,
        mult_adds=measured.mult_adds,
        peak_memory=measured.peak_memory,
        model_bytes=measured.model_bytes,
        latencies_ms=search.medians(search.latencies([measured])),
        links={
            "self": address,
            "checkpoint": f"{address}/checkpoint",
            "card": f"{address}/card",
            "files": f"{address}/files",
            "archive": f"{address}/archive",
        },
    )


def file_of(model: Model, store: Store) -> pathlib.Path:
    """Where the checkpoint is. Raises Problem where it is not there any more."""
    if model.removed:
        detail = f"the weights of model {model.id} were removed ({model.removed}): train it again with"
        raise Problem(410, f"{detail} {_again(model, store)}")
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


def _again(model: Model, store: Store) -> str:
    """The command that trains its network once more."""
    spec, member = store.run(model.run).spec, store.trial(model.run, model.number).job.member
    search, number = (isinstance(spec, GrowthSpec) and spec.source) or (model.run, model.number)
    return f"nas grow {search} --trial {number} --members {shlex.quote(member or 'B0')}"
