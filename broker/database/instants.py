"""Times as they are stored: text of one fixed form, the same in every database, that sorts as the times do.

The audit log hashes its columns as they are stored; a database's own type of time would not give the same octets back.
"""

from __future__ import annotations

from datetime import UTC, datetime

LENGTH = len("2026-01-01T00:00:00.000000Z")


def to_text(instant: datetime) -> str:
    """``instant``: aware. Raises: ValueError."""
    if instant.tzinfo is None:
        raise ValueError("a time without its zone")
    return instant.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def from_text(text: str) -> datetime:
    """Raises: ValueError."""
    return datetime.fromisoformat(text)
