"""What answers are worth class by class: an accuracy may be the share of the largest class and nothing more."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace

from nas.noise import standard_error

MOST_CLASSES = 50  # that are told one by one
BINS = 15  # of probabilities, as in Guo et al. 2017
Confusion = Sequence[Sequence[int]]
"""Images of each class, a row, that were taken for each class, a column."""


@dataclass(frozen=True, kw_only=True)
class Quality:
    """What the answers are worth class by class. Classes without an image to be scored on are left out of means."""

    majority: float
    """The share of the largest class, which is the accuracy of always answering that."""
    balanced_accuracy: float
    """The mean of the classes' recalls: by guessing, 1 over the number of classes."""
    balanced_accuracy_error: float
    """The standard error of that, by the number of images of each class."""
    macro_f1: float
    """The mean of the classes' F1, the harmonic mean of recall and precision."""
    macro_f1_error: float
    """The standard error of that: the jackknife's."""
    worst_recall: float
    """The smallest recall of a class: the share of its images that were got right."""
    worst_class: str
    """The name of that class."""
    classes: tuple[str, ...] = ()
    """The names of the classes; none where there are more than 50, as of what follows."""
    recalls: tuple[float | None, ...] = ()
    """The recall of each class; null of one without an image to be scored on."""
    confusion: tuple[tuple[int, ...], ...] = ()
    """Images of each class, a row, that were taken for each class, a column."""
    worst_recall_error: float | None = None
    """The standard error of the smallest recall, by the number of that class's images. The smallest of several is more
    often unlucky than lucky: it is lower than what that class will do. Null, as what follows: it was not recorded."""
    log_loss: float | None = None
    """The mean of the negative logarithms of the probabilities of the right classes, in nats: by guessing, the
    logarithm of the number of classes."""
    log_loss_error: float | None = None
    """The standard error of that."""
    calibration_error: float | None = None
    """By how much a probability is off from the share of images that are got right with it, on average, over 15 bins of
    probabilities (Guo et al. 2017). A few hundred images are off by some hundredths of their own accord."""
    guessing: float | None = None
    """What the mean of the recalls is by guessing, or by always answering one class: 1 over the number of classes that
    have an image."""


def quality(confusion: Confusion, classes: Sequence[str]) -> Quality:
    """Of a matrix with an image at least."""
    sizes = [sum(row) for row in confusion]
    there = [number for number, size in enumerate(sizes) if size]
    recalls = {number: confusion[number][number] / sizes[number] for number in there}
    worst = min(there, key=lambda number: recalls[number])
    few = len(classes) <= MOST_CLASSES
    return Quality(
        majority=max(sizes) / sum(sizes),
        balanced_accuracy=statistics.fmean(recalls.values()),
        balanced_accuracy_error=math.hypot(*(standard_error(recalls[number], sizes[number]) for number in there))
        / len(there),
        macro_f1=statistics.fmean(_f1(*_cells(confusion, number)) for number in there),
        macro_f1_error=_f1_error(confusion, there),
        worst_recall=recalls[worst],
        worst_class=classes[worst],
        worst_recall_error=standard_error(recalls[worst], sizes[worst]),
        classes=tuple(classes) if few else (),
        recalls=tuple(map(recalls.get, range(len(classes)))) if few else (),
        confusion=tuple(map(tuple, confusion)) if few else (),
        guessing=1 / len(there),
    )


def certain(own: Quality, losses: Sequence[float], confidences: Sequence[float], right: Sequence[bool]) -> Quality:
    """`own`, with what the probabilities say: of each image the negative logarithm of the right class's, that of the
    class that it was taken for, and whether that is the right one."""
    images = len(losses)
    spread = statistics.stdev(losses) if images > 1 else None
    return replace(
        own,
        log_loss=statistics.fmean(losses),
        log_loss_error=None if spread is None else spread / math.sqrt(images),
        calibration_error=_calibration_error(confidences, right),
    )


def _calibration_error(confidences: Sequence[float], right: Sequence[bool]) -> float:
    excess = [0.0] * BINS
    for confidence, hit in zip(confidences, right, strict=True):
        # Each bin has its upper end, as in the paper.
        excess[min(BINS, max(1, math.ceil(BINS * confidence))) - 1] += confidence - hit
    return sum(map(abs, excess)) / len(confidences)


def _cells(confusion: Confusion, number: int) -> tuple[int, int, int]:
    """Of a class: its images that were got right, all its images, and all that were taken for it."""
    return confusion[number][number], sum(confusion[number]), sum(row[number] for row in confusion)


def _f1(right: float, images: float, answers: float) -> float:
    return 2 * right / (images + answers) if images + answers else 0.0


def _f1_error(confusion: Confusion, there: Sequence[int]) -> float:
    """What the mean F1 changes by where one image is left out (Efron & Stein 1981), over all images."""
    cells, count = {number: _cells(confusion, number) for number in there}, sum(map(sum, confusion))
    before = {number: _f1(*cells[number]) for number in there}
    changes: list[tuple[int, float]] = []
    for true, row in enumerate(confusion):
        for answer, images in enumerate(row):
            if not images:
                continue
            change = 0.0
            for number in {true, answer} & set(there):
                right, own, taken = cells[number]
                left = (right - (true == answer), own - (number == true), taken - (number == answer))
                change += _f1(*left) - before[number]
            changes.append((images, change / len(there)))
    mean = sum(images * change for images, change in changes) / count
    return math.sqrt((count - 1) / count * sum(images * (change - mean) ** 2 for images, change in changes))
