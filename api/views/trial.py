"""Trials of a run as they are shown: a page of them is put together from the JSON that is stored."""

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass

from nas.outlines import Line
from nas.records import Trial

STORED = ("job", "measurement", "progress")  # as JSON
OTHERS = tuple(field.name for field in dataclasses.fields(Line) if field.name not in STORED)


@dataclass(frozen=True, kw_only=True)
class Scored(Trial):
    """A trial with its reward."""

    reward: float | None = None
    """What it is worth by the search's own objective; null where it was not measured, and in a growth. It is of this
    training alone: a network that was trained several times is judged by its mean, see the front."""


def page(lines: Sequence[Line], following: str | None) -> str:
    """The JSON of a page, which `following` is the address after."""
    return f'{{"trials":[{",".join(map(text, lines))}],"next":{json.dumps(following)}}}'


def text(line: Line) -> str:
    """The JSON of a trial."""
    others = json.dumps({name: getattr(line, name) for name in OTHERS})
    stored = (f'"{name}":{getattr(line, name) or "null"}' for name in STORED)
    return f"{{{','.join(stored)},{others[1:]}"
