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
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from nas import datasets, home, latencies, logs, spaces
from nas.codec import Malformed, decode, encode
from nas.datasets import DatasetError, ImageSet
from nas.inheritance import inherited
from nas.limits import over_limit
from nas.metering import DeviceError
from nas.metering.host import processor
from nas.models import checkpoint
from nas.models.checkpoint import Card
from nas.networks.counts import counts
from nas.recipes import Recipe
from nas.records import Job, Measurement, Phase, Progress, Score
from nas.training import TrainingFailed, zero_cost
from nas.training.accuracy import accuracy, standard_error
from nas.training.data import Batches, Normalisation, View, everything, normalisation, split
from nas.training.device import alone, training_bytes, training_device
from nas.training.resume import Resume, Unfinished
from nas.training.train import Diverged, Epoch, train

Report = Callable[[Progress], None]
SCORED = 32  # images that the scores of an untrained network look at
SECOND_ATTEMPT = 1 / 3  # of the learning rate, after a divergence

log = logging.getLogger(__name__)


def ignore(progress: Progress) -> None:
    """A report for callers that do not care."""


def evaluate(job: Job, report: Report = ignore, *, images: ImageSet | None = None) -> Measurement:
    """Count, measure latency, train and score the network of `job`; its weights are saved where it says so. Without a
    recipe that ends with the latency. A latency that is noisy is measured again once the network is trained.

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
    costed = Measurement(params=counted.params, mult_adds=counted.mult_adds, refused=over_limit(job.limits, counted))
    if costed.refused:
        return dataclasses.replace(costed, seconds=time.perf_counter() - begun)
    device = training_device()
    dataset, recipe = job.dataset, job.recipe
    if dataset is None or recipe is None:
        report(_phase(job, "measuring"))
        with alone(device):
            network = _build(job).eval()
            costed = latencies.measured_again(job, network, latencies.measured(job, network, costed))
            return dataclasses.replace(costed, seconds=time.perf_counter() - begun)
    if job.save_weights:
        checkpoint.require()
    if images is None:
        images = datasets.load(dataset, job.architecture.images.resolution, home.folder("datasets"))
    datasets.require_fitting(images.info, job.architecture.images.channels, job.architecture.images.classes)
    if job.contents not in (None, images.info.digest):
        raise datasets.Changed(dataset, "image files have other names, sizes or classes")
    with alone(device):
        resume = Resume(job, images.info)
        unfinished = resume.load()
        if unfinished is None:
            report(_phase(job, "measuring"))
        else:
            begun -= unfinished.train_seconds  # what interrupted evaluations took of the time counts as well
        costed = unfinished.costed if unfinished else latencies.measured(job, _build(job).eval(), costed)
        if costed.refused:
            return dataclasses.replace(costed, seconds=time.perf_counter() - begun)

        if job.final:
            training, held = (
                everything(images.train_labels, balanced=recipe.balanced),
                np.arange(len(images.test_labels)),
            )
            unseen, answers = images.test_images, images.test_labels
        elif images.validation_images is not None and images.validation_labels is not None:
            training, held = everything(images.train_labels), np.arange(len(images.validation_labels))
            unseen, answers = images.validation_images, images.validation_labels
        else:
            training, held = split(images.train_labels, balanced=recipe.balanced)
            unseen, answers = images.train_images, images.train_labels
        training = training[: recipe.train_images]
        if len(training) < 2 or not len(held):
            raise DatasetError(
                f"dataset {dataset!r} leaves {len(training)} images to train on and {len(held)} to score: "
                "there must be 2 and 1 at least"
            )
        how = normalisation(images.train_images, training)
        view = View(job.architecture.images.resolution, how, device)
        scores = _scores(job, images.train_images[training[:SCORED]], view) if job.scores else {}
        needed = training_bytes(counted, recipe.batch)
        batches = Batches(images.train_images, images.train_labels, training, recipe, view, device, needed)
        network, averaged, rate, share, train_seconds = _trained(
            job, recipe, batches, images.info.classes, device, resume, unfinished, costed, report
        )
        recipe = dataclasses.replace(recipe, learning_rate=rate)

        report(_phase(job, "scoring", recipe.epochs))
        costed = latencies.measured_again(job, _build(job).eval(), costed)
        if costed.refused:
            resume.remove()
            spent = time.perf_counter() - begun
            return dataclasses.replace(costed, train_seconds=train_seconds, seconds=spent)
        scored, unaveraged = accuracy(network, unseen, answers, view, device, only=held), None
        if averaged is not None:
            network.load_state_dict(averaged)
            scored, unaveraged = accuracy(network, unseen, answers, view, device, only=held), scored
        weights = None
        if job.save_weights:
            card = _card(job, dataset, recipe, images.info.classes, how, costed, scored)
            weights = checkpoint.save(network, card)
        resume.remove()
    return dataclasses.replace(
        costed,
        accuracy=None if job.final else scored,
        test_accuracy=scored if job.final else None,
        accuracy_error=standard_error(scored, len(held)),
        unaveraged_accuracy=unaveraged,
        learning_rate=rate,
        inherited=share,
        train_seconds=train_seconds,
        seconds=time.perf_counter() - begun,
        weights=weights,
        scores=scores,
        trained_on=torch.cuda.get_device_name(device) if device.type == "cuda" else processor(),
    )


def _phase(job: Job, phase: Phase, epochs: int = 0) -> Progress:
    return Progress(run=job.run, number=job.number, phase=phase, epoch=epochs, epochs=epochs)


def _build(job: Job) -> nn.Module:
    space = spaces.load(job.space)
    torch.manual_seed(job.seed)
    return space.build(job.architecture)


def _begun(job: Job, classes: tuple[str, ...]) -> tuple[nn.Module, float | None]:
    """The network before its training, and the share of its weights that it inherits, if it has a parent."""
    network = _build(job)
    if job.parent is None:
        return network, None
    parent, card = checkpoint.load(checkpoint.artifact(job.parent))
    child = inherited(parent, card.architecture, job.architecture, classes=card.classes, wanted=classes)
    network.load_state_dict(child.network.state_dict())
    return network, child.share


def _scores(job: Job, few: NDArray[np.uint8], view: View) -> dict[str, Score]:
    batch, scores = view(torch.from_numpy(few)).cpu(), {}
    for name in zero_cost.SCORES:
        begun = time.perf_counter()
        value = zero_cost.score(name, _build(job), batch, job.seed)
        scores[name] = Score(value=value if math.isfinite(value) else None, seconds=time.perf_counter() - begun)
    return scores


def _trained(
    job: Job,
    recipe: Recipe,
    batches: Batches,
    classes: tuple[str, ...],
    device: torch.device,
    resume: Resume,
    unfinished: Unfinished | None,
    costed: Measurement,
    report: Report,
) -> tuple[nn.Module, dict[str, Any] | None, float, float | None, float]:
    """The trained network, its averaged weights if there are any, the learning rate that did it, the share of its
    weights that it began with from a parent, and the seconds it took, those of interrupted evaluations included."""
    rate = unfinished.learning_rate if unfinished else recipe.learning_rate
    earlier = unfinished.train_seconds if unfinished else 0.0
    start = unfinished.state if unfinished else None
    begun = time.perf_counter()

    def after(epoch: Epoch) -> None:
        seconds = earlier + time.perf_counter() - begun
        resume.save(Unfinished(costed=costed, learning_rate=rate, train_seconds=seconds, state=epoch.state))
        report(
            Progress(
                run=job.run,
                number=job.number,
                phase="training",
                epoch=epoch.number,
                epochs=recipe.epochs,
                loss=epoch.loss,
                images_per_second=epoch.images_per_second,
            )
        )

    while True:
        network, share = _begun(job, classes)
        network = network.to(device)
        done = start.epoch if start else 0
        report(Progress(run=job.run, number=job.number, phase="training", epoch=done, epochs=recipe.epochs))
        try:
            slower = dataclasses.replace(recipe, learning_rate=rate)
            averaged = train(network, batches, slower, seed=job.seed, device=device, start=start, after_epoch=after)
        except Diverged as error:
            if rate < recipe.learning_rate:
                raise TrainingFailed(
                    f"{error}, and before that at {recipe.learning_rate:g}: lower recipe.learning_rate"
                ) from error
            log.warning("%s; trying once more at a third of it", error)
            rate, start = rate * SECOND_ATTEMPT, None
        else:
            return network, averaged, rate, share, earlier + time.perf_counter() - begun


def _card(
    job: Job,
    dataset: str,
    recipe: Recipe,
    classes: tuple[str, ...],
    how: Normalisation,
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
        classes=classes,
        mean=how.mean,
        std=how.std,
        accuracy=None if job.final else scored,
        test_accuracy=scored if job.final else None,
        params=costed.params,
        mult_adds=costed.mult_adds,
        latencies=costed.latencies,
        recipe=recipe,
        seed=job.seed,
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
