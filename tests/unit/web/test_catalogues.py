"""P11: every text of every page in Finnish and Swedish, with the names that it needs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import resources
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.frontend import parse_mapping_cfg
from babel.messages.pofile import read_po
from lxml import html

from broker.attributes import schema
from broker.web.pages import FEW, Pages
from broker.web.refusals import ATTRIBUTES, REFUSALS
from broker.web.views import (
    ChoosePage,
    DeviceCodePage,
    DeviceConfirmPage,
    DeviceEndPage,
    Forwarding,
    ForwardPage,
    OrganisationChoice,
    RefusedPage,
    StartPage,
)
from tests.unit.web.parties import NOW, ORGANISATIONS, SERVICES

WEB = Path(str(resources.files("broker.web")))
LANGUAGES = ("fi", "sv", "en")
PLACEHOLDER = re.compile(r"%\((\w+)\)s")
PORI, ULVILA, KEVA = ORGANISATIONS
WIKI = SERVICES[0]

INFLECTED = {"home", "place", "owner", "service"}
"""What the code fills in under two names: ``Home`` at the beginning of a sentence, ``home`` within one."""

NOT_OUR_VOICE = {
    "en": ("please", "oops", "sorry", "successful", "unfortunately", "invalid"),
    "fi": ("ole hyvä", "hups", "valitettavasti", "onnistuneesti", "teidän", "olkaa", "epäonnistui", "identifioi"),
    "sv": ("vänligen", "var god", "hoppsan", "tyvärr", "framgångsrik", "misslyckades", "identifiera dig", "ogiltig"),
}


def texts() -> set[str]:
    """What the sources say, as ``broker/web/i18n.py`` tells to extract it."""
    with (WEB / "locales" / "babel.cfg").open() as file:
        methods, options = parse_mapping_cfg(file)
    keywords = {"_": None, "gettext": None, "ngettext": (1, 2), "N_": None}
    found = extract_from_dir(WEB, methods, options, keywords=keywords)
    return {message if isinstance(message, str) else message[0] for _, _, message, _, _ in found}


def catalogue(language: str) -> Catalog:
    with (WEB / "locales" / language / "LC_MESSAGES" / "messages.po").open("rb") as file:
        return read_po(file, locale=language)


def messages(language: str) -> Iterator[Message]:
    return (message for message in catalogue(language) if message.id)


def forms(text: object) -> tuple[str, ...]:
    """One text, or one for each plural form."""
    return (text,) if isinstance(text, str) else tuple(text) if isinstance(text, (list, tuple)) else ()


def test_the_sources_have_texts() -> None:
    assert "Choose your organisation" in texts()


@pytest.mark.parametrize("language", ["fi", "sv"])
def test_P11_the_catalogue_holds_exactly_the_texts_of_the_sources(language: str) -> None:
    assert {forms(message.id)[0] for message in messages(language)} == texts()


@pytest.mark.parametrize("language", ["fi", "sv"])
def test_P11_no_text_is_missing_or_guessed(language: str) -> None:
    wanting = [m.id for m in messages(language) if m.fuzzy or not forms(m.string) or not all(forms(m.string))]
    assert wanting == []


def parties(text: str) -> list[str]:
    """A name in another case (``home_s`` for ``Home``) stands for the same party elsewhere in its sentence."""
    return sorted(name.lower().removesuffix("_s") for name in PLACEHOLDER.findall(text))


@pytest.mark.parametrize("language", ["fi", "sv"])
def test_a_translation_names_whom_its_text_names(language: str) -> None:
    for message in messages(language):
        for text in forms(message.string):
            assert parties(text) == parties(forms(message.id)[-1]), message.id


@pytest.mark.parametrize("language", ["fi", "sv"])
def test_a_translation_has_no_space_too_many(language: str) -> None:
    wrong = [m.id for m in messages(language) for text in forms(m.string) if text != text.strip() or "  " in text]
    assert wrong == []


@pytest.mark.parametrize(("language", "plurals"), [("fi", 2), ("sv", 2)])
def test_the_head_names_the_language_and_no_person(language: str, plurals: int) -> None:
    """``pybabel update`` writes places for a person and a date into the head: leave them out again."""
    text = (WEB / "locales" / language / "LC_MESSAGES" / "messages.po").read_text(encoding="utf-8")
    head = text.partition("\n\n")[0]

    assert '"Project-Id-Version: kuntasilta\\n"' in head
    assert f'"Language: {language}\\n"' in head
    assert f'"Plural-Forms: nplurals={plurals}; plural=(n != 1);\\n"' in head
    assert "@" not in head
    assert "Date" not in head
    assert "Translator" not in head


# --- the voice of the pages ---------------------------------------------------------------------------------------------


def written(language: str) -> list[str]:
    """Every text in this language, as a translator wrote it."""
    if language == "en":
        return sorted(texts())
    return [text for message in messages(language) for text in forms(message.string)]


@pytest.mark.parametrize("language", LANGUAGES)
def test_nobody_is_begged_or_scolded(language: str) -> None:
    wrong = [
        text
        for text in written(language)
        if "!" in text or any(re.search(rf"\b{word}", text, re.IGNORECASE) for word in NOT_OUR_VOICE[language])
    ]
    assert wrong == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_quotation_marks_and_apostrophes_are_typographic(language: str) -> None:
    assert [text for text in written(language) if re.search("[\"'`´]", text)] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_name_has_its_capital_exactly_where_a_sentence_begins(language: str) -> None:
    for text in written(language):
        for found in PLACEHOLDER.finditer(text):
            name = found[1]
            if name.lower().removesuffix("_s") in INFLECTED:
                begins = found.start() == 0 or text[: found.start()].endswith(". ")
                assert name[0].isupper() is begins, text


def test_finnish_puts_a_word_that_bends_before_the_name_of_a_service() -> None:
    """And nothing that needs the name after it: the name of an unknown service is "" in Finnish."""
    for text in written("fi"):
        for found in PLACEHOLDER.finditer(text):
            if found[1].lower() == "service":
                assert re.search(r"\bpalvelu\w* $", text[: found.start()], re.IGNORECASE), text
                assert re.match(r"$| \w", text[found.end() :]), text


# --- whole pages --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pages() -> Pages:
    return Pages("Kuntasilta")


def a_refusal(key: str, **changes: Any) -> RefusedPage:
    message_key, _, attribute = key.partition(".")
    given: dict[str, Any] = {
        "code": "the_code",
        "message_key": message_key,
        "at": NOW,
        "reference": "K7M2-9QXA",
        "context": {"attribute": attribute} if attribute else {},
        "organisation": PORI,
        "service": WIKI,
        "owner": ULVILA,
        "again": "/again",
        "back": "/back",
        "here": "/here",
    }
    return RefusedPage(**{**given, **changes})


def a_choice(count: int, **changes: Any) -> ChoosePage:
    choices = tuple(OrganisationChoice(organisation=PORI, href=f"/{number}") for number in range(count))
    return ChoosePage(service=WIKI, owner=PORI, choices=choices, here="/here", **changes)


def a_forwarding(forwarding: Forwarding, **changes: Any) -> ForwardPage:
    given: dict[str, Any] = {"service": WIKI, "organisation": PORI, **changes}
    return ForwardPage(forwarding=forwarding, action="/acs", fields={"SAMLResponse": "PHg+"}, **given)


def a_device() -> DeviceConfirmPage:
    return DeviceConfirmPage(service=WIKI, owner=PORI, user_code="BCDF-GHJK", sign_in="/yes", here="/here")


def paragraphs(page: Any) -> list[str]:
    """The texts of headings, paragraphs, labels, links and buttons."""
    return [
        each.text_content()
        for each in page.xpath("//h1 | //h2 | //p[not(a)] | //dt | //summary | //p[@class='acts']/a | //button")
    ]


def sentences(text: str) -> list[str]:
    return re.split(r"(?<=[.?])\s+", text)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("key", sorted(REFUSALS))
def test_P12_a_refusal_reads_well_whoever_is_known(pages: Pages, key: str, language: str) -> None:
    for organisation, service, owner in product((PORI, KEVA, None), (WIKI, None), (ULVILA, KEVA, None)):
        view = a_refusal(key, organisation=organisation, service=service, owner=owner)
        text = pages.refused(view, language)
        page = html.document_fromstring(text)

        assert page.get("lang") == language
        assert "%(" not in text
        assert page.xpath("string(//title)") == f"{page.xpath('string(//h1)')} – Kuntasilta"
        for paragraph in paragraphs(page):
            assert paragraph == " ".join(paragraph.split()), paragraph
            assert not re.search(r" [.,:;?]", paragraph), paragraph
            assert all(each[0].isupper() for each in sentences(paragraph)), paragraph


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("key", ["attribute_missing", "requirement_not_met"])
def test_P12_every_attribute_of_the_schema_has_a_name_for_people(pages: Pages, key: str, language: str) -> None:
    assert set(ATTRIBUTES) == set(schema.ATTRIBUTES)
    # A missing e-mail address has texts of its own.
    for attribute in set(ATTRIBUTES) - {"mail"}:
        page = html.document_fromstring(pages.refused(a_refusal(f"{key}.{attribute}"), language))
        assert [text for text in paragraphs(page) if re.search(r": \w[^.]+\.$", text)], attribute


@pytest.mark.parametrize(
    ("key", "heading"),
    [
        ("no_agreement", "Organisaatiosi ei ole vielä sopinut palvelusta"),
        ("service_status", "Palvelu ei ole käytössä"),
        ("requirement_not_met", "Palvelu asettaa ehdon, jota tämä kirjautuminen ei täytä"),
        ("mfa_not_proven", "Palvelu vaatii vahvemman kirjautumisen"),
        ("attribute_missing", "Käyttäjätiedoistasi puuttuu jotain, mitä palvelu tarvitsee"),
        ("home_unreachable", "Organisaatiosi tunnistuspalvelu ei vastaa"),
        ("home_answer_wrong", "Emme voi hyväksyä organisaatiosi tunnistuspalvelun vastausta"),
        ("foreign_scope", "Organisaatiosi ei voi vahvistaa tätä tunnusta"),
    ],
)
def test_P12_finnish_is_whole_when_nobody_is_known(pages: Pages, key: str, heading: str) -> None:
    text = pages.refused(a_refusal(key, organisation=None, service=None, owner=None), "fi")
    page = html.document_fromstring(text)

    assert page.xpath("string(//h1)") == heading
    assert page.xpath("//a[@href='/back']/text()") == ["Palaa palveluun"]


@pytest.mark.parametrize(
    ("key", "language", "heading", "lead"),
    [
        (
            "no_agreement",
            "fi",
            "Pori ei ole vielä sopinut palvelusta Yhteinen wiki",
            (
                "Tunnuksessasi ei ole vikaa. Mikään voimassa oleva yhteistyösopimus, jossa Porin kaupunki ja Ulvilan "
                "kaupunki ovat osapuolina, ei kuitenkaan koske tätä palvelua."
            ),
        ),
        (
            "no_agreement",
            "sv",
            "Björneborg har ännu inte avtalat om Yhteinen wiki",
            (
                "Det är inget fel på ditt användarnamn. Men mellan Björneborgs stad och Ulvsby stad finns inget gällande "
                "samarbetsavtal som omfattar den här tjänsten."
            ),
        ),
        (
            "attribute_missing.mail",
            "fi",
            "Työsähköpostisi puuttuu",
            (
                "Palvelu Yhteinen wiki tarvitsee sähköpostiosoitteesi. Kirjautumisesi onnistui, mutta osoitetta ei tullut "
                "Porin kaupungin tunnistuspalvelusta."
            ),
        ),
        (
            "attribute_missing.mail",
            "sv",
            "Din e-postadress i arbetet saknas",
            (
                "Yhteinen wiki behöver din e-postadress. Din inloggning lyckades, men adressen kom inte med från "
                "Björneborgs stads identitetstjänst."
            ),
        ),
    ],
)
def test_P12_the_parties_stand_in_the_case_that_the_sentence_asks(
    pages: Pages, key: str, language: str, heading: str, lead: str
) -> None:
    page = html.document_fromstring(pages.refused(a_refusal(key), language))

    assert page.xpath("string(//h1)") == heading
    assert page.xpath("string(//p[@class='lead'])") == lead


@pytest.mark.parametrize(
    ("forwarding", "language", "heading", "button"),
    [
        (Forwarding.SIGNED_IN, "fi", "Siirryt palveluun Yhteinen wiki", "Jatka palveluun Yhteinen wiki"),
        (Forwarding.SIGNED_IN, "sv", "Du skickas vidare till Yhteinen wiki", "Fortsätt till Yhteinen wiki"),
        (Forwarding.RETURNED, "fi", "Palaat palveluun Yhteinen wiki", "Palaa palveluun Yhteinen wiki"),
        (Forwarding.RETURNED, "sv", "Du skickas tillbaka till Yhteinen wiki", "Tillbaka till Yhteinen wiki"),
        (Forwarding.TO_HOME, "fi", "Siirryt Porin tunnistuspalveluun", "Jatka kirjautumiseen"),
        (Forwarding.TO_HOME, "sv", "Du skickas vidare till Björneborgs identitetstjänst", "Fortsätt till inloggningen"),
    ],
)
def test_the_page_that_posts_says_where_one_goes(
    pages: Pages, forwarding: Forwarding, language: str, heading: str, button: str
) -> None:
    page = html.document_fromstring(pages.forward(a_forwarding(forwarding), language))

    assert page.xpath("string(//h1)") == heading
    assert page.xpath("string(//main//button)") == button


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("organisation", [PORI, KEVA, None], ids=lambda each: each.id if each else "unknown")
@pytest.mark.parametrize("forwarding", Forwarding)
def test_the_page_that_posts_reads_well(pages: Pages, forwarding: Forwarding, organisation: Any, language: str) -> None:
    text = pages.forward(a_forwarding(forwarding, organisation=organisation), language)
    page = html.document_fromstring(text)

    assert page.get("lang") == language
    assert "%(" not in text
    for paragraph in paragraphs(page):
        assert paragraph == " ".join(paragraph.split())
        assert all(each[0].isupper() for each in sentences(paragraph))


# --- nothing is left in English -------------------------------------------------------------------------------------------

SAME_IN_EVERY_LANGUAGE = {
    *("Suomi", "Svenska", "English", "Kuntasilta", "Yhteinen wiki", "Porin kaupunki", "Pori"),
    *("the_code", "shared-wiki", "pori", "mail", "Sw", "(13)", "1", "2", "3", "P"),
    *("ict@pori.example", "ict@ulvila.example", "coordinator@pori.example", "coordinator", "K7M2-9QXA", "BCDF-GHJK"),
    "+358 2 000 0000, Mon–Fri 8–16",
    "Notifications of changes",
}
SAME_IN_SWEDISH = {"Organisation", "1 organisation"}


def shown(text: str) -> set[str]:
    """All texts of a page, and those that only a screen reader or a script sees."""
    page = html.document_fromstring(text)
    attributes = page.xpath("//@aria-label | //@data-one | //@data-many | //@placeholder | //@alt | //title/text()")
    return {each.strip() for each in (*page.itertext(), *attributes) if each.strip()}


@pytest.mark.parametrize("language", ["fi", "sv"])
def test_P11_no_page_shows_a_text_in_another_language(pages: Pages, language: str) -> None:
    remembered = OrganisationChoice(organisation=PORI, href="/0")
    for render in (
        lambda each: pages.start(StartPage(), each),
        lambda each: pages.device_code(DeviceCodePage(typed="ZZZZ"), each),
        lambda each: pages.device_confirm(a_device(), each),
        *(
            lambda each, done=done: pages.device_end(DeviceEndPage(signed_in=done, here="/"), each)
            for done in (True, False)
        ),
        lambda each: pages.choose(a_choice(2, remembered=remembered, hint_ignored=True), each),
        lambda each: pages.choose(a_choice(FEW + 1), each),
        lambda each: pages.choose(a_choice(FEW + 1, search="zzz"), each),
        *(lambda each, kind=kind: pages.forward(a_forwarding(kind), each) for kind in Forwarding),
        *(lambda each, key=key: pages.refused(a_refusal(key), each) for key in REFUSALS),
        lambda each: pages.refused(
            a_refusal("no_agreement", context={"rule": "r-1", "check": "c-1", "agreement": "a-1", "attribute": "mail"}),
            each,
        ),
    ):
        known = SAME_IN_EVERY_LANGUAGE | {"r-1", "c-1", "a-1"} | (SAME_IN_SWEDISH if language == "sv" else set())
        assert (shown(render(language)) & shown(render("en"))) - known == set()
