"""The HTTP service: `create_app(store)` puts the API under /v1 and the dashboard at /."""

import asyncio
import copy
import mimetypes
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Depends, FastAPI
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from api import document
from api.access import Access, allowed
from api.archives import Archives
from api.crowd import Crowd
from api.edge import Edge
from api.following import Following
from api.gate import Gate, known_parameters
from api.history import History
from api.journal import Journal
from api.problems import HANDLERS
from api.routes import (
    agents,
    benchmarks,
    boards,
    catalogue,
    comparisons,
    disk,
    events,
    files,
    forecasts,
    growths,
    health,
    images,
    looks,
    models,
    owners,
    parents,
    probes,
    proxies,
    reports,
    runs,
    searches,
    tokens,
    trials,
)
from api.telemetry import Telemetry
from api.waiting import Waiting
from nas.roots import Roots
from nas.store import Store
from nas.version import version

DASHBOARD = Path(__file__).parent / "dashboard"
NOWHERE = Roots()
DESCRIPTION = """Give it images, a device and a latency or compute budget; get the best network that fits.

Submit a search, look at its Pareto front, grow its best network into a family, download the checkpoints. Every error is
an RFC 9457 problem document whose `errors` name each wrong value; a misspelt field or parameter is refused. Times are
seconds since 1970, UTC; accuracies are in [0, 1]; `mult_adds` are the multiply-adds of one image. What answers GET
answers HEAD."""


class Service(FastAPI):
    """FastAPI with a document that is completed from the records of its `routers`, and a journal."""

    routers: Sequence[APIRouter] = ()

    def build_middleware_stack(self) -> ASGIApp:
        answered = self.state.telemetry.answered
        return Journal(super().build_middleware_stack(), answered)  # around the answer to what nobody expected, too

    def openapi(self) -> dict[str, Any]:
        if not self.openapi_schema:
            document.complete(super().openapi(), self.routers)
        return super().openapi()


def create_app(
    store: Store,
    edge: Edge,
    roots: Roots = NOWHERE,
    *,
    remote_workers: bool = False,
    coordinator: Callable[[], str | None] = lambda: None,
) -> FastAPI:
    """The service on `store`, reached as `edge` says. Images in folders are read in the `roots` alone.

    With `remote_workers` a device need not be on this machine to be taken; `coordinator` says how the one beside this
    process is, None where there is none.
    """
    app = Service(
        title="nas-service",
        version=version(),
        description=DESCRIPTION,
        openapi_url="/v1/openapi.json",
        docs_url=None,  # they would load scripts from elsewhere, and work offline only by half
        redoc_url=None,
        dependencies=[Depends(known_parameters), Depends(allowed)],
        servers=[{"url": edge.prefix or "/"}],
        exception_handlers=HANDLERS,
        generate_unique_id_function=_operation,
        separate_input_output_schemas=False,
    )
    app.state.history = History(store)
    app.state.telemetry = Telemetry(store)
    app.state.access = Access(store, edge)
    app.state.roots = roots
    app.state.checking = asyncio.Lock()  # one archive at a time, as each may take 2 GB
    app.state.archives = Archives()
    app.state.remote_workers = remote_workers
    app.state.coordinator = coordinator
    app.state.leaving = lambda: False  # whoever runs the server may know better
    app.state.waiting = Waiting(store.agents.unanswered, lambda: app.state.leaving())
    app.state.following = Following(store.marks, lambda: app.state.leaving(), edge.limits.connections // 2)
    app.add_middleware(Crowd, edge=edge)
    app.add_middleware(Gate, edge=edge)
    app.routers = (
        searches.router,
        forecasts.router,
        runs.common("search"),
        growths.router,
        runs.common("growth"),
        benchmarks.router,
        runs.common("benchmark"),
        proxies.router,
        runs.common("proxy"),
        runs.router,
        comparisons.router,
        events.router,
        reports.router,
        trials.router,
        models.router,
        files.router,
        catalogue.router,
        health.router,
        boards.router,
        parents.router,
        looks.router,
        images.router,
        disk.router,
        agents.router,
        tokens.router,
        tokens.session,
        owners.router,
        owners.quotas,
    )
    for router in app.routers:
        app.include_router(router, prefix="/v1")
        app.include_router(_heads(router), prefix="/v1")
    app.routers = (*app.routers, probes.router)
    app.include_router(probes.router)
    app.include_router(_heads(probes.router))
    _serve_dashboard(app)
    return app


def _operation(route: APIRoute) -> str:
    return route.name


def _heads(router: APIRouter) -> APIRouter:
    """Of each route that answers GET one that answers HEAD: as that does, and the server sends no body."""
    heads = APIRouter()
    for route in router.routes:
        if isinstance(route, APIRoute) and "GET" in (route.methods or ()):
            head = copy.copy(route)
            head.methods, head.include_in_schema = {"HEAD"}, False
            heads.routes.append(head)
    return heads


def _serve_dashboard(app: FastAPI) -> None:
    mimetypes.add_type("text/javascript", ".js")  # some systems' tables say otherwise, and browsers then refuse it
    files = StaticFiles(directory=DASHBOARD)

    async def dashboard(request: Request) -> Response:
        response = await files.get_response(request.path_params.get("file", "index.html"), request.scope)
        response.headers["Cache-Control"] = "no-cache"  # asked for again each time, answered with 304 by its ETag
        return response

    for path in ("/", "/{file}"):
        app.add_route(path, dashboard, methods=["GET", "HEAD"], include_in_schema=False)
