"""Databases that cannot be opened, read or written, and what is said of them."""

import re
import sqlite3
import sys
import time
import traceback
from pathlib import Path
from types import SimpleNamespace

import pytest
from sqlalchemy import text

from nas.store import Store, StoreError, database
from tests.stored import SEARCH, claimed, job, snapshot


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
            reader.claims.claim("anna", 60)
        reader.close()
        store.close()

    def test_a_full_disk_loses_nothing_and_can_be_cleared(self, tmp_path: Path) -> None:
        store = Store(f"sqlite:///{tmp_path}/nas.db")
        run = claimed(store).id
        store.claims.begin("anna", job(run))
        before = snapshot(store, run)
        with store._database.reading() as connection:
            pages = connection.execute(text("PRAGMA page_count")).scalar_one()
            connection.execute(text(f"PRAGMA max_page_count = {pages}"))
        with pytest.raises(StoreError, match=r"full - .*free some space"):
            store.claims.end("anna", 0, run, "failed", error="x" * 100_000)
        assert snapshot(store, run) == before
        with store._database.reading() as connection:
            connection.execute(text("PRAGMA max_page_count = 1000000"))
        assert store.claims.end("anna", 0, run, "failed", error="x" * 100_000).state == "failed"
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

    def test_a_new_file_that_another_program_is_about_to_write(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        other = sqlite3.connect(tmp_path / "nas.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="locked - another program holds it"):
            Store(f"sqlite:///{tmp_path}/nas.db?timeout=0.05")
        waiting = SimpleNamespace(monotonic=time.monotonic, sleep=lambda _: other.close())  # who waits, waits for that
        monkeypatch.setattr(database, "time", waiting)
        Store(f"sqlite:///{tmp_path}/nas.db").close()

    def test_a_path_with_odd_characters(self, tmp_path: Path) -> None:
        folder = tmp_path / "50% größer & more"
        folder.mkdir()
        Store(f"sqlite:///{folder}/nas.db").close()
        assert (folder / "nas.db").exists()
