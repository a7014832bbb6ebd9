"""The trainings of a job: one, or one for each fold of its images; each is scored on images that it has not seen."""

import dataclasses
import logging
import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nas import parents, spaces
from nas.datasets import ImageSet
from nas.inheritance import CannotInherit, inherited
from nas.inheritance.streams import chosen, first, ranked
from nas.networks.counts import counts
from nas.quantisation import after_training, in_torch
from nas.recipes import Recipe
from nas.records import Job, Progress
from nas.training import TrainingFailed, kin
from nas.training.accuracy import Answered, answers
from nas.training.data import Batches, View, tensor
from nas.training.device import training_bytes
from nas.training.head import fit_head
from nas.training.loss import class_weights
from nas.training.parts import Part, view
from nas.training.resume import Fold, Resume, Unfinished
from nas.training.supernet import CALIBRATION, calibrate, children
from nas.training.teacher import Teacher
from nas.training.team import ALONE, Team
from nas.training.train import Diverged, Epoch, train

Report = Callable[[Progress], None]
CPU = torch.device("cpu")  # where networks of 8 bits run
DIGITS = 4  # of a loss
SECOND_ATTEMPT = 1 / 3  # of the learning rate, after a divergence

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Work:
    """A job, the recipe that is in force for it, its images, and where it is trained, kept and told of."""

    job: Job
    recipe: Recipe
    images: ImageSet
    device: torch.device
    resume: Resume
    report: Report
    team: Team = ALONE


def build(job: Job) -> nn.Module:
    """The network of the job, untrained."""
    space = spaces.load(job.space)
    torch.manual_seed(job.seed)
    return space.build(job.architecture)


def trained(work: Work, divided: list[Part], stand: Unfinished) -> Unfinished:
    """Where the evaluation stands when each part has been trained on and scored, from where it stands now."""
    job, each = work.job, work.recipe.epochs + work.recipe.int8_epochs
    while len(stand.folds) < len(divided):
        part, done = divided[len(stand.folds)], len(stand.folds) * each
        progress = Progress(run=job.run, number=job.number, phase="training", epoch=done, epochs=len(divided) * each)
        seen = view(job, part, work.device)
        network, averaged, before, stand = _network(work, part, seen, stand, progress)
        told = dataclasses.replace(progress, epoch=done + work.recipe.epochs, losses=stand.losses)
        work.report(dataclasses.replace(told, phase="scoring"))
        unaveraged = None
        if averaged is not None:
            unaveraged = answers(network, part.unseen, part.labels, seen, work.device, only=part.held).taken_for
            network.load_state_dict(averaged)
        scored = _scored(work, part, network, seen)
        if work.recipe.int8_epochs:
            started = time.perf_counter()
            scored = _rounded(work, part, network, seen, progress, scored)
            seconds = stand.train_seconds + time.perf_counter() - started
            stand = dataclasses.replace(stand, train_seconds=seconds)
        if before is not None:
            network.load_state_dict(before)
            unchanged = _scored(work, part, network, seen)
            if (lost := _right(part, unchanged) - _right(part, scored)) > 0:
                log.warning("training on cost %d images of what the shared weights got right: these stay", lost)
                scored = unchanged
                unaveraged = None if unaveraged is None else (unchanged.single or unchanged.answered).taken_for
        keep = job.save_weights and not stand.folds
        fold = Fold(
            answered=scored.answered,
            single=scored.single,
            per_channel=scored.per_channel,
            unaveraged=unaveraged,
            weights=scored.weights if keep else None,
        )
        stand = dataclasses.replace(stand, folds=(*stand.folds, fold), state=None)
    return stand


@dataclass(frozen=True, kw_only=True)
class _Scored:
    """A network, and what it says of the images that are held out, in the precision that it is judged in; `single` is
    what it says in single precision where that is another."""

    weights: dict[str, Tensor]
    answered: Answered
    single: Answered | None = None
    per_channel: bool = False


def _right(part: Part, scored: _Scored) -> int:
    return int(part.right(scored.answered.taken_for).sum())


def _scored(work: Work, part: Part, network: nn.Module, seen: View) -> _Scored:
    answered = answers(network, part.unseen, part.labels, seen, work.device, only=part.held)
    weights = {name: value.to(CPU, copy=True) for name, value in network.state_dict().items()}
    if work.job.precision != "int8":
        return _Scored(weights=weights, answered=answered)
    shown = view(work.job, part, CPU)
    found = after_training(network.cpu(), work.images, part.training, shown)
    network.to(work.device)
    rounded = answers(in_torch(found), part.unseen, part.labels, shown, CPU, only=part.held)
    return _Scored(weights=weights, answered=rounded, single=answered, per_channel=found.per_channel)


def _rounded(work: Work, part: Part, network: nn.Module, seen: View, progress: Progress, plain: _Scored) -> _Scored:
    """What comes of training in 8 bits, as long as others of its team wait. It is no use where it diverges, or is worse
    than `plain` quantisation by images that are there to choose by."""
    recipe, done = work.recipe.in_int8, progress.epoch + work.recipe.epochs
    lessons = _lessons(work, part, seen, recipe, ALONE)
    try:
        train(
            network,
            lessons.batches,
            recipe,
            seed=work.job.seed,
            device=work.device,
            teacher=lessons.teacher,
            weights=lessons.weights,
            per_channel=plain.per_channel,
            after_epoch=lambda epoch: _tell(work, progress, done, epoch),
        )
    except Diverged as error:
        log.warning("training in 8 bits: %s; the network is quantised as it was", error)
        return plain
    scored = _scored(work, part, network, seen)
    if work.job.final or _right(part, scored) >= _right(part, plain):
        return scored
    log.warning("training in 8 bits made the network worse: it is quantised as it was")
    return plain


def _tell(work: Work, progress: Progress, done: int, epoch: Epoch) -> None:
    """How far it is after an epoch, before which there were so many."""
    speed = epoch.images_per_second
    work.report(dataclasses.replace(progress, epoch=done + epoch.number, loss=epoch.loss, images_per_second=speed))


def assisted(work: Work, divided: list[Part], stand: Unfinished) -> None:
    """Train on what is left of the parts with those that `trained` them, which alone score and keep."""
    progress = Progress(run=work.job.run, number=work.job.number, phase="training")
    for part in divided[len(stand.folds) :]:
        _, _, _, stand = _network(work, part, view(work.job, part, work.device), stand, progress)
        stand = dataclasses.replace(stand, state=None)


def _begun(job: Job, classes: tuple[str, ...]) -> tuple[nn.Module, float | None]:
    """The network before its training, and the share of its weights that it inherits, if it has a parent."""
    network = build(job)
    if job.parent is None:
        return network, None
    weights, parent = parents.load(job.parent)
    choose = first if parent.shared else chosen
    child = inherited(
        weights, parent.architecture, job.architecture, classes=parent.classes, wanted=classes, choose=choose
    )
    begun = child.network
    if job.children and not parent.shared:  # they have its first channels, which have to be its best
        begun = inherited(begun, job.architecture, job.architecture, choose=ranked).network
    network.load_state_dict(begun.state_dict())
    return network, child.share


def _calibrate(work: Work, network: nn.Module, part: Part, seen: View, share: float) -> None:
    """Give a part of a supernet the statistics that it has alone, unless it was trained with those that it inherits.
    Raises CannotInherit where it is none."""
    if share != 1:
        raise CannotInherit(
            f"the network has {share:.1%} of its weights from its parent, and is not trained: give a part of that"
        )
    if work.recipe.norms == "frozen":
        return
    few = part.training[:CALIBRATION]
    parts = np.array_split(few, max(1, len(few) // work.recipe.batch))
    calibrate(network, (seen(tensor(work.images.train_images[some])) for some in parts))


def _network(
    work: Work, part: Part, seen: View, stand: Unfinished, progress: Progress
) -> tuple[nn.Module, dict[str, Any] | None, dict[str, Any] | None, Unfinished]:
    """The network trained on a part, its averaged weights if there are any, what it was before where it worked already,
    and where the evaluation stands then: the learning rate that did it, and the seconds it took, those of interrupted
    evaluations included."""
    job, recipe, images, device = work.job, work.recipe, work.images, work.device
    classes, lessons = images.info.classes, _lessons(work, part, seen, recipe, work.team)
    begun, earlier = time.perf_counter(), stand.train_seconds

    def now(epoch: Epoch | None = None) -> Unfinished:
        seconds = earlier + time.perf_counter() - begun
        return dataclasses.replace(stand, train_seconds=seconds, state=epoch.state if epoch else None)

    def after(epoch: Epoch) -> None:
        nonlocal stand
        stand = dataclasses.replace(stand, losses=(*stand.losses, float(f"{epoch.loss:.{DIGITS}g}")))
        if work.team.leads:
            work.resume.save(now(epoch))
        _tell(work, dataclasses.replace(progress, losses=stand.losses), progress.epoch, epoch)

    while True:
        network, share = _begun(job, classes)
        network, stand = network.to(device), dataclasses.replace(stand, inherited=share)
        done = stand.state.epoch if stand.state else 0
        work.report(dataclasses.replace(progress, epoch=progress.epoch + done, losses=stand.losses))
        goes_on = kin.goes_on(job, share)
        if job.calibrated or goes_on:
            _calibrate(work, network, part, seen, share or 0.0)
        before = deepcopy(network.state_dict()) if goes_on else None
        if recipe.head == "ridge" and not done and not job.epochs_done:
            fit_head(network, images.train_images, images.train_labels, part.training, seen, device)
        if recipe.stepless or job.calibrated:
            return network, None, before, now()
        try:
            averaged = train(
                network,
                lessons.batches,
                dataclasses.replace(recipe, learning_rate=stand.learning_rate),
                seed=job.seed,
                device=device,
                teacher=lessons.teacher,
                start=stand.state,
                weights=lessons.weights,
                children=children(job),
                team=work.team,
                after_epoch=after,
            )
        except Diverged as error:
            if stand.learning_rate < recipe.learning_rate:
                raise TrainingFailed(
                    f"{error}, and before that at {recipe.learning_rate:g}: lower recipe.learning_rate"
                ) from error
            log.warning("%s; trying once more at a third of it", error)
            before_it = stand.losses[: len(stand.folds) * recipe.epochs]
            rate = stand.learning_rate * SECOND_ATTEMPT
            stand = dataclasses.replace(stand, learning_rate=rate, state=None, losses=before_it)
        else:
            return network, averaged, before, now()


@dataclass(frozen=True, kw_only=True)
class _Lessons:
    """What a network learns from: images, a teacher's answers, and what each class counts."""

    batches: Batches
    teacher: Teacher | None
    weights: Tensor | None


def _lessons(work: Work, part: Part, seen: View, recipe: Recipe, team: Team) -> _Lessons:
    images, classes, device = work.images, work.images.info.classes, work.device
    weights = class_weights(recipe, images.train_labels[part.training], classes)
    return _Lessons(
        batches=Batches(
            images.train_images,
            images.train_labels,
            part.training,
            recipe,
            seen,
            device,
            training_bytes(counts(work.job.architecture), recipe.batch),
            classes=len(classes),
            team=team,
        ),
        teacher=Teacher(recipe.teacher, classes, images.info.channels, part.how, device) if recipe.teacher else None,
        weights=None if weights is None else weights.to(device),
    )
