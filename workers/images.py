"""The images of a run: what a network is given of them, and whether they are still those that it was submitted with."""

import contextlib
import logging
import threading
import time
from contextlib import AbstractContextManager

from nas import datasets, home
from nas.alongside import alongside
from nas.datasets import Changed, DatasetError, DatasetInfo, Remark
from nas.networks.architecture import Images
from nas.records import Run
from nas.roots import Roots
from nas.specs import BenchmarkSpec, GrowthSpec
from nas.store import Conflict, NotFound, Store, StoreError

LOOK_SECONDS = 20.0  # between two looks at the images of a run that is driven
LOOKING = 0.02  # of the time, at most, where there are so many that a look takes long

log = logging.getLogger("workers")


def images_of(run: Run, roots: Roots | None) -> Images:
    """What the run's dataset gives a network. Raises DatasetError, Changed where a trial that begins now would have
    other images than those before it, and UnknownPlugin for a dataset that is none."""
    if isinstance(run.spec, BenchmarkSpec):
        return run.spec.images
    if isinstance(run.spec, GrowthSpec) and run.spec.contents is None:
        return run.spec.architecture.images
    info = _described(run, roots)
    if run.wish == "run":
        datasets.require_same(run.spec.contents, info)
    if isinstance(run.spec, GrowthSpec):
        return run.spec.architecture.images
    return info.as_seen(run.spec.resolution)


def tell(store: Store, run: Run, remarks: tuple[Remark, ...]) -> None:
    """Write down what was noticed of the images only when they were decoded, once."""
    known = {remark.text for remark in run.spec.contents.remarks} if run.spec.contents else set[str]()
    if any(remark.text not in known for remark in remarks):
        known |= {event.text for event in store.events(run.id, limit=1000) if event.kind == "images"}
    for remark in remarks:
        if remark.text not in known:
            store.note(run.id, "images", remark.text)


def watched(store: Store, run: Run, roots: Roots | None) -> AbstractContextManager[None]:
    """Meanwhile the run is paused where its images are no more what they were when it was submitted, or are not to be
    had; those that are in memory would do, but not for whoever takes the run up or trains its networks again."""
    if run.spec.contents is None or not run.spec.contents.digest:  # unknown, or always the same
        return contextlib.nullcontext()

    def look(done: threading.Event) -> None:
        pause, missed = LOOK_SECONDS, False
        while not done.wait(pause):
            begun = time.perf_counter()
            try:
                datasets.require_same(run.spec.contents, _described(run, roots))
                missed = False
            except DatasetError as error:
                if missed or isinstance(error, Changed):  # a disk that is away for a moment is no other
                    with contextlib.suppress(StoreError, Conflict, NotFound):
                        pause_for(store, run, error)
                missed = True
            pause = max(LOOK_SECONDS, (time.perf_counter() - begun) / LOOKING)

    return alongside(f"images of {run.id}", look)


def pause_for(store: Store, run: Run, error: DatasetError) -> bool:
    """Until the images are what they were; whether it is so, as nothing else has been wished for meanwhile."""
    if store.run(run.id).wish != "run":
        return False
    log.warning("%s", error)
    store.wish(run.id, "pause")
    store.note(run.id, "images changed", f"{error}; resume this one when they are back")
    return True


def _described(run: Run, roots: Roots | None) -> DatasetInfo:
    assert run.spec.dataset is not None
    return datasets.describe(run.spec.dataset, home.folder("datasets"), roots)
