"""A city's claims as a sample, for the dry run of a login that has not happened. Nothing of it is verified: nobody logs in by it."""

from __future__ import annotations

from broker.errors import HomeAnswerInvalid
from broker.federation.model import IdentityProvider
from broker.login.identity import VerifiedAssertion
from broker.oidc import jose, json_object
from broker.oidc.jose import SignedClaims
from broker.oidc.rp import id_token


class SampleUnusable(Exception):
    """What was given holds no claims that can be read. The text says what to do."""


def read(octets: bytes, idp: IdentityProvider) -> VerifiedAssertion:
    """``octets``: claims of an ID token, with those of userinfo or without, as a JSON object; or the ID token itself. Raises:
    SampleUnusable."""
    try:
        claims = json_object.read(_claims(octets.strip()))
        id_token.check_subject(SignedClaims(claims))
        return id_token.assertion(idp, SignedClaims(claims), {}, "")
    except ValueError as error:
        raise SampleUnusable(f"neither a JSON object of claims nor an ID token: {error}") from error
    except HomeAnswerInvalid as fault:
        raise SampleUnusable(f"{fault.code}: {fault.detail}") from fault


def _claims(octets: bytes) -> bytes:
    """The payload of a token in three parts, else the octets as they are."""
    parts = octets.split(b".")
    if octets.startswith(b"{") or len(parts) != 3:
        return octets
    return jose.from_base64url(parts[1])
