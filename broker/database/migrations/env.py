"""Run by Alembic. ``migrate`` hands over a connection whose transaction holds the lock; all steps are one transaction."""

from __future__ import annotations

from alembic import context

from broker.database.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    # SQLite's, too: the connection says BEGIN itself.
    transactional_ddl=True,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
