"""P6, P10: Redis or the database goes away in the middle of a login. Nobody is let in, the page says so, and it recovers."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from broker.audit import verification
from broker.database import sqlite_file
from tests.bench import oidc
from tests.bench.flows import PAIRS
from tests.bench.parties import SAML_CITY, SECRET
from tests.stories.town import Answer, Browser, Town

OpenTown = Callable[..., AbstractAsyncContextManager[Town]]
Fault = Callable[[Path], AbstractContextManager[None]]


def unavailable(answer: Answer, reason: str) -> None:
    """A page that says what to do; nothing of a login goes out with it."""
    assert (answer.status, answer.reason) == (503, reason)
    assert answer.page.xpath("string(//section[@aria-labelledby='do']/p)").strip()
    assert not answer.location
    assert "SAMLResponse" not in answer.text
    assert not answer.page.xpath("//form")


async def ready(town: Town) -> tuple[int, dict[str, str]]:
    answer = await town.browser().get("/readyz")
    return answer.status, json.loads(answer.text)


async def exchange(town: Town, code: str) -> Answer:
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": town.parties.redirect_uri,
        "code_verifier": "v" * 43,
    }
    return await town.browser().post("/oidc/token", form, Authorization=oidc.basic("bench-service", SECRET))


async def everything_works(town: Town) -> None:
    for pair in PAIRS:
        await town.logins().log_in(pair, 1)
    assert (await ready(town))[0] == 200
    assert await verification.verify(town.broker.database) is None


# --- Redis -----------------------------------------------------------------------------------------------------------------


async def test_P10_redis_is_killed_in_the_middle_of_a_login(
    town_with: OpenTown, start_redis: Callable[[], Any]
) -> None:
    redis = start_redis()
    async with town_with(state_url=redis.url) as town:
        browser = town.browser()
        form = town.saml_answer(await town.at_saml_city(browser))
        code = (await browser.get(await town.at_oidc_city(browser))).parameters()["code"]
        page = await browser.get(town.ask_oidc())
        redis.stop()

        refused = [
            await browser.post(town.seen.saml_sp.address, form),
            await browser.get(page.link_to("choose")),
            await browser.get(town.ask_oidc()),
            await browser.get(town.ask_saml(more=f"&organisation={SAML_CITY}")),
            await browser.get("/oidc/callback?state=x&code=x"),
        ]

        for answer in refused:
            unavailable(answer, "state_unavailable")
            # The audit is another store, and knows it.
            (event,) = await town.events(answer.reference)
            assert (event.kind, event.reason) == ("request.refused", "state_unavailable")
        for answer in (
            await exchange(town, code),
            await town.browser().get("/oidc/userinfo", Authorization="Bearer x"),
        ):
            assert (answer.status, json.loads(answer.text)) == (503, {"error": "temporarily_unavailable"})
        assert await ready(town) == (503, {"database": "ok", "state": "StateUnavailable", "worker": "ok"})
        assert (await town.browser().get("/healthz")).status == 200

        redis.start()

        # What it knew is gone: those logins begin again, and nobody gets in by them.
        assert (await browser.post(town.seen.saml_sp.address, form)).reason == "login_used_or_expired"
        assert (await exchange(town, code)).status == 400
        await everything_works(town)


async def test_P10_a_redis_that_takes_no_more_lets_nobody_in(
    town_with: OpenTown, start_redis: Callable[[], Any]
) -> None:
    server = start_redis()
    async with town_with(state_url=server.url) as town, Redis.from_url(server.url) as redis:
        browser = town.browser()
        form = town.saml_answer(await town.at_saml_city(browser))
        await redis.config_set("maxmemory", "1")

        # The login is there, and is taken; but that its assertion was used cannot be remembered any more.
        unavailable(await browser.post(town.seen.saml_sp.address, form), "state_unavailable")
        unavailable(await browser.get(town.ask_oidc()), "state_unavailable")
        assert (await ready(town))[1]["state"] == "StateUnavailable"

        await redis.config_set("maxmemory", "0")
        await everything_works(town)


# --- the database, with the short-lived state elsewhere: only the audit is missing ---------------------------------------


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Another process holds the write lock."""
    connection = sqlite3.connect(file, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")
        connection.close()


@contextmanager
def gone(file: Path) -> Iterator[None]:
    """The file is not there any more; it comes back as it was."""
    aside = file.with_suffix(".aside")
    file.rename(aside)
    try:
        yield
    finally:
        aside.rename(file)


@contextmanager
def replaced(file: Path) -> Iterator[None]:
    """Another file stands in its place: an empty one, as a wrong restore would leave it."""
    with gone(file):
        file.touch(mode=0o600)
        try:
            yield
        finally:
            file.unlink()


@contextmanager
def taking_nothing(file: Path) -> Iterator[None]:
    """Every record is refused, as a full disk would."""
    connection = sqlite3.connect(file, isolation_level=None)
    connection.execute(
        "CREATE TRIGGER takes_nothing BEFORE INSERT ON audit_records BEGIN SELECT RAISE(ABORT, 'no more'); END"
    )
    try:
        yield
    finally:
        connection.execute("DROP TRIGGER takes_nothing")
        connection.close()


FAULTS = {"locked": locked, "gone": gone, "replaced": replaced, "taking_nothing": taking_nothing}


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """How long a connection waits for another's lock: the tests need not wait that long."""
    monkeypatch.setattr(sqlite_file, "BUSY_SECONDS", 0.2)


async def ends_of_logins(town: Town) -> list[tuple[Browser, Callable[[], Any]]]:
    """Logins at their last step: answers to both protocols, and a refusal. What takes each step."""
    steps: list[tuple[Browser, Callable[[], Any]]] = []
    for service in ("oidc", "saml"):
        browser = town.browser()
        form = town.saml_answer(await town.at_saml_city(browser, service=service))
        steps.append((browser, lambda b=browser, f=form: b.post(town.seen.saml_sp.address, f)))
    browser = town.browser()
    wrong = town.saml_answer(await town.at_saml_city(browser), scope="elsewhere.fi")
    steps.append((browser, lambda b=browser: b.post(town.seen.saml_sp.address, wrong)))
    return steps


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
async def test_P6_without_the_audit_no_answer_leaves(town_with: OpenTown, fault: Fault) -> None:
    async with town_with(state_url="memory://") as town:
        steps = await ends_of_logins(town)
        file = town.settings.data_dir / "broker.sqlite"

        with fault(file):
            for browser, finish in steps:
                answer = await finish()
                unavailable(answer, "audit_unavailable")
                # Nothing was recorded, so there is no code to give.
                assert answer.reference == ""
                assert "broker-browser" in browser.cookies
            # What would tell a service is held back too.
            unavailable(await town.browser().get(town.ask_oidc(prompt="none")), "audit_unavailable")
            unavailable(await town.browser().get(town.ask_oidc(scope="wrong")), "audit_unavailable")
            unavailable(await town.browser().get(town.ask_oidc(redirect_uri="http://x")), "audit_unavailable")

        # The logins that could not be recorded are over: nobody gets in by them later.
        for _, finish in steps:
            assert (await finish()).reason == "login_used_or_expired"
        await everything_works(town)


async def test_P10_the_one_file_of_everything_is_locked(town_with: OpenTown) -> None:
    async with town_with() as town:
        steps = await ends_of_logins(town)
        file = town.settings.data_dir / "broker.sqlite"
        with locked(file):
            for _, finish in steps:
                unavailable(await finish(), "state_unavailable")
            unavailable(await town.browser().get(town.ask_oidc()), "state_unavailable")
            status, parts = await ready(town)
            assert (status, parts["state"]) == (503, "StateUnavailable")
        # Nothing had been taken: the very same steps go on.
        answers = [await finish() for _, finish in steps]
        assert "code" in answers[0].parameters()
        assert answers[1].form()[0] == town.parties.service_acs
        await town.refused(answers[2], "foreign_scope")
        await everything_works(town)


async def test_P10_the_one_file_of_everything_is_gone(town_with: OpenTown) -> None:
    async with town_with() as town:
        steps = await ends_of_logins(town)
        with gone(town.settings.data_dir / "broker.sqlite"):
            for _, finish in steps:
                unavailable(await finish(), "state_unavailable")
            assert (await ready(town))[0] == 503
            # The federation that it knows is kept.
            assert town.broker.federation().revision == 1
        answers = [await finish() for _, finish in steps]
        assert "code" in answers[0].parameters()
        await everything_works(town)


async def test_P10_another_file_in_its_place_lets_nobody_in(town_with: OpenTown) -> None:
    """Nor is it filled with tables, which would hide that all is lost. It takes a restart to go on from here."""
    async with town_with() as town:
        steps = await ends_of_logins(town)
        with replaced(town.settings.data_dir / "broker.sqlite"):
            for _, finish in steps:
                unavailable(await finish(), "audit_unavailable")
            assert town.broker.federation().revision == 1


async def test_P10_nothing_that_was_registered_is_lost(town_with: OpenTown) -> None:
    async with town_with() as town:
        before = await town.broker.registry.current()
        file = town.settings.data_dir / "broker.sqlite"
        for fault in (locked, gone, taking_nothing):
            with fault(file):
                await town.browser().get(town.ask_oidc(redirect_uri="http://x"))
        assert await town.broker.registry.current() == before
