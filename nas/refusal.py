"""What is refused: values that a record must not have, where they stand, and all that is wrong with what was sent."""

import json
import math
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

MOST_FAULTS = 10  # that are told one by one
NO_LETTERS = ("Cc", "Cs", "Zl", "Zp")  # control characters, halves of characters, ends of lines and paragraphs
TURNING = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"  # they turn around what stands behind them
Checked = TypeVar("Checked")


class Refusal(ValueError):
    """A record with a value that it must not have, in its field of that name; the message names the value and what is
    allowed. Without a field it is the whole that is refused. It is for that field `alone` where it holds whatever the
    others say."""

    def __init__(self, detail: str, *, field: str = "", alone: bool = False) -> None:
        super().__init__(detail)
        self.field, self.alone = field, alone


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One wrong value."""

    pointer: str
    """Where it is in the body, as a JSON pointer (RFC 6901; "" is the whole body), or in the query, as "?name"."""
    value: Any
    """What was sent there; null where nothing was, and only the ends of its text where it is long."""
    detail: str
    """What is wrong with it, and what is allowed."""


class Faults:
    """All that is wrong with what was sent: the first ten faults, and a count of the others."""

    def __init__(self) -> None:
        self._first: list[Fault] = []
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Fault]:
        return iter(self._first)

    def told(self, words: Callable[[Fault], str]) -> str:
        """Each in `words`, but none twice, and how many more there are."""
        more = len(self) - len(self._first)
        return "; ".join([*dict.fromkeys(map(words, self)), *([f"and {more:,} more"] if more else [])])

    def add(self, pointer: str, value: object, detail: str) -> None:
        self._count += 1
        if len(self._first) < MOST_FAULTS:
            self._first.append(Fault(pointer=pointer, value=value, detail=detail))

    def check(self, pointer: str, value: object, check: Callable[[], Checked]) -> Checked | None:
        """What `check` gives; where it raises ValueError, that is a fault of the value, and None is given."""
        try:
            return check()
        except ValueError as error:
            self.add(pointer, value, str(error))
            return None


def positive(record: object, *names: str, most: float = math.inf) -> None:
    for name in names:
        value = getattr(record, name)
        if value is not None and not (math.isfinite(value) and 0 < value <= most):
            bound = "" if most == math.inf else f" up to {most:,.0f}"
            raise Refusal(f"{name} {value} is not a positive number{bound}", field=name, alone=True)


def bounded(record: object, most: int, *names: str, least: int = 1) -> None:
    """Whole numbers, or pairs of them, from `least` to `most`; words and None are let pass."""
    for name in names:
        value = getattr(record, name)
        for number in value if type(value) is tuple else (value,):
            if type(number) is int and not least <= number <= most:
                raise Refusal(f"{name} {number} is not between {least} and {most}", field=name, alone=True)


def few(record: object, most: int, *names: str) -> None:
    """Lists of at most so many entries."""
    for name in names:
        if len(getattr(record, name)) > most:
            raise Refusal(
                f"{name} has {len(getattr(record, name)):,} entries: {most:,} are the most", field=name, alone=True
            )


def distinct(record: object, name: str, *, least: int = 0, most: int = 1000) -> None:
    """Of the entries of a list there have to be so many, and none twice."""
    entries = getattr(record, name)
    if len(entries) < least:
        raise Refusal(f"{name} is empty: name at least one", field=name, alone=True)
    if len(entries) > most:
        raise Refusal(f"{name} has {len(entries):,} entries: {most:,} are the most", field=name, alone=True)
    if len(set(entries)) < len(entries):
        raise Refusal(f"{name} {', '.join(entries)} repeat themselves: name each once", field=name, alone=True)


def between(record: object, name: str, low: float, high: float) -> None:
    value = getattr(record, name)
    if value is not None and not low <= value <= high:
        raise Refusal(f"{name} {value} is not between {low} and {high}", field=name, alone=True)


def one_line(text: str) -> bool:
    """Whether `text` may stand on a line: in any language, with whatever joins and marks its letters, but with nothing
    that ends the line, controls a terminal or turns around what stands beside it."""
    return not any(character in TURNING or unicodedata.category(character) in NO_LETTERS for character in text)


def shown(value: object, most: int = 80) -> str:
    """`value` as JSON, cut where it is long."""
    return shortened(json.dumps(value, ensure_ascii=False, default=str), most)


def shortened(text: str, most: int) -> str:
    """`text` without its middle, where it is longer than `most` characters."""
    half = most // 2
    return text if len(text) <= most else f"{text[:half]}…{text[-half:]}"
