"""What goes because nobody has used it for long, and what is left of what went: found first, then removed.

Nothing that a live process of this machine holds goes, nor what `nas.retention` keeps: families, what RUN@best and
RUN@latest name, what is pinned or another run needs.
"""

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, TypeAlias

from nas import home, ray_folder, retention
from nas.disk import going
from nas.disk.holdings import SHA256, Holding, Kind, holdings, sized
from nas.disk.open_files import held
from nas.records import ENDED, Model, Run
from nas.refusal import Refusal
from nas.store import Store
from nas.uploads import Missing, receiving
from nas.uploads.receiving import Busy

DAY_SECONDS = 24 * 3600.0
NEW_SECONDS = 3600.0  # for which a file may be there before the row that needs it is
RUN = re.compile("[0-9a-f]{12}")
UNNEEDED = "nothing needs it any more"


@dataclass(frozen=True, kw_only=True)
class PruneRequest:
    """What is to be pruned."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    older_than_days: float = 30.0
    """Days for which nobody has used what goes. What is left of runs, models and processes that are gone goes at any
    age."""
    dry_run: bool = False
    """Whether it is only said what would go."""

    def __post_init__(self) -> None:
        if not 0 <= self.older_than_days <= 100_000:
            detail = f"older_than_days {self.older_than_days:g} is not between 0 and 100,000"
            raise Refusal(detail, field="older_than_days")


@dataclass(frozen=True, kw_only=True)
class Gone:
    """Something that was pruned, or would be."""

    LIKE: ClassVar[tuple[type, ...]] = (Holding,)

    kind: Kind
    name: str
    run: str | None
    bytes: int
    reason: str
    """Why it goes."""


@dataclass(frozen=True, kw_only=True)
class Pruned:
    """What was pruned, or would be."""

    dry_run: bool
    """Whether nothing was removed."""
    bytes: int
    """Bytes of all of it together."""
    gone: tuple[Gone, ...]
    """Each thing that went, or would go; the largest first."""


def prune(store: Store, request: PruneRequest, by: str | None = None) -> Pruned:
    """Remove what may go, models by their rows first. What cannot be removed is left for the next time."""
    now = time.time()
    before = now - DAY_SECONDS * request.older_than_days
    models = dict.fromkeys(_spare(store, before), f"older than {request.older_than_days:g} days")
    found = [*_files(store, models, before, now), *_parcels(store, now)]
    if not request.dry_run:
        gone = {model.id for model in going.prune(store, models, by)}
        needed = store.removals.needed()
        found = [
            (each, reason)
            for each, reason in found
            if (each.name in gone if each.name in models else _as_found(each, reason, needed) and _removed(store, each))
        ]
    found.sort(key=lambda pair: -pair[0].bytes)
    return Pruned(
        dry_run=request.dry_run,
        bytes=sum(each.bytes for each, _ in found),
        gone=tuple(
            Gone(kind=each.kind, name=each.name, run=each.run, bytes=each.bytes, reason=reason)
            for each, reason in found
        ),
    )


Found: TypeAlias = tuple[Holding, str]
"""What may go, and why."""


def _files(store: Store, models: Mapping[str, str], before: float, now: float) -> Iterator[Found]:
    there, busy, needed = holdings(store), _busy(), store.removals.needed()
    runs = {each.run: _run(store, each.run) for each in there if each.kind == "unfinished trainings"}
    leftovers = {one.name for one in receiving.forgotten()} | {path.name for path in receiving.left_behind()}
    for each in there:
        path = each.path
        if path is None or path.is_symlink() or path.resolve() in busy or path.suffix == ".lock":
            continue
        old, new = each.used_at < before, now - each.used_at < NEW_SECONDS
        age = f"not used for {(now - before) / DAY_SECONDS:g} days" if old else None
        sha256 = SHA256.fullmatch(path.name)
        unneeded = sha256 is not None and sha256[1] not in needed and (each.run is not None or not new)
        reason: str | None = None
        match each.kind:
            case "checkpoints":
                killed = path.name.startswith(".") and not new
                reason = models.get(each.name) or (UNNEEDED if unneeded or killed else None)
            case "archives":
                reason = models.get(each.name) or (UNNEEDED if unneeded else age)
            case "unfinished trainings":
                reason = _over(each.run, runs[each.run], new, age)
            case "uploads":
                reason = "nobody went on with it for a day" if path.name in leftovers and not new else None
            case "Ray":
                reason = "its processes have ended" if ray_folder.left_behind(path) else None
            case "datasets" | "downloads" | "reports":
                reason = age
        if reason:
            yield each, reason


def _parcels(store: Store, now: float) -> Iterator[Found]:
    sizes = store.agents.parcels(forgotten=True)
    if sizes:
        name = f"{len(sizes)} parcels"
        yield Holding(kind="parcels", name=name, bytes=sum(sizes), used_at=now), "nobody asks for them any more"


def _busy() -> frozenset[Path]:
    whole = home.home()
    return held({whole, *(path.resolve() for path in whole.iterdir() if path.is_dir())})


def _spare(store: Store, before: float) -> list[str]:
    """The ids of models that may go by themselves and are older."""
    by_run: dict[str, list[Model]] = {}
    for model in store.models():
        by_run.setdefault(model.run, []).append(model)
    spare: list[Model] = []
    for run_id, its in by_run.items():
        run = _run(store, run_id)  # None: it was deleted meanwhile
        if run and its[-1].created_at < before and run.state in ENDED:
            spare += retention.spare(run, store.trials(run_id), its)
    needed = store.removals.needed(but_models=True)
    return [model.id for model in spare if model.created_at < before and model.sha256 not in needed]


def _run(store: Store, run: str | None) -> Run | None:
    with suppress(LookupError):
        return store.run(run) if run else None
    return None


def _over(name: str | None, run: Run | None, new: bool, age: str | None) -> str | None:
    """Why the unfinished training of a run goes, if it does; that of a run that may be worked on never does."""
    if run is None:
        return "its run is gone" if not new and name and RUN.fullmatch(name) else age
    if run.state in ENDED:
        return None if new else "its run has ended"
    return age if run.state == "paused" else None


def _as_found(each: Holding, reason: str, needed: frozenset[str]) -> bool:
    """Whether nobody has used it since it was found, or named it in a row."""
    if each.path is None:
        return True
    sha256 = SHA256.fullmatch(each.path.name)
    whole = reason == UNNEEDED and not each.path.name.startswith(".")
    named = whole and sha256 is not None and sha256[1] in needed
    return not named and sized(each.path)[1] <= each.used_at


def _removed(store: Store, each: Holding) -> bool:
    """Whether it is gone, then."""
    with suppress(OSError, Busy, Missing):
        if each.path is None:
            store.agents.forget()
        elif each.kind == "Ray":
            ray_folder.clear(each.path)
        elif each.kind == "uploads" and not each.name.startswith("."):
            receiving.remove(each.name)
        else:
            going.erase(each.path)
        return True
    return False
