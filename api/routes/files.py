"""What a model is handed out as: a file for each runtime, and all of it as one archive, made when first asked for."""

import threading
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.responses import FileResponse

from api import archives
from api.access import Asker
from api.aliases import Named
from api.archives import Archives, Kept, State
from api.history import Rows
from api.problems import TAKES_BODY, WRITES, Problem, documented
from api.routes.models import GONE, UNKNOWN, file_of, note
from api.sending import BAD_RANGE, Wanted
from nas import extras
from nas.measurements import Latency
from nas.models import shown as pictures
from nas.models.manifest import File, FileScore, Manifest, Packing
from nas.records import Model
from nas.refusal import Refusal
from nas.store import Store

router = APIRouter(prefix="/models", tags=["models"])
BYTES = "application/octet-stream"
MEDIA = {"zip": "application/zip", "tar": "application/x-tar"}
SECONDS = "5"  # after which it pays to ask again
NONE = "the files of model 0a1b2c3d4e5f-3 are not made yet: POST /v1/models/0a1b2c3d4e5f-3/files makes them"
NO_PICTURE = "the picture cannot be shown to the network: it is cut off"
BUSY = "2 pictures are looked at already: try again in a second"
MOST_CLASSES = 10
_showing = threading.BoundedSemaphore(2)
SENT: dict[int | str, dict[str, Any]] = {
    200: {"description": "The file", "content": {BYTES: {"schema": {"type": "string"}}}},
    206: {"description": "The part of it that the Range names"},
    304: {"description": "The file that If-None-Match names is still the one"},
}


@dataclass(frozen=True, kw_only=True)
class Offer(File):
    """A file of a model's archive."""

    LIKE: ClassVar[tuple[type, ...]] = (File,)

    exporter: str | None
    """What made it, such as onnx; null of what describes the model."""
    save_as: str
    """A name that says what it is, such as b2_0.21ms_acc0.934.onnx."""
    score: FileScore | None
    """What it scored in its own runtime, loaded from the archive alone; null of what is no network."""
    latency: Latency | None
    """How fast it is on the processor of the service; null where that was not measured."""
    link: str
    """Where it is."""


@dataclass(frozen=True, kw_only=True)
class Refused:
    """What the model is not handed out as."""

    exporter: str
    """What would have made it."""
    reason: str
    """Why it is not offered."""
    score: FileScore | None
    """What it scored; null where it did not come to that."""


@dataclass(frozen=True, kw_only=True)
class Class:
    """What a picture may show."""

    name: str
    """The name of the class."""
    probability: float
    """How probable the network takes it for, from 0 to 1."""


@dataclass(frozen=True, kw_only=True)
class Classes:
    """What a picture shows to a model."""

    model: str
    """The id of the model."""
    file: str
    """The file of its archive that was asked."""
    classes: tuple[Class, ...]
    """The ten most probable classes, the first one first."""


@dataclass(frozen=True, kw_only=True)
class Files:
    """What a model is handed out as."""

    model: str
    """The id of the model."""
    state: State
    """Whether the files are there: absent until somebody asks for them, building, built, or failed."""
    reason: str | None
    """Why they could not be made, where they failed."""
    name: str | None
    """What the model is called: which it is, its latency and its accuracy; null before they are built."""
    files: tuple[Offer, ...]
    """Each of the files; every network among them has scored what was promised, or, where its images have changed or
    are gone, answers as it does in torch."""
    refused: tuple[Refused, ...]
    """What was made and did not keep the promise, or could not be made."""
    links: dict[str, str]
    """Where this is, and all of it as one file, zip or tar."""


@router.get("/{model}/files", summary="What a model is handed out as", responses=documented(_404=UNKNOWN))
def list_files(model: Named, kept: Kept) -> Files:
    """Nothing is made by this: see POST."""
    return _files(model, kept)


@router.post(
    "/{model}/files",
    status_code=202,
    summary="Make what a model is handed out as",
    responses=documented(**WRITES, _404=UNKNOWN, _410=GONE),
)
def make_files(model: Named, kept: Kept, store: Rows, response: Response, asker: Asker) -> Files:
    """In a process of its own, which takes seconds, and for large networks minutes: ask with GET until the state is
    another than building. What is there already is not made again, unless something of it was refused."""
    file_of(model, store)
    before = kept.state(model.sha256)[0]
    kept.begin(model.sha256)
    answer = _files(model, kept)
    if answer.state == "building":
        response.headers["Retry-After"] = SECONDS
        if before != "building":
            store.note(model.run, "exported", f"the files of model {model.id} are made", asker)
    return answer


@router.get(
    "/{model}/files/{name}",
    summary="A file of a model",
    response_class=FileResponse,
    responses={**SENT, **documented(_404=UNKNOWN, _409=NONE, _410=GONE, **BAD_RANGE)},
)
def get_file(
    model: Named,
    name: Annotated[str, Path(description="its name in the archive", examples=["model.onnx"])],
    request: Request,
    kept: Kept,
    store: Rows,
    asker: Asker,
    wanted: Wanted,
) -> Response:
    """The ETag and Repr-Digest are the SHA-256 of the whole file, so a download that broke off goes on with Range and
    If-Range and can be checked."""
    whole = _built(model, kept, store)
    file = archives.listed(whole, name)
    answer = wanted.response(
        archives.folder(model.sha256) / file.name, file.sha256, file.bytes, _save_as(whole, file.name), BYTES
    )
    archives.used(model.sha256)
    note(store, model, request, answer, asker, f" as {file.name}")
    return answer


@router.post(
    "/{model}/classes",
    summary="What a picture shows to a model",
    responses=documented(
        **TAKES_BODY | {"_404": UNKNOWN, "_409": NONE, "_410": GONE, "_415": NO_PICTURE, "_429": BUSY}
    ),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {kind: {"schema": {"type": "string"}} for kind in (BYTES, "image/*")},
        }
    },
)
async def classes_of_picture(
    model: Named,
    request: Request,
    kept: Kept,
    store: Rows,
    file: Annotated[
        Literal["model.onnx", "model.int8.onnx"], Query(alias="by", description="the network")
    ] = "model.onnx",
) -> Classes:
    """The body is a picture, such as a JPEG file, of 32 MB at the most. It is shown to the network of the archive by
    ONNX Runtime, as classify.py in there does, and not kept."""
    declared = request.headers.get("content-type", "")
    if declared != BYTES and not declared.startswith("image/"):
        raise Problem(415, f"the body is not declared as a picture: send it with Content-Type: {BYTES}, or image/jpeg")
    return await run_in_threadpool(_classes, model, file, await request.body(), kept, store)


def _classes(model: Model, file: str, picture: bytes, kept: Archives, store: Store) -> Classes:
    if reason := extras.missing("to show it a picture", "workers", "numpy", "onnxruntime", "PIL"):
        raise Problem(503, f"{reason} where the service runs; its archive has a program that does it anywhere")
    path = archives.folder(model.sha256) / archives.listed(_built(model, kept, store), file).name
    if not _showing.acquire(blocking=False):
        raise Problem(429, BUSY, headers={"Retry-After": "1"})
    try:
        shares = pictures.probabilities(path, picture)
    except Refusal as error:
        raise Problem(415, str(error)) from error
    finally:
        _showing.release()
    archives.used(model.sha256)
    rows = tuple(Class(name=name, probability=share) for name, share in shares.items())
    return Classes(model=model.id, file=file, classes=rows[:MOST_CLASSES])


@router.get(
    "/{model}/archive",
    summary="A model as one archive",
    response_class=FileResponse,
    responses={**SENT, **documented(_404=UNKNOWN, _409=NONE, _410=GONE, **BAD_RANGE)},
)
def get_archive(
    model: Named,
    request: Request,
    kept: Kept,
    store: Rows,
    asker: Asker,
    wanted: Wanted,
    packing: Annotated[Packing, Query(alias="as", description="zip or tar")] = "zip",
) -> Response:
    """All files with their hashes, in a folder that says what it is; as resumable and as checked as they are."""
    whole = _built(model, kept, store)
    path, sha256 = kept.packed(model.sha256, packing)
    name = f"{whole.name}.{packing}"
    answer = wanted.response(path, sha256, path.stat().st_size, name, MEDIA[packing])
    archives.used(model.sha256)
    note(store, model, request, answer, asker, f" as {packing}")
    return answer


def _files(model: Model, kept: Archives) -> Files:
    state, reason = kept.state(model.sha256)
    whole = kept.manifest(model.sha256) if state == "built" else None
    address = f"/v1/models/{model.id}"
    ways = {way.file: way for way in whole.ways} if whole else {}
    return Files(
        model=model.id,
        state=state,
        reason=reason,
        name=whole.name if whole else None,
        files=tuple(
            Offer(
                **vars(file),
                exporter=ways[file.name].exporter if file.name in ways else None,
                save_as=_save_as(whole, file.name),
                score=ways[file.name].score if file.name in ways else None,
                latency=ways[file.name].latency if file.name in ways else None,
                link=f"{address}/files/{file.name}",
            )
            for file in (whole.files if whole else ())
            if whole
        ),
        refused=tuple(
            Refused(exporter=way.exporter, reason=way.refused, score=way.score) for way in ways.values() if way.refused
        ),
        links={
            "self": f"{address}/files",
            "zip": f"{address}/archive?as=zip",
            "tar": f"{address}/archive?as=tar",
        },
    )


def _built(model: Model, kept: Archives, store: Store) -> Manifest:
    """Raises Problem where there is none."""
    if model.removed:
        file_of(model, store)
    whole = kept.manifest(model.sha256)
    if whole is None:
        state, reason = kept.state(model.sha256)
        words = {"building": "are being made: try again", "failed": f"could not be made: {reason}"}
        detail = words.get(state, f"are not made yet: POST /v1/models/{model.id}/files makes them")
        headers = {"Retry-After": SECONDS} if state == "building" else None
        raise Problem(409, f"the files of model {model.id} {detail}", headers=headers)
    return whole


def _save_as(whole: Manifest, file: str) -> str:
    """A network's file says what it is; others have their names, as programs look for them."""
    way = next((way for way in whole.ways if way.file == file), None)
    return (way.save_as or f"{whole.name}.{file.rpartition('.')[2]}") if way else file
