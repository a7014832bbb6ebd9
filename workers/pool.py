"""A pool of Ray's: evaluations on the processors and GPUs of a machine or a cluster."""

import dataclasses
import logging
import math
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import ray

import nas.evaluate
from nas import datasets, home, logs, settings
from nas.datasets import ImageSet, Remark
from nas.records import Job, Measurement, Notice, Progress
from nas.roots import Roots
from nas.tracebacks import traced
from workers import head
from workers.drive import Evaluation, EvaluationFailed, Pool
from workers.ray_folder import RayFolder

RETRIES = 2  # of an evaluation whose process died; its training goes on from its last epoch
MOST_BYTES = 2**30  # of a dataset there; larger ones evaluations map from the cache themselves
MOST_DATASETS = 2  # kept in the object store at a time
POLL_SECONDS = 5.0

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
    share: float = 1.0  # of a GPU, or of a processor where there is no GPU

    def cancel(self) -> bool:
        cancelled = super().cancel()
        if cancelled and self.object_ref is not None:
            ray.cancel(self.object_ref, force=True)
        return cancelled


class Inbox:
    """Messages of all evaluations, kept by an actor until it is drained; of a trial's progress the last one counts."""

    def __init__(self) -> None:
        self._mailbox = _Mailbox.remote()  # type: ignore[attr-defined]

    def put(self, message: Progress | Notice) -> None:
        arrived = self._mailbox.put.remote(message)
        if isinstance(message, Notice):
            ray.get(arrived, timeout=POLL_SECONDS)

    def drain(self) -> Iterable[Progress | Notice]:
        try:
            messages: list[Progress | Notice] = ray.get(self._mailbox.drain.remote(), timeout=POLL_SECONDS)
        except (ray.exceptions.RayError, TimeoutError) as error:
            log.warning("progress cannot be read: %s", error)
            return []
        return messages


@ray.remote(num_cpus=0, max_restarts=-1)
class _Mailbox:
    def __init__(self) -> None:
        self._progress: dict[tuple[str, int], Progress] = {}
        self._notices: list[Notice] = []

    def put(self, message: Progress | Notice) -> None:
        if isinstance(message, Progress):
            self._progress[message.run, message.number] = message
        else:
            self._notices.append(message)

    def drain(self) -> list[Progress | Notice]:
        messages: list[Progress | Notice] = [*self._progress.values(), *self._notices]
        self._progress, self._notices = {}, []
        return messages


@ray.remote(max_retries=RETRIES)
def _evaluate(
    function: Callable[..., Measurement], job: Job, report: Any, images: ImageSet | None, roots: Roots | None
) -> Measurement | _Failure:
    begun = time.perf_counter()
    try:
        with logs.heard(lambda text: report(Notice(run=job.run, number=job.number, text=text))):
            if images is None and job.dataset is not None:
                images = _load(job.dataset, job.read_at, roots)
            return function(job, report, images=images)
    except Exception as error:
        return dataclasses.replace(_failure(error), seconds=time.perf_counter() - begun)


class RayPool:
    """One evaluation a processor; where there are GPUs, `parallel` evaluations at once share them.

    Starts Ray on this machine, or joins the cluster at `address`, until it is closed. A dataset is put into the object
    store once, and every evaluation on a machine reads that one copy; with `roots` none is read from folders outside
    of them. `function(job, report, images=…)` is what an
    evaluation does.
    """

    def __init__(self, address: str | None = None, roots: Roots | None = None) -> None:
        self.roots = roots
        self.function: Callable[..., Measurement] = nas.evaluate.evaluate
        self._parallel = 1
        self._images: OrderedDict[tuple[str, int], Any] = OrderedDict()
        self._loading = threading.Lock()
        self._remarks: dict[tuple[str | None, int], tuple[Remark, ...]] = {}
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
        self._head, self._node = context.gcs_address, context.get_node_id()

    def lost(self) -> str | None:
        """Why Ray is of no use any more, if it is."""
        try:
            head.reach(self._head)
        except OSError as error:
            return f"the head of Ray at {self._head} does not answer ({error})"
        if any(node["NodeID"] == self._node and node["Alive"] for node in ray.nodes()):  # type: ignore[no-untyped-call]
            return None
        return f"the head of Ray at {self._head} is another one by now, or has given this machine up"

    def inbox(self) -> Inbox:
        return Inbox()

    def prepare(self, parallel: int) -> None:
        """For another run: so many evaluations at once, and of each dataset what it is by now."""
        self._parallel = parallel
        # New ones: what loads for another run may go on for long, and is waited for by nobody.
        self._images, self._loading, self._remarks = OrderedDict(), threading.Lock(), {}

    def remarks(self, dataset: str | None, resolution: int) -> tuple[Remark, ...]:
        """What there is to be known of images that were loaded since."""
        return self._remarks.get((dataset, resolution), ())

    def evaluate(self, job: Job, report: Callable[[Progress | Notice], None]) -> Evaluation:
        """In a process of Ray's. Returns at once, also where the images have yet to be loaded; raises
        EvaluationFailed."""
        evaluation, function = _Evaluation(), self.function
        loading = self.load(job.dataset, job.read_at)
        loading.add_done_callback(lambda loaded: self._send(evaluation, function, job, report, loaded))
        return evaluation

    def load(self, dataset: str | None, resolution: int) -> Future[Any]:
        """The object store's reference to the images, which are put there if need be; None where they are too many
        for it, and where no dataset is named. The future raises DatasetError, and whatever else a dataset's plug-in
        does."""
        loading: Future[Any] = Future()
        if dataset is None:
            loading.set_result(None)
            return loading

        def work() -> None:
            try:
                loading.set_result(self._object_ref(dataset, resolution))
            except Exception as error:
                loading.set_exception(error)

        threading.Thread(target=work, name=f"loading {dataset}", daemon=True).start()
        return loading

    def _send(
        self, evaluation: _Evaluation, function: Callable[..., Measurement], job: Job, report: Any, loaded: Future[Any]
    ) -> None:
        if evaluation.cancelled():
            return
        try:
            gpus = self._gpus()
            evaluation.share = gpus or 1.0
            task = _evaluate.options(num_cpus=1, num_gpus=gpus)
            evaluation.object_ref = task.remote(function, job, report, loaded.result(), self.roots)
        except Exception as error:
            _give(evaluation, _failure(error))
            return
        if evaluation.cancelled():  # meanwhile
            ray.cancel(evaluation.object_ref, force=True)
        evaluation.object_ref.future().add_done_callback(lambda done: _settle(evaluation, done))

    def close(self) -> None:
        """Stop Ray, and with it every evaluation that is under way."""
        self._images.clear()
        ray.shutdown()
        if self._folder:
            self._folder.clear()

    def _gpus(self) -> float:
        """Of a GPU, for each evaluation."""
        return share(ray.cluster_resources().get("GPU", 0), self._parallel)  # type: ignore[no-untyped-call]

    def _object_ref(self, dataset: str, resolution: int) -> Any:
        key = (dataset, resolution)
        kept, loading, remarks = self._images, self._loading, self._remarks
        with loading:  # of several that want the same images one loads them
            if key not in kept:
                images = _load(*key, self.roots)
                remarks[key] = images.info.remarks
                parts = (images.train_images, images.test_images, images.validation_images)
                if sum(part.nbytes for part in parts if part is not None) > MOST_BYTES:
                    kept[key] = None
                    return None
                own = (dataset, images.train_images.shape[-1])  # not what was asked for where images have a fixed size
                kept[own] = kept[key] = kept.get(own) or ray.put(_shareable(images))
                while len({id(object_ref) for object_ref in kept.values()}) > MOST_DATASETS:
                    kept.popitem(last=False)
            kept.move_to_end(key)
            return kept[key]


def _load(dataset: str, resolution: int, roots: Roots | None) -> ImageSet:
    return datasets.load(dataset, resolution, home.folder("datasets"), roots)


def share(gpus: float, parallel: int) -> float:
    """Of a GPU, for each of `parallel` evaluations on so many: no evaluation can be split between two."""
    return 1 / math.ceil(max(1.0, parallel / gpus)) if gpus else 0.0


def _shareable(images: ImageSet) -> ImageSet:
    """Arrays of numpy's own class: of one mapped from a file every reader would get a copy."""
    own = images.validation_images
    return dataclasses.replace(
        images,
        train_images=np.asarray(images.train_images),
        test_images=np.asarray(images.test_images),
        validation_images=None if own is None else np.asarray(own),
    )


def _settle(evaluation: _Evaluation, done: Future[Measurement | _Failure]) -> None:
    """Give what came back to `evaluation`."""
    error = done.exception()
    if error is None:
        result = done.result()
        evaluation.compute_seconds = None if result.seconds is None else evaluation.share * result.seconds
        _give(evaluation, result)
    elif not isinstance(error, ray.exceptions.LocalRayletDiedError):  # then Ray ends this process; the trial goes on
        died = isinstance(error, ray.exceptions.WorkerCrashedError | ray.exceptions.OutOfMemoryError)
        what = f"its process died {RETRIES + 1} times" if died else type(error).__name__
        last = (str(error).strip() or "no more is known").splitlines()[-1]  # behind Ray's own traceback
        _give(evaluation, _Failure(text=f"{what}: {last}", errno=None))


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
    _: type[Pool] = RayPool
