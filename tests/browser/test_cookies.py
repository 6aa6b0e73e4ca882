"""What a browser remembers, and that a login belongs to the one browser in which it began (promise P2)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from broker.demo.people import PEOPLE, Person
from broker.errors import LoginUsedOrExpired, OtherBrowser
from tests.browser.servers import Demo
from tests.browser.visitor import REFERENCE, Visitor

AINO = next(person for person in PEOPLE if person.id == "aino-korhonen")
JUHANI = next(person for person in PEOPLE if person.id == "juhani-makela")
SCRIPTS = pytest.mark.parametrize("scripts", [True, False], ids=["with-scripts", "without-scripts"])


def remembered(visitor: Visitor) -> list[str | None]:
    """The links of the organisation that stands first, outside of the list."""
    return [row.get_attribute("href") for row in visitor.page.locator("a.row-main").all()]


def cookies(visitor: Visitor) -> dict[str, str]:
    found = visitor.page.context.cookies(visitor.demo.broker)
    return {str(each["name"]): str(each["value"]) for each in found if str(each["name"]).startswith("broker-")}


# --- the organisation ----------------------------------------------------------------------------------------------------


def test_the_first_time_no_organisation_stands_before_the_others(visitor: Visitor, demo: Demo) -> None:
    visitor.begin(demo.wiki)
    assert remembered(visitor) == []
    assert visitor.organisations() == ["pori", "ulvila"]


def test_the_remembered_organisation_is_first_and_stays_in_the_list(visitor: Visitor, demo: Demo) -> None:
    visitor.log_in(demo.wiki, JUHANI)
    visitor.begin(demo.rooms)
    (first,) = remembered(visitor)
    assert str(first).endswith("/choose?organisation=ulvila")
    assert visitor.organisations() == ["pori", "ulvila"]
    visitor.page.locator("a.row-main").click()
    assert visitor.origin == demo.ulvila
    assert visitor.complaints == []


@SCRIPTS
def test_the_remembered_organisation_is_forgotten_on_demand(
    visitor_with: Callable[..., Visitor], demo: Demo, scripts: bool
) -> None:
    visitor = visitor_with(scripts=scripts)
    visitor.begin(demo.wiki)
    visitor.choose("pori")
    visitor.begin(demo.rooms)
    login = visitor.login
    assert "broker-organisation" in cookies(visitor)
    visitor.page.locator('button[name="forget"]').click()
    visitor.page.wait_for_url(login)
    assert remembered(visitor) == []
    assert "broker-organisation" not in cookies(visitor)
    # The same login goes on.
    visitor.choose("ulvila")
    visitor.be(JUHANI)
    visitor.arrive(demo.rooms)
    assert visitor.received()[demo.rooms.mail] == JUHANI.mail
    assert visitor.complaints == []


# --- the language --------------------------------------------------------------------------------------------------------


@SCRIPTS
def test_the_chosen_language_is_remembered(visitor_with: Callable[..., Visitor], demo: Demo, scripts: bool) -> None:
    visitor = visitor_with(scripts=scripts)
    html = visitor.page.locator("html")
    visitor.begin(demo.wiki)
    login = visitor.login
    assert html.get_attribute("lang") == "en"
    visitor.page.locator('.langs a[lang="sv"]').click()
    visitor.page.wait_for_url(f"{login}?lang=sv")
    assert html.get_attribute("lang") == "sv"
    assert visitor.page.locator(".langs [aria-current]").get_attribute("lang") == "sv"
    visitor.begin(demo.rooms)
    assert html.get_attribute("lang") == "sv"
    visitor.open(f"{demo.broker}/")
    assert html.get_attribute("lang") == "sv"


def test_a_language_that_the_page_does_not_have_is_not_remembered(visitor: Visitor, demo: Demo) -> None:
    visitor.open(f"{demo.broker}/?lang=se")
    assert visitor.page.locator("html").get_attribute("lang") == "en"
    assert cookies(visitor) == {}


def test_the_choice_of_language_leads_back_to_the_same_refusal(visitor: Visitor, demo: Demo) -> None:
    visitor.log_in(demo.wiki, next(person for person in PEOPLE if demo.wiki.id in person.refused))
    reason, reference = visitor.reason, visitor.reference
    visitor.page.locator('.langs a[lang="fi"]').click()
    visitor.page.locator('html[lang="fi"]').wait_for()
    assert (visitor.reason, visitor.reference) == (reason, reference)


# --- one login, one browser ----------------------------------------------------------------------------------------------


def test_P2_a_tampered_relay_state_is_refused_with_a_page(visitor_with: Callable[..., Visitor], demo: Demo) -> None:
    visitor = visitor_with(scripts=False)
    visitor.begin(demo.rooms)
    visitor.choose("pori")
    visitor.page.locator(f'a[href*="person={AINO.id}"]').click()
    state = visitor.page.locator("input[name=RelayState]")
    state.evaluate("(each) => { each.value = [...each.value].reverse().join(''); }")
    visitor.arrive(demo.rooms)
    assert refused_with_a_page(visitor) == LoginUsedOrExpired.code


def test_P2_a_tampered_state_is_refused_with_a_page(visitor: Visitor, demo: Demo) -> None:
    """The city hands back whatever it was given."""
    visitor.begin(demo.rooms)
    visitor.choose("ulvila")
    link = visitor.page.locator(f'a[href*="person={JUHANI.id}"]')
    link.evaluate("(each) => { each.href = each.href.replace(/([?&]state=)[^&]{5}/, '$1AAAAA'); }")
    visitor.be(JUHANI)
    visitor.arrive(demo.rooms)
    assert refused_with_a_page(visitor) == LoginUsedOrExpired.code


def test_P2_another_browsers_login_is_refused_with_a_page(visitor_with: Callable[..., Visitor], demo: Demo) -> None:
    one, other = visitor_with(), visitor_with()
    one.begin(demo.wiki)
    for address in (one.login, f"{one.login}/choose?organisation=pori", f"{one.login}/again", f"{one.login}/back"):
        other.open(address)
        assert refused_with_a_page(other) == OtherBrowser.code
    # Nor is it harmed by the attempt.
    one.choose("pori")
    one.be(AINO)
    one.arrive(demo.wiki)
    assert one.received()[demo.wiki.mail] == AINO.mail


def test_P2_another_browsers_answer_is_refused_and_stays_of_use_to_its_own(
    visitor_with: Callable[..., Visitor], demo: Demo
) -> None:
    """Login forgery: somebody sends their own city's answer to a victim."""
    one, other = visitor_with(), visitor_with()
    one.begin(demo.rooms)
    one.choose("ulvila")
    chosen = one.page.locator(f'a[href*="person={JUHANI.id}"]').get_attribute("href")
    answer = one.page.context.request.get(f"{demo.ulvila}{chosen}", max_redirects=0).headers["location"]
    other.open(answer)
    assert refused_with_a_page(other) == OtherBrowser.code
    one.open(answer)
    one.arrive(demo.rooms)
    assert one.received()[demo.rooms.mail] == JUHANI.mail


@pytest.mark.parametrize("person", [AINO, JUHANI], ids=["SAML-city", "OIDC-city"])
def test_P2_the_back_button_after_a_finished_login_leads_to_a_page(
    visitor: Visitor, demo: Demo, person: Person
) -> None:
    visitor.log_in(demo.rooms, person)
    city = {"pori": demo.pori, "ulvila": demo.ulvila}[person.organisation]
    while visitor.origin != city or not visitor.page.locator(f'a[href*="person={person.id}"]').count():
        assert visitor.page.go_back() is not None
    visitor.be(person)
    visitor.arrive(demo.rooms)
    assert refused_with_a_page(visitor) == LoginUsedOrExpired.code


def test_P2_the_address_of_a_finished_login_leads_to_a_page(visitor: Visitor, demo: Demo) -> None:
    visitor.begin(demo.rooms)
    login = visitor.login
    visitor.choose("ulvila")
    visitor.be(JUHANI)
    visitor.arrive(demo.rooms)
    for address in (login, f"{login}/choose?organisation=ulvila", f"{login}/again", f"{login}/back"):
        visitor.open(address)
        assert refused_with_a_page(visitor) == LoginUsedOrExpired.code


def refused_with_a_page(visitor: Visitor) -> str | None:
    """The reason; the page is whole: the broker's own, with its status and reference code."""
    assert visitor.origin == visitor.demo.broker
    assert visitor.document.status == 400
    assert REFERENCE.fullmatch(visitor.reference)
    assert visitor.page.locator("h1").count() == 1
    return visitor.reason
