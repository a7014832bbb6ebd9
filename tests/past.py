"""A store filled with runs as a coordinator leaves them, measured by formula instead of training."""

import dataclasses
import hashlib
import math
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from nas import home
from nas.measurements import Latency, Measurement
from nas.networks.architecture import Images
from nas.networks.counts import counts
from nas.objective import HARD, Objective
from nas.plans import plan_for
from nas.plans.growth import GrowthPlan
from nas.plans.search import SearchPlan
from nas.recipes import RECIPES, Recipe
from nas.records import Job, Progress, Run, TrialState
from nas.specs import GrowthSpec, Kind, Limits, SearchSpec, Spec
from nas.store import Store
from tests.databases import Clock
from tests.service import ended

OWNER = "coordinator of a test"
GREY = Images(resolution=28, channels=1, classes=10)
SEARCH = SearchSpec(
    name="Fashion, 5 M multiply-adds",
    dataset="fashion_mnist",
    searcher="random",
    objective=Objective(target=5e6),
    limits=Limits(latency_ms=6.0),
    recipe=Recipe(epochs=4),
    trials=60,
    parallel=3,
)


@dataclass
class Past:
    """Writes into a store what a coordinator would have written, with measurements by formula instead of training."""

    store: Store
    clock: Clock
    dice: random.Random

    @classmethod
    def beginning(cls, folder: Path) -> Self:
        """In that folder, long ago; its store is to be closed."""
        clock = Clock(1e9)
        return cls(Store(f"sqlite:///{folder / 'nas.db'}", clock), clock, random.Random(1))

    def search(self, spec: SearchSpec, done: int, *, running: int = 0) -> Run:
        """A claimed search of which so many trials have ended: most are done, those over the limit are refused, and
        trial 29 failed."""
        run = self._claimed("search", spec)
        plan = SearchPlan(run.id, spec, spec.trials, GREY)
        for number in range(done + running):
            job = plan.ask(number)
            assert job is not None
            self.store.claims.begin(OWNER, job)
            if number >= done:
                self.progress(run, number, epoch=number - done + 1)
                continue
            self.clock.now += self.dice.uniform(15, 45)
            self.end(job)
        return run

    def growth(self, search: Run, number: int, done: int, *, running: int = 1, **changes: object) -> Run:
        """A claimed growth of a search's trial, of which so many trainings are done and others are running."""
        source = self.store.trial(search.id, number).job
        spec = GrowthSpec(
            name="Fashion family",
            dataset="fashion_mnist",
            space="mbconv",
            architecture=source.architecture,
            source=(search.id, number),
            recipe=dataclasses.replace(RECIPES["growth"], epochs=20),
        )
        spec = dataclasses.replace(spec, **changes)  # type: ignore[arg-type]
        run = self._claimed("growth", spec)
        plan = GrowthPlan(run.id, spec)
        for index in range(min(done + running, spec.trials)):
            job = plan.ask(index)
            assert job is not None
            self.store.claims.begin(OWNER, job)
            if index >= done:
                self.progress(run, index, epoch=7)
                continue
            self.clock.now += 400
            self.end(job)
            plan.tell(job, self.store.trial(run.id, index).measurement)
        return run

    def other(self, kind: Kind, spec: Spec, came: Sequence[Measurement | str], *, running: int = 0) -> Run:
        """A claimed run whose first trials ended so, and so many more are running."""
        run = self._claimed(kind, spec)
        ended(self.store, OWNER, run, came)
        plan = plan_for(run, GREY)
        for number in range(len(came), len(came) + running):
            job = plan.ask(number)
            assert job is not None
            self.store.claims.begin(OWNER, job)
        return run

    def progress(self, run: Run, number: int, *, epoch: int) -> None:
        assert isinstance(run.spec, SearchSpec | GrowthSpec)
        self.store.claims.progress(
            OWNER,
            Progress(
                run=run.id,
                number=number,
                phase="training",
                epoch=epoch,
                epochs=run.spec.recipe.epochs,
                loss=1.9 / (1 + epoch),
                accuracy=0.9 - 0.2 / epoch,
                images_per_second=4321.0,
            ),
        )

    def end(self, job: Job) -> None:
        self.store.claims.renew(job.run, OWNER, 1e6)
        if job.number == 29:
            self.store.claims.end(
                OWNER, job.number, job.run, "failed", error="RuntimeError: loss is not finite at epoch 2"
            )
            return
        measured = self.measured(job)
        state: TrialState = "refused" if measured.refused else "done"
        size = (
            (home.folder("artifacts") / f"{measured.weights}.safetensors").stat().st_size if measured.weights else None
        )
        self.store.claims.end(OWNER, job.number, job.run, state, measured, checkpoint_bytes=size)

    def measured(self, job: Job) -> Measurement:
        counted = counts(job.architecture)
        milliseconds = 0.12 + counted.mult_adds / 6.5e6 * self.dice.uniform(0.75, 1.35)
        latency = Latency(
            device=job.devices[0],
            median_ms=milliseconds,
            p95_ms=1.2 * milliseconds,
            minimum_ms=0.95 * milliseconds,
            spread=self.dice.uniform(0.01, 0.08),
            runs=200,
            shares=tuple(row.mult_adds / counted.mult_adds for row in counted.rows),
            fingerprint={"processor": "a processor", "threads": "1"},
        )
        plain = Measurement(
            params=counted.params,
            mult_adds=counted.mult_adds,
            latencies={job.devices[0]: latency}
            | {
                device: dataclasses.replace(latency, device=device, median_ms=0.05 + counted.params / 3e4 / place)
                for place, device in enumerate(job.devices[1:], 1)
            },
            train_seconds=26.0,
            seconds=30.0,
        )
        limit = job.limits.latency_ms
        if limit is not None and milliseconds > limit:
            return dataclasses.replace(plain, refused=f"latency_ms {milliseconds:.2f} over the limit of {limit}")
        promise = 0.935 - 0.2 * math.exp(-counted.mult_adds / 2.4e6) - 0.02 * math.exp(-counted.params / 1e5)
        accuracy = promise - abs(self.dice.gauss(0, 0.008))
        if not job.final:
            return dataclasses.replace(plain, accuracy=accuracy, accuracy_error=0.003)
        return dataclasses.replace(
            plain, accuracy=accuracy, test_accuracy=accuracy - 0.004, accuracy_error=0.1, weights=artifact(job)
        )

    def _claimed(self, kind: Kind, spec: Spec) -> Run:
        added = self.store.add_run(kind, spec)
        while claimed := self.store.claims.claim(OWNER, 1e6):
            if claimed.id == added.id:
                return claimed
        raise AssertionError(f"run {added.id} is not to be had")


def artifact(job: Job) -> str:
    """The name of a checkpoint file with some bytes in it."""
    data = job.architecture.digest().encode() * (counts(job.architecture).params // 3)
    name = hashlib.sha256(data).hexdigest()
    (home.folder("artifacts") / f"{name}.safetensors").write_bytes(data)
    return name


def seeded(url: str) -> tuple[Past, dict[str, Run]]:
    """An old search that has finished, one that was stopped, a family that grows, a search that runs and one that is
    paused; and the past, to go on writing."""
    clock = Clock(time.time() - 9000)
    past = Past(Store(url, clock), clock, random.Random(7))
    store = past.store
    old = past.search(dataclasses.replace(SEARCH, name="Fashion, first try", trials=30, seed=5), 30)
    store.claims.release(old.id, OWNER, "finished")
    stopped = past.search(dataclasses.replace(SEARCH, name="", trials=200, seed=6), 12)
    store.wish(stopped.id, "stop")
    store.claims.release(stopped.id, OWNER, "stopped")
    clock.now = time.time() - 3000
    family = past.growth(old, 15, 3)
    clock.now = time.time() - 1700
    hard = Objective(cost="latency_ms", target=1.0, w_under=HARD[0], w_over=HARD[1])
    paused = past.search(dataclasses.replace(SEARCH, name="Fashion, 1 ms", objective=hard, seed=8), 4)
    store.wish(paused.id, "pause")
    store.claims.release(paused.id, OWNER, "paused")
    clock.now = time.time() - 1500
    running = past.search(SEARCH, 44, running=3)
    return past, {"old": old, "stopped": stopped, "family": family, "paused": paused, "running": running}
