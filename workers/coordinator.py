"""The coordinator: claims runs, and drives several side by side, each until it ends."""

import contextlib
import logging
import os
import secrets
import socket
import threading
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager
from typing import Any, cast

from nas import devices, logs, retention, settings
from nas.alongside import alongside
from nas.datasets import Changed, DatasetError
from nas.disk import going
from nas.models.checkpoint import artifact
from nas.plans import plan_for
from nas.plugins import BrokenPlugin, UnknownPlugin
from nas.records import ENDED, Run
from nas.refusal import Refusal
from nas.specs import GrowthSpec, SearchSpec
from nas.store import Conflict, LostRun, Store, StoreError
from nas.tracebacks import traced
from workers.drive import LEASE_SECONDS, TURN_SECONDS, drive
from workers.earlier import learnt
from workers.images import images_of, pause_for, tell, watched
from workers.pool import RayPool
from workers.prediction import prediction

IDLE_SECONDS = 1.0  # between two looks for a run that can be claimed
MOST_RUNS = 256  # side by side, whatever is set and however many owners there are
SHORTEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 30.0  # between two tries while the database is away

log = logging.getLogger("workers")


def coordinate(store: Store, pool: RayPool, leave: threading.Event, *, once: bool = False) -> None:
    """Claim and drive runs until `leave` is set, or with `once` until there is none to be claimed.

    What is under way when it leaves stays `running` in the store; whoever claims the run next goes on with it.
    """
    most, driven = min(settings.RUNS_AT_ONCE.number, MOST_RUNS), set[Future[None]]()
    # In a container that is started again, host and number are those of the process that died.
    process = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
    patient = cast(Store, Patient(store, leave))
    with ThreadPoolExecutor(MOST_RUNS, thread_name_prefix="run") as threads:
        try:
            while not leave.is_set():
                # A claim's own owner: a run that was lost and is claimed again has two drivers for a moment.
                owner = f"{process}:{secrets.token_hex(4)}"
                full = len(driven) >= most  # but for whoever has nothing under way: nobody waits for another's runs
                pool.slots.limit(patient.owners.most_running())
                run = None
                if len(driven) < MOST_RUNS:
                    run = patient.claims.claim(owner, LEASE_SECONDS, newcomers=full)
                if run is not None:
                    driven.add(threads.submit(_claimed, patient, store, pool, run, owner, leave))
                elif once and not driven:
                    return
                if driven:  # one claim a second: other coordinators claim as well
                    done, driven = wait(driven, IDLE_SECONDS, FIRST_COMPLETED)
                    for ended in done:
                        ended.result()  # raises what nobody expected
                    pool.slots.deal()  # there may be more machines
                else:
                    leave.wait(IDLE_SECONDS)
        except StoreError:
            assert leave.is_set()
        except BaseException:
            leave.set()
            raise


def _claimed(patient: Store, store: Store, pool: RayPool, run: Run, owner: str, leave: threading.Event) -> None:
    try:
        with _kept(store, run, owner), logs.about(run=run.id):
            _drive(patient, pool, run, owner, leave)
    except (LostRun, Conflict) as error:
        log.warning("%s", error)  # the store knows better: it is claimed again
    except StoreError:
        assert leave.is_set()


class Patient:
    """A store whose methods, and those of its parts, wait while the database cannot be used, until `leave` is set; only
    then StoreError."""

    def __init__(self, store: object, leave: threading.Event) -> None:
        self._store, self._leave = store, leave

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)
        if not callable(method):
            return Patient(method, self._leave)

        def patiently(*args: Any, **kwargs: Any) -> Any:
            pause = SHORTEST_PAUSE_SECONDS
            while True:
                try:
                    return method(*args, **kwargs)
                except StoreError as error:
                    log.warning("%s; trying again in %g s", error, pause)
                    if self._leave.wait(pause):
                        raise
                    pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

        return patiently


def _drive(store: Store, pool: RayPool, run: Run, owner: str, leave: threading.Event) -> None:
    log.info("%s claimed", run.kind)
    try:
        with logs.heard(lambda text: store.note(run.id, "warning", text)):
            images = images_of(run, pool.roots)
            plan = plan_for(run, images, prediction(store, run), learnt(store, run, images))
        with pool.workplace(run, lambda job: store.yardsticks.known([*map(devices.canonical, job.devices)])) as place:
            loading = place.load(run.spec.dataset, images.resolution)
            while not loading.done() and not leave.is_set() and store.run(run.id).wish == "run":
                wait([loading], TURN_SECONDS)
            if loading.done():
                tell(store, run, loading.result().remarks)
            with watched(store, run, pool.roots):
                left = drive(store, owner, run, plan, place, place.inbox, leave)
    except (LostRun, Conflict, StoreError):
        raise
    except Changed as error:
        store.claims.release(run.id, owner, "paused" if pause_for(store, run, error) else "running")
        return
    except Exception as error:  # whatever is wrong with one run must not keep the others from being driven
        expected = isinstance(error, (DatasetError, Refusal, UnknownPlugin, BrokenPlugin, OSError, ImportError))
        log.error("%s", error, exc_info=not expected)
        said = str(error) if expected else f"{type(error).__name__}: {error}"
        _fail(store, run, owner, said, traced(error))
        return
    if left is None:
        if leave.is_set():
            store.claims.release(run.id, owner, "running")  # to be claimed at once, not when the claim has run out
        return
    log.info("%s%s", left.state, f": {left.error}" if left.error else "")
    if left.state in ENDED:
        try:
            _tidy(store, left)
        except (LookupError, OSError) as error:  # it was deleted meanwhile, or a file cannot be removed
            log.warning("what is left of the run stays until the next nas prune: %s", error)


def _tidy(store: Store, run: Run) -> None:
    """Remove what a run that has ended kept for its own trainings alone, and models beyond those that are kept."""
    going.remove(going.of_run(run.id))
    if isinstance(run.spec, SearchSpec) and run.spec.fidelity and run.spec.fidelity.inherit:
        for trial in store.trials(run.id):
            if trial.job.handed_on and trial.measurement and trial.measurement.weights:
                artifact(trial.measurement.weights).unlink(missing_ok=True)
    if isinstance(run.spec, SearchSpec):
        retention.keep_best(store, run)
    if isinstance(run.spec, GrowthSpec) and run.spec.drop_dominated:
        retention.drop_dominated(store, run)
    retention.make_room(store)


def _fail(store: Store, run: Run, owner: str, error: str, traceback: str) -> None:
    """End a run that cannot be driven here at all, and its trials with it."""
    for trial in store.trials(run.id, state="running"):
        store.claims.end(owner, trial.number, run.id, "failed", error=error, traceback=traceback)
    store.claims.release(run.id, owner, "failed", error)


def _kept(store: Store, run: Run, owner: str) -> AbstractContextManager[None]:
    """The claim is renewed meanwhile, however long a dataset takes to load. The drive loop sees it if it is lost."""

    def renew(done: threading.Event) -> None:
        while not done.wait(LEASE_SECONDS / 4):
            with contextlib.suppress(LostRun, StoreError):
                store.claims.renew(run.id, owner, LEASE_SECONDS)

    return alongside(f"claim of {run.id}", renew)
