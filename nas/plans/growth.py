"""The plan of a growth: one architecture scaled into a family, each member trained whole."""

from nas.architecture import Architecture
from nas.counts import counts
from nas.records import GrowthSpec, Job, Measurement
from nas.scaling import PUBLISHED, CompoundScaling


class GrowthPlan:
    """One job a member, the most expensive first so that the others fill the time it takes."""

    def __init__(self, run: str, spec: GrowthSpec) -> None:
        self._run, self._spec = run, spec
        family = {name: member(spec.architecture, name, spec.scaling) for name in spec.members}
        self._family = sorted(family.items(), key=lambda item: -counts(item[1]).mult_adds)

    def ask(self, number: int) -> Job | None:
        if number >= len(self._family):
            return None
        name, architecture = self._family[number]
        return Job(
            run=self._run,
            number=number,
            space=self._spec.space,
            architecture=architecture,
            member=name,
            dataset=self._spec.dataset,
            device=self._spec.device,
            recipe=self._spec.recipe,
            seed=self._spec.seed,
            final=True,
            save_weights=True,
        )

    def tell(self, job: Job, measurement: Measurement | None) -> None:
        """Members do not depend on each other."""


def member(architecture: Architecture, name: str, scaling: CompoundScaling | None = None) -> Architecture:
    """Member `name` ("B0" to "B7") of the family of `architecture`: by the published coefficients, or by `scaling` with
    phi the number in the name."""
    return architecture.scaled(PUBLISHED[name] if scaling is None else scaling.at(int(name[1:])))
