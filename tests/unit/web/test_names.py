"""Names of the registry inside sentences: articles, genitives, the language of a name, and names that are hostile."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import html
from markupsafe import Markup

from broker.federation.model import Organisation, OrganisationId, Texts
from broker.web.names import Phrase, genitive, nominative, place, place_genitive, plain
from tests.unit.web.parties import ORGANISATIONS

PORI, ULVILA, KEVA = ORGANISATIONS
HOSTILE = "<script>alert(1)</script>&\"'{{ 7*7 }}%(home)s"
SATAKUNTA = {
    "fi": "Satakunnan hyvinvointialue",
    "sv": "Satakunta välfärdsområde",
    "en": "Wellbeing Services County of Satakunta",
}


def organisation(name: Texts, short_name: Texts | None = None) -> Organisation:
    return Organisation(id=OrganisationId("x"), name=name, short_name=short_name or {})


def words(phrase: Phrase, *, first: bool = False) -> str:
    """What a person reads."""
    return phrase.html(first=first).striptags()


# --- a phrase -----------------------------------------------------------------------------------------------------------


def test_a_phrase_is_a_name_with_our_words_around_it() -> None:
    phrase = Phrase(name="City of Pori", before="the ", after="’s")

    assert phrase.html() == Markup("the City of Pori’s")
    assert phrase.html(first=True) == Markup("The City of Pori’s")


def test_a_name_that_begins_a_sentence_keeps_its_own_first_letter() -> None:
    assert words(Phrase(name="eOppiva"), first=True) == "eOppiva"
    assert words(Phrase(name="eOppiva", before="organisaation "), first=True) == "Organisaation eOppiva"


def test_our_words_alone_are_a_phrase_too_and_so_is_nothing() -> None:
    assert words(Phrase(name="", before="your organisation"), first=True) == "Your organisation"
    assert Phrase(name="").html(first=True) == Markup("")


def test_P11_hostile_names_and_words_are_text() -> None:
    phrase = Phrase(name=HOSTILE, before=HOSTILE, after=HOSTILE, lang="fi")

    for first in (False, True):
        markup = phrase.html(first=first)
        element = html.fragment_fromstring(str(markup), create_parent="p")
        assert element.text_content() == HOSTILE * 3
        assert [each.tag for each in element.iter()] == ["p", "span"]


def test_P11_a_name_is_no_format_of_its_own() -> None:
    markup = Markup("%(home)s<br>") % {"home": Phrase(name="%(owner)s 100 %").html()}

    assert markup == Markup("%(owner)s 100 %<br>")


@given(name=st.text(), before=st.text(max_size=3), after=st.text(max_size=3))
def test_any_name_at_all_is_text(name: str, before: str, after: str) -> None:
    markup = Phrase(name=name, before=before, after=after).html()

    assert "<" not in markup
    assert markup.unescape() == before + name + after


# --- the language of a name ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("texts", "language", "expected"),
    [
        ({"fi": "Keva"}, "fi", "Keva"),
        ({"fi": "Keva"}, "sv", '<span lang="fi">Keva</span>'),
        ({"fi": "Keva"}, "en", '<span lang="fi">Keva</span>'),
        ({"sv": "Folkhälsan"}, "en", '<span lang="sv">Folkhälsan</span>'),
        ({"sv": "Folkhälsan", "en": "Public Health"}, "fi", '<span lang="en">Public Health</span>'),
        ({"fi": "Yhteinen wiki", "sv": "Gemensam wiki"}, "sv", "Gemensam wiki"),
        ({}, "sv", ""),
    ],
)
def test_wcag_3_1_2_a_name_in_another_language_says_so(texts: Texts, language: str, expected: str) -> None:
    assert plain(texts, language).html() == Markup(expected)  # noqa: S704 - an expectation


def test_wcag_3_1_2_our_own_words_around_it_are_in_the_page_s_language() -> None:
    assert genitive({"en": "City of Pori"}, "fi").html() == Markup('organisaation <span lang="en">City of Pori</span>')
    assert genitive({"fi": "Keva"}, "sv").html() == Markup('<span lang="fi">Keva</span>s')
    assert place_genitive(KEVA, "en").html() == Markup('<span lang="fi">Keva</span>’s')


# --- the whole name -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "nominatives", "genitives"),
    [
        (
            PORI.name,
            ("Porin kaupunki", "Björneborgs stad", "the City of Pori"),
            ("Porin kaupungin", "Björneborgs stads", "the City of Pori’s"),
        ),
        (
            {"fi": "Nakkilan kunta", "sv": "Nakkila kommun", "en": "Municipality of Nakkila"},
            ("Nakkilan kunta", "Nakkila kommun", "the Municipality of Nakkila"),
            ("Nakkilan kunnan", "Nakkila kommuns", "the Municipality of Nakkila’s"),
        ),
        (
            {"fi": "Sataedun kuntayhtymä", "sv": "Samkommunen Sataedu", "en": "Joint Authority Sataedu"},
            ("Sataedun kuntayhtymä", "Samkommunen Sataedu", "the Joint Authority Sataedu"),
            ("Sataedun kuntayhtymän", "Samkommunen Sataedus", "the Joint Authority Sataedu’s"),
        ),
        (
            SATAKUNTA,
            ("Satakunnan hyvinvointialue", "Satakunta välfärdsområde", "the Wellbeing Services County of Satakunta"),
            (
                "Satakunnan hyvinvointialueen",
                "Satakunta välfärdsområdes",
                "the Wellbeing Services County of Satakunta’s",
            ),
        ),
        (KEVA.name, ("Keva", "Keva", "Keva"), ("organisaation Keva", "Kevas", "Keva’s")),
        (
            {"fi": "Kuntien Tiera Oy", "en": "Tiera"},
            ("Kuntien Tiera Oy", "Kuntien Tiera Oy", "Tiera"),
            ("organisaation Kuntien Tiera Oy", "Kuntien Tiera Oys", "Tiera’s"),
        ),
    ],
    ids=["city", "municipality", "joint_authority", "county", "one_word", "company"],
)
def test_nominative_and_genitive(name: Texts, nominatives: tuple[str, ...], genitives: tuple[str, ...]) -> None:
    for language, bare, of_it in zip(("fi", "sv", "en"), nominatives, genitives, strict=True):
        assert words(nominative(name, language)) == bare
        assert words(genitive(name, language)) == of_it


@pytest.mark.parametrize("name", ["Kaupunki", "Tampereen kaupunkiseutu", "Porin Kaupunki", "kunta", "Ystäväkunta"])
def test_finnish_bends_only_what_it_is_sure_of(name: str) -> None:
    assert words(genitive({"fi": name}, "fi")) == f"organisaation {name}"


def test_a_name_of_another_language_is_not_bent_even_if_it_looks_finnish() -> None:
    assert genitive({"en": "Porin kaupunki"}, "fi").html() == Markup(
        'organisaation <span lang="en">Porin kaupunki</span>'
    )


@pytest.mark.parametrize(
    ("name", "expected"), [("Tavastehus", "Tavastehus"), ("Ulvsby", "Ulvsbys"), ("Lax", "Lax"), ("Quartz", "Quartz")]
)
def test_swedish_adds_no_s_to_an_s(name: str, expected: str) -> None:
    assert words(genitive({"sv": name}, "sv")) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("City of Pori", "the City of Pori"),
        ("Cityscape", "Cityscape"),
        ("The Finnish Heritage", "The Finnish Heritage"),
    ],
)
def test_english_gives_an_article_to_what_needs_one(name: str, expected: str) -> None:
    assert words(nominative({"en": name}, "en")) == expected


def test_no_article_where_the_english_name_stands_on_a_finnish_page() -> None:
    assert words(nominative({"en": "City of Pori"}, "fi")) == "City of Pori"


# --- the place ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("language", "bare", "of_it"),
    [("fi", "Pori", "Porin"), ("sv", "Björneborg", "Björneborgs"), ("en", "Pori", "Pori’s")],
)
def test_a_place_is_the_short_name(language: str, bare: str, of_it: str) -> None:
    assert words(place(PORI, language)) == bare
    assert words(place_genitive(PORI, language)) == of_it


def test_finnish_finds_the_place_s_genitive_in_the_official_name() -> None:
    """Names bend in ways no rule foresees: Porvoon, Lahden, Kauniaisten."""
    for place_of, short in (("Porvoon", "Porvoo"), ("Lahden", "Lahti"), ("Kauniaisten", "Kauniainen")):
        town = organisation({"fi": f"{place_of} kaupunki"}, {"fi": short})
        assert words(place_genitive(town, "fi")) == place_of
    assert words(place_genitive(organisation({"fi": "Uudenkaupungin kaupunki"}, {"fi": "Uusikaupunki"}), "fi")) == (
        "Uudenkaupungin"
    )


def test_only_a_municipality_has_its_place_s_genitive_in_its_name() -> None:
    """Satakunta is a region: "Satakunnan tunnistuspalvelu" would be somebody else's."""
    county = organisation(SATAKUNTA, {"fi": "Satakunnan hva", "sv": "Satakunta vo"})

    assert words(place(county, "fi")) == "Satakunnan hva"
    assert words(place_genitive(county, "fi")) == "Satakunnan hyvinvointialueen"
    assert words(place_genitive(county, "sv")) == "Satakunta vos"


@pytest.mark.parametrize(
    ("language", "bare", "of_it"),
    [
        ("fi", "Satakunnan hyvinvointialue", "Satakunnan hyvinvointialueen"),
        ("sv", "Satakunta välfärdsområde", "Satakunta välfärdsområdes"),
        ("en", "the Wellbeing Services County of Satakunta", "the Wellbeing Services County of Satakunta’s"),
    ],
)
def test_without_a_short_name_the_whole_one_stands_for_it(language: str, bare: str, of_it: str) -> None:
    assert words(place(organisation(SATAKUNTA), language)) == bare
    assert words(place_genitive(organisation(SATAKUNTA), language)) == of_it


def test_a_foreign_short_name_on_a_finnish_page_says_so() -> None:
    town = organisation({"sv": "Korsnäs kommun"}, {"sv": "Korsnäs"})

    assert place(town, "fi").html() == Markup('<span lang="sv">Korsnäs</span>')
    assert place_genitive(town, "fi").html() == Markup('organisaation <span lang="sv">Korsnäs kommun</span>')


@pytest.mark.parametrize("language", ["fi", "sv", "en"])
def test_P11_hostile_names_are_text_in_every_form(language: str) -> None:
    for name in (HOSTILE, f"{HOSTILE} kaupunki", f"City of {HOSTILE}"):
        evil = organisation({"fi": name, "en": name}, {"fi": name})
        for phrase in (
            plain(evil.name, language),
            nominative(evil.name, language),
            genitive(evil.name, language),
            place(evil, language),
            place_genitive(evil, language),
        ):
            element = html.fragment_fromstring(str(phrase.html(first=True)), create_parent="p")
            assert HOSTILE in element.text_content()
            assert {each.tag for each in element.iter()} <= {"p", "span"}
