"""How every connection to an SQLite file is set, whichever library opens it."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Literal
from urllib.parse import quote

Synchronous = Literal["NORMAL", "FULL"]
"""FULL: a committed transaction survives a power failure. NORMAL: it survives the death of the process."""

BUSY_SECONDS = 5.0
"""How long a connection waits for another one's write before it gives up."""


def uri(file: Path) -> str:
    """Opens the file for reading and writing, and never creates one: a database that is gone must not come back empty."""
    return f"file:{quote(str(file))}?mode=rw"


def pragmas(synchronous: Synchronous) -> tuple[str, ...]:
    # WAL: readers never wait for the writer. It is a property of the file, so that every connection must agree.
    return (
        f"PRAGMA busy_timeout={int(BUSY_SECONDS * 1000)}",
        "PRAGMA journal_mode=WAL",
        f"PRAGMA synchronous={synchronous}",
        "PRAGMA foreign_keys=ON",
    )


def create(file: Path) -> None:
    """Makes the file and its folder unless they are there; nobody but the broker's user may read them.

    The file is put into WAL mode here. Raises: OSError, sqlite3.Error.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    # SQLite gives its -wal and -shm files the modes of the file itself.
    os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))
    connect(file, "FULL").close()


def connect(file: Path, synchronous: Synchronous) -> sqlite3.Connection:
    """In autocommit mode: whoever uses it says BEGIN and COMMIT. Raises: sqlite3.Error."""
    connection = sqlite3.connect(uri(file), uri=True, isolation_level=None, timeout=BUSY_SECONDS)
    try:
        for pragma in pragmas(synchronous):
            connection.execute(pragma)
    except sqlite3.Error:
        connection.close()
        raise
    return connection
