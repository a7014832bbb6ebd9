"""A plan whose jobs are all known beforehand and do not depend on each other."""

from collections.abc import Sequence

from nas.measurements import Measurement
from nas.plans import FAILURES
from nas.records import Job


class Listed:
    """Hands out `jobs` by their numbers."""

    def __init__(self, jobs: Sequence[Job], *, patience: int = FAILURES) -> None:
        self._jobs, self.trials, self.patience = jobs, len(jobs), patience
        self.exhausted: str | None = None
        self.again: Sequence[int] = ()

    def ask(self, number: int) -> Job | None:
        return self._jobs[number] if number < len(self._jobs) else None

    def begun(self, job: Job) -> None:
        """A job's number says which one it is."""

    def tell(self, job: Job, measurement: Measurement | None) -> None:
        """No job depends on another."""
