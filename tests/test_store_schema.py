"""The store's tables, as the migrations make them; on SQLite and on PostgreSQL alike."""

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import insert, text, update

from nas.store import Store, StoreError
from nas.store.tables import EVENT, RUN, metadata
from tests.databases import Clock
from tests.stored import SEARCH, claimed, job


class TestSchema:
    def test_the_migrations_make_the_tables(self, store: Store) -> None:
        with store._database.reading() as connection:
            context = MigrationContext.configure(
                connection, opts={"compare_type": True, "compare_server_default": True}
            )
            assert compare_metadata(context, metadata) == []

    def test_what_runs_of_the_first_version_spent_is_what_is_known_of_it(self, store: Store, clock: Clock) -> None:
        run = claimed(store).id
        store.begin("anna", job(run))
        clock.now += 40
        store.end("anna", 0, run, "cancelled")
        clock.now += 2
        store.release(run, "anna", "cancelled")
        waiting = store.add_run("search", SEARCH).id
        with store._database.writing() as connection:
            for table, column in (("run", "reason"), ("run", "renewed_at"), ("run", "worked_seconds")):
                connection.execute(text(f"ALTER TABLE {table} DROP COLUMN {column}"))
            connection.execute(text("ALTER TABLE trial DROP COLUMN compute_seconds"))
            for table in ("errand", "agent"):  # which later versions add
                connection.execute(text(f"DROP TABLE {table}"))
            connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
        store._database._migrate()
        assert (store.run(run).worked_seconds, store.trial(run, 0).compute_seconds) == (42, 40)
        assert store.run(waiting).worked_seconds == 0

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
