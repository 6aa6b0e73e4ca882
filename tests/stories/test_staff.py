"""Staff log in: through all four pairs, straight where the service names their organisation, and on again after a refusal."""

from __future__ import annotations

from base64 import b64decode
from urllib.parse import parse_qs, urlsplit

import pytest
from lxml import etree

from tests.bench import saml
from tests.bench.flows import PAIRS
from tests.bench.parties import OIDC_CITY, SAML_CITY, User
from tests.stories.town import NEIGHBOUR, TESTER, Answer, Browser, Town

pytestmark = pytest.mark.asyncio(loop_scope="module")


def has_note(page: Answer) -> bool:
    """Whether the page says that the hint named nobody."""
    return bool(page.page.xpath("//div[@class='notice']"))


async def finish_at_saml_city(town: Town, browser: Browser, sent: Answer, number: int = 1) -> Answer:
    received = saml.read_authn_request(sent.location, town.parties, town.seen.saml_sp)
    return await browser.post(town.seen.saml_sp.address, town.saml_answer(received, number))


def city_of(sent: Answer) -> str:
    """Which city the browser was sent to."""
    path = urlsplit(sent.location).path
    return {"/city/sso": SAML_CITY, "/city/authorize": OIDC_CITY, "/neighbour/sso": NEIGHBOUR}[path]


# --- the four pairs ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pair", PAIRS)
async def test_a_person_is_let_in_and_known_again_the_next_time(town: Town, pair: str) -> None:
    """Every check of the bench's service and city: signatures, InResponseTo, nonce, audience, the person's own name."""
    logins = town.logins()

    await logins.log_in(pair, 1)
    await logins.log_in(pair, 1)
    await logins.log_in(pair, 2)

    assert len(set(logins.subjects.values())) == 2


async def test_P4_two_services_cannot_tell_that_it_is_the_same_person(town: Town) -> None:
    logins = town.logins()
    for pair in PAIRS:
        await logins.log_in(pair, 1)

    assert len(set(logins.subjects.values())) == len(PAIRS)


# --- the choice ----------------------------------------------------------------------------------------------------------


async def test_who_comes_without_a_hint_sees_those_who_may_use_the_service_and_no_others(town: Town) -> None:
    for ask in (town.ask_oidc(), town.ask_saml()):
        page = await town.browser().get(ask)

        assert page.status == 200
        assert page.choices() == sorted(page.choices())
        # "outsider" has a login service, but no agreement.
        assert set(page.choices()) == {SAML_CITY, OIDC_CITY, NEIGHBOUR}
        assert not has_note(page)


async def test_the_chosen_organisation_is_where_one_logs_in_and_stands_first_the_next_time(town: Town) -> None:
    browser = town.browser()
    page = await browser.get(town.ask_oidc())
    sent = await browser.get(next(each for each in page.links() if each.endswith(f"={SAML_CITY}")))
    assert city_of(sent) == SAML_CITY
    done = await finish_at_saml_city(town, browser, sent)
    assert done.parameters()["state"] == "st-1"

    again = await browser.get(town.ask_saml())

    assert again.choices()[0] == SAML_CITY
    assert again.choices().count(SAML_CITY) == 2


async def test_a_person_may_forget_the_choice(town: Town) -> None:
    browser = town.browser()
    page = await browser.get(town.ask_oidc())
    await browser.get(next(each for each in page.links() if each.endswith(f"={SAML_CITY}")))
    page = await browser.get(town.ask_oidc())
    action, _ = page.form()

    forgotten = await browser.post(action, {"forget": "organisation"})
    shown = await browser.get(forgotten.location)

    assert shown.choices().count(SAML_CITY) == 1


async def test_a_service_of_one_organisation_alone_asks_nobody_to_choose(town: Town) -> None:
    ask = town.ask_oidc(client_id="own-service", redirect_uri="http://127.0.0.1:9/own/callback")

    assert city_of(await town.browser().get(ask)) == NEIGHBOUR
    # Unless the service wants the choice to be shown.
    shown = await town.browser().get(f"{ask}&prompt=select_account")
    assert shown.choices() == ["outsider"]


# --- hints ---------------------------------------------------------------------------------------------------------------

HINTS = {
    "organisation": ({"organisation": SAML_CITY}, SAML_CITY),
    "domain_hint": ({"domain_hint": f"{NEIGHBOUR}.fi"}, NEIGHBOUR),
    "domain_hint_in_capitals": ({"domain_hint": f"{OIDC_CITY.upper()}.FI"}, OIDC_CITY),
    "login_hint": ({"login_hint": f"aino@{OIDC_CITY}.fi"}, OIDC_CITY),
    "organisation_before_login_hint": ({"organisation": SAML_CITY, "login_hint": f"a@{OIDC_CITY}.fi"}, SAML_CITY),
    "a_good_hint_beside_an_unknown_one": ({"organisation": "nobody", "login_hint": f"a@{OIDC_CITY}.fi"}, OIDC_CITY),
}


@pytest.mark.parametrize(("hint", "city"), HINTS.values(), ids=HINTS)
async def test_a_service_that_names_the_organisation_sends_people_straight_there(
    town: Town, hint: dict[str, str], city: str
) -> None:
    assert city_of(await town.browser().get(town.ask_oidc(**hint))) == city


async def test_saml_core_3_4_1_2_an_idp_list_names_the_city_by_its_entity_id(town: Town) -> None:
    def listing(*entity_ids: str) -> str:
        entries = "".join(f'<samlp:IDPEntry ProviderID="{each}"/>' for each in entity_ids)
        return town.ask_saml(f"<samlp:Scoping><samlp:IDPList>{entries}</samlp:IDPList></samlp:Scoping>")

    neighbour, issuer = town.ground.neighbour.city_entity_id, town.parties.issuer

    assert city_of(await town.browser().get(listing(neighbour))) == NEIGHBOUR
    assert city_of(await town.browser().get(listing("https://nobody.example", issuer))) == OIDC_CITY
    assert has_note(await town.browser().get(listing("https://nobody.example")))


async def test_the_sso_address_may_name_the_organisation(town: Town) -> None:
    for name in (SAML_CITY, OIDC_CITY, NEIGHBOUR):
        assert city_of(await town.browser().get(town.ask_saml(more=f"&organisation={name}"))) == name


@pytest.mark.parametrize(
    "hint",
    [
        {"organisation": "nobody"},
        {"organisation": "outsider"},
        {"domain_hint": "nobody.example"},
        {"domain_hint": f"sub.{OIDC_CITY}.fi"},
        {"login_hint": "aino@outsider.fi"},
        {"login_hint": f"aino@{OIDC_CITY}.fi.evil.example"},
    ],
)
async def test_a_hint_that_names_nobody_who_may_come_is_ignored_with_a_note(town: Town, hint: dict[str, str]) -> None:
    page = await town.browser().get(town.ask_oidc(**hint))

    assert page.status == 200
    assert len(page.choices()) == 3
    assert has_note(page)


async def test_a_login_hint_that_is_no_address_says_nothing_of_an_organisation(town: Town) -> None:
    page = await town.browser().get(town.ask_oidc(login_hint="aino"))

    assert not has_note(page)


@pytest.mark.parametrize(("hint", "passed"), [(f"aino@{OIDC_CITY}.fi", True), ("aino@elsewhere.fi", False)])
async def test_a_login_hint_is_passed_on_to_its_own_home_alone(town: Town, hint: str, passed: bool) -> None:
    sent = await town.browser().get(town.ask_oidc(login_hint=hint, organisation=OIDC_CITY))

    assert city_of(sent) == OIDC_CITY
    assert sent.parameters().get("login_hint") == (hint if passed else None)


async def test_P4_a_hint_grants_nothing(town: Town) -> None:
    """Somebody else's address in login_hint: the city says who it was."""
    browser = town.browser()
    sent = await browser.get(town.ask_oidc(login_hint=f"user9@{OIDC_CITY}.fi"))
    back = town.city.log_in(sent.location, User(number=1, scope=f"{OIDC_CITY}.fi"))

    assert "code" in (await browser.get(back)).parameters()


# --- what the service asks of the login -----------------------------------------------------------------------------------


async def test_a_new_login_is_asked_of_the_city_when_the_service_wants_one(town: Town) -> None:
    by_oidc = await town.browser().get(town.ask_oidc(prompt="login", organisation=OIDC_CITY))
    assert by_oidc.parameters()["prompt"] == "login"

    by_saml = await town.browser().get(town.ask_saml(more=f"&organisation={OIDC_CITY}", ForceAuthn="true"))
    assert by_saml.parameters()["max_age"] == "0"


async def test_a_service_that_wants_no_page_is_told_when_one_would_be_needed(town: Town) -> None:
    by_oidc = await town.browser().get(town.ask_oidc(prompt="none"))
    assert by_oidc.parameters()["error"] == "login_required"

    by_saml = await town.browser().get(town.ask_saml(IsPassive="true"))
    assert status_codes(by_saml)[-1].endswith(":NoPassive")


def status_codes(page: Answer) -> list[str]:
    """Of the SAML response that a page posts, outermost first (saml-core 3.2.2)."""
    _, fields = page.form()
    response = etree.fromstring(b64decode(fields["SAMLResponse"]))
    return [each.get("Value", "") for each in response.iterfind(".//samlp:StatusCode", saml.NS)]


@pytest.mark.parametrize(("asked", "language"), [("sv", "sv"), ("de fi", "fi"), ("en-GB", "en")])
async def test_oidc_core_3_1_2_1_pages_are_in_the_language_that_the_service_knows(
    town: Town, asked: str, language: str
) -> None:
    browser = town.browser(language="de")
    page = await browser.get(town.ask_oidc(ui_locales=asked))
    assert page.headers["Content-Language"] == language

    # What the person chooses on the page counts from then on.
    other = next(each for each in page.page.xpath("//nav//a/@href") if each.endswith("lang=en"))
    assert (await browser.get(other)).headers["Content-Language"] == "en"
    assert (await browser.get(town.ask_oidc(ui_locales=asked))).headers["Content-Language"] == "en"


# --- a service's life -------------------------------------------------------------------------------------------------------


def in_status(town: Town, status: str, **more: str) -> str:
    return town.ask_oidc(
        client_id=f"{status}-service", redirect_uri=f"http://127.0.0.1:9/{status}/callback", organisation=None, **more
    )


@pytest.mark.parametrize("status", ["draft", "retired"])
async def test_a_service_that_is_not_in_use_lets_nobody_in_and_offers_no_other_choice(town: Town, status: str) -> None:
    page = await town.browser().get(in_status(town, status))

    event = await town.refused(page, "service_status")
    assert event.service == f"{status}-service"
    assert not page.link_to("again")
    assert f"The {status} service" in page.page.xpath("string(//h1)")


async def test_a_service_that_is_tested_lets_in_its_testers_alone(town: Town) -> None:
    for number, admitted in ((TESTER, True), (TESTER + 1, False)):
        browser = town.browser()
        sent = await browser.get(in_status(town, "test"))
        # Testers of one organisation: nobody is asked to choose.
        assert city_of(sent) == SAML_CITY

        done = await finish_at_saml_city(town, browser, sent, number)

        if admitted:
            assert "code" in done.parameters()
        else:
            await town.refused(done, "service_status")


# --- after a refusal ----------------------------------------------------------------------------------------------------------


async def refused_at_saml_city(town: Town, browser: Browser, ask: str) -> Answer:
    """The refusal page of somebody whose city vouched for a foreign user name."""
    sent = await browser.get(ask)
    received = saml.read_authn_request(sent.location, town.parties, town.seen.saml_sp)
    form = town.saml_answer(received, scope=f"{OIDC_CITY}.fi")
    page = await browser.post(town.seen.saml_sp.address, form)
    await town.refused(page, "foreign_scope")
    return page


async def test_P12_a_refusal_says_what_happened_whom_to_ask_and_by_which_code(town: Town) -> None:
    browser = town.browser()

    page = await refused_at_saml_city(town, browser, town.ask_oidc(organisation=SAML_CITY))

    assert page.status == 403
    assert "Bench" in page.page.xpath("string(//h1)")
    events = await town.events(page.reference)
    assert [(each.kind, each.reason, each.organisation) for each in events] == [
        ("login.refused", "foreign_scope", SAML_CITY)
    ]
    # The code is that of the login itself, which the page may show again in another language.
    here = page.link_to("back").removesuffix("/back")
    swedish = await browser.get(f"{here}?lang=sv")
    assert (swedish.status, swedish.reference, swedish.headers["Content-Language"]) == (403, page.reference, "sv")


async def test_who_was_refused_chooses_another_organisation_and_gets_in(town: Town) -> None:
    browser = town.browser()
    refused = await refused_at_saml_city(town, browser, town.ask_oidc(organisation=SAML_CITY))

    page = await browser.get(refused.link_to("again"))
    assert set(page.choices()) == {SAML_CITY, OIDC_CITY, NEIGHBOUR}
    sent = await browser.get(next(each for each in page.links() if each.endswith(f"={OIDC_CITY}")))
    done = await browser.get(town.city.log_in(sent.location, User(number=1, scope=f"{OIDC_CITY}.fi")))

    assert done.parameters()["state"] == "st-1"
    assert "code" in done.parameters()
    kinds = [each.kind for each in await town.events(refused.reference)]
    assert kinds == ["login.refused", "login.answered"]


async def test_who_was_refused_goes_back_and_the_service_is_told_in_its_own_words(town: Town) -> None:
    browser = town.browser()
    by_oidc = await refused_at_saml_city(town, browser, town.ask_oidc(organisation=SAML_CITY))
    told = await browser.get(by_oidc.link_to("back"))
    assert told.parameters() == {
        "error": "access_denied",
        "error_description": "foreign_scope",
        "state": "st-1",
        "iss": town.base,
    }

    by_saml = await refused_at_saml_city(town, browser, town.ask_saml(more=f"&organisation={SAML_CITY}"))
    told = await browser.get(by_saml.link_to("back"))
    action, fields = told.form()
    assert (action, fields["RelayState"]) == (town.parties.service_acs, "rs")
    assert [each.rpartition(":")[2] for each in status_codes(told)] == ["Responder", "AuthnFailed"]

    # Once: the login is over.
    await town.refused(await browser.get(by_saml.link_to("back")), "login_used_or_expired")


async def test_the_back_button_after_a_login_says_that_it_was_used(town: Town) -> None:
    browser = town.browser()
    sent = await browser.get(town.ask_oidc(organisation=SAML_CITY))
    received = saml.read_authn_request(sent.location, town.parties, town.seen.saml_sp)
    form = town.saml_answer(received)
    await browser.post(town.seen.saml_sp.address, form)

    await town.refused(await browser.post(town.seen.saml_sp.address, form), "login_used_or_expired")


async def test_a_bookmark_of_the_start_page_explains_what_this_is(town: Town) -> None:
    page = await town.browser().get("/")

    assert page.status == 200
    assert page.page.xpath("string(//h1)").strip()
    assert parse_qs(urlsplit(page.page.xpath("//nav//a/@href")[0]).query) == {"lang": ["fi"]}


async def test_a_person_without_what_the_service_needs_is_told_what_it_is(town: Town) -> None:
    """An OIDC city that does not prove the domain of its addresses: they are not taken."""
    browser = town.browser()
    sent = await browser.get(town.ask_oidc(organisation=OIDC_CITY))
    back = town.city.log_in(sent.location, User(number=1, scope=f"{OIDC_CITY}.fi"))
    town.city.proven = False
    try:
        page = await browser.get(back)
    finally:
        town.city.proven = True

    event = await town.refused(page, "required_attribute_missing")
    assert event.detail["context"]["attribute"] == "mail"
    # The trace tells the operator which step it was lost at.
    assert any(step["subject"] == "mail" and step["verdict"] == "dropped" for step in event.detail["trace"])
