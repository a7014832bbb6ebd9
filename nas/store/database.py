"""Short transactions on one database, opened and migrated; every failure of it is a StoreError in words."""

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import URL, Connection, Engine, create_engine, event, func, make_url, select
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from nas.store.errors import StoreError

BUSY_SECONDS = 30  # how long a writer waits for another one
CONNECT_SECONDS = 10
MIGRATION_LOCK = 0x6E6173  # of PostgreSQL's advisory locks, the one that migrations take

_alembic = threading.Lock()  # Alembic's context is one global

# What drivers say, and what to do about it.
_CURES = {
    "database or disk is full": "the disk is full: free some space and try again",
    "No space left on device": "the disk is full: free some space and try again",
    "readonly database": "it may not be written to: give this user the right to write the file and its folder",
    "not a database": "it is some other kind of file: name another one",
    "malformed": "the file is damaged: restore a backup, or save what is left with `sqlite3 FILE .recover`",
    "unable to open": "its folder is not there or may not be written to: make the folder, or name another file",
    "database is locked": "another program holds it: stop that one, or try again",
    "connection failed": "check that PostgreSQL runs there and that user, password and database are right",
    "connection is bad": "check that PostgreSQL runs there and that user, password and database are right",
    "failed to resolve host": "check the host's name",
}


class Database:
    """A SQLite file ("sqlite:///nas.db") or a PostgreSQL database ("postgresql://user:password@host/name"), whose
    tables are brought up to date on opening, or up to an earlier `revision`."""

    def __init__(self, url: str, revision: str | None = None) -> None:
        parsed = _parsed(url)
        self.name = _shown(parsed)
        try:
            self._reader = _engine(parsed)
        except ImportError as error:
            raise StoreError(
                f"{self.name} needs psycopg ({error}): install it with `pip install 'nas-service[postgres]'`"
            ) from error
        self._writer = self._reader.execution_options(writes=True)
        try:
            self._migrate(revision)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._reader.dispose()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One transaction that only reads, and does not wait for who writes."""
        with self._explained(), self._reader.begin() as connection:
            yield connection

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """One long transaction that only reads, and sees nothing of what is written meanwhile."""
        reader = self._reader
        if reader.dialect.name == "postgresql":  # SQLite's are so anyway
            reader = reader.execution_options(isolation_level="REPEATABLE READ")
        with self._explained(), reader.begin() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One transaction, undone as a whole if anything in it raises. On SQLite there is one at a time."""
        with self._explained(), self._writer.begin() as connection:
            yield connection

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            said = " ".join(str(getattr(error, "orig", None) or error).split())
            cures = [cure for words, cure in _CURES.items() if words in said]
            raise StoreError(f"{self.name}: {said}" + "".join(f" - {cure}" for cure in cures[:1])) from error

    def _migrate(self, wanted: str | None) -> None:
        """Bring the tables up to date; of several programs that open the database at once, one does it."""
        config = Config()
        config.set_main_option("script_location", "nas.store:migrations")
        script = ScriptDirectory.from_config(config)
        self.head = str(script.get_current_head())
        wanted, known = wanted or self.head, {one.revision for one in script.walk_revisions()}
        with self.reading() as connection:
            revision = MigrationContext.configure(connection).get_current_revision()
        if revision == wanted:
            return
        for one in (revision, wanted):
            if one is not None and one not in known:
                raise StoreError(
                    f"{self.name} was made by a newer version of this program (its revision is {one!r}, "
                    f"{self.head!r} is the last one known here): update this program, or name another one"
                )
        try:
            with _alembic, self.writing() as connection:
                if connection.dialect.name == "postgresql":
                    connection.execute(select(func.pg_advisory_xact_lock(MIGRATION_LOCK)))
                config.attributes["connection"] = connection
                command.upgrade(config, wanted)
        except CommandError as error:
            raise StoreError(f"{self.name} cannot be brought up to date: {error}") from error


def _parsed(url: str) -> URL:
    # What cannot be parsed is not repeated: there may be a password in it.
    try:
        parsed = make_url(url)
        if "@" in (parsed.host or ""):
            raise ValueError("part of the password")
    except (ArgumentError, ValueError):
        raise StoreError(
            "the database's URL cannot be read: give sqlite:///FILE or postgresql://USER:PASSWORD@HOST:PORT/NAME, "
            "with special characters in the password percent-encoded"
        ) from None
    if parsed.drivername in ("sqlite", "sqlite+pysqlite"):
        if parsed.database in (None, "", ":memory:"):
            raise StoreError("a SQLite database in memory is lost at once: name a file, such as sqlite:///nas.db")
        return parsed
    if parsed.drivername in ("postgresql", "postgres", "postgresql+psycopg"):
        return parsed.set(drivername="postgresql+psycopg")
    raise StoreError(f"unknown kind of database {parsed.drivername!r}: there are sqlite and postgresql")


def _shown(url: URL) -> str:
    """The database's name for messages: no user, no password."""
    if url.get_backend_name() == "sqlite":
        return f"SQLite database {url.database}"
    return f"PostgreSQL database {url.database} at {url.host or 'the local socket'}"


def _engine(url: URL) -> Engine:
    if url.get_backend_name() == "sqlite":
        engine = create_engine(url, connect_args=_unless_given(url, timeout=BUSY_SECONDS))
        event.listen(engine, "connect", _connect_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    return create_engine(url, pool_pre_ping=True, connect_args=_unless_given(url, connect_timeout=CONNECT_SECONDS))


def _unless_given(url: URL, **arguments: Any) -> dict[str, Any]:
    return {name: value for name, value in arguments.items() if name not in url.query}


def _connect_sqlite(connection: Any, _: object) -> None:
    connection.isolation_level = None  # transactions begin where _begin_sqlite says, not where sqlite3 guesses
    _log_ahead(connection)
    connection.execute("PRAGMA foreign_keys = ON").close()


def _log_ahead(connection: Any) -> None:
    """Write-ahead logging, so that readers do not wait for the writer."""
    ((busy_ms,),) = connection.execute("PRAGMA busy_timeout")
    deadline = time.monotonic() + busy_ms / 1000
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL").close()
            return
        except sqlite3.OperationalError as error:
            # SQLite does not wait here for another one that has begun to write, such as one that opens a new file too.
            if not error.sqlite_errorname.startswith("SQLITE_BUSY") or time.monotonic() > deadline:
                raise
        time.sleep(0.01)


def _begin_sqlite(connection: Connection) -> None:
    # A writer takes the lock at once: one that reads first and then writes could be refused after another's commit.
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
