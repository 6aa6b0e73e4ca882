"""Migrations of identifiers, and the identities that they keep."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "identifier_migrations",
        sa.Column("number", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("at", sa.String(27), nullable=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("undoes", sa.Integer),
        sa.Column("from_organisation", sa.Text, nullable=False),
        sa.Column("from_keyspace", sa.Text, nullable=False),
        sa.Column("to_organisation", sa.Text, nullable=False),
        sa.Column("to_keyspace", sa.Text, nullable=False),
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column("until", sa.String(10)),
        sa.Column("people", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_identifier_migrations"),
        sa.ForeignKeyConstraint(["undoes"], ["identifier_migrations.number"], name="fk_identifier_migrations_undoes"),
    )
    op.create_table(
        "kept_identities",
        sa.Column("migration", sa.Integer, nullable=False),
        sa.Column("newer", sa.LargeBinary(32), nullable=False),
        sa.Column("older", sa.LargeBinary(32), nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("migration", "newer", name="pk_kept_identities"),
        sa.ForeignKeyConstraint(["migration"], ["identifier_migrations.number"], name="fk_kept_identities_migration"),
    )
