"""RecordStore: the one contract that every backend of short-lived state fulfils.

``tests/storage/`` holds the conformance suite; each backend's own tests are a few lines. Names are built by
``record_names.py`` only.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Protocol


class RecordStore(Protocol):
    """Named octets that vanish after their lifetime. Every method raises StateUnavailable when the store is out of reach.

    Each method is atomic among all callers in all processes that use the store. A record whose lifetime has passed is
    not there, whether or not its octets were removed already. Nothing is ever found by scanning.

    Lifetimes are kept to the millisecond and must be positive (ValueError).
    """

    async def put(self, name: str, value: bytes, lifetime: timedelta) -> None:
        """Stores or overwrites."""

    async def add(self, name: str, value: bytes, lifetime: timedelta) -> bool:
        """Stores unless a record of that name is there. True to the one caller that stored it."""

    async def get(self, name: str) -> bytes | None: ...

    async def take(self, name: str) -> bytes | None:
        """Removes the record and returns it to exactly one caller; None to all others."""

    async def remove(self, name: str) -> None:
        """Removes the record if it is there."""

    async def ping(self) -> None:
        """Returns if the store can be written and read now. Raises: StateUnavailable."""

    async def close(self) -> None: ...


def milliseconds(lifetime: timedelta) -> int:
    """Rounded up. Raises: ValueError, unless it is positive."""
    if lifetime <= timedelta(0):
        raise ValueError("a lifetime must be positive")
    return -(lifetime // -timedelta(milliseconds=1))
