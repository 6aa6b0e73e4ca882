"""Finding one's organisation among many, with scripts and without."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import expect

from tests.browser.region import COUNT, DOWN
from tests.browser.servers import Demo
from tests.browser.visitor import Visitor

SEARCHES = {
    "BORGA": ["porvoo"],  # the Swedish name, without its accent
    "porv": ["porvoo"],  # the beginning of the Finnish one
    "ulvsby": ["ulvila"],
    "hameen": ["hameenlinna", "phhyky"],  # the beginning of any word, without dots
    "turku.fi": ["turku"],  # the domain
    "  Pori ": ["pori"],
    "ori": [],  # not the middle of a word
    "xyz": [],
}
"""What one types, and whom it finds."""


@pytest.fixture
def many(visitor: Visitor, region: str) -> Visitor:
    visitor.open(region)
    return visitor


def in_status(visitor: Visitor) -> str:
    return visitor.page.locator("#main [role=status]").inner_text()


def test_few_organisations_need_no_search_field(visitor: Visitor, demo: Demo) -> None:
    visitor.begin(demo.wiki)
    assert visitor.page.locator("#q").count() == 0
    assert visitor.page.locator("#mail").count() == 1


def test_many_organisations_stand_in_the_order_of_the_alphabet_under_their_first_letters(many: Visitor) -> None:
    assert len(many.organisations()) == COUNT
    letters = [text for text in many.page.locator("#orgs .letter").all_inner_texts() if text]
    assert letters == sorted(set(letters), key="ABCDEFGHIJKLMNOPQRSTUVWXYZÅÄÖ".index)
    assert letters[0] == "E"
    assert letters[-1] == "Ä"


def test_the_list_narrows_while_one_types(many: Visitor) -> None:
    for typed, found in SEARCHES.items():
        many.page.locator("#q").press_sequentially(typed)
        assert many.organisations() == found
        assert many.page.locator("#none").is_visible() == (not found)
        many.page.locator("#q").fill("")
        assert len(many.organisations()) == COUNT
    assert many.complaints == []


@pytest.mark.parametrize(("typed", "count"), [("porv", 1), ("ha", 3), ("xyz", 0)])
def test_wcag_4_1_3_the_count_is_told_once_and_not_shown(many: Visitor, typed: str, count: int) -> None:
    status = many.page.locator("#main [role=status]")
    assert in_status(many) == ""
    many.page.locator("#q").press_sequentially(typed)
    expect(status).to_have_text(re.compile(rf"^{count}\D"))
    assert len(many.organisations()) == count
    assert (status.bounding_box() or {"width": 0})["width"] <= 1
    many.page.locator("#q").fill("")
    expect(status).to_have_text("")


def test_enter_takes_the_focus_to_the_one_that_is_left(many: Visitor, demo: Demo) -> None:
    address = many.page.url
    many.page.locator("#q").press_sequentially("borg")
    many.page.keyboard.press("Enter")
    assert many.page.evaluate("document.activeElement.getAttribute('href')").endswith("organisation=porvoo")
    assert many.page.url == address
    many.page.locator("#q").fill("ulvsby")
    many.page.keyboard.press("Enter")
    many.page.keyboard.press("Enter")
    many.page.wait_for_url(f"{demo.ulvila}/**")


def test_enter_with_several_left_stays_in_the_field(many: Visitor) -> None:
    many.page.locator("#q").press_sequentially("ha")
    many.page.keyboard.press("Enter")
    assert many.page.evaluate("document.activeElement.id") == "q"


def test_the_server_finds_the_same_without_scripts(visitor_with: Callable[..., Visitor], region: str) -> None:
    visitor = visitor_with(scripts=False)
    visitor.open(region)
    login = visitor.login
    for typed, found in SEARCHES.items():
        visitor.page.locator("#q").fill(typed)
        visitor.page.locator("form[role=search] button").click()
        visitor.page.wait_for_url(f"{login}?q=*")
        assert visitor.organisations() == found
        assert visitor.page.locator("#none").is_visible() == (not found)
        assert visitor.page.locator("#q").input_value() == typed.strip()
        visitor.page.locator(f'a[href="{urlsplit(login).path}"]').click()
        visitor.page.wait_for_url(login)
        assert len(visitor.rows.all()) == COUNT


@pytest.mark.parametrize("scripts", [True, False], ids=["with-scripts", "without-scripts"])
def test_the_organisation_is_found_by_the_domain_of_a_mail_address(
    visitor_with: Callable[..., Visitor], region: str, scripts: bool
) -> None:
    visitor = visitor_with(scripts=scripts)
    visitor.open(region)
    visitor.page.locator("#mail").fill("aino.lindqvist@porvoo.fi")
    visitor.page.locator("form[data-mail] button").click()
    visitor.page.wait_for_url("**?mail=*")
    assert visitor.organisations() == [DOWN]
    assert "aino" not in visitor.page.content()


def test_P7_only_the_part_after_the_at_sign_leaves_the_browser(many: Visitor) -> None:
    asked: list[str] = []
    many.page.on("request", lambda request: asked.append(request.url))
    many.page.locator("#mail").fill("aino.lindqvist@porvoo.fi")
    many.page.locator("form[data-mail] button").click()
    many.page.wait_for_url("**?mail=*")
    assert parse_qs(urlsplit(many.page.url).query) == {"mail": ["@porvoo.fi"]}
    assert not [url for url in asked if "aino" in url]
    assert many.complaints == []
