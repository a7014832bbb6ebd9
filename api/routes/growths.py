"""Growths: one architecture that a search found, grown into a family."""

import dataclasses
from typing import Annotated

from fastapi import APIRouter, Body, Request, Response

from api import admission, examples
from api.access import Asker
from api.bodies import JSONRoute, blamed, strictly
from api.history import Histories, History
from api.problems import TAKES_BODY, Problem, documented, refused, together
from api.requests import GrowthRequest
from api.routes.runs import run_of
from api.views import growth, search
from api.views.growth import Growth
from nas import worth
from nas.datasets import Changed, DatasetInfo, Remark, require_fitting, require_same
from nas.plans.growth import member
from nas.records import Trial
from nas.refusal import Faults
from nas.roots import Roots
from nas.specs import GrowthSpec, SearchSpec
from nas.store import NotFound

router = APIRouter(prefix="/growths", tags=["growths"], route_class=JSONRoute)


@router.post(
    "",
    status_code=201,
    summary="Grow a network into a family",
    responses=documented(**TAKES_BODY, _409="search 0a1b2c3d4e5f has measured no trial yet: wait for its first"),
)
def create_growth(
    wanted: Annotated[GrowthRequest, strictly(GrowthRequest), Body(openapi_examples=examples.GROWTHS)],
    request: Request,
    response: Response,
    history: Histories,
    asker: Asker,
) -> Growth:
    """Every member is measured, trained, scored once a seed and saved. Where networks of the same search were tested
    before, the answer's `hint` and an event say so."""
    remote, faults = request.app.state.remote_workers, Faults()
    spec = specified(wanted, history, request.app.state.roots, remote_workers=remote)
    admission.check_devices(faults, spec.devices, history.store.agents.all(), remote)
    if faults:
        raise together(faults)
    hint = growth.hint(spec, history.store.tests(wanted.search))
    run = history.store.add_run("growth", spec, asker, hint)
    response.headers["Location"] = f"/v1/growths/{run.id}"
    return growth.view(run, (), hint)


def specified(wanted: GrowthRequest, history: History, roots: Roots, *, remote_workers: bool = False) -> GrowthSpec:
    """What is stored of the request. Raises Problem where it names what is not there or cannot be grown."""
    try:
        admission.name(wanted.name)
        search = run_of(history.store, "search", wanted.search)
    except NotFound as error:
        raise refused("/search", wanted.search, f"search {wanted.search!r} cannot be grown: {error}") from error
    except ValueError as error:
        raise blamed(wanted, error, "name") from error
    assert isinstance(search.spec, SearchSpec)
    source = _source(wanted, search.spec, history.trials(search.id))
    try:
        info = admission.described(search.spec.dataset, roots)
        contents = _contents(search.spec, source, info)
    except ValueError as error:
        detail = f"search {wanted.search!r} cannot be grown: {error}"
        raise refused("/search", wanted.search, detail) from error
    faults = Faults()
    recipe = admission.admit_recipe(
        faults, "recipe", wanted.recipe, info, roots, history.store.model, remote_workers=remote_workers
    )
    if faults:
        raise together(faults)
    try:
        spec = GrowthSpec(
            name=wanted.name,
            dataset=search.spec.dataset,
            contents=contents,
            space=search.spec.space,
            architecture=source.job.architecture,
            source=(search.id, source.number),
            members=wanted.members,
            scaling=wanted.scaling,
            devices=search.spec.devices if wanted.devices is None else wanted.devices,
            recipe=worth.settled(recipe, info, final=wanted.scored_on == "test"),
            parallel=wanted.parallel,
            seed=wanted.seed,
            seeds=wanted.seeds,
            scored_on=wanted.scored_on,
            metric=search.spec.objective.metric,
            inherit=wanted.inherit,
            parent=_weights(source) if wanted.inherit else None,
        )
        for name in spec.members:
            admission.roomy(member(spec.architecture, name, spec.scaling), remote_workers)
    except ValueError as error:
        raise blamed(wanted, error, "members") from error
    return spec


def _weights(source: Trial) -> str | None:
    """The checkpoint of the trial, if it is there to stay."""
    return source.measurement.weights if source.measurement and not source.job.handed_on else None


def _contents(search: SearchSpec, source: Trial, info: DatasetInfo) -> DatasetInfo | None:
    """The images as they are now, with a word where these are not the search's. Raises ValueError where they do not fit
    the network."""
    if search.contents is None:
        return None
    images = source.job.architecture.images
    require_fitting(info, images.channels, images.classes)
    try:
        require_same(search.contents, info)
    except Changed as error:
        remark = Remark(kind="changed", text=f"since search {source.run}, {error.what}")
        return dataclasses.replace(info, remarks=(*info.remarks, remark))
    return info


def _source(wanted: GrowthRequest, spec: SearchSpec, trials: tuple[Trial, ...]) -> Trial:
    """The trial to grow from: one with an accuracy."""
    if wanted.trial is None:
        best = search.best(search.among(trials, spec.objective, spec.devices[0]))
        if best is None:
            raise Problem(409, f"search {wanted.search} has measured no trial yet: wait for its first")
        return trials[best.number]
    measured = [trial for trial in trials if trial.measurement and trial.measurement.accuracy is not None]
    for trial in measured:
        if trial.number == wanted.trial:
            return trial
    state = {trial.number: trial.state for trial in trials}.get(wanted.trial)
    why = f"is {state}, without an accuracy" if state else "does not exist"
    choose = ", ".join(str(trial.number) for trial in measured[:20]) or "none yet"
    detail = f"trial {wanted.trial} of search {wanted.search} {why}: choose among {choose}"
    if state == "running":
        raise Problem(409, detail)
    raise refused("/trial", wanted.trial, detail)
