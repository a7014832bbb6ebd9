"""One job, from its architecture to its accuracy: `python -m nas.evaluate < job.json > measurement.json`

Progress goes to the standard error as lines of JSON, between those of the log. Exit status 2: the job is malformed;
1: it cannot be evaluated.
"""

import dataclasses
import json
import logging
import math
import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nas import datasets, home, latencies, logs, parents, quantisation
from nas.answers import Answers, packed
from nas.codec import Malformed, decode, encode
from nas.datasets import DatasetError, ImageSet
from nas.extras import NotInstalled
from nas.limits import over_limit
from nas.measurements import Measurement, Score
from nas.metering import DeviceError
from nas.metering.host import processor
from nas.metrics import Quality
from nas.models import checkpoint
from nas.models.checkpoint import Card
from nas.models.images import digest
from nas.networks.counts import counts
from nas.noise import standard_error
from nas.recipes import Recipe
from nas.records import Job, Phase, Progress
from nas.rounding import Rounding, collapsed
from nas.training import TrainingFailed, folds, kin, zero_cost
from nas.training.accuracy import Answered, judged, together
from nas.training.data import View
from nas.training.device import alone, training_device
from nas.training.folds import Report, Work, build
from nas.training.parts import Part, prepared, view
from nas.training.resume import Fold, Resume, Unfinished
from nas.training.team import gathered
from nas.worth import epoch_steps

SCORED = 32  # images that the scores of an untrained network look at

log = logging.getLogger(__name__)


def ignore(progress: Progress) -> None:
    """A report for callers that do not care."""


def evaluate(job: Job, report: Report = ignore, *, images: ImageSet | None = None) -> Measurement:
    """Count, measure latency, train and score the network of `job`; its weights are saved where it says so. Without a
    recipe that ends with the latency. A latency that is not well known is measured again once the network is trained.

    `images` are those of its dataset, loaded here if they are not given. `report` is called when the phase changes and
    after every epoch. An interrupted job goes on from its last epoch. Random numbers come from `job.seed`; a process
    evaluates one job at a time.

    Raises TrainingFailed, DeviceError (no latency), DatasetError, ValueError for a job that does not fit its dataset or
    names a plug-in that is not there, ModuleNotFoundError for a package to install, OSError where weights cannot be
    kept.
    """
    with logs.about(run=job.run, trial=job.number):
        return _evaluated(job, report, images)


def _evaluated(job: Job, report: Report, images: ImageSet | None) -> Measurement:
    begun = time.perf_counter()
    counted = counts(job.architecture)
    costed = Measurement(
        params=counted.params,
        mult_adds=counted.mult_adds,
        peak_memory=counted.peak_memory(job.precision),
        model_bytes=counted.model_bytes(job.precision),
        refused=over_limit(job.limits, counted, job.precision),
    )
    if costed.refused:
        return dataclasses.replace(costed, seconds=time.perf_counter() - begun)
    device = training_device()
    dataset, recipe = job.dataset, job.recipe
    if dataset is None or recipe is None:
        report(_phase(job, "measuring"))
        with alone(device):
            network = build(job).eval()
            costed = latencies.measured_again(job, network, latencies.measured(job, network, costed))
            return dataclasses.replace(costed, seconds=time.perf_counter() - begun)
    if job.save_weights:
        checkpoint.require()
    if job.precision == "int8" and (reason := quantisation.missing()):
        raise NotInstalled(reason)
    if images is None:
        images = datasets.load(dataset, job.read_at, home.folder("datasets"))
    datasets.require_fitting(images.info, job.architecture.images.channels, job.architecture.images.classes)
    if job.contents not in (None, images.info.digest):
        raise datasets.Changed(dataset, "image files have other names, sizes or classes")
    with alone(device):
        job = _with_parent(job)
        seen = kin.seen(job, recipe, images)
        recipe, divided = prepared(job, images)
        first = divided[0]
        resume = Resume(job, images.info)
        stand = resume.load()
        if stand is None:
            report(_phase(job, "measuring"))
            costed = latencies.measured(job, build(job).eval(), costed)
            stand = Unfinished(costed=costed, learning_rate=recipe.learning_rate)
        else:
            begun -= stand.train_seconds  # what interrupted evaluations took of the time counts as well
        costed = stand.costed
        if costed.refused:
            return dataclasses.replace(costed, seconds=time.perf_counter() - begun)

        scores = {}
        if job.scores:
            scores = _scores(job, images.train_images[first.training[:SCORED]], view(job, first, device))
        with gathered(job, device) as team:
            work = Work(job=job, recipe=recipe, images=images, device=device, resume=resume, report=report, team=team)
            stand = folds.trained(work, divided, stand)
        recipe = dataclasses.replace(recipe, learning_rate=stand.learning_rate)

        right = _right(divided, [fold.answered.taken_for for fold in stand.folds])
        scored = float(right.mean())
        rounding = _rounding(divided, stand.folds)
        costed = latencies.measured_again(
            job, build(job).eval(), costed, per_channel=rounding is not None and rounding.per_channel
        )
        costed = dataclasses.replace(
            costed, rounding=rounding, refused=costed.refused or collapsed(job.limits.most_drop, rounding)
        )
        if costed.refused:
            resume.remove()
            spent = time.perf_counter() - begun
            return dataclasses.replace(costed, train_seconds=stand.train_seconds, seconds=spent)
        weights = None
        if job.save_weights:
            network = build(job)
            network.load_state_dict(stand.folds[0].weights or {})
            answered = stand.folds[0].single or stand.folds[0].answered
            own = float(_right([first], [answered.taken_for]).mean())
            card = _card(job, dataset, recipe, images, first, costed, own)
            its = _quality([first], [answered], images.info.classes)
            card = dataclasses.replace(card, quality=its, rounding=_rounding([first], stand.folds[:1]), seen=seen)
            weights = checkpoint.save(network, card)
        resume.remove()
    without = [fold.unaveraged for fold in stand.folds if fold.unaveraged is not None]
    return dataclasses.replace(
        costed,
        accuracy=None if job.final else scored,
        test_accuracy=scored if job.final else None,
        accuracy_error=standard_error(scored, len(right)),
        **_alone(first, stand.folds[0], images.info.classes) if weights and len(divided) > 1 else {},
        unaveraged_accuracy=float(_right(divided, without).mean()) if without else None,
        answers=Answers(
            images=len(right), folds=len(divided), right=packed(np.packbits(right, bitorder="little").tobytes())
        ),
        quality=_quality(divided, [fold.answered for fold in stand.folds], images.info.classes),
        steps=0 if job.calibrated else recipe.all_epochs * epoch_steps(recipe, len(first.training)),
        losses=stand.losses,
        learning_rate=None if job.calibrated else stand.learning_rate,
        inherited=stand.inherited,
        seen=seen,
        train_seconds=stand.train_seconds,
        seconds=time.perf_counter() - begun,
        weights=weights,
        scores=scores,
        trained_on=None if job.calibrated else _name(device),
    )


def _with_parent(job: Job) -> Job:
    """The job; where it was to go on from the rung below, and those weights are gone, all of it from what that began
    with."""
    if not job.epochs_done or (job.parent is not None and checkpoint.artifact(job.parent).exists()):
        return job
    log.warning(
        "the weights of trial %d are gone, which were to go on: its network begins with %s, and has the whole recipe",
        job.promotes,
        "those of the search's parent" if job.ancestor else "none",
    )
    return dataclasses.replace(job, parent=job.ancestor, epochs_done=0)


def _right(divided: list[Part], taken_for: list[Tensor]) -> NDArray[np.bool_]:
    """Which of the images were taken for what they are, in the order in which the dataset has them."""
    held = np.concatenate([part.held for part in divided])
    right = np.concatenate([part.right(taken) for part, taken in zip(divided, taken_for)])
    return right[np.argsort(held)]


def _rounding(divided: list[Part], folds: Sequence[Fold]) -> Rounding | None:
    """What 8 bits did to the accuracy; None where nothing was quantised."""
    before = [fold.single.taken_for for fold in folds if fold.single]
    if not before:
        return None
    single, rounded = (
        float(_right(divided, each).mean()) for each in (before, [fold.answered.taken_for for fold in folds])
    )
    return Rounding(float32=single, int8=rounded, per_channel=folds[0].per_channel)


def _quality(divided: list[Part], answered: Sequence[Answered], classes: tuple[str, ...]) -> Quality:
    labels = np.concatenate([part.labels[part.held] for part in divided])
    return judged(together(answered), labels, classes)


def _alone(part: Part, fold: Fold, classes: tuple[str, ...]) -> dict[str, Any]:
    """What a measurement says of the fold that was saved, where there are others."""
    right = _right([part], [fold.answered.taken_for])
    return {
        "saved_accuracy": float(right.mean()),
        "saved_error": standard_error(float(right.mean()), len(right)),
        "saved_quality": _quality([part], [fold.answered], classes),
        "saved_rounding": _rounding([part], [fold]),
    }


def _name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else processor()


def _phase(job: Job, phase: Phase) -> Progress:
    return Progress(run=job.run, number=job.number, phase=phase)


def _scores(job: Job, few: NDArray[np.uint8], view: View) -> dict[str, Score]:
    batch, scores = view(torch.from_numpy(few)).cpu(), {}
    for name in zero_cost.SCORES:
        begun = time.perf_counter()
        value = zero_cost.score(name, build(job), batch, job.seed)
        scores[name] = Score(value=value if math.isfinite(value) else None, seconds=time.perf_counter() - begun)
    return scores


def _card(
    job: Job,
    dataset: str,
    recipe: Recipe,
    images: ImageSet,
    part: Part,
    costed: Measurement,
    scored: float,
) -> Card:
    return Card(
        space=job.space,
        architecture=job.architecture,
        choices=job.choices,
        run=job.run,
        number=job.number,
        member=job.member,
        dataset=dataset,
        classes=images.info.classes,
        mean=part.how.mean,
        std=part.how.std,
        accuracy=None if job.final else scored,
        test_accuracy=scored if job.final else None,
        params=costed.params,
        mult_adds=costed.mult_adds,
        latencies=costed.latencies,
        recipe=recipe,
        seed=job.seed,
        shuffle=job.shuffle,
        children=job.children,
        origin=parents.described(job.parent).origin if job.parent else None,
        pixels=images.train_images.shape[-1],
        greys=images.info.greys,
        scored_on=training_device().type,
        contents=images.info.digest,
        scored_images=digest(part.unseen, part.labels, part.held),
    )


def main() -> int:
    try:
        logs.begin()
        job = decode(Job, json.load(sys.stdin))
    except (Malformed, ValueError) as error:
        print(f"the job on standard input cannot be read: {error}", file=sys.stderr)
        return 2
    try:
        measurement = evaluate(job, lambda progress: print(json.dumps(encode(progress)), file=sys.stderr, flush=True))
    except (TrainingFailed, DatasetError, DeviceError, ValueError, OSError, ModuleNotFoundError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    print(json.dumps(encode(measurement)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
