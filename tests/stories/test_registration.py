"""RFC 7591 and RFC 7592, OpenID Connect Registration 1.0, from outside: a service registers itself, is tested, and goes."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
import pytest_asyncio
from authlib.oauth2.rfc7591.claims import ClientMetadataClaims

from broker.federation import service_document
from broker.federation.registry import Registry
from broker.keys import keyring
from broker.oidc.jose import Signer
from broker.oidc.op.initial_access import InitialAccessTokens, admission
from tests.bench import oidc, saml
from tests.bench.parties import SAML_CITY
from tests.stories.town import TESTER, Town

pytestmark = pytest.mark.asyncio(loop_scope="module")

CALLBACK = "https://rooms.example/callback"
DECIDED: dict[str, object] = {
    "owner": SAML_CITY,
    "name": {"en": "Rooms"},
    "attributes": [{"name": "mail", "purpose": {"en": "Invitations"}}],
    "testers": [f"user{TESTER}@{SAML_CITY}.fi"],
}


@dataclass
class Client:
    """A service that registers itself."""

    town: Town

    def initial(self, days: int = 7, *, public_subject: bool = False, **decided: object) -> str:
        """An initial access token, as the operator's command makes it."""
        keys = keyring.load(self.town.ground.certs)
        tokens = InitialAccessTokens(issuer=self.town.base, signer=Signer(keys), clock=_now)
        made = admission({**DECIDED, **decided}, public_subject=public_subject)
        return tokens.make(made, timedelta(days=days))

    async def send(
        self, method: str, url: str, token: str | None, body: Any = None, **headers: str
    ) -> tuple[int, Any, dict[str, str]]:
        """``body``: JSON-able, or octets as they are. The answer's JSON, or its text."""
        octets = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        sent = {} if body is None else {"Content-Type": "application/json"}
        sent |= {} if token is None else {"Authorization": f"Bearer {token}"}
        address = url if url.startswith("http") else self.town.base + url
        async with self.town.session.request(method, address, data=octets, headers=sent | headers) as answer:
            text = await answer.text()
            is_json = answer.content_type == "application/json"
            return answer.status, json.loads(text) if is_json else text, dict(answer.headers)

    async def register(self, token: str | None = "", /, **members: Any) -> tuple[int, Any, dict[str, str]]:
        """``token``: "" is a good new one."""
        given = {"redirect_uris": [CALLBACK], "client_name": "Kokoushuoneet", **members}
        sent = {name: value for name, value in given.items() if value is not None}
        return await self.send("POST", "/oidc/register", self.initial() if token == "" else token, sent)

    async def registered(self, **members: Any) -> dict[str, Any]:
        status, found, _ = await self.register(**members)
        assert status == 201, found
        return dict(found)


def _now() -> datetime:
    return datetime.now(UTC)


@pytest_asyncio.fixture(loop_scope="module")
async def client(town: Town) -> AsyncIterator[Client]:
    yield Client(town)


# --- RFC 7591 ---------------------------------------------------------------------------------------------------------------


async def test_rfc7591_3_2_1_the_answer_has_every_value_that_is_registered(client: Client) -> None:
    status, found, headers = await client.register(
        grant_types=["authorization_code", "refresh_token"],
        **{
            "client_name#sv": "Mötesrum",
            "policy_uri": "https://rooms.example/policy",
            "contacts": ["ict@pori.example"],
        },
    )

    assert status == 201
    assert headers["Cache-Control"] == "no-store"
    assert found["client_id"].startswith("registered-")
    assert len(found["client_secret"]) >= 32
    assert found["client_secret_expires_at"] == 0
    assert found["registration_client_uri"] == f"{client.town.base}/oidc/register/{found['client_id']}"
    assert len(found["registration_access_token"]) >= 32
    assert found["redirect_uris"] == [CALLBACK]
    assert found["grant_types"] == ["authorization_code", "refresh_token"]
    assert (found["token_endpoint_auth_method"], found["response_types"]) == ("client_secret_basic", ["code"])
    assert (found["client_name"], found["client_name#sv"]) == ("Kokoushuoneet", "Mötesrum")
    # Another implementation of RFC 7591 finds nothing wrong with it.
    ClientMetadataClaims(found, {}, {}).validate()
    assert (found["policy_uri"], found["contacts"]) == ("https://rooms.example/policy", ["ict@pori.example"])


async def test_it_is_a_service_in_test_with_what_the_operator_decided(client: Client) -> None:
    found = await client.registered()
    service = client.town.broker.federation().services[found["client_id"]]
    assert (service.status, service.owner) == ("test", SAML_CITY)
    assert [each.name for each in service.attributes] == ["mail"]
    assert service.testers == {f"user{TESTER}@{SAML_CITY}.fi"}


async def test_the_registry_has_a_revision_with_author_and_reason_and_no_secret(client: Client) -> None:
    found = await client.registered()
    registry: Registry = client.town.broker.registry
    newest = (await registry.history(1))[0]
    assert (newest.author, newest.reason, newest.origin) == (f"registration:{SAML_CITY}", "registered itself", "api")
    assert found["client_secret"] not in newest.diff
    assert found["registration_access_token"] not in newest.diff


async def test_another_worker_knows_it_too(client: Client) -> None:
    found = await client.registered()
    async with client.town.second_worker() as other:
        url = found["registration_client_uri"].replace(client.town.base, other)
        status, told, _ = await client.send("GET", url, found["registration_access_token"])
    assert (status, told["client_secret"]) == (200, found["client_secret"])


async def test_a_named_tester_logs_in_at_it_and_nobody_else(client: Client) -> None:
    found = await client.registered()
    ask = client.town.ask_oidc(client_id=found["client_id"], redirect_uri=CALLBACK, organisation=SAML_CITY)
    for number, let_in in ((TESTER, True), (1, False)):
        browser = client.town.browser()
        sent = await browser.get(ask)
        received = saml.read_authn_request(sent.location, client.town.parties, client.town.seen.saml_sp)
        done = await browser.post(client.town.seen.saml_sp.address, client.town.saml_answer(received, number))
        if not let_in:
            assert done.reason == "service_status"
            continue
        form = {
            "grant_type": "authorization_code",
            "code": done.parameters()["code"],
            "redirect_uri": CALLBACK,
            "code_verifier": "v" * 43,
        }
        header = {"Authorization": oidc.basic(found["client_id"], found["client_secret"])}
        async with client.town.session.post(f"{client.town.base}/oidc/token", data=form, headers=header) as answer:
            tokens = await answer.json()
        assert answer.status == 200, tokens
        claims = jwt.decode(tokens["id_token"], options={"verify_signature": False})
        assert claims["aud"] == found["client_id"]


async def test_rfc7591_3_an_initial_access_token_is_for_one_service(client: Client) -> None:
    token = client.initial()
    assert (await client.register(token))[0] == 201
    status, found, headers = await client.register(token)
    assert (status, found["error"]) == (401, "invalid_token")
    assert 'error="invalid_token"' in headers["WWW-Authenticate"]


async def test_of_several_at_once_one_is_registered(client: Client) -> None:
    token = client.initial()
    found = await asyncio.gather(*(client.register(token) for _ in range(5)))
    assert sorted(status for status, _, _ in found) == [201, 401, 401, 401, 401]


async def test_rfc6750_3_1_without_any_token_no_error_is_named(client: Client) -> None:
    status, _, headers = await client.register(None)
    assert status == 401
    assert headers["WWW-Authenticate"] == f'Bearer realm="{client.town.base}"'


@pytest.mark.parametrize("kind", ["expired", "id token", "foreign", "none", "unknown", "access token type"])
async def test_any_other_token_is_none(client: Client, kind: str) -> None:
    good = client.initial()
    claims = jwt.decode(good, options={"verify_signature": False})
    wrong = {
        "expired": client.initial(days=-1),
        "id token": jwt.encode(claims, client.town.parties.city_key.private, algorithm="RS256"),
        "foreign": jwt.encode(
            claims, client.town.parties.city_key.private, algorithm="RS256", headers={"typ": "initial-access+jwt"}
        ),
        "none": jwt.encode(claims, None, algorithm="none", headers={"typ": "initial-access+jwt"}),
        "unknown": "x",
        "access token type": _retyped(good, client.town, claims),
    }
    status, found, _ = await client.register(wrong[kind])
    assert (status, found["error"]) == (401, "invalid_token")


def _retyped(token: str, town: Town, claims: dict[str, Any]) -> str:
    """The same claims, signed by the broker's own key, as another kind of token."""
    return Signer(keyring.load(town.ground.certs)).sign(claims, "RS256", type="at+jwt")


REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    "fragment": ({"redirect_uris": ["https://rooms.example/cb#x"]}, "invalid_redirect_uri", "redirect_uris"),
    "http": ({"redirect_uris": ["http://rooms.example/cb"]}, "invalid_redirect_uri", "redirect_uris"),
    "javascript": ({"redirect_uris": ["javascript:alert(1)"]}, "invalid_redirect_uri", "redirect_uris"),
    "wildcard": ({"redirect_uris": ["https://*.rooms.example/cb"]}, "invalid_redirect_uri", "redirect_uris"),
    "userinfo": ({"redirect_uris": ["https://rooms@evil.example/cb"]}, "invalid_redirect_uri", "redirect_uris"),
    "no redirect": ({"redirect_uris": None}, "invalid_redirect_uri", "redirect_uris"),
    "empty redirect": ({"redirect_uris": []}, "invalid_redirect_uri", "redirect_uris"),
    "implicit alone": ({"grant_types": ["implicit"]}, "invalid_client_metadata", "grant_types"),
    "response type": ({"response_types": ["token"]}, "invalid_client_metadata", "response_types"),
    "method": (
        {"token_endpoint_auth_method": "client_secret_jwt"},
        "invalid_client_metadata",
        "token_endpoint_auth_method",
    ),
    "alg none": ({"id_token_signed_response_alg": "none"}, "invalid_client_metadata", "id_token_signed_response_alg"),
    "alg HS256": ({"userinfo_signed_response_alg": "HS256"}, "invalid_client_metadata", "userinfo_signed_response_alg"),
    "key method without keys": (
        {"token_endpoint_auth_method": "private_key_jwt"},
        "invalid_client_metadata",
        "private_key_jwt",
    ),
    "both jwks": (
        {
            "jwks": {"keys": [{"kty": "EC", "crv": "P-256", "x": "a", "y": "b"}]},
            "jwks_uri": "https://rooms.example/jwks",
        },
        "invalid_client_metadata",
        "jwks_uri",
    ),
    "private key": (
        {"jwks": {"keys": [{"kty": "EC", "crv": "P-256", "x": "a", "y": "b", "d": "c"}]}},
        "invalid_client_metadata",
        "jwks",
    ),
    "initiate_login_uri by http": (
        {"initiate_login_uri": "http://127.0.0.1:9/x"},
        "invalid_client_metadata",
        "initiate_login_uri",
    ),
    "public subject": ({"subject_type": "public"}, "invalid_client_metadata", "subject_type"),
    "two hosts": (
        {"redirect_uris": [CALLBACK, "https://other.example/cb"]},
        "invalid_client_metadata",
        "sector_identifier_uri",
    ),
    "sector by http": (
        {"sector_identifier_uri": "http://127.0.0.1:9/s"},
        "invalid_client_metadata",
        "sector_identifier_uri",
    ),
    "software statement": ({"software_statement": "x.y.z"}, "unapproved_software_statement", ""),
    "name": ({"client_name": "a\u202eb"}, "invalid_client_metadata", "client_name"),
    "long name": ({"client_name": "x" * 5000}, "invalid_client_metadata", "client_name"),
    "logo": ({"logo_uri": "javascript:alert(1)"}, "invalid_client_metadata", "logo_uri"),
}


@pytest.mark.parametrize(("members", "error", "told"), REFUSED.values(), ids=REFUSED)
async def test_rfc7591_3_2_2_what_cannot_be_registered_is_named(
    client: Client, members: dict[str, Any], error: str, told: str
) -> None:
    before = await client.town.broker.registry.revision()
    status, found, headers = await client.register(**members)
    assert (status, found["error"]) == (400, error), found
    assert told in found["error_description"]
    assert headers["Cache-Control"] == "no-store"
    assert await client.town.broker.registry.revision() == before


async def test_a_refused_registration_does_not_use_the_token_up(client: Client) -> None:
    token = client.initial()
    assert (await client.register(token, redirect_uris=["javascript:x"]))[0] == 400
    assert (await client.register(token))[0] == 201


async def test_rfc7591_2_what_we_do_not_know_is_ignored(client: Client) -> None:
    found = await client.registered(foo="bar", application_type="web")
    assert "foo" not in found


async def test_rfc7591_3_2_1_of_the_grants_those_that_are_offered(client: Client) -> None:
    found = await client.registered(grant_types=["authorization_code", "implicit"], response_types=["code", "id_token"])
    assert (found["grant_types"], found["response_types"]) == (["authorization_code"], ["code"])


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"nonsense", b'{"a": NaN}', b'{"redirect_uris": [], "redirect_uris": []}', b"[" * 50_000, b"\xff\xfe"],
)
async def test_a_body_that_is_no_json_object(client: Client, body: bytes) -> None:
    status, found, _ = await client.send("POST", "/oidc/register", client.initial(), body)
    assert (status, found["error"]) == (400, "invalid_client_metadata")


async def test_a_body_of_another_type(client: Client) -> None:
    status, found, _ = await client.send(
        "POST", "/oidc/register", client.initial(), b"a=b", **{"Content-Type": "application/x-www-form-urlencoded"}
    )
    assert (status, found["error"]) == (400, "invalid_request")


async def test_a_body_without_end(client: Client) -> None:
    sent = {"Authorization": f"Bearer {client.initial()}", "Content-Type": "application/json"}
    body = io.BytesIO(b"{" + b" " * 4_000_000)
    async with client.town.session.post(f"{client.town.base}/oidc/register", data=body, headers=sent) as answer:
        assert answer.status == 413


async def test_P8_a_sector_identifier_uri_of_a_private_address_is_not_fetched(client: Client) -> None:
    for host in ("10.0.0.1", "169.254.169.254", "[::ffff:10.0.0.1]"):
        status, found, _ = await client.register(sector_identifier_uri=f"https://{host}/s")
        assert (status, found["error"]) == (400, "invalid_client_metadata")


# --- RFC 7592 --------------------------------------------------------------------------------------------------------------------


async def test_rfc7592_2_1_the_client_reads_its_registration(client: Client) -> None:
    found = await client.registered()
    status, told, headers = await client.send(
        "GET", found["registration_client_uri"], found["registration_access_token"]
    )
    assert (status, told) == (200, found)
    assert headers["Cache-Control"] == "no-store"


async def test_rfc7592_2_2_what_is_sent_takes_the_place_of_all_before(client: Client) -> None:
    found = await client.registered(client_uri="https://rooms.example")
    url, token = found["registration_client_uri"], found["registration_access_token"]
    wanted = {
        "client_id": found["client_id"],
        "client_secret": found["client_secret"],
        "redirect_uris": ["https://rooms.example/new"],
        "client_name": "Huoneet",
    }

    status, told, _ = await client.send("PUT", url, token, wanted)

    assert status == 200, told
    assert (told["redirect_uris"], told["client_name"]) == (["https://rooms.example/new"], "Huoneet")
    assert "client_uri" not in told
    assert told["client_secret"] == found["client_secret"]
    assert (await client.send("GET", url, token))[1] == told
    service = client.town.broker.federation().services[found["client_id"]]
    assert [each.name for each in service.attributes] == ["mail"]
    assert service.status == "test"


async def test_rfc7592_2_2_another_method_of_authentication(client: Client) -> None:
    found = await client.registered()
    wanted = {
        "client_id": found["client_id"],
        "redirect_uris": [CALLBACK],
        "token_endpoint_auth_method": "none",
    }
    url, token = found["registration_client_uri"], found["registration_access_token"]
    status, told, _ = await client.send("PUT", url, token, wanted)
    assert (status, "client_secret" in told) == (200, False)
    status, again, _ = await client.send(
        "PUT", url, token, {**wanted, "token_endpoint_auth_method": "client_secret_post"}
    )
    assert status == 200
    assert again["client_secret"] not in ("", found["client_secret"])


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": None},
        {"client_id": "another"},
        {"client_secret": "chosen by myself"},
        {"registration_access_token": "x"},
        {"registration_client_uri": "https://x.example"},
        {"client_secret_expires_at": 0},
        {"redirect_uris": ["javascript:x"]},
        {"subject_type": "public"},
    ],
)
async def test_rfc7592_2_2_what_is_not_the_client_s_to_change(client: Client, changes: dict[str, Any]) -> None:
    found = await client.registered()
    good = {"client_id": found["client_id"], "redirect_uris": [CALLBACK]}
    wanted = {name: value for name, value in {**good, **changes}.items() if value is not None}
    url, token = found["registration_client_uri"], found["registration_access_token"]
    status, told, _ = await client.send("PUT", url, token, wanted)
    assert (status, told["error"].startswith("invalid_")) == (400, True)
    assert (await client.send("GET", url, token))[1] == found


async def test_rfc7592_2_3_a_registration_is_removed(client: Client) -> None:
    found = await client.registered()
    url, token = found["registration_client_uri"], found["registration_access_token"]
    status, _, _ = await client.send("DELETE", url, token)
    assert status == 204
    assert found["client_id"] not in client.town.broker.federation().services
    for method in ("GET", "DELETE"):
        assert (await client.send(method, url, token))[0] == 401
    answer = await client.town.browser().get(client.town.ask_oidc(client_id=found["client_id"], redirect_uri=CALLBACK))
    assert answer.reason == "unknown_service"


async def test_a_removed_one_s_initial_token_stays_used(client: Client) -> None:
    initial = client.initial()
    _, found, _ = await client.register(initial)
    await client.send("DELETE", found["registration_client_uri"], found["registration_access_token"])
    assert (await client.register(initial))[0] == 401


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_rfc7592_1_nobody_else_manages_it_nor_learns_of_it(client: Client, method: str) -> None:
    one, other = await client.registered(), await client.registered()
    body = {"client_id": one["client_id"], "redirect_uris": [CALLBACK]} if method == "PUT" else None
    tokens = (other["registration_access_token"], client.initial(), one["client_secret"], "x")
    answers = []
    for url in (
        one["registration_client_uri"],
        f"{client.town.base}/oidc/register/bench-service",
        f"{client.town.base}/oidc/register/nobody",
    ):
        for token in tokens:
            status, told, _ = await client.send(method, url, token, body)
            answers.append((status, told["error"]))
    assert set(answers) == {(401, "invalid_token")}
    assert (await client.send(method, one["registration_client_uri"], None, body))[0] == 401


async def test_a_service_in_production_is_its_operator_s_to_change(client: Client) -> None:
    found = await client.registered()
    registry = client.town.broker.registry
    _, documents = await registry.current()
    document = service_document.find(documents, found["client_id"])
    assert document is not None
    promoted = service_document.rewritten(document, {**document.body, "status": "production"})
    await registry.apply(service_document.with_document(documents, promoted), author="operator", reason="tested")
    await client.town.broker.federation.refresh()

    url, token = found["registration_client_uri"], found["registration_access_token"]
    assert (await client.send("GET", url, token))[0] == 200
    wanted = {"client_id": found["client_id"], "redirect_uris": ["https://evil.example/cb"]}
    for method, body in (("PUT", wanted), ("DELETE", None)):
        status, told, _ = await client.send(method, url, token, body)
        assert (status, told["error"]) == (403, "access_denied")


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/oidc/register"), ("PUT", "/oidc/register"), ("POST", "/oidc/register/x")]
)
async def test_other_methods(client: Client, method: str, path: str) -> None:
    status, _, _ = await client.send(method, path, "x")
    assert status == 405


async def test_discovery_3_the_endpoint_is_advertised(client: Client) -> None:
    _, found, _ = await client.send("GET", "/.well-known/openid-configuration", None)
    assert found["registration_endpoint"] == f"{client.town.base}/oidc/register"


# --- sector_identifier_uri -------------------------------------------------------------------------------------------------------------


async def test_core_8_1_public_identifiers_where_the_operator_allowed_them(client: Client) -> None:
    status, found, _ = await client.register(client.initial(public_subject=True), subject_type="public")
    assert (status, found["subject_type"]) == (201, "public")
