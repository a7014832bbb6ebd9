"""Runs side by side: by one objective, whatever each was searched for."""

from typing import Annotated

from fastapi import APIRouter, Query

from api import sides
from api.history import Histories, History
from api.problems import documented
from api.ranking import Ranking, Together
from api.routes.runs import UNKNOWN
from api.views.comparison import Comparison, comparison
from nas.objective import Objective
from nas.records import Run
from nas.refusal import Refusal
from nas.specs import GrowthSpec, SearchSpec

router = APIRouter(tags=["runs"])


@router.get("/comparison", summary="Runs and trials side by side", responses=documented(_404=UNKNOWN))
def compare(wanted: Annotated[Together, Query()], history: Histories) -> Comparison:
    """The fronts of up to six searches and growths, how the searches grew, in what their requests differ, and the knobs
    in which the networks that stand for them do. Nothing is stored or trained."""
    return compared(history, wanted.of, wanted)


def compared(history: History, of: str, ranking: Ranking) -> Comparison:
    """What `of` names, by the objective of its first search where the ranking has no other."""
    names = sides.named(of)
    runs = {run: history.store.run(run) for run, _ in names}
    objective, device = _ranked(list(runs.values()), ranking)
    read = [sides.read(history, runs[run], number, objective, device) for run, number in names]
    return comparison(read, objective, device)


def _ranked(runs: list[Run], ranking: Ranking) -> tuple[Objective, str]:
    if ranking.also is not None:
        raise Refusal(f"also {ranking.also!r} has no part in a comparison, which has one cost", field="also")
    for run in sorted(runs, key=lambda run: run.kind != "search"):
        if isinstance(run.spec, SearchSpec):
            objective, device = ranking.applied(run)
        elif isinstance(run.spec, GrowthSpec):
            own = Objective(metric=run.spec.metric, w_under=0.0, w_over=0.0)
            objective, device = ranking.instead(own, run.spec.devices, f"growth {run.id}")
        else:
            break
        return sides.plane(objective), device
    raise Refusal(f"run {runs[0].id} is a {runs[0].kind}: searches and growths are compared", field="of")
