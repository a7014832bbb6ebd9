"""The loop that drives a run: ask the plan, evaluate in the pool, write down, tell the plan."""

import contextlib
import errno
import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import Any, Protocol

from nas import logs, retention, usage
from nas.garbage import uncollected
from nas.home import folder
from nas.measurements import Measurement
from nas.models.checkpoint import artifact
from nas.plans import Plan
from nas.records import Job, Notice, Progress, Run, RunState, Trial, TrialState, Wish
from nas.specs import SearchSpec
from nas.store import LostRun, Store
from nas.tracebacks import traced
from workers.proposals import Proposals

LEASE_SECONDS = 10.0  # a run whose owner has not renewed its claim for so long is taken over
TURN_SECONDS = 0.5  # the longest that a wish or a progress message waits to be seen
LONGEST_ERROR = 1000  # characters

log = logging.getLogger("workers")


class Evaluation(Future[Measurement]):
    """Of one job. Once done it says for how many seconds it held a processor or a GPU (of a part of one, that part of
    the seconds); None: nobody knows."""

    compute_seconds: float | None = None

    @property
    def begun(self) -> bool:
        """Whether it works, and does not merely wait for its turn."""
        return True

    def cancel(self) -> bool:
        """Also tells whoever waits for it, at once and not when all that worked on it is gone."""
        if not self.cancelled() and super().cancel():
            with contextlib.suppress(RuntimeError):  # who gives it a result has noticed at the same moment
                self.set_running_or_notify_cancel()
        return self.cancelled()


class EvaluationFailed(RuntimeError):
    """A job failed somewhere else; the message says with what, and can be shown as it is, as can the `traceback` of
    what failed there. `errno` as in OSError."""

    def __init__(self, text: str, errno: int | None = None, traceback: str | None = None) -> None:
        super().__init__(text)
        self.errno, self.traceback = errno, traceback


class Pool(Protocol):
    """Where jobs are evaluated."""

    def evaluate(self, job: Job, report: Callable[[Progress | Notice], None]) -> Evaluation:
        """Begin with `job` and return at once; `report` hears of its progress, wherever that is made, and of what it
        warns of. The evaluation
        raises what went wrong, and when it is cancelled, what works on it ends."""
        ...


class Inbox(Protocol):
    """Progress and notices on their way from the evaluations to the store; of progress a message may get lost, and none
    is waited for."""

    def put(self, message: Progress | Notice) -> None: ...

    def drain(self) -> Iterable[Progress | Notice]: ...


def drive(
    store: Store,
    owner: str,
    run: Run,
    plan: Plan,
    pool: Pool,
    inbox: Inbox,
    leave: threading.Event | None = None,
) -> Run | None:
    """Drive a claimed run until it ends or is paused, and release it; gives the run as it was left.

    `plan` is new and is told the run's past here. None: the run was lost to another owner, or `leave` was set; trials
    under way then stay `running` in the store, and whoever claims the run next evaluates them again.
    """
    leave = leave or threading.Event()
    noted: set[str] = set()
    under_way = UnderWay(pool, inbox)
    running = under_way.running
    try:
        past = replay(plan, ended(store, run.id), cut_off := store.trials(run.id, state="running"))
        under_way.take_up(cut_off)
        number, proposals = past.ended + len(cut_off), Proposals(plan)
        taken_up = {trial.number for trial in cut_off if trial.progress}
        while not leave.is_set():
            run = store.claims.renew(run.id, owner, LEASE_SECONDS)
            plan.trials, plan.again, thinking = run.trials, run.again, False
            wish: Wish = "cancel" if _hopeless(plan, past.errors) else run.wish
            under_way.heed(wish)
            if wish == "run":
                while len(running) < run.spec.parallel and not past.spent(run, len(running)):
                    if number < run.trials and (why := usage.exceeded(store, run.submitted_by)):
                        store.note(run.id, "quota", f"{why}; resume the run then")
                        run = store.wish(run.id, "pause")
                        break
                    proposed = proposals.take(number)
                    if proposed is None:
                        thinking = proposals.late
                        break
                    store.claims.begin(owner, proposed)
                    under_way.begin(proposed)
                    number += 1
                if 1 < run.spec.parallel <= len(running) and number < run.trials:  # alone each knows all before it
                    proposals.ahead(number)
            if not running and not thinking:
                state, error = _verdict(run, plan, past.errors)
                reason = plan.exhausted or past.spent(run, 0) if state == "finished" and number < run.trials else None
                return store.claims.release(run.id, owner, state, error, run, reason)
            awaited: list[Future[Any]] = [*running, *proposals.awaited]
            wait(awaited, TURN_SECONDS, FIRST_COMPLETED)
            done = [evaluation for evaluation in running if evaluation.done()]
            _hear(store, owner, [message for message in inbox.drain() if message.run == run.id], noted, taken_up)
            for evaluation in sorted(done, key=lambda evaluation: running[evaluation].number):
                job = running.pop(evaluation)
                if run.wish in ("run", "pause") and _disk_is_full(evaluation):
                    _pause(store, run, job, evaluation)
                    under_way.aside.append(job)
                    continue
                trial = _end(store, owner, job, evaluation)
                if trial.measurement:
                    store.yardsticks.keep(trial.measurement.latencies.values())
                past.tell(trial)
                proposals.tell(job, trial.measurement)
                if job.measures is not None and trial.measurement:
                    store.note(run.id, "measured again", _compared(store.trial(run.id, job.measures), trial))
                if job.save_weights and isinstance(run.spec, SearchSpec):
                    retention.keep_best(store, run)
    except LostRun as error:
        log.warning("%s", error)
    finally:
        for evaluation in running:
            evaluation.cancel()
    return None


def _hear(store: Store, owner: str, messages: list[Progress | Notice], noted: set[str], taken_up: set[int]) -> None:
    """Write down how far trials are, of those that were `taken_up` where they begin, and what they warn of; what
    several warn of alike becomes one event."""
    for message in messages:
        if isinstance(message, Progress) and message.phase == "training" and message.number in taken_up:
            taken_up.remove(message.number)
            words = f"goes on from epoch {message.epoch} of {message.epochs}" if message.epoch else "begins anew"
            store.note(message.run, "taken up", f"trial {message.number} {words}")
    for progress in {message.number: message for message in messages if isinstance(message, Progress)}.values():
        store.claims.progress(owner, progress)
    for notice in messages:
        if isinstance(notice, Notice) and notice.text not in noted:
            noted.add(notice.text)
            store.note(notice.run, "warning", f"trial {notice.number}: {_cut(notice.text)}")


class UnderWay:
    """The jobs that have begun in the store: `running` in the pool, or set `aside` until the run goes on."""

    def __init__(self, pool: Pool, inbox: Inbox) -> None:
        self.running: dict[Evaluation, Job] = {}
        self.aside: list[Job] = []
        self._pool, self._inbox = pool, inbox
        self._trained: set[int] = set()  # in part, before they were cut off

    def take_up(self, trials: Iterable[Trial]) -> None:
        """What an earlier owner of the run left, as soon as it goes on."""
        for trial in trials:
            self.aside.append(trial.job)
            if trial.progress:
                self._trained.add(trial.number)

    def begin(self, job: Job) -> None:
        self.running[self._pool.evaluate(job, self._inbox.put)] = job

    def heed(self, wish: Wish) -> None:
        """What works ends, unless it is cancelled. What waits for its turn is set aside by a pause, and does not begin
        any more where the run is to stop."""
        if wish == "pause":
            waiting = [evaluation for evaluation in self.running if not evaluation.begun and evaluation.cancel()]
            self.aside += [self.running.pop(evaluation) for evaluation in waiting]
            return
        for job in self.aside:
            if wish == "run" or (wish == "stop" and job.number in self._trained):
                self.begin(job)
            else:
                self.running[_unbegun()] = job
        self.aside.clear()
        for evaluation, job in self.running.items():
            if wish == "cancel" or (wish == "stop" and not evaluation.begun and job.number not in self._trained):
                evaluation.cancel()


class Past:
    """What a run needs to know of the trials that have ended: how many did, their errors, in that order, and what they
    have cost."""

    def __init__(self) -> None:
        self.ended = 0
        self.errors: list[str | None] = []
        self._compute_seconds = 0.0

    def tell(self, trial: Trial) -> None:
        self.ended += 1
        if trial.state != "cancelled":  # which says nothing of whether others would fail
            self.errors.append(trial.error)
        self._compute_seconds += trial.compute_seconds or 0.0

    def spent(self, run: Run, running: int) -> str | None:
        """Why no trial may begin beside so many `running`, which are expected to cost what the others did."""
        expected = self._compute_seconds * (1 + running / max(1, self.ended))
        return run.spent(expected)


def ended(store: Store, run: str) -> Iterator[Trial]:
    """All trials of the run that have ended, in that order; a part at a time, as there may be more than the memory
    holds."""
    after = 0
    while part := store.ended(run, after):
        yield from part
        after = part[-1].finished or after


def replay(plan: Plan, ended: Iterable[Trial], running: Iterable[Trial]) -> Past:
    """Tell the plan what has been, and what is under way."""
    past = Past()
    with uncollected():
        for trial in ended:
            plan.tell(trial.job, trial.measurement)
            past.tell(trial)
    for trial in running:
        plan.begun(trial.job)
    return past


def _hopeless(plan: Plan, errors: list[str | None]) -> bool:
    return len(errors) >= plan.patience and all(errors[-plan.patience :])


def _verdict(run: Run, plan: Plan, errors: list[str | None]) -> tuple[RunState, str | None]:
    """What becomes of a run that has nothing under way, and why if it failed."""
    if run.wish == "cancel":
        return "cancelled", None
    if _hopeless(plan, errors):
        return "failed", f"the last {plan.patience} trials failed, the last one with {errors[-1]}"
    if run.wish == "pause":
        return "paused", None
    if run.wish == "stop":
        return "stopped", None
    if errors and all(errors):
        return "failed", f"every trial failed, the last one with {errors[-1]}"
    return "finished", None


def _unbegun() -> Evaluation:
    """Of a job that nothing works on any more."""
    evaluation = Evaluation()
    evaluation.compute_seconds = 0.0
    evaluation.cancel()
    return evaluation


def _end(store: Store, owner: str, job: Job, evaluation: Evaluation) -> Trial:
    """Write down what came of the job."""
    held = evaluation.compute_seconds
    if evaluation.cancelled():
        trial = store.claims.end(owner, job.number, job.run, "cancelled", compute_seconds=held)
    elif error := evaluation.exception() or _unreachable(evaluation.result()):
        trace = error.traceback if isinstance(error, EvaluationFailed) else traced(error)
        trial = store.claims.end(
            owner, job.number, job.run, "failed", error=_said(error), compute_seconds=held, traceback=trace
        )
    else:
        measurement = evaluation.result()
        size = artifact(measurement.weights).stat().st_size if measurement.weights else None
        state: TrialState = "refused" if measurement.refused else "done"
        trial = store.claims.end(
            owner, job.number, job.run, state, measurement, checkpoint_bytes=size, compute_seconds=held
        )
    with logs.about(trial=job.number):
        log.info("%s%s", trial.state, f": {trial.error}" if trial.error else "")
    return trial


def _compared(before: Trial, after: Trial) -> str:
    """What a latency was and what it is now that it was measured again."""
    device = after.job.devices[0]
    was, now = (
        f"{latency.median_ms:.3g} ± {latency.error_ms or 0:.2g} ms"
        for trial in (before, after)
        if trial.measurement and (latency := trial.measurement.latencies[device])
    )
    return f"trial {after.number}: the latency of trial {before.number} on {device}, {was}, is {now}"


def _said(error: BaseException) -> str:
    return _cut(str(error) if isinstance(error, EvaluationFailed) else f"{type(error).__name__}: {error}")


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_ERROR else f"{text[:LONGEST_ERROR]} …"


def _unreachable(measurement: Measurement) -> EvaluationFailed | None:
    """What is wrong where the weights were saved on another machine, in a folder that is not this one."""
    if measurement.weights is None or artifact(measurement.weights).exists():
        return None
    return EvaluationFailed(
        f"its checkpoint is not in {folder('artifacts')}: let NAS_HOME be one folder that coordinator and workers share"
    )


def _disk_is_full(evaluation: Evaluation) -> bool:
    error = None if evaluation.cancelled() else evaluation.exception()
    return getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT)


def _pause(store: Store, run: Run, job: Job, evaluation: Evaluation) -> None:
    """Nothing is wrong with the trial: it stays `running`, and is evaluated again when the run is resumed."""
    store.note(run.id, "disk full", f"trial {job.number}: {evaluation.exception()}; resume the run when there is room")
    if store.run(run.id).wish == "run":  # nothing else has been wished for meanwhile
        store.wish(run.id, "pause")
