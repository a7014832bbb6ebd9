"""Run by Alembic for every migration, on the connection and in the transaction that nas.store.database opened."""

from alembic import context

from nas.store.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
