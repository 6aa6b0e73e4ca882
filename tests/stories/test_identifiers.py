"""A city changes its login product, and another one is merged into it: people keep their accounts at services of both protocols."""

from __future__ import annotations

import asyncio
import json
import re
from base64 import b64decode
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from lxml import html

from tests.bench import oidc
from tests.bench.flows import Logins
from tests.bench.parties import OIDC_CITY, SAML_CITY, User
from tests.stories.office import Office, ServedTown, serving_town
from tests.stories.town import NEIGHBOUR

OLD, NEW = f"{SAML_CITY}-hr", f"{OIDC_CITY}-idp"
SIDES = ("--organisation", SAML_CITY, "--from-keyspace", OLD, "--to-keyspace", NEW)
IN_ALL_WORKERS_SECONDS = 2.0


def old_key(number: int) -> str:
    return f"E{number:06}"


def new_key(number: int) -> str:
    return f"11111111-1111-4111-8111-111111111111/00000000-0000-4000-8000-{number:012}"


def a_file(office: Office, *pairs: tuple[str, str]) -> Path:
    file = office.folder / "keys.csv"
    file.write_text("old,new\n" + "".join(f"{old},{new}\n" for old, new in pairs), "utf-8")
    return file


def documents_after(office: Office, *, follow: bool = False) -> None:
    """The city's people come by OpenID Connect, and its SAML product is gone; the key is what the new product calls people."""
    bench = office.documents / "bench.yaml"
    parts = bench.read_text("utf-8").split("---\n")
    parts = [each for each in parts if f"id: {SAML_CITY}-idp\n" not in each]
    moved = "\n".join(parts[2].splitlines()[:-3]).replace(
        f"organisations: [{OIDC_CITY}]", f"organisations: [{SAML_CITY}]"
    )
    parts[2] = moved + "\n"
    text = "---\n".join(parts)
    if follow:
        more = "  - {name: previousPairwiseId, purpose: {en: Accounts}}\nstatus"
        text = text.replace("\nstatus", f"\n{more}")
    bench.write_text(text, "utf-8")


async def command(office: Office, *words: object, status: int = 0) -> Any:
    return await asyncio.to_thread(office.json, *words, status=status)


def person(number: int) -> User:
    return User(number=number, scope=f"{SAML_CITY}.fi")


async def names(town: ServedTown, home: str, number: int) -> dict[str, str]:
    """What the person is called at both services."""
    logins = town.logins()
    return {service: await logins.name_at(service, home, SAML_CITY, person(number)) for service in ("saml", "oidc")}


async def test_7_a_city_moves_from_saml_to_oidc_and_its_people_keep_their_accounts(office: Office) -> None:
    office.begin_with_documents()
    file = a_file(office, (old_key(1), new_key(1)), (old_key(2), new_key(2)))
    async with serving_town(office, workers=2) as town:
        before = {number: await names(town, "saml", number) for number in (1, 2, 3)}
        documents_after(office)

        planned = await command(office, "identifiers", "plan", file, *SIDES, "--with", office.documents)
        assert planned["possible"]
        assert planned["people"] == {"keep": 2, "never_seen": 0, "already": 0, "change": 0, "collide": 0}
        assert [(each["service"], each["accounts"], each["kept"], each["changed"]) for each in planned["services"]] == [
            ("bench-oidc-service", 3, 2, 1),
            ("bench-saml-service", 3, 2, 1),
        ]

        # The identifiers first, then the new product: nobody comes in between.
        done = await command(
            office, "identifiers", "apply", file, *SIDES, "--with", office.documents, "-m", "To Entra ID"
        )
        assert (done["applied"], done["number"]) == (True, 1)
        await command(office, "apply", office.documents, "-m", "To Entra ID")
        await asyncio.sleep(IN_ALL_WORKERS_SECONDS)

        for number in (1, 2):
            for _ in range(3):
                assert await names(town, "oidc", number) == before[number]
        # Who was not in the file has another account, as the plan said.
        strangers = await names(town, "oidc", 3)
        assert not set(strangers.values()) & {name for each in before.values() for name in each.values()}

        await undo_and_back(office, town, before)

    await asyncio.to_thread(the_record_holds_no_key, office)


async def undo_and_back(office: Office, town: ServedTown, before: dict[int, dict[str, str]]) -> None:
    async def called(expected: bool) -> None:
        await asyncio.sleep(IN_ALL_WORKERS_SECONDS)
        for _ in range(3):
            assert (await names(town, "oidc", 1) == before[1]) is expected

    await command(office, "identifiers", "undo", 1, "-m", "The file was last year's")
    await called(False)
    await command(office, "identifiers", "undo", 2, "-m", "It was not")
    await called(True)
    listed = await command(office, "identifiers", "list")
    assert [(each["number"], each["undoes"], each["in_force"]) for each in listed] == [
        (1, None, True),
        (2, 1, False),
        (3, 2, False),
    ]


def the_record_holds_no_key(office: Office) -> None:
    """P6, P7: all of it is in the audit log, which is whole; no key of anybody's is on the disk or in the log in clear."""
    assert office.json("audit", "verify") == {"ok": True}
    kept = b"".join(each.read_bytes() for each in (office.folder / "data").iterdir())
    for kind in (b"identifiers.applied", b"identifiers.undone"):
        assert kind in kept
    for octets in (kept, (office.folder / "serve.log").read_bytes()):
        assert old_key(1).encode() not in octets
        assert new_key(1).encode() not in octets


async def test_explain_says_by_whose_identifiers_a_person_is_known(office: Office) -> None:
    office.begin_with_documents()
    file = a_file(office, (old_key(1), new_key(1)))
    documents_after(office)
    sample = office.folder / "sample.json"
    sample.write_text(json.dumps(oidc.person(person(1))), "utf-8")
    asked = ("explain", "--organisation", SAML_CITY, "--service", "bench-oidc-service", "--assertion", sample)

    before = await command(office, *asked, "--with", office.documents)
    await command(office, "identifiers", "apply", file, *SIDES, "--with", office.documents, "-m", "To Entra ID")
    after = await command(office, *asked, "--with", office.documents)

    assert [each for each in before["trace"] if each["stage"] == "identifiers"] == []
    (step,) = [each for each in after["trace"] if each["stage"] == "identifiers"]
    assert (step["verdict"], step["note"]) == ("passed", f"those of {SAML_CITY}, keyspace {OLD}")
    assert sub_of(before) != sub_of(after)


def sub_of(dry_run: Any) -> str:
    return str(re.findall(r'"sub": "([^"]+)"', dry_run["document"])[0])


# --- old and new side by side ---------------------------------------------------------------------------------------------


async def told(town: ServedTown, number: int) -> dict[str, Any]:
    """Of both services: the name identifier, and the older one beside it, if any."""
    browser = town.browser()
    endpoints = town.seen.endpoints
    asked = oidc.authorization_request(town.parties, endpoints["authorization_endpoint"], SAML_CITY)
    answer = await browser.get(town.city.log_in((await browser.get(asked.url)).location, person(number)))
    code = oidc.check_redirect(answer.location, town.parties, asked, town.seen.issuer)
    form, headers = oidc.token_request(town.parties, asked, code)
    tokens = json.loads((await browser.post(endpoints["token_endpoint"], form, **headers)).text)
    bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
    userinfo = json.loads((await browser.get(endpoints["userinfo_endpoint"], **bearer)).text)
    assert jwt.decode(tokens["id_token"], options={"verify_signature": False})["sub"] == userinfo["sub"]
    saml = town.browser()
    sent = await saml.get(town.ask_saml(more=f"&organisation={SAML_CITY}"))
    page = await saml.get(town.city.log_in(sent.location, person(number)))
    response = b64decode(
        html.document_fromstring(page.text).xpath("string(//input[@name='SAMLResponse']/@value)")
    ).decode()
    previous = re.findall(
        rf'Name="{re.escape(town.base)}/ns/attr/previousPairwiseId".*?<[^>]*AttributeValue[^>]*>([^<]+)<',
        response,
        re.DOTALL,
    )
    return {
        "oidc": (userinfo["sub"], userinfo.get(f"{town.base}/ns/attr/previous_pairwise_id")),
        "saml": (re.findall(r"<(?:\w+:)?NameID[^>]*>([^<]+)<", response)[0], previous[0] if previous else None),
    }


async def test_services_that_can_follow_get_both_side_by_side(office: Office) -> None:
    office.begin_with_documents()
    file = a_file(office, (old_key(1), new_key(1)))
    until = (datetime.now(UTC) + timedelta(days=30)).date()
    async with serving_town(office) as town:
        before = await names(town, "saml", 1)
        documents_after(office, follow=True)
        done = await command(
            office, "identifiers", "apply", file, *SIDES, "--with", office.documents,
            "--release-old-until", until, "-m", "To new identifiers",
        )  # fmt: skip
        assert {each["service"]: each["gets_both"] for each in done["services"]} == {
            "bench-oidc-service": True,
            "bench-saml-service": True,
        }
        await command(office, "apply", office.documents, "-m", "To Entra ID")
        await asyncio.sleep(IN_ALL_WORKERS_SECONDS)

        both = await told(town, 1)

    for service, (name, previous) in both.items():
        assert previous == before[service]
        assert name != before[service]


# --- a merger -----------------------------------------------------------------------------------------------------------------

MERGER = (
    "--from-organisation", NEIGHBOUR, "--to-organisation", SAML_CITY,
    "--from-keyspace", f"{NEIGHBOUR}-hr", "--to-keyspace", OLD,
)  # fmt: skip


def documents_of_the_merger(office: Office) -> None:
    bench, more = office.documents / "bench.yaml", office.documents / "more.yaml"
    text = bench.read_text("utf-8")
    bench.write_text(text.replace(f"scopes: [{SAML_CITY}.fi]", f"scopes: [{SAML_CITY}.fi, {NEIGHBOUR}.fi]"), "utf-8")
    parts = more.read_text("utf-8").split("---\n")
    rest = [each for each in parts if f"id: {NEIGHBOUR}\n" not in each and "id: with-neighbour\n" not in each]
    more.write_text(
        "---\n".join(rest).replace(f"organisations: [{NEIGHBOUR}, outsider]", "organisations: [outsider]"), "utf-8"
    )


async def test_people_of_a_merged_organisation_keep_their_accounts(office: Office) -> None:
    office.begin_with_documents()
    file = a_file(office, (old_key(4), old_key(904)))
    async with serving_town(office) as town:
        neighbours = Logins(parties=office.ground.neighbour, broker=town.seen, city=town.city, session=town.session)
        her = User(number=4, scope=f"{NEIGHBOUR}.fi")
        before = {service: await neighbours.name_at(service, "saml", NEIGHBOUR, her) for service in ("saml", "oidc")}
        assert all(name.endswith(f"@{NEIGHBOUR}.fi") for name in before.values())

        refused = await command(office, "identifiers", "plan", file, *MERGER, status=1)
        assert [each["code"] for each in refused["findings"] if each["problem"]] == ["scope_not_taken_over"]
        await asyncio.to_thread(office.run, "identifiers", "apply", file, *MERGER, "-m", "x", status=1)

        documents_of_the_merger(office)
        done = await command(
            office, "identifiers", "apply", file, *MERGER, "--with", office.documents, "-m", "One city"
        )
        assert done["people"]["keep"] == 1
        await command(office, "apply", office.documents, "-m", "One city")
        await asyncio.sleep(IN_ALL_WORKERS_SECONDS)

        assert await names(town, "saml", 904) == before
        # And whoever takes the scope away again is told by a refusal, not by new accounts.
        bench = office.documents / "bench.yaml"
        bench.write_text(bench.read_text("utf-8").replace(f", {NEIGHBOUR}.fi]", "]"), "utf-8")
        await command(office, "apply", office.documents, "-m", "A mistake")
        await asyncio.sleep(IN_ALL_WORKERS_SECONDS)
        browser = town.browser()
        received = await town.at_saml_city(browser)
        page = await browser.post(town.seen.saml_sp.address, town.saml_answer(received, 904))
        assert page.reason == "kept_scope_lost"
    findings = {each["code"]: each for each in await command(office, "check", status=1) if each["level"] == "error"}
    assert findings.keys() == {"kept_scope_lost"}
    assert findings["kept_scope_lost"]["where"].startswith("bench.yaml:")


# --- commands ----------------------------------------------------------------------------------------------------------------


def test_nothing_is_applied_where_the_plan_says_no(office: Office) -> None:
    office.begin_with_documents()
    documents_after(office)
    options = (*SIDES, "--with", office.documents)
    file = a_file(office, (old_key(1), new_key(1)), (old_key(2), new_key(1)))

    found = office.json("identifiers", "apply", file, *options, "-m", "x", status=1)
    said = office.run("identifiers", "plan", file, *options, status=1).stdout

    assert (found["possible"], found["applied"], found["number"]) == (False, False, None)
    assert found["findings"] == [
        {
            "code": "two_old_one_new",
            "problem": True,
            "message": "two old keys become one new key: two people would be one",
            "lines": [2, 3],
        }
    ]
    assert "2 collide" in said
    assert "(line 2, 3)" in said
    assert new_key(1) not in said
    assert office.json("identifiers", "list") == []
    assert "No migration yet" in office.run("identifiers", "list").stdout


def test_what_is_in_force_already_is_nothing_to_do(office: Office) -> None:
    office.begin_with_documents()
    documents_after(office)
    options = (*SIDES, "--with", office.documents, "-m", "x")
    file = a_file(office, (old_key(1), new_key(1)))
    office.run("identifiers", "apply", file, *options)

    again = office.json("identifiers", "apply", file, *options)

    assert (again["applied"], again["people"]["already"]) == (False, 1)
    assert "Nothing to do" in office.run("identifiers", "apply", file, *options).stdout
    assert "Applied as migration" not in office.run("identifiers", "list").stdout
    assert len(office.json("identifiers", "list")) == 1


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--organisation", SAML_CITY),
        ("--organisation", SAML_CITY, "--from-keyspace", OLD),
        ("--from-keyspace", OLD, "--to-keyspace", NEW),
        (*SIDES, "--to-organisation", NEIGHBOUR),
        ("--from-organisation", NEIGHBOUR, "--from-keyspace", OLD, "--to-keyspace", NEW),
        (*SIDES, "--release-old-until", "31.3.2027"),
    ],
)
def test_it_is_used_wrongly_without_both_sides(office: Office, options: tuple[str, ...]) -> None:
    office.begin_with_documents()

    office.run("identifiers", "plan", a_file(office, ("a", "b")), *options, status=2)


def test_a_reason_is_asked_for(office: Office) -> None:
    office.begin_with_documents()

    office.run("identifiers", "apply", a_file(office, ("a", "b")), *SIDES, status=2)
    office.run("identifiers", "undo", 1, status=2)


def test_what_is_wrong_is_said_in_a_sentence(office: Office) -> None:
    office.begin_with_documents()
    nobody = ("--organisation", "porri", *SIDES[2:])
    empty = office.folder / "empty.csv"
    empty.touch()
    file = a_file(office, ("a", "b"))

    for words, told_ in (
        (("plan", empty, *SIDES), "line 1: the columns must be old and new"),
        (("plan", office.folder / "nowhere.csv", *SIDES), "No such file or directory"),
        (("plan", file, *nobody), "there is no organisation porri"),
        (("plan", file, *SIDES, "--release-old-until", "2020-01-01"), "2020-01-01 is over"),
        (("undo", 7, "-m", "x"), "there is no migration 7 in force"),
    ):
        assert told_ in " ".join(office.run("identifiers", *words, status=1).stderr.split())


def test_P9_keys_of_another_time_stop_the_start_and_each_command(office: Office) -> None:
    office.begin_with_documents()
    documents_after(office)
    file = a_file(office, (old_key(1), new_key(1)))
    office.run("identifiers", "apply", file, *SIDES, "--with", office.documents, "-m", "x")
    office.settings["BROKER_CERTS_DIR"] = str(office.folder / "certs")
    office.run("keys", "create")

    for words in (("serve",), ("identifiers", "plan", file, *SIDES, "--with", office.documents)):
        ended = office.process(*words)
        assert ended.returncode == 1
        assert "restore subject-identifiers/" in " ".join(ended.stderr.split())
        assert "Traceback" not in ended.stderr
    (error,) = [each for each in office.json("check", status=1) if each["level"] == "error"]
    assert error["where"] == "keys"
