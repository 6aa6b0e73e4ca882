"""Reply: what must be remembered of an authorization request to answer it, as the strings of ``LoginRequest.reply``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

QUERY = "query"
FORM_POST = "form_post"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """``redirect_uri`` is verified. ``scopes`` are the granted ones. ``essential_acr``, ``expected_subject`` and the two lists
    of claims: what the ``claims`` parameter and id_token_hint ask for. ``dpop_jkt``: the key to which the code is bound.
    ``user_code``: the answer is for a device, and the browser goes to our own page.
    """

    redirect_uri: str
    state: str | None = None
    response_mode: str = QUERY
    nonce: str | None = None
    code_challenge: str | None = None
    scopes: tuple[str, ...] = ()
    userinfo_claims: tuple[str, ...] = ()
    id_token_claims: tuple[str, ...] = ()
    essential_acr: tuple[str, ...] = ()
    expected_subject: str | None = None
    dpop_jkt: str | None = None
    user_code: str | None = None

    def strings(self) -> dict[str, str]:
        """Lists are JSON: the names of claims and contexts are the service's own text."""
        texts = {name: getattr(self, name) for name in _TEXTS}
        lists = {name: json.dumps(getattr(self, name)) for name in _LISTS if getattr(self, name)}
        return {name: text for name, text in texts.items() if text is not None} | lists


_TEXTS = (
    "redirect_uri",
    "state",
    "response_mode",
    "nonce",
    "code_challenge",
    "expected_subject",
    "dpop_jkt",
    "user_code",
)
_LISTS = ("scopes", "userinfo_claims", "id_token_claims", "essential_acr")


def read(strings: Mapping[str, str]) -> Reply:
    """What ``Reply.strings`` wrote."""

    def listed(name: str) -> tuple[str, ...]:
        return tuple(json.loads(strings.get(name, "[]")))

    return Reply(
        redirect_uri=strings["redirect_uri"],
        state=strings.get("state"),
        response_mode=strings["response_mode"],
        nonce=strings.get("nonce"),
        code_challenge=strings.get("code_challenge"),
        scopes=listed("scopes"),
        userinfo_claims=listed("userinfo_claims"),
        id_token_claims=listed("id_token_claims"),
        essential_acr=listed("essential_acr"),
        expected_subject=strings.get("expected_subject"),
        dpop_jkt=strings.get("dpop_jkt"),
        user_code=strings.get("user_code"),
    )
