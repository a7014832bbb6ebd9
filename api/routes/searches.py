"""Searches: submit, list, look at, raise the budget, and rank again what was measured."""

import dataclasses
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Body, Query, Request, Response

from api import examples
from api.admission import admit
from api.bodies import JSONRoute, strictly
from api.history import Histories, Rows
from api.problems import TAKES_BODY, documented, refused
from api.routes.runs import UNKNOWN, Id, run_of
from api.views import search
from api.views.search import Pareto, Search
from nas.objective import Cost, Form
from nas.refusal import Refusal
from nas.specs import SearchSpec

router = APIRouter(prefix="/searches", tags=["searches"], route_class=JSONRoute)


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What can be changed of a search; what is left out stays."""

    __pydantic_config__ = {"extra": "forbid"}

    trials: int | None = None
    hours: float | None = None
    compute_hours: float | None = None

    def __post_init__(self) -> None:
        if self.trials is None and self.hours is None and self.compute_hours is None:
            raise Refusal("trials, hours and compute_hours are all left out: give one")


@router.post("", status_code=201, summary="Submit a search", responses=documented(**TAKES_BODY))
def create_search(
    spec: Annotated[SearchSpec, strictly(SearchSpec), Body(openapi_examples=examples.SEARCHES)],
    request: Request,
    response: Response,
    history: Histories,
) -> Search:
    """Takes it if everything it names exists here and fits together; workers begin within seconds. Whatever is left out
    has the default shown in the schema; `recipe` and `objective` may be given in part."""
    admit(spec, history.store.agents.all(), remote_workers=request.app.state.remote_workers)
    run = history.store.add_run("search", spec)
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
    history: Histories,
) -> Search:
    """A search that has finished goes on; what it has learnt is kept."""
    run_of(history.store, "search", run)
    raised = history.store.raise_budget(run, budget.trials, hours=budget.hours, compute_hours=budget.compute_hours)
    return search.view(raised, history.trials(run))


@router.get("/{run}/pareto", summary="The Pareto front of a search", responses=documented(_404=UNKNOWN))
def pareto(
    run: Id,
    history: Histories,
    store: Rows,
    cost: Annotated[Cost | None, Query(description="the cost to rank by; the search's own if left out")] = None,
    target: Annotated[float | None, Query(description="the target T, in units of the cost")] = None,
    w: Annotated[str | None, Query(description='the exponent, or "UNDER,OVER" the target', examples=["-0.07"])] = None,
    w_under: Annotated[float | None, Query(description="the exponent up to the target alone")] = None,
    w_over: Annotated[float | None, Query(description="the exponent above the target alone")] = None,
    form: Annotated[
        Form | None, Query(description="of the reward: product or absolute; front ranks by product")
    ] = None,
    also: Annotated[Cost | None, Query(description="a second cost that counts as well, with form front")] = None,
    device: Annotated[
        str | None, Query(description="rank by the latency on this one of the search's devices", examples=["cpu"])
    ] = None,
) -> Pareto:
    """Measured candidates that no other beats, ranked by accuracy × (cost / target)^w. Another cost, target, exponent,
    form or device ranks again what was measured; nothing is stored or trained."""
    found = run_of(store, "search", run)
    spec = found.spec
    assert isinstance(spec, SearchSpec)
    if device is not None:
        if device not in spec.devices:
            known = ", ".join(spec.devices)
            raise refused("?device", device, f"search {run} was not measured on device {device!r}: there are {known}")
        cost = cost or (None if "latency_ms" in spec.objective.costs else "latency_ms")
    if cost not in (None, spec.objective.cost) and target is None:
        detail = f"target is missing: search {run} has one for {spec.objective.cost}, and cost {cost!r} needs its own"
        raise refused("?target", None, detail)
    both = _exponents(w) if w is not None else (None, None)
    exponents = {"w_under": _first(w_under, both[0]), "w_over": _first(w_over, both[1])}
    if also is None and form in (None, "front"):
        also = spec.objective.cost if cost and cost == spec.objective.also else spec.objective.also
    given = {"cost": cost, "target": target, "form": form, **exponents}
    changes = {name: value for name, value in given.items() if value is not None} | {"also": also}
    try:
        objective = dataclasses.replace(spec.objective, **changes)  # type: ignore[arg-type]
    except ValueError as error:
        name = str(error).partition(" ")[0]
        raise refused(f"?{name}", changes[name], str(error)) from error
    if device is not None and "latency_ms" not in objective.costs:
        raise refused("?device", device, f"device {device!r} has no part in cost {cost!r}: leave one of them out")
    return search.pareto(found, history.trials(run), objective, device or spec.devices[0])


def _exponents(w: str) -> tuple[float, float]:
    try:
        numbers = [float(part) for part in w.split(",")]
        if len(numbers) > 2:
            raise ValueError(w)
    except ValueError:
        raise refused("?w", w, f"w {w!r} is neither a number nor two with a comma between, under and over") from None
    return numbers[0], numbers[-1]


def _first(*values: float | None) -> float | None:
    return next((value for value in values if value is not None), None)
