"""OpenID Connect Registration 5: sector_identifier_uri, fetched and checked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NoReturn

import pytest

from broker.federation.model import Federation, ServiceId
from broker.federation.service_document import Edit, ServiceKnown
from broker.keys.keyring import KeyRing
from broker.oidc.jose import Signer
from broker.oidc.op.client_metadata import Offered
from broker.oidc.op.initial_access import InitialAccessTokens, admission
from broker.oidc.op.registration import RegistrationRequest, Registrations
from tests.unit.oidc.parties import BASE_URL, ClientsFetcher, Clock, federation_of, json_of

SECTOR = "https://sector.example/uris.json"
URIS = ["https://a.example/cb", "https://b.example/cb"]


class NothingAdded:
    """A ServiceRegistry that notes what would be added, and stops there."""

    def __init__(self) -> None:
        self.bodies: list[Mapping[str, object]] = []

    async def latest(self) -> Federation:
        return federation_of()

    async def add(self, body: Mapping[str, object], *, author: str, reason: str) -> NoReturn:
        self.bodies.append(body)
        raise ServiceKnown("stopped here")

    async def change(self, id: ServiceId, edit: Edit, *, author: str, reason: str) -> NoReturn:
        raise AssertionError("nothing is changed here")


async def registering(
    keys: KeyRing, found: Mapping[str, Any], **members: Any
) -> tuple[str, list[Mapping[str, object]]]:
    """The error's description, and what came to be added. ``found``: what is fetched, by address."""
    fetcher, services, signer = ClientsFetcher(), NothingAdded(), Signer(keys)
    fetcher.found.update(found)
    tokens = InitialAccessTokens(issuer=BASE_URL, signer=signer, clock=Clock())
    registrations = Registrations(
        issuer=BASE_URL,
        services=services,
        tokens=tokens,
        offered=Offered(methods=("client_secret_basic",), algorithms=signer.algorithms),
        fetcher=fetcher,  # type: ignore[arg-type]  # as much of one as is needed
    )
    given = {"redirect_uris": URIS, "sector_identifier_uri": SECTOR, **members}
    request = RegistrationRequest(
        method="POST",
        authorization=f"Bearer {tokens.make(admission({'owner': 'ulvila'}))}",
        content_type="application/json",
        body=json.dumps(given).encode(),
    )
    answer = await registrations.answer(request)
    return str(json_of(answer)["error_description"]), services.bodies


async def test_registration_5_every_redirect_uri_is_in_the_file(keys: KeyRing) -> None:
    _, bodies = await registering(keys, {SECTOR: [*URIS, "https://c.example/cb"]})
    [body] = bodies
    assert body["client"]["sector_identifier_uri"] == SECTOR  # type: ignore[index]  # a document's body


@pytest.mark.parametrize(
    "found",
    [
        {SECTOR: URIS[:1]},
        {SECTOR: []},
        {SECTOR: {"uris": URIS}},
        {SECTOR: "https://a.example/cb https://b.example/cb"},
        {SECTOR: [*URIS[:1], "https://b.example/cb/"]},
        {},
    ],
    ids=["one is missing", "empty", "an object", "a text", "nearly the same", "not reachable"],
)
async def test_registration_5_any_other_file_refuses_the_registration(keys: KeyRing, found: dict[str, Any]) -> None:
    told, bodies = await registering(keys, found)
    assert told.startswith("sector_identifier_uri: ")
    assert bodies == []
