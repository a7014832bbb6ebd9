"""That something of a run has changed, as the service tells it."""

from collections.abc import Iterator

from nas.service import Service

SILENCE_SECONDS = 40  # after which a stream is dead: something comes every 15 s


class Following(Service):
    """What a client hears of runs without asking."""

    def _told(self, run: str) -> Iterator[None]:
        """Whenever something of the run has changed, and now and then where nothing has; it ends where that is not told
        any more, or was not to be had at all."""
        for line in self._lines("/v1/events", {"run": run}, SILENCE_SECONDS):
            if line.startswith("event:"):
                yield None
