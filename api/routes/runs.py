"""Routes that runs of every kind share: lists, wishes, trials, events."""

import functools
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Body, Path, Query, Response

from api import examples
from api.access import Asker
from api.answering import Answers
from api.bodies import JSONRoute, strictly
from api.history import Histories, History, Rows
from api.journal import audit
from api.problems import TAKES_BODY, WRITES, documented
from api.requests import Labelling
from api.views import benchmark, proxy
from api.views.benchmark import Benchmark
from api.views.growth import Growth
from api.views.proxy import Proxy
from api.views.queue import Queue, queue
from api.views.run import remaining_seconds
from api.views.search import Search
from api.views.trial import Scored, page
from nas import usage
from nas.disk import going
from nas.records import Event, Run, TrialState, Wish
from nas.specs import Kind
from nas.store import NotFound, Place, Store

AnyRun = Search | Growth | Benchmark | Proxy
PLURAL: dict[Kind, str] = {
    "search": "searches",
    "growth": "growths",
    "benchmark": "benchmarks",
    "proxy": "proxies",
}
WISHES: dict[str, Wish] = {"pause": "pause", "resume": "run", "stop": "stop", "cancel": "cancel"}
UNKNOWN = "there is no run 'f00f00f00f00'"
BUSY = "run 0a1b2c3d4e5f is running: pause or cancel it first, and wait until that has come about"

Verb = Annotated[
    Literal["pause", "resume", "stop", "cancel"],
    Path(
        description="pause: no new trials begin, running ones end, then it waits to be resumed. stop: the same, for "
        "good. cancel: running trials are killed, for good. Trials that have ended are kept in every case."
    ),
]
Id = Annotated[str, Path(description="the id that its creation answered with")]
Limit = Annotated[int, Query(ge=1, le=1000, description="entries on a page, at most")]
Before = Annotated[str | None, Query(description="the id that the page before ended with")]


@dataclass(frozen=True, kw_only=True)
class Page:
    """A page of a list."""

    next: str | None
    """The address of the page after this one; null: there is none."""


@dataclass(frozen=True, kw_only=True)
class Searches(Page):
    """A page of searches, newest first."""

    searches: tuple[Search, ...]
    """The searches of this page."""


@dataclass(frozen=True, kw_only=True)
class Growths(Page):
    """A page of growths, newest first."""

    growths: tuple[Growth, ...]
    """The growths of this page."""


@dataclass(frozen=True, kw_only=True)
class Benchmarks(Page):
    """A page of benchmarks, newest first."""

    benchmarks: tuple[Benchmark, ...]
    """The benchmarks of this page."""


@dataclass(frozen=True, kw_only=True)
class Proxies(Page):
    """A page of proxies, newest first."""

    proxies: tuple[Proxy, ...]
    """The proxies of this page."""


@dataclass(frozen=True, kw_only=True)
class Runs(Page):
    """A page of runs of every kind, newest first."""

    runs: tuple[AnyRun, ...]
    """The runs of this page."""


@dataclass(frozen=True, kw_only=True)
class Trials(Page):
    """A page of trials by number."""

    trials: tuple[Scored, ...]
    """The trials of this page."""


@dataclass(frozen=True, kw_only=True)
class Events:
    """What happened to a run."""

    events: tuple[Event, ...]
    """The events, oldest first; ask again with `after` = the last id for what came since."""


VIEWS: dict[Kind, tuple[type[AnyRun], Callable[..., Page]]] = {
    "search": (Search, Searches),
    "growth": (Growth, Growths),
    "benchmark": (Benchmark, Benchmarks),
    "proxy": (Proxy, Proxies),
}


def following(address: str, rows: list[Run], limit: int) -> str | None:
    """The address of the page after one that holds `rows`; None: there is nothing more."""
    return f"{address}?limit={limit}&before={rows[-1].id}" if len(rows) == limit else None


def run_of(store: Store, kind: Kind, run: str) -> Run:
    """The run, if it is of that kind. Raises NotFound."""
    row = store.run(run)
    if row.kind != kind:
        raise NotFound(f"run {run} is a {row.kind}", elsewhere=f"/v1/{PLURAL[row.kind]}/{run}")
    return row


def seen(history: History, run: Run, *, whole: bool = True) -> AnyRun:
    """The run as it is shown: `whole`, or as one of a list."""
    if run.kind == "search":
        return history.search(run)
    if run.kind == "growth":
        return history.growth(run)
    trials = history.trials(run.id)
    match run.kind:
        case "benchmark":
            return benchmark.view(run, trials, whole=whole)
        case "proxy":
            return proxy.view(run, trials, whole=whole)


@functools.cache
def common(kind: Kind) -> APIRouter:
    """The routes of /searches and its like that are the same for every kind."""
    plural, (view, listed) = PLURAL[kind], VIEWS[kind]
    router = APIRouter(prefix=f"/{plural}", tags=[plural])

    @router.get(
        "",
        operation_id=f"list_{plural}",
        summary=f"{plural.capitalize()}, newest first",
        response_model=listed,
        responses=documented(_404=UNKNOWN),
    )
    def list_(history: Histories, limit: Limit = 50, before: Before = None) -> Any:
        """Each with its counts and a forecast."""
        rows = history.store.runs(limit, before, kind)
        views = tuple(seen(history, run, whole=False) for run in rows)
        return listed(**{plural: views, "next": following(f"/v1/{plural}", rows, limit)})

    @router.get(
        "/{run}",
        operation_id=f"get_{kind}",
        summary=f"A {kind}",
        response_model=view,
        responses=documented(_404=UNKNOWN),
    )
    def get(run: Id, history: Histories) -> Any:
        """As submitted, with its state, its counts, a forecast, and what came of its trials so far."""
        return seen(history, run_of(history.store, kind, run))

    @router.post(
        "/{run}/{verb}",
        operation_id=f"wish_{kind}",
        summary=f"Pause, resume, stop or cancel a {kind}",
        response_model=view,
        responses=documented(**WRITES, _404=UNKNOWN, _409="run 0a1b2c3d4e5f is finished: it cannot pause any more"),
    )
    def wish(run: Id, verb: Verb, history: Histories, asker: Asker) -> Any:
        """Written down at once; the coordinator brings it about, within seconds where no trial has to end first."""
        row = run_of(history.store, kind, run)
        if WISHES[verb] == "run":
            usage.require(history.store, row.submitted_by)
        return seen(history, history.store.wish(run, WISHES[verb], asker))

    @router.delete(
        "/{run}",
        status_code=204,
        operation_id=f"delete_{kind}",
        summary=f"Delete a {kind}",
        responses=documented(**WRITES, _404=UNKNOWN, _409=BUSY),
    )
    def delete(run: Id, store: Rows, asker: Asker) -> None:
        """For good: its trials, its events, and its models with their weights and files. Refused while it is worked on,
        and while another run needs one of its models, or one is pinned."""
        run_of(store, kind, run)
        going.delete_run(store, run, asker)
        audit(f"{kind} {run} deleted", asker)

    @router.get(
        "/{run}/trials",
        operation_id=f"{kind}_trials",
        summary=f"Trials of a {kind}",
        response_model=Trials,
        responses=documented(_404=UNKNOWN),
    )
    def trials(
        run: Id,
        store: Rows,
        answer: Answers,
        after: Annotated[int, Query(ge=-1, description="the number that the page before ended with")] = -1,
        limit: Limit = 200,
        state: Annotated[TrialState | None, Query(description="only those in this state")] = None,
    ) -> Response:
        """With jobs, measurements and, while they run, progress."""
        run_of(store, kind, run)
        lines = store.lines(run, after, limit, state)
        only = f"&state={state}" if state else ""
        address = f"/v1/{plural}/{run}/trials?limit={limit}{only}&after="
        following = f"{address}{lines[-1].number}" if len(lines) == limit else None
        return answer.response(page(lines, following))

    @router.get(
        "/{run}/events",
        operation_id=f"{kind}_events",
        summary=f"What happened to a {kind}",
        responses=documented(_404=UNKNOWN),
    )
    def events(
        run: Id,
        store: Rows,
        after: Annotated[int, Query(ge=0, description="the id that the page before ended with")] = 0,
        limit: Limit = 200,
    ) -> Events:
        """Wishes, claims, downloads, failures and ends, in words, and whose doing it was."""
        run_of(store, kind, run)
        return Events(events=tuple(store.events(run, after=after, limit=limit)))

    return router


router = APIRouter(tags=["runs"], route_class=JSONRoute)


@router.get("/runs", summary="Runs of every kind, newest first", responses=documented(_404=UNKNOWN))
def list_runs(
    history: Histories,
    limit: Limit = 50,
    before: Before = None,
    archived: Annotated[bool | None, Query(description="only those that are put away, or only the others")] = None,
    tag: Annotated[str | None, Query(description="only those with this tag")] = None,
) -> Runs:
    """Each with its counts, its forecast and, of a search or a growth, its best candidate or family."""
    rows = history.store.runs(limit, before, archived=archived, tag=tag)
    only = {} if archived is None else {"archived": str(archived).lower()}
    only |= {} if tag is None else {"tag": tag}
    after = following("/v1/runs", rows, limit)
    after = f"{after}&{urlencode(only)}" if after and only else after
    return Runs(runs=tuple(seen(history, run, whole=False) for run in rows), next=after)


@router.get("/queue", summary="What runs, and what waits for what", responses=documented())
def get_queue(store: Rows) -> Queue:
    """With estimates, as far as enough has been seen of what runs."""
    runs, now = store.queue(), time.time()
    left = {run.id: remaining_seconds(run, store.summary(run.id), now) for run in runs if run.state == "running"}
    return queue(runs, left, store.waiting_trials())


@router.post(
    "/queue/{run}/{place}",
    operation_id="move_in_queue",
    summary="Let a run wait before or behind the others",
    responses=documented(
        **WRITES, _404=UNKNOWN, _409="run 0a1b2c3d4e5f is running: only runs that wait have places in the queue"
    ),
)
def move_in_queue(
    run: Id, place: Annotated[Place, Path(description="of those that wait")], store: Rows, asker: Asker
) -> Queue:
    """It becomes the first or the last of those that wait. Whoever has fewest runs under way is next all the same."""
    store.move(run, place, asker)
    return get_queue(store)


@router.get("/runs/{run}", summary="A run of any kind", responses=documented(_404=UNKNOWN))
def get_run(run: Id, history: Histories) -> AnyRun:
    """For whoever has an id and does not know of what."""
    return seen(history, history.store.run(run))


@router.patch(
    "/runs/{run}", summary="Rename, annotate, tag or archive a run", responses=documented(**TAKES_BODY, _404=UNKNOWN)
)
def write_label(
    run: Id,
    label: Annotated[Labelling, strictly(Labelling), Body(openapi_examples=examples.LABELS)],
    history: Histories,
    asker: Asker,
) -> AnyRun:
    """Of a run of any kind, whatever its state; what it was asked for stays as it was submitted."""
    return seen(history, history.store.write_label(run, asker, **label.given))
