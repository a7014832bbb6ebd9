"""What a long search costs the service: `python -m bench.searches --trials 10000 100000`, a few minutes.

A SQLite database has a search of so many ended trials. The service answers in this process, without a network, and a
new plan takes the search up. Times are processor seconds of the process, whatever else the machine does, the best of
some rounds; memory is what the process grew by. There is no peer: nobody else's service shows the same.
"""

import argparse
import asyncio
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx

from api.app import create_app
from api.edge import Edge
from bench._long import IMAGES, jobs, long, measured
from bench._rows import row
from nas.plans import plan_for
from nas.store import Store
from workers.drive import ended, replay

ROUNDS = 5
REQUESTS: dict[str, tuple[str, float | None]] = {  # of the service, with the milliseconds that are wanted
    "the page of a search": ("/v1/searches/{run}", 20),
    "its front": ("/v1/searches/{run}/pareto", 200),
    "its front by another cost": ("/v1/searches/{run}/pareto?cost=params&target=100000", 200),
    "a page of 200 trials": ("/v1/searches/{run}/trials", 10),
    "its last page": ("/v1/searches/{run}/trials?after={last}", 10),
    "a page of failed trials": ("/v1/searches/{run}/trials?state=failed", 10),
    "10,000 trials as columns": ("/v1/searches/{run}/columns?limit=10000", None),
    "what ended since": ("/v1/searches/{run}/columns?after={last}", 10),
    "the list of runs": ("/v1/runs", 20),
}
RESUMED = {1000: 0.2, 10_000: 1.0, 100_000: 10.0}  # seconds that are wanted
MOST_MB = 300.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--folder", type=Path, help="keep the databases there, and use those that are there")
    parser.add_argument("--part", choices=("requests", "resume"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.part:
        (count,) = asked.trials
        (requests if asked.part == "requests" else resume)(Store(_url(asked.folder, count)), count)
        return
    with tempfile.TemporaryDirectory() as folder:
        where = asked.folder or Path(folder)
        for count in asked.trials:
            if not (where / f"{count}.db").exists():
                long(Store(_url(where, count)), count)
            for part in ("requests", "resume"):  # each in a process of its own, for its memory
                command = [sys.executable, "-m", "bench.searches", "--folder", str(where), "--trials", str(count)]
                subprocess.run([*command, "--part", part], check=True)


def _url(folder: Path, count: int) -> str:
    return f"sqlite:///{folder}/{count}.db"


def requests(store: Store, count: int) -> None:
    (run,) = store.runs()
    asyncio.run(_requests(store, run.id, count))
    claimed, times = store.claims.claim("bench", 1e6), []
    assert claimed is not None
    already = sum(store.summary(run.id).counts.values())
    new = (job for job in jobs(run.id) if job.number >= already)
    for job, _ in zip(new, range(ROUNDS)):
        begun = time.process_time()
        store.claims.begin("bench", job)
        store.claims.end("bench", job.number, run.id, "done", measured(job, random.Random(0)), compute_seconds=1.0)
        times.append(1000 * (time.process_time() - begun))
    store.claims.release(run.id, "bench", "paused")
    _row(f"a trial begun and ended after {count:,} others", min(times), "ms")


async def _requests(store: Store, run: str, count: int) -> None:
    transport = httpx.ASGITransport(create_app(store, Edge(login=False)))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost", timeout=600) as service:
        await service.get("/v1/runs/x")  # what is done once is done
        before = _megabytes()
        for what, (path, most) in REQUESTS.items():
            times = []
            for _ in range(ROUNDS):
                begun = time.process_time()
                (await service.get(path.format(run=run, last=max(0, count - 201)))).raise_for_status()
                times.append(1000 * (time.process_time() - begun))
            if what == "the page of a search":
                _row(f"{what}, of {count:,} trials, the first time", times[0], "ms")
            _row(f"{what}, of {count:,} trials", min(times), "ms", most)
        _row(f"memory for all of these, of {count:,} trials", _megabytes() - before, "MB")


def resume(store: Store, count: int) -> None:
    (run,) = store.runs()
    plan = plan_for(run, IMAGES)  # everything is imported
    before, begun = _megabytes(), time.process_time()
    replay(plan, ended(store, run.id), ())
    took, grown = time.process_time() - begun, _megabytes() - before
    _row(f"a search of {count:,} trials taken up again", took, "s", RESUMED.get(count))
    _row(f"memory for a search of {count:,} trials taken up again", grown, "MB", MOST_MB)


def _row(claim: str, value: float, unit: str, most: float | None = None) -> None:
    holds = None if most is None else value <= most
    row(claim, value, unit, target=None if most is None else f"at most {most:g} {unit}", holds=holds)


def _megabytes() -> float:
    """Of this process, resident."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


if __name__ == "__main__":
    main()
