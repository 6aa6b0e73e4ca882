"""Claims as attributes of a VerifiedAssertion: every value as text, in order; what is inside an object under a dotted name."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

# About the token or the login, not about the person (OIDC Core 2, RFC 7519 4.1).
_NOT_OF_THE_PERSON = frozenset(
    "iss aud exp iat nbf jti nonce azp at_hash c_hash s_hash auth_time acr amr sid".split()  # noqa: SIM905 - a table
)
_MAX_DEPTH = 5


def texts(claims: Mapping[str, object]) -> dict[str, tuple[str, ...]]:
    """``{"roles": ["a"], "realm_access": {"roles": ["b"]}, "ok": true}`` gives ``roles``, ``realm_access.roles`` and ``ok``.

    Null says nothing. An object inside a list, or deeper than five levels, is written as JSON.
    """
    of_the_person = {name: value for name, value in claims.items() if name not in _NOT_OF_THE_PERSON}
    return dict(_flat(of_the_person, "", _MAX_DEPTH))


def _flat(claims: Mapping[str, object], prefix: str, depth: int) -> Iterator[tuple[str, tuple[str, ...]]]:
    for name, value in claims.items():
        if isinstance(value, dict) and depth > 1:
            yield from _flat(value, f"{prefix}{name}.", depth - 1)
            continue
        listed = value if isinstance(value, list) else [value]
        found = tuple(_text(each) for each in listed if each is not None)
        if found:
            yield f"{prefix}{name}", found


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
