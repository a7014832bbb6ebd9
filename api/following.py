"""Streams that tell whoever follows a run that something of it has changed, as server-sent events. One look at the
database a moment serves all of a process; as it is the database that is looked at, it does not matter which process of
the service has written."""

import asyncio
import contextlib
import json
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping

from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from api.places import Places
from api.problems import Problem

LOOK_SECONDS = 0.25  # between two looks at the database
BEAT_SECONDS = 15.0  # after which something is sent, so that nobody on the way takes the connection for a dead one
AGAIN_MS = 1000  # before a browser opens a stream again that has ended
GONE = "gone"  # the mark of a run that was deleted
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}  # which nginx takes as not to hold it back

log = logging.getLogger("api.following")


class Following:
    """Whoever follows runs. `look` gives the marks of runs, in a thread; `leaving` says whether the service stops;
    there are `most` streams at once."""

    def __init__(
        self, look: Callable[[Collection[str]], Mapping[str, str]], leaving: Callable[[], bool], most: int
    ) -> None:
        self._look, self._leaving, self._places = look, leaving, Places(most)
        self._followed, self._marks = Counter[str](), dict[str, str]()
        self._waiting: dict[asyncio.Future[None], tuple[str, str | None]] = {}
        self._new = asyncio.Event()
        self._watch: asyncio.Task[None] | None = None
        self._ending = False

    @contextlib.contextmanager
    def place(self, run: str, whose: str, most: int) -> Iterator[None]:
        """A place among the followers of the run, of `most` for them. Raises Problem where there is none left."""
        if not self._places.take(whose, most):
            detail = f"{most} streams of {whose} are open, or all that there are: ask /v1/runs/RUN now and then instead"
            raise Problem(429, detail, headers={"Retry-After": "30"})
        self._followed[run] += 1
        self._new.set()
        if self._watch is None or self._watch.done():
            self._ending = False
            self._watch = asyncio.create_task(self._watched())
        try:
            yield
        finally:
            self._places.give_back(whose)
            self._followed -= Counter((run,))
            if run not in self._followed:
                self._marks.pop(run, None)

    async def marks(self, run: str, known: str | None) -> AsyncIterator[str | None]:
        """Its marks, each as soon as it is another than the one before, of which the first is `known`; None when
        nothing was to be said for a while. They end with the run and with the service."""
        while not self._ending and known != GONE:
            mark = self._marks.get(run, known)
            if mark == known:
                future = asyncio.get_running_loop().create_future()
                self._waiting[future] = run, known
                try:
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(BEAT_SECONDS):
                            await future
                finally:
                    del self._waiting[future]
                mark = self._marks.get(run, known)
            if not self._ending:
                yield None if mark == known else mark
                known = mark

    async def _watched(self) -> None:
        while self._followed:
            self._new.clear()
            followed = tuple(self._followed)
            try:
                marks = await run_in_threadpool(self._look, followed)
            except Exception as error:  # whoever follows is told by the answer to the next request
                log.warning("streams end, as the database cannot be looked at: %s", error)
                self._ending = True
            else:
                self._marks = {run: marks.get(run, GONE) for run in followed if run in self._followed}
                self._ending = self._leaving()
            for future, (run, known) in self._waiting.items():
                if not future.done() and (self._ending or self._marks.get(run, known) != known):
                    future.set_result(None)
            if self._ending:
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._new.wait()


class Stream(StreamingResponse):
    """What is told of a run from its mark `known` on, to one who has one of `most` places for them and who may still
    hear it, as `allowed` says, which raises Problem otherwise."""

    def __init__(
        self,
        following: Following,
        run: str,
        known: str | None,
        *,
        whose: str,
        most: int,
        allowed: Callable[[], object],
    ) -> None:
        super().__init__(self._told(following, run, known, allowed), media_type="text/event-stream", headers=HEADERS)
        self._place = following.place(run, whose, most)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._place:
            if scope["method"] == "HEAD":  # of which there would be no end
                await StreamingResponse((), self.status_code, self.headers)(scope, receive, send)
            else:
                await super().__call__(scope, receive, send)

    @staticmethod
    async def _told(
        following: Following, run: str, known: str | None, allowed: Callable[[], object]
    ) -> AsyncIterator[str]:
        yield f"retry: {AGAIN_MS}\n\n"
        asked_at = time.monotonic()
        async for mark in following.marks(run, known):
            if time.monotonic() - asked_at >= BEAT_SECONDS:
                asked_at = time.monotonic()
                try:
                    await run_in_threadpool(allowed)
                except Problem:
                    return
            if mark is None:
                yield "event: beat\ndata: {}\n\n"
            else:
                yield f"id: {mark}\nevent: changed\ndata: {json.dumps({'run': run or None, 'mark': mark})}\n\n"
