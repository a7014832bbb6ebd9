"""The plan of a proxy: candidates trained by a cheap recipe, and the same ones by a dear recipe."""

from dataclasses import replace

from nas import spaces
from nas.measurements import Measurement
from nas.nesting import largest, within
from nas.networks.architecture import Architecture, Choices, Images, Knobs
from nas.networks.lowering import AnyArchitecture
from nas.plans.listed import Listed
from nas.plans.sample import sample
from nas.plans.sharing import SUPERNET
from nas.records import Job
from nas.specs import Limits, ProxySpec


def candidates(spec: ProxySpec, images: Images) -> list[tuple[Choices, AnyArchitecture]]:
    """The networks that the recipes are compared by, with their choices. Raises ValueError where there are too few."""
    return sample(
        spec.space,
        images,
        spec.candidates,
        knobs=spec.knobs,
        limits=spec.limits,
        seed=spec.seed,
        parent=spec.parent,
    )


class ProxyPlan(Listed):
    """Job i trains candidate i by the cheap recipe, and scores it before; job `candidates` + i by the dear one. With
    shared weights job 0 trains the supernet by the cheap recipe; the others wait for it, and follow in that order."""

    def __init__(self, run: str, spec: ProxySpec, images: Images) -> None:
        drawn = candidates(spec, images)
        knobs = _knobs(spec, images) if spec.weights == "shared" else {}
        shared = largest(spaces.load(spec.space, spec.parent), knobs, images).architecture if knobs else None
        if shared:
            drawn = [(choices, within(shared, architecture)) for choices, architecture in drawn]
        cheap = [
            Job(
                run=run,
                number=number,
                space=spec.space,
                architecture=architecture,
                choices=choices,
                dataset=spec.dataset,
                contents=spec.contents.digest if spec.contents else None,
                devices=spec.devices,
                recipe=spec.cheap,
                parent=spec.parent,
                pixels=images.resolution if architecture.images.resolution != images.resolution else None,
                limits=spec.limits,
                seed=spec.seed,
                scores=True,
            )
            for number, (choices, architecture) in enumerate(drawn, spec.first)
        ]
        dear = [replace(job, number=job.number + len(drawn), recipe=spec.dear, scores=False) for job in cheap]
        super().__init__([*([_supernet(cheap[0], shared, knobs)] if shared else []), *cheap, *dear])
        self._heirs = range(1, 1 + len(drawn)) if shared else range(0)
        self._weights: str | None = None

    def ask(self, number: int) -> Job | None:
        job = super().ask(number)
        if job is None or number not in self._heirs:
            return job
        return replace(job, parent=self._weights, calibrated=True) if self._weights else None

    def tell(self, job: Job, measurement: Measurement | None) -> None:
        if job.children:
            self._weights = measurement.weights if measurement else None
            self.exhausted = None if self._weights else "the supernet was not trained, whose weights are in question"


def _knobs(spec: ProxySpec, images: Images) -> Knobs:
    return spaces.narrowed(spaces.load(spec.space, spec.parent).knobs(images), spec.knobs)


def _supernet(job: Job, whole: Architecture, knobs: Knobs) -> Job:
    return replace(
        job,
        number=0,
        architecture=whole,
        choices={},
        pixels=None,
        baseline=SUPERNET,
        children=dict(knobs),
        limits=Limits(),
        scores=False,
        save_weights=True,
    )
