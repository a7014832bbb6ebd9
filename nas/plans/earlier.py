"""What trials of earlier searches tell another on the same images: accuracies that it need not pay for."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from nas import spaces
from nas.networks.architecture import Images
from nas.records import Job, Run, Trial
from nas.searchers import Earlier
from nas.specs import SearchSpec


def obstacle(spec: SearchSpec, run: Run) -> str | None:
    """Why a search as `spec` can learn nothing from that run, in words; None where it can."""
    its = run.spec
    if not isinstance(its, SearchSpec):
        return f"run {run.id} is a {run.kind}: name a search"
    if its.space != spec.space:
        return f"search {run.id} was in space {its.space!r}, this one is in {spec.space!r}: name one in the same"
    if its.parent != spec.parent:
        return f"search {run.id} was around {its.parent or 'no parent'}, this one is around {spec.parent or 'none'}"
    if not _same_images(spec, its):
        return f"search {run.id} was on other images, {its.dataset!r} as they were then: name one on the same"
    return None


def earlier(
    spec: SearchSpec, images: Images, searches: Iterable[tuple[SearchSpec, Iterable[Trial]]]
) -> list[tuple[Earlier, ...]]:
    """What the trials of each of these searches tell of networks that one as `spec` may propose, by its metric.

    Those that were trained as it trains are of kind 0, or of so many as their rung is below the highest; a kind of its
    own is each other recipe, resolution, precision or supernet.
    """
    space, metric = spaces.load(spec.space, spec.parent), spec.objective.metric
    knobs, kinds = spaces.narrowed(space.knobs(images), spec.knobs), _own(spec, images)

    def told(its: SearchSpec, trial: Trial) -> Iterator[Earlier]:
        job, measured = trial.job, trial.measurement
        if job.compared is not None or measured is None or (value := measured.value(metric)) is None:
            return
        if job.choices.keys() != knobs.keys() or any(job.choices[knob] not in knobs[knob] for knob in knobs):
            return
        seen = replace(images, resolution=job.read_at)
        network = space.architecture(space.canonical(job.choices, seen), seen).digest()
        if job.network not in (network, None):
            return  # the space has changed since
        if (kind := _kind(its, job)) not in kinds:
            kinds.append(kind)
        error = measured.value_error(metric) or 0.0
        yield Earlier(choices=job.choices, accuracy=value, error=error, kind=kinds.index(kind))

    return [tuple(one for trial in trials for one in told(its, trial)) for its, trials in searches]


def _own(spec: SearchSpec, images: Images) -> list[object]:
    """How the networks are trained of which its searcher hears, the highest rung first. What a supernet says is only
    known once it is there."""
    shared = "not yet" if spec.weights == "shared" else None
    seen, fidelity = (spec.objective.precision, images.resolution), spec.fidelity
    if fidelity is None:
        return [(spec.recipe, *seen, 0, shared, False)]
    recipes = fidelity.recipes(spec.recipe)
    rungs = reversed(range(len(recipes)))
    return [(recipes[rung], *seen, fidelity.epochs_done(recipes, rung), shared, False) for rung in rungs]


def _kind(spec: SearchSpec, job: Job) -> object:
    """How a trial of such a search was trained: two of one kind compare."""
    shared = job.parent if spec.weights == "shared" else None
    return job.recipe, job.precision, job.read_at, job.epochs_done, shared, job.calibrated


def _same_images(one: SearchSpec, other: SearchSpec) -> bool:
    if one.contents and other.contents:
        return one.contents.digest == other.contents.digest
    return one.contents == other.contents and one.dataset == other.dataset
