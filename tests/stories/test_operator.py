"""A federation operator at the command line: data in, data out, checks, reasons, proofs; and what is said when it is wrong."""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
from datetime import timedelta
from pathlib import Path

import pytest
from typer.main import get_command

from broker.app import StartError, opened
from broker.cli import check, main
from broker.cli.commands import app
from broker.settings import load
from tests.bench.parties import SAML_CITY
from tests.stories.office import Office
from tests.stories.town import NEIGHBOUR, Town, oidc_request, open_town

# --- every command --------------------------------------------------------------------------------------------------------


def commands() -> dict[str, object]:
    """Each command by its words: ``keys create``."""
    found: dict[str, object] = {}
    waiting = [((), get_command(app))]
    while waiting:
        words, command = waiting.pop()
        inner = getattr(command, "commands", None)
        if inner is None:
            found[" ".join(words)] = command
        else:
            waiting.extend(((*words, name), each) for name, each in inner.items())
    return found


@pytest.mark.parametrize("words", commands())
def test_every_command_s_help_has_an_example(office: Office, words: str) -> None:
    text = " ".join(office.run(*words.split(), "--help").stdout.split())

    assert re.search(rf"Example: (BROKER_\S+ )?broker {words}\b", text)


def test_every_command_but_the_server_gives_json_to_scripts() -> None:
    without = {
        words for words, command in commands().items() if "--json" not in {o for p in command.params for o in p.opts}
    }
    assert without == {"serve"}


def test_a_command_that_is_used_wrongly_ends_with_2(office: Office) -> None:
    for words in (["nonsense"], ["explain"], ["apply"], ["log", "--limit", "0"], ["apply", office.folder / "nowhere"]):
        office.run(*words, status=2)
    office.run("keys", "rotate", "nonsense", status=2)
    office.run("keys", "create", "--next", "nonsense", status=2)
    office.run("keys", "create", "--ec", status=2)


# --- keys -------------------------------------------------------------------------------------------------------------------


def test_keys_are_made_once_listed_and_rolled_over(office: Office) -> None:
    office.settings["BROKER_CERTS_DIR"] = str(office.folder / "certs")
    office.run("keys", "list", status=1)

    made = office.json("keys", "create")["made"]
    assert made
    assert office.json("keys", "create")["made"] == []
    assert all(Path(each).stat().st_mode & 0o077 == 0 for each in made)

    before = {(row["use"], row["state"]): row["kid"] for row in office.json("keys", "list")}
    office.run("keys", "create", "--next", "oidc-signing")
    moved = office.json("keys", "rotate", "oidc-signing")
    after = {(row["use"], row["state"]): row["kid"] for row in office.json("keys", "list")}

    assert len(moved) >= 2
    assert after["oidc-signing", "previous"] == before["oidc-signing", "active"]
    assert after["oidc-signing", "active"] != before["oidc-signing", "active"]
    office.run("keys", "rotate", "oidc-signing", status=1)


def test_an_ec_key_for_saml_is_published_first_and_then_taken_into_use(office: Office) -> None:
    office.settings["BROKER_CERTS_DIR"] = str(office.folder / "certs")
    office.run("keys", "create")
    office.run("keys", "create", "--next", "saml-signing", "--ec")
    office.run("keys", "rotate", "saml-signing")

    rows = [row for row in office.json("keys", "list") if row["use"] == "saml-signing"]

    assert [(row["state"], row["kind"]) for row in rows] == [("active", "RSA 2048"), ("active", "EC secp256r1")]


def test_P7_no_key_is_ever_printed(office: Office) -> None:
    office.settings["BROKER_CERTS_DIR"] = str(office.folder / "certs")
    said = office.run("keys", "create").output + office.run("keys", "list", "--json").output

    assert "PRIVATE" not in said
    for each in (office.folder / "certs").rglob("*"):
        if each.is_file() and b"CERTIFICATE" not in (content := each.read_bytes()):
            assert content.strip().decode("latin-1") not in said


# --- data in and out ---------------------------------------------------------------------------------------------------------


def test_documents_are_planned_applied_and_then_nothing_is_left_to_do(office: Office) -> None:
    planned = office.json("apply", office.documents, "--dry-run")
    assert (planned["applied"], planned["revision"]) == (False, None)
    assert {each["action"] for each in planned["changes"]} == {"added"}

    applied = office.json("apply", office.documents, "-m", "the beginning", "--author", "aino")
    assert (applied["applied"], applied["revision"]) == (True, 1)

    again = office.json("apply", office.documents)
    assert (again["applied"], again["changes"]) == (False, [])
    assert [(row["revision"], row["author"], row["reason"]) for row in office.json("log")] == [
        (1, "aino", "the beginning")
    ]


def test_a_change_is_shown_like_a_diff(office: Office) -> None:
    office.begin_with_documents()
    change(office, "more.yaml", "City of Neighbour", "City of the Neighbour")

    text = office.run("apply", office.documents).stdout

    assert "organisation neighbour" in text
    assert re.search(r"^-.*City of Neighbour", text, re.MULTILINE)
    assert re.search(r"^\+.*City of the Neighbour", text, re.MULTILINE)
    assert "revision 2" in text


def change(office: Office, name: str, old: str, new: str) -> None:
    path = office.documents / name
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")


WRONG = {
    "unknown_key": ("more.yaml", "short_name:", "shortname:", "short_name"),
    "unknown_party": ("more.yaml", "parties: [bench-saml, neighbour]", "parties: [bench-saml, nobody]", "nobody"),
    "not_yaml": ("more.yaml", "kind: agreement", "kind: [agreement", "more.yaml"),
    "missing_metadata": ("more.yaml", "metadata: neighbour.xml", "metadata: nowhere.xml", "nowhere.xml"),
    "http": ("more.yaml", "http://127.0.0.1:9/own/callback", "http://evil.example/cb", "redirect_uris"),
    "missing_secret": ("bench.yaml", "env:BENCH_CITY_SECRET", "env:BENCH_NO_SUCH_SECRET", "BENCH_NO_SUCH_SECRET"),
    "status": ("more.yaml", "status: retired", "status: dead", "status"),
    "metadata_xml": ("neighbour.xml", "<md:IDPSSODescriptor", "<!DOCTYPE x><md:IDPSSODescriptor", "neighbour.xml"),
}


@pytest.mark.parametrize(("name", "old", "new", "told"), WRONG.values(), ids=WRONG)
def test_P9_one_wrong_document_refuses_the_whole_apply_and_says_where(
    office: Office, name: str, old: str, new: str, told: str
) -> None:
    office.begin_with_documents()
    change(office, name, old, new)

    said = " ".join(office.run("apply", office.documents, status=1).output.split())

    assert told in said
    assert re.search(r"(more|bench)\.yaml:\d+", said)
    assert "Nothing was applied." in said
    assert [row["revision"] for row in office.json("log")] == [1]


def test_what_was_applied_comes_back_as_the_same_files(office: Office, tmp_path: Path) -> None:
    office.begin_with_documents()
    first, second = tmp_path / "first", tmp_path / "second"

    written = office.json("export", first)
    assert written["revision"] == 1

    # Into another broker, and out again.
    other = Office(ground=office.ground, folder=tmp_path / "other")
    assert other.json("apply", first)["applied"]
    other.run("export", second)
    assert contents(first) == contents(second)
    # And here they change nothing.
    assert not office.json("apply", first)["applied"]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(each.relative_to(folder)): each.read_bytes() for each in folder.rglob("*") if each.is_file()}


def test_an_export_overwrites_nothing_unasked(office: Office, tmp_path: Path) -> None:
    office.begin_with_documents()
    folder = tmp_path / "out"
    office.run("export", folder)
    before = contents(folder)
    victim = folder / next(iter(before))
    victim.write_text("mine")

    said = office.run("export", folder, status=1).output
    assert victim.name in said
    assert victim.read_text() == "mine"

    office.run("export", folder, "--force")
    assert contents(folder) == before


def test_P7_an_export_holds_no_secret(office: Office, tmp_path: Path) -> None:
    office.begin_with_documents()
    office.run("export", tmp_path / "out")

    assert "bench-secret-of-no-value" not in repr(contents(tmp_path / "out"))
    assert "bench-secret-of-no-value" not in office.run("apply", tmp_path / "out", "--json").output


def test_there_is_nothing_to_export_before_anything_was_applied(office: Office, tmp_path: Path) -> None:
    office.run("export", tmp_path / "out", status=1)
    assert not (tmp_path / "out").exists()


# --- broker check ---------------------------------------------------------------------------------------------------------


def test_check_says_that_all_is_well(office: Office) -> None:
    office.begin_with_documents()

    findings = [each for each in office.json("check") if not each["code"]]

    assert {each["level"] for each in findings} == {"ok"}
    assert {"settings", "keys", "BROKER_STATE_URL", "BROKER_DATABASE_URL", "federation"} == {
        each["where"] for each in findings
    }
    assert "7 services" in office.run("check").stdout


def test_check_finds_what_will_disappoint_somebody_with_its_place_and_what_to_do(office: Office) -> None:
    office.begin_with_documents()

    found = [each for each in office.json("check") if each["mend"]]

    assert found
    for each in found:
        assert each["level"] in ("notice", "warning")
        assert re.fullmatch(r"(bench|more)\.yaml:\d+", each["where"])
    assert f". {found[0]['mend'][:1].upper()}{found[0]['mend'][1:20]}" in " ".join(office.run("check").stdout.split())


def test_check_without_documents_says_how_to_bring_them_in(office: Office) -> None:
    office.run("log")

    findings = {each["where"]: each for each in office.json("check")}

    assert findings["federation"]["level"] == "notice"
    assert "broker apply DIR" in findings["federation"]["message"]


@pytest.mark.parametrize(
    ("setting", "value", "where", "what_to_do"),
    [
        ("BROKER_CERTS_DIR", "nowhere", "keys", "broker keys create"),
        ("BROKER_DATA_DIR", "nowhere", "BROKER_DATABASE_URL", "broker apply DIR"),
        ("BROKER_STATE_URL", "redis://user:hunter2@127.0.0.1:1/0", "BROKER_STATE_URL", "cannot be used"),
        ("BROKER_DATABASE_URL", "mysql://user:hunter2@db/x", "BROKER_DATABASE_URL", "postgresql+asyncpg://"),
        ("BROKER_LISTEN", "everywhere", "BROKER_LISTEN", "127.0.0.1:8080"),
        ("BROKER_BASE_URL", "http://broker.example", "BROKER_BASE_URL", "https"),
        ("BROKER_OPERATOR", "porri", "BROKER_OPERATOR", "the organisations are"),
        ("BROKER_INFORMATION_URL", "silta.example", "BROKER_INFORMATION_URL", "https address of a page"),
        ("BROKER_LISSEN", "127.0.0.1:1", "BROKER_LISSEN", "no such setting"),
    ],
)
def test_P9_check_names_each_wrong_setting_and_what_to_do(
    office: Office, setting: str, value: str, where: str, what_to_do: str
) -> None:
    office.begin_with_documents()
    office.settings[setting] = str(office.folder / value) if value == "nowhere" else value

    findings = office.json("check", status=1)

    errors = [each for each in findings if each["level"] == "error"]
    assert [each["where"] for each in errors] == [where]
    assert what_to_do in errors[0]["message"]
    assert "hunter2" not in json.dumps(findings)


def test_check_says_what_partners_will_miss_in_the_saml_metadata(office: Office) -> None:
    office.begin_with_documents()
    office.settings["BROKER_OPERATOR"] = NEIGHBOUR

    findings = {each["where"]: each for each in office.json("check")}

    assert findings["BROKER_OPERATOR"]["level"] == "notice"
    assert "no contact of role technical or security" in findings["BROKER_OPERATOR"]["message"]


def test_P9_check_finds_a_document_whose_secret_is_gone(office: Office) -> None:
    office.begin_with_documents()
    office.settings["BENCH_CITY_SECRET"] = ""

    errors = [each for each in office.json("check", status=1) if each["level"] == "error"]

    assert len(errors) == 1
    assert re.fullmatch(r".*bench\.yaml:\d+", errors[0]["where"])
    assert "BENCH_CITY_SECRET" in errors[0]["message"]


def test_a_certificate_that_ends_soon_is_a_notice_with_the_way_out(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check, "_SOON", timedelta(days=365 * 100))
    office.begin_with_documents()

    notices = [each["message"] for each in office.json("check") if each["level"] == "notice"]

    assert any("broker keys create --next saml-signing" in each for each in notices)


# --- a start that must not happen ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("BROKER_LISTEN", "everywhere"),
        ("BROKER_LOG_LEVEL", "loud"),
        ("BROKER_NO_SUCH", "x"),
        ("BROKER_STATE_URL", "memcached://x"),
        ("BROKER_UPSTREAM_TIMEOUT_SECONDS", "60"),
    ],
)
@pytest.mark.parametrize("command", [["serve"], ["log"], ["apply", "."], ["keys", "list"]], ids=" ".join)
def test_P9_a_wrong_setting_ends_every_command_with_its_name(
    office: Office,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: list[str],
    setting: str,
    value: str,
) -> None:
    for name, given in (office.environment | {setting: value}).items():
        monkeypatch.setenv(name, given)
    monkeypatch.chdir(office.documents)
    monkeypatch.setattr("sys.argv", ["broker", *command])

    with pytest.raises(SystemExit) as ended:
        main()

    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith(f"{setting}: ")


@pytest.mark.parametrize(
    ("setting", "value", "told"),
    [
        ("BROKER_CERTS_DIR", "nowhere", "broker keys create"),
        ("BROKER_STATE_URL", "sqlite:///relative.sqlite", "absolute"),
        ("BROKER_STATE_URL", "sqlite:////proc/no/such/folder/x.sqlite", "/proc/no/such/folder"),
        ("BROKER_DATABASE_URL", "mysql://user:hunter2@db/x", "postgresql"),
        ("BENCH_CITY_SECRET", "", "BENCH_CITY_SECRET"),
    ],
)
async def test_P9_what_is_missing_stops_the_start_and_is_named(
    office: Office, setting: str, value: str, told: str
) -> None:
    office.begin_with_documents()
    office.settings[setting] = str(office.folder / value) if value == "nowhere" else value

    with pytest.raises(StartError) as stopped:
        async with opened(load(office.environment, office.folder / "none.toml"), environment=office.environment):
            pass

    assert told in str(stopped.value)
    assert "hunter2" not in str(stopped.value)


async def test_P9_a_database_of_a_newer_broker_is_left_alone(office: Office) -> None:
    office.begin_with_documents()
    with sqlite3.connect(office.folder / "data" / "broker.sqlite") as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'v9999'")
    connection.close()

    with pytest.raises(StartError, match="v9999"):
        async with opened(load(office.environment, office.folder / "none.toml")):
            pass


def test_P9_several_workers_that_cannot_start_say_it_once_and_end(office: Office) -> None:
    office.begin_with_documents()
    office.settings["BROKER_CERTS_DIR"] = str(office.folder / "nowhere")

    ended = office.process("serve", "--workers", 2)

    assert ended.returncode == 1
    assert ended.stderr.count("broker keys create") == 1
    assert "Traceback" not in ended.stderr


def test_P9_an_address_that_is_not_this_machine_s_stops_the_start(office: Office) -> None:
    office.begin_with_documents()
    office.settings["BROKER_LISTEN"] = "192.0.2.1:9"

    ended = office.process("serve")

    assert ended.returncode == 1
    assert "BROKER_LISTEN" in ended.stderr
    assert "192.0.2.1:9" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_P9_memory_is_for_one_process(office: Office) -> None:
    office.settings["BROKER_STATE_URL"] = "memory://"

    assert "BROKER_STATE_URL" in office.run("serve", "--workers", 2, status=2).stderr


# --- reasons and proofs ------------------------------------------------------------------------------------------------------


def a_refusal(office: Office) -> str:
    """The reference code of a page that refused somebody: the service is only a draft."""

    async def refuse() -> str:
        async with open_town(office.ground, office.folder) as town:
            page = await town.browser().get(
                oidc_request(town.parties, client_id="draft-service", redirect_uri="http://127.0.0.1:9/draft/callback")
            )
            assert page.reason == "service_status"
            return page.reference

    office.begin_with_documents()
    return asyncio.run(refuse())


def test_P12_explain_tells_the_reason_of_a_refusal_by_the_code_on_the_page(office: Office) -> None:
    code = a_refusal(office)

    text = office.run("explain", code).stdout
    for told in ("login.refused", "draft-service", "service_status", "the service is draft"):
        assert told in text
    # As it is read aloud on the telephone.
    (found,) = office.json("explain", f" {code.lower()} ")
    assert (found["reference"], found["reason"], found["service"]) == (code, "service_status", "draft-service")


async def refused_person(town: Town) -> str:
    browser = town.browser()
    received = await town.at_saml_city(browser)
    page = await browser.post(town.seen.saml_sp.address, town.saml_answer(received, scope="elsewhere.fi"))
    assert page.reason == "foreign_scope"
    return page.reference


def test_P12_explain_shows_each_step_and_P7_no_value_of_the_person_s(office: Office) -> None:
    async def refuse() -> str:
        async with open_town(office.ground, office.folder) as town:
            return await refused_person(town)

    office.begin_with_documents()
    code = asyncio.run(refuse())

    (found,) = office.json("explain", code)
    assert found["organisation"] == SAML_CITY
    assert {step["stage"] for step in found["detail"]["trace"]} >= {"map", "scope"}
    assert any(step["verdict"] in ("failed", "refused", "dropped") for step in found["detail"]["trace"])
    for text in (office.run("explain", code).stdout, json.dumps(found)):
        assert "user1" not in text
        assert "E000001" not in text


def test_a_code_that_nobody_was_given_is_a_no(office: Office) -> None:
    office.begin_with_documents()
    for code in ("2222-2222", "x", "' OR 1=1 --", ""):
        office.run("explain", code, status=1)


def test_P6_the_audit_log_is_proven_and_a_change_is_found(office: Office) -> None:
    a_refusal(office)
    office.run("apply", office.documents, "-m", "again")
    assert office.json("audit", "verify") == {"ok": True}
    database = office.folder / "data" / "broker.sqlite"
    clean = database.read_bytes()

    for statement in (
        "UPDATE audit_records SET reason = 'no_agreement' WHERE sequence = 1",
        "UPDATE audit_records SET at = '2026-01-01T00:00:00.000000Z' WHERE sequence = 1",
        "DELETE FROM audit_records WHERE sequence = 1",
        "DELETE FROM audit_records",
        "UPDATE audit_head SET sequence = 0",
    ):
        _rewrite(database, clean, statement)
        found = office.json("audit", "verify", status=1)
        assert found["ok"] is False
        assert found["sequence"] in (1, 2)
        assert office.run("audit", "verify", status=1).stderr


def _rewrite(database: Path, clean: bytes, statement: str) -> None:
    for each in database.parent.glob("broker.sqlite-*"):
        each.unlink()
    database.write_bytes(clean)
    connection = sqlite3.connect(database)
    # An attacker with the file can drop what guards its tables.
    for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        connection.execute(f"DROP TRIGGER {name}")
    connection.execute(statement)
    connection.commit()
    connection.close()


def test_the_folder_of_the_data_is_closed_to_others(office: Office) -> None:
    office.run("apply", office.documents)

    assert (office.folder / "data" / "broker.sqlite").stat().st_mode & 0o077 == 0
