"""Databases of earlier versions are brought up to date; on SQLite and on PostgreSQL alike."""

import json
import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import column, insert, select, table, text

from nas.measurements import Measurement
from nas.records import Job, Progress
from nas.specs import BenchmarkSpec, GrowthSpec, ProxySpec, SearchSpec
from nas.store import Store, StoreError
from nas.store.database import _engine, _parsed
from nas.store.tables import AGENT, ERRAND
from tests.test_drive import driven
from tests.test_plans import timed

Rows = dict[str, list[dict[str, Any]]]

# As version 0003 wrote them: a search that ran on two devices, with a trial that is done, one refused, one failed and
# one under way; a family, whose trial has the fields of an earlier version still; a benchmark, a proxy that was paused
# and a search that waits.
STORED: Rows = json.loads(Path(__file__).with_name("stored_by_0003.json").read_text())
RUNNING, FAMILY, BENCHMARK, PROXY, WAITING = (row["id"] for row in STORED["run"])
KILLED = 9
PIXELS = r"\"crop_pixels\":2,\"cutout_pixels\":7"


def holding(url: str, rows: Rows, revision: str) -> None:
    """Make a database as the version with that last migration did, with these rows in it."""
    config = Config()
    config.set_main_option("script_location", "nas.store:migrations")
    engine = _engine(_parsed(url))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        for name, its in rows.items():
            connection.execute(insert(table(name, *map(column, its[0]))), its)
    engine.dispose()


def held(url: str) -> tuple[str, Rows]:
    """The version of a database, and the rows in it of the tables that are in STORED."""
    engine = _engine(_parsed(url))
    with engine.begin() as connection:
        revision = connection.scalars(text("SELECT version_num FROM alembic_version")).one()
        rows = {
            name: [dict(row._mapping) for row in connection.execute(select(table(name, *map(column, its[0]))))]
            for name, its in STORED.items()
        }
    engine.dispose()
    return revision, rows


@pytest.fixture
def earlier(database_url: str) -> str:
    """The URL of a database of version 0003."""
    holding(database_url, STORED, "0003")
    assert held(database_url) == ("0003", STORED)
    return database_url


def test_every_run_has_its_devices_and_its_new_words(earlier: str) -> None:
    store = Store(earlier)
    runs = {run.id: run for run in store.runs()}
    assert [runs[name].kind for name in (RUNNING, FAMILY, BENCHMARK, PROXY, WAITING)] == [
        "search",
        "growth",
        "benchmark",
        "proxy",
        "search",
    ]
    assert {name: run.spec.devices for name, run in runs.items()} == {
        RUNNING: ("cpu", "cpu_eager:threads=2"),
        FAMILY: ("cpu:threads=2",),
        BENCHMARK: ("cpu", "cuda"),
        PROXY: ("cpu_eager",),
        WAITING: ("cpu",),
    }
    measuring = runs[BENCHMARK].spec
    assert isinstance(measuring, BenchmarkSpec)
    assert measuring.published == "MnasNet-A1"
    with store._database.reading() as connection:
        assert connection.execute(select(ERRAND)).all() == [], "nobody waits for their answers any more"
        assert len(connection.execute(select(AGENT)).all()) == 1
    store.close()


def test_every_trial_has_its_latencies_by_device(earlier: str) -> None:
    store = Store(earlier)
    done, refused, failed, running = store.trials(RUNNING)
    assert {trial.job.devices for trial in (done, refused, failed, running)} == {("cpu", "cpu_eager:threads=2")}
    assert done.measurement is not None
    assert [(name, each.median_ms, each.yardstick_ms) for name, each in done.measurement.latencies.items()] == [
        ("cpu", 0.41, 0.05),
        ("cpu_eager:threads=2", 1.5, 0.05),
    ]
    assert [each.error_ms for each in done.measurement.latencies.values()] == [None, pytest.approx(0.031 * 1.5)]
    assert (done.measurement.accuracy, done.measurement.weights) == (0.87, "ab" * 32)
    assert refused.measurement is not None
    assert list(refused.measurement.latencies) == ["cpu"]
    assert failed.measurement is running.measurement is None
    assert running.progress is not None
    (grown,) = store.trials(FAMILY)
    assert grown.measurement is not None
    assert grown.job.devices == ("cpu:threads=2",)
    assert {name: each.yardstick_ms for name, each in grown.measurement.latencies.items()} == {"cpu:threads=2": None}
    here, absent = store.trials(BENCHMARK)
    assert (here.job.devices, absent.job.devices) == (("cpu",), ("cuda",))
    assert here.measurement is not None
    assert here.measurement.cost("latency_ms", "cpu") == 0.42
    (cheap,) = store.trials(PROXY)
    assert cheap.measurement is not None
    assert cheap.measurement.scores["zen"].value == 1.5
    assert len(store.measured("cpu", before=2e9)) == 3
    store.close()


def test_pixels_in_recipes_are_parts_of_an_image_s_sides(database_url: str) -> None:
    """Of the architecture's, or the search's, or else of 32; none stays none."""
    spelled = json.dumps(STORED).replace(r"\"crop_pixels\":0,\"cutout_pixels\":0", PIXELS)
    assert PIXELS in spelled
    holding(database_url, json.loads(spelled), "0003")
    store = Store(database_url)
    runs = {run.id: run.spec for run in store.runs()}
    family, waiting, proxy = runs[FAMILY], runs[WAITING], runs[PROXY]
    assert isinstance(family, GrowthSpec)
    assert isinstance(waiting, SearchSpec)
    assert isinstance(proxy, ProxySpec)
    assert (family.recipe.shift, family.recipe.cutout) == (2 / 28, 7 / 28)
    assert (waiting.resolution, waiting.recipe.shift, waiting.recipe.cutout) == (None, 2 / 32, 7 / 32)
    assert {recipe.cutout for recipe in (proxy.cheap, proxy.dear)} == {7 / 32}
    for trial in store.trials(RUNNING) + store.trials(FAMILY):
        assert trial.job.recipe is not None
        assert trial.job.recipe.shift * trial.job.architecture.images.resolution == 2
    store.close()


def test_a_search_that_ran_goes_on_from_its_trials(earlier: str) -> None:
    store = Store(earlier)
    before = store.trials(RUNNING)
    jobs: list[Job] = []

    def evaluate(job: Job, report: Callable[[Progress], None]) -> Measurement:
        jobs.append(job)
        return timed(job)

    left = driven(store, evaluate)
    assert left is not None
    assert (left.id, left.state) == (RUNNING, "finished")
    after = store.trials(RUNNING)
    assert [job.number for job in jobs] == [3, 4, 5]
    assert jobs[0] == before[3].job, "what was under way is evaluated from its row"
    assert after[:3] == before[:3]
    assert [trial.state for trial in after[3:]] == ["done"] * 3
    assert {trial.job.devices for trial in after} == {("cpu", "cpu_eager:threads=2")}
    store.close()


def test_a_migration_that_is_killed_has_changed_nothing_and_is_done_again(earlier: str) -> None:
    for texts in (0, 3, 9):  # of 5 runs and 8 trials
        program = multiprocessing.get_context("spawn").Process(target=_migrate_until_killed, args=(earlier, texts))
        program.start()
        program.join()
        assert program.exitcode == KILLED
        assert held(earlier) == ("0003", STORED)
    store = Store(earlier)
    assert len(store.trials(RUNNING)) == 4
    store.close()


def _migrate_until_killed(url: str, texts: int) -> None:
    written, left = json.dumps, texts

    def dying(*arguments: Any, **more: Any) -> str:
        nonlocal left
        left -= 1
        if left < 0:
            os._exit(KILLED)
        return written(*arguments, **more)

    json.dumps = dying
    Store(url)


def test_a_damaged_row_is_named_and_nothing_is_changed(earlier: str) -> None:
    damage, repair = (
        text("UPDATE trial SET job = :job WHERE run = :run AND number = 1").bindparams(job=job, run=RUNNING)
        for job in ("{", STORED["trial"][1]["job"])
    )
    engine = _engine(_parsed(earlier))
    with engine.begin() as connection:
        connection.execute(damage)
    with pytest.raises(StoreError, match=rf"cannot be brought up to date: the trial {RUNNING}, 1 is damaged.*backup"):
        Store(earlier)
    with engine.begin() as connection:
        connection.execute(repair)
    engine.dispose()
    assert sorted(map(str, held(earlier)[1]["trial"])) == sorted(map(str, STORED["trial"]))
    Store(earlier).close()


def test_many_rows_are_rewritten_a_part_at_a_time(database_url: str) -> None:
    trial = next(row for row in STORED["trial"] if row["run"] == FAMILY)
    many = [trial | {"number": number, "finished": number + 1} for number in range(1203)]
    holding(database_url, {"run": STORED["run"], "trial": many}, "0003")
    store = Store(database_url)
    assert len(store.measured("cpu", before=2e9)) == 0
    assert {trial.job.devices for trial in store.trials(FAMILY)} == {("cpu:threads=2",)}
    store.close()


def test_what_runs_of_the_first_version_spent_is_what_is_known_of_it(database_url: str) -> None:
    later = {"reason", "worked_seconds", "renewed_at", "compute_seconds"}
    rows = {
        name: [{key: value for key, value in row.items() if key not in later} for row in STORED[name]]
        for name in ("run", "trial")
    }
    for name, times in (
        ("run", {"started_at": 1000.0, "ended_at": 1042.0}),
        ("trial", {"started_at": 1000.0, "ended_at": 1040.0}),
    ):
        next(row for row in rows[name] if FAMILY in (row.get("id"), row.get("run"))).update(times)
    holding(database_url, rows, "0001")
    store = Store(database_url)
    assert (store.run(FAMILY).worked_seconds, store.trial(FAMILY, 0).compute_seconds) == (42, 40)
    assert store.run(WAITING).worked_seconds == 0
    store.close()


def test_runs_and_events_from_before_there_were_owners_have_none(database_url: str) -> None:
    event = {"run": WAITING, "at": 1000.0, "kind": "added", "text": "search added, 8 trials"}
    holding(database_url, {"run": STORED["run"], "event": [event]}, "0003")
    store = Store(database_url)
    assert {run.submitted_by for run in store.runs()} == {None}
    store.wish(WAITING, "pause", by="anna")
    assert [(event.text, event.by) for event in store.events(WAITING)] == [
        ("search added, 8 trials", None),
        ("pause wished for", "anna"),
    ]
    store.close()


def test_trials_from_before_there_were_tracebacks_have_none(earlier: str) -> None:
    store = Store(earlier)
    assert {trial.traceback for run in store.runs() for trial in store.trials(run.id)} == {None}
    store.close()
