"""Benchmarks: the latency of networks that are not trained, on the devices of the workers."""

import dataclasses
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Body, Request, Response

from api import admission, descent, examples
from api.bodies import JSONRoute, blamed, strictly
from api.history import Histories, Submitter
from api.problems import TAKES_BODY, documented, together
from api.requests import BenchmarkRequest
from api.views import benchmark
from api.views.benchmark import Benchmark
from nas import parents, spaces, zoo
from nas.networks.architecture import Images
from nas.networks.lowering import AnyArchitecture
from nas.plans.sample import sample
from nas.refusal import Faults, Refusal
from nas.roots import Roots
from nas.specs import BenchmarkSpec
from nas.store import NotFound, Store

router = APIRouter(prefix="/benchmarks", tags=["benchmarks"], route_class=JSONRoute)


@router.post("", status_code=201, summary="Measure networks", responses=documented(**TAKES_BODY))
def create_benchmark(
    wanted: Annotated[BenchmarkRequest, strictly(BenchmarkRequest), Body(openapi_examples=examples.BENCHMARKS)],
    request: Request,
    response: Response,
    history: Histories,
    asker: Submitter,
) -> Benchmark:
    """Every network is measured on every device by a worker, which is where a device has to be: one that is not there
    fails its own trials alone. Nothing is trained, and no images are read."""
    state = request.app.state
    spec = specified(wanted, history.store, state.roots, remote_workers=state.remote_workers)
    run = history.store.add_run("benchmark", spec, asker)
    response.headers["Location"] = f"/v1/benchmarks/{run.id}"
    return benchmark.view(run, ())


def specified(wanted: BenchmarkRequest, store: Store, roots: Roots, *, remote_workers: bool = False) -> BenchmarkSpec:
    """What is stored of the request. Raises Problem where it names what is not there or cannot be measured."""
    faults = Faults()
    faults.check("/name", wanted.name, lambda: admission.name(wanted.name))
    admission.check_devices(faults, wanted.devices, store.agents.all(), remote_workers=True)  # each fails by itself
    space = faults.check("/space", wanted.space, lambda: spaces.load(wanted.space))
    images, kept = wanted.images, None
    if (parent := wanted.parent) is not None:
        kept = faults.check(
            "/parent", parent, lambda: descent.parent(parent, roots, store.model, remote_workers=remote_workers)
        )
        if space:
            faults.check("/space", wanted.space, lambda: spaces.check_around(wanted.space))
    if (dataset := wanted.dataset) is not None:
        pixels = parents.described(kept).pixels if kept else None
        images = faults.check("/dataset", dataset, lambda: admission.dataset(dataset, roots, pixels))
    if parent and kept and images and not faults:
        faults.check("/parent", parent, lambda: descent.fits(parent, kept, images))
        space = None if faults else faults.check("/parent", parent, lambda: spaces.load(wanted.space, kept))
    if space and images:
        space = admission.sound(faults, wanted.space, space, images)
    if space and images and wanted.networks is not None:
        faults.check("/knobs", wanted.knobs, lambda: spaces.narrowed(space.knobs(images), wanted.knobs))
    if faults:
        raise together(faults)
    try:
        spec, networks = _specified(dataclasses.replace(wanted, parent=kept), images, store)
        for network in networks:
            admission.roomy(network, remote_workers)
        return spec
    except (ValueError, NotFound) as error:
        raise blamed(wanted, error, *wanted.given()) from error


def _specified(
    wanted: BenchmarkRequest, images: Images | None, store: Store
) -> tuple[BenchmarkSpec, Sequence[AnyArchitecture]]:
    """And the networks that it means."""
    same: dict[str, Any] = {
        name: getattr(wanted, name) for name in ("name", "published", "model", "devices", "parallel", "seed")
    }
    if wanted.networks is not None:
        if images is None:
            raise Refusal(
                "images is missing: say what the networks are for, or name a dataset of such images", field="images"
            )
        same |= {"networks": wanted.networks, "knobs": wanted.knobs, "parent": wanted.parent}
        spec = BenchmarkSpec(**same, space=wanted.space, images=images)
        drawn = sample(spec.space, images, spec.networks, knobs=spec.knobs, seed=spec.seed, parent=spec.parent)
        return spec, [architecture for _, architecture in drawn]
    if wanted.model is not None:
        model = store.model(wanted.model)
        job = store.trial(model.run, model.number).job
        its: dict[str, Any] = {"architecture": job.architecture, "space": job.space, "choices": job.choices}
        return BenchmarkSpec(**same, **its, images=job.architecture.images), ()
    try:
        architecture = wanted.architecture or zoo.architecture(wanted.published or "", images)
    except ValueError as error:  # whatever of the network it is that the images do not suit
        raise Refusal(str(error), field="published") from error
    spec = BenchmarkSpec(**same, space=wanted.space, architecture=architecture, images=architecture.images)
    return spec, [architecture]
