"""Requests that wait for something to happen in the database. They hold no thread: one look serves all of them."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Generic, TypeVar

from starlette.concurrency import run_in_threadpool

from api.places import Places
from api.problems import Problem

LOOK_SECONDS = 0.25  # between two looks at the database, where another process may have written
MOST = 1000  # that wait at once
MOST_OF_ONE = 100  # with one token, or of one client where it has none of its own

Seen = TypeVar("Seen")


class Waiting(Generic[Seen]):
    """All that wait. `look` says how things are, in a thread; `leaving` whether the service stops."""

    def __init__(self, look: Callable[[], Seen], leaving: Callable[[], bool]) -> None:
        self._look, self._leaving, self._places = look, leaving, Places(MOST)
        self._waiting: dict[asyncio.Future[None], Callable[[Seen], bool]] = {}
        self._written = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._watch: asyncio.Task[None] | None = None

    async def until(self, happened: Callable[[Seen], bool], seconds: float | None, whose: str) -> None:
        """Until that has happened, the time is over or the service stops. Raises Problem where too many wait already,
        and what `look` raises."""
        if not self._places.take(whose, MOST_OF_ONE):
            detail = f"{MOST_OF_ONE} requests of {whose} wait for something to happen: ask again, or wait_seconds=0"
            raise Problem(429, detail, headers={"Retry-After": "5"})
        self._loop = asyncio.get_running_loop()
        future = self._loop.create_future()
        self._waiting[future] = happened
        self._written.set()  # it may have happened before
        if self._watch is None or self._watch.done():
            self._watch = asyncio.create_task(self._watched())
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await future
        finally:
            del self._waiting[future]
            self._places.give_back(whose)

    def ring(self) -> None:
        """This process has written: look at once. From any thread."""
        if self._loop:
            self._loop.call_soon_threadsafe(self._written.set)

    async def _watched(self) -> None:
        while self._waiting:
            self._written.clear()
            try:
                seen = await run_in_threadpool(self._look)
            except Exception as error:
                for future in self._open():
                    future.set_exception(error)
            else:
                for future in self._open():
                    if self._leaving() or self._waiting[future](seen):
                        future.set_result(None)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._written.wait()

    def _open(self) -> list[asyncio.Future[None]]:
        return [future for future in self._waiting if not future.done()]
