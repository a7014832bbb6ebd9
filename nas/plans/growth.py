"""The plan of a growth: one architecture scaled into a family, each member trained whole."""

import functools
from typing import TypeVar, cast

from nas.networks.counts import counts
from nas.networks.lowering import AnyArchitecture
from nas.networks.scaling import PUBLISHED, CompoundScaling
from nas.plans.listed import Listed
from nas.records import Job
from nas.specs import GrowthSpec

Grown = TypeVar("Grown", bound=AnyArchitecture)


class GrowthPlan(Listed):
    """One job a member and seed, the most expensive first so that the others fill the time it takes."""

    def __init__(self, run: str, spec: GrowthSpec) -> None:
        members = [(name, member(spec.architecture, name, spec.scaling)) for name in spec.members]
        members.sort(key=lambda item: -counts(item[1]).mult_adds)
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
                    final=True,
                    save_weights=True,
                )
                for number, (name, architecture, seed) in enumerate(trainings)
            ]
        )


def member(architecture: Grown, name: str, scaling: CompoundScaling | None = None) -> Grown:
    """Member `name` ("B0" to "B7") of the family of `architecture`: by the published coefficients, or by `scaling` with
    phi the number in the name. Raises ValueError for a network that cannot be scaled."""
    return cast(Grown, _member(architecture, name, scaling))


@functools.lru_cache(maxsize=256)
def _member(architecture: AnyArchitecture, name: str, scaling: CompoundScaling | None) -> AnyArchitecture:
    """Once: whoever asks for a family checks it, and shows it again and again."""
    return architecture.scaled(PUBLISHED[name] if scaling is None else scaling.at(int(name[1:])))
