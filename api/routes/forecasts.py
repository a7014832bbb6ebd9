"""What a search would take, before it is submitted: from trainings of earlier ones."""

import math
import os
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Body, Request

from api import examples
from api.admission import admit, described
from api.bodies import JSONRoute, strictly
from api.history import Histories, History
from api.problems import TAKES_BODY, documented
from nas import spaces
from nas.limits import over_limit
from nas.networks.architecture import Images, random_choices
from nas.networks.counts import counts
from nas.plans.rungs import shares
from nas.recipes import Recipe
from nas.records import Trial
from nas.specs import SearchSpec
from nas.training_time import Training, pace
from nas.worth import Worth

MOST_TRAININGS = 200  # the newest
MOST_RUNS = 100
SAMPLE = 200  # networks drawn from the space
TRAINED_ON = 0.9  # of the training images; the others are kept out, to be scored

router = APIRouter(prefix="/forecasts", tags=["searches"], route_class=JSONRoute)


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """What a search would take, by as many trials as its hours allow; all is null where nothing has been measured."""

    trials: int
    """Trials that the search comes to."""
    trainings: int
    """Earlier trainings of the same space and dataset that it rests on."""
    trained_on: str | None = None
    """The machine of these, whose processor or GPU it names."""
    trial_seconds: float | None = None
    """Seconds of a trial."""
    seconds: float | None = None
    """Seconds of the search."""
    seconds_range: tuple[float, float] | None = None
    """Seconds of a search that tries the cheapest tenth of the networks that it may, and of one that tries the
    dearest."""
    compute_seconds: float | None = None
    """Seconds for which it holds processors or GPUs."""
    compute_seconds_range: tuple[float, float] | None = None
    """The same of the cheapest tenth, and of the dearest."""
    error: float | None = None
    """The mean relative error with which each of the earlier trainings is foretold from the others."""
    reason: str | None = None
    """Why there is no forecast."""
    worth: Worth | None
    """What the training of each candidate is worth."""


@router.post("", summary="What a search would take", responses=documented(**TAKES_BODY))
def create_forecast(
    spec: Annotated[SearchSpec, strictly(SearchSpec), Body(openapi_examples=examples.SEARCHES)],
    request: Request,
    history: Histories,
) -> Forecast:
    """The body is that of a search; nothing is stored or begun."""
    remote, roots = request.app.state.remote_workers, request.app.state.roots
    spec = admit(spec, history.store.agents.all(), roots, history.store.model, remote_workers=remote)
    past = _past(history, spec)
    if not past:
        reason = f"no training of space {spec.space!r} on dataset {spec.dataset!r} has been measured yet"
        return Forecast(trials=spec.trials, trainings=0, reason=reason, worth=spec.worth)
    info = spec.contents or described(spec.dataset, roots)
    whole = info.train_images
    trainings = [_training(trial, whole) for trial in past]
    learnt = pace(trainings)
    costs, images = sorted(_mult_adds(spec, info.as_seen(spec.resolution))), _mean_images(spec, whole)
    if not costs:
        reason = f"{SAMPLE} networks are all over the limits"
        return Forecast(trials=spec.trials, trainings=len(past), reason=reason, worth=spec.worth)
    tenth = len(costs) // 10
    each = [learnt.seconds(cost, images) for cost in (costs[tenth], sum(costs) / len(costs), costs[-1 - tenth])]
    # What holds whole processors has to wait for one; parts of a GPU are shared out to as many as are asked for.
    at_once = spec.parallel if remote or learnt.share < 1 else min(spec.parallel, os.cpu_count() or 1)
    side_by_side = min(at_once, spec.trials) * learnt.share
    compute = [_capped(spec.trials * one * learnt.share, spec.compute_hours, one * learnt.share) for one in each]
    seconds = [_capped(total / side_by_side, spec.hours, one) for total, one in zip(compute, each)]
    compute = [min(total, took * side_by_side) for total, took in zip(compute, seconds)]
    measured = past[0].measurement
    return Forecast(
        trials=min(spec.trials, math.ceil(compute[1] / (each[1] * learnt.share) - 1e-9)),
        trainings=len(past),
        trained_on=measured.trained_on if measured else None,
        trial_seconds=each[1],
        seconds=seconds[1],
        seconds_range=(seconds[0], seconds[2]),
        compute_seconds=compute[1],
        compute_seconds_range=(compute[0], compute[2]),
        error=learnt.error,
        worth=spec.worth,
    )


def _capped(seconds: float, hours: float | None, last: float) -> float:
    """What has begun when the hours are spent still ends."""
    return seconds if hours is None else min(seconds, 3600 * hours + last)


def _past(history: History, spec: SearchSpec) -> Sequence[Trial]:
    """Trained trials of the same space and dataset, the newest first, all on the machine of the newest."""
    trials: list[Trial] = []
    for run in history.store.runs(limit=MOST_RUNS):
        own = run.spec
        if isinstance(own, SearchSpec) and (own.space, own.dataset) == (spec.space, spec.dataset):
            trials += [trial for trial in reversed(history.trials(run.id)) if _counts(trial)]
    machines = [trial.measurement.trained_on if trial.measurement else None for trial in trials]
    return [trial for trial, machine in zip(trials, machines) if machine == machines[0]][:MOST_TRAININGS]


def _counts(trial: Trial) -> bool:
    measured = trial.measurement
    return measured is not None and measured.trained_on is not None and measured.train_seconds > 0


def _training(trial: Trial, whole: int) -> Training:
    measured, recipe = trial.measurement, trial.job.recipe
    assert measured is not None
    assert recipe is not None
    return Training(
        mult_adds=measured.mult_adds,
        images=_images(recipe, whole, trial.job.epochs_done if measured.inherited else 0),
        train_seconds=measured.train_seconds,
        seconds=measured.seconds,
        compute_seconds=trial.compute_seconds or measured.seconds,
    )


def _mean_images(spec: SearchSpec, whole: int) -> int:
    """That one of the search's trainings sees on the average, over its rungs if it has some."""
    if spec.fidelity is None:
        return _images(spec.recipe, whole)
    recipes, parts = spec.fidelity.recipes(spec.recipe), shares(spec.fidelity)
    images = sum(part * _images(recipe, whole) for part, recipe in zip(parts, recipes))
    for rung, below in enumerate(parts[:-1], 1):  # one in eta of which inherits and goes on
        recipe, done = recipes[rung], spec.fidelity.epochs_done(recipes, rung)
        images -= below / spec.fidelity.eta * (_images(recipe, whole) - _images(recipe, whole, done))
    return round(images)


def _images(recipe: Recipe, whole: int, done: int = 0) -> int:
    """That a candidate's trainings see, in all epochs together but those that are done."""
    folds = max(1, recipe.folds)
    each = round((1 - 1 / folds if folds > 1 else TRAINED_ON) * whole)
    return folds * (recipe.epochs - done) * min(recipe.train_images or each, each)


def _mult_adds(spec: SearchSpec, images: Images) -> list[int]:
    """Of networks that the search may try, drawn at random."""
    space = spaces.load(spec.space, spec.parent)
    knobs, draw = spaces.narrowed(space.knobs(images), spec.knobs), random.Random(spec.seed)
    drawn = (random_choices(knobs, draw) for _ in range(SAMPLE))
    counted = (counts(space.architecture(choices, images)) for choices in drawn)
    return [count.mult_adds for count in counted if over_limit(spec.limits, count) is None]
