"""What a search would take, before it is submitted."""

from typing import Annotated

from fastapi import APIRouter, Body, Request

from api import examples
from api.admission import admit
from api.bodies import JSONRoute, strictly
from api.forecast import Forecast, forecast
from api.history import Histories
from api.problems import TAKES_BODY, documented
from nas.specs import SearchSpec

router = APIRouter(prefix="/forecasts", tags=["searches"], route_class=JSONRoute)


@router.post("", summary="What a search would take", responses=documented(**TAKES_BODY))
def create_forecast(
    spec: Annotated[SearchSpec, strictly(SearchSpec), Body(openapi_examples=examples.SEARCHES)],
    request: Request,
    history: Histories,
) -> Forecast:
    """The body is that of a search; nothing is stored or begun."""
    remote, roots = request.app.state.remote_workers, request.app.state.roots
    spec = admit(spec, history.store, roots, remote_workers=remote)
    return forecast(spec, history.store, roots, remote_workers=remote)
