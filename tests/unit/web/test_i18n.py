"""Which language a person reads, and how a moment is written."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.web.i18n import choose_language, moment


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


@given(query=st.text(), cookie=st.text(), ui_locales=st.lists(st.text()), accept_language=st.text())
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
