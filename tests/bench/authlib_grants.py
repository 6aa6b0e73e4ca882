"""``python -m tests.bench.authlib_grants``: Authlib's decisions and ours side by side (docs/adr/0013): the numbers behind it.

Both sides get the same request and the same records, loaded before, and make the same answer of it. Nothing is signed or saved.
Then the faults in client metadata that each lets through.
"""

from __future__ import annotations

import gc
import secrets
import statistics
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar, cast

from authlib.oauth2 import rfc7591  # type: ignore[import-untyped]  # Authlib ships no types
from authlib.oauth2.rfc6749 import AuthorizationServer, ClientMixin, OAuth2Request  # type: ignore[import-untyped]  # as above
from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant  # type: ignore[import-untyped]  # as above
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload  # type: ignore[import-untyped]  # as above
from authlib.oauth2.rfc7636 import CodeChallenge  # type: ignore[import-untyped]  # as above
from authlib.oidc import registration  # type: ignore[import-untyped]  # as above
from joserfc.errors import InvalidClaimError
from pydantic import ValidationError

from broker.errors import ServiceFault
from broker.federation import client_build
from broker.federation.document_models import ClientModel
from broker.federation.model import Federation, OidcClient, Protocol
from broker.fetch import Fetcher
from broker.oidc.jose import KEY_ENCRYPTION
from broker.oidc.op.authorization import SCOPES
from broker.oidc.op.client_assertion import ClientAssertions
from broker.oidc.op.client_authentication import CERTIFICATE_METHODS, METHODS, ClientAuthentication
from broker.oidc.op.client_certificates import ClientCertificates
from broker.oidc.op.client_keys import ClientKeys
from broker.oidc.op.grants import ACCESS_TOKEN_LIFETIME, CodeGrant, LoginGrant
from broker.oidc.op.http import ClientRequest, HttpAnswer, error_answer, json_answer
from broker.oidc.op.parameters import Parameters, required
from broker.oidc.op.token import GRANT_TYPES, check_exchange, checked_grant_type
from broker.oidc.pkce import METHOD, challenge_of
from tests.bench.__main__ import machine
from tests.unit.oidc.parties import (
    BASE_URL,
    NOW,
    REDIRECT_URI,
    ROOMS,
    ROOMS_CLIENT,
    SECRET,
    ULVILA,
    VERIFIER,
    ClientsFetcher,
    Clock,
    MemoryReplay,
    basic,
    federation_of,
)

ROUNDS, CALLS = 25, 1000
"""The sides take turns, so that what else the machine does falls on both."""

T = TypeVar("T")

CODE = "a-code-of-the-usual-length-of-43-characters"
GRANT = CodeGrant(
    redirect_uri=REDIRECT_URI,
    code_challenge=challenge_of(VERIFIER),
    login=LoginGrant(
        service=ROOMS,
        organisation=ULVILA,
        scopes=("openid", "email"),
        until=NOW + timedelta(hours=12),
        answered_at=NOW,
        home_session=(),
        reference="reference",
        id_token={},
        userinfo={"sub": "subject@ulvila.fi"},
    ),
)
METADATA: Mapping[str, Any] = {
    "client_id": "rooms",
    "redirect_uris": ["https://rooms.example/callback", "https://rooms.example/other"],
    "token_endpoint_auth_method": "private_key_jwt",
    "jwks_uri": "https://rooms.example/jwks",
    "grant_types": ["authorization_code", "refresh_token"],
    "scope": "openid email",
    "id_token_signed_response_alg": "ES256",
    "client_uri": "https://rooms.example",
}


def request(**changes: str) -> ClientRequest:
    good = {"grant_type": "authorization_code", "code": CODE, "redirect_uri": REDIRECT_URI, "code_verifier": VERIFIER}
    return ClientRequest(authorization=basic("rooms", SECRET), fields=tuple({**good, **changes}.items()))


def token_response(scopes: str) -> dict[str, object]:
    return {
        "access_token": secrets.token_urlsafe(32),
        "token_type": "Bearer",
        "expires_in": int(ACCESS_TOKEN_LIFETIME.total_seconds()),
        "scope": scopes,
    }


# --- by our own modules -----------------------------------------------------------------------------------------------


class Ours:
    def __init__(self, federation: Federation) -> None:
        clock = Clock()
        keys = ClientKeys(cast(Fetcher, ClientsFetcher()), clock)
        assertions = ClientAssertions(
            issuer=BASE_URL, keys=keys, replay=MemoryReplay(clock), skew=timedelta(seconds=60)
        )
        self._clients = ClientAuthentication(assertions, ClientCertificates((), keys, clock), clock)
        self._federation = federation

    def exchange(self, asked: ClientRequest, grants: Mapping[str, CodeGrant]) -> HttpAnswer:
        try:
            form = Parameters(asked.fields)
            form.check()
            service, client = _finished(self._clients.of(asked, form, self._federation))
            checked_grant_type(form, client)
            grant = grants[required(form, "code")]
            check_exchange(grant, service, required(form, "redirect_uri"), form.get("code_verifier"))
        except ServiceFault as fault:
            return error_answer(fault)
        return json_answer(token_response(" ".join(grant.login.scopes)))


def _finished(work: Coroutine[Any, Any, T]) -> T:
    """Of what waits for nothing, as a secret's check does."""
    try:
        work.send(None)
    except StopIteration as done:
        return cast(T, done.value)
    raise AssertionError("it waits for something")


def our_complaints(metadata: Mapping[str, Any]) -> list[client_build.Complaint]:
    """Raises: ValidationError."""
    return [*client_build.complaints(ClientModel.model_validate(metadata))]


# --- by Authlib -------------------------------------------------------------------------------------------------------


class _Client(ClientMixin):  # type: ignore[misc]  # Authlib ships no types
    def __init__(self, registered: OidcClient) -> None:
        self.registered = registered

    def check_client_secret(self, client_secret: str) -> bool:
        return secrets.compare_digest(client_secret.encode(), (self.registered.client_secret or "").encode())

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method == self.registered.token_endpoint_auth_method

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type in self.registered.grant_types


@dataclass(frozen=True, slots=True)
class _Code:
    grant: CodeGrant
    code_challenge_method: str = METHOD

    @property
    def code_challenge(self) -> str | None:
        return self.grant.code_challenge

    def get_redirect_uri(self) -> str:
        return self.grant.redirect_uri

    def get_scope(self) -> str:
        return " ".join(self.grant.login.scopes)


class _Request(OAuth2Request):  # type: ignore[misc]  # as above
    """With the records that were loaded for it."""

    def __init__(self, asked: ClientRequest, grants: Mapping[str, CodeGrant]) -> None:
        super().__init__(asked.method, f"{BASE_URL}/oidc/token", headers={"Authorization": asked.authorization})
        self.payload = BasicOAuth2Payload(dict(asked.fields))
        self.grants = grants

    @property
    def form(self) -> dict[str, str]:
        return cast(dict[str, str], self.payload.data)


class _CodeGrant(AuthorizationCodeGrant):  # type: ignore[misc]  # as above
    def query_authorization_code(self, code: str, client: _Client) -> _Code | None:
        found = self.request.grants.get(code)
        return None if found is None or found.login.service != client.registered.client_id else _Code(found)

    def delete_authorization_code(self, authorization_code: _Code) -> None:
        """Saving comes after the decision, and is not measured."""

    def authenticate_user(self, authorization_code: _Code) -> str:
        return authorization_code.grant.login.subject


class Theirs(AuthorizationServer):  # type: ignore[misc]  # as above
    def __init__(self, federation: Federation) -> None:
        super().__init__()
        self._federation = federation
        self.register_grant(_CodeGrant, [CodeChallenge(required=True)])
        self.register_token_generator("default", lambda *, scope, **_: token_response(scope))

    def exchange(self, asked: ClientRequest, grants: Mapping[str, CodeGrant]) -> HttpAnswer:
        return cast(HttpAnswer, self.create_token_response(_Request(asked, grants)))

    def query_client(self, client_id: str) -> _Client | None:
        service = self._federation.services_by_entity_id.get((Protocol.OIDC, client_id))
        return None if service is None or service.client is None else _Client(service.client)

    def create_oauth2_request(self, request: _Request) -> _Request:
        return request

    def save_token(self, token: Mapping[str, object], request: _Request) -> None:
        """As above."""

    def send_signal(self, name: str, *args: object, **kwargs: object) -> None:
        """Nobody listens."""

    def handle_response(self, status: int, body: object, headers: list[tuple[str, str]]) -> HttpAnswer:
        return json_answer(body, status=status, headers=dict(headers))


SUPPORTED = {
    "grant_types_supported": GRANT_TYPES,
    "response_types_supported": ["code"],
    "token_endpoint_auth_methods_supported": [*METHODS, *CERTIFICATE_METHODS],
    "subject_types_supported": ["pairwise", "public"],
    "id_token_signing_alg_values_supported": ["RS256", "PS256", "ES256", "EdDSA"],
    "id_token_encryption_alg_values_supported": KEY_ENCRYPTION,
    "scopes_supported": SCOPES,
}
"""Of our discovery document, what Authlib's classes compare with."""


def check_by_authlib(metadata: Mapping[str, Any]) -> None:
    """As its registration endpoint does. Raises: InvalidClaimError."""
    for claims in (rfc7591.ClientMetadataClaims, registration.ClientMetadataClaims):
        claims(metadata, {}, claims.get_claims_options(SUPPORTED)).validate()


# --- what is let through ----------------------------------------------------------------------------------------------

_EC = {"kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"}
_KEY = {**_EC, "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}
_KEYS = {"jwks_uri": "https://rooms.example/jwks"}
_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
FAULTS: Mapping[str, Mapping[str, Any]] = {
    "a redirect URI by http": {"redirect_uris": ["http://rooms.example/cb"]},
    "a redirect URI that is a script": {"redirect_uris": ["javascript://x/%0aalert(1)"]},
    "a redirect URI with a fragment": {"redirect_uris": ["https://rooms.example/cb#f"]},
    "a redirect URI with a user": {"redirect_uris": ["https://rooms.example@other.example/cb"]},
    "redirect URIs as one text": {"redirect_uris": "https://rooms.example/cb"},
    "a number for a redirect URI": {"redirect_uris": [5]},
    "the code flow without a redirect URI": {"redirect_uris": []},
    "an unknown method": {"token_endpoint_auth_method": "magic"},
    "private_key_jwt without keys": {"token_endpoint_auth_method": "private_key_jwt"},
    "tls_client_auth without a subject": {"token_endpoint_auth_method": "tls_client_auth"},
    "jwks beside jwks_uri": {"jwks": {"keys": [_KEY]}, **_KEYS},
    "a private key": {"jwks": {"keys": [{**_KEY, "d": "AA"}]}},
    "a shared key": {"jwks": {"keys": [{"kty": "oct", "k": "c2VjcmV0c2VjcmV0c2VjcmV0"}]}},
    "no key in jwks": {"jwks": {"keys": []}},
    "a key that cannot be used": {"jwks": {"keys": [{**_EC, "y": "AA"}]}},
    "keys by http": {"jwks_uri": "http://rooms.example/jwks"},
    "an unknown grant": {"grant_types": ["authorization_code", "password"]},
    "grants as one text": {"grant_types": "authorization_code"},
    "the implicit flow": {"response_types": ["token"]},
    "an unknown scope": {"scope": "openid admin"},
    "ID tokens unsigned": {"id_token_signed_response_alg": "none"},
    "ID tokens by HS256": {"id_token_signed_response_alg": "HS256"},
    "encryption without keys": {"id_token_encrypted_response_alg": "RSA-OAEP-256"},
    "encryption by RSA1_5": {"id_token_encrypted_response_alg": "RSA1_5", **_KEYS},
    "encryption without alg": {"id_token_encrypted_response_enc": "A256GCM", **_KEYS},
    "userinfo encrypted, not signed": {"userinfo_encrypted_response_alg": "RSA-OAEP-256", **_KEYS},
    "an unknown subject_type": {"subject_type": "odd"},
    "a negative default_max_age": {"default_max_age": -1},
    "a text for default_max_age": {"default_max_age": "5"},
    "a text for a switch": {"dpop_bound_access_tokens": "yes"},
    "token exchange by a public client": {"token_endpoint_auth_method": "none", "grant_types": [_EXCHANGE]},
}


def passed(fault: Mapping[str, Any]) -> tuple[str, str]:
    """What Authlib and we make of a client with that fault."""
    metadata = {"client_id": "rooms", "redirect_uris": ["https://rooms.example/cb"], **fault}
    try:
        check_by_authlib(dict(metadata))
        theirs = "accepted"
    except InvalidClaimError:
        theirs = "refused"
    except (AttributeError, TypeError) as error:
        theirs = type(error).__name__
    try:
        ours = "refused" if our_complaints(metadata) else "accepted"
    except ValidationError:
        ours = "refused"
    return theirs, ours


# --- side by side -----------------------------------------------------------------------------------------------------

Decide = Callable[[], object]


def microseconds(sides: Mapping[str, Decide]) -> Mapping[str, list[float]]:
    """Of CPU for one decision, in each round."""
    found: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(ROUNDS + 1):
        for name, decide in sides.items():
            gc.collect()
            began = time.process_time()
            for _ in range(CALLS):
                decide()
            took = (time.process_time() - began) / CALLS * 1e6
            if number:  # the first round warms up
                found[name].append(took)
    return found


def exchanges() -> Mapping[str, Decide]:
    federation, asked, grants = federation_of(ROOMS_CLIENT), request(), {CODE: GRANT}
    ours, theirs = Ours(federation), Theirs(federation)
    return {
        "code exchange: ours": lambda: ours.exchange(asked, grants),
        "code exchange: Authlib, one server": lambda: theirs.exchange(asked, grants),
        "code exchange: Authlib, a server for each request": lambda: Theirs(federation).exchange(asked, grants),
    }


def registrations() -> Mapping[str, Decide]:
    return {
        "client metadata: ours": lambda: our_complaints(METADATA),
        "client metadata: Authlib": lambda: check_by_authlib(dict(METADATA)),
    }


def check() -> None:
    """Who lets a wrong verifier through, or refuses a right one, decides something else than what is measured."""
    federation, grants = federation_of(ROOMS_CLIENT), {CODE: GRANT}
    for side in (Ours(federation), Theirs(federation)):
        assert side.exchange(request(), grants).status == 200
        assert side.exchange(request(code_verifier="w" * 43), grants).status == 400
    check_by_authlib(dict(METADATA))
    assert not our_complaints(METADATA)


def main() -> None:
    check()
    print(f"{machine()}\n\n| decision | CPU µs: median | least | × ours |\n| --- | ---: | ---: | ---: |")
    for sides in (exchanges(), registrations()):
        found = microseconds(sides)
        ours = next(iter(found.values()))
        for name, took in found.items():
            ratio = statistics.median(each / own for each, own in zip(took, ours, strict=True))
            print(f"| {name} | {statistics.median(took):.1f} | {min(took):.1f} | {ratio:.2f} |")
    print("\n| fault in client metadata | Authlib | ours |\n| --- | --- | --- |")
    verdicts = {name: passed(fault) for name, fault in FAULTS.items()}
    for name, (theirs, ours_says) in verdicts.items():
        print(f"| {name} | {theirs} | {ours_says} |")
    refused = [sum(each[side] == "refused" for each in verdicts.values()) for side in (0, 1)]
    print(f"| refused, of {len(verdicts)} | {refused[0]} | {refused[1]} |")


if __name__ == "__main__":
    main()
