"""Client authentication at the endpoints for programs: client_secret_basic, client_secret_post, private_key_jwt,
tls_client_auth, self_signed_tls_client_auth and none (RFC 6749 2.3, RFC 7523, RFC 8705 2, OIDC Core 9)."""

from __future__ import annotations

import binascii
import hmac
from base64 import b64decode
from dataclasses import dataclass, field
from urllib.parse import unquote_plus

from broker.federation.model import Federation, OidcClient, Protocol, Service
from broker.login.ports import Clock
from broker.oidc import jose
from broker.oidc.errors import InvalidClient, InvalidRequest
from broker.oidc.op import client_assertion
from broker.oidc.op.client_assertion import ClientAssertions
from broker.oidc.op.client_certificates import ClientCertificates
from broker.oidc.op.http import ClientRequest
from broker.oidc.op.parameters import Parameters, required

METHODS = ("client_secret_basic", "client_secret_post", "private_key_jwt", "none")
CERTIFICATE_METHODS = ("tls_client_auth", "self_signed_tls_client_auth")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Presented:
    """``secrets``: what the client may have meant; empty for a public client. ``assertion``: of private_key_jwt."""

    method: str
    client_id: str
    secrets: tuple[str, ...] = field(default=(), repr=False)
    assertion: str = field(default="", repr=False)


class ClientAuthentication:
    def __init__(self, assertions: ClientAssertions, certificates: ClientCertificates, clock: Clock) -> None:
        self._assertions = assertions
        self._certificates = certificates
        self._clock = clock

    async def of(self, request: ClientRequest, form: Parameters, federation: Federation) -> tuple[Service, OidcClient]:
        """The service, by the one method that it registered. Raises: InvalidClient, InvalidRequest, StateUnavailable."""
        presented = _presented(request.authorization, form)
        service = federation.services_by_entity_id.get((Protocol.OIDC, presented.client_id))
        if service is None or service.client is None:
            raise InvalidClient("no such client")
        client = service.client
        if presented.method != _shown_by(client.token_endpoint_auth_method):
            raise InvalidClient("another method than the registered one", service=service.id)
        match client.token_endpoint_auth_method:
            case "private_key_jwt":
                await self._assertions.check(presented.assertion, client, self._clock())
            case "tls_client_auth" | "self_signed_tls_client_auth":
                await self._certificates.check(request.certificate, client)
            case "client_secret_basic" | "client_secret_post":
                if not _is_secret(presented.secrets, client.client_secret):
                    raise InvalidClient("wrong secret", service=service.id)
            case method:
                assert method == "none", "the documents know no other"
        return service, client


def _shown_by(method: str) -> str:
    """What the request itself shows of a method: a certificate stands beside it (RFC 8705 2)."""
    return "none" if method in CERTIFICATE_METHODS else method


def _presented(authorization: str | None, form: Parameters) -> _Presented:
    client_id, secret = form.get("client_id"), form.get("client_secret")
    if form.get("client_assertion") is not None or form.get("client_assertion_type") is not None:
        if authorization is not None or secret is not None:
            raise InvalidRequest("more than one method of client authentication")
        return _by_assertion(form, client_id)
    if authorization is None:
        if client_id is None:
            raise InvalidClient("no client authentication")
        if secret is None:
            return _Presented(method="none", client_id=client_id)
        return _Presented(method="client_secret_post", client_id=client_id, secrets=(secret,))
    if secret is not None:
        raise InvalidRequest("more than one method of client authentication")
    presented = _basic(authorization)
    if client_id not in (None, presented.client_id):
        raise InvalidClient("client_id is another than the authenticated one")
    return presented


def _by_assertion(form: Parameters, client_id: str | None) -> _Presented:
    """RFC 7523 2.2: who it is may stand in the assertion alone, which is read for it and believed later."""
    if form.get("client_assertion_type") != client_assertion.TYPE:
        raise InvalidRequest("client_assertion_type is not jwt-bearer")
    assertion = required(form, "client_assertion")
    named = jose.unverified(assertion, "sub")
    if named is None or client_id not in (None, named):
        raise InvalidClient("client_assertion names no client, or another than client_id")
    return _Presented(method="private_key_jwt", client_id=named, assertion=assertion)


def _basic(authorization: str) -> _Presented:
    """Id and secret are form-encoded before base64 (RFC 6749 2.3.1), which some clients forget: both readings are tried."""
    scheme, _, credentials = authorization.partition(" ")
    if scheme.lower() != "basic":
        raise InvalidClient("not Basic")
    try:
        text = b64decode(credentials.strip(), validate=True).decode("utf-8")
    except (binascii.Error, ValueError) as error:
        raise InvalidClient("malformed") from error
    client_id, colon, secret = text.partition(":")
    if not colon:
        raise InvalidClient("malformed")
    return _Presented(
        method="client_secret_basic", client_id=unquote_plus(client_id), secrets=(unquote_plus(secret), secret)
    )


def _is_secret(presented: tuple[str, ...], registered: str | None) -> bool:
    """In constant time for each. A client without a registered secret has none that fits."""
    expected = (registered or "").encode("utf-8")
    found = [hmac.compare_digest(each.encode("utf-8"), expected) for each in presented]
    return bool(expected) and any(found)
