"""The rows of a database as files of JSON lines, and from such files into another database of either kind.

Rows of an earlier version become what they are today in a database beside the files, by the migrations that every
database of that version goes through; only then they go where they belong, all of them or none.
"""

import base64
import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Integer, MetaData, Table, delete, func, insert, select, text

from nas.store.database import Database
from nas.store.errors import Conflict, StoreError
from nas.store.removals import needed
from nas.store.tables import RUN, metadata

ROWS = 1000  # written at a time
BYTES = "base64"  # the key of what is no text


@dataclass(frozen=True, kw_only=True)
class Dumped:
    """What was written: of which `revision` the tables are, how many `rows` each has, and the SHA-256 of each
    checkpoint that is a model or that a run may go on with."""

    revision: str
    rows: dict[str, int]
    checkpoints: tuple[str, ...]


def dump(url: str, folder: Path) -> Dumped:
    """Write every table, as it is at one moment, to a file `TABLE.jsonl.gz` in `folder`. Raises StoreError."""
    database = Database(url)
    try:
        with database.snapshot() as connection:
            rows = {table.name: _written(connection, table, folder) for table in metadata.sorted_tables}
            checkpoints = tuple(sorted(needed(connection)))
        return Dumped(revision=database.head, rows=rows, checkpoints=checkpoints)
    finally:
        database.close()


def load(url: str, folder: Path, dumped: Dumped) -> None:
    """Bring what `dump` wrote to `folder` into the database, which may have no runs; its tokens and agents go.

    Raises Conflict where it has, StoreError where the files are not what was `dumped` or the database fails.
    """
    beside = f"sqlite:///{folder}/beside.db"
    earlier = Database(beside, dumped.revision)
    with earlier.writing() as connection:
        tables = MetaData()
        tables.reflect(connection)
        for name, number in dumped.rows.items():
            if name not in tables.tables:
                raise StoreError(f"the backup has a table {name!r}, which revision {dumped.revision} has not")
            found = _read(connection, tables.tables[name], folder)
            if found != number:
                raise StoreError(f"the backup has {found:,} rows of {name!r} where it says {number:,}: it is damaged")
    earlier.close()
    today, database = Database(beside), Database(url)
    try:
        with today.reading() as source, database.writing() as target:
            _require_empty(target, database)
            for table in reversed(metadata.sorted_tables):
                target.execute(delete(table))
            for table in metadata.sorted_tables:
                for rows in source.execute(select(table)).mappings().partitions(ROWS):
                    target.execute(insert(table), [dict(row) for row in rows])
                _count_on(target, table)
    finally:
        today.close()
        database.close()


def require_empty(url: str) -> None:
    """Raises Conflict where the database has runs."""
    database = Database(url)
    try:
        with database.reading() as connection:
            _require_empty(connection, database)
    finally:
        database.close()


def _require_empty(connection: Connection, database: Database) -> None:
    if connection.execute(select(RUN.c.id).limit(1)).first():
        raise Conflict(
            f"{database.name} has runs already, which would be lost: name an empty one, with NAS_DATABASE or NAS_HOME"
        )


def _written(connection: Connection, table: Table, folder: Path) -> int:
    number = 0
    with gzip.open(folder / f"{table.name}.jsonl.gz", "wt", encoding="utf-8", compresslevel=6) as file:
        rows = connection.execution_options(yield_per=ROWS).execute(select(table).order_by(*table.primary_key))
        for row in rows.mappings():
            file.write(json.dumps({name: _plain(value) for name, value in row.items()}, separators=(",", ":")) + "\n")
            number += 1
    return number


def _read(connection: Connection, table: Table, folder: Path) -> int:
    """Insert the rows of a file; how many there were."""
    number = 0
    for rows in _batches(folder / f"{table.name}.jsonl.gz"):
        connection.execute(insert(table), rows)
        number += len(rows)
    return number


def _batches(path: Path) -> Iterator[list[dict[str, Any]]]:
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            rows: list[dict[str, Any]] = []
            for line in file:
                rows.append({name: _bytes(value) for name, value in json.loads(line).items()})
                if len(rows) == ROWS:
                    yield rows
                    rows = []
            if rows:
                yield rows
    except (OSError, EOFError, ValueError, AttributeError) as error:
        raise StoreError(f"{path.name} of the backup cannot be read ({error}): it is damaged") from error


def _plain(value: Any) -> Any:
    return {BYTES: base64.b64encode(value).decode()} if isinstance(value, bytes) else value


def _bytes(value: Any) -> Any:
    return base64.b64decode(value[BYTES]) if isinstance(value, dict) else value


def _count_on(connection: Connection, table: Table) -> None:
    """PostgreSQL counts serial numbers apart from the rows; SQLite goes on from the largest."""
    (column, *others) = table.primary_key.columns
    if connection.dialect.name != "postgresql" or others or not isinstance(column.type, Integer):
        return
    largest = connection.execute(select(func.max(column))).scalar()
    if largest is not None:
        sequence = text("SELECT setval(pg_get_serial_sequence(:table, :column), :largest)")
        connection.execute(sequence, {"table": table.name, "column": column.name, "largest": largest})
