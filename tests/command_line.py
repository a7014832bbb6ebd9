"""The command line, run by tests."""

import contextlib
import io
import json
import sys
from dataclasses import dataclass
from typing import Any

from api.cli import __main__ as cli
from nas.recipes import Recipe
from nas.records import Run
from nas.specs import Fidelity
from tests.service import Service


@dataclass
class Ran:
    code: int
    out: str
    error: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def nas(*arguments: str) -> Ran:
    """The command line, in this process."""
    out, error = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
        try:
            code = cli.main(arguments)
        except SystemExit as exit_:  # argparse's
            code = int(exit_.code or 0)
    return Ran(code, out.getvalue(), error.getvalue())


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "api.cli", *arguments]


def climbed(service: Service) -> Run:
    """Two networks on the lower of two rungs, and the better of them on the higher."""
    return service.search(
        [(0.99, 1_000_000), (0.98, 1_000_000), (0.5, 1_000_000)],
        fidelity=Fidelity(eta=2, rungs=2),
        recipe=Recipe(epochs=4),
        trials=3,
    )


def unwrapped(text: str) -> str:
    return " ".join(text.split())
