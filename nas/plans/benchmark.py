"""The plan of a benchmark: networks that are measured on devices, and not trained."""

from nas.plans import FAILURES
from nas.plans.listed import Listed
from nas.plans.sample import sample
from nas.records import Job
from nas.specs import BenchmarkSpec


class BenchmarkPlan(Listed):
    """One job a network and device, all devices of a network before the next one."""

    def __init__(self, run: str, spec: BenchmarkSpec) -> None:
        networks = (
            [(spec.choices, spec.architecture)]
            if spec.architecture
            else sample(spec.space, spec.images, spec.networks, knobs=spec.knobs, seed=spec.seed, parent=spec.parent)
        )
        pairs = [(choices, network, device) for choices, network in networks for device in spec.devices]
        jobs = [
            Job(
                run=run,
                number=number,
                space=spec.space,
                architecture=network,
                choices=choices,
                baseline=spec.published,
                devices=(device,),
                seed=spec.seed,
            )
            for number, (choices, network, device) in enumerate(pairs)
        ]
        # A device that is missing fails its every trial, and the others are to be measured none the less.
        super().__init__(jobs, patience=FAILURES * len(spec.devices))
