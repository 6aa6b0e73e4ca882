"""P10: a worker is killed. Logins go on at another, nobody gets in twice, and the worker comes back."""

from __future__ import annotations

import asyncio
import os
import re
import signal

import pytest
from aiohttp import ClientError

from tests.bench.flows import PAIRS
from tests.stories.office import PATIENCE_SECONDS, Office, ServedTown, serving_town
from tests.stories.town import Answer, Browser


async def insisting(browser: Browser, form: dict[str, str]) -> Answer:
    """As a person does when the connection breaks: once more."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            try:
                return await browser.post("/saml/sp/acs", form)
            except ClientError:
                await asyncio.sleep(0.05)


@pytest.mark.parametrize("store", ["sqlite", "redis"])
async def test_P10_a_worker_is_killed_in_the_middle_of_two_logins(
    office: Office, store: str, request: pytest.FixtureRequest
) -> None:
    if store == "redis":
        office.settings["BROKER_STATE_URL"] = request.getfixturevalue("redis_url")
    async with serving_town(office, workers=2) as town:
        killed, other = (each.pid for each in town.running.workers())
        at_the_city, coming_back = town.browser(), town.browser()
        async with town.running.at_worker(killed) as session:
            at_the_city.session = session
            received = await town.at_saml_city(at_the_city)
        at_the_city.session = town.session
        async with town.running.at_worker(killed) as session:
            coming_back.session = session
            back = await town.at_oidc_city(coming_back)
            town.city.delay = 1
            # The worker has taken the login, and waits for the city's tokens.
            answering = asyncio.ensure_future(coming_back.get(back))
            await asyncio.sleep(0.5)

            os.kill(killed, signal.SIGKILL)

            # The client may have asked the other worker by itself.
            (found,) = await asyncio.gather(answering, return_exceptions=True)
            assert isinstance(found, ClientError) or found.reason == "login_used_or_expired"
        coming_back.session = town.session
        town.city.delay = 0

        # Who was at the city gets in at the other worker; who was half in must begin again.
        assert "code" in (await insisting(at_the_city, town.saml_answer(received))).parameters()
        assert (await coming_back.get(back)).reason == "login_used_or_expired"
        workers = {each.pid for each in await town.running.wait_for_workers(2)}
        assert other in workers
        assert killed not in workers
        for pair in PAIRS:
            await town.logins().log_in(pair, 1)
        await metrics_are_of_the_living(town)
    assert f"worker {killed} ended with status -9" in " ".join(town.running.log.read_text("utf-8").split())
    assert town.running.process.returncode == 0
    assert await asyncio.to_thread(office.json, "audit", "verify") == {"ok": True}


async def metrics_are_of_the_living(town: ServedTown) -> None:
    """The revision is the least of all workers'; the one of a worker that is no more must not stay for ever."""
    office = town.running.office
    more = office.documents / "more.yaml"
    more.write_text(more.read_text("utf-8").replace("City of Neighbour", "City of the Neighbour"), "utf-8")
    await asyncio.to_thread(office.run, "apply", office.documents)
    found = ""
    for _ in range(100):
        found = (await town.browser().get("/metrics")).text
        if "broker_federation_revision 2.0" in found:
            break
        await asyncio.sleep(0.1)
    assert re.findall(r"^broker_federation_revision (\S+)$", found, re.MULTILINE) == ["2.0"]


async def test_P10_a_broker_that_was_killed_goes_on_with_its_logins_when_it_is_back(office: Office) -> None:
    async with serving_town(office) as town:
        browser = town.browser()
        received = await town.at_saml_city(browser)
        town.running.process.kill()
        await town.running.ended()

    async with serving_town(office) as town:
        browser.session = town.session
        assert "code" in (await insisting(browser, town.saml_answer(received))).parameters()
    assert await asyncio.to_thread(office.json, "audit", "verify") == {"ok": True}
