"""The store's tables, as the migrations make them; on SQLite and on PostgreSQL alike."""

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import insert, text, update

from nas.store import Store, StoreError
from nas.store.tables import EVENT, RUN, metadata
from tests.stored import SEARCH


class TestSchema:
    def test_the_migrations_make_the_tables(self, store: Store) -> None:
        with store._database.reading() as connection:
            context = MigrationContext.configure(
                connection, opts={"compare_type": True, "compare_server_default": True}
            )
            assert compare_metadata(context, metadata) == []

    def test_nothing_belongs_to_a_run_that_is_not_there(self, store: Store) -> None:
        with pytest.raises(StoreError, match=r"(?i)foreign key"), store._database.writing() as connection:
            connection.execute(insert(EVENT).values(run="nope", at=0.0, kind="new", text=""))

    def test_a_database_of_a_newer_version_is_left_alone(self, store: Store, database_url: str) -> None:
        with store._database.writing() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = 'later'"))
        with pytest.raises(StoreError, match=r"newer version .*'later'.*update this program"):
            Store(database_url)

    def test_a_row_that_cannot_be_read_is_said_to_be_so(self, store: Store) -> None:
        run = store.add_run("search", SEARCH).id
        for damaged in ('{"later": 1}', '{"dataset": "x", "trials": 0}', "[]", "{"):
            with store._database.writing() as connection:
                connection.execute(update(RUN).values(spec=damaged))
            with pytest.raises(StoreError, match=r"a SearchSpec that this version cannot read.*backup"):
                store.run(run)
