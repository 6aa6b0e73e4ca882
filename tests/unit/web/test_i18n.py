"""Which language a person reads, and how a moment is written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.web.i18n import choose_language, moment, translations


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "fi"),
        ("sv", "sv"),
        ("sv-FI,fi;q=0.8", "sv"),
        ("fi;q=0.5, en;q=0.9", "en"),
        ("de, en;q=0.1", "en"),
        ("en;q=0, sv", "sv"),
        ("de-DE, fr", "fi"),
        ("sv;q=nonsense, en", "en"),
        ("sv;q=7, en", "en"),
        ("sv;q=0", "fi"),
        ("en;q=0.000", "fi"),
        ("sv;q=nonsense", "fi"),
        ("sv;q=nan", "fi"),
        ("sv;q=-1, en;q=0.1", "en"),
        ("sv;q=nan, en;q=0.1", "en"),
        ("sv;q=inf, en;q=0.1", "en"),
        ("sv;quality=1, en;q=0.1", "en"),
        ("sv;q=0.5;x=1, en;q=0.1", "en"),
        ("sv;q=1.000, en;q=0.999", "sv"),
        ("en;q=0.001", "en"),
        (" sv ; Q=0.4 ,\ten ; q=0.3", "sv"),
        ("SV-fi", "sv"),
        ("sv-Latn-FI", "sv"),
        ("sv, en", "sv"),
        ("en, sv", "en"),
        ("*, sv;q=0.1", "sv"),
        ("*", "fi"),
        ("fin, swe, eng", "fi"),
        ("svenska, en;q=0.1", "en"),
        (",,;;==, ;q=1, sv", "sv"),
        ("sv;", "sv"),
        ("\x00\ud800, en", "en"),
        ("de, " * 1000 + "sv", "fi"),
    ],
)
def test_rfc9110_12_5_4_the_most_wanted_language_of_ours(header: str, language: str) -> None:
    assert choose_language(accept_language=header) == language


def test_what_the_person_chose_goes_before_what_the_service_supposes() -> None:
    wishes = {"ui_locales": ("en",), "accept_language": "en"}
    assert choose_language(query="sv", cookie="fi", **wishes) == "sv"
    assert choose_language(cookie="fi", **wishes) == "fi"
    assert choose_language(ui_locales=("de", "sv-FI"), accept_language="en") == "sv"


def test_a_language_that_we_have_not_is_passed_over() -> None:
    assert choose_language(query="de", cookie="klingon", ui_locales=("",), accept_language="sv") == "sv"


def test_ui_locales_are_in_the_service_s_order_of_preference() -> None:
    """OIDC Core 3.1.2.1: by order of preference, from the most wanted to the least."""
    assert choose_language(ui_locales=("fr-CA", "en", "sv")) == "en"


@pytest.mark.parametrize("query", ["", "de", "s", "sv_FI", "../sv", "sv\r\nSet-Cookie: a=b", "fi,sv", "*"])
def test_a_query_that_names_none_of_ours_changes_nothing(query: str) -> None:
    assert choose_language(query=query, cookie="en") == "en"


HEADERS = st.lists(
    st.tuples(st.sampled_from(["fi", "sv-FI", "en", "de", "*", ""]), st.sampled_from(["", ";q=0", ";q=0.5", ";q=x"]))
).map(lambda entries: ",".join(tag + weight for tag, weight in entries))


@given(query=st.text(), cookie=st.text(), ui_locales=st.lists(st.text()), accept_language=st.one_of(st.text(), HEADERS))
def test_whatever_comes_there_is_a_language(
    query: str, cookie: str, ui_locales: list[str], accept_language: str
) -> None:
    found = choose_language(query=query, cookie=cookie, ui_locales=ui_locales, accept_language=accept_language)
    assert found in ("fi", "sv", "en")


@pytest.mark.parametrize(
    ("language", "written"),
    [("fi", "20.11.2026 klo 9.14"), ("sv", "20.11.2026 kl. 9.14"), ("en", "20 Nov 2026 at 9:14")],
)
def test_a_moment_is_written_as_finnish_clocks_show_it(language: str, written: str) -> None:
    assert moment(datetime(2026, 11, 20, 7, 14, tzinfo=UTC), language) == written


@pytest.mark.parametrize(
    ("when", "written"),
    [
        (datetime(2026, 6, 1, 21, 5, tzinfo=UTC), "2.6.2026 klo 0.05"),
        (datetime(2026, 3, 29, 0, 59, tzinfo=UTC), "29.3.2026 klo 2.59"),
        (datetime(2026, 3, 29, 1, 0, tzinfo=UTC), "29.3.2026 klo 4.00"),
        (datetime(2026, 12, 31, 23, 30, tzinfo=timezone(timedelta(hours=-8))), "1.1.2027 klo 9.30"),
    ],
    ids=["summer_and_midnight", "before_the_change", "after_the_change", "another_zone"],
)
def test_a_moment_is_in_finland_s_time(when: datetime, written: str) -> None:
    assert moment(when, "fi") == written


def test_the_sources_are_the_english_catalogue() -> None:
    assert translations("en").gettext("Try again") == "Try again"
    assert translations("fi").gettext("Try again") == "Yritä uudelleen"
    assert translations("sv").gettext("Try again") == "Försök igen"


@pytest.mark.parametrize("language", ["fi", "sv"])
def test_a_text_that_no_catalogue_has_is_shown_as_it_is(language: str) -> None:
    assert translations(language).gettext("No such text") == "No such text"
