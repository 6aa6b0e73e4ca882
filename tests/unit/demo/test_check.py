"""The check itself must not be easy to please."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import ClientSession, web

from broker.demo.check import (
    Browser,
    CheckResult,
    Page,
    ReceivedAtService,
    Row,
    WrongTurn,
    check_all,
    page_of,
    services,
    wrong_with_login,
    wrong_with_refusal,
)
from broker.demo.people import PEOPLE, Person
from broker.demo.run import start_cities_and_services
from broker.demo.world import PreparedDemo, base_url

AINO = PEOPLE[0]


def a_row(**changes: object) -> Row:
    row = Row(flow="SAML → OIDC", person="Aino", organisation="pori", service="meeting-rooms", milliseconds=12.4)
    return replace(row, **changes)


def test_one_wrong_row_makes_the_whole_wrong() -> None:
    assert CheckResult(rows=(a_row(), a_row())).ok
    assert not CheckResult(rows=(a_row(), a_row(wrong="something"))).ok


def test_no_row_at_all_is_not_right() -> None:
    assert not CheckResult(rows=()).ok


@pytest.mark.parametrize(
    ("changes", "last"),
    [
        ({}, "admitted"),
        ({"reason": "no_agreement"}, "refused: no_agreement"),
        ({"wrong": "mail is missing"}, "WRONG: mail is missing"),
    ],
)
def test_a_row_says_what_came_of_the_login(changes: dict[str, str], last: str) -> None:
    assert a_row(**changes).cells()[-1] == last
    assert a_row(**changes).as_json()["ok"] is ("wrong" not in changes)


RIGHT = {
    "mail": ["aino.korhonen@pori.fi"],
    "displayName": ["Aino Korhonen"],
    "schacHomeOrganization": ["pori.fi"],
    "eduPersonScopedAffiliation": ["employee@pori.fi"],
}


@pytest.mark.parametrize(
    ("attributes", "complaint"),
    [
        pytest.param(RIGHT, "", id="right"),
        pytest.param({**RIGHT, "mail": ["juhani.makela@ulvila.fi"]}, "mail is missing or not Aino's", id="not_hers"),
        pytest.param({k: v for k, v in RIGHT.items() if k != "mail"}, "mail is missing or not Aino's", id="missing"),
        pytest.param({**RIGHT, "employeeNumber": ["1"]}, "released without being registered: employeeNumber", id="P4"),
    ],
)
def test_a_service_must_have_got_the_right_attributes_and_no_others(
    prepared: PreparedDemo, attributes: dict[str, list[str]], complaint: str
) -> None:
    wiki, _ = services(prepared)
    assert wiki.wrong_with(attributes, AINO) == complaint


def what_came(**changes: Any) -> ReceivedAtService:
    return replace(ReceivedAtService(subject="aino@pori.fi", attributes=RIGHT, error=()), **changes)


@pytest.mark.parametrize(
    ("received", "person", "complaint"),
    [
        pytest.param(what_came(), AINO, "", id="right"),
        pytest.param(what_came(error=("a", "b")), AINO, "the service was told b", id="error"),
        pytest.param(what_came(), PEOPLE[1], "admitted, but requirement_not_met was expected", id="should_be_refused"),
        pytest.param(what_came(subject=""), AINO, "the subject identifier is missing", id="no_subject"),
        pytest.param(what_came(subject="seen@pori.fi"), AINO, "the subject identifier is missing, or links", id="P4"),
    ],
)
def test_a_login_is_right_only_when_the_right_person_came(
    prepared: PreparedDemo, received: ReceivedAtService, person: Person, complaint: str
) -> None:
    wiki, _ = services(prepared)
    told = wrong_with_login(received, wiki, person, {"seen@pori.fi"})
    assert told.startswith(complaint)
    assert bool(told) is bool(complaint)


def a_page(body: str, url: str = "http://127.0.0.1:8080/login/x?state=secret") -> Page:
    return page_of(url, 403, f"<!doctype html><html><body>{body}</body></html>")


def test_the_way_on_is_read_as_a_browser_reads_it() -> None:
    page = a_page('<main data-reason="no_agreement"><a href="choose?organisation=pori">Pori</a><a href="x/back">b</a>')
    assert page.reason == "no_agreement"
    assert page.link_with("organisation", "pori") == "http://127.0.0.1:8080/login/choose?organisation=pori"
    assert page.link_with("organisation", "ulvila") is None
    assert page.link_to("back") == "http://127.0.0.1:8080/login/x/back"


def test_only_a_form_with_a_saml_response_is_submitted() -> None:
    assert a_page('<form method="post" action="/x"><input name="forget" value="pori"></form>').saml_form() is None
    form = a_page('<form method="post" action="/acs"><input name="SAMLResponse" value="abc"></form>').saml_form()
    assert form == ("http://127.0.0.1:8080/acs", {"SAMLResponse": "abc"})


def test_an_empty_page_is_a_wrong_turn_and_its_query_is_not_told() -> None:
    with pytest.raises(WrongTurn) as caught:
        page_of("http://127.0.0.1:8080/oidc/callback?code=secret", 500, " ")
    assert "secret" not in str(caught.value)


async def test_without_a_broker_every_row_is_wrong_and_says_where_it_stood(prepared: PreparedDemo) -> None:
    running = await start_cities_and_services(prepared, base_url(prepared.ports.broker))
    result = await check_all(prepared)
    await running.stop()

    assert len(result.rows) == len(PEOPLE) * 2
    assert all(row.wrong for row in result.rows)
    assert not result.ok


@pytest.fixture
async def refusing_broker(prepared: PreparedDemo) -> AsyncIterator[None]:
    """A service that sends everybody to a page of refusal, from which no way leads back."""

    async def refuse(request: web.Request) -> web.Response:
        body = '<!doctype html><main data-reason="no_agreement">K7M2-9QXA</main>'
        return web.Response(text=body, content_type="text/html", status=403)

    async def away(request: web.Request) -> web.Response:
        raise web.HTTPSeeOther(f"{base_url(prepared.ports.broker)}/refused")

    runners = []
    for port, path, handler in (
        (prepared.ports.broker, "/refused", refuse),
        (prepared.ports.shared_wiki, "/login", away),
    ):
        app = web.Application()
        app.router.add_get(path, handler)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        runners.append(runner)
    yield
    for runner in runners:
        await runner.cleanup()


async def test_a_refusal_page_ends_the_login(
    refusing_broker: None, prepared: PreparedDemo, browser: ClientSession
) -> None:
    wiki, _ = services(prepared)

    page = await Browser(browser).log_in(wiki, AINO)

    assert (page.reason, page.status) == ("no_agreement", 403)
    harjavalta = next(person for person in PEOPLE if person.organisation == "harjavalta")
    assert await wrong_with_refusal(Browser(browser), page, wiki, harjavalta) == (
        "the refusal page has no way back to the service"
    )
    assert await wrong_with_refusal(Browser(browser), page, wiki, AINO) == (
        "refused for no_agreement, but admission was expected"
    )
