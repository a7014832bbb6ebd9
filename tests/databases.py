"""Fresh databases for tests: SQLite files, and a PostgreSQL server of the tests' own."""

import itertools
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from bench._postgresql import Server
from nas.store import Store

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
        server = Server(folder)
        try:
            yield server.url
        finally:
            server.stop()
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
