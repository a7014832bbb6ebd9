"""Where an error came from, as text that can be kept and shown anywhere: short, and without this machine's folders."""

import os
import re
import sys
import traceback
from pathlib import Path

MOST_BYTES = 8000
HEAD_BYTES = 2000  # of these; the innermost calls are at the end
ROOT = Path(__file__).parent.parent


def traced(error: BaseException) -> str:
    """The traceback of `error` and of what caused it, in MOST_BYTES of UTF-8 or less."""
    text = "".join(traceback.format_exception(error)).rstrip()
    text = re.sub(r'(?m)^( +File ")([^"\n]+)', lambda match: match[1] + _shortened(match[2]), text)
    data = text.encode(errors="replace")
    if len(data) > MOST_BYTES:
        head = data[:HEAD_BYTES].rpartition(b"\n")[0] or data[:HEAD_BYTES]
        left_out = b"\n  ... some of it is left out ...\n"
        tail = data[HEAD_BYTES + len(left_out) - MOST_BYTES :]
        data = head + left_out + (tail.partition(b"\n")[2] if b"\n" in tail[:1000] else tail)
    return data.decode(errors="ignore")


def blamed(error: BaseException, file: str | None) -> str:
    """The error in a line, with the innermost line of `file` that led to it, where one did."""
    said = f"{type(error).__name__}: {error}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if file and frame.filename == file]
    return f"{said} ({Path(file).name}:{lines[-1]})" if file and lines else said


def _shortened(file: str) -> str:
    """The file as it is imported, where it can be; with "~" for the user's folder."""
    for place in sorted({str(ROOT), *filter(None, sys.path)}, key=len, reverse=True):
        if file.startswith(f"{place}/"):
            return file.removeprefix(f"{place}/")
    home = os.path.expanduser("~")
    return f"~{file.removeprefix(home)}" if file.startswith(f"{home}/") else file
