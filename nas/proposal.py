"""What a search of some images should be asked for: fields of a request, each with its reason."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from nas import worth
from nas.datasets import DatasetInfo, Look
from nas.networks.architecture import Choice
from nas.noise import standard_error
from nas.recipes import RECIPES

FEW_FOR_A_PARENT = 10_000  # training images up to which a pretrained network is worth more than a search without one
SMALLEST_PHOTOGRAPH = 32  # pixels, below which nothing of what such a network knows can be seen
RANKED_AT = 96  # pixels a side at most, for networks that begin with nothing
RANKED_BY = 20_000  # training images at most, as in recipe "proxy"
UNEQUAL = 2  # times as many images in the largest class as in the smallest
FEW_OF_A_CLASS = 20
HOURS = 1.0  # that a first search takes at most
LEAST_TRIALS, TRIALS, MOST_TRIALS = 10, 20, 60
NOISE = 2  # standard errors that two accuracies differ by, by chance alone


@dataclass(frozen=True, kw_only=True)
class Suggestion:
    """A field of a search's request and what it should be, or only something to know."""

    field: str = ""
    """The field, as a JSON pointer into the request; empty: there is none, and this is only said."""
    value: Choice | None = None
    """What it should be; null where there is no field."""
    reason: str
    """Why, in words."""


def propose(
    look: Look, *, parent: str | None = None, missing: str | None = None, trial_seconds: float | None = None
) -> tuple[Suggestion, ...]:
    """What fits those images. `parent` is a pretrained network that can be had, or it is `missing` for a reason;
    `trial_seconds` is what a trial by this same proposal adds to a search on this machine, None where nothing is known
    of that."""
    images = look.info.train_images
    wanted = photographs(look.info, look.sides) and images <= FEW_FOR_A_PARENT
    chosen = parent if wanted else None
    return (
        *_parent(images, chosen, missing if wanted else None),
        *_pixels(look, chosen),
        *_training(look, chosen),
        *_classes(look),
        *_budget(trial_seconds),
        Suggestion(field="/save_weights", value=True, reason="the best network can be taken as soon as it is found"),
    )


def photographs(info: DatasetInfo, sides: tuple[int, int, int] | None = None) -> bool:
    """Whether these may be some, by the shortest, median and longest of their `sides`, where those are known."""
    return info.channels == 3 and (sides[1] if sides else info.resolution) >= SMALLEST_PHOTOGRAPH


def open_to(suggestions: tuple[Suggestion, ...], request: dict[str, Any]) -> tuple[Suggestion, ...]:
    """Those that `request` leaves room for: it does not say these fields itself."""
    return tuple(one for one in suggestions if not one.field or not _has(request, one.field))


def _has(request: Any, pointer: str) -> bool:
    for name in pointer[1:].split("/"):
        if not isinstance(request, dict) or name not in request:
            return False
        request = request[name]
    return True


def applied(suggestions: tuple[Suggestion, ...], request: dict[str, Any]) -> dict[str, Any]:
    """`request` with what is suggested for fields that it leaves out."""
    whole = dict(request)
    for suggestion in suggestions:
        if suggestion.field:
            *path, last = suggestion.field[1:].split("/")
            inner = whole
            for name in path:
                inner[name] = dict(inner.get(name) or {})
                inner = inner[name]
            inner.setdefault(last, suggestion.value)
    return whole


def _parent(images: int, parent: str | None, missing: str | None) -> Iterator[Suggestion]:
    if parent:
        reason = (
            f"of {images:,} photographs a network that begins with nothing learns little: of 500 in ten classes 40 % "
            "were right without a parent, and 79 % with one"
        )
        yield Suggestion(field="/parent", value=parent, reason=reason)
    elif missing:
        yield Suggestion(reason=f"a pretrained parent would be worth much to so few photographs; {missing}")


def _pixels(look: Look, parent: str | None) -> Iterator[Suggestion]:
    pixels = look.info.resolution
    if parent is None and pixels > RANKED_AT:
        reason = (
            f"a step at {pixels} pixels takes {(pixels / RANKED_AT) ** 2:.1f} times as long as at {RANKED_AT}, where "
            "as many more networks are tried; grow the best at more"
        )
        yield Suggestion(field="/resolution", value=RANKED_AT, reason=reason)


def _training(look: Look, parent: str | None) -> Iterator[Suggestion]:
    info = look.info
    images = info.train_images
    held = sum(max(1, its.train_images // worth.HELD_OUT) for its in look.classes)
    recipe = RECIPES["finetune" if parent else "search"]
    if images > RANKED_BY:
        reason = f"{RANKED_BY:,} of {images:,} training images rank networks in a part of the time"
        yield Suggestion(field="/recipe/train_images", value=RANKED_BY, reason=reason)
        recipe = replace(recipe, train_images=RANKED_BY)
    recipe = worth.settled(recipe, info)
    each = worth.worth(recipe, info, parent=parent is not None)
    yield Suggestion(reason=f"{images:,} training images: {each.steps:,} steps of {recipe.batch} for each training")
    if recipe.folds > 1:
        reason = (
            f"{held:,} held out: differences under {_points(held)} are noise; in {recipe.folds} folds all {images:,} "
            f"are held out once, and it is {_points(images)}"
        )
        yield Suggestion(field="/recipe/folds", value=recipe.folds, reason=reason)
    else:
        scored = info.validation_images or held
        reason = f"{scored:,} images to score on: differences under {_points(scored)} are noise"
        yield Suggestion(reason=reason)


def _points(images: int) -> str:
    return f"{100 * NOISE * standard_error(0.5, images):.2g} points"


def _classes(look: Look) -> Iterator[Suggestion]:
    small, large = look.smallest, look.largest
    if large.train_images >= UNEQUAL * small.train_images:
        share = large.train_images / look.info.train_images
        told = f"{large.train_images:,} of {large.name} and {small.train_images:,} of {small.name}"
        always = f"to answer {large.name!r} always is right in {100 * share:.3g} %"
        reason = f"{told}: {always}, so the mean of the classes' recalls"
        yield Suggestion(field="/objective/metric", value="balanced_accuracy", reason=reason)
        reason = f"{small.name!r} counts in the loss as much as {large.name!r}, so that it is learnt as well"
        yield Suggestion(field="/recipe/class_weights", value="auto", reason=reason)
    if small.train_images < FEW_OF_A_CLASS:
        yield Suggestion(reason=f"{small.name!r} has {small.train_images} training images: more would be worth most")


def _budget(trial_seconds: float | None) -> Iterator[Suggestion]:
    new = "nothing was trained on these images here yet: " if trial_seconds is None else ""
    yield Suggestion(field="/hours", value=HOURS, reason=f"{new}an hour at most")
    if trial_seconds is None:
        yield Suggestion(field="/trials", value=TRIALS, reason=f"{TRIALS} trials, or what the hour has room for")
        return
    room = int(3600 * HOURS / trial_seconds)
    trials = min(MOST_TRIALS, max(LEAST_TRIALS, room))
    each = f"{trial_seconds:.0f} s" if trial_seconds < 90 else f"{trial_seconds / 60:.0f} minutes"
    minutes = max(1, round(trials * trial_seconds / 60))
    enough = f"{trials} in {minutes:,} minutes" if room >= trials else f"{trials}, or what the hour has room for"
    reason = f"a trial takes about {each} of the search here: {enough}"
    yield Suggestion(field="/trials", value=trials, reason=reason)
