"""Searches: submit, list, look at, raise the budget, and rank again what was measured."""

from typing import Annotated

from fastapi import APIRouter, Body, Query, Request, Response

from api import examples
from api.access import Asker
from api.admission import admit, unchanged
from api.bodies import JSONRoute, strictly
from api.history import Histories
from api.problems import TAKES_BODY, documented
from api.ranking import Ranking
from api.requests import Budget
from api.routes.runs import UNKNOWN, Id, run_of
from api.views import search
from api.views.search import Pareto, Search
from nas.specs import SearchSpec

router = APIRouter(prefix="/searches", tags=["searches"], route_class=JSONRoute)


@router.post("", status_code=201, summary="Submit a search", responses=documented(**TAKES_BODY))
def create_search(
    spec: Annotated[SearchSpec, strictly(SearchSpec), Body(openapi_examples=examples.SEARCHES)],
    request: Request,
    response: Response,
    history: Histories,
    asker: Asker,
) -> Search:
    """Takes it if everything it names exists here and fits together; workers begin within seconds. Whatever is left out
    has the default shown in the schema; `recipe` and `objective` may be given in part."""
    state = request.app.state
    spec = admit(
        spec, history.store.agents.all(), state.roots, history.store.model, remote_workers=state.remote_workers
    )
    run = history.store.add_run("search", spec, asker)
    response.headers["Location"] = f"/v1/searches/{run.id}"
    return search.view(run, ())


@router.patch(
    "/{run}",
    summary="Raise the budget of a search",
    responses=documented(
        **TAKES_BODY, _404=UNKNOWN, _409="trials 3 is less than run 0a1b2c3d4e5f has begun: give at least 8"
    ),
)
def raise_budget(
    run: Id,
    budget: Annotated[Budget, strictly(Budget), Body(openapi_examples=examples.BUDGETS)],
    request: Request,
    history: Histories,
    asker: Asker,
) -> Search:
    """A search that has finished goes on; what it has learnt is kept. Its images have to be what they were."""
    unchanged(run_of(history.store, "search", run).spec, request.app.state.roots)
    raised = history.store.raise_budget(
        run, budget.trials, hours=budget.hours, compute_hours=budget.compute_hours, by=asker
    )
    return search.view(raised, history.trials(run))


@router.get("/{run}/pareto", summary="The Pareto front of a search", responses=documented(_404=UNKNOWN))
def pareto(run: Id, ranking: Annotated[Ranking, Query()], history: Histories) -> Pareto:
    """Measured candidates that no other beats, ranked by accuracy × (cost / target)^w. Another cost, target, exponent,
    form, metric or device ranks again what was measured; nothing is stored or trained."""
    row = run_of(history.store, "search", run)
    objective, device = ranking.applied(row)
    return search.pareto(row, history.trials(run), objective, device)
