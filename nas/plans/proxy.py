"""The plan of a proxy: candidates trained by a cheap recipe, and the same ones by a dear recipe."""

from dataclasses import replace

from nas.networks.architecture import Images
from nas.plans.listed import Listed
from nas.plans.sample import sample
from nas.records import Job
from nas.specs import ProxySpec


class ProxyPlan(Listed):
    """Job i trains candidate i by the cheap recipe, and scores it before; job `candidates` + i by the dear one."""

    def __init__(self, run: str, spec: ProxySpec, images: Images) -> None:
        drawn = sample(spec.space, images, spec.candidates, knobs=spec.knobs, limits=spec.limits, seed=spec.seed)
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
                limits=spec.limits,
                seed=spec.seed,
                scores=True,
            )
            for number, (choices, architecture) in enumerate(drawn)
        ]
        dear = [replace(job, number=job.number + len(drawn), recipe=spec.dear, scores=False) for job in cheap]
        super().__init__([*cheap, *dear])
