"""The ``claims`` parameter: which claims a service wants beside those of its scopes (OIDC Core 5.5).

It never widens what a service gets: what it names is given as far as the service registered it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from broker.oidc import json_object
from broker.oidc.errors import InvalidRequest

_MAX_NAMES = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimsRequest:
    """``userinfo``, ``id_token``: names of claims. ``acr_values``: wishes; ``essential_acr``: one of them must be proven
    (5.5.1.1). ``subject``: the only person whom the service takes (5.5.1).
    """

    userinfo: tuple[str, ...] = ()
    id_token: tuple[str, ...] = ()
    acr_values: tuple[str, ...] = ()
    essential_acr: tuple[str, ...] = ()
    subject: str | None = None


def read(text: str | None) -> ClaimsRequest:
    """Raises: InvalidRequest."""
    if text is None:
        return ClaimsRequest()
    try:
        found = json_object.read(text)
    except ValueError as error:
        raise InvalidRequest("claims is not a JSON object") from error
    userinfo, id_token = _members(found, "userinfo"), _members(found, "id_token")
    acr = id_token.get("acr", {})
    values = _values(acr)
    subjects = {each for member in (userinfo, id_token) for each in _values(member.get("sub", {}))}
    if len(subjects) > 1:
        raise InvalidRequest("claims names several persons")
    return ClaimsRequest(
        userinfo=tuple(userinfo),
        id_token=tuple(id_token),
        acr_values=values,
        essential_acr=values if acr.get("essential") is True else (),
        subject=next(iter(subjects), None),
    )


def _members(found: Mapping[str, object], name: str) -> Mapping[str, Mapping[str, object]]:
    """The claims of one member, each with what is said of it; null says nothing."""
    members = found.get(name)
    if members is None:
        return {}
    if not isinstance(members, dict) or len(members) > _MAX_NAMES:
        raise InvalidRequest(f"claims.{name} is not an object of at most {_MAX_NAMES} members")
    said = {claim: {} if about is None else about for claim, about in members.items()}
    if not all(isinstance(about, dict) for about in said.values()):
        raise InvalidRequest(f"claims.{name} has a member that is neither null nor an object")
    return said


def _values(about: Mapping[str, object]) -> tuple[str, ...]:
    """``value`` or ``values``, as far as they are text."""
    values = about.get("values")
    listed = values if isinstance(values, list) else []
    return tuple(each for each in (about.get("value"), *listed) if isinstance(each, str))
