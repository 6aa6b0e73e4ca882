"""``broker serve`` as an operator runs it: several workers on one address, new documents in use at once, and an orderly stop."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import signal
from collections.abc import Callable
from typing import Any

import pytest

from tests.bench import saml
from tests.bench.flows import PAIRS
from tests.bench.parties import OIDC_CITY, SAML_CITY
from tests.stories.office import PATIENCE_SECONDS, Office, ServedTown, ready, serving_town
from tests.stories.town import Answer, Town


@pytest.fixture(params=["sqlite", "redis"])
def served(office: Office, request: pytest.FixtureRequest) -> Office:
    """An operator's machine with the documents in use, for each store that several workers can share."""
    if request.param == "redis":
        office.settings["BROKER_STATE_URL"] = request.getfixturevalue("redis_url")
    office.begin_with_documents()
    return office


async def until(check: Callable[[], Any]) -> None:
    """Waits until the awaited check is true."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        for _ in itertools.count():
            if await check():
                return
            await asyncio.sleep(0.1)


async def test_a_login_begun_at_one_worker_is_finished_at_the_other(served: Office) -> None:
    async with serving_town(served, workers=2) as town:
        here, there = (each.pid for each in town.running.workers())
        async with town.running.at_worker(here) as first, town.running.at_worker(there) as second:
            for answer in (
                await begun_and_finished(town, first, second),
                await begun_and_finished(town, second, first),
            ):
                assert "code" in answer.parameters()
        for pair in PAIRS:
            await town.logins().log_in(pair, 1)
        await metrics_are_of_all_workers(town)

    assert town.running.process.returncode == 0
    assert await asyncio.to_thread(served.json, "audit", "verify") == {"ok": True}


async def begun_and_finished(town: ServedTown, first: Any, second: Any) -> Answer:
    """Begun at the first, chosen at the second, finished at the first, and used up at both."""
    browser = town.browser()
    browser.session = first
    page = await browser.get(town.ask_oidc())
    browser.session = second
    sent = await browser.get(next(each for each in page.links() if each.endswith(f"={SAML_CITY}")))
    received = saml.read_authn_request(sent.location, town.parties, town.seen.saml_sp)
    form = town.saml_answer(received)
    browser.session = first
    done = await browser.post(town.seen.saml_sp.address, form)
    for session in (first, second):
        browser.session = session
        assert (await browser.post(town.seen.saml_sp.address, form)).reason == "login_used_or_expired"
    return done


async def metrics_are_of_all_workers(town: ServedTown) -> None:
    text = (await town.browser().get("/metrics")).text
    answered = re.findall(r'^broker_logins_total\{.*outcome="answered".*\} (\S+)$', text, re.MULTILINE)

    assert sum(map(float, answered)) == 2 + len(PAIRS)
    assert re.search(r"^broker_federation_revision 1\.0$", text, re.MULTILINE)


async def test_SIGTERM_not_ready_then_drained_then_ended_with_0(office: Office) -> None:
    office.begin_with_documents()
    office.settings |= {"BROKER_NOTICE_SECONDS": "1", "BROKER_DRAIN_SECONDS": "10", "BROKER_LOG_LEVEL": "debug"}
    async with serving_town(office, workers=2) as town:
        pids = [each.pid for each in town.running.workers()]
        assert (await ready(town.session, town.base))[0] == 200
        async with town.running.at_worker(pids[0]) as first, town.running.at_worker(pids[1]) as second:
            # A request that takes longer than the notice: the city is slow.
            browser = town.browser()
            back = await town.at_oidc_city(browser)
            town.city.delay = 2
            under_way = asyncio.ensure_future(browser.get(back))
            await asyncio.sleep(0.2)

            town.running.process.send_signal(signal.SIGTERM)

            for session in (first, second):
                await until(lambda session=session: _is_stopping(session, town.base))
        done = await under_way
        assert "code" in done.parameters()

        assert await town.running.ended() == 0
        assert (await ready(town.session, town.base))[0] == 0
    assert await asyncio.to_thread(office.json, "audit", "verify") == {"ok": True}
    assert_P7_the_log_holds_no_value(town, done, back)


async def _is_stopping(session: Any, base: str) -> bool:
    status, parts = await ready(session, base)
    return status == 503 and parts["worker"] == "stopping"


def assert_P7_the_log_holds_no_value(town: ServedTown, done: Answer, back: str) -> None:
    """Of a whole login, at the most talkative level."""
    log = town.running.log.read_text("utf-8")
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    assert {"listening", "login.answered", "stopping", "stopped"} <= {line["event"] for line in lines}
    state = back.partition("state=")[2].partition("&")[0]
    for secret in (
        done.parameters()["code"],
        state,
        back.partition("code=")[2].partition("&")[0],
        f"user1@{OIDC_CITY}",
        "E000001",
        "bench-secret",
        "User 1",
    ):
        assert secret
        assert secret not in log
    # One correlation id, the reference code, through the whole login.
    (answered,) = (line for line in lines if line["event"] == "login.answered")
    assert sum(line.get("reference") == answered["reference"] for line in lines) >= 3


async def test_P7_what_cannot_be_read_as_http_leaves_no_value_in_the_log(office: Office) -> None:
    office.begin_with_documents()
    async with serving_town(office) as town:
        for octets in (
            b"GET /oidc/callback?code=secret-code&state=\xff HTTP/1.1\r\nHost: x\r\n\r\n",
            b"GET /oidc/callback?code=secret-code&state=" + b"x" * 40_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
            b"POST /saml/sp/acs HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nsecret-code\r\n",
        ):
            await town.raw(octets, office.port)
    log = town.running.log.read_text("utf-8")

    assert "Error handling request" in log
    assert "secret-code" not in log


async def test_a_second_SIGTERM_is_no_crash_and_SIGINT_stops_at_once(office: Office) -> None:
    office.begin_with_documents()
    office.settings["BROKER_NOTICE_SECONDS"] = "1"
    async with serving_town(office) as town:
        town.running.process.send_signal(signal.SIGTERM)
        town.running.process.send_signal(signal.SIGTERM)
        assert await town.running.ended() == 0
    assert "Traceback" not in town.running.log.read_text("utf-8")


async def test_new_documents_are_in_use_within_seconds_without_a_restart(office: Office) -> None:
    office.begin_with_documents()
    more = office.documents / "more.yaml"
    async with serving_town(office, workers=2) as town:
        assert SAML_CITY in (await town.browser().get(town.ask_oidc())).choices()
        started = {each.pid for each in town.running.workers()}

        # The draft goes into production; the neighbour's agreement ends.
        text = more.read_text("utf-8").replace("status: draft", "status: production")
        more.write_text(text.replace("valid_until: 2039-12-31", "valid_until: 2026-01-02"), "utf-8")
        await asyncio.to_thread(office.run, "apply", office.documents, "-m", "opened")

        await until(lambda: _all_workers_know(town, started))
        draft = town.ask_oidc(client_id="draft-service", redirect_uri="http://127.0.0.1:9/draft/callback")
        assert (await town.browser().get(draft)).status == 303
        assert {each.pid for each in town.running.workers()} == started

        metrics = (await town.browser().get("/metrics")).text
        assert re.search(r"^broker_federation_revision 2\.0$", metrics, re.MULTILINE)


async def _all_workers_know(town: ServedTown, pids: set[int]) -> bool:
    for pid in pids:
        async with town.running.at_worker(pid) as session:
            browser = town.browser()
            browser.session = session
            if "neighbour" in (await browser.get(town.ask_oidc())).choices():
                return False
    return True


async def test_P10_an_agreement_that_ends_while_a_person_is_at_the_city_does_not_let_them_in(town_of_own: Town) -> None:
    town = town_of_own
    browser = town.browser()
    received = await town.at_saml_city(browser, id="neighbour")
    office = Office(ground=town.ground, folder=town.settings.data_dir.parent)
    more = office.documents / "more.yaml"
    more.write_text(more.read_text("utf-8").replace("valid_until: 2039-12-31", "valid_until: 2026-01-02"), "utf-8")
    await asyncio.to_thread(office.run, "apply", office.documents)
    await until(lambda: _revision_is(town, 2))

    form = town.saml_answer(received, parties=town.ground.neighbour, scope="neighbour.fi")
    page = await browser.post(town.seen.saml_sp.address, form)

    event = await town.refused(page, "no_agreement")
    assert event.detail["context"]["agreement"] == "with-neighbour"
    assert event.revision == 2


async def _revision_is(town: Town, number: int) -> bool:
    return town.broker.federation().revision == number


async def test_P9_documents_that_this_broker_cannot_use_leave_the_last_good_ones_in_use(town_of_own: Town) -> None:
    """A secret that the running broker does not have: applied by a machine that has it."""
    town = town_of_own
    office = Office(ground=town.ground, folder=town.settings.data_dir.parent)
    bench = office.documents / "bench.yaml"
    bench.write_text(bench.read_text("utf-8").replace("env:BENCH_CITY_SECRET", "env:NEW_SECRET"), "utf-8")
    office.settings["NEW_SECRET"] = "s" * 40
    await asyncio.to_thread(office.run, "apply", office.documents)
    # A poll or two.
    await asyncio.sleep(2.5)

    assert town.broker.federation().revision == 1
    await town.logins().log_in("oidc-saml", 1)
