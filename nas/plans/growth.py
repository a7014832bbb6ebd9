"""The plan of a growth: one architecture scaled into a family, each member trained whole."""

from typing import TypeVar, cast

from nas.counts import counts
from nas.lowering import AnyArchitecture
from nas.records import GrowthSpec, Job, Measurement
from nas.scaling import PUBLISHED, CompoundScaling

Grown = TypeVar("Grown", bound=AnyArchitecture)


class GrowthPlan:
    """One job a member and seed, the most expensive first so that the others fill the time it takes."""

    def __init__(self, run: str, spec: GrowthSpec) -> None:
        self._run, self._spec = run, spec
        family = {name: member(spec.architecture, name, spec.scaling) for name in spec.members}
        self._family = sorted(family.items(), key=lambda item: -counts(item[1]).mult_adds)
        self.trials = spec.trials
        self.exhausted: str | None = None

    def ask(self, number: int) -> Job | None:
        if number >= self.trials:
            return None
        place, repetition = divmod(number, self._spec.seeds)
        name, architecture = self._family[place]
        return Job(
            run=self._run,
            number=number,
            space=self._spec.space,
            architecture=architecture,
            member=name,
            dataset=self._spec.dataset,
            device=self._spec.device,
            further_devices=self._spec.further_devices,
            recipe=self._spec.recipe,
            seed=self._spec.seed + repetition,
            final=True,
            save_weights=True,
        )

    def begun(self, job: Job) -> None:
        """A job's number says which member and seed it is."""

    def tell(self, job: Job, measurement: Measurement | None) -> None:
        """Members do not depend on each other."""


def member(architecture: Grown, name: str, scaling: CompoundScaling | None = None) -> Grown:
    """Member `name` ("B0" to "B7") of the family of `architecture`: by the published coefficients, or by `scaling` with
    phi the number in the name. Raises ValueError for a network that cannot be scaled."""
    return cast(Grown, architecture.scaled(PUBLISHED[name] if scaling is None else scaling.at(int(name[1:]))))
