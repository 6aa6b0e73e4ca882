"""The tables of the durable state, in terms that SQLite and PostgreSQL share.

The migrations make them; this says what they are now. The short-lived state keeps its own table (``state/sqlite.py``).

A row of ``documents`` or ``metadata_files`` holds from revision ``since`` up to, not including, revision ``until``; NULL:
it still holds. What held at a revision is therefore never changed by a later one.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, LargeBinary, MetaData, String, Table, Text

from broker.database import instants

SCHEMA = "0002"
"""The newest migration: what this code needs. A test holds it equal to the migrations' head."""

_INSTANT = String(instants.LENGTH)
_DIGEST = String(64)  # SHA-256, hexadecimal
# Only an INTEGER primary key is SQLite's own row number.
_COUNTER = BigInteger().with_variant(Integer, "sqlite")

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)

# Every change of the federation's data. Revision 0 is the empty federation, and has no row.
revisions = Table(
    "revisions",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("at", _INSTANT, nullable=False),
    Column("author", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("origin", String(16), nullable=False),  # file, portal, api
    Column("summary", Text, nullable=False),
    Column("diff", Text, nullable=False),
)

# ``text`` is the exact slice of the file, ``body`` the same parsed, as JSON. ``line_in_text``: how far below the first
# line of ``text`` the document begins.
documents = Table(
    "documents",
    metadata,
    Column("kind", String(32), primary_key=True),
    Column("id", Text, primary_key=True),
    Column("since", Integer, ForeignKey("revisions.number"), primary_key=True),
    Column("until", Integer, ForeignKey("revisions.number"), index=True),
    Column("path", Text, nullable=False),
    Column("position", Integer, nullable=False),
    Column("line_in_text", Integer, nullable=False),
    Column("text", Text, nullable=False),
    Column("body", Text, nullable=False),
)

metadata_files = Table(
    "metadata_files",
    metadata,
    Column("path", Text, primary_key=True),
    Column("since", Integer, ForeignKey("revisions.number"), primary_key=True),
    Column("until", Integer, ForeignKey("revisions.number"), index=True),
    Column("sha256", _DIGEST, nullable=False),
    Column("content", LargeBinary, nullable=False),
)

# Changes that wait for somebody's approval. ``change``: the documents and files wanted instead, as JSON.
change_requests = Table(
    "change_requests",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("at", _INSTANT, nullable=False),
    Column("author", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("origin", String(16), nullable=False),
    Column("base_revision", Integer, nullable=False),
    Column("change", Text, nullable=False),
    Column("status", String(16), nullable=False, index=True),  # proposed, approved, refused, withdrawn, applied
    Column("starts_at", _INSTANT),
    Column("decided_at", _INSTANT),
    Column("decided_by", Text, nullable=False, server_default=""),
    Column("decision_reason", Text, nullable=False, server_default=""),
    Column("revision", Integer, ForeignKey("revisions.number")),
)

# Append-only; ``audit/chain.py`` says how ``hash`` is made.
audit_records = Table(
    "audit_records",
    metadata,
    Column("sequence", _COUNTER, primary_key=True, autoincrement=False),
    Column("at", _INSTANT, nullable=False),
    Column("kind", String(64), nullable=False),
    Column("reference", String(64), nullable=False),
    Column("service", Text, nullable=False),
    Column("organisation", Text, nullable=False),
    Column("identity_provider", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("reason", String(64), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("detail", Text, nullable=False),
    Column("previous_hash", _DIGEST, nullable=False),
    Column("hash", _DIGEST, nullable=False),
    Index(None, "reference"),
    Index(None, "at"),
    Index(None, "service", "at"),
    Index(None, "organisation", "at"),
)

# One row: the newest audit record. Whoever appends locks it, so that the chain never forks.
audit_head = Table(
    "audit_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("sequence", _COUNTER, nullable=False),
    Column("hash", _DIGEST, nullable=False),
)

# Migrations of identifiers; a row with ``undoes`` is the undoing of an earlier one, and moves nobody. ``until``: a date.
identifier_migrations = Table(
    "identifier_migrations",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("at", _INSTANT, nullable=False),
    Column("author", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("undoes", Integer, ForeignKey("identifier_migrations.number")),
    Column("from_organisation", Text, nullable=False),
    Column("from_keyspace", Text, nullable=False),
    Column("to_organisation", Text, nullable=False),
    Column("to_keyspace", Text, nullable=False),
    Column("scope", Text, nullable=False),
    Column("until", String(10)),
    Column("people", Integer, nullable=False),
)

# ``newer``, ``older``: keyed hashes of identities (``attributes/identifiers.py``). ``sealed``: the older one's key.
kept_identities = Table(
    "kept_identities",
    metadata,
    Column("migration", Integer, ForeignKey("identifier_migrations.number"), primary_key=True),
    Column("newer", LargeBinary(32), primary_key=True),
    Column("older", LargeBinary(32), nullable=False),
    Column("sealed", LargeBinary, nullable=False),
)
