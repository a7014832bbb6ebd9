"""A pool of Ray's: evaluations on the processors and GPUs of a machine or a cluster."""

import contextlib
import dataclasses
import functools
import logging
import math
import secrets
import time
from collections.abc import Callable, Hashable, Iterable, Iterator
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import ray

import nas.evaluate
from nas import home, logs, settings
from nas.datasets import ImageSet
from nas.measurements import Measurement
from nas.metering import history
from nas.metering.history import History
from nas.ray_folder import RayFolder
from nas.records import Job, Notice, Progress, Run
from nas.roots import Roots
from nas.tracebacks import traced
from workers import head, shelf
from workers.drive import Evaluation, EvaluationFailed, Pool
from workers.shelf import Loaded
from workers.slots import Line, Slots

RETRIES = 2  # of an evaluation whose process died; its training goes on from its last epoch
POLL_SECONDS = 5.0

Seen: TypeAlias = Callable[[Job], tuple[History, ...]]

logging.getLogger("ray").handlers.clear()  # its own, which would log everything once more
logging.getLogger("ray").propagate = True
logging.getLogger("ray").setLevel(logging.ERROR)
log = logging.getLogger("workers")


@dataclass(frozen=True, kw_only=True)
class _Failure:
    """What an evaluation raised. Sent instead of the exception, which its reader might not be able to rebuild."""

    text: str
    errno: int | None
    traceback: str | None = None
    seconds: float | None = None  # that the evaluation took; None: it never began, or died


class _Evaluation(Evaluation):
    """Cancelling it kills the process that works on it."""

    object_ref: Any = None
    gpus: float = 0.0
    sent: float | None = None  # at that time of the clock
    processes: int = 1
    compute_seconds: float | None = 0.0  # of what was never sent

    @property
    def begun(self) -> bool:
        return self.sent is not None

    @property
    def share(self) -> float:
        """GPUs, or a part of one, or processors where there are none."""
        return self.gpus or float(self.processes)

    def charge(self, seconds: float | None = None) -> None:
        """Unless it is done: so many seconds, or where nobody knows, all since it was sent; never what it waited."""
        if self.sent is not None and not self.done():
            self.compute_seconds = self.share * (time.perf_counter() - self.sent if seconds is None else seconds)

    def cancel(self) -> bool:
        self.charge()
        cancelled = super().cancel()
        if cancelled and self.object_ref is not None:
            ray.cancel(self.object_ref, force=True)
        return cancelled


class Inbox:
    """Messages of a run's evaluations, kept by an actor until they are drained; of a trial's progress the last one
    counts."""

    def __init__(self, mailbox: Any, run: str) -> None:
        self._mailbox, self._run = mailbox, run

    def put(self, message: Progress | Notice) -> None:
        arrived = self._mailbox.put.remote(message)
        if isinstance(message, Notice):
            ray.get(arrived, timeout=POLL_SECONDS)

    def drain(self) -> Iterable[Progress | Notice]:
        try:
            messages: list[Progress | Notice] = ray.get(self._mailbox.drain.remote(self._run), timeout=POLL_SECONDS)
        except (ray.exceptions.RayError, TimeoutError) as error:
            log.warning("progress cannot be read: %s", error)
            return []
        return messages


@ray.remote(num_cpus=0, max_restarts=-1)
class _Mailbox:
    def __init__(self) -> None:
        self._progress: dict[str, dict[int, Progress]] = {}
        self._notices: dict[str, list[Notice]] = {}

    def put(self, message: Progress | Notice) -> None:
        if isinstance(message, Progress):
            self._progress.setdefault(message.run, {})[message.number] = message
        else:
            self._notices.setdefault(message.run, []).append(message)

    def drain(self, run: str) -> list[Progress | Notice]:
        return [*self._progress.pop(run, {}).values(), *self._notices.pop(run, [])]


@ray.remote(max_retries=RETRIES)
def _evaluate(
    function: Callable[..., Measurement],
    job: Job,
    report: Any,
    images: ImageSet | None,
    roots: Roots | None,
    seen: tuple[History, ...] = (),
) -> Measurement | _Failure:
    begun = time.perf_counter()
    try:
        history.learn(seen)
        with logs.heard(lambda text: report(Notice(run=job.run, number=job.number, text=text))):
            if images is None and job.dataset is not None:
                images = shelf.load(job.dataset, job.read_at, roots)
            return function(job, report, images=images)
    except Exception as error:
        return dataclasses.replace(_failure(error), seconds=time.perf_counter() - begun)


class RayPool:
    """Ray on this machine, or the cluster at `address`, until it is closed. Runs share it: each has a workplace.

    With `roots` no images are read from folders outside of them. `function(job, report, images=…)` is what an
    evaluation does.
    """

    def __init__(self, address: str | None = None, roots: Roots | None = None) -> None:
        self.roots = roots
        self.function: Callable[..., Measurement] = nas.evaluate.evaluate
        self.shelf, self.slots = shelf.Shelf(), Slots(self._room)
        self._folder = None if address else RayFolder()
        try:
            self._start(address)
        except BaseException:
            self.close()
            raise

    def _start(self, address: str | None) -> None:
        # Evaluators log as objects, whatever is chosen for the log that they get into: see logs.relay.
        environment = {"NAS_HOME": str(home.home()), **settings.EVALUATORS, "NAS_LOG_FORMAT": "json"}
        if settings.LOG_LEVEL.value:
            environment["NAS_LOG_LEVEL"] = settings.LOG_LEVEL.value
        common: dict[str, Any] = {
            "configure_logging": False,  # what Ray logs here is a part of this process's log
            "runtime_env": {"env_vars": environment, "worker_process_setup_hook": logs.begin},
        }
        if address:
            head.reach(address)
            ray.init(address, **common)
        else:
            assert self._folder is not None
            if not settings.RAY_TOKEN_FILE.value:  # no other user is let in
                settings.prepare(replace(settings.RAY_TOKEN, default=secrets.token_hex(32)))
            ray.init(
                "local",
                include_dashboard=False,
                _temp_dir=str(self._folder.rays),
                _node_ip_address="127.0.0.1",
                **common,
            )
        context = ray.get_runtime_context()
        self._head, self.node = context.gcs_address, context.get_node_id()
        self._mailbox = _Mailbox.remote()  # type: ignore[attr-defined]

    def lost(self) -> head.Loss | None:
        """Why Ray is of no use any more, if it is. A head of its own that listens no more has died; that of a cluster
        may be started again."""
        try:
            head.reach(self._head)
        except OSError as error:
            gone = self._folder is not None and isinstance(error, ConnectionRefusedError)
            return head.Loss(f"the head of Ray at {self._head} does not answer ({error})", gone)
        if any(node["NodeID"] == self.node and node["Alive"] for node in ray.nodes()):  # type: ignore[no-untyped-call]
            return None
        return head.Loss(f"the head of Ray at {self._head} is another one by now, or has given this machine up", True)

    def gpus(self) -> float:
        """How many there are at present."""
        return float(ray.cluster_resources().get("GPU", 0))  # type: ignore[no-untyped-call]

    def require(self, processes: int) -> None:
        """Raise ValueError where no machine has a GPU, or without any a processor, for each of so many processes."""
        kind = "GPU" if self.gpus() else "CPU"
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
        most = max((int(resources.get(kind, 0)) for resources in nodes), default=1)
        if processes > max(1, most):
            raise ValueError(f"no machine here has {processes} {kind}s for processes that train together: give {most}")

    def _room(self) -> float:
        """For evaluations at once: GPUs, or processors where there are none."""
        return self.gpus() or float(ray.cluster_resources().get("CPU", 1))  # type: ignore[no-untyped-call]

    @contextlib.contextmanager
    def workplace(self, run: Run, seen: Seen = lambda _: ()) -> Iterator["Workplace"]:
        """For the run, of which nothing is evaluated any more when it is left. Each machine is told what was `seen` of
        yardsticks by all."""
        line = self.slots.line(run.submitted_by, run.spec.priority)
        try:
            with self.shelf.used():
                yield Workplace(self, run, line, Inbox(self._mailbox, run.id), seen)
        finally:
            self.slots.close(line)

    def close(self) -> None:
        """Stop Ray, and with it every evaluation that is under way."""
        self.shelf.clear()
        ray.shutdown()
        if self._folder:
            self._folder.clear()


class Workplace:
    """Where the evaluations of one run are: one a processor, or where there are GPUs, `parallel` of them at once on
    all. What its datasets are is found out once for the run."""

    def __init__(self, pool: RayPool, run: Run, line: Line, inbox: Inbox, seen: Seen) -> None:
        self.inbox, self._seen = inbox, seen
        self._pool, self._line, self._parallel = pool, line, run.spec.parallel
        self._contents: Hashable = run.spec.contents or object()

    def load(self, dataset: str | None, resolution: int) -> Future[Loaded]:
        """The images, which are put into the object store if need be: every evaluation on a machine reads that one
        copy. The future raises DatasetError, and whatever else a dataset's plug-in does."""
        if dataset is None:
            return shelf.NOTHING
        return self._pool.shelf.load(dataset, resolution, self._contents, self._pool.roots)

    def evaluate(self, job: Job, report: Callable[[Progress | Notice], None]) -> Evaluation:
        """In a process of Ray's, as soon as the images are there and it is the run's turn. Returns at once."""
        evaluation = _Evaluation()
        evaluation.processes = job.processes
        begin = functools.partial(self._send, evaluation, self._pool.function, job, report, self._seen(job))
        self.load(job.dataset, job.read_at).add_done_callback(lambda loading: self._wait(evaluation, loading, begin))
        return evaluation

    def _wait(self, evaluation: _Evaluation, loading: Future[Loaded], begin: Callable[[Loaded], object]) -> None:
        """For the run's turn."""
        try:
            loaded = loading.result()
            evaluation.gpus = share(self._pool.gpus(), self._parallel, evaluation.processes)
            self._pool.require(evaluation.processes)
            slot = self._pool.slots.ask(self._line, evaluation.share, lambda: begin(loaded))
        except Exception as error:
            _give(evaluation, _failure(error))
        else:
            evaluation.add_done_callback(lambda _: slot.free())

    def _send(
        self,
        evaluation: _Evaluation,
        function: Callable[..., Measurement],
        job: Job,
        report: Any,
        seen: tuple[History, ...],
        loaded: Loaded,
    ) -> None:
        if evaluation.done():
            return
        evaluation.sent = time.perf_counter()
        try:
            # Beside GPUs a process's processor is not counted: a machine may have more of those.
            processors = 1 if evaluation.gpus else evaluation.processes
            task = _evaluate.options(num_cpus=processors, num_gpus=evaluation.gpus)
            evaluation.object_ref = task.remote(function, job, report, loaded.object_ref, self._pool.roots, seen)
        except Exception as error:
            _give(evaluation, _failure(error))
            return
        if evaluation.cancelled():  # meanwhile
            ray.cancel(evaluation.object_ref, force=True)
        evaluation.object_ref.future().add_done_callback(lambda done: _settle(evaluation, done, self._pool.node))


def share(gpus: float, parallel: int, processes: int = 1) -> float:
    """Of a GPU, for each of `parallel` evaluations on so many: no process can be split between two, and those that
    train together have one each."""
    if gpus and processes > 1:
        return float(processes)
    return 1 / math.ceil(max(1.0, parallel / gpus)) if gpus else 0.0


def _settle(evaluation: _Evaluation, done: Future[Measurement | _Failure], node: str) -> None:
    """Give what came back to `evaluation`. Nothing did where the `node` of this process has died: Ray ends the process,
    and the trial goes on in another."""
    error = done.exception()
    evaluation.charge(None if error else done.result().seconds)
    if error is None:
        _give(evaluation, done.result())
    elif not _ours(error, node):
        died = isinstance(error, ray.exceptions.WorkerCrashedError | ray.exceptions.OutOfMemoryError)
        what = f"its process died {RETRIES + 1} times" if died else type(error).__name__
        last = (str(error).strip() or "no more is known").splitlines()[-1]  # behind Ray's own traceback
        _give(evaluation, _Failure(text=f"{what}: {last}", errno=None))


def _ours(error: BaseException, node: str) -> bool:
    """Whether it says that this process's own node has died, which Ray has two errors for."""
    if isinstance(error, ray.exceptions.NodeDiedError):
        return node in str(error)
    return isinstance(error, ray.exceptions.LocalRayletDiedError)


def _give(evaluation: _Evaluation, result: Measurement | _Failure) -> None:
    try:
        if evaluation.cancelled() or not evaluation.set_running_or_notify_cancel():
            return
    except (InvalidStateError, RuntimeError):  # cancelled between the one and the other
        return
    if isinstance(result, _Failure):
        evaluation.set_exception(EvaluationFailed(result.text, result.errno, result.traceback))
    else:
        evaluation.set_result(result)


def _failure(error: BaseException) -> _Failure:
    text, errno = f"{type(error).__name__}: {error}", getattr(error, "errno", None)
    return _Failure(text=text, errno=errno, traceback=traced(error))


if TYPE_CHECKING:
    _: type[Pool] = Workplace
