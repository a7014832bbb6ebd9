"""The command line, `nas`."""

import signal

INTERRUPTED = 128 + signal.SIGINT


def main() -> int:
    """As `api.cli.__main__.main`, whose import takes a second or two, in which somebody may think better of it."""
    try:
        from api.cli.__main__ import main as run

        return run()
    except KeyboardInterrupt:
        return INTERRUPTED
