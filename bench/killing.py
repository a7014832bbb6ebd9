"""Whatever is killed, nothing that ended is lost: `python -m bench.killing --rounds 20`, a minute or so a round.

A real search of tiny networks runs in `nas serve`, on SQLite and on PostgreSQL. At random moments API, coordinator, a
process that evaluates, a raylet, Ray's head and PostgreSQL are killed (SIGKILL). The API and PostgreSQL are started
again as an operator's supervisor would; the others come back by themselves. Then it is looked whether

- every trial is there once, numbered from 0 on, and as many as were asked for; all were done, in some order 1, 2, 3, …
- what was seen to have ended is what it was then;
- with one trial at a time the networks and their accuracies are those of a search that nobody disturbed;
- no file is half, or lies where only unfinished trainings do, and models have their weights;
- in the end no process and no temporary folder is left.
"""

import argparse
import hashlib
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image

from bench._living import PATIENCE_SECONDS, Living, living
from bench._rows import row
from nas.records import ENDED, Trial
from nas.store import Store, StoreError

Read = TypeVar("Read")

KILLS = 3  # in a round, at most
TRIALS = 6
LONGEST_SECONDS = 6.0  # before the next kill
HEAD_SECONDS = 30.0  # in which another head of Ray is wanted


@dataclass
class Tally:
    """What came of all rounds on one kind of database."""

    rounds: int = 0
    trials: int = 0
    hits: Counter[str] = field(default_factory=Counter)
    heads: list[float] = field(default_factory=list)  # seconds without a head of Ray
    faults: list[str] = field(default_factory=list)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20, help="on each kind of database")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=("SQLite", "PostgreSQL"))
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    for name in ("SQLite", "PostgreSQL"):
        if asked.only in (None, name):
            tally = Tally()
            try:
                with living(postgresql=name == "PostgreSQL") as service:
                    rounds(service, tally, asked.rounds, random.Random(asked.seed))
            finally:  # also of what somebody breaks off
                _report(name, tally)


def _report(name: str, tally: Tally) -> None:
    for fault in tally.faults:
        print(fault, flush=True)
    hits = ", ".join(f"{kind} {tally.hits[kind]}" for kind in sorted(tally.hits))
    claim = f"{tally.rounds} rounds on {name}, {tally.trials} trials, {tally.hits.total()} kills that hit ({hits})"
    row(claim, len(tally.faults), "faults", target="0 faults", holds=not tally.faults)
    if tally.heads:
        claim = (
            f"Ray's head is there again after it, the raylet or the coordinator was killed, worst of {len(tally.heads)}"
        )
        worst = max(tally.heads)
        row(claim, worst, "s", target=f"at most {HEAD_SECONDS:g} s", holds=worst <= HEAD_SECONDS)


def rounds(service: Living, tally: Tally, count: int, draw: random.Random) -> None:
    """So many."""
    store = Store(service.database)
    pictures(service.folder / "images")
    undisturbed = networks(search(service, store, tally, parallel=1))
    tally.trials = 0
    for number in range(count):
        wanted = [draw.choice(service.kinds) for _ in range(draw.randint(1, KILLS))]
        parallel = 1 + number % 2
        print(f"round {number}: {', '.join(wanted)}", file=sys.stderr, flush=True)
        trials = search(service, store, tally, parallel, disturbed(service, tally, wanted, draw))
        if parallel == 1 and networks(trials) != undisturbed:
            tally.faults.append(f"round {number} ({wanted}): other networks than those of a search left alone")
        tally.rounds += 1
    store.close()
    processes, folders = service.leave()
    tally.faults += [f"left: {' '.join(command)}" for command in processes] + [f"left: {path}" for path in folders]


def disturbed(service: Living, tally: Tally, kinds: Iterable[str], draw: random.Random) -> Iterator[None]:
    """Kill one after another, each at a random moment; to be asked for its next step every moment or so."""
    for kind in kinds:
        due = time.monotonic() + draw.uniform(0, LONGEST_SECONDS)
        while time.monotonic() < due:
            yield
        heads = service.found("Ray's head")
        while not service.kill(kind, draw):
            yield
        tally.hits[kind] += 1
        killed = time.monotonic()
        if kind in ("Ray's head", "raylet", "coordinator") and heads:
            while not set(service.found("Ray's head")) - set(heads):
                yield
            tally.heads.append(time.monotonic() - killed)


def search(
    service: Living, store: Store, tally: Tally, parallel: int, disturbance: Iterator[None] | None = None
) -> list[Trial]:
    """Its trials, when it has ended."""
    knobs = {f"stage{stage}.repeats": [1] for stage in (1, 2, 3)}
    spec = {
        "dataset": f"folder:{service.folder}/images",
        "space": "hasty",
        "knobs": knobs,
        "options": {"first": 3},
        "objective": {"target": 1e6},
        "devices": ["cpu_eager"],
        "recipe": {"epochs": 4, "batch": 16},
        "trials": TRIALS,
        "parallel": parallel,
        "save_weights": True,
    }
    run = service.ask("POST", "/v1/searches", json=spec).json()["id"]
    seen: dict[int, Trial] = {}
    deadline = time.monotonic() + PATIENCE_SECONDS
    begun = False
    while True:
        with suppress(StoreError):
            state = store.run(run).state
            for trial in store.trials(run):
                if trial.state != "running" and seen.setdefault(trial.number, trial) != trial:
                    tally.faults.append(f"{run}: trial {trial.number} had ended and is another by now")
            if state in ENDED:
                break
            begun = begun or state == "running"
        if begun and disturbance:
            next(disturbance, None)
        if time.monotonic() > deadline:
            tally.faults.append(f"{run} has not ended in {PATIENCE_SECONDS} s")
            break
        time.sleep(0.1)
    trials = patiently(lambda: store.trials(run))
    tally.trials += len(trials)
    tally.faults += [f"{run}: {fault}" for fault in faults(service, store, run, trials, seen)]
    return trials


def faults(service: Living, store: Store, run: str, trials: list[Trial], seen: dict[int, Trial]) -> Iterator[str]:
    """What is wrong with a search that has ended."""
    if [trial.number for trial in trials] != list(range(TRIALS)):
        yield f"its trials are {[trial.number for trial in trials]}"
    if sorted(trial.finished or 0 for trial in trials) != list(range(1, len(trials) + 1)):
        yield f"they ended as {[trial.finished for trial in trials]}"
    for trial in trials:
        if trial.state != "done":
            yield f"trial {trial.number} is {trial.state}: {trial.error}"
    if [trial for trial in trials if trial.number in seen] != [seen[number] for number in sorted(seen)]:
        yield "what had ended is not what it was"
    shown = service.ask("GET", f"/v1/searches/{run}").json()
    if (shown["state"], shown["counts"]["done"]) != ("finished", TRIALS):
        yield f"the API shows {shown['state']}, {shown['counts']}"
    for path in (service.home / "resume").glob("*"):
        yield f"{path} is left"
    for path in (service.home / "artifacts").iterdir():
        if path.stem != hashlib.sha256(path.read_bytes()).hexdigest():
            yield f"{path} is half"
    for model in patiently(lambda: store.models(run)):
        if not model.removed and not (service.home / "artifacts" / f"{model.sha256}.safetensors").exists():
            yield f"the weights of model {model.id} are gone"


def networks(trials: list[Trial]) -> list[tuple[str, float | None]]:
    """What was chosen, and what came of it."""
    return [
        (trial.job.architecture.digest(), trial.measurement.accuracy if trial.measurement else None) for trial in trials
    ]


def patiently(read: Callable[[], Read]) -> Read:
    """While the database comes back."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return read()
        except StoreError:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.1)


def pictures(folder: Path) -> None:
    """Reddish and bluish noise, 60 of each."""
    draw = np.random.default_rng(0)
    for name, tint in (("red", (90, 0, 0)), ("blue", (0, 0, 90))):
        (folder / name).mkdir(parents=True)
        for number in range(60):
            pixels = (draw.integers(0, 120, (24, 24, 3)) + np.array(tint)).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")


if __name__ == "__main__":
    main()
