"""Images in Ray's object store: each set once, for all runs that want it."""

import contextlib
import dataclasses
import threading
from collections import OrderedDict
from collections.abc import Hashable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import ray

from nas import datasets, home
from nas.datasets import ImageSet, Remark
from nas.roots import Roots

MOST_BYTES = 2**30  # of a dataset there; larger ones evaluations map from the cache themselves
MOST_DATASETS = 2  # kept there for each run


_Key: TypeAlias = tuple[str, int, Hashable]


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """Images that evaluations can have."""

    object_ref: Any = None
    """Ray's reference to them; None where they are too many for the object store, or there are none to load."""
    remarks: tuple[Remark, ...] = ()
    """What there is to be known of them since they were decoded."""


NOTHING: Future[Loaded] = Future()
NOTHING.set_result(Loaded())


class Shelf:
    """What was used last stays, as much as the runs that use it can want at once."""

    def __init__(self) -> None:
        self._runs = 0
        self._kept: OrderedDict[_Key, Future[Loaded]] = OrderedDict()
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def used(self) -> Iterator[None]:
        """By one more run."""
        with self._lock:
            self._runs += 1
        try:
            yield
        finally:
            with self._lock:
                self._runs -= 1
                self._trim()

    def load(self, dataset: str, resolution: int, contents: Hashable, roots: Roots | None) -> Future[Loaded]:
        """Returns at once; none is read from outside of `roots`. `contents` stands for what the dataset had when a run
        began with it: what is equal in all three is loaded once, and what could not be is tried again. The future
        raises DatasetError, and whatever else a dataset's plug-in does."""
        key = (dataset, resolution, contents)
        with self._lock:
            known = self._kept.get(key)
            if known is not None and not (known.done() and known.exception()):
                self._kept.move_to_end(key)
                return known
            loading = self._kept[key] = Future()
            self._kept.move_to_end(key)
            self._trim()

        def work() -> None:
            try:
                loading.set_result(self._shelved(key, load(dataset, resolution, roots)))
            except Exception as error:
                loading.set_exception(error)

        threading.Thread(target=work, name=f"loading {dataset}", daemon=True).start()
        return loading

    @property
    def kept(self) -> int:
        """Sets of images that are there."""
        return len(set(map(id, self._kept.values())))

    def clear(self) -> None:
        with self._lock:
            self._kept.clear()

    def _shelved(self, key: _Key, images: ImageSet) -> Loaded:
        """Images of a fixed size are the same ones whatever size was asked for."""
        dataset, _, contents = key
        own = (dataset, images.train_images.shape[-1], contents)
        with self._lock:
            same = self._kept.get(own)
            if same and same.done() and not same.exception():
                self._kept[key] = same
                return same.result()
        remarks = images.info.remarks
        parts = (images.train_images, images.test_images, images.validation_images)
        if sum(part.nbytes for part in parts if part is not None) > MOST_BYTES:
            return Loaded(remarks=remarks)
        loaded = Loaded(object_ref=ray.put(_shareable(images)), remarks=remarks)
        with self._lock:
            if key in self._kept:
                self._kept[own] = self._kept[key]
        return loaded

    def _trim(self) -> None:
        while self.kept > MOST_DATASETS * max(1, self._runs):
            self._kept.popitem(last=False)


def load(dataset: str, resolution: int, roots: Roots | None) -> ImageSet:
    return datasets.load(dataset, resolution, home.folder("datasets"), roots)


def _shareable(images: ImageSet) -> ImageSet:
    """Arrays of numpy's own class: of one mapped from a file every reader would get a copy."""
    own = images.validation_images
    return dataclasses.replace(
        images,
        train_images=np.asarray(images.train_images),
        test_images=np.asarray(images.test_images),
        validation_images=None if own is None else np.asarray(own),
    )
