"""The trainings of a job: one, or one for each fold of its images; each is scored on images that it has not seen."""

import dataclasses
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nas import parents, spaces
from nas.datasets import DatasetError, ImageSet
from nas.inheritance import inherited
from nas.networks.counts import counts
from nas.recipes import Recipe
from nas.records import Job, Progress
from nas.training import TrainingFailed
from nas.training.accuracy import answers
from nas.training.data import Batches, Indices, Normalisation, View, everything, normalisation, split
from nas.training.device import training_bytes
from nas.training.head import fit_head
from nas.training.loss import class_weights
from nas.training.resume import Fold, Resume, Unfinished
from nas.training.teacher import Teacher
from nas.training.train import Diverged, Epoch, train

Report = Callable[[Progress], None]
SECOND_ATTEMPT = 1 / 3  # of the learning rate, after a divergence

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Part:
    """Indices of the training images to learn from, how images are normalised, and indices of those to be scored on,
    which lie in `unseen` and have these labels."""

    training: Indices
    how: Normalisation
    held: Indices
    unseen: NDArray[np.uint8]
    labels: Indices


def parts(job: Job, recipe: Recipe, images: ImageSet) -> list[Part]:
    """What each training of the job gets. Raises DatasetError where that is too little."""
    labels, balanced = images.train_labels, recipe.balanced
    if job.final:
        unseen, answered = images.test_images, images.test_labels
        divided = [(everything(labels, balanced=balanced), np.arange(len(answered)))]
    elif images.validation_images is not None and images.validation_labels is not None:
        unseen, answered = images.validation_images, images.validation_labels
        divided = [(everything(labels, balanced=balanced), np.arange(len(answered)))]
    else:
        unseen, answered = images.train_images, labels
        folds = max(1, recipe.folds)
        divided = [
            split(labels, fold=fold, folds=folds, shuffle=job.shuffle, balanced=balanced) for fold in range(folds)
        ]
    for training, held in divided:
        if len(training[: recipe.train_images]) < 2 or not len(held):
            raise DatasetError(
                f"dataset {images.info.name!r} leaves {len(training[: recipe.train_images])} images to train on and "
                f"{len(held)} to score: there must be 2 and 1 at least"
            )
    return [
        Part(training=some, how=_normalisation(job, images, some), held=held, unseen=unseen, labels=answered)
        for some, held in ((training[: recipe.train_images], held) for training, held in divided)
    ]


def _normalisation(job: Job, images: ImageSet, training: Indices) -> Normalisation:
    """That of the images to learn from; where the network has a parent, what its weights are used to."""
    if job.parent is None:
        return normalisation(images.train_images, training)
    mean, std = parents.described(job.parent).preprocessing(images.info.channels)
    return Normalisation(mean=mean, std=std)


def build(job: Job) -> nn.Module:
    """The network of the job, untrained."""
    space = spaces.load(job.space)
    torch.manual_seed(job.seed)
    return space.build(job.architecture)


def view(job: Job, part: Part, device: torch.device) -> View:
    """How the images of a part are shown to the job's network."""
    return View(job.architecture.images.resolution, part.how, device)


def trained(
    job: Job,
    recipe: Recipe,
    images: ImageSet,
    divided: list[Part],
    stand: Unfinished,
    *,
    device: torch.device,
    resume: Resume,
    report: Report,
) -> tuple[Unfinished, float | None]:
    """Where the evaluation stands when each part has been trained on and scored, from where it stands now; and which
    share of its weights the network had from a parent, if it has one."""
    share, needed = None, training_bytes(counts(job.architecture), recipe.batch)
    while len(stand.folds) < len(divided):
        part = divided[len(stand.folds)]
        seen = view(job, part, device)
        batches = Batches(
            images.train_images,
            images.train_labels,
            part.training,
            recipe,
            seen,
            device,
            needed,
            classes=len(images.info.classes),
        )
        progress = Progress(
            run=job.run,
            number=job.number,
            phase="training",
            epoch=len(stand.folds) * recipe.epochs,
            epochs=len(divided) * recipe.epochs,
        )
        classes, teacher = images.info.classes, None
        if recipe.teacher:
            teacher = Teacher(recipe.teacher, classes, images.info.channels, part.how, device)
        weights = class_weights(recipe, images.train_labels[part.training], classes)
        network, share, averaged, stand = _network(
            job, recipe, images, part, batches, weights, teacher, stand, progress, device, resume, report
        )
        report(dataclasses.replace(progress, phase="scoring", epoch=progress.epoch + recipe.epochs))
        answered, unaveraged = answers(network, part.unseen, part.labels, seen, device, only=part.held), None
        if averaged is not None:
            network.load_state_dict(averaged)
            unaveraged = answered.taken_for
            answered = answers(network, part.unseen, part.labels, seen, device, only=part.held)
        state = {name: value.cpu() for name, value in network.state_dict().items()} if job.save_weights else None
        fold = Fold(answered=answered, unaveraged=unaveraged, weights=None if stand.folds else state)
        stand = dataclasses.replace(stand, folds=(*stand.folds, fold), state=None)
    return stand, share


def _begun(job: Job, classes: tuple[str, ...]) -> tuple[nn.Module, float | None]:
    """The network before its training, and the share of its weights that it inherits, if it has a parent."""
    network = build(job)
    if job.parent is None:
        return network, None
    weights, parent = parents.load(job.parent)
    child = inherited(weights, parent.architecture, job.architecture, classes=parent.classes, wanted=classes)
    network.load_state_dict(child.network.state_dict())
    return network, child.share


def _network(
    job: Job,
    recipe: Recipe,
    images: ImageSet,
    part: Part,
    batches: Batches,
    weights: Tensor | None,
    teacher: Teacher | None,
    stand: Unfinished,
    progress: Progress,
    device: torch.device,
    resume: Resume,
    report: Report,
) -> tuple[nn.Module, float | None, dict[str, Any] | None, Unfinished]:
    """The trained network, the share of its weights that it began with from a parent, its averaged weights if there are
    any, and where the evaluation stands then: the learning rate that did it, and the seconds it took, those of
    interrupted evaluations included."""
    begun, earlier = time.perf_counter(), stand.train_seconds

    def now(epoch: Epoch | None = None) -> Unfinished:
        seconds = earlier + time.perf_counter() - begun
        return dataclasses.replace(stand, train_seconds=seconds, state=epoch.state if epoch else None)

    def after(epoch: Epoch) -> None:
        resume.save(now(epoch))
        report(
            dataclasses.replace(
                progress,
                epoch=progress.epoch + epoch.number,
                loss=epoch.loss,
                images_per_second=epoch.images_per_second,
            )
        )

    while True:
        network, share = _begun(job, images.info.classes)
        network = network.to(device)
        done = stand.state.epoch if stand.state else 0
        report(dataclasses.replace(progress, epoch=progress.epoch + done))
        if recipe.head == "ridge" and not done and not job.epochs_done:
            fit_head(network, images.train_images, images.train_labels, part.training, view(job, part, device), device)
        if recipe.stepless:
            return network, share, None, now()
        try:
            slower = dataclasses.replace(recipe, learning_rate=stand.learning_rate)
            averaged = train(
                network,
                batches,
                slower,
                seed=job.seed,
                device=device,
                teacher=teacher,
                start=stand.state,
                weights=None if weights is None else weights.to(device),
                after_epoch=after,
            )
        except Diverged as error:
            if stand.learning_rate < recipe.learning_rate:
                raise TrainingFailed(
                    f"{error}, and before that at {recipe.learning_rate:g}: lower recipe.learning_rate"
                ) from error
            log.warning("%s; trying once more at a third of it", error)
            stand = dataclasses.replace(stand, learning_rate=stand.learning_rate * SECOND_ATTEMPT, state=None)
        else:
            return network, share, averaged, now()
