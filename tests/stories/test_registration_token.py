"""``broker registration-token``: what an operator decides of a service that will register itself."""

from __future__ import annotations

from pathlib import Path

import jwt
import pytest

from tests.bench.parties import SAML_CITY
from tests.stories.office import Office

DRAFT = f"""\
kind: service
owner: {SAML_CITY}
attributes:
  - {{name: mail, purpose: {{en: Invitations}}, required: true}}
testers: [user7@{SAML_CITY}.fi]
"""


@pytest.fixture
def here(office: Office) -> Office:
    office.begin_with_documents()
    return office


def draft(office: Office, text: str = DRAFT) -> Path:
    path = office.folder / "draft.yaml"
    path.write_text(text, "utf-8")
    return path


def test_it_holds_what_was_decided_and_how_long(here: Office) -> None:
    found = here.json("registration-token", draft(here), "--days", "3")

    claims = jwt.decode(found["initial_access_token"], options={"verify_signature": False})
    assert claims["aud"] == found["registration_endpoint"] == f"{here.base}/oidc/register"
    assert claims["jti"] == found["client_id"]
    assert claims["exp"] - claims["iat"] == 3 * 24 * 3600
    assert claims["service"]["owner"] == SAML_CITY
    assert claims["service"]["attributes"][0]["required"] is True


def test_people_read_it_whole_on_one_line(here: Office) -> None:
    lines = here.run("registration-token", draft(here)).stdout.splitlines()
    (token,) = [line.partition(": ")[2] for line in lines if line.startswith("initial_access_token")]
    assert token.count(".") == 2
    assert jwt.get_unverified_header(token)["typ"] == "initial-access+jwt"


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (f"owner: {SAML_CITY}", "owner: nobody", "owner: there is no organisation nobody"),
        (f"owner: {SAML_CITY}\n", "", "owner: is missing"),
        ("name: mail", "name: mial", "did you mean mail?"),
        ("kind: service", "kind: agreement", "kind: must be service"),
        ("testers:", "status: production\ntesters:", "status: is not for a draft"),
        ("testers:", "client: {client_id: x}\ntesters:", "client: is not for a draft"),
        ("kind: service", "kind: service\nkind: service", "the same key stands here twice"),
        ("kind: service", "- kind", "not YAML"),
    ],
)
def test_a_draft_that_is_wrong_is_told(here: Office, old: str, new: str, told: str) -> None:
    result = here.run("registration-token", draft(here, DRAFT.replace(old, new)), status=1)
    assert told in " ".join(result.stderr.split())


@pytest.mark.parametrize("words", [("--days", "0"), ("--days", "91")])
def test_it_is_used_wrongly(here: Office, words: tuple[str, ...]) -> None:
    here.run("registration-token", draft(here), *words, status=2)
    here.run("registration-token", here.folder / "nowhere.yaml", status=2)
