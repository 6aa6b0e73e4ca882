"""The store that a URL names."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from broker.state.errors import StateUrlWrong
from broker.state.memory import MemoryStore
from broker.state.redis import SENTINEL, RedisStore
from broker.state.sqlite import SqliteStore
from broker.state.store import RecordStore


async def open_store(url: str) -> RecordStore:
    """``url``: as ``settings.state``. Its owner closes it.

    An SQLite file is opened, and created if need be; Redis is connected to at first use.
    Raises: StateUrlWrong, StateUnavailable.
    """
    parts = urlsplit(url)
    if parts.scheme == "memory":
        return MemoryStore()
    if parts.scheme == "sqlite":
        return await _sqlite(unquote(parts.path))
    if parts.scheme in ("redis", "rediss", SENTINEL):
        return RedisStore(url)
    raise StateUrlWrong(f"must be memory://, sqlite:////FILE, redis://, rediss:// or {SENTINEL}://")


async def _sqlite(path: str) -> RecordStore:
    # As SQLAlchemy reads it: what follows sqlite:/// is the file, and an absolute one begins with a slash of its own.
    file = Path(path.removeprefix("/"))
    if not file.is_absolute():
        raise StateUrlWrong("must name an absolute file: sqlite:////FILE")
    store = SqliteStore(file)
    await store.open()
    return store
