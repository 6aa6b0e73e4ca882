"""Revisions, documents, metadata files, change requests and the audit log."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

INSTANT = sa.String(27)
DIGEST = sa.String(64)
COUNTER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    _revisions()
    _documents()
    _metadata_files()
    _change_requests()
    _audit()


def _revisions() -> None:
    op.create_table(
        "revisions",
        sa.Column("number", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("origin", sa.String(16), nullable=False),
        sa.Column("summary", sa.Text, nullable=False),
        sa.Column("diff", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_revisions"),
    )


def _documents() -> None:
    op.create_table(
        "documents",
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("since", sa.Integer, nullable=False),
        sa.Column("until", sa.Integer),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("line_in_text", sa.Integer, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("kind", "id", "since", name="pk_documents"),
        sa.ForeignKeyConstraint(["since"], ["revisions.number"], name="fk_documents_since"),
        sa.ForeignKeyConstraint(["until"], ["revisions.number"], name="fk_documents_until"),
    )
    op.create_index("ix_documents_until", "documents", ["until"])


def _metadata_files() -> None:
    op.create_table(
        "metadata_files",
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("since", sa.Integer, nullable=False),
        sa.Column("until", sa.Integer),
        sa.Column("sha256", DIGEST, nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("path", "since", name="pk_metadata_files"),
        sa.ForeignKeyConstraint(["since"], ["revisions.number"], name="fk_metadata_files_since"),
        sa.ForeignKeyConstraint(["until"], ["revisions.number"], name="fk_metadata_files_until"),
    )
    op.create_index("ix_metadata_files_until", "metadata_files", ["until"])


def _change_requests() -> None:
    op.create_table(
        "change_requests",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("origin", sa.String(16), nullable=False),
        sa.Column("base_revision", sa.Integer, nullable=False),
        sa.Column("change", sa.Text, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("starts_at", INSTANT),
        sa.Column("decided_at", INSTANT),
        sa.Column("decided_by", sa.Text, nullable=False, server_default=""),
        sa.Column("decision_reason", sa.Text, nullable=False, server_default=""),
        sa.Column("revision", sa.Integer),
        sa.PrimaryKeyConstraint("id", name="pk_change_requests"),
        sa.ForeignKeyConstraint(["revision"], ["revisions.number"], name="fk_change_requests_revision"),
    )
    op.create_index("ix_change_requests_status", "change_requests", ["status"])


def _audit() -> None:
    op.create_table(
        "audit_records",
        sa.Column("sequence", COUNTER, autoincrement=False, nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("reference", sa.String(64), nullable=False),
        sa.Column("service", sa.Text, nullable=False),
        sa.Column("organisation", sa.Text, nullable=False),
        sa.Column("identity_provider", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("reason", sa.String(64), nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("previous_hash", DIGEST, nullable=False),
        sa.Column("hash", DIGEST, nullable=False),
        sa.PrimaryKeyConstraint("sequence", name="pk_audit_records"),
    )
    op.create_index("ix_audit_records_reference", "audit_records", ["reference"])
    op.create_index("ix_audit_records_at", "audit_records", ["at"])
    op.create_index("ix_audit_records_service_at", "audit_records", ["service", "at"])
    op.create_index("ix_audit_records_organisation_at", "audit_records", ["organisation", "at"])
    head = op.create_table(
        "audit_head",
        sa.Column("id", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("sequence", COUNTER, nullable=False),
        sa.Column("hash", DIGEST, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit_head"),
    )
    op.bulk_insert(head, [{"id": 1, "sequence": 0, "hash": "0" * 64}])
