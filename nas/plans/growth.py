"""The plan of a growth: one architecture scaled into a family, each member trained whole."""

import dataclasses
import functools
from typing import TypeVar, cast

from nas.networks.counts import counts
from nas.networks.lowering import AnyArchitecture
from nas.networks.scaling import PUBLISHED, CompoundScaling
from nas.plans.listed import Listed
from nas.records import Job, Measurement
from nas.specs import GrowthSpec

Grown = TypeVar("Grown", bound=AnyArchitecture)


class GrowthPlan(Listed):
    """One job a member and seed, the most expensive first so that the others fill the time it takes; where members
    inherit, the smallest first, and each as soon as the one before has ended."""

    def __init__(self, run: str, spec: GrowthSpec) -> None:
        members = [(name, member(spec.architecture, name, spec.scaling)) for name in spec.members]
        members.sort(key=lambda item: counts(item[1]).mult_adds, reverse=not spec.inherit)
        trainings = [(*item, spec.seed + repetition) for item in members for repetition in range(spec.seeds)]
        super().__init__(
            [
                Job(
                    run=run,
                    number=number,
                    space=spec.space,
                    architecture=architecture,
                    member=name,
                    dataset=spec.dataset,
                    contents=spec.contents.digest if spec.contents else None,
                    devices=spec.devices,
                    recipe=spec.recipe,
                    seed=seed,
                    final=spec.scored_on == "test",
                    save_weights=True,
                )
                for number, (name, architecture, seed) in enumerate(trainings)
            ]
        )
        self._inherit, self._parent, self._seeds = spec.inherit, spec.parent, spec.seeds
        self._weights: dict[int, str | None] = {}  # what there is to inherit from a job that has ended

    def ask(self, number: int) -> Job | None:
        job, before = super().ask(number), number - self._seeds
        if job is None or not self._inherit:
            return job
        if before < 0:
            return dataclasses.replace(job, parent=self._parent)
        return dataclasses.replace(job, parent=self._weights[before]) if before in self._weights else None

    def tell(self, job: Job, measurement: Measurement | None) -> None:
        """Whoever comes after one that failed inherits what it would have."""
        self._weights[job.number] = (measurement.weights if measurement else None) or job.parent


def member(architecture: Grown, name: str, scaling: CompoundScaling | None = None) -> Grown:
    """Member `name` ("B0", which is `architecture` itself, to "B7") of the family of `architecture`: by the published
    coefficients, or by `scaling` with phi the number in the name. Raises ValueError for what cannot be scaled."""
    return cast(Grown, _member(architecture, name, scaling))


@functools.lru_cache(maxsize=256)
def _member(architecture: AnyArchitecture, name: str, scaling: CompoundScaling | None) -> AnyArchitecture:
    """Once: whoever asks for a family checks it, and shows it again and again."""
    return architecture.scaled(PUBLISHED[name] if scaling is None else scaling.at(int(name[1:])))
