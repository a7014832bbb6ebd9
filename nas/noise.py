"""How far an accuracy can be trusted: its standard error, and when two of them cannot be told apart."""

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from nas.answers import Answers

# Of Student's distribution for 1, 2, … degrees of freedom: 95 % lie within so many standard errors.
_STUDENT = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)
_NORMAL = 1.960


@dataclass(frozen=True, kw_only=True)
class Spread:
    """Standard deviation of one training's accuracy around its network's, known by so many degrees of `freedom`."""

    deviation: float
    freedom: int


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """An accuracy as the mean over `seeds` trainings. `error` is its standard error, of seeds and images together,
    known by so many degrees of `freedom`: 0 where it is that of a number of images alone; None where it is not known.

    `chance` is the seeds' part of it, where something is known of that. `answers` are those of each training to the
    same images; nothing where they were not recorded of all.
    """

    mean: float
    error: float | None
    seeds: int
    freedom: int = 0
    chance: Spread | None = None
    answers: tuple[Answers, ...] = ()


def standard_error(accuracy: float, images: int) -> float:
    """Of an accuracy that was found on so many images, which stand for all the images that there could be: what it
    would vary by with others of their kind. Two more right and two more wrong are added (Agresti & Coull 1998), or
    all of 20 right would be certain."""
    rate = (accuracy * images + 2) / (images + 4)
    return math.sqrt(rate * (1 - rate) / (images + 4))


def spread(networks: Iterable[Sequence[float]]) -> Spread | None:
    """From the accuracies of all networks that were trained several times, as two or three of one say little; None
    where there is none."""
    several = [accuracies for accuracies in networks if len(accuracies) > 1]
    if not several:
        return None
    freedom = sum(len(accuracies) - 1 for accuracies in several)
    squares = sum(statistics.variance(accuracies) * (len(accuracies) - 1) for accuracies in several)
    return Spread(deviation=math.sqrt(squares / freedom), freedom=freedom)


def estimate(
    accuracies: Sequence[float],
    errors: Sequence[float | None],
    of_one: Spread | None,
    answers: Sequence[Answers | None] = (),
) -> Estimate:
    """Of one network's trainings by different seeds, one or more: the accuracy of each, the error that its number of
    images leaves, and what it answered.

    The error is that of a promise. More seeds do not make more images, so all of what those leave open stays in it;
    what other seeds would have changed is added, as far as `of_one` says it.
    """
    mean, seeds = statistics.fmean(accuracies), len(accuracies)
    known = [error**2 for error in errors if error is not None]
    of_images = statistics.fmean(known) if known else None
    chance = None
    if of_one and of_one.deviation:  # all alike is chance, too
        chance = Spread(deviation=of_one.deviation / math.sqrt(seeds), freedom=of_one.freedom)
    alike = len({one.images if one else 0 for one in answers}) == 1
    if of_images is None and (chance is None or seeds == 1):
        return Estimate(mean=mean, error=None, seeds=seeds, chance=chance)
    error, freedom = _together(of_images or 0.0, chance)
    return Estimate(
        mean=mean,
        error=error,
        seeds=seeds,
        freedom=freedom,
        chance=chance,
        answers=tuple(one for one in answers if one) if alike else (),
    )


def surest(values: Sequence[float], errors: Sequence[float | None]) -> tuple[float, float | None]:
    """The mean of several measurements of one thing, in which each counts by its standard error, and the error of that;
    their plain mean, and None, where they do not all have one."""
    if not all(errors):
        return statistics.fmean(values), None
    weights = [1 / error**2 for error in errors if error]
    return statistics.fmean(values, weights), 1 / math.sqrt(sum(weights))


def tied(one: Estimate, other: Estimate) -> bool:
    """Whether chance alone would often (more than once in 20 times) bring the two as far apart as they are.

    Where both answered the same images they are compared image by image (McNemar 1947): which images are hard is no
    difference between them. Otherwise by their errors.
    """
    if paired := _paired(one, other):
        apart, error, freedom = paired
    elif one.error is None or other.error is None:
        return False
    else:
        apart, freedom = one.mean - other.mean, max(one.freedom, other.freedom)
        error = math.hypot(one.error, other.error)
    return abs(apart) <= _quantile(freedom) * error


def _paired(one: Estimate, other: Estimate) -> tuple[float, float, int] | None:
    """By how much one is better on the same images, the standard error of that, and its degrees of freedom; None where
    they did not answer the same ones.

    Of several trainings an image's answer is their mean. With half an image more in each of the four cells of right and
    wrong (Agresti & Min 2005), or two that differ in nothing would be equal for certain.
    """
    if not one.answers or not other.answers or one.answers[0].images != other.answers[0].images:
        return None
    images = one.answers[0].images + 2
    ones, others = ([each.bits for each in estimate.answers] for estimate in (one, other))
    apart = _shared(ones) - _shared(others)
    squares = _shared(ones, ones) - 2 * _shared(ones, others) + _shared(others, others)
    chances = [estimate.chance for estimate in (one, other) if estimate.chance]
    chance = None
    if chances:
        deviation = math.hypot(*(part.deviation for part in chances))
        chance = Spread(deviation=deviation, freedom=min(part.freedom for part in chances))
    return apart / images, *_together((squares + 1 - apart**2 / images) / images**2, chance)


def _shared(ones: Sequence[int], others: Sequence[int] = (-1,)) -> float:
    """Images that both got right, the mean over all pairs of trainings; of one alone, those that it got right."""
    both = sum((one & other).bit_count() for one in ones for other in others)
    return both / (len(ones) * len(others))


def _together(of_images: float, chance: Spread | None) -> tuple[float, int]:
    """The standard error of a variance of the images and what chance adds, and its degrees of freedom (Welch 1947)."""
    if chance is None:
        return math.sqrt(of_images), 0
    of_seeds = chance.deviation**2
    return math.sqrt(of_images + of_seeds), max(1, int(chance.freedom * ((of_images + of_seeds) / of_seeds) ** 2))


def _quantile(freedom: int) -> float:
    """An error over few trainings is itself uncertain; that of many images is not (`freedom` 0)."""
    if freedom == 0:
        return _NORMAL
    return _STUDENT[freedom - 1] if freedom <= len(_STUDENT) else _NORMAL + 2.6 / freedom
