"""Runs and models go: first their rows, in one transaction, then the files that nothing needs any more.

Whoever is killed between the two leaves files that no row names; the next pruning takes those.
"""

import logging
import secrets
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from nas import home
from nas.models.checkpoint import artifact
from nas.models.manifest import PACKINGS
from nas.records import Model
from nas.store import Store

log = logging.getLogger(__name__)


def delete_run(store: Store, run: str, by: str | None = None) -> None:
    """Raises NotFound, and Conflict where it is worked on or needed."""
    checkpoints = store.removals.delete_run(run, by)
    needed = store.removals.needed()  # by a run that was added since
    remove(path for sha256 in checkpoints if sha256 not in needed for path in of_checkpoint(sha256))
    remove(of_run(run))


def delete_model(store: Store, model: str, by: str | None = None) -> Model:
    """Its weights go; what was measured of it stays. Raises NotFound, and Conflict where it is needed."""
    gone = store.removals.delete_model(model, by)
    remove_unneeded(store, [gone])
    return gone


def prune(store: Store, reasons: Mapping[str, str], by: str | None = None) -> list[Model]:
    """The weights of those models go, each for its reason, but for what is needed or pinned. Gives those that went."""
    gone = store.removals.prune(reasons, by)
    remove_unneeded(store, gone)
    return gone


def remove_unneeded(store: Store, models: Iterable[Model]) -> None:
    """The files of models whose weights went, unless others have the same."""
    needed = store.removals.needed()
    remove(path for model in models if model.sha256 not in needed for path in of_checkpoint(model.sha256))


def of_checkpoint(sha256: str) -> list[Path]:
    """Where a checkpoint and what was made of it may lie."""
    archive = home.folder("archives") / sha256
    packed = [archive.with_suffix(f".{packing}{ending}") for packing in PACKINGS for ending in ("", ".sha256")]
    return [artifact(sha256), archive, *packed]


def of_run(run: str) -> list[Path]:
    """The unfinished trainings of a run, and what processes killed while they wrote left beside them."""
    return list(home.folder("resume").glob(f"*{run}-*"))


def remove(paths: Iterable[Path]) -> None:
    """What is there of files and folders; what cannot be removed is left to the next pruning."""
    for path in paths:
        try:
            erase(path)
        except OSError as error:
            log.warning("%s stays until the next nas prune: %s", path, error)


def erase(path: Path) -> None:
    """A file or folder that may be there. Raises OSError."""
    if path.is_dir():
        gone = path.with_name(f".{path.name}.{secrets.token_hex(4)}")  # at once, however long its files take
        path.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
