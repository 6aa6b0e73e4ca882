"""``python -m tests.bench.authlib_grants``: Authlib's decisions and ours side by side (docs/adr/0013): the numbers behind it.

Only what is decided: records stand in dictionaries, nothing is signed, nothing goes over a wire.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from authlib.oauth2.rfc6749 import AuthorizationServer, OAuth2Request, grants  # type: ignore[import-untyped]  # Authlib ships no types
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload  # type: ignore[import-untyped]
from authlib.oauth2.rfc7591.claims import ClientMetadataClaims  # type: ignore[import-untyped]
from authlib.oauth2.rfc7636 import CodeChallenge  # type: ignore[import-untyped]

from broker.federation import client_build
from broker.federation.document_models import ClientModel
from broker.federation.model import (
    Federation,
    OidcClient,
    OrganisationId,
    Protocol,
    Service,
    ServiceId,
    Status,
)
from broker.oidc import pkce
from broker.oidc.op.client_authentication import ClientAuthentication
from broker.oidc.op.grants import CodeGrant, LoginGrant
from broker.oidc.op.http import ClientRequest
from broker.oidc.op.parameters import Parameters
from broker.oidc.op.token import check_exchange, checked_grant_type
from tests.bench.__main__ import machine

ROUNDS, CALLS = 7, 2000
VERIFIER = "v" * 43
CALLBACK = "https://rooms.example/callback"
BASIC = "Basic cm9vbXM6c2VjcmV0"
FORM = {"grant_type": "authorization_code", "code": "c", "redirect_uri": CALLBACK, "code_verifier": VERIFIER}
METADATA = {
    "redirect_uris": [CALLBACK],
    "token_endpoint_auth_method": "client_secret_basic",
    "grant_types": ["authorization_code", "refresh_token"],
    "response_types": ["code"],
    "client_uri": "https://rooms.example",
    "scope": "openid email",
}


# --- Authlib: every method that its server and grant ask of the caller ------------------------------------------------------


class _Client:
    client_id = "rooms"

    def check_client_secret(self, secret: str) -> bool:
        return secret == "secret"

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method == "client_secret_basic"

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type == "authorization_code"


class _Code:
    code_challenge = pkce.challenge_of(VERIFIER)
    code_challenge_method = "S256"

    def get_redirect_uri(self) -> str:
        return CALLBACK

    def get_scope(self) -> str:
        return "openid email"


class _Request(OAuth2Request):  # type: ignore[misc]  # Authlib ships no types
    def __init__(self) -> None:
        super().__init__("POST", "https://broker.example/oidc/token", headers={"Authorization": BASIC})
        self.payload = BasicOAuth2Payload(FORM)

    @property
    def form(self) -> dict[str, str]:
        return FORM


class _Grant(grants.AuthorizationCodeGrant):  # type: ignore[misc]
    TOKEN_ENDPOINT_AUTH_METHODS = ("client_secret_basic", "client_secret_post", "none")

    def query_authorization_code(self, code: str, client: _Client) -> _Code:
        return _Code()

    def delete_authorization_code(self, authorization_code: _Code) -> None: ...

    def authenticate_user(self, authorization_code: _Code) -> str:
        return "somebody"


class _Server(AuthorizationServer):  # type: ignore[misc]
    def query_client(self, client_id: str) -> _Client:
        return _Client()

    def save_token(self, token: Any, request: Any) -> None: ...

    def send_signal(self, *args: Any, **kwargs: Any) -> None: ...

    def create_oauth2_request(self, request: _Request) -> _Request:
        return request

    def handle_response(self, status: int, body: Any, headers: Any) -> tuple[int, Any]:
        return status, body


def authlib_exchange() -> Callable[[], None]:
    server = _Server()
    server.register_grant(_Grant, [CodeChallenge(required=True)])
    server.register_token_generator("default", lambda **about: {"access_token": "t", "token_type": "Bearer"})

    def call() -> None:
        status, _ = server.create_token_response(_Request())
        assert status == 200

    return call


def authlib_metadata() -> None:
    ClientMetadataClaims(METADATA, {}, {}).validate()


# --- ours -------------------------------------------------------------------------------------------------------------------


def our_exchange() -> Callable[[], None]:
    now = datetime.now(UTC)
    client = OidcClient(client_id="rooms", client_secret="secret", redirect_uris=(CALLBACK,))
    service = Service(
        id=ServiceId("rooms"),
        protocol=Protocol.OIDC,
        owner=OrganisationId("pori"),
        name={"en": "Rooms"},
        status=Status.PRODUCTION,
        client=client,
    )
    federation = Federation(
        revision=1, organisations={}, identity_providers={}, services={service.id: service}, agreements={}
    )
    login = LoginGrant(
        service=service.id,
        organisation=OrganisationId("pori"),
        scopes=("openid", "email"),
        until=now,
        answered_at=now,
        home_session=(),
        reference="r",
        id_token={},
        userinfo={"sub": "s"},
    )
    grant = CodeGrant(redirect_uri=CALLBACK, code_challenge=pkce.challenge_of(VERIFIER), login=login)
    unused: Any = None
    authentication = ClientAuthentication(unused, unused, lambda: now)
    request = ClientRequest(authorization=BASIC, fields=tuple(FORM.items()))

    def call() -> None:
        form = Parameters(request.fields)
        form.check()
        # Nothing is waited for by this method: the coroutine ends at its first step.
        found = authentication.of(request, form, federation)
        try:
            found.send(None)
        except StopIteration as done:
            authenticated, its_client = done.value
        checked_grant_type(form, its_client)
        check_exchange(grant, authenticated, FORM["redirect_uri"], form.get("code_verifier"))

    return call


def our_metadata() -> None:
    model = ClientModel.model_validate({"client_id": "rooms", "client_secret": "env:X", **METADATA})
    assert not [*client_build.complaints(model)]


# --- -----------------------------------------------------------------------------------------------------------------------


def microseconds(call: Callable[[], None]) -> float:
    """Of CPU for one call: the median of the rounds."""
    call()
    rounds = []
    for _ in range(ROUNDS):
        began = time.process_time()
        for _ in range(CALLS):
            call()
        rounds.append((time.process_time() - began) / CALLS * 1e6)
    return statistics.median(rounds)


def main() -> None:
    print(f"{machine()}\n\n| decision | Authlib µs | ours µs |\n| --- | ---: | ---: |")
    pairs = {
        "code exchange: client_secret_basic, PKCE, redirect_uri": (authlib_exchange(), our_exchange()),
        "client metadata (RFC 7591)": (authlib_metadata, our_metadata),
    }
    for name, (theirs, ours) in pairs.items():
        print(f"| {name} | {microseconds(theirs):.1f} | {microseconds(ours):.1f} |")


if __name__ == "__main__":
    main()
