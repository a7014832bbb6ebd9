"""The service's disk: what lies on it, who holds it, and what goes."""

import shutil
from collections import defaultdict
from dataclasses import dataclass
from typing import Annotated, ClassVar

from fastapi import APIRouter, Body

from api import examples
from api.access import Asker
from api.bodies import JSONRoute, strictly
from api.history import Rows
from api.journal import audit
from api.problems import TAKES_BODY, documented
from nas import home
from nas.disk import pruning
from nas.disk.holdings import KINDS, Holding, Kind, holdings
from nas.disk.pruning import Pruned, PruneRequest
from nas.specs import Kind as RunKind
from nas.store import NotFound, Store

MOST_RUNS = 50

router = APIRouter(tags=["disk"], route_class=JSONRoute)


@dataclass(frozen=True, kw_only=True)
class OfKind:
    """What things of one kind take of the disk."""

    LIKE: ClassVar[tuple[type, ...]] = (Holding,)

    kind: Kind
    things: int
    """How many there are."""
    bytes: int
    """What they take together."""


@dataclass(frozen=True, kw_only=True)
class OfRun:
    """What a run holds of the disk."""

    run: str
    """The id of the run."""
    name: str | None
    """What it was called; null: it was deleted, or is none of the service's."""
    kind: RunKind | None
    """What kind of run it is; null likewise."""
    things: int
    """How many things it holds: checkpoints, archives and unfinished trainings."""
    bytes: int
    """What they take together."""


@dataclass(frozen=True, kw_only=True)
class Disk:
    """What lies on the service's disk."""

    bytes: int
    """What all of it takes."""
    free: int
    """Bytes that are free on the disk of the service's home."""
    kinds: tuple[OfKind, ...]
    """By kind, the largest first."""
    runs: tuple[OfRun, ...]
    """By run, the largest first, 50 at most."""


@router.get("/disk", summary="Who holds the disk", responses=documented())
def get_disk(store: Rows) -> Disk:
    """All below the service's home, Ray's folders on its machine, and the parcels of agents in the database."""
    there = holdings(store)
    by_kind, by_run = defaultdict[Kind, list[int]](list), defaultdict[str, list[int]](list)
    for each in there:
        by_kind[each.kind].append(each.bytes)
        if each.run is not None:
            by_run[each.run].append(each.bytes)
    kinds = (OfKind(kind=kind, things=len(by_kind[kind]), bytes=sum(by_kind[kind])) for kind in KINDS if by_kind[kind])
    largest = sorted(by_run.items(), key=lambda item: -sum(item[1]))[:MOST_RUNS]
    return Disk(
        bytes=sum(each.bytes for each in there),
        free=shutil.disk_usage(home.home()).free,
        kinds=tuple(sorted(kinds, key=lambda each: -each.bytes)),
        runs=tuple(_of_run(store, run, sizes) for run, sizes in largest),
    )


@router.post("/prune", summary="Remove what nobody needs", responses=documented(**TAKES_BODY))
def prune(
    wanted: Annotated[PruneRequest, strictly(PruneRequest), Body(openapi_examples=examples.PRUNINGS)],
    store: Rows,
    asker: Asker,
) -> Pruned:
    """Models of searches, unfinished trainings, caches and archives that nobody has used for so long, and at any age
    what is left of runs, models and processes that are gone. Never what a run, a family or a name as RUN@best needs,
    what is pinned, uploads that are whole, or a file that a process holds."""
    pruned = pruning.prune(store, wanted, asker)
    if not wanted.dry_run:
        audit(f"{len(pruned.gone)} things of {pruned.bytes:,} bytes pruned", asker)
    return pruned


def _of_run(store: Store, run: str, sizes: list[int]) -> OfRun:
    try:
        row = store.run(run)
    except NotFound:
        name, kind = None, None
    else:
        name, kind = row.name or row.id, row.kind
    return OfRun(run=run, name=name, kind=kind, things=len(sizes), bytes=sum(sizes))
