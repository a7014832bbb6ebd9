"""The log of this process, read by tests."""

import contextlib
import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from nas import logs

DATE = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d"


@contextlib.contextmanager
def logged(level: str = "", form: str = "", default: str = "info") -> Iterator[io.StringIO]:
    """What this process logs in it, as by these settings and a program's default level."""
    root, written = logging.getLogger(), io.StringIO()
    handlers, levels = root.handlers[:], {name: logging.getLogger(name).level for name in ("", *logs.OURS)}
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("NAS_LOG_LEVEL", level)
        environment.setenv("NAS_LOG_FORMAT", form)
        try:
            with contextlib.redirect_stderr(written):
                logs.begin(default)
            yield written
        finally:
            root.handlers[:] = handlers
            for name, before in levels.items():
                logging.getLogger(name).setLevel(before)


def objects(written: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in written.getvalue().splitlines()]
