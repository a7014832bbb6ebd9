"""What lies on the disk, who holds it, and what pruning takes of it and leaves."""

import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import delete

from api.cli import keeping
from nas import home, ray_folder
from nas.client import Client
from nas.disk import pruning
from nas.disk.holdings import holdings
from nas.disk.pruning import PruneRequest
from nas.models.checkpoint import artifact, keep
from nas.records import Model
from nas.refusal import Refusal
from nas.store import Store
from nas.store.tables import MODEL
from tests.agents import PI
from tests.command_line import nas
from tests.databases import Clock
from tests.service import OWNER, POINTS, Service
from tests.stored import job
from tests.test_retention import ANNA, finished, measured, searched

DAY = 24 * 3600.0
AGES = (0.02, 40)  # days: half an hour, and more than the 30 that are asked for


@pytest.fixture(autouse=True)
def apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray's folders are looked for where no other test leaves any."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    monkeypatch.setattr(ray_folder, "LONGEST_PLACE", 1000)
    (tmp_path / "tmp").mkdir()


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """On a home of its own."""
    monkeypatch.setenv("NAS_HOME", str(tmp_path / "home"))
    store = Store(home.database_url(), Clock(time.time() - 40 * DAY))
    yield store
    store.close()


def file(path: Path, days: float, size: int = 100) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)
    aged(path, days)
    return path


def aged(path: Path, days: float) -> None:
    then = time.time() - days * DAY
    os.utime(path, (then, then))


def pruned(store: Store, days: float = 30, dry_run: bool = False) -> dict[str, str]:
    """What went, each with why."""
    answer = pruning.prune(store, PruneRequest(older_than_days=days, dry_run=dry_run))
    assert answer.bytes == sum(each.bytes for each in answer.gone)
    return {each.name: each.reason for each in answer.gone}


def test_what_nobody_has_used_goes_and_what_is_younger_stays(store: Store) -> None:
    places = ("datasets/fashion", "datasets/folder/0a1b-1x28-7", "downloads/b0.safetensors", "fidelity/proxy-1")
    for days in AGES:
        for place in places:
            file(home.home() / f"{place}-{days:g}" / "array", days)
            aged(home.home() / f"{place}-{days:g}", days)
    file(home.folder("datasets") / "folder" / "0a1b-1x28-7.lock", 40)
    expected = {Path(place).name + "-40": "not used for 30 days" for place in places}
    assert pruned(store, dry_run=True) == expected
    assert pruned(store, dry_run=True) == expected, "nothing went by that"
    assert pruned(store) == expected
    for place in places:
        assert [(home.home() / f"{place}-{days:g}").exists() for days in AGES] == [True, False]
    assert pruned(store) == {}


def test_models_of_searches_go_by_age_as_far_as_nobody_needs_them(store: Store) -> None:
    run = finished(store, searched(store, *map(measured, (0.1, 0.2, 0.9, 0.5, 0.3))))
    store.removals.pin(f"{run.id}-0", True)
    archive = file(home.folder("archives") / store.model(f"{run.id}-1").sha256 / "model.onnx", 0)
    expected = {f"{run.id}-{number}": "older than 30 days" for number in (1, 3)}
    assert pruned(store, dry_run=True) == expected
    assert pruned(store) == expected
    assert [model.number for model in store.models(run.id)] == [4, 2, 0], "the newest, the best and what is pinned"
    assert not archive.exists()
    assert store.model(f"{run.id}-1").removed == "older than 30 days"
    assert pruned(store) == {}


def test_models_of_a_run_that_has_not_ended_stay(store: Store) -> None:
    run = searched(store, *map(measured, (0.1, 0.2, 0.3, 0.4)))
    assert pruned(store) == {}
    store.claims.release(run.id, ANNA, "paused")
    assert pruned(store) == {}
    assert len(store.models(run.id)) == 4


def test_checkpoints_that_no_row_names_go_once_they_are_not_new(store: Store) -> None:
    run = searched(store, measured(0.5))
    lost, new, named = "a" * 64, "b" * 64, store.model(f"{run.id}-0").sha256
    for sha256 in (lost, new, named):
        file(artifact(sha256), 0 if sha256 == new else 0.1)
    own = file(home.folder("artifacts") / "notes.txt", 40)
    half = file(home.folder("artifacts") / f".{named}.safetensors.123", 0.1)
    store.add_run("search", dataclasses.replace(run.spec, parent=named))
    with store._database.writing() as connection:
        connection.execute(delete(MODEL))  # only the spec names it
    assert set(pruned(store)) == {f"{lost}.safetensors", half.name}
    assert artifact(new).exists()
    assert artifact(named).exists()
    assert own.exists()
    keep(artifact(new), b"")
    assert artifact(new).read_bytes() == b"x" * 100
    aged(artifact(new), 1)
    keep(artifact(new), b"")
    assert pruned(store) == {}, "what is saved once more is new"


def test_what_is_used_or_named_while_others_go_stays(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    lost, again, used = "a" * 64, "b" * 64, home.folder("datasets") / "flowers"
    for sha256 in (lost, again):
        file(artifact(sha256), 40)
    file(used / "array", 40)
    aged(used, 40)

    run = searched(store)
    store.claims.begin(ANNA, job(run.id, 0))

    def meanwhile(*rest: object) -> list[Model]:
        came = dataclasses.replace(measured(0.5), weights=again)
        store.claims.end(ANNA, 0, run.id, "done", came, checkpoint_bytes=100)
        aged(used / "array", 0)
        return []

    monkeypatch.setattr("nas.disk.going.prune", meanwhile)
    assert set(pruned(store)) == {f"{lost}.safetensors"}
    assert artifact(again).exists()
    assert used.exists()


def test_unfinished_trainings_go_with_their_runs_and_of_paused_ones_by_age(store: Store) -> None:
    runs = [searched(store).id for _ in range(4)]
    running, paused, over, gone = runs
    store.claims.release(paused, ANNA, "paused")
    store.claims.release(over, ANNA, "finished")
    store.claims.release(gone, ANNA, "finished")
    store.removals.delete_run(gone)
    resume = home.folder("resume")
    for run in (*runs, "proxy-0a1b"):
        for number, days in enumerate((0.1, 40)):
            file(resume / f"{run}-{number}.pt", days)
    file(resume / f".{over}-7.pt.123", 0.1)
    new = file(resume / f"{over}-9.pt", 0)
    why = pruned(store)
    assert {name for name, reason in why.items() if reason == "its run has ended"} == {
        *(f"{over}-{number}.pt" for number in range(2)),
        f".{over}-7.pt.123",
    }
    assert {name for name, reason in why.items() if reason == "its run is gone"} == {f"{gone}-0.pt", f"{gone}-1.pt"}
    assert {name for name, reason in why.items() if reason == "not used for 30 days"} == {
        f"{paused}-1.pt",
        "proxy-0a1b-1.pt",
    }
    left = {path.name for path in resume.iterdir()}
    assert left == {f"{running}-0.pt", f"{running}-1.pt", f"{paused}-0.pt", "proxy-0a1b-0.pt", new.name}


HOLDER = """
import mmap, sys
file = open(sys.argv[1], "rb")
if sys.argv[2] == "mapped":
    mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    file.close()
print("held", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("how", ["open", "mapped"])
def test_what_a_process_holds_stays_until_it_has_ended(store: Store, how: str) -> None:
    folder = home.folder("datasets") / "flowers"
    array = file(folder / "train_images.npy", 40)
    aged(folder, 40)
    command = [sys.executable, "-c", HOLDER, str(array), how]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert pruned(store) == {}
        assert array.exists()
        holder.communicate("")
    assert set(pruned(store)) == {"flowers"}


def test_what_has_a_link_elsewhere_is_counted_once(store: Store) -> None:
    """An archive has the checkpoint of its model without another copy of it."""
    checkpoint = file(home.folder("artifacts") / f"{'a' * 64}.safetensors", 40)
    folder = home.folder("archives") / ("a" * 64)
    card = file(folder / "card.json", 40)
    os.link(checkpoint, folder / "model.safetensors")
    sizes = {each.kind: each.bytes for each in holdings(store) if each.path in (checkpoint, folder)}
    assert sizes == {"checkpoints": checkpoint.stat().st_size, "archives": card.stat().st_size}
    checkpoint.unlink()
    (archive,) = (each for each in holdings(store) if each.path == folder)
    assert archive.bytes == 2 * card.stat().st_size


def test_uploads_that_broke_off_parcels_and_folders_of_ray_go_and_whole_uploads_stay(
    store: Store, tmp_path: Path
) -> None:
    for name, ready in (("whole", True), ("half", False), (".0a1b", False)):
        archive = file(home.folder("images") / name / "archive", 40)
        note = {"bytes": 200, "sha256": None, "begun_at": 0.0, "ready": ready}
        (archive.parent / "upload.json").write_text(json.dumps(note))
        aged(archive.parent / "upload.json", 40)
        aged(archive.parent, 40)
    store.agents.introduce(PI)
    store.agents.send(PI.name, b"parcel")
    assert isinstance(store._clock, Clock)
    assert {each.kind for each in holdings(store)} >= {"parcels", "uploads", "database"}
    store._clock.now += 600
    live = ray_folder.RayFolder()
    dead = tmp_path / "tmp" / f"{ray_folder.PREFIX}dead"
    file(dead / "lock", 40)
    expected = {"half", ".0a1b", "1 parcels", dead.name}
    assert set(pruned(store, dry_run=True)) == expected
    assert set(pruned(store)) == expected
    assert {path.name for path in home.folder("images").iterdir()} >= {"whole"}
    assert live.path.exists()
    assert not dead.exists()
    assert store.agents.parcels() == []
    live.clear()


@pytest.mark.parametrize("days", [-1, 1e6, float("nan")])
def test_an_age_that_is_none_is_refused(days: float) -> None:
    with pytest.raises(Refusal, match="older_than_days") as refusal:
        PruneRequest(older_than_days=days)
    assert refusal.value.field == "older_than_days"


def test_who_holds_the_disk_is_shown(service: Service, client: Client) -> None:
    run = service.growth(service.search(POINTS), name="flowers")
    service.store.claims.release(run.id, OWNER, "finished")
    answer = client.disk()
    (of_run,) = (row for row in answer["runs"] if row["run"] == run.id)
    sizes = [model.bytes for model in service.store.models(run.id)]
    assert of_run == {"run": run.id, "name": "flowers", "kind": "growth", "things": 2, "bytes": sum(sizes)}
    kinds = {row["kind"]: row for row in answer["kinds"]}
    assert kinds["checkpoints"]["things"] == 2
    assert kinds["database"]["bytes"] > 0
    assert answer["bytes"] == sum(row["bytes"] for row in answer["kinds"])
    assert [row["bytes"] for row in answer["kinds"]] == sorted((row["bytes"] for row in answer["kinds"]), reverse=True)
    shown = nas("disk").out
    assert f"{run.id}  growth  flowers" in " ".join(shown.split()).replace(" ", "  ")
    assert "in all" in shown


def test_the_command_prunes_and_says_what_went(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    old = file(home.folder("downloads") / "b0.onnx", 40, 2000)
    ran = nas("prune", "--older-than", "30d", "--dry-run")
    assert "downloads" in ran.out
    assert "1 thing would go, 2.00 kB" in ran.out
    assert old.exists()
    assert nas("prune", "--json").json["gone"][0]["name"] == "b0.onnx"
    assert not old.exists()
    assert "1 things of 2,000 bytes pruned, by" in caplog.text
    assert "Nothing went" in nas("prune").out
    wrong = nas("prune", "--older-than", "soon")
    assert wrong.code == 2
    assert "'soon' is no age: give one like 30d, 12h or 2w" in wrong.error
    assert [keeping.days(text) for text in ("12h", "30d", "1.5w", "0d")] == [0.5, 30, 10.5, 0]
    assert service.post("/v1/prune", {"older_than_days": -3}, status=422)["errors"][0]["pointer"] == "/older_than_days"
