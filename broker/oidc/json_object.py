"""JSON that a partner wrote: an object, or nothing."""

from __future__ import annotations

import json


def read(text: bytes | str) -> dict[str, object]:
    """Raises: ValueError, for whatever is not one JSON object (RFC 8259): NaN, bad UTF-8, nesting without end …"""
    try:
        found = json.loads(text, parse_constant=_refuse)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(found, dict):
        raise ValueError("not an object")
    return found


def write(found: object) -> bytes:
    return json.dumps(found, ensure_ascii=False, separators=(",", ":")).encode("utf-8")


def _refuse(name: str) -> object:
    raise ValueError(f"{name} is not JSON")
