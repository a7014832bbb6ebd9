"""Which checkpoint a recipe's teacher is, found when a run is submitted."""

import dataclasses
import re

from api.problems import refused
from nas.datasets import DatasetInfo
from nas.models.checkpoint import BadCheckpoint, artifact, card
from nas.recipes import Recipe
from nas.refusal import Refusal
from nas.store import NotFound, Store
from nas.teaching import order


def resolved(recipe: Recipe, info: DatasetInfo, store: Store, at: str = "/recipe") -> Recipe:
    """`recipe` with the SHA-256 of its teacher, if it has one, whose request is `at` that pointer. Raises Problem for a
    teacher that is not there, or cannot teach these classes."""
    if recipe.teacher is None:
        return recipe
    try:
        sha256 = recipe.teacher
        if not re.fullmatch("[0-9a-f]{64}", sha256):
            sha256 = store.model(sha256).sha256
        order(card(artifact(sha256)), info.classes, info.channels)
    except (NotFound, BadCheckpoint, Refusal) as error:
        raise refused(f"{at}/teacher", recipe.teacher, f"teacher {recipe.teacher!r} cannot teach: {error}") from error
    except FileNotFoundError:
        detail = f"teacher {recipe.teacher!r} is not there: its checkpoint is gone, put it back or train it again"
        raise refused(f"{at}/teacher", recipe.teacher, detail) from None
    return dataclasses.replace(recipe, teacher=sha256)
