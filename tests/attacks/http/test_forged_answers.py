"""Every forgery of a city's answer, sent to the AssertionConsumerService of a broker that listens (promises P1, P2, P7, P12).

A generator (``forged_answers.py``) makes them. Each must end in a 4xx, on a page with a reference code and nowhere else, for one of
the reasons that its family names, whose fault is the city's; and no word of it may reach log or record.
"""

from __future__ import annotations

import resource
from base64 import b64decode, b64encode
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import BytesIO
from itertools import islice
from urllib.parse import urlencode

import pytest
from cryptography.x509 import load_der_x509_certificate
from structlog.testing import capture_logs

from broker.saml.ids import new_id
from tests.attacks.http.forged_answers import FAMILIES, MAYOR, Forgery, Stage
from tests.bench.parties import CLAIM, EMPLOYEE_ID
from tests.bench.saml import Received
from tests.spec.saml.conftest import Draft, Pair, make_pair
from tests.stories.town import NEIGHBOUR, Answer, Browser, Town

pytestmark = pytest.mark.asyncio(loop_scope="module")

NUMBERS = {
    "wrong_fields": 117,
    "wrapped": 198,
    "moved_signatures": 5,
    "signature_forms": 59,
    "split_values": 18,
    "doctypes": 11,
    "canonicalization": 5,
    "bombs": 10,
}
"""How many each family has, so that none is lost unnoticed."""
MOST_MEMORY = 150 * 1024 * 1024
"""Octets by which one family may make the process grow at most."""
SECRETS = (MAYOR, "pori-4711", "user1@")
NOBODY = make_pair("nobody")


def stage_of(town: Town, received: Received) -> Stage:
    """The neighbour's honest answer to this request."""
    parties = town.ground.neighbour
    now = datetime.now(UTC)
    us, acs, city = town.seen.saml_sp.entity_id, town.seen.saml_sp.address, parties.city_entity_id
    draft = Draft(
        request_id=received.id,
        response_id=new_id(),
        assertion_id=new_id(),
        destination=acs,
        recipient=acs,
        issuer=city,
        assertion_issuer=city,
        audiences=((us,),),
        issue_instant=now,
        authn_instant=now - timedelta(seconds=10),
        not_before=now - timedelta(minutes=1),
        not_on_or_after=now + timedelta(minutes=5),
        confirmed_until=now + timedelta(minutes=5),
        attributes={
            f"{CLAIM}upn": (f"user1@{NEIGHBOUR}.fi",),
            f"{CLAIM}emailaddress": (f"user1@{NEIGHBOUR}.fi",),
            f"{CLAIM}name": ("Aino",),
            EMPLOYEE_ID: ("E000001",),
        },
    )
    certificate = load_der_x509_certificate(b64decode(parties.city_key.certificate))
    own = Pair(private=parties.city_key.private, certificate=certificate)
    return Stage(draft=draft, own=own, foreign=NOBODY, now=now, us=us, acs=acs, city=city)


async def send(town: Town, browser: Browser, received: Received, xml: str) -> Answer:
    form = {"SAMLResponse": b64encode(xml.encode()).decode(), "RelayState": received.relay_state}
    body = BytesIO(urlencode(form).encode("ascii"))
    return await browser.post(town.seen.saml_sp.address, body, **{"Content-Type": "application/x-www-form-urlencoded"})


async def check_refused(town: Town, forgery: Forgery, answer: Answer) -> None:
    event = await town.refused(answer, *forgery.reasons)
    assert event.kind == "login.refused"
    assert event.subject == ""
    assert not any(secret in f"{event} {answer.text}" for secret in SECRETS)


@pytest.mark.parametrize(
    ("response", "assertion"), [(True, True), (True, False), (False, True)], ids=["both", "response", "assertion"]
)
async def test_control_the_honest_answer_of_the_same_making_is_taken(
    town: Town, response: bool, assertion: bool
) -> None:
    browser = town.browser()
    received = await town.at_saml_city(browser, id=NEIGHBOUR)
    stage = stage_of(town, received)

    answer = await send(town, browser, received, stage.signed(stage.draft, response=response, assertion=assertion))

    assert (answer.status, answer.reason) == (303, "")
    assert "code" in answer.parameters()


async def test_core_2_5_1_6_the_service_is_told_how_many_more_may_pass_the_login_on(town: Town) -> None:
    browser = town.browser()
    received = await town.at_saml_city(browser, service="saml", id=NEIGHBOUR)
    stage = stage_of(town, received)
    restricted = replace(stage.draft, conditions='<saml:ProxyRestriction Count="3"/>')

    _, fields = (await send(town, browser, received, stage.signed(restricted))).form()

    assert b'<saml:ProxyRestriction Count="2">' in b64decode(fields["SAMLResponse"])


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.timeout(180)
async def test_P1_every_forgery_of_the_family_is_refused_for_its_reason(town: Town, family: str) -> None:
    wrong: list[str] = []
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    browser = town.browser()
    received = await town.at_saml_city(browser, id=NEIGHBOUR)
    names = [each.name for each in FAMILIES[family](stage_of(town, received))]
    with capture_logs() as logs:
        for number, name in enumerate(names):
            browser = town.browser()
            received = await town.at_saml_city(browser, id=NEIGHBOUR)
            forgery = next(islice(FAMILIES[family](stage_of(town, received)), number, None))
            answer = await send(town, browser, received, forgery.xml())
            try:
                await check_refused(town, forgery, answer)
            except AssertionError as error:
                wrong.append(f"{name}: {answer.status} {answer.reason} {answer.location} {str(error)[:100]}")
    assert wrong == []
    assert len(set(names)) == len(names) == NUMBERS[family]
    assert not any(secret in str(logs) for secret in SECRETS)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before < MOST_MEMORY
