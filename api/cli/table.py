"""A table made to fit 80 columns."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

GAP = 2  # characters between columns
LEAST = 6  # characters that a column which is cut keeps


@dataclass
class Fitted:
    """A table in which only the `flexible` columns are cut where the terminal is narrow.

    A heading that begins with ">" stands, like its column, to the right.
    """

    headings: Sequence[str]
    rows: Sequence[Sequence[str | Text]]
    flexible: Sequence[str] = ()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        names = [heading.removeprefix(">") for heading in self.headings]
        widths = [
            max(len(name), *(len(row[index]) for row in self.rows), 0) if self.rows else len(name)
            for index, name in enumerate(names)
        ]
        excess = sum(widths) + GAP * (len(widths) - 1) - options.max_width
        for index in sorted(range(len(names)), key=lambda index: -widths[index]):
            if names[index] in self.flexible and excess > 0:
                cut = min(excess, widths[index] - max(LEAST, len(names[index])))
                widths[index] -= max(0, cut)
                excess -= max(0, cut)
        table = Table(box=box.SIMPLE_HEAD, padding=(0, GAP - 1, 0, 0), pad_edge=False, show_edge=False)
        for name, heading, width in zip(names, self.headings, widths):
            side: Literal["left", "right"] = "left" if name == heading else "right"
            table.add_column(name, justify=side, no_wrap=True, overflow="ellipsis", width=width)
        for row in self.rows:
            table.add_row(*(cell if isinstance(cell, Text) else Text(cell) for cell in row))
        yield table
