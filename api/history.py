"""The trials of runs, each read from the store once it has ended and remembered: a trial ends once."""

import threading
from collections import OrderedDict
from typing import Annotated

from fastapi import Depends, Request

from nas.records import Trial
from nas.store import Store

MOST_RUNS = 64


class History:
    """Pages that are polled read only what may have changed; forgets the run that was asked for longest ago."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._settled: OrderedDict[str, tuple[Trial, ...]] = OrderedDict()
        self._lock = threading.Lock()

    def trials(self, run: str) -> tuple[Trial, ...]:
        """All trials of the run, by number."""
        settled = self._settled.get(run, ())
        rows = (*settled, *self.store.trials(run, after=len(settled) - 1))
        count = next(
            (index for index, row in enumerate(rows) if row.number != index or row.state == "running"), len(rows)
        )
        with self._lock:
            self._settled[run] = rows[:count]
            self._settled.move_to_end(run)
            if len(self._settled) > MOST_RUNS:
                self._settled.popitem(last=False)
        return rows


def _history(request: Request) -> History:
    history: History = request.app.state.history
    return history


def _store(request: Request) -> Store:
    return _history(request).store


Histories = Annotated[History, Depends(_history)]
Rows = Annotated[Store, Depends(_store)]
