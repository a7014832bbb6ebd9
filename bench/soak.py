"""A service that works for long stays as it is: `python -m bench.soak --trials 2000 --requests 10000`.

In `nas serve` on PostgreSQL a search of so many short trials runs, while clients read pages of it and somebody else
holds a transaction open, so that the database cannot tidy up behind it. A quarter of the way the service is warm: what
its processes hold from there on, of memory, of handles and of the disk, is compared with what they hold in the end, and
so is how long requests take. What trials are stored as takes room by right, and is told for each.
"""

import argparse
import os
import resource
import statistics
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psycopg

from bench._living import Living, living
from bench._rows import row
from bench.killing import pictures
from nas.disk.holdings import sized
from nas.records import ENDED
from nas.store import Store

WATCHED = ("API", "coordinator", "raylet", "Ray's head")
CLIENTS = 4
LOOK_SECONDS = 2.0
FLAT = 0.1  # of what it was, by which it may have grown
PATHS = (
    "/v1/runs",
    "/v1/searches/{run}",
    "/v1/searches/{run}/trials?after={after}",
    "/v1/searches/{run}/columns?after={after}",
    "/v1/searches/{run}/pareto",
    "/v1/searches/{run}/events",
    "/v1/usage",
    "/v1/queue",
)


@dataclass(frozen=True)
class Look:
    """What the service held when so many trials had ended."""

    trials: int
    megabytes: dict[str, float]
    handles: dict[str, float]
    files_mb: float  # in its home and its temporary folder
    database_mb: float


@dataclass
class Readers:
    """Clients who read as evenly as trials end, until all requests are answered."""

    url: str
    run: str
    requests: int
    progress: float = 0.0  # of the search
    milliseconds: list[float] = field(default_factory=list)
    failed: Counter[int] = field(default_factory=Counter)

    def begin(self) -> list[threading.Thread]:
        threads = [threading.Thread(target=self._read, args=(client,), daemon=True) for client in range(CLIENTS)]
        for thread in threads:
            thread.start()
        return threads

    def _read(self, client: int) -> None:
        with httpx.Client(base_url=self.url, timeout=120) as http:
            for number in range(client, self.requests, CLIENTS):
                while number > self.progress * self.requests:
                    time.sleep(0.01)
                path = PATHS[number % len(PATHS)].format(run=self.run, after=number // 10)
                begun = time.monotonic()
                status = http.get(path).status_code
                self.milliseconds.append(1000 * (time.monotonic() - begun))
                if status >= 400:
                    self.failed[status] += 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--requests", type=int, default=10_000)
    asked = parser.parse_args()
    with living(postgresql=True) as service:
        pictures(service.folder / "images")
        store = Store(service.database)
        readers = Readers(service.url, submitted(service, asked.trials), asked.requests)
        with psycopg.connect(service.database) as idle:
            idle.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            idle.execute("SELECT count(*) FROM run")  # from here on it sees what there was now
            begun, threads = time.monotonic(), readers.begin()
            looks = list(watched(service, store, readers, asked.trials))
            for thread in threads:
                thread.join()
            idle.rollback()
        state, counts = store.run(readers.run).state, store.summary(readers.run).counts
        report(readers, looks, time.monotonic() - begun, state == "finished" and counts["done"] == asked.trials)
        store.close()


def submitted(service: Living, trials: int) -> str:
    """A search of so many: one epoch of a batch of tiny pictures each."""
    spec = {
        "dataset": f"folder:{service.folder}/images",
        "space": "hasty",
        "knobs": {f"stage{stage}.repeats": [1] for stage in (1, 2, 3)},
        "searcher": "random",
        "objective": {"target": 1e6},
        "devices": ["cpu_eager"],
        "recipe": {"epochs": 1, "batch": 96, "folds": 1},
        "trials": trials,
        "parallel": 2,
    }
    return str(service.ask("POST", "/v1/searches", json=spec).json()["id"])


def watched(service: Living, store: Store, readers: Readers, trials: int) -> Iterator[Look]:
    """A look every other second, until the search has ended."""
    while True:
        over = store.run(readers.run).state in ENDED
        ended = sum(tally.trials for tally in store.summary(readers.run).ended)
        found = {kind: service.found(kind) for kind in WATCHED}
        yield Look(
            ended,
            {kind: sum(map(_megabytes, its)) for kind, its in found.items()},
            {kind: sum(map(_handles, its)) for kind, its in found.items()},
            sum(sized(path)[0] for path in (service.home, service.temporary)) / 1e6,
            _database_mb(service.database),
        )
        readers.progress = 1.0 if over else ended / trials
        print(f"{ended:,} of {trials:,} trials", file=sys.stderr, flush=True)
        if over:
            return
        time.sleep(LOOK_SECONDS)


def report(readers: Readers, looks: Sequence[Look], seconds: float, whole: bool) -> None:
    last = looks[-1]
    warm = next(look for look in looks if 4 * look.trials >= last.trials)
    what = f"{last.trials:,} trials and {len(readers.milliseconds):,} requests"
    row(f"{what}, all done", seconds / last.trials, "s a trial", target="none lost", holds=whole)
    row(f"{what}: requests that failed", readers.failed.total(), "requests", target="0", holds=not readers.failed)
    for kind in WATCHED:
        _flat(f"memory of {kind}", [look.megabytes[kind] for look in looks], looks, warm, "MB")
        _flat(f"handles of {kind}", [look.handles[kind] for look in looks], looks, warm, "handles")
    _flat("files", [look.files_mb for look in looks], looks, warm, "MB")
    trials = max(1, last.trials - warm.trials)
    row("of the database a trial takes", 1000 * (last.database_mb - warm.database_mb) / trials, "kB")
    part = len(readers.milliseconds) // 4
    for name, some in (("first", readers.milliseconds[:part]), ("last", readers.milliseconds[-part:])):
        row(f"of the {name} quarter of the requests 99 % take at most", statistics.quantiles(some, n=100)[98], "ms")


def _flat(what: str, values: Sequence[float], looks: Sequence[Look], warm: Look, unit: str) -> None:
    """By medians over a tenth of the looks each."""
    after = values[looks.index(warm) :]
    tenth = max(1, len(after) // 10)
    begin, end = statistics.median(after[:tenth]), statistics.median(after[-tenth:])
    claim = f"{what} in the end, where after a quarter there were {begin:,.4g} {unit}"
    row(claim, end, unit, target=f"at most {1 + FLAT:g} times as much", holds=end <= (1 + FLAT) * begin)


def _megabytes(process: int) -> float:
    with suppress(OSError):  # it has ended
        pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
        return pages * resource.getpagesize() / 1e6
    return 0.0


def _handles(process: int) -> float:
    with suppress(OSError):
        return float(len(os.listdir(f"/proc/{process}/fd")))
    return 0.0


def _database_mb(url: str) -> float:
    with psycopg.connect(url) as connection:
        size = connection.execute("SELECT pg_database_size(current_database())").fetchone()
    return size[0] / 1e6 if size else 0.0


if __name__ == "__main__":
    main()
