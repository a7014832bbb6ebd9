"""Bodies that keep coming, however long they take."""

import asyncio
import time

from starlette.types import Message, Receive

from api.problems import Problem

STALLED_SECONDS = 30.0  # of waiting for a body, in which so many bytes of it come
LEAST_BYTES = 1024


class Steady:
    """`receive` of a request, of which only what is waited for counts: whoever reads may take their time. Raises
    Problem where the client takes too much of it."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._patience, self._bytes, self._complete = STALLED_SECONDS, 0, False

    async def __call__(self) -> Message:
        if self._complete:  # what comes now is the client's leaving, which may be waited for
            return await self._receive()
        begun = time.monotonic()
        try:
            async with asyncio.timeout(self._patience):
                message = await self._receive()
        except TimeoutError:
            detail = (
                f"the body stalled: within {STALLED_SECONDS:g} seconds less than {LEAST_BYTES:,} bytes of it came, and "
                "it was not whole: send it without pauses"
            )
            raise Problem(408, detail, headers={"Connection": "close"}) from None
        self._patience -= time.monotonic() - begun
        self._bytes += len(message.get("body", b""))
        if self._bytes >= LEAST_BYTES:
            self._patience, self._bytes = STALLED_SECONDS, 0
        self._complete = not message.get("more_body", False)
        return message
