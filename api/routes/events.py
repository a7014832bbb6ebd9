"""What happens, as it happens."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response

from api.access import Asking, access, allowed, whose
from api.following import Stream
from api.history import Rows
from api.problems import documented
from nas.store import marks

EXAMPLE = (
    'retry: 1000\n\nid: 5f0d3a1c9b7e2846\nevent: changed\ndata: {"run": "0a1b2c3d4e5f", "mark": "5f0d3a1c9b7e2846"}\n\n'
)

router = APIRouter(tags=["runs"])


@router.get(
    "/events",
    operation_id="follow",
    summary="That something has changed, as it does",
    response_class=Response,
    responses={
        200: {
            "description": "Server-sent events",
            "content": {"text/event-stream": {"schema": {"type": "string"}, "example": EXAMPLE}},
        },
        **documented(_404="there is no run 'f00f00f00f00'", _429="50 streams of 10.0.0.9 are open"),
    },
)
def follow(
    request: Request,
    token: Asking,
    store: Rows,
    run: Annotated[
        str,
        Query(
            max_length=200,
            description="of this run, or several with commas between; devices: of these; the empty text: of the list",
        ),
    ] = "",
    last_event_id: Annotated[str | None, Header(description="the mark that is known, as browsers send it")] = None,
) -> Response:
    """Server-sent events: `changed` at once, unless the mark of the run is the one that is known, and again whenever
    anything of the run is other than it was, a quarter of a second later; `beat` while nothing is. What is other is to
    be asked for, by `/columns?after=` for instance. A mark holds for every process of the service, and after it was
    started again."""
    for name in run.split(","):
        if name not in (marks.ALL, marks.DEVICES):
            store.run(name)  # raises NotFound
    address = request.client.host if request.client else ""
    most = access(request).edge.most_of(address) // 2  # of its connections, so that there are some for the questions
    following = request.app.state.following
    return Stream(
        following, run, last_event_id, whose=whose(request, token), most=most, allowed=partial(allowed, request)
    )
