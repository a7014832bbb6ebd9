"""A look at images before anything is spent on them, and what a search of them should be asked for."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from api.admission import admit, looked, strip
from api.forecast import forecast
from api.history import Histories
from api.problems import Problem, documented
from nas import parents, proposal
from nas.codec import Malformed, decode
from nas.datasets import DatasetError, Look
from nas.plugins import UnknownPlugin
from nas.proposal import Suggestion
from nas.roots import Roots
from nas.specs import SearchSpec
from nas.store import Store

KEPT_SECONDS = 3600  # that a browser keeps a strip of images for
UNKNOWN = "unknown dataset 'x': there are fashion_mnist, folder:PATH, images:NAME"

router = APIRouter(tags=["catalogue"])
Name = Annotated[str, Path(description="a dataset's name", examples=["folder:/data/flowers"])]


@dataclass(frozen=True, kw_only=True)
class Advice:
    """What is seen of a dataset, and what is proposed for a search of it."""

    look: Look
    """What is seen of it."""
    proposal: tuple[Suggestion, ...]
    """Fields of a request that fit it, with reasons: `nas search --auto` takes them."""


@router.get("/looks/{name:path}", summary="A look at a dataset", responses=documented(_404=UNKNOWN))
def get_look(name: Name, request: Request, history: Histories) -> Advice:
    """What there is of each class, what was left out and what is twice there, and a request that fits; to be asked for
    before anything is spent. Answered with 404 for images that cannot be used, with the reason, and for a path outside
    of the folders that the service reads."""
    roots, remote = request.app.state.roots, request.app.state.remote_workers
    try:
        look = looked(name, roots)
    except (UnknownPlugin, DatasetError) as error:
        raise Problem(404, str(error)) from error
    return Advice(look=look, proposal=_proposal(name, look, history.store, roots, remote_workers=remote))


@router.get(
    "/strips/{label}/{name:path}",
    summary="Some images of a class",
    response_class=Response,
    responses=documented(_404=UNKNOWN)
    | {200: {"description": "a JPEG file", "content": {"image/jpeg": {"schema": {"type": "string"}}}}},
)
def get_strip(
    name: Name, label: Annotated[int, Path(ge=0, description="the class's number", examples=[0])], request: Request
) -> Response:
    """A few training images of it side by side, small, as a JPEG file; to be seen before anything is spent."""
    roots: Roots = request.app.state.roots
    try:
        file = strip(name, label, roots)
    except (UnknownPlugin, DatasetError) as error:
        raise Problem(404, str(error)) from error
    headers = {"Cache-Control": f"private, max-age={KEPT_SECONDS}"}
    return Response(file, media_type="image/jpeg", headers=headers)


def _proposal(name: str, look: Look, store: Store, roots: Roots, *, remote_workers: bool) -> tuple[Suggestion, ...]:
    """By the pace of this machine, as far as that is known of what would be proposed without it."""
    listed = parents.listing().parents
    parent = next((one.name for one in listed if not one.missing or remote_workers), None)
    missing = listed[0].missing if listed and parent is None else None
    first = proposal.propose(look, parent=parent, missing=missing)
    try:
        spec = decode(SearchSpec, proposal.applied(first, {"dataset": name}))
        spec = admit(spec, store, roots, remote_workers=remote_workers)
        told = forecast(spec, store, roots, remote_workers=remote_workers)
    except (Problem, Malformed):  # which its submission would say
        return first
    seconds = told.seconds / told.trials if told.trainings and told.seconds else None
    return proposal.propose(look, parent=parent, missing=missing, trial_seconds=seconds) if seconds else first
