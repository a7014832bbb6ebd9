"""Which models are kept where not all can be: the best of each search, and what others go by.

Nothing goes by itself of a growth, whose family it is, unless it drops members that are dominated, nor of a run that
may go on with it, nor what RUN@best and RUN@latest name, nor what is pinned; and the store keeps what another run
begins with or learns from.
"""

import logging
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from nas import settings
from nas.disk import going
from nas.families import dominated, known, trainings
from nas.measurements import Measurement
from nas.networks.counts import counts
from nas.noise import surest
from nas.pareto import layers
from nas.records import ENDED, Model, Run, Trial
from nas.specs import GrowthSpec, SearchSpec
from nas.standings import decisive, highest_rung, trained
from nas.store import NotFound, Store

log = logging.getLogger(__name__)


def keep_best(store: Store, run: Run) -> None:
    """Remove the weights of a search that are not among its best. While it works they may become twice as many."""
    most = settings.MOST_MODELS.number
    assert isinstance(run.spec, SearchSpec)
    models = store.models(run.id)
    if len(models) <= (most if run.state in ENDED else 2 * most) or _goes_on_with_them(run):
        return
    worst = spare(run, store.trials(run.id), models)
    excess = worst[: len(models) - most]
    going.prune(store, {model.id: f"kept the best {most} of the run" for model in excess})


def drop_dominated(store: Store, run: Run) -> None:
    """Remove the weights of a growth's members that are no better than cheaper ones."""
    assert isinstance(run.spec, GrowthSpec)
    trials, final = store.trials(run.id), run.spec.scored_on == "test"
    sizes = {trial.job.member or "": counts(trial.job.architecture).mult_adds for trial in trials if trial.job.recipe}
    worse = dominated(known(trainings(trials, final=final), sizes, run.spec, final=final))
    reasons = {
        f"{run.id}-{trial.number}": f"no better than {worse[trial.job.member]}, which costs less"
        for trial in trials
        if trial.job.member in worse and trial.measurement and trial.measurement.weights
    }
    going.prune(store, reasons)


def make_room(store: Store) -> None:
    """Remove weights until all together are within their bound: of the oldest search first, and of it the worst."""
    models = store.models()
    excess = sum(model.bytes for model in models) - settings.MOST_KEPT.number
    if excess <= 0:
        return
    by_run: dict[str, list[Model]] = {}
    for model in models:
        by_run.setdefault(model.run, []).append(model)
    reasons: dict[str, str] = {}
    for run, its in reversed(by_run.items()):
        try:
            free = spare(store.run(run), store.trials(run), its)
        except NotFound:  # it was deleted meanwhile
            continue
        for model in free:
            if excess > 0:
                reasons[model.id] = f"all weights together were over {settings.MOST_KEPT.name}"
                excess -= model.bytes
    going.prune(store, reasons)
    if excess > 0:
        log.warning(
            "weights have %s bytes more than %s allows, and none of the rest may go by itself: delete runs or models "
            "(nas disk)",
            f"{excess:,}",
            settings.MOST_KEPT.name,
        )


def spare(run: Run, trials: Sequence[Trial], models: Sequence[Model]) -> list[Model]:
    """Those `models` of the run, newest first, that may go by themselves: the worst first."""
    if not isinstance(run.spec, SearchSpec) or _goes_on_with_them(run):
        return []
    networks = ranked(run.spec, trials)
    own = [network for network in networks if not network.baseline]
    stays = {model.number for model in models[:1]} | {network.number for network in own[:1]}
    if run.spec.objective.form == "front":
        points = [(*network.costs, network.value) for network in networks]
        networks = [networks[index] for index in layers(points)]
    parents = set[str | None]()
    if run.state not in ENDED or run.state == "finished":  # which goes on where its budget is raised
        parents = {trial.job.parent for trial in trials}
        stays |= {trial.number for trial in trials if trial.job.children}
    place = {network.number: place for place, network in enumerate(networks)}
    free = [model for model in models if not (model.number in stays or model.pinned or model.sha256 in parents)]
    return sorted(free, key=lambda model: place.get(model.number, len(place)), reverse=True)


@dataclass(frozen=True, kw_only=True)
class Network:
    """What a search has measured of a network, over all its trainings."""

    number: int
    """The number of its first trial, whose model it is."""
    baseline: bool
    value: float
    costs: tuple[float, ...]
    cost_error: float
    """The relative standard error of the first of them."""


def ranked(spec: SearchSpec, trials: Iterable[Trial]) -> list[Network]:
    """The networks of a search by reward, the best first; those of lower rungs come after all others."""
    objective, device = spec.objective, spec.devices[0]
    tried = trained(trials, objective, device)
    highest = highest_rung(tried) or 0
    networks = [
        Network(
            number=number,
            baseline=its.job.compared is not None,
            value=statistics.fmean(row.value(objective.metric) or 0.0 for row in its.measured),
            costs=tuple(_cost(its.measured, name, device)[0] for name in objective.costs),
            cost_error=_cost(its.measured, objective.cost, device)[1],
        )
        for number, its in tried.items()
    ]

    def rung(network: Network) -> int:
        its = tried[network.number].job.rung
        return highest if its is None else its

    own = [network for network in networks if not network.baseline and rung(network) == highest]
    decides = decisive([(network.costs[0], network.cost_error) for network in own], objective)
    last = {network.number for network, its in zip(own, decides) if not its}

    def standing(network: Network) -> tuple[float, ...]:
        cost, number = network.costs[0], network.number
        return (rung(network), number not in last, objective.reward(network.value, cost), -cost, -number)

    return sorted(networks, key=standing, reverse=True)


def _cost(measured: Sequence[Measurement], name: str, device: str) -> tuple[float, float]:
    """Of several trainings the mean, in which each latency counts by its error, and its relative standard error."""
    if name != "latency_ms":
        return statistics.fmean(row.cost(name, device) or 0.0 for row in measured), 0.0
    taken = [row.latencies[device] for row in measured]
    mean, error = surest([each.median_ms for each in taken], [each.error_ms for each in taken])
    return mean, (error or 0.0) / mean


def _goes_on_with_them(run: Run) -> bool:
    """Whether the weights of its trials are what others of its trials begin with."""
    spec = run.spec
    inherits = not isinstance(spec, SearchSpec) or bool(spec.fidelity and spec.fidelity.inherit)
    return inherits and run.state not in ENDED
