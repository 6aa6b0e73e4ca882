"""Dynamic client registration and its management (RFC 7591, RFC 7592; OpenID Connect Registration 1.0).

    POST   /oidc/register              initial access token ─▶ a service in status test, as one revision of the registry
    GET    /oidc/register/{client_id}  registration access token ─▶ what is registered
    PUT                                ─▶ all that the client decides, anew, as long as it is in test
    DELETE                             ─▶ gone

What an operator decided with the token (the owner, the release and its purposes, the testers) is not the client's to change.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

import structlog

from broker.errors import PageNotFound, ServiceFault
from broker.federation.document_models import GENERATED
from broker.federation.document_types import DocumentErrors
from broker.federation.model import OidcClient, Protocol, Service, Status
from broker.federation.service_document import KIND, ServiceKnown, ServiceNeeded, ServiceUnknown
from broker.fetch import Fetcher, FetchError
from broker.login.ports import ServiceRegistry
from broker.oidc import json_object
from broker.oidc.errors import (
    InvalidClientMetadata,
    InvalidRequest,
    InvalidToken,
    RegistrationClosed,
    TokenMissing,
)
from broker.oidc.op import client_metadata
from broker.oidc.op.client_metadata import ClientMetadata, Offered
from broker.oidc.op.http import NO_STORE, HttpAnswer, error_answer, json_answer
from broker.oidc.op.initial_access import PATH, Admission, InitialAccessTokens

log = structlog.get_logger(__name__)

_JSON = "application/json"
_SECRET_METHODS = ("client_secret_basic", "client_secret_post")
_DEFAULT_METHOD = "client_secret_basic"
# RFC 7592 2.2: what a client must not send.
_OF_THE_ANSWER = (
    "registration_access_token",
    "registration_client_uri",
    "client_secret_expires_at",
    "client_id_issued_at",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationRequest:
    """``client_id``: of the address; "" at the registration endpoint itself. ``content_type``: without parameters."""

    method: str
    client_id: str = ""
    authorization: str | None = field(default=None, repr=False)
    content_type: str = ""
    body: bytes = field(default=b"", repr=False)


class Registrations:
    def __init__(
        self,
        *,
        issuer: str,
        services: ServiceRegistry,
        tokens: InitialAccessTokens,
        offered: Offered,
        fetcher: Fetcher,
    ) -> None:
        self._location = issuer + PATH
        self._challenge = f'Bearer realm="{issuer}"'
        self._services = services
        self._tokens = tokens
        self._offered = offered
        self._fetcher = fetcher

    async def answer(self, request: RegistrationRequest) -> HttpAnswer:
        """Raises: BrokerFault; PageNotFound, for another method."""
        try:
            return await self._answered(request)
        except ServiceFault as fault:
            log.info("oidc.registration.refused", reason=fault.code, detail=fault.detail, **fault.context)
            return error_answer(fault, self._challenge_for(fault))

    async def _answered(self, request: RegistrationRequest) -> HttpAnswer:
        if not request.client_id:
            return await self._register(request)
        service, client = await self._registered(request)
        match request.method:
            case "GET":
                return self._information(service)
            case "PUT":
                return await self._replace(request, service, client)
            case "DELETE":
                return await self._remove(service)
        raise PageNotFound("another method")

    def _challenge_for(self, fault: ServiceFault) -> str | None:
        """RFC 6750 3."""
        if isinstance(fault, TokenMissing):
            return self._challenge
        return f'{self._challenge}, error="invalid_token"' if isinstance(fault, InvalidToken) else None

    # --- RFC 7591 ----------------------------------------------------------------------------------------------------

    async def _register(self, request: RegistrationRequest) -> HttpAnswer:
        """3.1. Raises: TokenMissing, InvalidToken, InvalidRequest, InvalidRedirectUri, InvalidClientMetadata …"""
        admitted = self._tokens.read(_bearer(request.authorization))
        metadata = client_metadata.read(_members(request), self._offered, public_subject=admitted.public_subject)
        await self._check_sector(metadata)
        body = _document(admitted, metadata)
        try:
            written = await self._services.add(body, author=_author(admitted.owner), reason="registered itself")
        except ServiceKnown as error:
            raise InvalidToken("the initial access token was used") from error
        except DocumentErrors as errors:
            raise client_metadata.refusal(errors) from errors
        assert written.service is not None, "it was added"
        log.info("oidc.registered", service=written.service.id, owner=admitted.owner, revision=written.revision)
        return self._information(written.service, status=201)

    async def _check_sector(self, metadata: ClientMetadata) -> None:
        """OIDC Registration 5: the file names every redirect URI. Raises: InvalidClientMetadata."""
        uri = metadata.client.get("sector_identifier_uri")
        if not isinstance(uri, str):
            return
        try:
            listed = json_object.read_list((await self._fetcher.get(uri)).body)
        except (FetchError, ValueError) as error:
            raise InvalidClientMetadata("sector_identifier_uri: no JSON array can be fetched from it") from error
        redirect_uris = metadata.client.get("redirect_uris")
        if not isinstance(redirect_uris, list) or any(each not in listed for each in redirect_uris):
            raise InvalidClientMetadata("sector_identifier_uri: its array lacks one of the redirect_uris")

    # --- RFC 7592 ----------------------------------------------------------------------------------------------------

    async def _registered(self, request: RegistrationRequest) -> tuple[Service, OidcClient]:
        """The client whose token this is; nobody learns whether there is another. Raises: TokenMissing, InvalidToken."""
        token = _bearer(request.authorization)
        federation = await self._services.latest()
        service = federation.services_by_entity_id.get((Protocol.OIDC, request.client_id))
        client = None if service is None else service.client
        right = (client.registration_access_token if client else None) or ""
        same = hmac.compare_digest(token.encode(), right.encode())
        if service is None or client is None or not right or not same:
            raise InvalidToken("not the registration access token of this client")
        return service, client

    async def _replace(self, request: RegistrationRequest, service: Service, client: OidcClient) -> HttpAnswer:
        """2.2: what is left out is no longer registered. Raises: as ``_register``; RegistrationClosed."""
        members = _members(request)
        _check_own(members, client)
        public = client.subject_type == "public"
        metadata = client_metadata.read(members, self._offered, public_subject=public)
        await self._check_sector(metadata)

        def edit(body: Mapping[str, object]) -> Mapping[str, object]:
            _check_open(body, service)
            return _replaced(body, metadata)

        try:
            written = await self._services.change(
                service.id, edit, author=_author(service.owner), reason="changed its registration"
            )
        except ServiceUnknown as error:
            raise InvalidToken("the service was removed") from error
        except DocumentErrors as errors:
            raise client_metadata.refusal(errors) from errors
        assert written.service is not None, "it was not removed"
        log.info("oidc.registration.changed", service=service.id, revision=written.revision)
        return self._information(written.service)

    async def _remove(self, service: Service) -> HttpAnswer:
        """2.3. Raises: RegistrationClosed, InvalidToken."""

        def edit(body: Mapping[str, object]) -> None:
            _check_open(body, service)

        try:
            written = await self._services.change(
                service.id, edit, author=_author(service.owner), reason="removed its registration"
            )
        except ServiceUnknown as error:
            raise InvalidToken("the service was removed") from error
        except ServiceNeeded as error:
            raise RegistrationClosed("other documents name the service", service=service.id) from error
        log.info("oidc.registration.removed", service=service.id, revision=written.revision)
        return HttpAnswer(status=204, headers=NO_STORE, body=b"")

    def _information(self, service: Service, status: int = 200) -> HttpAnswer:
        """RFC 7591 3.2.1, RFC 7592 3."""
        assert service.client is not None, "only clients register"
        uri = f"{self._location}/{service.client.client_id}"
        return json_answer(client_metadata.information(service, uri), status=status)


def _bearer(authorization: str | None) -> str:
    """RFC 6750 2.1. Raises: TokenMissing, InvalidRequest."""
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() != "bearer":
        raise TokenMissing("no access token")
    token = token.strip()
    if not token or not token.isascii() or " " in token:
        raise InvalidRequest("malformed")
    return token


def _members(request: RegistrationRequest) -> Mapping[str, object]:
    """Raises: InvalidRequest, InvalidClientMetadata."""
    if request.content_type != _JSON:
        raise InvalidRequest("the body is not application/json")
    try:
        return json_object.read_unique(request.body)
    except ValueError as error:
        raise InvalidClientMetadata(f"the body is not a JSON object: {error}") from error


def _document(admitted: Admission, metadata: ClientMetadata) -> dict[str, object]:
    """What an operator decided, and what the client says of itself, in the words of documents."""
    client = {"client_id": admitted.id, **metadata.client, **_secret(metadata.client), **_token()}
    decided = dict(admitted.decided)
    named = {"name": metadata.name} if metadata.name else {}
    return {
        "kind": KIND,
        "id": admitted.id,
        "protocol": Protocol.OIDC.value,
        **decided,
        **named,
        "client": client,
        "status": Status.TEST.value,
    }


def _replaced(body: Mapping[str, object], metadata: ClientMetadata) -> dict[str, object]:
    """Secret and token stay as they are where they are needed still."""
    before = body["client"]
    assert isinstance(before, dict), "the document was read as a service's"
    kept = {name: before[name] for name in ("client_id", "registration_access_token") if name in before}
    secret = _secret(metadata.client)
    if secret and "client_secret" in before:
        secret = {"client_secret": before["client_secret"]}
    named = {"name": metadata.name} if metadata.name else {}
    return {**body, **named, "client": {**kept, **metadata.client, **secret}}


def _secret(client: Mapping[str, object]) -> dict[str, object]:
    if client.get("token_endpoint_auth_method", _DEFAULT_METHOD) in _SECRET_METHODS:
        return {"client_secret": _generated()}
    return {}


def _token() -> dict[str, object]:
    return {"registration_access_token": _generated()}


def _generated() -> str:
    return f"{GENERATED}{secrets.token_urlsafe(24)}"


def _check_own(members: Mapping[str, object], client: OidcClient) -> None:
    """RFC 7592 2.2. Raises: InvalidClientMetadata."""
    if members.get("client_id") != client.client_id:
        raise InvalidClientMetadata("client_id: must be that of the registration")
    if sent := [name for name in _OF_THE_ANSWER if name in members]:
        raise InvalidClientMetadata(f"{sent[0]}: is not the client's to send")
    secret = members.get("client_secret")
    if secret is not None and not (
        isinstance(secret, str) and hmac.compare_digest(secret.encode(), (client.client_secret or "").encode())
    ):
        raise InvalidClientMetadata("client_secret: a client does not choose its secret")


def _check_open(body: Mapping[str, object], service: Service) -> None:
    """Once it is in production, an operator answers for what it is. Raises: RegistrationClosed."""
    if body.get("status") != Status.TEST.value:
        raise RegistrationClosed("the service is not in test any more", service=service.id)


def _author(owner: str) -> str:
    return f"registration:{owner}"
