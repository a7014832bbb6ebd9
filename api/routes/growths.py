"""Growths: one architecture that a search found, grown into a family."""

import contextlib
import dataclasses
import math
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Body, Request, Response

from api import admission, descent, examples
from api.bodies import JSONRoute, Sent, blamed, strictly
from api.descent import Models
from api.history import Histories, History, Submitter
from api.problems import TAKES_BODY, Problem, documented, refused, together
from api.requests import GrowthRequest
from api.routes.runs import run_of
from api.views import growth
from api.views.growth import Growth
from nas import parents, worth
from nas.codec import decode, encode
from nas.datasets import Changed, DatasetInfo, Remark, require_fitting, require_same
from nas.kinship import obstacles
from nas.networks.members import budget, is_measured, largest
from nas.networks.scaling import CompoundScaling
from nas.recipes import RECIPES, Recipe
from nas.records import ENDED, Run, Trial
from nas.refusal import Faults
from nas.roots import Roots
from nas.specs import GrowthSpec, SearchSpec
from nas.specs.growth import among
from nas.store import NotFound

router = APIRouter(prefix="/growths", tags=["growths"], route_class=JSONRoute)


@router.post(
    "",
    status_code=201,
    summary="Grow a network into a family",
    responses=documented(**TAKES_BODY, _409="search 0a1b2c3d4e5f has measured no network yet: wait for its first"),
)
def create_growth(
    wanted: Annotated[GrowthRequest, strictly(GrowthRequest), Body(openapi_examples=examples.GROWTHS)],
    request: Request,
    response: Response,
    said: Sent,
    history: Histories,
    asker: Submitter,
) -> Growth:
    """Every member is measured, trained, scored once a seed and saved. Where networks of the same search were tested
    before, the answer's `hint` and an event say so."""
    remote, faults = request.app.state.remote_workers, Faults()
    spec = specified(wanted, said, history, request.app.state.roots, remote_workers=remote)
    admission.check_devices(faults, spec.devices, history.store.agents.all(), remote)
    if faults:
        raise together(faults)
    hint = growth.hint(spec, history.store.tests(wanted.search))
    run = history.store.add_run("growth", spec, asker, hint)
    response.headers["Location"] = f"/v1/growths/{run.id}"
    return growth.view(run, (), hint)


def specified(
    wanted: GrowthRequest, said: Mapping[str, Any], history: History, roots: Roots, *, remote_workers: bool = False
) -> GrowthSpec:
    """What is stored of the request, of which this was `said`. Raises Problem where it names what is not there or
    cannot be grown."""
    try:
        admission.name(wanted.name)
        search = run_of(history.store, "search", wanted.search)
    except NotFound as error:
        detail = f"search {wanted.search!r} cannot be grown: {error}"
        raise refused("/search", wanted.search, detail, elsewhere=error.elsewhere) from error
    except ValueError as error:
        raise blamed(wanted, error, "name") from error
    searched = search.spec
    assert isinstance(searched, SearchSpec)
    source = _source(wanted, search, history)
    try:
        info = admission.described(searched.dataset, roots)
        contents = _contents(searched, source, info)
    except ValueError as error:
        detail = f"search {wanted.search!r} cannot be grown: {error}"
        raise refused("/search", wanted.search, detail) from error
    faults, models, final = Faults(), history.store.model, wanted.scored_on == "test"
    parent = faults.check(
        "/parent", wanted.parent, lambda: _parent(wanted, source, searched, roots, models, remote_workers)
    )
    if wanted.inherit and wanted.parent is None:
        faults.check("/inherit", wanted.inherit, lambda: _check_kept(source, history))
    recipe = _recipe(said, wanted, searched, parent)
    within = recipe.teacher if among(wanted.members, recipe.teacher) else None
    recipe = admission.admit_recipe(
        faults,
        "recipe",
        dataclasses.replace(recipe, teacher=None) if within else recipe,
        info,
        roots,
        models,
        final=final,
        remote_workers=remote_workers,
    )
    handed_on = (wanted.inherit or within is not None) and not final and not info.validation_images
    if handed_on and (folds := said.get("recipe", {}).get("folds") or 1) > 1:
        faults.add("/recipe/folds", folds, f"members hand on what they have seen of all {folds} folds: give folds 1")
    if handed_on:
        recipe = dataclasses.replace(recipe, folds=1)
    fitted = faults.check("/coefficients", wanted.coefficients, lambda: _fitted(wanted.coefficients, history))
    candidates = faults.check("/fit", encode(wanted.fit), lambda: _candidates(wanted, source))
    for index, name in enumerate(wanted.members):
        faults.check(f"/members/{index}", name, lambda: budget(name))  # noqa: B023  # at once
    if faults:
        raise together(faults)
    try:
        spec = GrowthSpec(
            name=wanted.name,
            dataset=searched.dataset,
            contents=contents,
            space=searched.space,
            architecture=source.job.architecture,
            source=(search.id, source.number),
            members=tuple(dict.fromkeys((*wanted.named(), *(candidates or ())))),
            scaling=fitted or wanted.scaling,
            fitted_by=wanted.coefficients,
            fit=wanted.fit,
            devices=searched.devices if wanted.devices is None else wanted.devices,
            recipe=dataclasses.replace(worth.settled(recipe, info, final=final), teacher=within or recipe.teacher),
            parallel=wanted.parallel,
            priority=wanted.priority,
            seed=wanted.seed,
            seeds=wanted.seeds,
            processes=wanted.processes,
            scored_on=wanted.scored_on,
            drop_dominated=wanted.drop_dominated,
            metric=searched.objective.metric,
            precision=searched.objective.precision,
            inherit=wanted.inherit,
            parent=parent,
        )
    except ValueError as error:
        raise blamed(wanted, error, "members") from error
    faults.check("/recipe/teacher", within, spec.check_teacher)
    for index, name in enumerate(spec.members):
        faults.check(f"/members/{index}", name, lambda: _roomy(spec, name, remote_workers))  # noqa: B023  # at once
    if faults:
        raise together(faults)
    return spec


def _fitted(run: str | None, history: History) -> CompoundScaling | None:
    """The factors that this growth has fitted. Raises ValueError where it has not yet, or is none that does."""
    if run is None:
        return None
    try:
        fitting = run_of(history.store, "growth", run)
    except NotFound as error:
        raise ValueError(f"coefficients of growth {run!r} cannot be taken: {error}") from error
    assert isinstance(fitting.spec, GrowthSpec)
    if fitting.spec.fit is None:
        raise ValueError(f"growth {run} has fitted no coefficients: name one with a fit")
    if fitting.state not in ENDED:
        raise ValueError(f"growth {run} is {fitting.state}: its fit is known when it has ended")
    fitted = growth.view(fitting, history.trials(run)).fitted
    if fitted is None:
        raise ValueError(f"growth {run} is {fitting.state}, without a score of a candidate: fit again")
    return fitted.scaling


def _candidates(wanted: GrowthRequest, source: Trial) -> tuple[str, ...]:
    return tuple(wanted.fit.candidates(source.job.architecture)) if wanted.fit else ()


def _roomy(spec: GrowthSpec, name: str, remote_workers: bool) -> None:
    """Raise ValueError for a member that cannot be, or that the workers have no memory for."""
    if not is_measured(name):
        network = spec.scaled(name).architecture
        try:
            admission.roomy(network, remote_workers)
        except ValueError as error:
            scaling = spec.scaling or CompoundScaling()
            most = largest(spec.architecture, scaling, lambda one: admission.too_large(one, remote_workers) is None)
            hint = f": the largest that fits is phi={math.floor(100 * most) / 100:g}" if most is not None else ""
            raise ValueError(f"member {name}: {error}{hint}") from error


def _parent(
    wanted: GrowthRequest, source: Trial, search: SearchSpec, roots: Roots, models: Models, remote_workers: bool
) -> str | None:
    """What the members begin with, by the name that the workers know. Raises ValueError for a parent that is not there,
    or that the network cannot begin with."""
    if wanted.parent is None:
        return (_weights(source) if wanted.inherit else None) or (search.parent if source.job.parent else None)
    stored = descent.parent(wanted.parent, roots, models, remote_workers=remote_workers)
    known, network = parents.described(stored), source.job.architecture
    if reasons := obstacles(known.architecture, network):
        raise ValueError(
            f"trial {source.number} cannot begin with the weights of {wanted.parent!r}: {'; '.join(reasons)}"
        )
    return stored


def _check_kept(source: Trial, history: History) -> None:
    """Raise ValueError where the trial's weights were saved, and are there no more."""
    if source.number not in history.store.removed(source.run):
        return
    kept = {row.number for row in history.store.models(source.run)}
    others = f", a trial whose weights are kept ({', '.join(map(str, sorted(kept)[:10]))})" if kept else ""
    reason = history.store.model(f"{source.run}-{source.number}").removed
    raise ValueError(
        f"trial {source.number} has no weights to hand on any more: they were removed ({reason}). Leave inherit out, "
        f"or give a parent{others}"
    )


def _weights(source: Trial) -> str | None:
    """The checkpoint of the trial, if it is there to stay."""
    return source.measurement.weights if source.measurement and not source.job.handed_on else None


def _recipe(said: Mapping[str, Any], wanted: GrowthRequest, search: SearchSpec, parent: str | None) -> Recipe:
    """The recipe that is wanted. What was not `said` of it is as the network was trained when it was found, for as long
    as members are; where they have a parent and the search had none, as such networks are."""
    growth = RECIPES["growth"]
    if parent is not None and (wanted.parent or search.parent):
        base = search.recipe if search.parent else RECIPES["finetune"]
    elif search.parent:
        base = growth
    else:
        base = dataclasses.replace(
            search.recipe,
            epochs=0,
            least_epochs=max(growth.least_epochs, search.recipe.epochs),
            least_steps=growth.least_steps,
            train_images=None,
            folds=0,
        )
    return decode(Recipe, encode(base) | said.get("recipe", {}))


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


def _source(wanted: GrowthRequest, run: Run, history: History) -> Trial:
    """The trial to grow from: one with an accuracy."""
    store = history.store
    if wanted.trial is None:
        best = history.standing(run).best
        if best is None:
            ended = f", and has ended: nas show {run.id} says why"
            waiting = " yet: wait for its first"
            raise Problem(409, f"search {run.id} has measured no network{ended if run.state in ENDED else waiting}")
        return store.trial(run.id, best.number)
    state = None
    with contextlib.suppress(NotFound):
        trial = store.trial(run.id, wanted.trial)
        if trial.measurement and trial.measurement.accuracy is not None:
            return trial
        state = trial.state
    why = f"is {state}, without an accuracy" if state else "does not exist"
    choose = ", ".join(str(trial.number) for trial in store.trials(run.id, limit=20, state="done")) or "none yet"
    detail = f"trial {wanted.trial} of search {run.id} {why}: choose among {choose}"
    if state == "running":
        raise Problem(409, detail)
    raise refused("/trial", wanted.trial, detail)
