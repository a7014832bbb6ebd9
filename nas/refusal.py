"""What a record refuses: values that it must not have."""

import math


class Refusal(ValueError):
    """A record with a value that it must not have; the message names the value and what is allowed."""


def positive(record: object, *names: str) -> None:
    for name in names:
        value = getattr(record, name)
        if value is not None and not (math.isfinite(value) and value > 0):
            raise Refusal(f"{name} {value} is not a positive number")


def between(record: object, name: str, low: float, high: float) -> None:
    value = getattr(record, name)
    if value is not None and not low <= value <= high:
        raise Refusal(f"{name} {value} is not between {low} and {high}")
