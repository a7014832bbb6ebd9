"""What a run evaluates next, thought of beside its loop."""

import contextvars
import time
from concurrent.futures import Future, ThreadPoolExecutor, wait

from nas.measurements import Measurement
from nas.plans import Plan
from nas.records import Job

PATIENCE_SECONDS = 0.5  # for which the loop waits for a proposal before it looks at what has ended
SLOW_SECONDS = 0.3  # a proposal that takes longer is made before there is room for it


class Proposals:
    """The jobs of a plan, one after another. A slow one holds up nothing that has ended; where they are slow, the next
    one is made `ahead`.

    The plan is used by one thread at a time: what it is told while it thinks, it hears when it has answered.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan, self._thread = plan, ThreadPoolExecutor(1, thread_name_prefix="proposal")
        self._asked: Future[Job | None] | None = None
        self._untold: list[tuple[Job, Measurement | None]] = []
        self._seconds = 0.0  # that the last one took
        self.late = False  # whether what was asked for last is not known yet

    @property
    def awaited(self) -> tuple[Future[Job | None], ...]:
        """The proposal that is being made, if one is."""
        return (self._asked,) if self._asked and not self._asked.done() else ()

    def take(self, number: int) -> Job | None:
        """Job `number`; None where there is none for now, or it is `late` and still awaited."""
        self._hear()
        if self._asked is None:
            self._ask(number)
        assert self._asked is not None
        wait([self._asked], PATIENCE_SECONDS)
        self.late = not self._asked.done()
        if self.late:
            return None
        job = self._asked.result()
        if job and job.number >= self._plan.trials:
            return None  # the budget has been lowered since: it waits for one that is raised again
        self._asked = None
        self._hear()
        return job

    def ahead(self, number: int) -> None:
        """Job `number` will be taken when there is room for it: think of it now, if that takes long."""
        if self._asked is None and self._seconds > SLOW_SECONDS:
            self._ask(number)

    def tell(self, job: Job, measurement: Measurement | None) -> None:
        """What came of `job`; None: it failed."""
        self._untold.append((job, measurement))
        self._hear()

    def _ask(self, number: int) -> None:
        self._asked = self._thread.submit(contextvars.copy_context().run, self._think, number)

    def _think(self, number: int) -> Job | None:
        begun = time.perf_counter()
        job = self._plan.ask(number)
        self._seconds = time.perf_counter() - begun
        return job

    def _hear(self) -> None:
        if self.awaited:
            return
        if self._untold and self._asked and self._asked.result() is None:
            self._asked = None  # there may be one when this has been told
        for told in self._untold:
            self._plan.tell(*told)
        self._untold.clear()
