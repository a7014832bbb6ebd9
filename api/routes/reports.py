"""A run as one file, for whoever has no access to the service."""

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from api.history import Histories, History
from api.problems import documented
from api.ranking import OWN
from api.report import page, style
from api.routes.comparisons import compared
from api.routes.runs import UNKNOWN, Id
from nas.records import Run
from nas.refusal import Refusal
from nas.specs import GrowthSpec, SearchSpec
from nas.store import NotFound

router = APIRouter(tags=["runs"])


@router.get(
    "/runs/{run}/report",
    summary="A run as one HTML file",
    response_class=HTMLResponse,
    responses=documented(_404=UNKNOWN),
)
def report(run: Id, history: Histories) -> HTMLResponse:
    """Of a search its verdict, its request, its front as a picture and a table, and how it grew; of a growth the family
    with its errors. The file needs no other, and runs no script."""
    row = history.store.run(run)
    return HTMLResponse(_written(history, row), headers={"Content-Security-Policy": style.POLICY})


def _written(history: History, run: Run) -> str:
    if isinstance(run.spec, SearchSpec):
        stands, alone = history.standing(run), compared(history, run.id, OWN)
        return page.of_search(history.search(run), stands.front, alone)
    if isinstance(run.spec, GrowthSpec):
        view = history.growth(run)
        return page.of_growth(view, compared(history, ",".join((run.id, *_source(history, run.spec))), OWN))
    raise Refusal(f"run {run.id} is a {run.kind}: reports are of searches and growths")


def _source(history: History, spec: GrowthSpec) -> tuple[str, ...]:
    """The search that the network is from, if it is still there."""
    if spec.source is None:
        return ()
    try:
        source = history.store.run(spec.source[0])
    except NotFound:
        return ()
    same = isinstance(source.spec, SearchSpec) and source.spec.dataset == spec.dataset
    alike = isinstance(source.spec, SearchSpec) and source.spec.devices[0] in spec.devices
    return (source.id,) if same and alike else ()
