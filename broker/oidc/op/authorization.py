"""The authorization request: from a service's parameters to a LoginRequest (OIDC Core 3.1.2.1, RFC 6749 4.1.1, RFC 7636).

In the order of what may be done with a complaint: until client and redirect URI are known to belong together, the person sees
a page and nothing is sent anywhere (promise P5); from then on the service is told, by ``RefusedRequest``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from enum import Enum, auto

from broker.attributes.schema import OIDC_SCOPES
from broker.errors import ServiceFault, UnknownService, UnregisteredAddress
from broker.federation.model import Federation, OidcClient, Protocol, Service
from broker.login.edges import RefusedRequest
from broker.login.request import Hints, LoginRequest
from broker.oidc import pkce
from broker.oidc.errors import (
    InvalidRequest,
    InvalidScope,
    PkceRequired,
    RegistrationNotSupported,
    RequestUriNotSupported,
    UnauthorizedClient,
    UnsupportedResponseType,
)
from broker.oidc.op import claims_request
from broker.oidc.op.claims_request import ClaimsRequest
from broker.oidc.op.issuing import OFFLINE_ACCESS
from broker.oidc.op.parameters import Parameters, required
from broker.oidc.op.reply import FORM_POST, QUERY, Reply

RESPONSE_MODES = (QUERY, FORM_POST)
PROMPTS = ("none", "login", "consent", "select_account")
SCOPES = ("openid", OFFLINE_ACCESS, *sorted(OIDC_SCOPES))


class Come(Enum):
    """How a request's parameters came: by the browser, in a signed object, or from server to server."""

    OPEN = auto()
    SIGNED = auto()
    PUSHED = auto()


SubjectOfHint = Callable[[str, str], str]
"""(id_token_hint, client_id) → the ``sub`` of an ID token that we signed for that client. Raises: InvalidRequest."""

_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")
_SECONDS = re.compile(r"[0-9]{1,9}")
_THUMBPRINT = re.compile(r"[A-Za-z0-9_-]{43}")
_UNSUPPORTED: tuple[tuple[str, type[ServiceFault]], ...] = (
    ("request_uri", RequestUriNotSupported),
    ("registration", RegistrationNotSupported),
)


def read(
    pairs: Sequence[tuple[str, str]], federation: Federation, subject_of_hint: SubjectOfHint, come: Come = Come.OPEN
) -> LoginRequest:
    """``pairs``: decoded once, in order: from the query or the form, a request object, or what was pushed.

    Raises: UnknownService, UnregisteredAddress, InvalidRequest (a page); RefusedRequest (the service is told).
    """
    asked = Parameters(pairs)
    service, client = _client(asked, federation)
    reply = _reply(asked, service, client)
    try:
        check_way(client, come)
        return _request(asked, service, client, reply, subject_of_hint)
    except ServiceFault as fault:
        told = LoginRequest(service=service.id, protocol=Protocol.OIDC, reply=reply.strings())
        raise RefusedRequest(fault, told) from fault


def check_way(client: OidcClient, come: Come) -> None:
    """What the client registered for itself. Raises: InvalidRequest."""
    if client.require_pushed_authorization_requests and come is not Come.PUSHED:
        raise InvalidRequest("this client's requests must be pushed (RFC 9126 6)")
    if client.require_signed_request_object and come is Come.OPEN:
        raise InvalidRequest("this client's requests must be signed (RFC 9101 10.5)")


def refusal(asked: Parameters, federation: Federation, fault: ServiceFault) -> RefusedRequest | ServiceFault:
    """For what is wrong before the parameters are known: the service is told if its own address stands beside it, else the
    person sees a page. Raises: UnknownService."""
    service, client = _client(asked, federation)
    try:
        reply = _reply(asked, service, client)
    except UnregisteredAddress:
        return fault
    return RefusedRequest(fault, LoginRequest(service=service.id, protocol=Protocol.OIDC, reply=reply.strings()))


def client_of(asked: Parameters, federation: Federation) -> OidcClient:
    """Raises: UnknownService."""
    return _client(asked, federation)[1]


def _client(asked: Parameters, federation: Federation) -> tuple[Service, OidcClient]:
    client_id = asked.get("client_id")
    if client_id is None:
        raise UnknownService("client_id is missing, repeated or too long")
    service = federation.services_by_entity_id.get((Protocol.OIDC, client_id))
    if service is None or service.client is None:
        raise UnknownService("no such client_id")
    return service, service.client


def _reply(asked: Parameters, service: Service, client: OidcClient) -> Reply:
    """Compared as strings, octet by octet (RFC 9700 2.1, OIDC Core 3.1.2.1); always demanded, also of a single one."""
    redirect_uri = asked.get("redirect_uri")
    if redirect_uri is None or redirect_uri not in client.redirect_uris:
        raise UnregisteredAddress("redirect_uri is missing, repeated or not registered", service=service.id)
    mode = asked.get("response_mode")
    return Reply(
        redirect_uri=redirect_uri, state=asked.get("state"), response_mode=mode if mode in RESPONSE_MODES else QUERY
    )


def _request(
    asked: Parameters, service: Service, client: OidcClient, reply: Reply, subject_of_hint: SubjectOfHint
) -> LoginRequest:
    asked.check()
    for name, fault in _UNSUPPORTED:
        if asked.get(name) is not None:
            raise fault(f"{name} was sent")
    _check_response(asked, client)
    scopes = granted_scopes(asked, client)
    code_challenge = _code_challenge(asked, client)
    prompts = _prompts(asked)
    max_age = _max_age(asked, client)
    claims = claims_request.read(asked.get("claims"))
    return LoginRequest(
        service=service.id,
        protocol=Protocol.OIDC,
        reply=replace(
            reply,
            nonce=asked.get("nonce"),
            code_challenge=code_challenge,
            scopes=scopes,
            userinfo_claims=claims.userinfo,
            id_token_claims=claims.id_token,
            essential_acr=claims.essential_acr,
            expected_subject=_expected_subject(asked, client, claims.subject, subject_of_hint),
            dpop_jkt=_dpop_jkt(asked),
        ).strings(),
        hints=_hints(asked),
        # max_age=0 is the same as prompt=login (OIDC Core 3.1.2.1).
        force_authn="login" in prompts or max_age == timedelta(0),
        passive="none" in prompts,
        choose_anew="select_account" in prompts,
        max_age=max_age or None,
        requested_contexts=_requested_contexts(asked, client, claims),
        ui_locales=asked.words("ui_locales"),
    )


def _check_response(asked: Parameters, client: OidcClient) -> None:
    """The code is the only response: nothing of a person ever travels through the browser's address."""
    response_type = required(asked, "response_type")
    if response_type != "code":
        raise UnsupportedResponseType("not code")
    if response_type not in client.response_types or "authorization_code" not in client.grant_types:
        raise UnauthorizedClient("code is not registered")
    if asked.get("response_mode") not in (None, *RESPONSE_MODES):
        raise InvalidRequest("response_mode is not supported")


def granted_scopes(asked: Parameters, client: OidcClient) -> tuple[str, ...]:
    """Those that were asked for, are known, and are registered where the registration names any; others are ignored.

    Raises: InvalidScope.
    """
    scopes = asked.words("scope")
    allowed = SCOPES if client.scope is None else client.scope.split()
    if not all(_SCOPE.fullmatch(scope) for scope in scopes):
        raise InvalidScope("malformed")
    if "openid" not in scopes or "openid" not in allowed:
        raise InvalidScope("openid is missing")
    granted = tuple(scope for scope in scopes if scope in SCOPES and scope in allowed)
    # OIDC Core 11: it means nothing to who may not have a refresh token. Who may gets one with or without it.
    return (
        granted if "refresh_token" in client.grant_types else tuple(each for each in granted if each != OFFLINE_ACCESS)
    )


def _code_challenge(asked: Parameters, client: OidcClient) -> str | None:
    """RFC 7636 4.3, where a missing method means ``plain``, which is refused (RFC 9700 2.1.1)."""
    challenge, method = asked.get("code_challenge"), asked.get("code_challenge_method")
    if challenge is None:
        if client.require_pkce or client.token_endpoint_auth_method == "none":
            raise PkceRequired("code_challenge is missing")
        if method is not None:
            raise InvalidRequest("code_challenge_method without code_challenge")
        return None
    if method != pkce.METHOD:
        raise PkceRequired("code_challenge_method is not S256")
    if not pkce.is_challenge(challenge):
        raise InvalidRequest("code_challenge is malformed")
    return challenge


def _dpop_jkt(asked: Parameters) -> str | None:
    """RFC 9449 10: the thumbprint of the key that will prove the token request."""
    thumbprint = asked.get("dpop_jkt")
    if thumbprint is not None and not _THUMBPRINT.fullmatch(thumbprint):
        raise InvalidRequest("dpop_jkt is no SHA-256 thumbprint")
    return thumbprint


def _prompts(asked: Parameters) -> tuple[str, ...]:
    prompts = asked.words("prompt")
    if not set(prompts) <= set(PROMPTS):
        raise InvalidRequest("prompt is not supported")
    if "none" in prompts and len(prompts) > 1:
        raise InvalidRequest("prompt has none beside others")
    return prompts


def _requested_contexts(asked: Parameters, client: OidcClient, claims: ClaimsRequest) -> tuple[str, ...]:
    """In the service's order; its registered ones where it names none (OIDC Registration 2)."""
    return tuple(dict.fromkeys((*claims.acr_values, *asked.words("acr_values")))) or client.default_acr_values


def _max_age(asked: Parameters, client: OidcClient) -> timedelta | None:
    """The registered one where the request says nothing (OIDC Registration 2)."""
    text = asked.get("max_age")
    if text is None:
        return None if client.default_max_age is None else timedelta(seconds=client.default_max_age)
    if not _SECONDS.fullmatch(text):
        raise InvalidRequest("max_age is not a number of seconds")
    return timedelta(seconds=int(text))


def _expected_subject(
    asked: Parameters, client: OidcClient, claimed: str | None, subject_of_hint: SubjectOfHint
) -> str | None:
    hint = asked.get("id_token_hint")
    hinted = None if hint is None else subject_of_hint(hint, client.client_id)
    if hinted and claimed and hinted != claimed:
        raise InvalidRequest("id_token_hint and claims name different persons")
    return hinted or claimed


def _hints(asked: Parameters) -> Hints:
    login_hint = asked.get("login_hint")
    of_address = login_hint.rpartition("@")[2].lower() if login_hint and "@" in login_hint else None
    return Hints(
        organisation=asked.get("organisation"),
        domain=asked.get("domain_hint") or of_address or None,
        login_hint=login_hint,
    )
