"""What a record refuses: values that it must not have."""

import math


class Refusal(ValueError):
    """A record with a value that it must not have; the message names the value and what is allowed."""


def positive(record: object, *names: str) -> None:
    for name in names:
        value = getattr(record, name)
        if value is not None and not (math.isfinite(value) and value > 0):
            raise Refusal(f"{name} {value} is not a positive number")


def distinct(record: object, name: str, *, least: int = 0) -> None:
    """Of the entries of a list there have to be so many, and none twice."""
    entries = getattr(record, name)
    if len(entries) < least:
        raise Refusal(f"{name} is empty: name at least one")
    if len(set(entries)) < len(entries):
        raise Refusal(f"{name} {', '.join(entries)} repeat themselves: name each once")


def between(record: object, name: str, low: float, high: float) -> None:
    value = getattr(record, name)
    if value is not None and not low <= value <= high:
        raise Refusal(f"{name} {value} is not between {low} and {high}")
