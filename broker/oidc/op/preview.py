"""What a client would be told, for the dry run of a login that has not happened. Nothing is issued."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from broker.federation.model import Protocol, Service
from broker.login.request import LoginRequest
from broker.login.steps import Answer
from broker.oidc.op import released, reply
from broker.oidc.op.authorization import SCOPES
from broker.oidc.op.grants import ID_TOKEN_LIFETIME
from broker.oidc.op.released import ClaimsOf
from broker.oidc.op.reply import Reply


def request_without_wishes(service: Service) -> LoginRequest:
    """As by an authorization request for every scope that the client registered, and nothing else."""
    assert service.client is not None, "a client of OpenID Connect"
    scopes = SCOPES if service.client.scope is None else tuple(service.client.scope.split())
    redirect_uri = next(iter(service.client.redirect_uris), "")
    asked = Reply(redirect_uri=redirect_uri, scopes=scopes)
    return LoginRequest(
        service=service.id,
        protocol=Protocol.OIDC,
        reply=asked.strings(),
        requested_contexts=service.client.default_acr_values,
    )


def would_send(
    answer: Answer, request: LoginRequest, service: Service, *, issuer: str, claims_of: ClaimsOf, now: datetime
) -> Mapping[str, Mapping[str, object]]:
    """The claims of the ID token and of userinfo, as they would be now."""
    assert service.client is not None, "a client of OpenID Connect"
    asked, subject = reply.read(request.reply), released.subject_of(answer.release, service.client)
    claims = released.id_token(asked, subject, answer, issuer, claims_of)
    moment = {"iat": int(now.timestamp()), "exp": int((now + ID_TOKEN_LIFETIME).timestamp())}
    return {
        "id_token": {**claims, "iss": issuer, "aud": service.client.client_id, **moment},
        "userinfo": released.userinfo(asked, subject, answer, claims_of),
    }
