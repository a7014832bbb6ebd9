"""One trial by itself: its network stage by stage, and as a picture."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Path
from fastapi.responses import Response

from api.history import Rows
from api.problems import documented
from api.routes.runs import Id
from nas.networks import describe, drawing
from nas.networks.describe import Line

NO_TRIAL = "run 0a1b2c3d4e5f has no trial 7"
Number = Annotated[int, Path(ge=0, description="the number of the trial")]

router = APIRouter(tags=["runs"])


@dataclass(frozen=True, kw_only=True)
class Stages:
    """A network stage by stage."""

    stages: tuple[Line, ...]
    """The stages, from the stem to the classifier; those that are alike and follow each other are one."""
    device: str | None
    """The device whose latency is told by stages, as its runtime tells it; null where none of the trial's did."""


@router.get("/runs/{run}/trials/{number}/stages", summary="A network by stages", responses=documented(_404=NO_TRIAL))
def trial_stages(run: Id, number: Number, store: Rows) -> Stages:
    """What each stage has of the trial's parameters and multiply-adds, by arithmetic, and of its latency."""
    trial = store.trial(run, number)
    latencies = trial.measurement.latencies if trial.measurement else {}
    device, shares = next(((name, each.shares) for name, each in latencies.items() if each.shares), (None, ()))
    return Stages(stages=tuple(describe.table(trial.job.architecture, shares)), device=device)


@router.get(
    "/runs/{run}/trials/{number}/drawing",
    summary="A network as a picture",
    response_class=Response,
    responses=documented(_404=NO_TRIAL) | {200: {"content": {"image/svg+xml": {}}, "description": "The picture."}},
)
def trial_drawing(run: Id, number: Number, store: Rows) -> Response:
    """As SVG: slabs as tall as the image and as thick as the channels that a layer leaves."""
    picture = drawing.svg(store.trial(run, number).job.architecture, f"Trial {number}")
    policy = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
    return Response(picture, media_type="image/svg+xml", headers={"Content-Security-Policy": policy})
