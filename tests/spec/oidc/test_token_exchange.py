"""RFC 8693: a service goes on to another one in the person's name, within one agreement."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from broker.attributes.identifiers import Kept, Subjects, lookup
from broker.attributes.subject import Subject, pairwise_id
from broker.errors import AuditUnavailable
from broker.federation.model import (
    Agreement,
    AgreementId,
    OidcClient,
    Organisation,
    OrganisationId,
    RegisteredAttribute,
    Requirements,
    ServiceId,
    Status,
)
from broker.oidc.op.http import HttpAnswer
from tests.unit.oidc.parties import (
    ROOMS,
    ROOMS_CLIENT,
    SECRET,
    ULVILA,
    ServiceSide,
    basic,
    error_of,
    federation_of,
    json_of,
)

GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
PORI = OrganisationId("pori")
ARCHIVE, ARCHIVE_SECRET = ServiceId("archive"), "archive secret"
ROOMS_EXCHANGING = replace(ROOMS_CLIENT, grant_types=("authorization_code", "refresh_token", GRANT))
ARCHIVE_CLIENT = OidcClient(
    client_id="archive", client_secret=ARCHIVE_SECRET, redirect_uris=("https://archive.example/cb",)
)
MAIL = RegisteredAttribute(name="mail", purpose={"en": "Letters"}, required=True)


def agreement(**changes: Any) -> Agreement:
    return replace(
        Agreement(
            id=AgreementId("pact"),
            name={"en": "Pact"},
            parties=frozenset({PORI, ULVILA}),
            services=frozenset({ROOMS, ARCHIVE}),
            owners=frozenset(),
            valid_from=date(2026, 1, 1),
            valid_until=date(2026, 12, 31),
            signed={PORI: date(2025, 12, 1), ULVILA: date(2025, 12, 1)},
        ),
        **changes,
    )


class Exchange:
    """Rooms is Ulvila's and the actor; the archive is Pori's, and the target."""

    def __init__(self, side: ServiceSide) -> None:
        self.side = side
        self.arrange()

    def arrange(self, *agreements: Agreement, rooms: OidcClient = ROOMS_EXCHANGING, **archive: Any) -> None:
        """Without agreements: the good one. ``archive``: changes of the target."""
        federation = federation_of(rooms, ARCHIVE_CLIENT)
        pori = Organisation(id=PORI, name={"en": "Pori"}, scopes=("pori.fi",))
        target = replace(federation.services[ARCHIVE], **{"owner": PORI, "attributes": (MAIL,), **archive})
        found = agreements or (agreement(),)
        self.side.federation = replace(
            federation,
            revision=self.side.federation.revision + 1,
            organisations={**federation.organisations, PORI: pori},
            services={**federation.services, ARCHIVE: target},
            agreements={each.id: each for each in found},
        )

    def target(self, **changes: Any) -> None:
        self.arrange(client=replace(ARCHIVE_CLIENT, **changes))

    async def ask(self, subject_token: str, authorization: str | None = "", /, **changes: str | None) -> HttpAnswer:
        good = {
            "grant_type": GRANT,
            "subject_token": subject_token,
            "subject_token_type": ACCESS_TOKEN,
            "audience": "archive",
        }
        asked = self.side._asking("/oidc/token", good, authorization, changes)
        return await self.side.provider.token(asked, self.side.federation)

    async def login(self) -> dict[str, Any]:
        return await self.side.tokens()

    async def token(self, subject_token: str | None = None, **changes: str | None) -> dict[str, Any]:
        answer = await self.ask(subject_token or (await self.login())["access_token"], **changes)
        assert answer.status == 200, answer.body
        return json_of(answer)

    async def told(self, token: str, client_id: str = "archive", secret: str = ARCHIVE_SECRET) -> dict[str, Any]:
        """What the target is told of the token."""
        return json_of(await self.side.introspect(token, basic(client_id, secret)))


@pytest.fixture
def exchange(side: ServiceSide) -> Exchange:
    return Exchange(side)


# --- 2.2.1: the answer, and what the token is worth ---------------------------------------------------------------------------


async def test_2_2_1_the_answer(exchange: Exchange) -> None:
    answer = await exchange.ask((await exchange.login())["access_token"])
    found = json_of(answer)

    assert answer.headers["Cache-Control"] == "no-store"
    assert set(found) == {"access_token", "issued_token_type", "token_type", "expires_in", "scope"}
    assert (found["issued_token_type"], found["token_type"], found["expires_in"]) == (ACCESS_TOKEN, "Bearer", 600)
    assert found["scope"] == "email profile"


async def test_4_1_the_target_is_told_who_acts_for_whom(exchange: Exchange) -> None:
    told = await exchange.told((await exchange.token())["access_token"])

    assert told["active"] is True
    assert told["act"] == {"sub": "rooms"}
    assert (told["aud"], told["client_id"], told["scope"]) == ("archive", "rooms", "email profile")
    assert told["email"] == "aino@ulvila.fi"
    # Not registered by the target.
    assert "name" not in told


async def test_P4_the_person_has_another_identifier_there(exchange: Exchange) -> None:
    login = await exchange.login()
    told = await exchange.told((await exchange.token(login["access_token"]))["access_token"])
    assert told["sub"] != exchange.side.id_token(login["id_token"])["sub"]
    assert (await exchange.told((await exchange.token())["access_token"]))["sub"] == told["sub"]


async def test_P4_the_actor_learns_nothing_of_what_the_target_gets(exchange: Exchange) -> None:
    exchange.target(access_token_format="jwt")
    token = (await exchange.token())["access_token"]

    assert "." not in token
    assert error_of(await exchange.side.userinfo(f"Bearer {token}"), 401) == "invalid_token"
    assert await exchange.told(token, "rooms", SECRET) == {"active": False}


async def test_7_a_person_whose_identifiers_a_migration_keeps_has_kept_ones_there_too(exchange: Exchange) -> None:
    before = (await exchange.told((await exchange.token())["access_token"]))["sub"]
    keys = exchange.side.keys.subject
    kept = Kept(organisation=ULVILA, keyspace="ulvila-adfs", key="old", migration=1)
    exchange.side.subjects = Subjects(keys=keys, kept={lookup(keys, ULVILA, "ulvila-hr", "12345"): kept}, number=1)

    after = (await exchange.told((await exchange.token())["access_token"]))["sub"]

    target = exchange.side.federation.services[ARCHIVE]
    old = Subject(organisation=ULVILA, keyspace="ulvila-adfs", key="old", scope="ulvila.fi")
    assert after == pairwise_id(keys, old, target) != before


async def test_a_public_identifier_where_the_target_registered_one(exchange: Exchange) -> None:
    exchange.target(subject_type="public")
    told = await exchange.told((await exchange.token())["access_token"])
    assert told["sub"].endswith("@ulvila.fi")
    exchange.target()
    assert (await exchange.told((await exchange.token())["access_token"]))["sub"] != told["sub"]


# --- how long it lasts ---------------------------------------------------------------------------------------------------------


async def test_it_ends_when_the_person_s_token_does(exchange: Exchange) -> None:
    login = await exchange.login()
    exchange.side.clock.advance(minutes=7)
    found = await exchange.token(login["access_token"])
    assert found["expires_in"] == 180
    exchange.side.clock.advance(minutes=3)
    assert await exchange.told(found["access_token"]) == {"active": False}


async def test_in_the_last_second_of_the_person_s_token_there_is_none(exchange: Exchange) -> None:
    exchange.side.clock.advance(milliseconds=700)
    login = await exchange.login()
    exchange.side.clock.advance(minutes=10, milliseconds=-500)
    assert error_of(await exchange.ask(login["access_token"])) == "invalid_request"


@pytest.mark.parametrize("which", ["access_token", "refresh_token"])
async def test_it_ends_with_the_person_s_login(exchange: Exchange, which: str) -> None:
    login = await exchange.login()
    token = (await exchange.token(login["access_token"]))["access_token"]
    await exchange.side.revoke(login[which])
    assert await exchange.told(token) == {"active": False}


async def test_it_ends_with_a_token_that_is_alone(exchange: Exchange) -> None:
    exchange.arrange(rooms=replace(ROOMS_CLIENT, grant_types=("authorization_code", GRANT)))
    login = await exchange.login()
    token = (await exchange.token(login["access_token"]))["access_token"]
    await exchange.side.revoke(login["access_token"])
    assert await exchange.told(token) == {"active": False}


@pytest.mark.parametrize("who", [("rooms", SECRET), ("archive", ARCHIVE_SECRET)])
async def test_rfc7009_2_1_actor_and_target_may_give_it_back_and_the_login_lives_on(
    exchange: Exchange, who: tuple[str, str]
) -> None:
    login = await exchange.login()
    token = (await exchange.token(login["access_token"]))["access_token"]
    await exchange.side.revoke(token, basic(*who))
    assert await exchange.told(token) == {"active": False}
    assert await exchange.side.is_active(login["access_token"])


# --- 2.1: the request ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"subject_token": None}, "invalid_request"),
        ({"subject_token": "unknown"}, "invalid_request"),
        ({"subject_token_type": None}, "invalid_request"),
        ({"subject_token_type": "urn:ietf:params:oauth:token-type:id_token"}, "invalid_request"),
        ({"subject_token_type": "urn:ietf:params:oauth:token-type:refresh_token"}, "invalid_request"),
        ({"requested_token_type": "urn:ietf:params:oauth:token-type:saml2"}, "invalid_request"),
        ({"actor_token": "x", "actor_token_type": ACCESS_TOKEN}, "invalid_request"),
        ({"actor_token_type": ACCESS_TOKEN}, "invalid_request"),
        ({"resource": "https://archive.example/api"}, "invalid_target"),
        ({"audience": None}, "invalid_target"),
        ({"audience": "nobody"}, "invalid_target"),
        ({"audience": "rooms"}, "invalid_target"),
        ({"audience": "https://archive.example"}, "invalid_target"),
        ({"scope": "email affiliation"}, "invalid_scope"),
    ],
)
async def test_2_2_2_what_is_wrong_or_not_offered_is_refused(
    exchange: Exchange, changes: dict[str, str | None], error: str
) -> None:
    assert error_of(await exchange.ask((await exchange.login())["access_token"], **changes)) == error


@pytest.mark.parametrize("kind", [ACCESS_TOKEN, None])
async def test_2_1_the_type_may_be_asked_for(exchange: Exchange, kind: str | None) -> None:
    assert "access_token" in await exchange.token(requested_token_type=kind)


@pytest.mark.parametrize(
    ("asked", "granted"), [("email", "email"), ("openid email", "email"), ("profile email", "profile email")]
)
async def test_2_1_scope_asks_for_less(exchange: Exchange, asked: str, granted: str) -> None:
    assert (await exchange.token(scope=asked))["scope"] == granted


async def test_2_1_no_scope_that_the_target_did_not_register(exchange: Exchange) -> None:
    exchange.target(scope="openid profile")
    found = await exchange.token()
    assert found["scope"] == "profile"
    assert "email" not in await exchange.told(found["access_token"])


async def test_2_1_the_grant_is_for_who_registered_it(exchange: Exchange) -> None:
    login = await exchange.login()
    exchange.arrange(rooms=ROOMS_CLIENT)
    assert error_of(await exchange.ask(login["access_token"])) == "unauthorized_client"


async def test_2_1_a_token_of_before_the_registration(exchange: Exchange) -> None:
    exchange.arrange(rooms=ROOMS_CLIENT)
    login = await exchange.login()
    exchange.arrange()
    assert error_of(await exchange.ask(login["access_token"])) == "invalid_request"


async def test_2_1_another_client_s_token(exchange: Exchange) -> None:
    exchange.target(grant_types=("authorization_code", GRANT))
    login = await exchange.login()
    answer = await exchange.ask(login["access_token"], basic("archive", ARCHIVE_SECRET), audience="rooms")
    assert error_of(answer) == "invalid_request"


@pytest.mark.parametrize("kind", ["id_token", "refresh_token"])
async def test_2_1_no_other_token_of_the_login(exchange: Exchange, kind: str) -> None:
    assert error_of(await exchange.ask((await exchange.login())[kind])) == "invalid_request"


async def test_a_token_that_was_exchanged_is_not_exchanged_again(exchange: Exchange) -> None:
    exchange.target(grant_types=("authorization_code", GRANT))
    token = (await exchange.token())["access_token"]
    for who, audience in ((basic("rooms", SECRET), "archive"), (basic("archive", ARCHIVE_SECRET), "rooms")):
        assert error_of(await exchange.ask(token, who, audience=audience)) == "invalid_request"


async def test_a_public_target_could_not_ask_what_it_is_worth(exchange: Exchange) -> None:
    exchange.target(token_endpoint_auth_method="none", client_secret=None)
    assert error_of(await exchange.ask((await exchange.login())["access_token"])) == "invalid_target"


async def test_a_seal_of_another_service_or_key_opens_nothing(exchange: Exchange) -> None:
    login = await exchange.login()
    [(place, (record, until))] = [each for each in exchange.side.grants.records.items() if each[0][0] == "access_token"]
    found = json.loads(record)
    found["person"] = found["person"][:-8] + "AAAAAAA="
    exchange.side.grants.records[place] = (json.dumps(found).encode(), until)
    assert error_of(await exchange.ask(login["access_token"])) == "invalid_request"


async def test_P7_the_store_shows_nothing_of_the_person_that_the_service_does_not_get(exchange: Exchange) -> None:
    await exchange.login()
    kept = b"".join(record for record, _ in exchange.side.grants.records.values())
    assert b"ulvila-hr" not in kept
    assert b"12345" not in kept


# --- RFC 9449: bound tokens --------------------------------------------------------------------------------------------------------


async def test_rfc9449_6_the_token_is_bound_to_the_actor_s_key(exchange: Exchange) -> None:
    prover = await exchange.side.prove()
    found = await exchange.token()
    assert found["token_type"] == "DPoP"
    exchange.side.prover = None
    assert (await exchange.told(found["access_token"]))["cnf"] == {"jkt": prover.thumbprint}


async def test_rfc9449_7_a_stolen_bound_token_is_not_exchanged(exchange: Exchange) -> None:
    await exchange.side.prove()
    login = await exchange.login()
    exchange.side.prover = None
    assert error_of(await exchange.ask(login["access_token"])) == "invalid_request"
    await exchange.side.prove()
    assert error_of(await exchange.ask(login["access_token"])) == "invalid_request"


# --- one agreement, and the target's own rules ----------------------------------------------------------------------------------------

APART = (
    agreement(services=frozenset({ROOMS})),
    agreement(id=AgreementId("other"), services=frozenset({ARCHIVE})),
)
UNSIGNED = agreement(signed={PORI: date(2025, 12, 1)})
ENDED = agreement(valid_until=date(2026, 3, 1))


@pytest.mark.parametrize("agreements", [APART, (UNSIGNED,), (ENDED,)], ids=["two agreements", "not signed", "ended"])
async def test_P4_one_agreement_in_force_covers_both_services(
    exchange: Exchange, agreements: tuple[Agreement, ...]
) -> None:
    login = await exchange.login()
    exchange.arrange(*agreements)
    assert error_of(await exchange.ask(login["access_token"])) == "invalid_target"


async def test_an_agreement_may_cover_all_of_the_owners_services(exchange: Exchange) -> None:
    exchange.arrange(agreement(services=frozenset(), owners=frozenset({PORI, ULVILA})))
    assert "access_token" in await exchange.token()


async def test_an_organisation_s_own_services_need_no_agreement(exchange: Exchange) -> None:
    exchange.arrange(ENDED, owner=ULVILA)
    assert "access_token" in await exchange.token()


@pytest.mark.parametrize(
    ("archive", "reason"),
    [
        ({"status": Status.DRAFT}, "service_status"),
        ({"status": Status.TEST}, "service_status"),
        ({"require": Requirements(mfa=True)}, "mfa_not_proven"),
        ({"require": Requirements(attributes={"affiliation": frozenset({"student"})})}, "requirement_not_met"),
        (
            {"attributes": (RegisteredAttribute(name="employeeNumber", purpose={"en": "x"}, required=True),)},
            "required_attribute_missing",
        ),
    ],
)
async def test_P4_the_target_s_own_rules_hold(exchange: Exchange, archive: dict[str, Any], reason: str) -> None:
    exchange.arrange(**archive)
    answer = await exchange.ask((await exchange.login())["access_token"])

    assert error_of(answer) == "invalid_target"
    [event] = exchange.side.audit.events
    assert json_of(answer)["error_description"] == f"oidc_exchange_refused: {reason} (reference {event.reference})"
    assert (event.kind, event.reason, event.service) == ("token.exchange_refused", reason, "archive")
    assert event.detail["trace"]


async def test_a_target_that_was_removed(exchange: Exchange) -> None:
    login = await exchange.login()
    exchange.side.federation = federation_of(ROOMS_EXCHANGING)
    assert error_of(await exchange.ask(login["access_token"])) == "invalid_target"


# --- P6 -------------------------------------------------------------------------------------------------------------------------------


async def test_P6_it_is_recorded_with_the_login_s_reference_code_and_without_values(exchange: Exchange) -> None:
    found = await exchange.token()
    told = await exchange.told(found["access_token"])

    [event] = exchange.side.audit.events

    assert (event.kind, event.actor, event.service) == ("token.exchanged", "service:rooms", "archive")
    assert (event.organisation, event.subject) == ("ulvila", told["sub"])
    assert event.detail["released"] == ["mail", "mailVerified"]
    assert "aino" not in repr(event)


async def test_P6_without_a_record_there_is_no_token(exchange: Exchange) -> None:
    login = await exchange.login()
    before = dict(exchange.side.grants.records)
    exchange.side.audit.down = True
    with pytest.raises(AuditUnavailable):
        await exchange.ask(login["access_token"])
    assert exchange.side.grants.records == before
