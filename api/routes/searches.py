"""Searches: submit, list, look at, raise the budget, and rank again what was measured."""

import contextlib
import dataclasses
from typing import Annotated, Any

from fastapi import APIRouter, Body, Query, Request, Response

from api import examples
from api.access import Asker
from api.admission import admit, unchanged
from api.answering import Answers
from api.bodies import JSONRoute, Repeatable, strictly
from api.history import Histories, Rows
from api.problems import TAKES_BODY, WRITES, documented
from api.ranking import Ranking
from api.requests import Budget
from api.routes.runs import UNKNOWN, Id, run_of
from api.routes.trials import Number
from api.views import knobs, predictions
from api.views.columns import NAMES, Columns, columns
from api.views.front import Pareto
from api.views.knobs import Knobs
from api.views.predictions import Predictions
from api.views.search import Search
from nas import usage
from nas.codec import least
from nas.refusal import Refusal
from nas.specs import SearchSpec

MOST_RUNNING = 1000

router = APIRouter(prefix="/searches", tags=["searches"], route_class=JSONRoute)


@router.post("", status_code=201, summary="Submit a search", responses=documented(**TAKES_BODY))
def create_search(
    spec: Annotated[SearchSpec, strictly(SearchSpec), Body(openapi_examples=examples.SEARCHES)],
    request: Request,
    response: Response,
    history: Histories,
    asker: Asker,
    sending: Repeatable,
) -> Search:
    """Takes it if everything it names exists here and fits together; workers begin within seconds. Whatever is left out
    has the default shown in the schema; `recipe` and `objective` may be given in part. Sent again with the same
    Idempotency-Key it is answered with the search that there is, until that is deleted; with the key of another body it
    is refused."""
    state, store = request.app.state, history.store
    run = sending and store.sent(sending)
    if not run:
        usage.require(store, asker)
        spec = admit(spec, store, state.roots, remote_workers=state.remote_workers)
        run = store.add_run("search", spec, asker, sending=sending)
    response.headers["Location"] = f"/v1/searches/{run.id}"
    return history.search(run)


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
    before = run_of(history.store, "search", run)
    usage.require(history.store, before.submitted_by)
    unchanged(before.spec, request.app.state.roots)
    raised = history.store.raise_budget(
        run, budget.trials, hours=budget.hours, compute_hours=budget.compute_hours, by=asker
    )
    return history.search(raised)


@router.post(
    "/{run}/trials/{number}/measure",
    operation_id="measure_again",
    summary="Measure the latency of a search's network again",
    responses=documented(
        **WRITES,
        _404="run 0a1b2c3d4e5f has no trial 7",
        _409="trial 7 of run 0a1b2c3d4e5f is failed and has no latency",
    ),
)
def measure_again(run: Id, number: Number, history: Histories, asker: Asker) -> Search:
    """By a trial of its own, which the search has beyond its budget; of the two latencies the one that is known better
    counts. A search that has finished goes on for it."""
    run_of(history.store, "search", run)
    return history.search(history.store.measure_again(run, number, asker))


@router.get("/{run}/request", summary="What asks for a search like this", responses=documented(_404=UNKNOWN))
def search_request(run: Id, store: Rows) -> dict[str, Any]:
    """The body of a request that submits the same search again, in its fields that are not what they would be anyway.
    Its images may be others meanwhile; epochs and folds are as they were settled, and the budget as it is now."""
    row = run_of(store, "search", run)
    spec = row.spec
    assert isinstance(spec, SearchSpec)
    recipe = dataclasses.replace(spec.recipe, folds=max(1, spec.recipe.folds))  # of which old searches say nothing
    body = least(dataclasses.replace(spec, contents=None, worth=None, recipe=recipe))
    if row.trials != spec.trials:
        with contextlib.suppress(Refusal):  # so few may be too few for what else is asked for
            dataclasses.replace(spec, trials=row.trials)
            body["trials"] = row.trials
    return body


@router.get("/{run}/pareto", summary="The Pareto front of a search", responses=documented(_404=UNKNOWN))
def pareto(run: Id, ranking: Annotated[Ranking, Query()], history: Histories) -> Pareto:
    """Measured candidates that no other beats, ranked by accuracy × (cost / target)^w. Another cost, target, exponent,
    form, metric or device ranks again what was measured; nothing is stored or trained."""
    row = run_of(history.store, "search", run)
    objective, device = ranking.applied(row)
    return history.ranked(row, objective, device).pareto


@router.get("/{run}/knobs", summary="Which knobs of a search mattered", responses=documented(_404=UNKNOWN))
def search_knobs(run: Id, ranking: Annotated[Ranking, Query()], history: Histories) -> Knobs:
    """What each knob had to do with reaching the best of what was measured, what networks with each of its choices came
    to, and the networks by what they chose. Ranked as the front is."""
    row = run_of(history.store, "search", run)
    objective, device = ranking.applied(row)
    points = history.ranked(row, objective, device).points
    trials = history.read(row.id, knobs.looked_at([*points]))
    return knobs.view(points, {trial.number: trial.job.choices for trial in trials}, objective, device)


@router.get("/{run}/predictions", summary="Latencies as predicted", responses=documented(_404=UNKNOWN))
def search_predictions(run: Id, history: Histories) -> Predictions:
    """What was predicted of networks before they were measured, beside what was measured, on the first device. Nothing
    is predicted where too little was measured on it before the search began."""
    row = run_of(history.store, "search", run)
    assert isinstance(row.spec, SearchSpec)
    ended = [number for (number,) in history.store.outlines(row.id, ("number",), finished=...)]
    return predictions.view(history.read(row.id, ended[-predictions.MOST :]), row.spec.devices[0])


@router.get(
    "/{run}/columns",
    summary="The trials of a search as columns",
    response_model=Columns,
    responses=documented(_404=UNKNOWN),
)
def search_columns(
    run: Id,
    store: Rows,
    answer: Answers,
    after: Annotated[int, Query(ge=0, description="how many trials have ended with those that are known")] = 0,
    limit: Annotated[int, Query(ge=1, le=20_000, description="trials at most")] = 20_000,
) -> Response:
    """What a plot and a table need of each trial that has ended, a thirtieth of what the trials themselves take; and
    those that are running, whole."""
    run_of(store, "search", run)
    running = store.lines(run, -1, MOST_RUNNING, "running")
    rows = store.told(run, NAMES, after, limit + 1)
    since = {row[0] for row in rows}  # have ended between the two questions
    running = [line for line in running if line.number not in since]
    return answer.response(columns(rows[:limit], len(rows) > limit, after, running), packed=True)
