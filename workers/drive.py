"""The loop that drives a run: ask the plan, evaluate in the pool, write down, tell the plan."""

import errno
import logging
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from pathlib import Path
from typing import Protocol

from nas.home import folder
from nas.plans import Plan
from nas.records import Job, Measurement, Progress, Run, RunState, Trial, TrialState
from nas.store import LostRun, Store

LEASE_SECONDS = 10.0  # a run whose owner has not renewed its claim for so long is taken over
TURN_SECONDS = 0.5  # the longest that a wish or a progress message waits to be seen
FAILURES_IN_A_ROW = 5  # after which more trials would only fail as well
LONGEST_ERROR = 1000  # characters

log = logging.getLogger("workers")


class Inbox(Protocol):
    """Progress on its way from the evaluations to the store; a message may get lost, none is waited for."""

    def put(self, progress: Progress) -> None: ...

    def drain(self) -> Iterable[Progress]: ...


def drive(
    store: Store,
    owner: str,
    run: Run,
    plan: Plan,
    pool: Executor,
    evaluate: Callable[..., Measurement],
    inbox: Inbox,
    leave: threading.Event | None = None,
) -> Run | None:
    """Drive a claimed run until it ends or is paused, and release it; gives the run as it was left.

    `plan` is new and is told the run's past here. None: the run was lost to another owner, or `leave` was set; trials
    under way then stay `running` in the store, and whoever claims the run next evaluates them again.
    """
    leave = leave or threading.Event()
    running: dict[Future[Measurement], Job] = {}
    aside = False  # whether a trial that met a full disk waits for a new plan to evaluate it again
    try:
        errors, begun = _replay(plan, store.trials(run.id))
        number = len(errors) + len(begun)
        for job in begun:
            running[pool.submit(evaluate, job, inbox.put)] = job
        while not leave.is_set():
            run = store.renew(run.id, owner, LEASE_SECONDS)
            plan.trials = run.trials
            if run.wish == "cancel" or _hopeless(errors):
                for future in running:
                    future.cancel()
            elif run.wish == "run" and not aside and not _late(run):
                while len(running) < run.spec.parallel and (proposed := plan.ask(number)):
                    store.begin(owner, proposed)
                    running[pool.submit(evaluate, proposed, inbox.put)] = proposed
                    number += 1
            if not running:
                if aside and run.wish != "pause":
                    store.release(run.id, owner, "running")  # whoever claims it next begins with that trial
                    return None
                state, reason = _verdict(run, errors)
                if plan.exhausted and state == "finished":
                    store.note(run.id, "exhausted", plan.exhausted)
                elif state == "finished" and number < run.trials and _late(run):
                    store.note(run.id, "time is up", f"its hours have passed after {number} of {run.trials} trials")
                return store.release(run.id, owner, state, reason, run.trials)
            done, _ = wait(running, TURN_SECONDS, FIRST_COMPLETED)
            for progress in {message.number: message for message in inbox.drain() if message.run == run.id}.values():
                store.progress(owner, progress)
            for future in sorted(done, key=lambda future: running[future].number):
                job = running.pop(future)
                if run.wish in ("run", "pause") and _disk_is_full(future):
                    _pause(store, run, job, future)
                    aside = True
                    continue
                trial = _end(store, owner, job, future)
                errors.append(trial.error)
                plan.tell(job, trial.measurement)
    except LostRun as error:
        log.warning("%s", error)
    finally:
        for future in running:
            future.cancel()
    return None


def _replay(plan: Plan, trials: list[Trial]) -> tuple[list[str | None], list[Job]]:
    """Tell the plan what has been. Gives the ended trials' errors in the order they ended, and the jobs under way."""
    ended = sorted((trial.finished, trial) for trial in trials if trial.finished is not None)
    for _, trial in ended:
        plan.tell(trial.job, trial.measurement)
    begun = [trial.job for trial in trials if trial.finished is None]
    for job in begun:
        plan.begun(job)
    return [trial.error for _, trial in ended], begun


def _late(run: Run) -> bool:
    until = run.begins_until()
    return until is not None and time.time() > until


def _hopeless(errors: list[str | None]) -> bool:
    return len(errors) >= FAILURES_IN_A_ROW and all(errors[-FAILURES_IN_A_ROW:])


def _verdict(run: Run, errors: list[str | None]) -> tuple[RunState, str | None]:
    """What becomes of a run that has nothing under way, and why if it failed."""
    if run.wish == "cancel":
        return "cancelled", None
    if _hopeless(errors):
        return "failed", f"the last {FAILURES_IN_A_ROW} trials failed, the last one with {errors[-1]}"
    if run.wish == "pause":
        return "paused", None
    if run.wish == "stop":
        return "stopped", None
    if errors and all(errors):
        return "failed", f"every trial failed, the last one with {errors[-1]}"
    return "finished", None


def _end(store: Store, owner: str, job: Job, future: Future[Measurement]) -> Trial:
    """Write down what came of the job."""
    if future.cancelled():
        trial = store.end(owner, job.number, job.run, "cancelled")
    elif error := future.exception() or _unreachable(future.result()):
        trial = store.end(owner, job.number, job.run, "failed", error=_said(error))
    else:
        measurement = future.result()
        size = _checkpoint(measurement).stat().st_size if measurement.weights else None
        state: TrialState = "refused" if measurement.refused else "done"
        trial = store.end(owner, job.number, job.run, state, measurement, checkpoint_bytes=size)
    log.info("run %s: trial %d %s%s", job.run, job.number, trial.state, f": {trial.error}" if trial.error else "")
    return trial


class EvaluationFailed(RuntimeError):
    """A job failed somewhere else; the message says with what, and can be shown as it is. `errno` as in OSError."""

    def __init__(self, text: str, errno: int | None = None) -> None:
        super().__init__(text)
        self.errno = errno


def _said(error: BaseException) -> str:
    said = str(error) if isinstance(error, EvaluationFailed) else f"{type(error).__name__}: {error}"
    return said if len(said) <= LONGEST_ERROR else f"{said[:LONGEST_ERROR]} …"


def _checkpoint(measurement: Measurement) -> Path:
    return folder("artifacts") / f"{measurement.weights}.safetensors"


def _unreachable(measurement: Measurement) -> EvaluationFailed | None:
    """What is wrong where the weights were saved on another machine, in a folder that is not this one."""
    if measurement.weights is None or _checkpoint(measurement).exists():
        return None
    return EvaluationFailed(
        f"its checkpoint is not in {folder('artifacts')}: let NAS_HOME be one folder that coordinator and workers share"
    )


def _disk_is_full(future: Future[Measurement]) -> bool:
    error = None if future.cancelled() else future.exception()
    return getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT)


def _pause(store: Store, run: Run, job: Job, future: Future[Measurement]) -> None:
    """Nothing is wrong with the trial: it stays `running`, and is evaluated again when the run is resumed."""
    store.note(run.id, "disk full", f"trial {job.number}: {future.exception()}; resume the run when there is room")
    if store.run(run.id).wish == "run":  # nothing else has been wished for meanwhile
        store.wish(run.id, "pause")
