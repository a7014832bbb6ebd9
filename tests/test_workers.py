"""Real Ray, real coordinators, and what is left when they are killed."""

import contextlib
import dataclasses
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from PIL import Image

import nas.searchers
from api.views import proxy
from nas import datasets, home
from nas.datasets import ImageSet
from nas.measurements import Measurement
from nas.metering import history
from nas.models import checkpoint
from nas.networks.architecture import Choice, Images
from nas.objective import Objective
from nas.plans import Plan, plan_for
from nas.plans.search import SearchPlan
from nas.ray_folder import _running_in
from nas.recipes import Recipe
from nas.records import Job, Progress, Run
from nas.roots import Outside, Roots
from nas.specs import BenchmarkSpec, ProxySpec, SearchSpec
from nas.store import Store, StoreError
from tests.test_plans import INHERITING, measured
from tests.test_records import LATENCY
from tests.waiting import PATIENCE_SECONDS, eventually
from workers.coordinator import _tidy, coordinate
from workers.drive import LEASE_SECONDS, EvaluationFailed, drive
from workers.pool import RayPool, _evaluate, _Evaluation, _Failure, _settle, share
from workers.slots import Line, Slot

# Ray's own sockets and files are left to the garbage collector when it shuts down.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

IMAGES = Images(resolution=24, channels=3, classes=2)
NARROW: dict[str, tuple[Choice, ...]] = {f"stage{stage}.op": ("conv",) for stage in (1, 2, 3)}
NARROW |= {f"stage{stage}.repeats": (1,) for stage in (1, 2, 3)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Reddish and bluish noise, 60 images of each: enough bytes for Ray not to send them along with the task."""
    place = tmp_path_factory.mktemp("images")
    draw = np.random.default_rng(0)
    for name, tint in (("red", (90, 0, 0)), ("blue", (0, 0, 90))):
        (place / name).mkdir()
        for number in range(60):
            pixels = (draw.integers(0, 120, (24, 24, 3)) + np.array(tint)).astype(np.uint8)
            Image.fromarray(pixels).save(place / name / f"{number}.png")
    return place


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    place = tmp_path_factory.mktemp("home")
    before = os.environ.get("NAS_HOME")
    os.environ["NAS_HOME"] = str(place)
    yield place
    if before is None:
        del os.environ["NAS_HOME"]
    else:
        os.environ["NAS_HOME"] = before


@pytest.fixture(scope="module")
def pool(state: Path) -> Iterator[RayPool]:
    with contextlib.closing(RayPool()) as started:
        yield started


@pytest.fixture
def store(state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setenv("NAS_DATABASE", f"sqlite:///{tmp_path}/nas.db")
    opened = Store(home.database_url())
    yield opened
    opened.close()


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="reads what is listened at in /proc, which Linux has")
def test_ray_is_reached_from_this_machine_alone_and_with_its_token(pool: RayPool) -> None:
    """And its sockets in the file system by this user."""
    assert pool._folder is not None
    assert pool._folder.path.stat().st_mode & 0o777 == 0o700
    own = {os.getpid(), *_running_in(pool._folder.path)}
    assert len(own) > 3, "head, raylet and what they start"
    addresses = {address for process in own for address in listening(process)}
    assert addresses, "it listens somewhere"
    assert addresses <= {"0100007F", "0000000000000000FFFF00000100007F"}, "127.0.0.1 is 0100007F there"
    code = f"import workers, ray; ray.init({pool._head!r}, log_to_driver=False); print('in')"
    for token in ({}, {"RAY_AUTH_TOKEN": "0" * 64}):
        environment = {**os.environ, "HOME": str(pool._folder.path), **token}
        if not token:
            del environment["RAY_AUTH_TOKEN"]
        ran = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
        assert (ran.returncode, ran.stdout) == (1, ""), ran.stderr
        assert "oken" in ran.stderr


def listening(process: int) -> set[str]:
    """The addresses, in hexadecimal, at which a process listens."""
    sockets = {}
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            _, local, _, state, *_, inode, _ = [*line.split()[:10], ""]
            if state == "0A":
                sockets[f"socket:[{inode}]"] = local.partition(":")[0]
    addresses = set()
    with contextlib.suppress(OSError):  # it has ended
        for file in Path(f"/proc/{process}/fd").iterdir():
            with contextlib.suppress(OSError):
                addresses.add(sockets.get(os.readlink(file), ""))
    return addresses - {""}


def test_images_too_many_for_the_object_store_are_left_to_the_evaluation(
    folder: Path, state: Path, store: Store, pool: RayPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It maps them from the cache, which they are decoded into before."""
    monkeypatch.setattr("workers.shelf.MOST_BYTES", 120 * 24 * 24 * 3 - 1)
    run = store.add_run("search", spec(folder))
    with pool.workplace(run) as place:
        assert place.load(f"folder:{folder}", 24).result().object_ref is None
        (made,) = (path for path in (state / "datasets" / "folder").iterdir() if path.is_dir())
        assert (made / "train_images.npy").stat().st_size > 100_000
        monkeypatch.setattr("workers.shelf.MOST_BYTES", 2**30)
        assert place.load(f"folder:{folder}", 24).result().object_ref is None, "it is found out once for a run"
    with pool.workplace(run) as place:
        assert place.load(f"folder:{folder}", 24).result().object_ref is not None


def test_runs_that_began_with_the_same_images_share_them(store: Store, pool: RayPool, folder: Path) -> None:
    name = f"folder:{folder}"
    info = datasets.describe(name, home.folder("datasets"))
    run, same = (store.add_run("search", spec(folder, contents=info)) for _ in range(2))
    grown = store.add_run("search", spec(folder, contents=dataclasses.replace(info, digest="another")))
    with pool.workplace(run) as one, pool.workplace(same) as two, pool.workplace(grown) as three:
        loaded = [place.load(name, 24).result().object_ref for place in (one, two, three, one)]
        assert loaded[0] == loaded[1] == loaded[3]
        assert loaded[2] != loaded[0]
        for resolution in (8, 9, 10, 11, 12):
            three.load(name, resolution).result()
        assert one.load(name, 24).result().object_ref == loaded[0], "two for each of three runs are kept"
    assert pool.shelf.kept == 2, "no more than a single run wants"


def spec(folder: Path, **changes: object) -> SearchSpec:
    plain = SearchSpec(
        dataset=f"folder:{folder}",
        searcher="random",
        knobs=NARROW,
        objective=Objective(cost="latency_ms", target=1.0),
        recipe=Recipe(epochs=2, batch=16),
        trials=3,
        parallel=2,
    )
    return dataclasses.replace(plain, **changes)  # type: ignore[arg-type]


def with_ray(store: Store, pool: RayPool, run: Run, function: Callable[..., Measurement]) -> Run:
    claimed = store.claims.claim("me", 60)
    assert claimed is not None
    assert claimed.id == run.id
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pool, "function", function)
        with pool.workplace(claimed) as place:
            left = drive(store, "me", claimed, plan_for(claimed, IMAGES), place, place.inbox)
    assert left is not None
    return left


def test_machines_begin_with_what_all_have_seen_of_their_kind(
    store: Store, pool: RayPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An evaluation finds in its machine's home what was in the database when it began."""
    store.yardsticks.keep([dataclasses.replace(LATENCY, device="cpu:threads=2", yardstick="3 of ab", yardstick_ms=0.5)])
    (way,) = (each.way for each in store.yardsticks.known())

    def knowing(*_: object, **__: object) -> Measurement:
        return Measurement(params=round(1000 * min(9.0, history.known(way))), mult_adds=1)

    monkeypatch.setattr(pool, "function", knowing)
    for devices, params in ((("cpu",), 9000), (("cpu:batch=1,threads=2",), 500)):
        run = store.add_run("benchmark", BenchmarkSpec(images=IMAGES, knobs=NARROW, networks=1, devices=devices))
        coordinate(store, pool, threading.Event(), once=True)
        measurement = store.trial(run.id, 0).measurement
        assert measurement is not None
        assert measurement.params == params, devices


def test_images_outside_of_the_roots_are_not_read(
    store: Store, pool: RayPool, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever has written the run down, and wherever its images are read: here, or in an evaluation where they are too
    many for the object store."""
    monkeypatch.setattr(pool, "roots", Roots.named([str(tmp_path)]))
    run = store.add_run("search", spec(folder))
    coordinate(store, pool, threading.Event(), once=True)
    assert store.run(run.id).state == "failed"
    assert str(Outside(str(folder))) in str(store.run(run.id).error)
    with pool.workplace(run) as place, pytest.raises(Outside):
        place.load(f"folder:{folder}", 24).result()
    job = plan_for(run, IMAGES).ask(0)
    failure = cast(Any, _evaluate)._function(lambda *_, images: images, job, print, None, pool.roots)
    assert failure.text == f"Outside: {Outside(str(folder))}"
    monkeypatch.setattr(pool, "roots", Roots.named([str(folder)]))
    with pool.workplace(run) as place:
        assert place.load(f"folder:{folder}", 24).result().object_ref is not None


@pytest.mark.parametrize("save_weights", [False, True])
def test_weights_of_lower_rungs_are_gone_when_the_search_has_ended(store: Store, save_weights: bool) -> None:
    climb = dataclasses.replace(INHERITING, confirm=0, save_weights=save_weights)
    run = store.add_run("search", climb)
    claimed = store.claims.claim("anna", LEASE_SECONDS)
    assert claimed is not None
    plan, paths = plan_for(run, Images(resolution=28, channels=1, classes=10)), dict[int, Path]()
    for number in range(7):
        job = plan.ask(number)
        assert job is not None
        store.claims.begin("anna", job)
        paths[job.rung or 0] = path = checkpoint.artifact(f"{number}" * 64)
        path.write_bytes(b"weights")
        weights = path.stem if job.save_weights else None
        measurement = dataclasses.replace(measured(job), weights=weights)
        store.claims.end("anna", number, run.id, "done", measurement, checkpoint_bytes=7)
        plan.tell(job, measurement)
    assert sorted(paths) == [0, 1, 2]
    _tidy(store, store.claims.release(run.id, "anna", "finished"))
    assert [paths[rung].exists() for rung in range(3)] == [save_weights, save_weights, True]
    assert len(store.models(run.id)) == (7 if save_weights else 0)


def test_a_search_of_a_folder_is_evaluated_by_ray(store: Store, pool: RayPool, folder: Path) -> None:
    from nas.evaluate import evaluate

    run = store.add_run("search", spec(folder, save_weights=True))
    assert with_ray(store, pool, run, evaluate).state == "finished"
    for trial in store.trials(run.id):
        assert trial.measurement is not None, trial.error
        assert trial.measurement.accuracy is not None
        assert trial.measurement.latencies["cpu"].median_ms > 0
        assert trial.compute_seconds == trial.measurement.seconds  # of one processor
        assert (home.folder("artifacts") / f"{trial.measurement.weights}.safetensors").stat().st_size > 0
    assert len(store.models(run.id)) == 3
    assert not list(home.folder("resume").iterdir())


def test_measurements_and_proxies_are_done_by_workers(
    store: Store, pool: RayPool, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    measuring = store.add_run(
        "benchmark",
        BenchmarkSpec(images=IMAGES, knobs=NARROW, networks=2, devices=("cpu_eager", "cuda"), parallel=2),
    )
    cheap = Recipe(epochs=1, batch=16)
    comparing = store.add_run(
        "proxy",
        ProxySpec(
            dataset=f"folder:{folder}",
            knobs=NARROW,
            candidates=4,
            cheap=cheap,
            dear=dataclasses.replace(cheap, epochs=2),
            devices=("cpu_eager",),
        ),
    )
    coordinate(store, pool, threading.Event(), once=True)
    assert store.run(measuring.id).state == store.run(comparing.id).state == "finished"
    trials = store.trials(measuring.id)
    assert [trial.state for trial in trials] == ["done", "failed", "done", "failed"]
    assert "device 'cuda'" in (trials[1].error or "")
    assert all(trial.measurement and trial.measurement.latencies for trial in trials[::2])
    shown = proxy.view(store.run(comparing.id), store.trials(comparing.id)).report
    assert shown is not None
    assert shown.failed == ()
    assert shown.orderings is not None
    names = ["cheap recipe", "multiply-adds", "parameters", "naswot", "swap", "synflow", "zen"]
    assert [row.name for row in shown.orderings] == names


def looking(job: Job, report: Callable[[Progress], None], images: ImageSet) -> Measurement:
    array = images.train_images
    assert not array.flags.owndata, "the images were copied"
    assert not array.flags.writeable, "the images are not shared"
    report(Progress(run=job.run, number=job.number, phase="training", epoch=3, epochs=4))
    eventually(arrived(job.run, job.number).exists)
    return measured(job)


def arrived(run: str, number: int) -> Path:
    """A file that is there once the trial's progress is in the store."""
    return home.folder("resume") / f"arrived-{run}-{number}"


def test_images_are_read_without_a_copy_and_progress_arrives(
    store: Store, pool: RayPool, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = store.claims.progress

    def written(owner: str, progress: Progress) -> None:
        write(owner, progress)
        arrived(progress.run, progress.number).touch()

    monkeypatch.setattr(store.claims, "progress", written)
    run = store.add_run("search", spec(folder, trials=2))
    assert with_ray(store, pool, run, looking).state == "finished"
    for trial in store.trials(run.id):
        assert trial.error is None
        assert trial.progress is not None
        assert (trial.progress.epoch, trial.progress.epochs) == (3, 4)
        arrived(run.id, trial.number).unlink()


def failing(job: Job, report: Callable[[Progress], None], images: ImageSet) -> Measurement:
    if job.number == 0:
        raise ArithmeticError("no such luck")
    return measured(job)


def test_what_an_evaluation_raises_is_the_trials_error_in_one_line(store: Store, pool: RayPool, folder: Path) -> None:
    run = store.add_run("search", spec(folder, trials=2))
    assert with_ray(store, pool, run, failing).state == "finished"
    failed, done = store.trials(run.id)
    assert failed.error == "ArithmeticError: no such luck"
    assert failed.compute_seconds is not None
    assert failed.ended_at is not None
    assert 0 < failed.compute_seconds < failed.ended_at - failed.started_at  # the way there and back is not counted
    assert done.state == "done"


def dying_once(job: Job, report: Callable[[Progress], None], images: ImageSet) -> Measurement:
    mark = home.folder("resume") / f"died-{job.run}-{job.number}"
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    mark.unlink()
    return measured(job)


def test_an_evaluation_whose_process_is_killed_is_evaluated_again(store: Store, pool: RayPool, folder: Path) -> None:
    run = store.add_run("search", spec(folder, trials=1))
    assert with_ray(store, pool, run, dying_once).state == "finished"
    assert store.trial(run.id, 0).state == "done"


def counting(job: Job, report: Callable[[Progress], None], images: ImageSet) -> Measurement:
    return dataclasses.replace(measured(job), seconds=float(len(images.train_images)))


def test_images_added_between_two_runs_are_seen(store: Store, pool: RayPool, tmp_path: Path) -> None:
    def images(first: int, last: int) -> None:
        for name in ("left", "right"):
            (tmp_path / "own" / name).mkdir(parents=True, exist_ok=True)
            for number in range(first, last):
                pixels = np.full((24, 24, 3), number, np.uint8)
                Image.fromarray(pixels).save(tmp_path / "own" / name / f"{number}.png")

    seen = []
    for first, last in ((0, 10), (10, 20)):
        images(first, last)
        run = store.add_run("search", spec(tmp_path / "own", trials=1))
        assert with_ray(store, pool, run, counting).state == "finished"
        measurement = store.trial(run.id, 0).measurement
        assert measurement is not None
        seen.append(measurement.seconds)
    assert seen == [18, 36]


def test_images_that_cannot_be_loaded_fail_the_trials_and_not_the_loop(store: Store, pool: RayPool) -> None:
    run = store.add_run("search", spec(Path("/nowhere/at/all"), trials=2))
    assert with_ray(store, pool, run, counting).state == "failed"
    assert {trial.state for trial in store.trials(run.id)} == {"failed"}
    assert "DatasetError" in (store.trial(run.id, 0).error or "")
    assert "/nowhere/at/all" in (store.trial(run.id, 0).error or "")


def test_a_searcher_that_breaks_is_named_by_the_run_that_it_ends(
    store: Store, pool: RayPool, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_breaking.py").write_text(
        "class Searcher:\n"
        "    def __init__(self, problem, *, seed): ...\n"
        "    def ask(self, number, pending=None, *, attempt=0):\n"
        "        return {}['nope']\n"
        "    def tell(self, choices, outcome): ...\n"
    )
    monkeypatch.setattr(nas.searchers, "__path__", [*nas.searchers.__path__, str(tmp_path)])
    run = store.add_run("search", spec(folder, trials=1, searcher="own_breaking"))
    coordinate(store, pool, threading.Event(), once=True)
    error = "searcher 'own_breaking' raises KeyError: 'nope' (own_breaking.py:4)"
    assert (store.run(run.id).state, store.run(run.id).error) == ("failed", error)


def test_a_plan_that_breaks_ends_its_run_and_not_the_coordinator(
    store: Store, pool: RayPool, folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from workers import coordinator

    class Broken(SearchPlan):
        def ask(self, number: int) -> Job | None:
            raise ZeroDivisionError("by nothing")

    def first_broken(run: Run, images: Images, *known: object) -> Plan:
        assert isinstance(run.spec, SearchSpec)
        return (Broken if run.id == broken.id else SearchPlan)(run.id, run.spec, run.trials, images)

    monkeypatch.setattr(coordinator, "plan_for", first_broken)
    monkeypatch.setattr(pool, "function", counting)
    broken = store.add_run("search", spec(folder, trials=1))
    whole = store.add_run("search", spec(folder, trials=1))
    coordinator.coordinate(store, pool, threading.Event(), once=True)
    assert store.run(broken.id).state == "failed"
    assert store.run(broken.id).error == "ZeroDivisionError: by nothing"
    assert store.run(whole.id).state == "finished"
    assert "Traceback" in caplog.text


def test_a_coordinator_waits_while_the_database_is_away(
    store: Store, pool: RayPool, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from workers import coordinator

    monkeypatch.setattr(pool, "function", counting)
    away: dict[str, int] = dict.fromkeys(("claim", "begin", "end", "release"), 2)

    def sometimes(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def called(*args: Any, **kwargs: Any) -> Any:
            if away[name]:
                away[name] -= 1
                raise StoreError("the connection was closed")
            return method(*args, **kwargs)

        return called

    for name in away:
        monkeypatch.setattr(store.claims, name, sometimes(name, getattr(store.claims, name)))
    monkeypatch.setattr(coordinator, "SHORTEST_PAUSE_SECONDS", 0.01)
    run = store.add_run("search", spec(folder, trials=2))
    coordinator.coordinate(store, pool, threading.Event(), once=True)
    assert store.run(run.id).state == "finished"
    assert [trial.state for trial in store.trials(run.id)] == ["done", "done"]
    assert not any(away.values())


def waiting(job: Job, report: Callable[[Progress], None], images: ImageSet) -> Measurement:
    eventually((home.folder("resume") / "all-asked").exists)
    return measured(job)


def test_runs_are_driven_side_by_side(
    store: Store, pool: RayPool, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run of many trials holds up nobody, also where it fills the machine."""
    asked, ask = home.folder("resume") / "all-asked", pool.slots.ask
    begun: list[float] = []

    def seen(line: Line, size: float, begin: Callable[[], object]) -> Slot:
        def noted() -> None:
            begun.append(line.own.weight)
            begin()

        slot = ask(line, size, noted)
        if line.own.weight == few.spec.priority:
            asked.touch()
        return slot

    monkeypatch.setattr(pool.slots, "_room", lambda: 2.0)
    monkeypatch.setattr(pool.slots, "ask", seen)
    monkeypatch.setattr(pool, "function", waiting)
    many = store.add_run("search", spec(folder, trials=12, parallel=64))
    few = store.add_run("search", spec(folder, trials=1, priority=2))
    coordinate(store, pool, threading.Event(), once=True)
    asked.unlink()
    assert [store.run(run.id).state for run in (many, few)] == ["finished", "finished"]
    assert len(begun) == 13
    assert begun.index(few.spec.priority) < 6, "before most of those that were there before"


@contextlib.contextmanager
def beside(work: Callable[[], None]) -> Iterator[None]:
    """What happens meanwhile, to trials that are `waiting` until it has."""
    asked = home.folder("resume") / "all-asked"

    def worked() -> None:
        try:
            work()
        finally:
            asked.touch()

    thread = threading.Thread(target=worked)
    thread.start()
    yield
    thread.join()
    asked.unlink()


def test_what_waits_for_a_processor_does_not_begin_in_a_run_that_is_paused(
    store: Store, pool: RayPool, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool.slots, "_room", lambda: 1.0)
    monkeypatch.setattr(pool, "function", waiting)
    run = store.add_run("search", spec(folder, trials=4, parallel=3))

    def paused() -> None:
        eventually(lambda: len(pool.slots._waiting) == 2)
        store.wish(run.id, "pause")
        eventually(lambda: not pool.slots._waiting)

    with beside(paused):
        coordinate(store, pool, threading.Event(), once=True)
    assert store.run(run.id).state == "paused"
    assert [trial.state for trial in store.trials(run.id)] == ["done", "running", "running"]
    store.wish(run.id, "run")
    monkeypatch.setattr(pool, "function", counting)
    coordinate(store, pool, threading.Event(), once=True)
    assert [trial.state for trial in store.trials(run.id)] == ["done"] * 4


def test_a_run_whose_images_change_on_the_way_is_paused_before_its_next_trials(
    store: Store, pool: RayPool, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "own"
    shutil.copytree(folder, own)
    shutil.copytree(folder / "red", own / "rose")
    contents = datasets.describe(f"folder:{own}", home.folder("datasets"))
    run = store.add_run("search", spec(own, trials=3, parallel=1, contents=contents))
    monkeypatch.setattr("workers.images.LOOK_SECONDS", 0.01)
    monkeypatch.setattr(pool, "function", waiting)

    def changed() -> None:
        eventually(lambda: store.trials(run.id))
        (own / "rose").rename(tmp_path / "rose")
        eventually(lambda: store.run(run.id).wish == "pause")

    with beside(changed):
        coordinate(store, pool, threading.Event(), once=True)
    assert store.run(run.id).state == "paused"
    assert [trial.state for trial in store.trials(run.id)] == ["done"]
    (said,) = [event.text for event in store.events(run.id) if event.kind == "images changed"]
    assert said.startswith("class 'rose' is gone; there are 108 train images instead of 162")
    (tmp_path / "rose").rename(own / "rose")
    store.wish(run.id, "run")
    monkeypatch.setattr(pool, "function", counting)
    coordinate(store, pool, threading.Event(), once=True)
    assert [trial.state for trial in store.trials(run.id)] == ["done"] * 3


def test_a_coordinator_that_loses_its_claim_goes_on_and_is_the_same(
    store: Store, pool: RayPool, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim, short = store.claims.claim, iter([0.0])
    monkeypatch.setattr(
        store.claims, "claim", lambda owner, seconds, **rest: claim(owner, next(short, seconds), **rest)
    )
    monkeypatch.setattr(pool, "function", counting)
    run = store.add_run("search", spec(folder, trials=1))
    coordinate(store, pool, threading.Event(), once=True)
    assert store.run(run.id).state == "finished"
    assert [event.kind for event in store.events(run.id) if "coordinator" in event.text] == ["claimed", "claimed again"]


def test_no_more_runs_are_driven_than_are_set(
    store: Store, pool: RayPool, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAS_RUNS_AT_ONCE", "1")
    monkeypatch.setattr(pool, "function", counting)
    runs = [store.add_run("search", spec(folder, trials=2)) for _ in range(2)]
    coordinate(store, pool, threading.Event(), once=True)
    first, second = (store.run(run.id) for run in runs)
    assert first.ended_at is not None
    assert second.started_at is not None
    assert first.ended_at <= second.started_at


@pytest.mark.parametrize(
    ("gpus", "parallel", "fraction"), [(0, 4, 0), (1, 1, 1), (1, 4, 1 / 4), (2, 3, 1 / 2), (4, 2, 1), (8, 9, 1 / 2)]
)
def test_as_many_evaluations_fit_on_the_gpus_as_are_asked_for(gpus: int, parallel: int, fraction: float) -> None:
    assert share(gpus, parallel) == fraction


def test_processes_that_train_together_have_a_device_each() -> None:
    assert (share(8, 2, processes=4), share(0, 2, processes=4)) == (4, 0)
    evaluation = _Evaluation()
    evaluation.processes, evaluation.sent = 4, time.perf_counter()
    assert evaluation.share == 4  # processors
    done: Future[Any] = Future()
    done.set_result(Measurement(params=1, mult_adds=1, accuracy=0.5, seconds=80))
    _settle(evaluation, done, "a1")
    assert evaluation.compute_seconds == 320


def test_more_processes_than_a_machine_has_processors_are_refused(pool: RayPool) -> None:
    pool.require(1)
    with pytest.raises(ValueError, match="no machine here has 4096 CPUs for processes that train together: give"):
        pool.require(4096)


@pytest.mark.parametrize("failed", [False, True])
def test_what_has_a_part_of_a_gpu_costs_that_part_of_its_time(failed: bool) -> None:
    done: Future[Any] = Future()
    measurement = Measurement(params=1, mult_adds=1, accuracy=0.5, seconds=80)
    done.set_result(_Failure(text="no", errno=None, seconds=80) if failed else measurement)
    evaluation = _Evaluation()
    evaluation.gpus, evaluation.sent = share(2, 8), time.perf_counter()
    _settle(evaluation, done, "a1")
    assert evaluation.compute_seconds == 20


def test_what_waited_is_charged_from_when_it_was_sent() -> None:
    import ray  # after the pool, which says how Ray is to be used before it is imported

    waiting, cancelled, dead = _Evaluation(), _Evaluation(), _Evaluation()
    done: Future[Any] = Future()
    done.set_exception(ray.exceptions.WorkerCrashedError())
    cancelled.sent = dead.sent = time.perf_counter() - 100
    for evaluation in (waiting, cancelled):
        assert evaluation.cancel()
    _settle(dead, done, "a1")
    charged = [evaluation.compute_seconds for evaluation in (waiting, cancelled, dead)]
    assert charged == [0, pytest.approx(100, abs=50), pytest.approx(100, abs=50)]


def test_a_node_that_dies_ends_the_trial_only_where_it_is_another_machine() -> None:
    import ray

    gone = "Task failed because the node it was running on is dead or unavailable. Node IP: 127.0.0.1, node ID: a1b2."
    died = ray.exceptions.NodeDiedError(gone)  # type: ignore[no-untyped-call]
    own, other, older = _Evaluation(), _Evaluation(), _Evaluation()
    for evaluation, node, error in (
        (own, "a1b2", died),
        (other, "c3d4", died),
        (older, "a1b2", ray.exceptions.LocalRayletDiedError()),
    ):
        done: Future[Any] = Future()
        done.set_exception(error)
        evaluation.sent = time.perf_counter()
        _settle(evaluation, done, node)
    assert not own.done()
    assert not older.done()
    with pytest.raises(EvaluationFailed, match="NodeDiedError: Task failed because the node"):
        other.result()


def endless(job: Job, report: Callable[[Progress], None], images: ImageSet) -> Measurement:
    (home.folder("resume") / f"pid-{job.run}-{job.number}").write_text(str(os.getpid()))
    time.sleep(600)
    return measured(job)


def test_cancelling_kills_what_runs(store: Store, pool: RayPool, folder: Path) -> None:
    run = store.add_run("search", spec(folder, trials=1))
    pids = home.folder("resume") / f"pid-{run.id}-0"

    def cancel() -> None:
        eventually(lambda: pids.exists() and pids.read_text() != "")
        store.wish(run.id, "cancel")

    thread = threading.Thread(target=cancel)
    thread.start()
    left = with_ray(store, pool, run, endless)
    thread.join()
    assert left.state == "cancelled"
    assert store.trial(run.id, 0).state == "cancelled"
    pid = int(pids.read_text())
    eventually(lambda: not alive(pid))
    pids.unlink()


Coordinator = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def coordinator(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Coordinator]:
    """Starts one with such arguments, which may read the folder; what a test leaves behind is killed."""
    monkeypatch.setenv("NAS_IMAGES", str(folder))
    started: list[subprocess.Popen[bytes]] = []

    def start(*arguments: str, stderr: int | None = None) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "workers", *arguments]
        started.append(subprocess.Popen(command, stdin=subprocess.PIPE, stderr=stderr))
        return started[-1]

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def command(pid: int) -> str:
    """What the process calls itself; nothing once it has gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return bool(command(pid))  # a process that has ended and was not waited for has none


def descendants(pid: int) -> set[int]:
    listed = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout.split()
    parents = dict(zip(map(int, listed[::2]), map(int, listed[1::2])))
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {pid}


@pytest.fixture(scope="class")
def orphans() -> Iterator[set[int]]:
    """Processes that must be gone in the end: Ray's two agents look for their parent once a minute only."""
    found: set[int] = set()
    yield found
    eventually(lambda: not any(alive(process) for process in found))


class TestACoordinator:
    def test_killed_half_way_loses_no_finished_trial_and_leaves_no_process(
        self, store: Store, folder: Path, coordinator: Coordinator, orphans: set[int]
    ) -> None:
        run = store.add_run("search", spec(folder, trials=6, recipe=Recipe(epochs=12, batch=8), parallel=1))
        first = coordinator()
        eventually(lambda: sum(trial.state == "done" for trial in store.trials(run.id)) >= 2)
        evaluations: set[int] = set()
        while not evaluations:  # there is none between two trials
            children = descendants(first.pid)
            evaluations = {child for child in children if "_evaluate" in command(child)}
        first.kill()
        first.wait()
        kept = [trial for trial in store.trials(run.id) if trial.state == "done"]
        eventually(lambda: not any(alive(child) for child in evaluations))
        second = coordinator()  # which takes the run over when the claim of the first has run out
        eventually(lambda: store.run(run.id).state == "finished")
        second.terminate()
        assert second.wait(PATIENCE_SECONDS) == 0
        trials = store.trials(run.id)
        assert [trial for trial in trials if trial.number in {old.number for old in kept}] == kept
        assert [trial.number for trial in trials] == list(range(6))
        assert {trial.state for trial in trials} == {"done"}
        assert sorted(trial.finished or 0 for trial in trials) == [1, 2, 3, 4, 5, 6]
        orphans |= children

    @pytest.mark.parametrize("how", ["SIGTERM", "SIGINT", "end of input"])
    def test_asked_to_leave_gives_its_run_back_at_once(
        self, store: Store, folder: Path, coordinator: Coordinator, how: str
    ) -> None:
        run = store.add_run("search", spec(folder, trials=50, recipe=Recipe(epochs=200, batch=8)))
        child = coordinator("--until-eof")
        eventually(lambda: any(trial.state == "running" for trial in store.trials(run.id)))
        if how == "end of input":
            assert child.stdin is not None
            child.stdin.close()
        else:
            child.send_signal(getattr(signal, how))
        assert child.wait(PATIENCE_SECONDS) == 0
        claimed = store.claims.claim("next", LEASE_SECONDS)
        assert claimed is not None
        assert claimed.id == run.id

    def test_asked_to_leave_while_ray_starts_leaves(self, store: Store, coordinator: Coordinator) -> None:
        child = coordinator()
        eventually(lambda: any("gcs_server" in command(process) for process in descendants(child.pid)))
        child.send_signal(signal.SIGTERM)
        assert child.wait(PATIENCE_SECONDS) == 0
        assert not any("gcs_server" in command(process) for process in descendants(child.pid))

    def test_a_search_begins_with_what_another_found(
        self, store: Store, folder: Path, coordinator: Coordinator
    ) -> None:
        first = store.add_run("search", spec(folder, trials=2))
        coordinator()
        eventually(lambda: store.run(first.id).state == "finished")
        second = store.add_run("search", spec(folder, searcher="surrogate", trials=1, learn_from=(first.id,)))
        eventually(lambda: store.run(second.id).state == "finished")
        (said,) = [event.text for event in store.events(second.id) if event.kind == "learnt"]
        assert said.startswith(f"accuracies are known before the first trial: 2 trials of search {first.id} (")

    def test_a_dataset_that_is_gone_fails_the_run_and_says_so(
        self, store: Store, folder: Path, coordinator: Coordinator
    ) -> None:
        run = store.add_run("search", spec(folder, dataset=f"folder:{folder}/nowhere/at/all"))
        assert coordinator("--once").wait(PATIENCE_SECONDS) == 0
        left = store.run(run.id)
        assert left.state == "failed"
        assert "/nowhere/at/all does not exist" in (left.error or "")

    def test_a_head_that_dies_takes_its_coordinator_along_and_the_next_goes_on(
        self, store: Store, folder: Path, coordinator: Coordinator, orphans: set[int]
    ) -> None:
        run = store.add_run("search", spec(folder, trials=2, recipe=Recipe(epochs=12, batch=8), parallel=1))
        first = coordinator(stderr=subprocess.PIPE)
        eventually(lambda: any(trial.state == "running" for trial in store.trials(run.id)))
        children = descendants(first.pid)
        (head,) = (child for child in children if "gcs_server" in command(child))
        os.kill(head, signal.SIGKILL)
        _, said = first.communicate(timeout=PATIENCE_SECONDS)
        assert first.returncode == 1
        assert re.search(rb"ERROR workers: the head of Ray at \S+ does not answer .*this coordinator ends", said)

        def finished() -> bool:  # not before the claim of the one that ended has run out
            assert coordinator("--once").wait(PATIENCE_SECONDS) == 0
            return store.run(run.id).state == "finished"

        eventually(finished)
        orphans |= children

    def test_a_cluster_that_is_not_there_is_said(self, store: Store, coordinator: Coordinator) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            address = f"127.0.0.1:{listening.getsockname()[1]}"
        child = coordinator("--ray-address", address, stderr=subprocess.PIPE)
        _, said = child.communicate(timeout=PATIENCE_SECONDS)
        assert child.returncode == 1
        assert f"ERROR workers: Ray cannot be joined at {address}: [Errno 111] Connection refused".encode() in said
        assert b"Traceback" not in said

    def test_a_ray_that_does_not_start_is_said_whatever_it_raises(self, store: Store) -> None:
        code = "import ray, sys, runpy; sys.argv = ['workers']\n"
        code += "def init(*_, **__): raise Exception('The current node timed out during startup.')\n"
        code += "ray.init = init; runpy.run_module('workers', run_name='__main__')"
        ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert ran.returncode == 1
        assert "ERROR workers: Ray cannot be started: The current node timed out during startup." in ran.stderr
        assert "Traceback" not in ran.stderr

    def test_a_space_that_fails_warns_and_prints_is_heard_of_everywhere(
        self, store: Store, folder: Path, tmp_path: Path, coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "spaces").mkdir()
        (tmp_path / "spaces" / "mine.py").write_text(
            "import logging\nfrom search_spaces.mbconv import architecture, canonical, knobs\n\n"
            "def build(architecture):\n    print('hello')\n"
            "    logging.getLogger(__name__).warning('this space is %s', 'mine')\n    return {}['stage9.op']\n"
        )
        monkeypatch.setenv("NAS_SPACES", str(tmp_path / "spaces"))
        monkeypatch.setenv("NAS_LOG_FORMAT", "json")
        run = store.add_run("search", spec(folder, space="mine", trials=3, parallel=1))
        child = coordinator("--once", stderr=subprocess.PIPE)
        _, said = child.communicate(timeout=PATIENCE_SECONDS)
        assert child.returncode == 0
        for trial in store.trials(run.id):
            assert trial.error == "KeyError: 'stage9.op'"
            assert trial.traceback is not None
            assert 'mine.py", line 7, in build' in trial.traceback
            assert trial.traceback.endswith("KeyError: 'stage9.op'")
        warned = [event.text for event in store.events(run.id) if event.kind == "warning"]
        assert warned == ["trial 0: this space is mine"], "once, not for every trial"
        lines = [json.loads(line) for line in said.decode().splitlines()]
        logged = [(line["trial"], line["level"]) for line in lines if line["message"] == "this space is mine"]
        # What the last one says may reach Ray's log only when the coordinator has gone.
        assert logged in ([(0, "warning"), (1, "warning")], [(number, "warning") for number in range(3)])
        assert {line["run"] for line in lines if "trial" in line} == {run.id}
        assert [line["logger"] for line in lines if line["message"] == "hello"] in (["ray"] * 2, ["ray"] * 3)
        assert [line["trial"] for line in lines if line["message"] == "failed: KeyError: 'stage9.op'"] == [0, 1, 2]
