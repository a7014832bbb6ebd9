"""Archives of models, made when somebody asks for one: a model at a time, in a process of its own, which may import
torch. They are kept in the home until others need the room.
"""

import hashlib
import logging
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Literal

from fastapi import Depends, Request

from api.problems import Problem
from nas import exporters, extras, home, settings
from nas.models import manifest
from nas.models.checkpoint import artifact
from nas.models.manifest import BadArchive, File, Manifest, Packing
from nas.models.unfinished import sweep
from nas.refusal import shortened

State = Literal["absent", "building", "built", "failed"]
LONGEST_SECONDS = 3600  # for which one is built: large networks are scored on many images
MOST_WAITING = 100
LONGEST = 500  # characters of a reason

log = logging.getLogger("api")


class Archives:
    """Those of this service's models. What is being built is known to this process alone; two that build the same one
    do no harm, as it appears whole."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._packing = threading.Lock()
        self._waiting: queue.Queue[str] = queue.Queue()
        self._pending: set[str] = set()
        self._failed: dict[str, str] = {}
        self._builder: threading.Thread | None = None

    def state(self, checkpoint: str) -> tuple[State, str | None]:
        """Where the archive of the checkpoint with that SHA-256 is, and why there is none if it could not be built."""
        with self._lock:
            if checkpoint in self._pending:
                return "building", None
            if self.manifest(checkpoint):
                return "built", None
            reason = self._failed.get(checkpoint)
            return ("failed", reason) if reason else ("absent", None)

    def manifest(self, checkpoint: str) -> Manifest | None:
        with suppress(OSError, BadArchive):
            return manifest.read(folder(checkpoint))
        return None

    def begin(self, checkpoint: str) -> None:
        """Build it, unless it is there or being built. One of which a file was not offered, or its accuracy not
        checked, for a reason that may hold no longer, is built anew. Raises Problem where this machine cannot."""
        if reason := extras.missing("making a model's files", "workers", "torch", "numpy", "safetensors"):
            raise Problem(503, f"{reason} where the service runs; its checkpoint can be downloaded all the same")
        with self._lock:
            there = self.manifest(checkpoint)
            if checkpoint in self._pending or (there and _complete(there)):
                return
            if len(self._pending) >= MOST_WAITING:
                raise Problem(503, f"{MOST_WAITING} models wait for their files already: try again later")
            self._pending.add(checkpoint)
            self._waiting.put(checkpoint)
            if self._builder is None or not self._builder.is_alive():
                self._builder = threading.Thread(target=self._build, daemon=True)
                self._builder.start()

    def packed(self, checkpoint: str, packing: Packing) -> tuple[Path, str]:
        """The archive as one file, and its SHA-256."""
        path, known = (
            folder(checkpoint).with_suffix(f".{packing}"),
            folder(checkpoint).with_suffix(f".{packing}.sha256"),
        )
        with self._packing:
            with suppress(OSError):
                if path.stat().st_size:
                    return path, known.read_text().strip()
            beside = path.with_name(f".{path.name}.{os.getpid()}")
            try:
                with open(beside, "w+b") as file:
                    manifest.packed(folder(checkpoint), packing, file)
                    file.seek(0)
                    digest = hashlib.file_digest(file, "sha256").hexdigest()
                known.write_text(digest)
                beside.replace(path)
            finally:
                beside.unlink(missing_ok=True)
        return path, digest

    def _build(self) -> None:
        """Until nothing waits."""
        while True:
            try:
                checkpoint = self._waiting.get(timeout=1)
            except queue.Empty:
                with self._lock:
                    if self._waiting.empty():
                        self._builder = None
                        return
                continue
            reason: str | None = "the service had an error of its own, which its log has"
            try:
                reason = _built(checkpoint)
            except Exception:
                log.exception("the files of checkpoint %s could not be made", checkpoint)
            with self._lock:
                self._failed.pop(checkpoint, None)
                if reason:
                    self._failed[checkpoint] = reason
                self._pending.discard(checkpoint)


def _complete(whole: Manifest) -> bool:
    """Whether there is a file of every exporter that is to be had here, and its accuracy was checked."""
    if any(way.score and way.score.unchecked for way in whole.ways):
        return False
    refused = {way.exporter: way.refused for way in whole.ways}
    return all(name in refused and refused[name] in (None, exporters.missing(name)) for name in exporters.names())


def folder(checkpoint: str) -> Path:
    """Where the archive of that checkpoint is kept."""
    return home.folder("archives") / checkpoint


def used(checkpoint: str) -> None:
    """Of those that are kept it is the one that is thrown away last."""
    with suppress(OSError):
        os.utime(folder(checkpoint))


def listed(whole: Manifest, name: str) -> File:
    """The file of that name. Raises Problem."""
    for file in whole.files:
        if file.name == name:
            return file
    raise Problem(404, f"there is no file {shortened(name, 100)!r} in the archive: there are {_names(whole)}")


def _names(whole: Manifest) -> str:
    return ", ".join(file.name for file in whole.files)


def _built(checkpoint: str) -> str | None:
    """Build the archive; why that did not work, None where it did."""
    _make_room(keep=checkpoint)
    for packing in ("zip", "tar"):
        folder(checkpoint).with_suffix(f".{packing}").unlink(missing_ok=True)
    command = [sys.executable, "-m", "nas.models.archive", str(artifact(checkpoint)), str(folder(checkpoint))]
    with subprocess.Popen(
        [*command, "--bounded"],
        env=settings.environment(OMP_NUM_THREADS="1"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as process:
        try:
            _, said = process.communicate(timeout=LONGEST_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return f"it took over {LONGEST_SECONDS} seconds"
    _make_room(keep=checkpoint)
    if process.returncode == 0:
        return None
    log.warning("the files of checkpoint %s could not be made: %s", checkpoint, said.strip()[-10 * LONGEST :])
    last = said.strip().rpartition("\n")[2] or f"its process ended with code {process.returncode}"
    return shortened(last, LONGEST)


def _make_room(keep: str) -> None:
    """Throw away what builds that were killed have left, then what was used longest ago, until what is kept is within
    its bounds."""
    sweep(home.folder("archives"))
    most = settings.MOST_ARCHIVED.number
    sizes = {path: _bytes(path) for path in home.folder("archives").iterdir() if path.is_dir() and path.name[0] != "."}
    for path in sorted(sizes, key=lambda path: path.stat().st_mtime):
        if sum(sizes.values()) <= most:
            return
        if path.name != keep:
            for packing in ("zip", "tar"):
                path.with_suffix(f".{packing}").unlink(missing_ok=True)
            shutil.rmtree(path, ignore_errors=True)
            sizes[path] = 0


def _bytes(path: Path) -> int:
    files = [*path.iterdir(), *(path.with_suffix(f".{packing}") for packing in ("zip", "tar"))]
    return sum(file.stat().st_size for file in files if file.exists())


def _archives(request: Request) -> Archives:
    archives: Archives = request.app.state.archives
    return archives


Kept = Annotated[Archives, Depends(_archives)]
