"""``broker replay``: what changed documents would have done to the logins of the last days."""

from __future__ import annotations

import asyncio

from tests.bench.parties import OIDC_CITY, SAML_CITY
from tests.stories.office import Office, serving_town

PAIRS = ("saml-saml", "oidc-oidc")


def replace_in(office: Office, old: str, new: str) -> None:
    bench = office.documents / "bench.yaml"
    text = bench.read_text("utf-8")
    assert old in text
    bench.write_text(text.replace(old, new), "utf-8")


async def four_logins(office: Office) -> None:
    async with serving_town(office) as town:
        logins = town.logins()
        for pair in PAIRS:
            await logins.log_in(pair, 1)
            await logins.log_in(pair, 2)


def test_changed_documents_are_tried_on_the_logins_of_the_last_days(office: Office) -> None:
    office.begin_with_documents()
    asyncio.run(four_logins(office))

    as_it_is = office.json("replay", "--since", "1h", "--with", str(office.documents))
    assert as_it_is == {"logins": 4, "changes": []}
    assert "4 logins: 0 would be refused" in " ".join(office.run("replay").stdout.split())

    replace_in(office, "status: production", "status: retired")
    found = office.json("replay", "--with", str(office.documents), status=1)

    assert found["logins"] == 4
    assert {each["what"] for each in found["changes"]} == {"refused"}
    assert {(each["organisation"], each["why"]) for each in found["changes"]} == {
        (SAML_CITY, "service_status"),
        (OIDC_CITY, "service_status"),
    }
    assert sum(each["logins"] for each in found["changes"]) == 4
    (reference, *_) = found["changes"][0]["for_example"]
    assert office.json("explain", reference)[0]["kind"] == "login.answered"
    assert "would be refused" in office.run("replay", "--with", office.documents, status=1).stdout


def test_without_logins_there_is_nothing_to_tell(office: Office) -> None:
    office.begin_with_documents()
    assert office.json("replay") == {"logins": 0, "changes": []}


def test_it_is_used_wrongly_with_a_span_that_is_none(office: Office) -> None:
    office.begin_with_documents()
    for span in ("7", "d", "0d", "-1d", "1y", "7 d"):
        office.run("replay", "--since", span, status=2)


def test_documents_that_are_wrong_are_told(office: Office) -> None:
    office.begin_with_documents()
    replace_in(office, "status: production", "status: nonsense")
    assert "bench.yaml" in office.run("replay", "--with", office.documents, status=1).stderr
