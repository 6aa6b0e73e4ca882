"""JSON that a partner wrote: an object, or an array, or nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any


def read(text: bytes | str) -> dict[str, object]:
    """Raises: ValueError, for whatever is not one JSON object (RFC 8259): NaN, bad UTF-8, nesting without end …"""
    return _read(text)


def read_unique(text: bytes | str) -> dict[str, object]:
    """As ``read``; nor may a name come twice in one object: which of the two would be meant? Raises: ValueError."""
    return _read(text, object_pairs_hook=_unique)


def _read(
    text: bytes | str, object_pairs_hook: Callable[[list[tuple[str, Any]]], Any] | None = None
) -> dict[str, object]:
    try:
        found = json.loads(text, parse_constant=_refuse, object_pairs_hook=object_pairs_hook)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(found, dict):
        raise ValueError("not an object")
    return found


def read_list(text: bytes | str) -> list[object]:
    """Raises: ValueError, for whatever is not one JSON array."""
    try:
        found = json.loads(text, parse_constant=_refuse)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(found, list):
        raise ValueError("not an array")
    return found


def write(found: object) -> bytes:
    return json.dumps(found, ensure_ascii=False, separators=(",", ":")).encode("utf-8")


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name comes twice")
    return found


def _refuse(name: str) -> object:
    raise ValueError(f"{name} is not JSON")
