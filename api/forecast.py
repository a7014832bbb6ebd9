"""What a search would take, before it is submitted: from trainings of earlier ones."""

import math
import os
import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from api.admission import described
from nas import kinship, nesting, parents, settings, spaces, zoo
from nas.datasets import DatasetInfo
from nas.limits import over_limit
from nas.nesting import AT_RANDOM, MOST_SCORED
from nas.networks.architecture import Images, random_choices
from nas.networks.counts import counts
from nas.plans.rungs import shares
from nas.recipes import Recipe
from nas.records import PARENT, Trial
from nas.roots import Roots
from nas.specs import FINAL_SEEDS, SearchSpec
from nas.store import Store
from nas.training_time import Pace, Training, pace
from nas.worth import Worth

MOST_TRAININGS = 200  # the newest
MOST_RUNS = 100
SAMPLE = 200  # networks drawn from the space
FORWARD = 1 / 3  # of a training step; the rest of it goes backward
TRAINED_ON = 0.9  # of the training images; the others are kept out, to be scored
# Where nothing like it was trained before: a core of a processor of these years makes so many multiply-adds a second
# in training, of which a step has three times those of its images.
CORE = Pace(line=(0.0, 3 / 25e9), besides_seconds=2.0, share=1.0, error=None, trainings=0)
UNSURE = 4.0  # times as long, or as short, as that, it may take
FEW = 2.0  # likewise where too few were trained to foretell each from the others


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """What a search would take, by as many trials as its hours allow. Where nothing like it was trained before it is
    arithmetic, of a core of a processor."""

    trials: int
    """Trials that the search comes to."""
    trainings: int
    """Earlier trainings of the same space that it rests on; 0: on none, but on its multiply-adds."""
    trained_on: str | None = None
    """The machine of these, whose processor or GPU it names."""
    dataset: str | None = None
    """The images of these trainings, where they are others: nothing was trained on those of the search yet."""
    trial_seconds: float | None = None
    """Seconds of a trial."""
    seconds: float | None = None
    """Seconds of the search."""
    seconds_range: tuple[float, float] | None = None
    """Seconds of a search that tries the cheapest tenth of the networks that it may, and of one that tries the
    dearest, where a training takes as much less or more as the `error` says."""
    compute_seconds: float | None = None
    """Seconds for which it holds processors or GPUs."""
    compute_seconds_range: tuple[float, float] | None = None
    """The same of the cheapest tenth, and of the dearest."""
    baseline_seconds: dict[str, float] = field(default_factory=dict)
    """Seconds of each of its baselines, which are trials as others."""
    price: float | None = None
    """What the compute costs; null where the service was not told what an hour of it does (NAS_PRICE)."""
    currency: str | None = None
    """The currency of the price."""
    error: float | None = None
    """The mean relative error with which each of the earlier trainings is foretold from the others."""
    reason: str | None = None
    """Why there is no forecast."""
    remark: str | None = None
    """What is amiss with the budget: that it has no room for two trials."""
    worth: Worth | None
    """What the training of each candidate is worth."""


def forecast(spec: SearchSpec, store: Store, roots: Roots, *, remote_workers: bool) -> Forecast:
    """Of a search that was admitted. Where nothing was trained on its images, it rests on trainings on others."""
    info = spec.contents or described(spec.dataset, roots)
    past = _past(store, spec, roots) or Past(dataset=spec.dataset, machine=None, trainings=())
    learnt, whole = pace(past.trainings) if past.trainings else CORE, info.train_images
    costs, images = sorted(_mult_adds(spec, info.as_seen(spec.resolution))), _mean_images(spec, whole)
    if not costs:
        reason = f"{SAMPLE} networks are all over the limits"
        return Forecast(trials=spec.trials, trainings=len(past.trainings), reason=reason, worth=spec.worth)
    tenth = len(costs) // 10
    of = (costs[tenth], sum(costs) / len(costs), costs[-1 - tenth])
    each = [
        _shared(spec, learnt, cost, info) if spec.weights == "shared" else learnt.seconds(cost, images) for cost in of
    ]
    if not past.trainings:
        each = [each[1] / UNSURE, each[1], UNSURE * each[1]]
    off = FEW if past.trainings and learnt.error is None else 1 + (learnt.error or 0.0)
    each = [each[0] / off, each[1], each[2] * off]
    baselines = {
        name: learnt.seconds(cost, _images(spec.recipe, whole)) for name, cost in _baselines(spec, info).items()
    }
    before, others = sum(baselines.values()), spec.trials - len(baselines)
    # What holds whole processors has to wait for one; parts of a GPU are shared out to as many as are asked for.
    at_once = spec.parallel if remote_workers or learnt.share < 1 else min(spec.parallel, os.cpu_count() or 1)
    side_by_side = min(at_once, spec.trials) * learnt.share
    compute = [_capped((before + others * one) * learnt.share, spec.compute_hours, one * learnt.share) for one in each]
    seconds = [_capped(total / side_by_side, spec.hours, one) for total, one in zip(compute, each)]
    compute = [min(total, took * side_by_side) for total, took in zip(compute, seconds)]
    tried = math.ceil((compute[1] / learnt.share - before) / each[1] - 1e-9)
    price, currency = settings.PRICE.money or (None, None)
    return Forecast(
        trials=min(spec.trials, len(baselines) + max(0, tried)),
        trainings=len(past.trainings),
        trained_on=past.machine,
        dataset=None if past.dataset == spec.dataset else past.dataset,
        trial_seconds=each[1],
        seconds=seconds[1],
        seconds_range=(seconds[0], seconds[2]),
        compute_seconds=compute[1],
        compute_seconds_range=(compute[0], compute[2]),
        baseline_seconds=baselines,
        price=None if price is None else price * compute[1] / 3600,
        currency=currency,
        error=learnt.error,
        remark=_remark(spec, each[1]),
        worth=spec.worth,
    )


def _remark(spec: SearchSpec, trial_seconds: float) -> str | None:
    if spec.hours is None or trial_seconds <= 1800 * spec.hours:
        return None
    folds = f"{spec.recipe.folds} folds, " if spec.recipe.folds > 1 else ""
    took = f"{trial_seconds / 60:.0f} minutes" if trial_seconds >= 90 else f"{trial_seconds:.0f} s"
    detail = f"hours {spec.hours:g} have no room for two trials of about {took}, of {folds}{spec.recipe.epochs} epochs"
    return f"{detail}: give more hours, or fewer folds (1), epochs or pixels"


def _capped(seconds: float, hours: float | None, last: float) -> float:
    """What has begun when the hours are spent still ends."""
    return seconds if hours is None else min(seconds, 3600 * hours + last)


@dataclass(frozen=True, kw_only=True)
class Past:
    """Trainings like those of a search, the newest first, all of one dataset and on one machine."""

    dataset: str
    machine: str | None
    trainings: Sequence[Training]


def _past(store: Store, spec: SearchSpec, roots: Roots) -> Past | None:
    """On the same images where there are any, otherwise on those of the newest search; on the machine of the newest."""
    runs = [(run, run.spec) for run in store.runs(limit=MOST_RUNS) if isinstance(run.spec, SearchSpec)]
    alike = [(run, own) for run, own in runs if _alike(own) == _alike(spec)]
    for dataset in dict.fromkeys((spec.dataset, *(own.dataset for _, own in alike))):
        of = [(run, own) for run, own in alike if own.dataset == dataset]
        trials = [trial for run, _ in of for trial in store.trained(run.id, MOST_TRAININGS) if _counts(trial)]
        if not trials:
            continue
        try:
            whole = (of[0][1].contents or described(dataset, roots)).train_images
        except ValueError:  # they are gone
            continue
        machines = [trial.measurement.trained_on if trial.measurement else None for trial in trials]
        same = [trial for trial, machine in zip(trials, machines) if machine == machines[0]]
        trainings = [_training(trial, whole) for trial in same[:MOST_TRAININGS]]
        return Past(dataset=dataset, machine=machines[0], trainings=trainings)
    return None


def _alike(spec: SearchSpec) -> tuple[object, ...]:
    """What trainings of two searches have in common that are foretold from each other: with a parent or without one,
    as norms that are frozen, or layers that are not trained, have a pace of their own."""
    recipe = spec.recipe if spec.parent else spec.recipe.from_nothing
    return spec.space, spec.parent is None, recipe.norms, recipe.stepless


def _counts(trial: Trial) -> bool:
    measured = trial.measurement
    return (
        measured is not None
        and measured.trained_on is not None
        and measured.train_seconds > 0
        and not trial.job.children
    )


def _training(trial: Trial, whole: int) -> Training:
    measured, recipe = trial.measurement, trial.job.recipe
    assert measured is not None
    assert recipe is not None
    return Training(
        mult_adds=measured.mult_adds,
        images=_images(recipe, whole, trial.job.epochs_done if measured.inherited else 0),
        train_seconds=measured.train_seconds,
        seconds=measured.seconds,
        compute_seconds=trial.compute_seconds or measured.seconds,
    )


def _shared(spec: SearchSpec, learnt: Pace, mult_adds: float, info: DatasetInfo) -> float:
    """Seconds of a trial of a search with shared weights, on the average: the supernet's steps teach it, the smallest
    network and two others; candidates are only scored; and finals are trainings as any other."""
    images = info.as_seen(spec.resolution)
    space, whole = spaces.load(spec.space, spec.parent), info.train_images
    knobs = spaces.narrowed(space.knobs(images), spec.knobs)
    most = nesting.largest(space, knobs, images)
    taught = counts(most.architecture).mult_adds + counts(space.architecture(most.smallest, images)).mult_adds
    supernet = learnt.seconds(taught + AT_RANDOM * mult_adds, _images(spec.recipe, whole))
    scored = learnt.seconds(mult_adds, round(min(MOST_SCORED, (1 - TRAINED_ON) * whole) * FORWARD))
    finals = FINAL_SEEDS * spec.finals
    final = learnt.seconds(mult_adds, _images(spec.recipe, whole))
    return (supernet + finals * final + (spec.trials - 1 - finals) * scored) / spec.trials


def _mean_images(spec: SearchSpec, whole: int) -> int:
    """That one of the search's trainings sees on the average, over its rungs if it has some."""
    if spec.fidelity is None:
        return _images(spec.recipe, whole)
    recipes, parts = spec.fidelity.recipes(spec.recipe), shares(spec.fidelity)
    images = sum(part * _images(recipe, whole) for part, recipe in zip(parts, recipes))
    for rung, below in enumerate(parts[:-1], 1):  # one in eta of which inherits and goes on
        recipe, done = recipes[rung], spec.fidelity.epochs_done(recipes, rung)
        images -= below / spec.fidelity.eta * (_images(recipe, whole) - _images(recipe, whole, done))
    return round(images)


def _images(recipe: Recipe, whole: int, done: int = 0) -> int:
    """That a candidate's trainings see, in all epochs together but those that are done."""
    folds = max(1, recipe.folds)
    each = round((1 - 1 / folds if folds > 1 else TRAINED_ON) * whole)
    return folds * (recipe.epochs - done + recipe.int8_epochs) * min(recipe.train_images or each, each)


def _baselines(spec: SearchSpec, info: DatasetInfo) -> dict[str, int]:
    """The multiply-adds of each."""
    images = info.as_seen(spec.resolution)
    parent = spec.parent and kinship.fitted(parents.described(spec.parent).architecture, images)
    networks = ((name, parent if name == PARENT else zoo.architecture(name, images)) for name in spec.baselines)
    return {name: counts(network).mult_adds for name, network in networks if network}


def _mult_adds(spec: SearchSpec, images: Images) -> list[int]:
    """Of networks that the search may try, drawn at random."""
    space = spaces.load(spec.space, spec.parent)
    knobs, draw = spaces.narrowed(space.knobs(images), spec.knobs), random.Random(spec.seed)
    drawn = (random_choices(knobs, draw) for _ in range(SAMPLE))
    counted = (counts(space.architecture(choices, images)) for choices in drawn)
    precision = spec.objective.precision
    return [count.mult_adds for count in counted if over_limit(spec.limits, count, precision) is None]
