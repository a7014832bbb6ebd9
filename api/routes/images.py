"""Images that are sent to the service: an archive at a time, resumed where it broke off."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Body, Header, Path, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from api import examples
from api.access import Asker
from api.bodies import JSONRoute, blamed, strictly
from api.history import Rows
from api.journal import audit
from api.problems import TAKES_BODY, WRITES, Problem, documented, refused
from nas import uploads, usage
from nas.records import ENDED
from nas.refusal import Refusal
from nas.store import Store
from nas.uploads import Upload, UploadRequest, receiving

BYTES = "application/octet-stream"
OFFSET = "Upload-Offset"
PAGE = 500  # runs that are looked through at once
UNKNOWN = 'there are no uploaded images "roses": there are tulips; nas images upload adds some'

router = APIRouter(prefix="/images", tags=["images"], route_class=JSONRoute)
Name = Annotated[str, Path(description="what the upload is called", examples=["flowers"])]


@dataclass(frozen=True, kw_only=True)
class Uploads:
    """Images that were sent, or are being sent."""

    images: tuple[Upload, ...]
    """The uploads, by name."""


@router.get("", summary="Uploaded images", responses=documented())
def list_images() -> Uploads:
    """Each that is `ready` is dataset "images:NAME"."""
    return Uploads(images=tuple(uploads.every()))


@router.post(
    "",
    status_code=201,
    summary="Begin to upload images",
    responses=documented(**TAKES_BODY, _409="there are images 'flowers' already: go on with them, or delete them"),
)
def create_images(
    wanted: Annotated[UploadRequest, strictly(UploadRequest), Body(openapi_examples=examples.UPLOADS)],
    response: Response,
    store: Rows,
    asker: Asker,
) -> Upload:
    """What is to come is an archive of a folder with one folder of images for each class. Send its bytes with PATCH to
    the `Location` of the answer. It is read from front to back where it is used, and never unpacked."""
    usage.require(store, asker, wanted.bytes)
    try:
        begun = receiving.begin(wanted, asker)
    except Refusal as error:
        raise blamed(wanted, error, "bytes") from error
    audit(f"upload of images {begun.name!r} begun, {begun.bytes:,} bytes", asker)
    response.headers["Location"] = f"/v1/images/{begun.name}"
    response.headers[OFFSET] = "0"
    return begun


@router.get("/{name}", summary="An upload", responses=documented(_404=UNKNOWN))
def get_images(name: Name, response: Response) -> Upload:
    """How much of it has come. The answer has that as `Upload-Offset` too, and HEAD gives the headers alone."""
    one = uploads.upload(name)
    response.headers[OFFSET], response.headers["Upload-Length"] = str(one.received), str(one.bytes)
    response.headers["Cache-Control"] = "no-store"
    return one


@router.patch(
    "/{name}",
    summary="Send bytes of an upload",
    responses=documented(
        **TAKES_BODY,
        _404=UNKNOWN,
        _409="of images 'flowers' 1,000 bytes have come: go on there, not at 0",
        _507="the service's disk is full: 1,000 bytes of images 'flowers' have come",
    ),
    openapi_extra={"requestBody": {"required": True, "content": {BYTES: {"schema": {"type": "string"}}}}},
)
async def append_to_images(
    name: Name,
    request: Request,
    response: Response,
    offset: Annotated[int, Header(alias=OFFSET, ge=0, description="the bytes that have come: these follow them")],
) -> Upload:
    """As many as there are, or some of them: what has come is kept however this ends, and GET or HEAD says how much
    that is. With the last ones the whole is checked, and thrown away if it is not what was announced or no archive of
    images."""
    if request.headers.get("content-type") != BYTES:
        raise Problem(415, f"the body is not declared as bytes of an upload: send it with Content-Type: {BYTES}")
    try:
        with await run_in_threadpool(receiving.Part, name, offset) as part:
            async for data in request.stream():
                await run_in_threadpool(part.write, data)
            if part.whole:
                async with request.app.state.checking:
                    await run_in_threadpool(part.finish)
    except ClientDisconnect:
        raise Problem(400, f"the bytes of images {name!r} broke off: what has come of them is kept") from None
    except Refusal as error:
        raise refused(f"/{error.field}" if error.field else "", None, str(error)) from error
    except OSError as error:
        detail = f"images {name!r} cannot be written to the service's disk ({error.strerror}): what has come is kept"
        raise Problem(507, f"{detail}; free some of it and go on") from error
    return get_images(name, response)


@router.delete(
    "/{name}",
    status_code=204,
    summary="Delete uploaded images",
    responses=documented(**WRITES, _404=UNKNOWN, _409="run 0a1b2c3d4e5f works on images 'flowers': cancel it first"),
)
def delete_images(name: Name, store: Rows, asker: Asker) -> None:
    """Refused while a run that has not ended works on them."""
    run = _user(store, uploads.upload(name).dataset)
    if run:
        raise Problem(409, f"run {run} works on images {name!r}: wait for its end, or cancel it first")
    receiving.remove(name)
    audit(f"images {name!r} deleted", asker)


def _user(store: Store, dataset: str) -> str | None:
    """A run that has not ended and trains on that dataset."""
    before = None
    while runs := store.runs(PAGE, before):
        for run in runs:
            if run.state not in ENDED and run.spec.dataset == dataset:
                return run.id
        before = runs[-1].id
    return None
