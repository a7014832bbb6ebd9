"""Plans turn a stored spec into numbered jobs and results into what comes next; all they hold is in the store."""

from collections.abc import Sequence
from typing import Protocol

from nas.latency_predictor import Predictor
from nas.measurements import Measurement
from nas.networks.architecture import Images
from nas.records import Job, Run
from nas.searchers import Earlier
from nas.specs import BenchmarkSpec, GrowthSpec, ProxySpec, SearchSpec

FAILURES = 5  # failures in a row after which more trials would only fail as well


class Plan(Protocol):
    """A run's head. A new plan, told all ended trials in the order they ended, goes on where the old one was.

    `trials` is the budget and may be raised at any time; `exhausted` says why `ask` gives no more before
    it is used up: no network is left, or none that is worth it; None while there are some. `again` are trials of a
    search whose latency somebody wants measured again. After `patience` failures in a row the run is given up.
    """

    trials: int
    patience: int
    exhausted: str | None
    again: Sequence[int]

    def ask(self, number: int) -> Job | None:
        """Job `number`, or None: nothing more until something is told or the budget is raised."""
        ...

    def begun(self, job: Job) -> None:
        """`job` was handed out by an earlier plan and is evaluated now: it must not be handed out again."""
        ...

    def tell(self, job: Job, measurement: Measurement | None) -> None:
        """What came of `job`; None: it failed."""
        ...


def plan_for(run: Run, images: Images, predictor: Predictor | None = None, earlier: tuple[Earlier, ...] = ()) -> Plan:
    """The plan for `run`; `images` is what its dataset gives a network. A `predictor` of latencies on its device, and
    what `earlier` searches tell it, must be the same whenever the run is taken up."""
    from nas.plans.benchmark import BenchmarkPlan
    from nas.plans.growth import GrowthPlan
    from nas.plans.proxy import ProxyPlan
    from nas.plans.search import SearchPlan

    match run.spec:
        case SearchSpec():
            return SearchPlan(run.id, run.spec, run.trials, images, predictor, earlier)
        case GrowthSpec():
            return GrowthPlan(run.id, run.spec)
        case BenchmarkSpec():
            return BenchmarkPlan(run.id, run.spec)
        case ProxySpec():
            return ProxyPlan(run.id, run.spec, images)
