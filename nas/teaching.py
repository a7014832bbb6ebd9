"""Who teaches: whether a trained network can, by its description alone."""

from collections.abc import Sequence

from nas.parents import Parent
from nas.refusal import Refusal


def order(teacher: Parent, classes: Sequence[str], channels: int) -> tuple[int, ...]:
    """For each of the `classes` the place of the teacher's answer to it. Raises Refusal for a teacher that knows other
    classes, or sees images of other channels."""
    if not teacher.classes:
        raise Refusal(
            "the classes that the teacher knows have no names: take a model of the same classes", field="teacher"
        )
    others = sorted(set(teacher.classes) ^ set(classes))
    if others:
        raise Refusal(
            f"the teacher was trained on other classes: {', '.join(map(repr, others[:5]))} "
            f"{'are' if len(others) > 1 else 'is'} known to one alone: take a model of the same classes",
            field="teacher",
        )
    seen = teacher.architecture.images.channels
    if seen != channels:
        raise Refusal(
            f"the teacher sees images of {seen} channels, and these have {channels}: take another", field="teacher"
        )
    return tuple(map(teacher.classes.index, classes))
