"""key_file: an operator's CSV of old and new keys (RFC 4180, UTF-8), columns ``old`` and ``new``. Read whole or refused whole.

A key is personal data: problems name lines, never keys.
"""

from __future__ import annotations

import csv
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path

from broker.attributes.subject import MAX_KEY_CHARACTERS, is_usable

MAX_LINES = 200_000
MAX_OCTETS = 64 * 1024 * 1024
MAX_PROBLEMS = 20
COLUMNS = ("old", "new")


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyLine:
    """``number``: of the line in the file, from 1."""

    number: int
    old: str = field(repr=False)
    new: str = field(repr=False)


class KeyFileError(Exception):
    """What is wrong with the file: the first problems, each with its line."""


def read(path: Path) -> tuple[KeyLine, ...]:
    """Raises: KeyFileError."""
    lines: list[KeyLine] = []
    problems: list[str] = []
    for found in _lines(_text(path)):
        if isinstance(found, KeyLine):
            lines.append(found)
        else:
            problems.append(found)
        if len(lines) > MAX_LINES:
            raise KeyFileError(f"more than {MAX_LINES} lines: divide it, by department for example")
        if len(problems) == MAX_PROBLEMS:
            problems.append("and perhaps more")
            break
    if problems:
        raise KeyFileError("\n".join(problems))
    if not lines:
        raise KeyFileError("no line beside the header")
    return tuple(lines)


def _text(path: Path) -> str:
    """Without the mark that spreadsheets put before UTF-8."""
    try:
        if path.stat().st_size > MAX_OCTETS:
            raise KeyFileError(f"more than {MAX_OCTETS // 2**20} MiB")
        octets = path.read_bytes()
    except OSError as error:
        raise KeyFileError(error.strerror or "cannot be read") from error
    if octets.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        raise KeyFileError("is UTF-16: save it as “CSV UTF-8”")
    try:
        return octets.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = octets[: error.start].count(b"\n") + 1
        raise KeyFileError(f"line {line}: not UTF-8: save it as “CSV UTF-8”") from error


def _lines(text: str) -> Iterator[KeyLine | str]:
    """Each line, or what is wrong with it. Raises: KeyFileError, of a header by which nothing can be read."""
    header, _, _ = text.partition("\n")
    reader = csv.reader(StringIO(text, newline=""), delimiter=";" if ";" in header else ",", strict=True)
    try:
        columns = [name.strip().lower() for name in next(reader, [])]
        if sorted(columns) != sorted(COLUMNS):
            raise KeyFileError("line 1: the columns must be old and new, and no others")
        for row in reader:
            if row:
                yield _line(dict(zip(columns, row, strict=False)), len(row), reader.line_num)
    except csv.Error as error:
        raise KeyFileError(f"line {reader.line_num}: {error}") from error


def _line(row: dict[str, str], cells: int, number: int) -> KeyLine | str:
    if cells != len(COLUMNS):
        return f"line {number}: {cells} cells instead of {len(COLUMNS)}"
    for name in COLUMNS:
        key = row[name]
        if not key.strip():
            return f"line {number}: {name} is empty"
        if key != key.strip():
            return f"line {number}: {name} begins or ends with a space"
        if not is_usable(key):
            return f"line {number}: {name} holds an invisible character, or is longer than {MAX_KEY_CHARACTERS}"
    return KeyLine(number=number, old=row["old"], new=row["new"])
