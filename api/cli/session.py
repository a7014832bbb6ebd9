"""One invocation of `nas`: its arguments, the service, and where words and data go."""

import argparse
import contextlib
import functools
from collections.abc import Callable
from typing import Any, Self

from rich.console import RenderableType

from api.cli import terminal
from nas.client import Client


class Session:
    def __init__(self, options: argparse.Namespace) -> None:
        self.options, self.json, self._open = options, options.json, contextlib.ExitStack()
        # With --json standard output is for a program; whatever is for people goes beside it.
        self.console = terminal.console(error=self.json)

    @functools.cached_property
    def client(self) -> Client:
        return self._open.enter_context(Client(self.options.url))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._open.close()

    def show(self, data: Any, shown: Callable[[Any], RenderableType]) -> int:
        if self.json:
            terminal.print_json(data)
        else:
            text = shown(data)
            self.console.print(text, highlight=False, markup=False, crop=False, soft_wrap=isinstance(text, str))
        return 0

    def say(self, text: str) -> None:
        self.console.print(text, soft_wrap=True, highlight=False, markup=False)
