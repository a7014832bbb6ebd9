"""Where the command line writes: into a terminal or a pipe of any width, which gets only characters that it has."""

import codecs
import io
import json
import sys
from typing import Any

from rich.console import Console

from nas import settings

PIPED_COLUMNS = 200  # what reads a pipe cuts by itself
LOOKALIKES = {"…": ".", "–": "-", "★": "*", "×": "x", "±": "+", "·": ".", "α": "a", "β": "b", "γ": "c", "≈": "~"}


def prepare() -> None:
    """Let standard output and standard error take any character, and write what looks like it where they lack it."""
    codecs.register_error("lookalike", _lookalike)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="lookalike")


def console(*, error: bool = False) -> Console:
    """For what people read, on standard output or standard error."""
    screen = Console(stderr=error)
    if not screen.is_terminal and settings.WIDTH.given is None:
        screen.width = PIPED_COLUMNS
    return screen


def print_json(data: Any) -> None:
    """For programs, on standard output; as ASCII where it has not all characters, since a look-alike is another one."""
    unicode = (getattr(sys.stdout, "encoding", None) or "utf-8").lower().startswith("utf")
    print(json.dumps(data, indent=2, ensure_ascii=not unicode))


def _lookalike(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    lacking = error.object[error.start : error.end]
    return "".join(LOOKALIKES.get(character, "?") for character in lacking), error.end
