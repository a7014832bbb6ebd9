"""What is shown of runs, remembered as long as nothing of it has changed: pages are polled."""

import functools
import threading
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import replace
from typing import Annotated, Any

from fastapi import Depends, Request

from api.access import Asker
from api.views import front, growth, search
from api.views.front import Ranked
from api.views.growth import Growth
from api.views.search import Standing
from nas import usage
from nas.garbage import uncollected
from nas.objective import Objective
from nas.outlines import OWN_ROLES, overturned
from nas.records import Run, Trial
from nas.specs import GrowthSpec, SearchSpec
from nas.store import Store

MOST_RUNS = 64


class History:
    """Of a search it reads the networks that lead, of another run the trials that may have changed; forgets the run
    that was asked for longest ago."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._settled: OrderedDict[str, tuple[Trial, ...]] = OrderedDict()
        self._stands: OrderedDict[str, tuple[Any, Standing]] = OrderedDict()
        self._lock = threading.Lock()

    def trials(self, run: str) -> tuple[Trial, ...]:
        """All trials of a run that is no search, by number; of a model whose weights were removed without its
        weights."""
        settled = self._settled.get(run, ())
        rows = (*settled, *self.store.trials(run, after=len(settled) - 1))
        count = next(
            (index for index, row in enumerate(rows) if row.number != index or row.state == "running"), len(rows)
        )
        self._keep(self._settled, run, rows[:count])
        return tuple(self._without_weights(run, rows))

    def search(self, run: Run) -> search.Search:
        """As it is shown."""
        summary, stands = self.store.summary(run.id), self.standing(run)
        counts, why = summary.counts, ""
        if stands.best is None and (counts["failed"] or counts["refused"]):
            last = self.store.last(run.id, "failed" if counts["failed"] > counts["refused"] else "refused")
            why = (last and (last.error or (last.measurement and last.measurement.refused))) or ""
        return search.view(run, summary, stands, why)

    def standing(self, run: Run) -> Standing:
        """What its own objective makes of it."""
        assert isinstance(run.spec, SearchSpec)
        names = ("number", "place", "reward", "rung", "role", "repeats", "state")
        rows = self.store.outlines(run.id, names, place=...)
        out = overturned(row[-3:] for row in rows)
        rows = [row[:-1] for row in rows if out.isdisjoint((row[0], row[-2]))]
        rungs = {rung for *_, rung, role, _ in rows if role in OWN_ROLES} - {None}
        highest = {number for number, _, _, rung, *_ in rows if rung == max(rungs, default=None)}
        rows = [row for row in rows if highest & {row[0], row[-1]}]
        leading = tuple(number for number, place, *_ in rows if place > 0)
        led = tuple(
            (number, abs(place), reward)
            for number, place, reward, _, role, repeats in rows
            if role in OWN_ROLES and repeats is None and reward is not None
        )
        before, stands = self._stands.get(run.id, (None, Standing()))
        # The best of those whose latencies are known well leads nothing where one does whose latency is not.
        done = self.store.summary(run.id).counts["done"] if stands.noisy else None
        state = leading, led, self.store.removed(run.id), done
        if before != state:
            stands = search.stand(run.spec, self.read(run.id, leading), led)
            if stands.noisy:
                own = self.ranked(run, run.spec.objective, run.spec.devices[0]).pareto
                stands = replace(stands, best=own.best)
            self._keep(self._stands, run.id, (state, stands))
        return stands

    def ranked(self, run: Run, objective: Objective, device: str, besides: Iterable[int] = ()) -> Ranked:
        """The front of a search by any objective, for latency on that one of its devices; `besides` names trials that
        are of interest though they may lie off it."""
        assert isinstance(run.spec, SearchSpec)
        with uncollected():
            names = front.named(objective)
            needed = dict.fromkeys((*names[len(front.OUTLINE) :], "accuracy"), ...)
            rows = self.store.outlines(run.id, names, **needed)
            trials, noisy = front.outlined(rows, objective, run.spec.devices.index(device))
            again = self.store.outlines(run.id, front.AGAIN, repeats=..., params=...)
            older = {"accuracy": ..., objective.metric: None} if objective.metric != "accuracy" else None
            unrecorded = len(self.store.outlines(run.id, ("number",), **older)) if older else 0
            read = functools.partial(self.read, run.id)
            return front.ranked(run, trials, again, objective, device, read, besides, noisy, unrecorded)

    def growth(self, run: Run) -> Growth:
        """A family beside the trial that its network is from, as far as that is still there."""
        assert isinstance(run.spec, GrowthSpec)
        search, number = run.spec.source or ("", 0)
        found = next(iter(self.store.these(search, (number,))), None)
        return growth.view(run, self.trials(run.id), found=found)

    def read(self, run: str, numbers: Iterable[int]) -> list[Trial]:
        """Those trials; of a model whose weights were removed without its weights."""
        return self._without_weights(run, self.store.these(run, numbers))

    def _without_weights(self, run: str, trials: Iterable[Trial]) -> list[Trial]:
        gone = self.store.removed(run)
        return [_without_weights(row) if row.number in gone else row for row in trials]

    def _keep(self, kept: OrderedDict[str, Any], run: str, what: Any) -> None:
        with self._lock:
            kept[run] = what
            kept.move_to_end(run)
            if len(kept) > MOST_RUNS:
                kept.popitem(last=False)


def _without_weights(trial: Trial) -> Trial:
    return replace(trial, measurement=trial.measurement and replace(trial.measurement, weights=None))


def _history(request: Request) -> History:
    history: History = request.app.state.history
    return history


def _store(request: Request) -> Store:
    return _history(request).store


Histories = Annotated[History, Depends(_history)]
Rows = Annotated[Store, Depends(_store)]


def _submitter(store: Rows, asker: Asker) -> str | None:
    usage.require(store, asker)
    return asker


# Who asks for something that takes time and room; whoever has used up a quota is told so.
Submitter = Annotated[str | None, Depends(_submitter)]
