"""Pages: whatever comes from the registry or a request is text; whom to ask; P7, P11, P12."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import html

from broker.federation.model import Contact, Organisation, OrganisationId, RegisteredAttribute, Service
from broker.web.pages import FEW, Pages, fold
from broker.web.refusals import REFUSALS, Ask
from broker.web.views import (
    ChoosePage,
    Forwarding,
    ForwardPage,
    OrganisationChoice,
    RefusedPage,
    StartPage,
    monograms,
)
from tests.unit.web.parties import NOW, ORGANISATIONS, SERVICES

HOSTILE = "</title><script>alert('x')</script>\"' onload=alert(1) {{ 7*7 }} %(home)s &lt; \N{RIGHT-TO-LEFT OVERRIDE}x"
LANGUAGES = ("fi", "sv", "en")
PORI = ORGANISATIONS[0]
WIKI = SERVICES[0]


@pytest.fixture(scope="module")
def pages() -> Pages:
    return Pages("Kuntasilta")


def parsed(text: str) -> Any:
    return html.document_fromstring(text)


def hostile_organisation(text: str = HOSTILE) -> Organisation:
    contact = Contact(role="helpdesk", name=text, email=f"{text}@x.example", phone=text, hours={"en": text})
    return Organisation(id=OrganisationId("evil"), name={"en": text, "fi": text}, contacts=(contact,))


def hostile_service(text: str = HOSTILE) -> Service:
    attribute = RegisteredAttribute(name="mail", purpose={"en": text}, required=True)
    return replace(WIKI, name={"en": text}, attributes=(attribute,), url=f"https://x.example/?{text}")


def a_refusal(message_key: str = "attribute_missing", **changes: Any) -> RefusedPage:
    given: dict[str, Any] = {
        "code": "required_attribute_missing",
        "message_key": message_key,
        "at": NOW,
        "reference": "K7M2-9QXA",
        "organisation": PORI,
        "service": WIKI,
        "owner": ORGANISATIONS[1],
    }
    return RefusedPage(**{**given, **changes})


def everything(pages: Pages, text: str, language: str) -> list[str]:
    """Every page with this text wherever the registry or a stranger could put it."""
    organisation, service = hostile_organisation(text), hostile_service(text)
    letters = monograms([organisation])
    context = dict.fromkeys(("service", "rule", "check", "attribute", "agreement", "identity_provider"), text)
    return [
        Pages(text).start(StartPage(), language),
        pages.choose(
            ChoosePage(
                service=service,
                owner=organisation,
                choices=(OrganisationChoice(organisation=organisation, href="/login/x/choose?organisation=evil"),),
                here="/login/x",
                search="",
                monograms=letters,
            ),
            language,
        ),
        *(
            pages.refused(
                a_refusal(
                    key,
                    context=context,
                    organisation=organisation,
                    service=service,
                    owner=organisation,
                    monograms=letters,
                ),
                language,
            )
            for key in ("attribute_missing", "no_agreement", "unknown_service")
        ),
        *(
            pages.forward(
                ForwardPage(
                    forwarding=each,
                    action="https://x.example/acs",
                    fields={"SAMLResponse": text, text: "x"},
                    service=service,
                    organisation=organisation,
                    monograms=letters,
                ),
                language,
            )
            for each in Forwarding
        ),
    ]


@pytest.mark.parametrize("language", LANGUAGES)
def test_P11_hostile_names_are_text_everywhere(pages: Pages, language: str) -> None:
    for text in everything(pages, HOSTILE, language):
        document = parsed(text)
        assert not document.xpath("//script[not(starts-with(@src, '/static/'))]")
        assert not document.xpath("//*[@onload or @onclick or @onerror or @style]")
        assert len(document.xpath("//title")) == 1
        assert "49" not in document.text_content()
        hrefs = document.xpath("//a/@href")
        assert all(each.startswith(("/", "#", "mailto:", "https://")) for each in hrefs)


@given(text=st.text(min_size=1, max_size=40))
@settings(max_examples=10, deadline=None)
def test_any_name_at_all_makes_pages_without_elements_of_its_own(text: str) -> None:
    pages = Pages("Kuntasilta")
    # What HTML cannot hold, no registry holds: its documents are checked for it.
    plain = "".join(each for each in text if each.isprintable()) or "x"
    for rendered in everything(pages, f"<u>{plain}<i>", "en"):
        assert not parsed(rendered).xpath("//u | //i")


# --- the refusal page: whom to ask -------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("key", sorted(REFUSALS))
def test_P12_each_refusal_says_what_happened_what_to_do_and_gives_its_code(
    pages: Pages, key: str, language: str
) -> None:
    document = parsed(pages.refused(a_refusal(key, context={"attribute": "mail"}), language))

    assert document.xpath("string(//h1)").strip()
    assert document.xpath("string(//p[@class='lead'])").strip()
    assert document.xpath("string(//section[@aria-labelledby='do']/p)").strip()
    assert document.xpath("string(//output)") == "K7M2-9QXA"
    assert len(document.xpath("//h1")) == 1
    assert len(document.xpath("//a[@class='btn']")) <= 1


@pytest.mark.parametrize("key", [key for key, refusal in REFUSALS.items() if refusal.ask is Ask.HELP_DESK])
def test_P12_the_home_s_help_desk_is_reached_with_the_code(pages: Pages, key: str) -> None:
    document = parsed(pages.refused(a_refusal(key), "en"))

    assert "mailto:ict@pori.example?subject=K7M2-9QXA" in document.xpath("//a/@href")
    assert "+358 2 000 0000, Mon–Fri 8–16" in document.text_content()


def test_where_several_can_help_each_has_a_line(pages: Pages) -> None:
    document = parsed(pages.refused(a_refusal("no_agreement"), "en"))

    facts = document.xpath("//section[@aria-labelledby='who']//dl/div/dd")
    assert [each.text_content() for each in facts] == ["coordinator@pori.example", "ict@ulvila.example"]


def test_a_contact_without_an_address_is_told_by_telephone_and_none_at_all_by_nothing(pages: Pages) -> None:
    by_phone = replace(PORI, contacts=(Contact(role="helpdesk", phone="112"),))
    document = parsed(pages.refused(a_refusal(organisation=by_phone), "en"))
    assert "112" in document.text_content()
    assert not [each for each in document.xpath("//a/@href") if each.startswith("mailto:")]

    nobody = parsed(pages.refused(a_refusal(organisation=replace(PORI, contacts=())), "en"))
    assert not nobody.xpath("//section[@aria-labelledby='who']//dl")


@pytest.mark.parametrize(
    "email", ["a@b.example?bcc=x@evil.example", "a@b.example&body=x", "a b@c.example", "ä@b.example"]
)
def test_a_contact_s_address_cannot_add_anything_to_the_message(pages: Pages, email: str) -> None:
    organisation = replace(PORI, contacts=(Contact(role="helpdesk", email=email),))

    hrefs = parsed(pages.refused(a_refusal(organisation=organisation), "en")).xpath("//a/@href")

    found = next(each for each in hrefs if each.startswith("mailto:"))
    address, _, query = found.removeprefix("mailto:").partition("?")
    assert unquote(address) == email
    assert query == "subject=K7M2-9QXA"


def test_a_refusal_nobody_recorded_writes_no_empty_subject(pages: Pages) -> None:
    hrefs = parsed(pages.refused(a_refusal(reference=""), "en")).xpath("//a/@href")
    assert "mailto:ict@pori.example" in hrefs


@pytest.mark.parametrize(("attribute", "purpose"), [("mail", True), ("displayName", False), ("unheard-of", False)])
def test_the_service_s_own_purpose_is_shown_for_what_is_missing(pages: Pages, attribute: str, purpose: bool) -> None:
    text = parsed(pages.refused(a_refusal(context={"attribute": attribute}), "en")).text_content()

    assert ("Notifications of changes" in text) is purpose


def test_a_purpose_is_shown_only_where_something_is_missing(pages: Pages) -> None:
    text = parsed(pages.refused(a_refusal("requirement_not_met", context={"attribute": "mail"}), "en")).text_content()
    assert "Notifications of changes" not in text


@pytest.mark.parametrize(
    ("links", "expected"),
    [
        ({"again": "/a", "back": "/b"}, {"/a", "/b", "mailto:ict@pori.example?subject=K7M2-9QXA"}),
        ({"back": "/b"}, {"/b", "mailto:ict@pori.example?subject=K7M2-9QXA"}),
        ({}, {"https://wiki.example/", "mailto:ict@pori.example?subject=K7M2-9QXA"}),
    ],
)
def test_the_ways_on_from_a_refusal(pages: Pages, links: Mapping[str, str], expected: set[str]) -> None:
    document = parsed(pages.refused(a_refusal(**links), "en"))
    assert set(document.xpath("//p[@class='acts']/a/@href")) == expected


def test_who_did_not_come_from_a_known_service_is_offered_no_way_to_it(pages: Pages) -> None:
    document = parsed(pages.refused(a_refusal("unknown_service", service=None, owner=None, organisation=None), "en"))
    assert not document.xpath("//p[@class='acts']/a")


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("key", sorted(REFUSALS))
def test_who_is_not_known_is_not_left_out_of_the_sentence(pages: Pages, key: str, language: str) -> None:
    text = pages.refused(a_refusal(key, service=None, owner=None, organisation=None), language)

    assert "%(" not in text
    assert "None" not in parsed(text).text_content()


def test_P7_the_details_are_names_and_codes(pages: Pages) -> None:
    context = {"rule": "requirements_hold", "agreement": "pori-ulvila", "identity_provider": "pori-adfs"}
    document = parsed(pages.refused(a_refusal(context=context), "en"))

    assert document.xpath("//details//code/text()") == [
        "shared-wiki",
        "pori",
        "required_attribute_missing",
        "requirements_hold",
        "pori-ulvila",
        "pori-adfs",
    ]


def test_a_message_key_without_texts_is_an_error_and_no_empty_page(pages: Pages) -> None:
    with pytest.raises(KeyError):
        pages.refused(a_refusal("no such key"), "en")


# --- the choice -------------------------------------------------------------------------------------------------------


def a_choice(count: int, **changes: Any) -> ChoosePage:
    organisations = [
        Organisation(id=OrganisationId(f"o{number}"), name={"fi": f"{chr(65 + number % 26)}kunta {number}"})
        for number in range(count)
    ]
    choices = tuple(OrganisationChoice(organisation=each, href=f"/c?organisation={each.id}") for each in organisations)
    return ChoosePage(service=WIKI, owner=PORI, choices=choices, here="/login/x", **changes)


@pytest.mark.parametrize(("count", "filtered"), [(1, False), (FEW, False), (FEW + 1, True), (300, True)])
def test_a_long_list_gets_a_search_field_and_first_letters(pages: Pages, count: int, filtered: bool) -> None:
    document = parsed(pages.choose(a_choice(count), "fi"))

    assert bool(document.xpath("//form[@role='search']")) is filtered
    assert len(document.xpath("//ul[@id='orgs']/li")) == count
    letters = [each for each in document.xpath("//span[@class='letter']/text()") if each.strip()]
    assert letters == sorted(set(letters))


def test_a_search_that_finds_nothing_says_so_and_shows_the_way_back(pages: Pages) -> None:
    document = parsed(pages.choose(a_choice(20, search="zzz"), "en"))

    assert not document.xpath("//ul[@id='orgs']")
    assert document.xpath("//p[@id='none'][not(@hidden)]")
    assert "/login/x" in document.xpath("//main//a/@href")


def test_the_finnish_name_stands_under_a_swedish_one(pages: Pages) -> None:
    choices = (OrganisationChoice(organisation=PORI, href="/c"),)
    view = ChoosePage(service=WIKI, owner=None, choices=choices, here="/login/x")

    swedish = parsed(pages.choose(view, "sv")).xpath("//ul[@id='orgs']//small[@lang='fi']/text()")
    finnish = parsed(pages.choose(view, "fi")).xpath("//ul[@id='orgs']//small")

    assert (swedish, finnish) == (["Porin kaupunki"], [])


def test_a_name_in_another_language_than_the_page_says_so(pages: Pages) -> None:
    choices = (OrganisationChoice(organisation=ORGANISATIONS[2], href="/c"),)
    view = ChoosePage(service=WIKI, owner=None, choices=choices, here="/login/x")

    assert parsed(pages.choose(view, "en")).xpath("//ul[@id='orgs']//span[@lang='fi']/text()") == ["Keva"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("Björneborg", "bjorneborg"), ("  Ääne-koski__x ", "aane koski x"), ("ÅÄÖ", "aao"), ("", ""), ("%&/", "")],
)
def test_fold(text: str, expected: str) -> None:
    assert fold(text) == expected
