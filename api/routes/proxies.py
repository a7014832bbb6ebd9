"""Proxies: what a cheap training is worth, by candidates that a dear one trains as well."""

import dataclasses
from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Body, Request, Response

from api import admission, examples
from api.bodies import JSONRoute, strictly
from api.descent import Models
from api.history import Histories, Submitter
from api.problems import TAKES_BODY, documented, together
from api.views import proxy
from api.views.proxy import Proxy
from nas import spaces
from nas.agents.errands import Agent
from nas.plans.proxy import candidates
from nas.refusal import Faults, Refusal
from nas.roots import Roots
from nas.specs import ProxySpec

router = APIRouter(prefix="/proxies", tags=["proxies"], route_class=JSONRoute)


@router.post("", status_code=201, summary="Ask what a cheap training is worth", responses=documented(**TAKES_BODY))
def create_proxy(
    spec: Annotated[ProxySpec, strictly(ProxySpec), Body(openapi_examples=examples.PROXIES)],
    request: Request,
    response: Response,
    history: Histories,
    asker: Submitter,
) -> Proxy:
    """Candidates of the space, drawn at random, are trained by the `cheap` and by the `dear` recipe, and scored before
    any training. The report says how well each orders them as the dear recipe does."""
    state = request.app.state
    spec = admit(
        spec, history.store.agents.all(), state.roots, history.store.model, remote_workers=state.remote_workers
    )
    info = spec.contents or admission.described(spec.dataset, state.roots)
    if spec.weights == "shared":
        spec = dataclasses.replace(spec, cheap=dataclasses.replace(spec.cheap, folds=1))
    (cheap, cheap_worth), (dear, dear_worth) = (
        admission.settled(recipe, info, parent=spec.parent is not None) for recipe in (spec.cheap, spec.dear)
    )
    run = history.store.add_run("proxy", dataclasses.replace(spec, cheap=cheap, dear=dear), asker)
    history.store.note(run.id, "worth", f"by the cheap recipe {spec.trained} has {cheap_worth}")
    history.store.note(run.id, "worth", f"by the dear recipe each candidate has {dear_worth}")
    response.headers["Location"] = f"/v1/proxies/{run.id}"
    return proxy.view(run, ())


def admit(
    spec: ProxySpec, agents: Sequence[Agent], roots: Roots, models: Models, *, remote_workers: bool = False
) -> ProxySpec:
    """What is stored of `spec`: with its images as they are now, and parent and teachers by the names that the workers
    know. Raises Problem naming every value that cannot work."""
    faults = Faults()
    faults.check("/name", spec.name, lambda: admission.name(spec.name))
    admission.check_devices(faults, spec.devices, agents, remote_workers)
    space = faults.check("/space", spec.space, lambda: spaces.load(spec.space))
    info = faults.check("/dataset", spec.dataset, lambda: admission.described(spec.dataset, roots, spec.contents))
    if info:
        cheap, dear = (
            admission.admit_recipe(faults, field, recipe, info, roots, models, remote_workers=remote_workers)
            for field, recipe in (("cheap", spec.cheap), ("dear", spec.dear))
        )
        spec = dataclasses.replace(spec, cheap=cheap, dear=dear)
    spec, space = admission.around(faults, spec, space, info, roots, models, remote_workers=remote_workers)
    images = info and info.as_seen(spec.resolution)
    if space and images:
        space = admission.sound(faults, spec.space, space, images)
    if space and images:
        if spec.weights == "shared":
            spec = dataclasses.replace(spec, knobs=spaces.nested(space, images) | spec.knobs)
        knobs = faults.check("/knobs", spec.knobs, lambda: spaces.narrowed(space.knobs(images), spec.knobs))
        if knobs and spec.weights == "shared":
            admission.shared(faults, spec, space, knobs, images)
    if space and images:
        faults.check("/resolution", images.resolution, lambda: admission.fits(space, images))
    if images and not faults:
        try:
            candidates(spec, images)
        except Refusal as error:
            if error.field:  # a limit that leaves none
                faults.add(f"/limits/{error.field}", getattr(spec.limits, error.field), str(error))
            else:
                faults.add("/candidates", spec.candidates, str(error))
    if faults or info is None:
        raise together(faults)
    return dataclasses.replace(spec, **admission.about(info, spec.dataset))
