"""A service that was saved to one file is the same when it is back, in a database of either kind."""

import contextlib
import dataclasses
import gzip
import hashlib
import io
import json
import stat
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nas import home, tokens, uploads
from nas.agents.errands import Introduction
from nas.backup import BadBackup, backup, restore
from nas.models.checkpoint import artifact
from nas.store import Store, StoreError
from nas.store.database import Database
from nas.uploads import Note
from tests.command_line import nas
from tests.stored import MEASUREMENT, SEARCH, claimed, job, snapshot
from tests.test_store_migrations import RUNNING, STORED, holding

WEIGHTS = b"weights"
SHA256 = hashlib.sha256(WEIGHTS).hexdigest()
PARCEL = bytes(range(256))


@contextlib.contextmanager
def homed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with monkeypatch.context() as environment:
        environment.setenv("NAS_HOME", str(folder))
        yield folder


@pytest.fixture
def saved(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A backup of a database of each kind: a search with a trial that is done and one that failed, a model, events, an
    agent with an errand, a token and an upload."""
    store = Store(database_url)
    run = claimed(store)
    for number in (0, 1):
        store.claims.begin("anna", job(run.id, number))
    store.claims.end("anna", 0, run.id, "done", dataclasses.replace(MEASUREMENT, weights=SHA256), checkpoint_bytes=7)
    store.claims.end("anna", 1, run.id, "failed", error="no \N{SNOWMAN}", traceback="Traceback\n  1 / 0")
    store.agents.introduce(Introduction(name="pi4", instance="ab" * 4, fingerprint={"processor": "x"}, edition="1"))
    store.agents.send("pi4", PARCEL)
    store.tokens.create("berta", "write")
    store.close()
    with homed(tmp_path / "home", monkeypatch):
        artifact(SHA256).write_bytes(WEIGHTS)
        artifact("ab" * 32).write_bytes(b"of a model that was deleted")
        for name, ready in (("flowers", True), ("half", False)):
            uploads.place(name).mkdir()
            (uploads.place(name) / "archive").write_bytes(b"images")
            uploads.write_note(uploads.place(name), Note(bytes=6, sha256=None, begun_at=1.5, ready=ready))
        backup(database_url, tmp_path / "saved.tar")
    return tmp_path / "saved.tar"


def rows(url: str) -> dict[str, list[tuple[object, ...]]]:
    from sqlalchemy import select

    from nas.store.tables import metadata

    database = Database(url)
    with database.reading() as connection:
        found = {
            table.name: [tuple(row) for row in connection.execute(select(table).order_by(*table.primary_key))]
            for table in metadata.sorted_tables
        }
    database.close()
    return found


@pytest.fixture(params=["sqlite", "postgresql"])
def other(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database that nobody has opened, whatever kind was saved."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/other.db"
    import psycopg

    url: str = request.getfixturevalue("postgres")
    with psycopg.connect(url) as connection:
        schema = f"other{connection.info.backend_pid}"
        connection.execute(f"CREATE SCHEMA {schema}".encode())
    return f"{url}&options=-csearch_path%3D{schema}"


def test_every_row_and_every_file_is_back(
    saved: Path, database_url: str, other: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert stat.S_IMODE(saved.stat().st_mode) == 0o600, "there are tokens in it"
    with homed(tmp_path / "second", monkeypatch):
        contents = restore(other, saved)
        assert rows(other) == rows(database_url)
        assert contents.dumped.rows["trial"] == 2
        assert (contents.checkpoints, contents.uploads) == ((SHA256,), ("flowers",))
        assert artifact(SHA256).read_bytes() == WEIGHTS
        assert [path.name for path in home.folder("artifacts").iterdir()] == [f"{SHA256}.safetensors"]
        assert uploads.archive("flowers").read_bytes() == b"images"
        assert not list(tmp_path.glob("second/.nas-*"))
    # and it goes on: what is added comes after what was there
    first, second = Store(database_url), Store(other)
    (run,) = second.runs()
    assert snapshot(second, run.id) == snapshot(first, run.id)
    added = second.add_run("search", SEARCH)
    assert [one.id for one in second.runs()] == [added.id, run.id]
    second.note(run.id, "note", "later")
    assert second.events(run.id)[-1].text == "later"
    for store in (first, second):
        store.close()


def test_what_an_earlier_version_saved_is_brought_up_to_date(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"sqlite:///{tmp_path}/now.db"
    holding(f"sqlite:///{tmp_path}/then.db", STORED, "0003")
    dumped = {"revision": "0003", "rows": {name: len(its) for name, its in STORED.items()}, "checkpoints": []}
    hashes: dict[str, str] = {}
    whole = {"format": "nas-backup-1", "dumped": dumped, "checkpoints": [], "uploads": [], "hashes": hashes}
    with tarfile.open(tmp_path / "then.tar", "w") as tar:
        for name, its in STORED.items():
            data = gzip.compress("".join(f"{json.dumps(row)}\n" for row in its).encode())
            hashes[f"tables/{name}.jsonl.gz"] = hashlib.sha256(data).hexdigest()
            add(tar, f"tables/{name}.jsonl.gz", data)
        add(tar, "backup.json", json.dumps(whole).encode())
    with homed(tmp_path / "home", monkeypatch):
        restore(url, tmp_path / "then.tar")
    upgraded, back = Store(f"sqlite:///{tmp_path}/then.db"), Store(url)
    assert snapshot(back, RUNNING) == snapshot(upgraded, RUNNING)
    for store in (upgraded, back):
        store.close()


def add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(data)
    tar.addfile(entry, io.BytesIO(data))


def rewritten(saved: Path, change: Callable[[str, bytes], tuple[str, bytes] | None]) -> Path:
    """The backup with members changed, or left out."""
    path = saved.with_name("changed.tar")
    with tarfile.open(saved) as source, tarfile.open(path, "w") as target:
        for member in source:
            data = source.extractfile(member)
            assert data is not None
            if changed := change(member.name, data.read()):
                add(target, *changed)
    return path


def other_weights(name: str, data: bytes) -> tuple[str, bytes]:
    return name, b"weighty" if name.startswith("artifacts") else data


def without_weights(name: str, data: bytes) -> tuple[str, bytes] | None:
    return None if name.startswith("artifacts") else (name, data)


def fewer_trials(name: str, data: bytes) -> tuple[str, bytes]:
    lines = gzip.decompress(data).splitlines(keepends=True) if name == "tables/trial.jsonl.gz" else []
    return name, gzip.compress(lines[0]) if lines else data


def no_lines(name: str, data: bytes) -> tuple[str, bytes]:
    return name, data[:-9] if name == "tables/trial.jsonl.gz" else data


def other_images(name: str, data: bytes) -> tuple[str, bytes]:
    return name, b"nothing" if name.endswith("/archive") else data


def outside(name: str, data: bytes) -> tuple[str, bytes]:
    return name.replace("artifacts/", "artifacts/../../"), data


def newer(name: str, data: bytes) -> tuple[str, bytes]:
    return name, data.replace(b'"revision": "', b'"revision": "9') if name == "backup.json" else data


def another_format(name: str, data: bytes) -> tuple[str, bytes]:
    return name, data.replace(b"nas-backup-1", b"nas-backup-7") if name == "backup.json" else data


def without_end(name: str, data: bytes) -> tuple[str, bytes] | None:
    return None if name == "backup.json" else (name, data)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (other_weights, "has other bytes"),
        (without_weights, "does not hold"),
        (fewer_trials, "tables/trial.jsonl.gz of .* has other bytes"),
        (no_lines, "tables/trial.jsonl.gz of .* has other bytes"),
        (other_images, "images/flowers/archive of .* has other bytes"),
        (outside, "which no backup of this service has"),
        (newer, "newer version"),
        (another_format, "nas-backup-7"),
        (without_end, "cut off"),
    ],
)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_of_a_damaged_backup_nothing_gets_into_the_database(
    saved: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[str, bytes], tuple[str, bytes] | None],
    words: str,
) -> None:
    with homed(tmp_path / "second", monkeypatch) as second:
        url = f"sqlite:///{tmp_path}/other.db"
        with pytest.raises((BadBackup, StoreError), match=words):
            restore(url, rewritten(saved, change))
        assert not any(rows(url).values())
        assert not list(second.glob(".nas-*"))
        assert not list(tmp_path.glob("*.safetensors"))


@pytest.mark.parametrize("bytes_", [0, 100, 3_000])
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_file_that_was_cut_off_is_refused(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bytes_: int
) -> None:
    part = tmp_path / "part.tar"
    part.write_bytes(saved.read_bytes()[:bytes_])
    with homed(tmp_path / "second", monkeypatch), pytest.raises(BadBackup, match=r"whole|cut off"):
        restore(f"sqlite:///{tmp_path}/other.db", part)


def test_by_the_command_line(saved: Path, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with homed(tmp_path / "second", monkeypatch) as second:
        ran = nas("restore", str(saved), "--database", database_url)
        assert (ran.code, "has runs already, which would be lost: name an empty one" in ran.error) == (1, True)
        assert not (second / "artifacts").exists()
        url = f"sqlite:///{tmp_path}/other.db"
        assert nas("restore", "nosuch.tar", "--database", url).error == "nas: nosuch.tar: No such file or directory\n"
        ran = nas("restore", str(saved), "--database", url)
        assert "It had 1 run, 2 trials, 1 checkpoint, 1 upload.\n" in ran.out
        ran = nas("backup", str(saved), "--database", url)
        assert (ran.code, "is there already" in ran.error) == (1, True)
        ran = nas("backup", str(tmp_path / "none" / "x.tar"), "--database", url)
        words = f"{tmp_path}/none/x.tar cannot be written ({tmp_path}/none is not a folder): make it"
        assert (ran.code, words in ran.error) == (1, True), ran.error
        ran = nas("backup", str(tmp_path / "again.tar"), "--database", url, "--json")
        assert ran.json == {"runs": 1, "trials": 2, "checkpoints": 1, "uploads": 1}
    with tarfile.open(saved) as one, tarfile.open(tmp_path / "again.tar") as two:
        assert one.getnames() == two.getnames()


@pytest.mark.parametrize("kept", [None, "of another service", "known"])
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_whoever_restores_can_sign_in(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: str | None
) -> None:
    """Though no token is in a backup: one is made where the home has none that is known."""
    store = Store(database_url)
    known = store.tokens.create("berta", "write")[1]
    store.close()
    with homed(tmp_path / "second", monkeypatch) as second:
        backup(database_url, tmp_path / "saved.tar")
        if kept:
            tokens.to_file(second / "token", known if kept == "known" else kept)
        ran = nas("restore", str(tmp_path / "saved.tar"))
        assert ran.out.endswith(f"Sign in with the token in {second}/token, which `nas` on this machine uses.\n")
        back, text = Store(home.database_url()), tokens.from_file(second / "token")
    assert text
    token = back.tokens.find(text)
    assert token
    assert token.scope == ("write" if kept == "known" else "admin")
    assert len(back.tokens.all()) == (1 if kept == "known" else 2)
    back.close()
