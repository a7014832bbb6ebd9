"""What is read of the runs that are compared: sides of a comparison, each by an objective that is the same for all."""

import dataclasses
from collections.abc import Hashable

from api.history import History
from api.views import growth
from api.views.comparison import Side, Spot
from api.views.growth import Member
from api.views.progress import ENDED
from api.views.search import Candidate
from nas import noise
from nas.families import estimates, trainings
from nas.objective import Objective
from nas.records import Run, Trial
from nas.refusal import Refusal
from nas.specs import GrowthSpec, SearchSpec

MOST = 6


def named(text: str) -> tuple[tuple[str, int | None], ...]:
    """Runs, each with the number of the trial that is to stand for it, as `RUN,RUN:TRIAL` names them. Raises
    Refusal."""
    parts = tuple(_named(part.strip()) for part in text.split(",") if part.strip())
    if not 1 <= len(parts) <= MOST:
        raise Refusal(f"{text!r} names {len(parts)} runs or trials: give 1 to {MOST}, with commas between", field="of")
    for run, number in parts:
        if parts.count((run, number)) > 1:
            name = run if number is None else f"{run}:{number}"
            raise Refusal(f"{text!r} names {name} twice: leave it out once, or name another trial", field="of")
    return parts


def _named(part: str) -> tuple[str, int | None]:
    run, colon, number = part.partition(":")
    if colon and not (number.isascii() and number.isdigit() and len(number) < 10):
        raise Refusal(f"{part!r} is neither a run nor RUN:TRIAL, with the number of a trial", field="of")
    return run, int(number) if colon else None


def plane(objective: Objective) -> Objective:
    """An objective as it is compared by: with one cost, which a front is drawn over."""
    form = "product" if objective.form == "front" else objective.form
    return dataclasses.replace(objective, form=form, also=None)


def read(history: History, run: Run, number: int | None, objective: Objective, device: str) -> Side:
    """What is known of a run, for which the trial of that number is to stand; None: the best of it. Raises Refusal
    where nothing is known of that trial, or the run has none of the objective's cost."""
    devices = getattr(run.spec, "devices", ())
    if objective.cost == "latency_ms" and device not in devices:
        detail = f"{run.kind} {run.id} was not measured on device {device!r}: compare by another cost, as mult_adds"
        raise Refusal(f"{detail}, and its target", field="cost")
    if isinstance(run.spec, SearchSpec):
        return _of_search(history, run, number, objective, device)
    if isinstance(run.spec, GrowthSpec):
        return _of_growth(history, run, number, objective, device)
    raise Refusal(f"run {run.id} is a {run.kind}: searches and growths are compared", field="of")


def _of_search(history: History, run: Run, number: int | None, objective: Objective, device: str) -> Side:
    assert isinstance(run.spec, SearchSpec)
    wanted = () if number is None else (number,)
    own = device if device in run.spec.devices else run.spec.devices[0]  # by another cost than latency any will do
    ranked = history.ranked(run, objective, own, wanted)
    if number is not None and number not in ranked.known:
        raise Refusal(_unknown(history.store.trial(run.id, number), objective), field="of")
    leader = ranked.pareto.best.number if ranked.pareto.best else None
    chosen = leader if number is None else number
    row, estimate = ranked.known[chosen] if chosen is not None else (None, None)
    return Side(
        run=run,
        spots=tuple(
            Spot(number=each.number, cost=each.cost, value=each.value, value_error=each.value_error)
            for each in ranked.pareto.front
        ),
        chosen=row,
        pixels=None if chosen is None else history.store.trial(run.id, chosen).job.architecture.images.resolution,
        estimate=estimate,
        images=_images(run.spec, final=False),
        points=ranked.points,
        ended=history.store.outlines(run.id, ENDED, finished=...),
    )


def _of_growth(history: History, run: Run, number: int | None, objective: Objective, device: str) -> Side:
    assert isinstance(run.spec, GrowthSpec)
    final, trials = run.spec.scored_on == "test", history.trials(run.id)
    measured = trainings(trials, final=final)
    values = estimates(measured, objective.metric, final=final)
    rows, pixels = {}, {}
    for row in growth.family(run.spec, trials):
        cost = row.latencies_ms.get(device) if objective.cost == "latency_ms" else getattr(row, objective.cost)
        if row.member in values and cost:
            rows[row.member] = _candidate(row, values[row.member], cost, objective)
            pixels[row.member] = row.resolution
    of_trial = {trial.number: trial.job.member for trial in trials}
    best = max(rows, key=lambda name: (rows[name].reward, -rows[name].cost), default=None)
    member = best if number is None else of_trial.get(number)
    if number is not None and member not in rows:
        raise Refusal(_unknown(history.store.trial(run.id, number), objective), field="of")
    return Side(
        run=run,
        spots=tuple(
            Spot(number=row.number, member=name, cost=row.cost, value=row.value, value_error=row.value_error)
            for name, row in sorted(rows.items(), key=lambda each: each[1].cost)
        ),
        chosen=rows.get(member or ""),
        member=member,
        pixels=pixels.get(member or ""),
        estimate=values.get(member or ""),
        images=_images(run.spec, final=final),
    )


def _candidate(row: Member, value: noise.Estimate, cost: float, objective: Objective) -> Candidate:
    """A member as a network of a search is shown."""
    accuracy = row.accuracy if row.accuracy is not None else row.test_accuracy
    return Candidate(
        number=row.number or 0,
        reward=objective.reward(value.mean, cost),
        accuracy=value.mean if accuracy is None else accuracy,
        accuracy_error=row.accuracy_error,
        value=value.mean,
        value_error=value.error,
        cost=cost,
        also=None,
        params=row.params or 0,
        mult_adds=row.mult_adds or 0,
        peak_memory=row.peak_memory,
        model_bytes=row.model_bytes,
        latencies_ms=row.latencies_ms,
        latency_errors_ms={},
        noisy=False,
        choices={},
        baseline=None,
        model=row.model,
        trainings=row.seeds,
        rounding=row.rounding,
    )


def _images(spec: SearchSpec | GrowthSpec, *, final: bool) -> Hashable:
    """Which images a run scores its networks on: what is equal for two that are compared image by image."""
    parts = None if final else (spec.recipe.folds, spec.recipe.group)
    return spec.dataset, spec.contents and spec.contents.digest, parts


def _unknown(trial: Trial, objective: Objective) -> str:
    """Why a trial cannot stand for its run."""
    which = f"trial {trial.number} of run {trial.run}"
    if trial.measurement is None or trial.measurement.accuracy is None:
        why = f": {trial.error}" if trial.error else ""
        return f"{which} is {trial.state} and has no accuracy{why}"
    if trial.job.repeats is not None:
        return f"{which} trained the network of trial {trial.job.repeats} again: name that one"
    if trial.job.rung is not None:
        return (
            f"{which} was trained on rung {trial.job.rung + 1} alone, where its search compares those of a higher one"
        )
    return f"{which} has no {objective.metric}, or no {objective.cost}, that is known"
