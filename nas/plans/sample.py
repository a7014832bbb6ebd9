"""Some networks of a space, drawn at random."""

from nas.networks.architecture import Choices, Images, Knobs
from nas.networks.lowering import AnyArchitecture
from nas.plans.reach import require_within_reach
from nas.plans.search import SearchPlan
from nas.refusal import Refusal
from nas.specs import Limits, SearchSpec


def sample(
    space: str,
    images: Images,
    count: int,
    *,
    knobs: Knobs,
    seed: int,
    limits: Limits | None = None,
    parent: str | None = None,
) -> list[tuple[Choices, AnyArchitecture]]:
    """So many different networks within the limits, with their choices; around a `parent` such as are not all of it.
    Raises ValueError for an unknown space, parent or knob, and where there are fewer; a Refusal of a limit that leaves
    none names it."""
    limits = limits or Limits()
    most = count if parent is None else count + 1
    spec = SearchSpec(
        dataset="",
        space=space,
        parent=parent,
        knobs=dict(knobs),
        searcher="random",
        limits=limits,
        trials=most,
        seed=seed,
    )
    plan = SearchPlan("", spec, most, images)
    jobs = [job for number in range(most) if (job := plan.ask(number)) and not job.whole][:count]
    if not jobs:
        require_within_reach(spec, images)
    if len(jobs) < count:
        raise Refusal(f"there are only {len(jobs)} networks in reach, not {count}: widen the knobs or the limits")
    return [(job.choices, job.architecture) for job in jobs]
