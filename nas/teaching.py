"""Who teaches: whether the network of a checkpoint can, by its card alone."""

from collections.abc import Sequence

from nas.models.checkpoint import Card
from nas.refusal import Refusal


def order(card: Card, classes: Sequence[str], channels: int) -> tuple[int, ...]:
    """For each of the `classes` the place of the teacher's answer to it. Raises Refusal for a teacher that knows other
    classes, or sees images of other channels."""
    others = sorted(set(card.classes) ^ set(classes))
    if others:
        raise Refusal(
            f"the teacher was trained on other classes: {', '.join(map(repr, others[:5]))} "
            f"{'are' if len(others) > 1 else 'is'} known to one alone: take a model of the same classes",
            field="teacher",
        )
    seen = card.architecture.images.channels
    if seen != channels:
        raise Refusal(
            f"the teacher sees images of {seen} channels, and these have {channels}: take another", field="teacher"
        )
    return tuple(map(card.classes.index, classes))
