"""A login that begins at the broker or at the portal of one's city, where the documents say so (saml-profiles 4.1.5)."""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from datetime import UTC, datetime
from urllib.parse import urlsplit

import pytest
from lxml import etree

from tests.bench import saml
from tests.bench.parties import SAML_CITY, User
from tests.stories.town import NEIGHBOUR, Answer, Town

pytestmark = pytest.mark.asyncio(loop_scope="module")

SERVICE = "bench-saml-service"


def portal(town: Town, id: str, relay_state: str = SERVICE) -> dict[str, str]:
    """What the page of a city's portal posts: a Response that answers nothing."""
    parties = town.ground.neighbour if id == NEIGHBOUR else town.parties
    nothing = saml.Received(id="_nothing", relay_state=relay_state)
    form = saml.response(parties, town.seen.saml_sp, nothing, User(number=1, scope=f"{id}.fi"), datetime.now(UTC))
    xml = re.sub(rb' InResponseTo="_nothing"', b"", b64decode(form["SAMLResponse"]))
    return {**form, "SAMLResponse": b64encode(xml).decode()}


def given(answer: Answer) -> tuple[str, dict[str, str], etree._Element]:
    """The address and the form of an answer to the SAML service, and the Response in it."""
    address, fields = answer.form()
    return address, fields, etree.fromstring(b64decode(fields["SAMLResponse"]))


async def test_from_the_portal_of_one_s_city_to_a_service(town: Town) -> None:
    browser, parties = town.browser(), town.ground.neighbour

    sent = await browser.post(town.seen.saml_sp.address, portal(town, NEIGHBOUR))
    assert urlsplit(sent.location).path == "/neighbour/sso"
    received = saml.read_authn_request(sent.location, parties, town.seen.saml_sp)
    answer = town.saml_answer(received, parties=parties, scope=f"{NEIGHBOUR}.fi")
    done = await browser.post(town.seen.saml_sp.address, answer)

    address, fields, response = given(done)
    assert address == parties.service_acs
    assert set(fields) == {"SAMLResponse"}
    assert response.get("InResponseTo") is None
    assert b"InResponseTo" not in etree.tostring(response)
    mails = response.xpath("//*[local-name()='AttributeValue'][contains(., '@')]/text()")
    assert f"user1@{NEIGHBOUR}.fi" in mails


async def test_P2_the_answer_that_nobody_asked_for_never_ends_a_login_itself(town: Town) -> None:
    browser = town.browser()
    sent = await browser.post(town.seen.saml_sp.address, portal(town, NEIGHBOUR))
    received = saml.read_authn_request(sent.location, town.ground.neighbour, town.seen.saml_sp)

    again = portal(town, NEIGHBOUR, relay_state=received.relay_state)

    await town.refused(await browser.post(town.seen.saml_sp.address, again), "saml_wrong_in_response_to")


async def test_a_city_whose_documents_do_not_allow_it(town: Town) -> None:
    answer = await town.browser().post(town.seen.saml_sp.address, portal(town, SAML_CITY))
    await town.refused(answer, "saml_unsolicited_from_home")


async def test_a_service_whose_documents_do_not_allow_it(town: Town) -> None:
    form = portal(town, NEIGHBOUR, relay_state="bench-oidc-service")
    answer = await town.browser().post(town.seen.saml_sp.address, form)
    await town.refused(answer, "saml_unsolicited_not_registered")


async def test_from_a_link_to_a_service(town: Town) -> None:
    browser = town.browser()

    sent = await browser.get(f"/saml/idp/unsolicited?service={SERVICE}&organisation={SAML_CITY}&RelayState=%2Fpage")
    received = saml.read_authn_request(sent.location, town.parties, town.seen.saml_sp)
    done = await browser.post(town.seen.saml_sp.address, town.saml_answer(received))

    address, fields, response = given(done)
    assert (address, fields["RelayState"]) == (town.parties.service_acs, "/page")
    assert b"InResponseTo" not in etree.tostring(response)


async def test_a_link_without_organisation_shows_the_choice(town: Town) -> None:
    page = await town.browser().get(f"/saml/idp/unsolicited?service={SERVICE}")
    assert SAML_CITY in page.choices()


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("", "unknown_service"),
        ("service=nobody", "unknown_service"),
        ("service=bench-oidc-service", "saml_unsolicited_not_registered"),
        (f"service={SERVICE}&service={SERVICE}", "malformed_message"),
    ],
)
async def test_a_wrong_link(town: Town, query: str, reason: str) -> None:
    await town.refused(await town.browser().get(f"/saml/idp/unsolicited?{query}"), reason)
