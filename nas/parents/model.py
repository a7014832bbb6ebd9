"""Models that this service has trained: checkpoints in its artifact folder, by their SHA-256.

A service knows them by model:RUN-NUMBER too, and stores the SHA-256 that it means.
"""

import re
from typing import TYPE_CHECKING

from nas.models import checkpoint
from nas.models.checkpoint import Card
from nas.parents import Parent, UnknownParent

if TYPE_CHECKING:
    from torch import nn

    import nas.parents.model
    from nas.parents import Kind

    _satisfied: Kind = nas.parents.model

FORM = "model:RUN-NUMBER of a model that this service keeps (nas models lists them)"
PREFIX = "model:"


def names() -> tuple[str, ...]:
    return ()


def has(name: str) -> bool:
    return name.startswith(PREFIX) or bool(re.fullmatch("[0-9a-f]{64}", name))


def described(name: str) -> Parent:
    if name.startswith(PREFIX):
        raise UnknownParent(f"parent {name!r} is known to its service alone: here it goes by its SHA-256")
    try:
        card = checkpoint.card(checkpoint.artifact(name))
    except FileNotFoundError:
        raise UnknownParent(
            f"no checkpoint {name} is kept here: train its model again, or give another parent"
        ) from None
    return parent(name, card, sha256=name)


def load(name: str) -> "nn.Module":
    return checkpoint.load(checkpoint.artifact(name))[0]


def parent(name: str, card: Card, sha256: str | None = None) -> Parent:
    """What a checkpoint's card says of it."""
    return Parent(
        name=name,
        architecture=card.architecture,
        classes=card.classes,
        mean=card.mean,
        std=card.std,
        dataset=card.dataset,
        accuracy=card.test_accuracy if card.accuracy is None else card.accuracy,
        source=f"model {card.run}-{card.number}",
        began_with=card.origin,
        shared=bool(card.children),
        split=None if card.seen or card.test_accuracy is not None else card.recipe.split(card.shuffle),
        sha256=sha256,
    )
