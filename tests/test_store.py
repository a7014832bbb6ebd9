"""The store's promises, kept on SQLite and on PostgreSQL alike."""

import dataclasses
import json
import math
import multiprocessing
import re
import sqlite3
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, get_args

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import event, insert, select, text, update

from nas import plugins
from nas.codec import encode
from nas.networks.architecture import Architecture, Images, Stage
from nas.networks.layers import Conv
from nas.networks.lowering import AnyArchitecture, lowered
from nas.networks.network import Network
from nas.networks.scaling import CompoundScaling
from nas.objective import Objective
from nas.recipes import Recipe
from nas.records import ENDED, Job, Latency, Measurement, Progress, Run, RunState, TrialState, Wish
from nas.refusal import Refusal
from nas.specs import GrowthSpec, Limits, MeasurementSpec, ProxySpec, SearchSpec
from nas.store import Conflict, LostRun, NotFound, Store, StoreError
from nas.store.tables import EVENT, RUN, metadata
from nas.store.text import restored, written
from tests.test_architecture import b0

ARCHITECTURE = Architecture(
    images=Images(resolution=28, channels=1, classes=10),
    stem=16,
    stem_stride=1,
    stages=(
        Stage(op="conv", kernel=3, stride=2, expand=1, channels=24, repeats=2),
        Stage(op="mbconv", kernel=5, stride=2, expand=6, channels=48, repeats=1, se_ratio=0.25, skip=False),
    ),
    head=128,
    dropout=0.1,
)
SEARCH = SearchSpec(
    name="größer\0",
    dataset="folder:/images",
    resolution=28,
    knobs={"stage1.op": ("conv", "mbconv"), "stage1.width": (0.75, 1.0), "stage1.repeats": (1, 2)},
    searcher="random",
    options={"population": 8, "rate": 0.5, "elitist": True},
    objective=Objective(cost="latency_ms", target=2.5, w_under=0.0, w_over=-1.0),
    limits=Limits(params=300_000, latency_ms=4.0),
    recipe=Recipe(epochs=3, train_images=1000, flip=False),
    trials=3,
    seed=7,
    save_weights=True,
)
GROWTH = GrowthSpec(
    name="family",
    dataset="fashion_mnist",
    space="mbconv",
    architecture=ARCHITECTURE,
    source=("0123456789ab", 2),
    members=("B0", "B2"),
    scaling=CompoundScaling(alpha=1.1, beta=1.2, gamma=1.05),
)
MEASURING = MeasurementSpec(images=b0().images, architecture=b0(), devices=("cpu", "cuda"))
PROXY = ProxySpec(dataset="fashion_mnist", candidates=4)
MEASUREMENT = Measurement(
    params=250_000,
    mult_adds=5_000_000,
    latency=Latency(
        device="cpu",
        median_ms=1.5,
        p95_ms=2.0,
        minimum_ms=1.25,
        spread=0.1,
        runs=50,
        fingerprint={"processor": "x", "threads": "1"},
    ),
    accuracy=0.9,
    train_seconds=12.5,
    seconds=14.0,
    weights="ab" * 32,
)


class Clock:
    """Time that passes when a test says so."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def job(run: str, number: int = 0) -> Job:
    return Job(
        run=run,
        number=number,
        space="mbconv",
        architecture=ARCHITECTURE,
        choices={"stage1.op": "conv", "stage1.width": 0.75, "stage1.repeats": 2},
        member="B0",
        dataset="fashion_mnist",
        device="cpu",
        recipe=Recipe(),
        seed=3,
        final=True,
    )


MEASURED = Latency(
    device="cpu", median_ms=1.0, p95_ms=1.0, minimum_ms=1.0, spread=0.1, runs=10, fingerprint={"threads": "1"}
)


def claimed(store: Store, owner: str = "anna", seconds: float = 60, **changes: Any) -> Run:
    """A new search that `owner` holds."""
    store.add_run("search", dataclasses.replace(SEARCH, **changes))
    run = store.claim(owner, seconds)
    assert run is not None
    return run


def snapshot(store: Store, run: str) -> Any:
    return store.run(run), store.trials(run), store.models(run), store.events(run)


def as_json(record: object) -> str:
    """Tells 1 from 1.0 and from True, and shows the order of keys."""
    return json.dumps(encode(record))


def spelled_out(architecture: AnyArchitecture) -> Network:
    return Network(images=architecture.images, parts=lowered(architecture))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(database_url: str, clock: Clock) -> Iterator[Store]:
    store = Store(database_url, clock)
    yield store
    store.close()


@pytest.fixture
def second(database_url: str, store: Store, clock: Clock) -> Iterator[Store]:
    """Another store on the same database, as another program would have."""
    second = Store(database_url, clock)
    yield second
    second.close()


class TestRecords:
    @pytest.mark.parametrize(
        ("kind", "spec", "trials"),
        [("search", SEARCH, 3), ("growth", GROWTH, 2), ("measurement", MEASURING, 2), ("proxy", PROXY, 8)],
    )
    def test_a_run_comes_back_as_it_was_added(
        self, store: Store, second: Store, kind: Any, spec: Any, trials: int
    ) -> None:
        added = store.add_run(kind, spec)
        assert added == Run(
            id=added.id, kind=kind, spec=spec, state="queued", wish="run", trials=trials, created_at=1000.0
        )
        assert as_json(second.run(added.id)) == as_json(added)
        assert as_json(second.run(added.id).spec) == as_json(spec)

    def test_a_trial_comes_back_as_it_began_and_as_it_ended(self, store: Store, second: Store, clock: Clock) -> None:
        run = claimed(store).id
        began = store.begin("anna", job(run))
        assert (began.state, began.started_at, began.ended_at, began.measurement) == ("running", 1000.0, None, None)
        assert as_json(began.job) == as_json(job(run))
        assert second.trials(run) == [began]

        progress = Progress(run=run, number=0, phase="training", epoch=1, epochs=3, loss=0.5, images_per_second=900.0)
        store.progress("anna", progress)
        assert second.trial(run, 0) == dataclasses.replace(began, progress=progress)

        clock.now += 5
        ended = store.end("anna", 0, run, "done", MEASUREMENT, checkpoint_bytes=5_000_000_000)
        assert as_json(ended.measurement) == as_json(MEASUREMENT)
        assert ended == dataclasses.replace(
            began,
            state="done",
            measurement=MEASUREMENT,
            progress=progress,
            finished=1,
            ended_at=1005.0,
            compute_seconds=5.0,
        )
        assert as_json(second.trial(run, 0)) == as_json(ended)

    def test_a_trial_ends_in_every_state(self, store: Store) -> None:
        run = claimed(store).id
        for number, state in enumerate(sorted(set(get_args(TrialState)) - {"running"})):
            store.begin("anna", job(run, number))
            measurement = MEASUREMENT if state in ("done", "refused") else None
            ended = store.end("anna", number, run, state, measurement, error="why", checkpoint_bytes=1)
            assert (ended.state, ended.error, ended.finished) == (state, "why", number + 1)
            assert store.trials(run, state=state) == [ended]

    def test_weights_become_a_model(self, store: Store, clock: Clock) -> None:
        run = claimed(store).id
        for number in (2, 1, 0):
            store.begin("anna", job(run, number))
            clock.now += 1
            weights = None if number == 1 else f"{number}" * 64
            measurement = dataclasses.replace(MEASUREMENT, weights=weights)
            store.end("anna", number, run, "done", measurement, checkpoint_bytes=5_000_000_000)
        other = claimed(store).id
        newest, oldest = store.models(run)
        assert store.models() == [newest, oldest]
        assert store.models(other) == []
        assert (newest.id, newest.run, newest.number, newest.created_at) == (f"{run}-0", run, 0, 1003.0)
        assert (oldest.id, oldest.sha256, oldest.bytes) == (f"{run}-2", "2" * 64, 5_000_000_000)
        assert store.model(newest.id) == newest

    @pytest.mark.parametrize("space", plugins.names("search_spaces"))
    def test_networks_of_every_space_come_back(self, tmp_path: Path, space: str) -> None:
        store = Store(f"sqlite:///{tmp_path}/nas.db")
        run = claimed(store).id
        module, images = plugins.load("search_spaces", space), Images(resolution=128, classes=10)
        choices = {knob: values[-1] for knob, values in module.knobs(images).items()}
        architecture = module.architecture(choices, images)
        asked = dataclasses.replace(job(run), space=space, choices=choices, architecture=architecture)
        store.begin("anna", asked)
        store.begin("anna", dataclasses.replace(asked, number=1, architecture=spelled_out(architecture)))
        found, spelled = store.trials(run)
        assert (found.job, as_json(found.job)) == (asked, as_json(asked))
        assert spelled.job.architecture == spelled_out(architecture)
        assert as_json(spelled.job.architecture) == as_json(spelled_out(architecture))
        store.close()

    def test_a_number_or_a_pair_comes_back_as_either(self) -> None:
        for convolution in (Conv(8, (1, 7), stride=2), Conv(8, 3, stride=(2, 1))):
            assert restored(Conv, written(convolution)) == convolution

    def test_equal_numbers_of_different_types_are_not_confused(self, store: Store) -> None:
        run = claimed(store).id
        for number, nothing in enumerate((0.0, 0, 0.0)):
            (stage, *_) = ARCHITECTURE.stages
            architecture = dataclasses.replace(ARCHITECTURE, stages=(dataclasses.replace(stage, se_ratio=nothing),))
            began = store.begin("anna", dataclasses.replace(job(run, number), architecture=architecture))
            assert began.job.architecture.digest() == architecture.digest()

    def test_what_no_database_takes_as_text_is_kept_readable(self, store: Store) -> None:
        run = claimed(store).id
        store.begin("anna", job(run))
        store.progress("anna", Progress(run=run, number=0, phase="training", loss=math.nan))
        progress = store.trial(run, 0).progress
        assert progress is not None
        assert progress.loss is not None
        assert math.isnan(progress.loss)
        assert store.end("anna", 0, run, "failed", error="no \0 in \udcff, ☃").error == "no � in ?, ☃"
        store.note(run, "odd", "\0\udcff☃")
        assert store.events(run)[-1].text == "�?☃"
        assert store.release(run, "anna", "failed", "\0\udcff☃").error == "�?☃"

    def test_changing_a_value_changes_nothing_that_is_stored(self, store: Store) -> None:
        spec, handed_in = dataclasses.replace(SEARCH, options={"population": 8}), job("", 0)
        run = store.add_run("search", spec)
        assert isinstance(run.spec, SearchSpec)
        spec.options["population"] = 9
        run.spec.options["population"] = 10
        store.claim("anna", 60)
        handed_in = job(run.id)
        began = store.begin("anna", handed_in)
        handed_in.choices["stage1.op"] = "mbconv"
        began.job.choices["stage1.op"] = "fused"
        for trial in store.trials(run.id) + store.trials(run.id):
            assert trial.job.choices["stage1.op"] == "conv"
            trial.job.choices["stage1.op"] = "fused"
        measurement = dataclasses.replace(MEASUREMENT, latency=dataclasses.replace(MEASUREMENT.latency, fingerprint={}))  # type: ignore[type-var]
        ended = store.end("anna", 0, run.id, "done", measurement, checkpoint_bytes=1)
        assert ended.measurement is not None
        assert ended.measurement.latency is not None
        ended.measurement.latency.fingerprint["threads"] = "64"
        assert store.run(run.id).spec == dataclasses.replace(SEARCH, options={"population": 8})
        assert store.trial(run.id, 0).measurement == measurement


class TestLookUps:
    def test_what_is_not_there_is_named(self, store: Store) -> None:
        run = claimed(store).id
        for look_up in (store.run, store.trials, store.models, store.events):
            with pytest.raises(NotFound, match=r"no run 'nope\\x00'"):
                look_up("nope\0")
        for missing in (0, -1, 10**30):
            with pytest.raises(NotFound, match=f"run {run} has no trial {missing}"):
                store.trial(run, missing)
        with pytest.raises(NotFound, match="no run 'nope'"):
            store.trial("nope", 0)
        with pytest.raises(NotFound, match="no run 'nope'"):
            store.runs(before="nope")
        with pytest.raises(NotFound, match="no model 'nope-1'"):
            store.model("nope-1")
        with pytest.raises(NotFound, match="no run 'nope'"):
            store.wish("nope", "stop")
        with pytest.raises(NotFound, match="no run 'nope'"):
            store.raise_budget("nope", 3)
        with pytest.raises(NotFound, match="no run 'nope'"):
            store.note("nope", "kind", "text")
        with pytest.raises(NotFound, match="has no trial 1"):
            store.end("anna", 1, run, "failed")

    def test_runs_come_newest_first_in_pages(self, store: Store, clock: Clock) -> None:
        assert store.runs() == []
        added = []
        for _ in range(5):
            added.append(store.add_run("search", SEARCH))
            clock.now -= 1  # a clock that is set back does not reorder them
        added.reverse()
        assert store.runs() == added
        assert store.runs(limit=2) == added[:2]
        assert store.runs(limit=2, before=added[1].id) == added[2:4]
        assert store.runs(before=added[4].id) == []
        assert store.runs(limit=0) == store.runs(limit=-1) == []

    def test_trials_come_by_number_in_pages(self, store: Store) -> None:
        run, other = claimed(store).id, claimed(store).id
        store.begin("anna", job(other))
        for number in (2, 0, 3, 1, 4):
            store.begin("anna", job(run, number))
        store.end("anna", 3, run, "cancelled")
        store.end("anna", 1, run, "cancelled")

        def numbers(*page: Any, **choice: Any) -> list[int]:
            return [trial.number for trial in store.trials(run, *page, **choice)]

        assert numbers() == [0, 1, 2, 3, 4]
        assert numbers(1) == [2, 3, 4]
        assert numbers(1, 2) == [2, 3]
        assert numbers(4) == numbers(limit=0) == numbers(10**30) == []
        assert numbers(-(10**30), 10**30) == [0, 1, 2, 3, 4]
        assert numbers(state="cancelled") == [1, 3]
        assert numbers(1, 1, "running") == [2]
        assert [(trial.number, trial.finished) for trial in store.trials(run, state="cancelled")] == [(1, 2), (3, 1)]

    def test_a_list_is_one_query_however_long(self, store: Store) -> None:
        run = claimed(store, trials=40).id
        for number in range(40):
            store.begin("anna", job(run, number))
        statements = []
        event.listen(
            store._database._reader,
            "before_cursor_execute",
            lambda _connection, _cursor, statement, *_: statements.append(statement),
        )
        assert len(store.trials(run)) == 40
        assert len([statement for statement in statements if statement.startswith("SELECT")]) == 1

    def test_events_tell_what_happened(self, store: Store, clock: Clock) -> None:
        run = claimed(store).id
        other = claimed(store).id
        clock.now += 1
        store.wish(run, "pause")
        store.wish(run, "pause")  # nothing new
        store.raise_budget(run, 9)
        store.begin("anna", job(run))
        store.end("anna", 0, run, "failed", error="out of memory")
        store.note(run, "hello", "there")
        store.release(run, "anna", "failed", "disk full")
        events = store.events(run)
        assert [(entry.kind, entry.text) for entry in events] == [
            ("added", "search added, 3 trials"),
            ("claimed", "claimed by anna"),
            ("wish", "pause wished for"),
            ("budget", "9 trials instead of 3"),
            ("trial failed", "trial 0 failed: out of memory"),
            ("hello", "there"),
            ("failed", "failed: disk full"),
        ]
        assert [entry.at for entry in events] == [1000.0] * 2 + [1001.0] * 5
        assert {entry.run for entry in events} == {run}
        assert [entry.id for entry in events] == sorted({entry.id for entry in events})
        assert store.events(run, after=events[2].id, limit=2) == events[3:5]
        assert store.events(run, after=events[-1].id) == store.events(run, after=10**30) == []
        assert len(store.events(other)) == 2


class TestMeasured:
    """What was measured on a device, of all runs."""

    def ended(self, store: Store, run: str, number: int, *devices: str) -> None:
        first, *further = [dataclasses.replace(MEASURED, device=device) for device in devices]
        store.begin("anna", job(run, number))
        measured = Measurement(
            params=1, mult_adds=1, latency=first, further_latencies={each.device: each for each in further}
        )
        store.end("anna", number, run, "done", measured)

    def test_it_is_found_by_its_device_and_time(self, store: Store, clock: Clock) -> None:
        first, second = claimed(store, seconds=1e6), claimed(store, seconds=1e6)
        devices = [("cpu_eager",), ("cpuxeager",), ("cpu", "cpu_eager"), ("cpu_eager:threads=2",), ("cpu_eager",)]
        for number, names in enumerate(devices):
            self.ended(store, (first if number % 2 else second).id, number, *names)
            clock.now += 10
        store.begin("anna", job(first.id, 9))
        store.end("anna", 9, first.id, "failed", error="no latency")
        found = store.measured("cpu_eager", clock.now)
        assert [latency.device for _, latency in found] == ["cpu_eager"] * 3
        assert {architecture for architecture, _ in found} == {job("x").architecture}
        assert len(store.measured("cpu_eager", clock.now - 10)) == 2, "what ended before, not at that moment"
        assert len(store.measured("cpu_eager", clock.now, limit=1)) == 1
        assert store.measured("cpu_eager:threads=4", clock.now) == []


class TestClaims:
    def test_the_oldest_run_is_claimed_first(self, store: Store, clock: Clock) -> None:
        assert store.claim("anna", 60) is None
        runs = [store.add_run("search", SEARCH).id for _ in range(3)]
        clock.now = 1010.0
        first = store.claim("anna", 60)
        assert first is not None
        assert (first.id, first.state, first.started_at) == (runs[0], "running", 1010.0)
        assert first == store.run(runs[0])
        assert [run and run.id for run in (store.claim("bert", 60), store.claim("anna", 60))] == runs[1:]
        assert store.claim("bert", 60) is None

    def test_a_claim_that_ran_out_is_claimed_by_another(self, store: Store, clock: Clock) -> None:
        run = claimed(store, seconds=60).id
        clock.now += 59.9
        assert store.claim("bert", 60) is None
        clock.now += 0.1
        again = store.claim("bert", 60)
        assert again is not None
        assert (again.id, again.started_at) == (run, 1000.0)
        store.begin("bert", job(run))

    def test_renewing_keeps_a_claim_and_tells_the_wish(self, store: Store, second: Store, clock: Clock) -> None:
        run = claimed(store, seconds=60).id
        clock.now += 50
        second.wish(run, "stop")
        second.raise_budget(run, 8)
        renewed = store.renew(run, "anna", 60)
        assert (renewed.wish, renewed.trials) == ("stop", 8)
        clock.now += 50
        assert second.claim("bert", 60) is None
        assert store.renew(run, "anna", 60) == store.run(run)

    @pytest.mark.parametrize("how", ["of another", "ran out", "passed on", "released", "unknown"])
    def test_who_lost_a_run_can_write_nothing(self, store: Store, clock: Clock, how: str) -> None:
        owner = "bert" if how == "of another" else "anna"
        run = claimed(store, owner).id
        claimed(store)  # holding another run does not help
        store.begin(owner, job(run))
        if how in ("ran out", "passed on"):
            clock.now += 60
        if how == "passed on":
            assert store.claim("bert", 60) is not None
        if how == "released":
            store.release(run, "anna", "queued")
        before, lost = snapshot(store, run), "unknown" if how == "unknown" else run
        writes: dict[str, Callable[[], object]] = {
            "renew": lambda: store.renew(lost, "anna", 60),
            "release": lambda: store.release(lost, "anna", "finished"),
            "begin": lambda: store.begin("anna", job(lost, 1)),
            "progress": lambda: store.progress("anna", Progress(run=lost, number=0, phase="scoring")),
            "end": lambda: store.end("anna", 0, lost, "done", MEASUREMENT, checkpoint_bytes=1),
        }
        for name, write in writes.items():
            with pytest.raises(LostRun, match=f"run {lost} is not claimed by anna, .*: leave it"):
                write()
            assert snapshot(store, run) == before, name

    def test_releasing_ends_a_run(self, store: Store, clock: Clock) -> None:
        for state in sorted(ENDED):
            run = claimed(store).id
            clock.now += 3
            released = store.release(run, "anna", state, error="why")
            assert (released.state, released.error, released.ended_at) == (state, "why", clock.now)
            clock.now += 1000
            assert store.claim("bert", 60) is None

    @pytest.mark.parametrize("state", ["queued", "paused"])
    def test_releasing_frees_a_run_that_goes_on(self, store: Store, clock: Clock, state: RunState) -> None:
        run = claimed(store).id
        clock.now += 3
        released = store.release(run, "anna", state)
        assert (released.state, released.error, released.ended_at) == (state, None, None)
        again = store.claim("bert", 60)
        assert again is not None
        assert (again.id, again.state, again.started_at) == (run, "running", 1000.0)

    def test_a_claimed_run_is_not_started_against_the_wish(self, store: Store) -> None:
        run = store.add_run("search", SEARCH).id
        store.wish(run, "pause")
        again = store.claim("anna", 60)
        assert again is not None
        assert (again.id, again.state, again.wish) == (run, "queued", "pause")

    @pytest.mark.parametrize(("wish", "state"), [("stop", "stopped"), ("cancel", "cancelled")])
    def test_a_run_that_nobody_works_on_ends_at_once(
        self, store: Store, clock: Clock, wish: Wish, state: RunState
    ) -> None:
        """The coordinator may be busy with another for hours."""
        paused, held, left = (claimed(store).id for _ in range(3))
        queued = store.add_run("search", SEARCH).id
        store.wish(paused, "pause")
        store.release(paused, "anna", "paused")
        clock.now += 5
        for run in (queued, paused):
            ended = store.wish(run, wish)
            assert (ended.state, ended.wish, ended.ended_at) == (state, wish, 1005.0)
            assert [entry.kind for entry in store.events(run)][-2:] == ["wish", state]
        store.begin("anna", job(left))
        clock.now += 100  # the owner of the others has crashed, and one has a trial that is to be ended
        assert store.wish(held, wish).state == state
        assert store.wish(left, wish).state == "running"
        taken = store.claim("otto", 60)
        assert taken is not None
        assert (taken.id, taken.wish) == (left, wish)
        assert store.claim("otto", 60) is None

    def test_a_run_that_is_held_ends_by_its_owner(self, store: Store) -> None:
        run = claimed(store).id
        assert store.wish(run, "cancel").state == "running"
        assert store.release(run, "anna", "cancelled").state == "cancelled"

    def test_a_paused_run_waits_for_another_wish(self, store: Store) -> None:
        run = claimed(store).id
        store.wish(run, "pause")
        store.release(run, "anna", "paused")
        assert store.claim("anna", 60) is None
        assert store.wish(run, "run").state == "queued"
        again = store.claim("anna", 60)
        assert again is not None
        assert (again.state, again.wish) == ("running", "run")


class TestEnds:
    def test_an_ended_run_takes_no_wish(self, store: Store) -> None:
        for state in sorted(ENDED):
            run = claimed(store).id
            store.release(run, "anna", state)
            before = snapshot(store, run)
            with pytest.raises(Conflict, match=f"run {run} is {state}"):
                store.wish(run, "cancel")
            assert snapshot(store, run) == before

    def test_a_trial_begins_once_and_ends_once(self, store: Store) -> None:
        run = claimed(store).id
        store.begin("anna", job(run))
        with pytest.raises(Conflict, match=f"trial 0 of run {run} has begun before"):
            store.begin("anna", job(run))
        store.end("anna", 0, run, "done", MEASUREMENT, checkpoint_bytes=1)
        before = snapshot(store, run)
        with pytest.raises(Conflict, match=f"trial 0 of run {run} is done already"):
            store.end("anna", 0, run, "failed", error="late")
        with pytest.raises(Conflict, match="has begun before"):
            store.begin("anna", job(run))
        store.progress("anna", Progress(run=run, number=0, phase="scoring"))
        assert snapshot(store, run) == before

    def test_a_trial_that_cannot_end_whole_does_not_end(self, store: Store) -> None:
        run = claimed(store).id
        store.begin("anna", job(run))
        unwritable = dataclasses.replace(MEASUREMENT, weights="\udcff")
        before = snapshot(store, run)
        with pytest.raises(UnicodeEncodeError):  # while the model is written, after the trial
            store.end("anna", 0, run, "done", unwritable, checkpoint_bytes=1)
        assert snapshot(store, run) == before

    def test_of_two_that_end_a_trial_one_succeeds(self, store: Store) -> None:
        run = claimed(store, trials=20).id
        barrier = threading.Barrier(2)

        def end(number: int) -> str:
            barrier.wait()
            try:
                return store.end("anna", number, run, "done", MEASUREMENT, checkpoint_bytes=1).state
            except Conflict:
                return "conflict"

        with ThreadPoolExecutor(2) as pool:
            for number in range(20):
                store.begin("anna", job(run, number))
                assert sorted(pool.map(end, [number, number])) == ["conflict", "done"]
        assert [trial.finished for trial in store.trials(run)] == list(range(1, 21))
        assert len(store.models(run)) == 20

    def test_trials_that_end_at_once_are_numbered_one_after_the_other(self, store: Store) -> None:
        run = claimed(store, trials=40).id
        for number in range(40):
            store.begin("anna", job(run, number))
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda number: store.end("anna", number, run, "cancelled"), range(40)))
        assert sorted(trial.finished or 0 for trial in store.trials(run)) == list(range(1, 41))


class TestBudget:
    def test_a_finished_search_is_queued_again(self, store: Store) -> None:
        run = claimed(store, trials=1).id
        store.begin("anna", job(run))
        store.end("anna", 0, run, "cancelled")
        store.wish(run, "pause")
        store.release(run, "anna", "finished")
        raised = store.raise_budget(run, 4)
        assert (raised.trials, raised.state, raised.wish, raised.ended_at) == (4, "queued", "run", None)
        assert raised == store.run(run)
        again = store.claim("bert", 60)
        assert again is not None
        assert (again.id, again.trials) == (run, 4)

    def test_a_search_whose_hours_have_passed_takes_no_more_trials(self, store: Store, clock: Clock) -> None:
        run = claimed(store, trials=1, hours=1.0).id
        clock.now += 50
        store.release(run, "anna", "finished", reason="the space is small")
        clock.now += 1e6  # while nobody works on it
        again = store.raise_budget(run, 2)
        assert (again.state, again.worked_seconds, again.reason) == ("queued", 50, None)
        assert store.claim("anna", 5000) is not None
        clock.now += 3550
        left = store.release(run, "anna", "finished", reason="its 1 hours have passed")
        assert (left.worked_seconds, left.reason) == (3600, "its 1 hours have passed")
        with pytest.raises(Conflict, match=f"run {run} takes no more trials, its 1 hours have passed: give it more"):
            store.raise_budget(run, 3)
        with pytest.raises(Conflict, match=r"its 0\.5 hours have passed"):
            store.raise_budget(run, hours=0.5)
        assert (store.run(run).state, store.run(run).trials) == ("finished", 2)
        longer = store.raise_budget(run, hours=1.5)
        assert isinstance(longer.spec, SearchSpec)
        assert (longer.state, longer.trials, longer.spec.hours) == ("queued", 2, 1.5)
        assert store.run(run) == longer
        assert store.claim("anna", 5000) is not None

    def test_so_are_the_hours_of_its_devices(self, store: Store) -> None:
        run = claimed(store, trials=9, compute_hours=0.01).id
        store.begin("anna", job(run))
        store.end("anna", 0, run, "failed", error="no", compute_seconds=36)
        store.release(run, "anna", "finished", reason="its 0.01 compute hours are spent")
        with pytest.raises(Conflict, match=r"its 0\.01 compute hours are spent: give it more"):
            store.raise_budget(run, hours=5)
        assert store.raise_budget(run, compute_hours=1).state == "queued"
        assert [event.text for event in store.events(run) if event.kind == "budget"] == [
            "1 compute hours instead of 0.01"
        ]

    def test_the_time_of_a_dead_owner_counts_until_it_was_last_heard_of(self, store: Store, clock: Clock) -> None:
        run = claimed(store).id
        for _ in range(3):
            clock.now += 10
            store.renew(run, "anna", 60)
        clock.now += 1e6
        again = store.claim("bert", 60)
        assert again is not None
        assert (again.id, again.worked_seconds) == (run, 30)
        clock.now += 5
        assert store.renew(run, "bert", 60).worked_seconds == 35

    def test_a_trial_without_an_account_costs_all_its_time(self, store: Store, clock: Clock) -> None:
        run = claimed(store).id
        for number, known in enumerate((None, 3.5)):
            store.begin("anna", job(run, number))
            clock.now += 20
            ended = store.end("anna", number, run, "failed", error="no", compute_seconds=known)
            assert ended.compute_seconds == (known or 20)

    def test_a_running_search_goes_on_with_the_new_budget(self, store: Store) -> None:
        run = claimed(store).id
        assert (store.raise_budget(run, 100_000).trials, store.run(run).state) == (100_000, "running")
        store.begin("anna", job(run, 0))
        store.begin("anna", job(run, 1))
        assert store.raise_budget(run, 2).trials == 2
        with pytest.raises(Conflict, match=r"trials 1 is less than .* at least 2"):
            store.raise_budget(run, 1)
        assert store.run(run).trials == 2

    def test_a_finished_search_with_nothing_left_stays_finished(self, store: Store) -> None:
        run = claimed(store, trials=5).id
        store.begin("anna", job(run))
        store.end("anna", 0, run, "cancelled")
        store.release(run, "anna", "finished")  # the space was exhausted
        assert store.raise_budget(run, 1).state == "finished"

    @pytest.mark.parametrize("more", [{"trials": 5}, {"hours": 2.0}, {"compute_hours": 2.0}])
    def test_a_budget_raised_while_the_owner_finishes_is_not_lost(
        self, store: Store, second: Store, more: dict[str, Any]
    ) -> None:
        run = claimed(store, trials=3, hours=1.0, compute_hours=1.0)
        second.raise_budget(run.id, **more)
        assert store.release(run.id, "anna", "finished", worked_to=run).state == "queued"
        again = store.claim("anna", 60)
        assert again is not None
        assert store.release(run.id, "anna", "finished", worked_to=again).state == "finished"

    def test_a_budget_out_of_range_is_refused(self, store: Store) -> None:
        run = claimed(store).id
        for trials in (0, -1, 100_001, 10**30):
            with pytest.raises(Refusal, match=f"trials {trials} is not between 1 and 100000"):
                store.raise_budget(run, trials)

    def test_only_a_search_that_may_go_on_has_a_budget(self, store: Store) -> None:
        growth = store.add_run("growth", GROWTH).id
        with pytest.raises(Conflict, match=f"run {growth} is a growth"):
            store.raise_budget(growth, 5)
        for state in ("stopped", "cancelled", "failed"):
            run = store.add_run("search", SEARCH).id
            store.release(_claim(store, run), "anna", state)
            with pytest.raises(Conflict, match=f"run {run} is {state}"):
                store.raise_budget(run, 5)


def _claim(store: Store, run: str) -> str:
    while (found := store.claim("anna", 60)) is not None:
        if found.id == run:
            return run
    raise AssertionError(f"{run} cannot be claimed")


class TestTogether:
    """Several threads and programs on one database."""

    def test_each_run_is_claimed_by_one_of_two_programs(self, database_url: str) -> None:
        programs = [_Program(_claim_all, database_url, owner) for owner in ("anna", "bert")]
        for program in programs:
            program.pipe.send("open")  # both at once, a database that is not there yet
        for program in programs:
            assert program.pipe.recv() == "opened"
        store = Store(database_url)
        runs = [store.add_run("search", SEARCH).id for _ in range(30)]
        for program in programs:
            program.pipe.send("claim")
        by_anna, by_bert = (program.pipe.recv() for program in programs)
        for program in programs:
            program.process.join()
        assert sorted(by_anna + by_bert) == sorted(runs)
        claims = [entry for run in runs for entry in store.events(run) if entry.kind == "claimed"]
        assert len(claims) == 30
        store.close()

    def test_each_run_is_claimed_by_one_of_four_threads(self, store: Store) -> None:
        runs = [store.add_run("search", SEARCH).id for _ in range(30)]
        barrier = threading.Barrier(4)

        def claim_all(owner: str) -> list[str]:
            barrier.wait()
            return [run.id for run in iter(lambda: store.claim(owner, 60), None)]

        with ThreadPoolExecutor(4) as pool:
            by_owner = list(pool.map(claim_all, "abcd"))
        assert sorted(run for claims in by_owner for run in claims) == sorted(runs)

    def test_a_killed_program_loses_nothing_that_had_ended(self, database_url: str, clock: Clock) -> None:
        store = Store(database_url, clock)
        run = store.add_run("search", SEARCH).id
        program = _Program(_work_until_killed, database_url, "anna")
        ended = [program.pipe.recv() for _ in range(5)]
        assert program.pipe.recv() == "begun 5"
        program.kill()

        assert store.trials(run)[:5] == ended
        assert [trial.state for trial in store.trials(run)] == ["done"] * 5 + ["running"]
        assert [(model.number, model.sha256) for model in store.models(run)] == [
            (number, "ab" * 32) for number in (4, 3, 2, 1, 0)
        ]
        assert store.claim("bert", 60) is None
        clock.now = 2000.0
        again = store.claim("bert", 60)
        assert again is not None
        (running,) = store.trials(run, state="running")
        assert running.job == job(run, 5)
        assert store.end("bert", 5, run, "done", MEASUREMENT, checkpoint_bytes=1).finished == 6
        store.close()

    def test_a_program_killed_in_a_transaction_leaves_none_of_it(self, store: Store, database_url: str) -> None:
        run = store.add_run("search", SEARCH).id
        program = _Program(_write_until_killed, database_url, run)
        assert program.pipe.recv() == "written"
        assert store.run(run).state == "queued"
        program.kill()
        assert store.run(run).state == "queued"
        assert len(store.events(run)) == 1
        assert store.claim("anna", 60) is not None

    def test_who_reads_does_not_wait_for_who_writes(self, store: Store, second: Store) -> None:
        run = claimed(store).id
        before = snapshot(second, run)
        with store._database.writing() as connection:
            connection.execute(update(RUN).values(state="failed"))
            connection.execute(insert(EVENT).values(run=run, at=0.0, kind="new", text=""))
            assert snapshot(second, run) == before
        assert second.run(run).state == "failed"
        assert second.events(run)[-1].kind == "new"

    def test_who_writes_does_not_wait_for_who_reads(self, store: Store, second: Store) -> None:
        run = claimed(store).id
        with second._database.reading() as connection:
            assert connection.execute(select(RUN.c.state)).scalar_one() == "running"
            assert store.release(run, "anna", "finished").state == "finished"

    def test_who_reads_sees_trials_whole_while_another_writes(self, store: Store, second: Store) -> None:
        run = claimed(store, trials=50).id
        done = threading.Event()

        def write() -> None:
            try:
                for number in range(50):
                    store.begin("anna", job(run, number))
                    store.end("anna", number, run, "done", MEASUREMENT, checkpoint_bytes=1)
            finally:
                done.set()

        seen = 0
        with ThreadPoolExecutor(1) as pool:
            writing = pool.submit(write)
            last = False
            while not last:
                last = done.is_set()
                trials, models = second.trials(run), second.models(run)
                ended = [trial for trial in trials if trial.state == "done"]
                assert len(ended) >= seen
                seen = len(ended)
                assert len(models) >= seen
                assert len(trials) - seen in (0, 1)
                for number, trial in enumerate(ended):
                    assert (trial.finished, trial.measurement) == (number + 1, MEASUREMENT)
            writing.result()
        assert seen == 50

    def test_many_open_databases_of_their_own_at_once(self, tmp_path: Path) -> None:
        barrier = threading.Barrier(4)

        def open_new(number: int) -> list[Run]:
            barrier.wait()
            store = Store(f"sqlite:///{tmp_path}/{number}.db")
            runs = store.runs()
            store.close()
            return runs

        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(open_new, range(4))) == [[]] * 4

    def test_many_open_a_new_database_at_once(self, database_url: str) -> None:
        barrier = threading.Barrier(6)

        def open_and_add(_: int) -> str:
            barrier.wait()
            store = Store(database_url)
            run = store.add_run("search", SEARCH).id
            store.close()
            return run

        with ThreadPoolExecutor(6) as pool:
            runs = list(pool.map(open_and_add, range(6)))
        store = Store(database_url)
        assert sorted(run.id for run in store.runs()) == sorted(runs)
        store.close()


class _Program:
    """A function of this file in a program of its own."""

    def __init__(self, function: Callable[[Connection, str, str], None], *arguments: str) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=function, args=(theirs, *arguments), daemon=True)
        self.process.start()
        theirs.close()

    def kill(self) -> None:
        self.process.kill()
        self.process.join()
        assert self.process.exitcode == -9


def _claim_all(pipe: Connection, url: str, owner: str) -> None:
    assert pipe.recv() == "open"
    store = Store(url)
    pipe.send("opened")
    assert pipe.recv() == "claim"
    pipe.send([run.id for run in iter(lambda: store.claim(owner, 600), None)])
    store.close()


def _work_until_killed(pipe: Connection, url: str, owner: str) -> None:
    store = Store(url, Clock())
    run = store.claim(owner, 60)
    assert run is not None
    for number in range(5):
        store.begin(owner, job(run.id, number))
        pipe.send(store.end(owner, number, run.id, "done", MEASUREMENT, checkpoint_bytes=1))
    store.begin(owner, job(run.id, 5))
    pipe.send("begun 5")
    pipe.recv()


def _write_until_killed(pipe: Connection, url: str, run: str) -> None:
    with Store(url)._database.writing() as connection:
        connection.execute(update(RUN).values(state="failed"))
        connection.execute(insert(EVENT).values(run=run, at=0.0, kind="new", text=""))
        pipe.send("written")
        pipe.recv()


class TestSchema:
    def test_the_migrations_make_the_tables(self, store: Store) -> None:
        with store._database.reading() as connection:
            context = MigrationContext.configure(
                connection, opts={"compare_type": True, "compare_server_default": True}
            )
            assert compare_metadata(context, metadata) == []

    def test_what_runs_of_the_first_version_spent_is_what_is_known_of_it(self, store: Store, clock: Clock) -> None:
        run = claimed(store).id
        store.begin("anna", job(run))
        clock.now += 40
        store.end("anna", 0, run, "cancelled")
        clock.now += 2
        store.release(run, "anna", "cancelled")
        waiting = store.add_run("search", SEARCH).id
        with store._database.writing() as connection:
            for table, column in (("run", "reason"), ("run", "renewed_at"), ("run", "worked_seconds")):
                connection.execute(text(f"ALTER TABLE {table} DROP COLUMN {column}"))
            connection.execute(text("ALTER TABLE trial DROP COLUMN compute_seconds"))
            for table in ("errand", "agent"):  # which later versions add
                connection.execute(text(f"DROP TABLE {table}"))
            connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
        store._database._migrate()
        assert (store.run(run).worked_seconds, store.trial(run, 0).compute_seconds) == (42, 40)
        assert store.run(waiting).worked_seconds == 0

    def test_nothing_belongs_to_a_run_that_is_not_there(self, store: Store) -> None:
        with pytest.raises(StoreError, match=r"(?i)foreign key"), store._database.writing() as connection:
            connection.execute(insert(EVENT).values(run="nope", at=0.0, kind="new", text=""))

    def test_a_database_of_a_newer_version_is_left_alone(self, store: Store, database_url: str) -> None:
        with store._database.writing() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = 'later'"))
        with pytest.raises(StoreError, match=r"newer version .*'later'.*update this program"):
            Store(database_url)

    def test_a_row_that_cannot_be_read_is_said_to_be_so(self, store: Store) -> None:
        run = store.add_run("search", SEARCH).id
        for damaged in ('{"later": 1}', '{"dataset": "x", "trials": 0}', "[]", "{"):
            with store._database.writing() as connection:
                connection.execute(update(RUN).values(spec=damaged))
            with pytest.raises(StoreError, match=r"a SearchSpec that this version cannot read.*backup"):
                store.run(run)


class TestTrouble:
    """Databases that cannot be used: each says why, and what to do."""

    @pytest.mark.parametrize(
        ("url", "message"),
        [
            ("nonsense", "URL cannot be read: give sqlite:///FILE or postgresql://"),
            ("postgresql://anna:secret@host:port/nas", "URL cannot be read"),
            ("postgresql://anna:top@secret@host/nas", "percent-encoded"),
            ("mysql://anna:secret@host/nas", "unknown kind of database 'mysql': there are sqlite and postgresql"),
            ("sqlite://", "in memory is lost at once: name a file"),
            ("sqlite:///:memory:", "in memory is lost at once: name a file"),
            ("sqlite:////no/such/folder/nas.db", "SQLite database /no/such/folder/nas.db: .*make the folder"),
            ("postgresql://anna:secret@127.0.0.1:1/nas", "database nas at 127.0.0.1: .*check that PostgreSQL runs"),
            ("postgres://127.0.0.1:1/nas?user=anna&password=secret", "nas at 127.0.0.1: .*check that PostgreSQL runs"),
            ("postgresql://anna:secret@/nas?host=/no/such/folder", "check that PostgreSQL runs"),
        ],
    )
    def test_a_database_that_cannot_be_opened(self, url: str, message: str) -> None:
        with pytest.raises(StoreError, match=message) as caught:
            Store(url)
        assert "secret" not in "".join(traceback.format_exception(caught.value))

    def test_a_wrong_database_of_a_server_that_runs(self, postgres: str) -> None:
        with pytest.raises(StoreError, match='"missing" does not exist - check that'):
            Store(postgres.replace("/postgres?", "/missing?"))

    def test_postgresql_without_its_driver(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "psycopg", None)
        with pytest.raises(StoreError, match=re.escape("pip install 'nas-service[postgres]'")):
            Store("postgresql://anna:secret@localhost/nas")

    def test_a_file_that_is_no_database(self, tmp_path: Path) -> None:
        (tmp_path / "nas.db").write_text("Dear diary, " * 100)
        with pytest.raises(StoreError, match=r"not a database - .*name another one"):
            Store(f"sqlite:///{tmp_path}/nas.db")
        assert (tmp_path / "nas.db").read_text().startswith("Dear diary, ")

    def test_a_damaged_file(self, tmp_path: Path) -> None:
        store = Store(f"sqlite:///{tmp_path}/nas.db")
        run = store.add_run("search", SEARCH).id
        store.close()
        whole = (tmp_path / "nas.db").read_bytes()
        (tmp_path / "nas.db").write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
        with pytest.raises(StoreError, match=r"malformed - .*restore a backup"):
            Store(f"sqlite:///{tmp_path}/nas.db").run(run)

    def test_a_file_that_may_only_be_read(self, tmp_path: Path) -> None:
        store = Store(f"sqlite:///{tmp_path}/nas.db")
        run = store.add_run("search", SEARCH)
        reader = Store(f"sqlite:///file:{tmp_path}/nas.db?mode=ro&uri=true")
        assert reader.run(run.id) == run
        with pytest.raises(StoreError, match=r"readonly database - .*the right to write"):
            reader.claim("anna", 60)
        reader.close()
        store.close()

    def test_a_full_disk_loses_nothing_and_can_be_cleared(self, tmp_path: Path) -> None:
        store = Store(f"sqlite:///{tmp_path}/nas.db")
        run = claimed(store).id
        store.begin("anna", job(run))
        before = snapshot(store, run)
        with store._database.reading() as connection:
            pages = connection.execute(text("PRAGMA page_count")).scalar_one()
            connection.execute(text(f"PRAGMA max_page_count = {pages}"))
        with pytest.raises(StoreError, match=r"full - .*free some space"):
            store.end("anna", 0, run, "failed", error="x" * 100_000)
        assert snapshot(store, run) == before
        with store._database.reading() as connection:
            connection.execute(text("PRAGMA max_page_count = 1000000"))
        assert store.end("anna", 0, run, "failed", error="x" * 100_000).state == "failed"
        store.close()

    def test_a_file_that_another_program_holds(self, tmp_path: Path) -> None:
        store = Store(f"sqlite:///{tmp_path}/nas.db?timeout=0.05")
        other = sqlite3.connect(tmp_path / "nas.db")
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="locked - another program holds it"):
            store.add_run("search", SEARCH)
        other.close()
        store.add_run("search", SEARCH)
        store.close()

    def test_a_new_file_that_another_program_is_about_to_write(self, tmp_path: Path) -> None:
        other = sqlite3.connect(tmp_path / "nas.db", isolation_level=None, check_same_thread=False)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="locked - another program holds it"):
            Store(f"sqlite:///{tmp_path}/nas.db?timeout=0.05")
        letting_go = threading.Timer(0.3, other.close)
        letting_go.start()
        Store(f"sqlite:///{tmp_path}/nas.db").close()
        letting_go.join()

    def test_a_path_with_odd_characters(self, tmp_path: Path) -> None:
        folder = tmp_path / "50% größer & more"
        folder.mkdir()
        Store(f"sqlite:///{folder}/nas.db").close()
        assert (folder / "nas.db").exists()
