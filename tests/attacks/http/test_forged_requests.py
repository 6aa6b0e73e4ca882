"""Every forgery of a service's AuthnRequest, sent to the SingleSignOnService of a broker that listens (promises P1, P5, P7, P12).

A generator (``forged_requests.py``) makes them. Until the service's address is verified each ends on a page of ours that leads
nowhere else; from then on in a Response to that address with the reason's status, and never at the city.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from datetime import UTC, datetime
from io import BytesIO
from urllib.parse import urlencode

import pytest
from cryptography.x509 import load_der_x509_certificate
from lxml import etree
from structlog.testing import capture_logs

from tests.attacks.http.forged_requests import FAMILIES, Asking, Forged
from tests.bench.parties import SAML_CITY
from tests.spec.saml.conftest import Pair, make_pair, sign
from tests.stories.town import Answer, Town

pytestmark = pytest.mark.asyncio(loop_scope="module")

NUMBERS = {"wrong_fields": 79, "queries": 26, "posted": 23}
"""How many each family has, so that none is lost unnoticed."""
NOBODY = make_pair("nobody")
STATUS_CODE = "{urn:oasis:names:tc:SAML:2.0:protocol}StatusCode"


def asking(town: Town) -> Asking:
    parties = town.parties
    certificate = load_der_x509_certificate(b64decode(parties.service_key.certificate))
    return Asking(
        own=Pair(private=parties.service_key.private, certificate=certificate),
        foreign=NOBODY,
        now=datetime.now(UTC),
        sso=town.seen.saml_idp.address,
        acs=parties.service_acs,
        service=parties.service_entity_id,
    )


async def send(town: Town, text: str, *, post: bool) -> Answer:
    address = f"{town.seen.saml_idp.address}?organisation={SAML_CITY}&"
    if not post:
        return await town.browser().get(address + text)
    form = urlencode({"SAMLRequest": b64encode(text.encode()).decode(), "RelayState": "rs"})
    content_type = {"Content-Type": "application/x-www-form-urlencoded"}
    return await town.browser().post(address, BytesIO(form.encode("ascii")), **content_type)


async def check(town: Town, forged: Forged, answer: Answer) -> None:
    if forged.page:
        event = await town.refused(answer, *forged.reasons)
        assert event.subject == ""
        return
    action, fields = answer.form()
    assert (answer.status, action) == (200, town.parties.service_acs)
    response = etree.fromstring(b64decode(fields["SAMLResponse"]))
    assert response.find("{urn:oasis:names:tc:SAML:2.0:assertion}Assertion") is None
    message = response.findtext(".//{urn:oasis:names:tc:SAML:2.0:protocol}StatusMessage") or ""
    code, _, reference = message.partition(" ")
    assert code in forged.reasons, message
    (event,) = await town.events(reference)
    assert event.reason == code
    assert not next(response.iter(STATUS_CODE)).get("Value", "").endswith(":Success")


@pytest.mark.parametrize("post", [False, True])
async def test_control_the_honest_request_of_the_same_making_goes_to_the_city(town: Town, post: bool) -> None:
    made = asking(town)
    text = sign(made.request(), made.own) if post else made.query(made.request())

    answer = await send(town, text, post=post)

    assert answer.status == 303
    assert answer.reason == ""


@pytest.mark.parametrize("family", FAMILIES)
async def test_P5_every_forgery_of_the_family_is_refused_for_its_reason(town: Town, family: str) -> None:
    wrong: list[str] = []
    found = list(FAMILIES[family](asking(town)))
    with capture_logs() as logs:
        for forged in found:
            answer = await send(town, forged.send(), post=forged.post)
            try:
                await check(town, forged, answer)
            except (AssertionError, StopIteration) as error:
                wrong.append(
                    f"{forged.name}: {answer.status} {answer.reason} {answer.location[:60]} {str(error)[:100]}"
                )
    assert wrong == []
    assert len({each.name for each in found}) == len(found) == NUMBERS[family]
    assert "elsewhere.example" not in str(logs)
