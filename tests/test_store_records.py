"""What is stored comes back as it was, and is found; on SQLite and on PostgreSQL alike."""

import dataclasses
import json
import math
from pathlib import Path
from typing import Any, get_args

import pytest
from sqlalchemy import event

from nas import plugins
from nas.codec import encode
from nas.measurements import Latency, Measurement
from nas.networks.architecture import Images
from nas.networks.layers import Conv
from nas.networks.lowering import AnyArchitecture, lowered
from nas.networks.network import Network
from nas.records import Job, Progress, Run, TrialState
from nas.specs import BenchmarkSpec, ProxySpec, SearchSpec
from nas.store import NotFound, Store
from nas.store.text import restored, written
from tests.databases import Clock
from tests.stored import ARCHITECTURE, GROWTH, MEASUREMENT, SEARCH, claimed, job
from tests.test_architecture import b0

MEASURING = BenchmarkSpec(images=b0().images, architecture=b0(), devices=("cpu", "cuda"))
PROXY = ProxySpec(dataset="fashion_mnist", candidates=4)
MEASURED = Latency(
    device="cpu", median_ms=1.0, p95_ms=1.0, minimum_ms=1.0, spread=0.1, runs=10, fingerprint={"threads": "1"}
)


def as_json(record: object) -> str:
    """Tells 1 from 1.0 and from True, and shows the order of keys."""
    return json.dumps(encode(record))


def spelled_out(architecture: AnyArchitecture) -> Network:
    return Network(images=architecture.images, parts=lowered(architecture))


class TestRecords:
    @pytest.mark.parametrize(
        ("kind", "spec", "trials"),
        [("search", SEARCH, 3), ("growth", GROWTH, 2), ("benchmark", MEASURING, 2), ("proxy", PROXY, 8)],
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
        began = store.claims.begin("anna", job(run))
        assert (began.state, began.started_at, began.ended_at, began.measurement) == ("running", 1000.0, None, None)
        assert as_json(began.job) == as_json(job(run))
        assert second.trials(run) == [began]

        progress = Progress(run=run, number=0, phase="training", epoch=1, epochs=3, loss=0.5, images_per_second=900.0)
        store.claims.progress("anna", progress)
        assert second.trial(run, 0) == dataclasses.replace(began, progress=progress)

        clock.now += 5
        ended = store.claims.end("anna", 0, run, "done", MEASUREMENT, checkpoint_bytes=5_000_000_000)
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
            store.claims.begin("anna", job(run, number))
            measurement = MEASUREMENT if state in ("done", "refused") else None
            ended = store.claims.end("anna", number, run, state, measurement, error="why", checkpoint_bytes=1)
            assert (ended.state, ended.error, ended.finished) == (state, "why", number + 1)
            assert store.trials(run, state=state) == [ended]

    def test_weights_become_a_model(self, store: Store, clock: Clock) -> None:
        run = claimed(store).id
        for number in (2, 1, 0):
            store.claims.begin("anna", job(run, number))
            clock.now += 1
            weights = None if number == 1 else f"{number}" * 64
            measurement = dataclasses.replace(MEASUREMENT, weights=weights)
            store.claims.end("anna", number, run, "done", measurement, checkpoint_bytes=5_000_000_000)
        other = claimed(store).id
        newest, oldest = store.models(run)
        assert store.models() == [newest, oldest]
        assert store.models(other) == []
        assert (newest.id, newest.run, newest.number, newest.created_at) == (f"{run}-0", run, 0, 1003.0)
        assert (oldest.id, oldest.sha256, oldest.bytes) == (f"{run}-2", "2" * 64, 5_000_000_000)
        assert store.model(newest.id) == newest

    def test_weights_that_are_handed_on_are_no_model(self, store: Store) -> None:
        run = claimed(store).id
        store.claims.begin("anna", dataclasses.replace(job(run), handed_on=True))
        ended = store.claims.end("anna", 0, run, "done", MEASUREMENT, checkpoint_bytes=1)
        assert ended.measurement is not None
        assert ended.measurement.weights
        assert store.models(run) == []

    @pytest.mark.parametrize("space", plugins.names("search_spaces"))
    def test_networks_of_every_space_come_back(self, tmp_path: Path, space: str) -> None:
        store = Store(f"sqlite:///{tmp_path}/nas.db")
        run = claimed(store).id
        module, images = plugins.load("search_spaces", space), Images(resolution=128, classes=10)
        choices = {knob: values[-1] for knob, values in module.knobs(images).items()}
        architecture = module.architecture(choices, images)
        asked = dataclasses.replace(job(run), space=space, choices=choices, architecture=architecture)
        store.claims.begin("anna", asked)
        store.claims.begin("anna", dataclasses.replace(asked, number=1, architecture=spelled_out(architecture)))
        found, spelled = store.trials(run)
        assert (found.job, as_json(found.job)) == (asked, as_json(asked))
        assert spelled.job.architecture == spelled_out(architecture)
        assert as_json(spelled.job.architecture) == as_json(spelled_out(architecture))
        store.close()

    def test_a_number_or_a_pair_comes_back_as_either(self) -> None:
        for convolution in (Conv(8, (1, 7), stride=2), Conv(8, 3, stride=(2, 1))):
            assert restored(Conv, written(convolution)) == convolution

    @pytest.mark.parametrize(
        ("changes", "shared"),
        [
            ({}, True),
            ({"class_weights": {"cat": 2.0}}, False),
            ({"group": "}"}, False),
            ({"teacher": 'file:/a"}b\\'}, False),
            ({"teacher": "}}"}, False),
        ],
    )
    def test_the_recipe_that_many_trials_have_is_read_once(self, changes: dict[str, Any], shared: bool) -> None:
        """But where something in it could be changed, or looks like the end of it."""
        wanted = job("one")
        assert wanted.recipe
        wanted = dataclasses.replace(wanted, recipe=dataclasses.replace(wanted.recipe, **changes))
        one, other = (restored(Job, written(wanted), "recipe") for _ in range(2))
        assert one == other == wanted
        assert (one.recipe is other.recipe) == shared
        measuring = dataclasses.replace(wanted, dataset=None, recipe=None)
        assert restored(Job, written(measuring), "recipe") == measuring

    def test_equal_numbers_of_different_types_are_not_confused(self, store: Store) -> None:
        run = claimed(store).id
        for number, nothing in enumerate((0.0, 0, 0.0)):
            (stage, *_) = ARCHITECTURE.stages
            architecture = dataclasses.replace(ARCHITECTURE, stages=(dataclasses.replace(stage, se_ratio=nothing),))
            began = store.claims.begin("anna", dataclasses.replace(job(run, number), architecture=architecture))
            assert began.job.architecture.digest() == architecture.digest()

    def test_what_no_database_takes_as_text_is_kept_readable(self, store: Store) -> None:
        run = claimed(store).id
        store.claims.begin("anna", job(run))
        store.claims.progress("anna", Progress(run=run, number=0, phase="training", loss=math.nan))
        progress = store.trial(run, 0).progress
        assert progress is not None
        assert progress.loss is not None
        assert math.isnan(progress.loss)
        failed = store.claims.end("anna", 0, run, "failed", error="no \0 in \udcff, ☃", traceback="in \0\n\udcff")
        assert (failed.error, failed.traceback) == ("no � in ?, ☃", "in �\n?")
        assert store.trial(run, 0) == failed
        store.note(run, "odd", "\0\udcff☃")
        assert store.events(run)[-1].text == "�?☃"
        assert store.claims.release(run, "anna", "failed", "\0\udcff☃").error == "�?☃"

    def test_changing_a_value_changes_nothing_that_is_stored(self, store: Store) -> None:
        spec, handed_in = dataclasses.replace(SEARCH, options={"population": 8}), job("", 0)
        run = store.add_run("search", spec)
        assert isinstance(run.spec, SearchSpec)
        spec.options["population"] = 9
        run.spec.options["population"] = 10
        store.claims.claim("anna", 60)
        handed_in = job(run.id)
        began = store.claims.begin("anna", handed_in)
        handed_in.choices["stage1.op"] = "mbconv"
        began.job.choices["stage1.op"] = "fused"
        for trial in store.trials(run.id) + store.trials(run.id):
            assert trial.job.choices["stage1.op"] == "conv"
            trial.job.choices["stage1.op"] = "fused"
        plain = dataclasses.replace(MEASUREMENT.latencies["cpu"], fingerprint={})
        measurement = dataclasses.replace(MEASUREMENT, latencies={"cpu": plain})
        ended = store.claims.end("anna", 0, run.id, "done", measurement, checkpoint_bytes=1)
        assert ended.measurement is not None
        ended.measurement.latencies["cpu"].fingerprint["threads"] = "64"
        ended.measurement.latencies.clear()
        for _ in range(2):
            found = store.run(run.id).spec
            assert found == dataclasses.replace(SEARCH, options={"population": 8})
            assert isinstance(found, SearchSpec)
            found.options["population"] = 11
            found.knobs.clear()
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
            store.claims.end("anna", 1, run, "failed")

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

    def test_runs_of_a_kind_come_in_pages_of_their_own(self, store: Store) -> None:
        growths: list[Run] = []
        for _ in range(3):
            store.add_run("search", SEARCH)
            growths.insert(0, store.add_run("growth", GROWTH))
            store.add_run("search", SEARCH)
        assert store.runs(limit=2, kind="growth") == growths[:2]
        assert store.runs(limit=2, before=growths[1].id, kind="growth") == growths[2:]
        assert store.runs(kind="proxy") == []

    def test_models_come_newest_first_in_pages(self, store: Store) -> None:
        runs = [claimed(store).id for _ in range(2)]
        for run in runs:
            for number in (1, 0, 2):
                store.claims.begin("anna", job(run, number))
                store.claims.end("anna", number, run, "done", MEASUREMENT, checkpoint_bytes=1)
        whole = store.models()
        assert [model.number for model in whole] == [2, 2, 1, 1, 0, 0], "all at the same moment"
        pages = [store.models(limit=2), *(store.models(limit=2, before=whole[last].id) for last in (1, 3))]
        assert [model for page in pages for model in page] == whole
        assert store.models(before=whole[5].id) == []
        own = store.models(runs[0])
        assert store.models(runs[0], limit=9, before=own[0].id) == own[1:]
        with pytest.raises(NotFound, match="no model 'nope-1'"):
            store.models(before="nope-1")

    def test_trials_come_by_number_in_pages(self, store: Store) -> None:
        run, other = claimed(store).id, claimed(store).id
        store.claims.begin("anna", job(other))
        for number in (2, 0, 3, 1, 4):
            store.claims.begin("anna", job(run, number))
        store.claims.end("anna", 3, run, "cancelled")
        store.claims.end("anna", 1, run, "cancelled")

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
            store.claims.begin("anna", job(run, number))
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
        store.claims.begin("anna", job(run))
        store.claims.end("anna", 0, run, "failed", error="out of memory")
        store.note(run, "hello", "there")
        store.claims.release(run, "anna", "failed", "disk full")
        events = store.events(run)
        assert [(entry.kind, entry.text) for entry in events] == [
            ("added", "search added, 3 trials"),
            ("claimed", "begun by coordinator anna"),
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
        latencies = {device: dataclasses.replace(MEASURED, device=device) for device in devices}
        store.claims.begin("anna", job(run, number))
        store.claims.end("anna", number, run, "done", Measurement(params=1, mult_adds=1, latencies=latencies))

    def test_it_is_found_by_its_device_and_time(self, store: Store, clock: Clock) -> None:
        first, second = claimed(store, seconds=1e6), claimed(store, seconds=1e6)
        devices = [("cpu_eager",), ("cpuxeager",), ("cpu", "cpu_eager"), ("cpu_eager:threads=2",), ("cpu_eager",)]
        for number, names in enumerate(devices):
            self.ended(store, (first if number % 2 else second).id, number, *names)
            clock.now += 10
        store.claims.begin("anna", job(first.id, 9))
        store.claims.end("anna", 9, first.id, "failed", error="no latency")
        found = store.measured("cpu_eager", clock.now)
        assert [latency.device for _, latency in found] == ["cpu_eager"] * 3
        assert {architecture for architecture, _ in found} == {job("x").architecture}
        assert len(store.measured("cpu_eager", clock.now - 10)) == 2, "what ended before, not at that moment"
        assert len(store.measured("cpu_eager", clock.now, limit=1)) == 1
        assert store.measured("cpu_eager:threads=4", clock.now) == []
        elsewhere = store.measured_elsewhere("cpu_eager", clock.now)
        assert {device: len(some) for device, some in elsewhere.items()} == {
            "cpuxeager": 1, "cpu": 1, "cpu_eager:threads=2": 1,
        }  # fmt: skip
        assert store.measured_elsewhere("cpu_eager", clock.now - 40) == {}, "of what ended before"
