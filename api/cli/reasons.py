"""Why trials came to nothing, as `nas trials --why` prints it."""

from collections.abc import Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

Json = dict[str, Any]


def fruitless(rows: Sequence[Json]) -> list[Json]:
    """Those that failed or were refused."""
    return [row for row in rows if row["state"] in ("failed", "refused")]


def reasons(rows: Sequence[Json]) -> RenderableType:
    """Trials that ended alike together, with the traceback that they have in common."""
    if not rows:
        return Text("No trial has failed, and none was refused.")
    alike: dict[tuple[str, str, str], list[str]] = {}
    for row in rows:
        words = row["error"] or (row["measurement"] or {}).get("refused") or ""
        alike.setdefault((row["state"], words, row["traceback"] or ""), []).append(str(row["number"]))
    parts: list[RenderableType] = []
    for (state, words, traceback), numbers in alike.items():
        subject = f"{'Trials' if len(numbers) > 1 else 'Trial'} {', '.join(numbers)}"
        parts.append(Text.assemble((subject, "bold"), f" {state}: {words}"))
        if traceback:
            parts.append(Padding(Text(traceback, style="dim"), (0, 0, 0, 2), expand=False))
    return Group(*parts)
