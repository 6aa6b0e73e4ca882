"""mod_auth_openidc as a service ← the broker ← SimpleSAMLphp as a city: Debian's packages, on loopback."""

from __future__ import annotations

import json

import pytest
import requests

from tests.bench.parties import SECRET
from tests.interop.conftest import Peers
from tests.interop.visitor import Page, Visitor

ROOMS = ("rooms", SECRET)


def log_in(peers: Peers, base: str, visitor: Visitor | None = None) -> Page:
    visitor = visitor or peers.visitor()
    return peers.log_in(visitor, visitor.open(f"{base}/app/"))


def seen(page: Page) -> dict[str, str]:
    """What the application behind the module knows."""
    assert page.status == 200, (page.url, page.status, page.reason, page.text[:2000])
    found: dict[str, str] = json.loads(page.text)
    return found


def ask(peers: Peers, path: str, **form: str) -> requests.Response:
    """As the client itself, from server to server."""
    return requests.post(f"{peers.broker}/oidc/{path}", data=form, auth=ROOMS, timeout=10)


def is_active(peers: Peers, token: str) -> bool:
    return bool(ask(peers, "introspect", token=token).json()["active"])


def test_the_service_gets_the_person_s_claims(peers: Peers) -> None:
    found = seen(log_in(peers, peers.rooms))
    assert found["OIDC_CLAIM_email"] == "aino@pori.fi"
    assert found["OIDC_CLAIM_name"] == "Aino Ä. & Co <Virtanen>"
    assert found["OIDC_CLAIM_iss"] == peers.broker
    # The module joins several values by a comma; a foreign scope was dropped before.
    assert found["OIDC_CLAIM_eduperson_scoped_affiliation"] == "employee@pori.fi,member@pori.fi"


def test_rfc7523_a_client_without_a_secret_proves_itself_by_its_key(peers: Peers) -> None:
    """Its keys come from its own jwks_uri; the answer is posted (form_post)."""
    visitor = peers.visitor()
    found = seen(log_in(peers, peers.keyed, visitor))
    assert found["OIDC_CLAIM_email"] == "aino@pori.fi"
    assert "OIDC_CLAIM_name" not in found, "it registered the address alone"
    assert f"{peers.keyed}/app/callback" in visitor.trail


def test_core_8_two_services_get_different_subjects(peers: Peers) -> None:
    visitor = peers.visitor()
    first = seen(log_in(peers, peers.rooms, visitor))
    second = seen(visitor.open(f"{peers.keyed}/app/"))
    assert first["OIDC_CLAIM_sub"] != second["OIDC_CLAIM_sub"]
    assert seen(log_in(peers, peers.rooms))["OIDC_CLAIM_sub"] == first["OIDC_CLAIM_sub"]


def test_rfc6749_6_each_refresh_gives_new_tokens(peers: Peers) -> None:
    """The module refreshes at every request here."""
    visitor = peers.visitor()
    seen_tokens = [seen(log_in(peers, peers.rooms, visitor))]
    seen_tokens += [seen(visitor.open(f"{peers.rooms}/app/")) for _ in range(3)]
    for name in ("OIDC_access_token", "OIDC_refresh_token"):
        assert len({each[name] for each in seen_tokens}) == len(seen_tokens)
    assert is_active(peers, seen_tokens[-1]["OIDC_access_token"])


def test_rfc9700_4_14_2_a_stolen_refresh_token_ends_the_session_of_both(peers: Peers) -> None:
    visitor = peers.visitor()
    stolen = seen(log_in(peers, peers.rooms, visitor))["OIDC_refresh_token"]
    theirs = seen(visitor.open(f"{peers.rooms}/app/"))

    answer = ask(peers, "token", grant_type="refresh_token", refresh_token=stolen)

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    assert not is_active(peers, theirs["OIDC_access_token"])
    assert not is_active(peers, theirs["OIDC_refresh_token"])


def test_rfc7009_what_the_service_gives_back_is_worth_nothing(peers: Peers) -> None:
    found = seen(log_in(peers, peers.rooms))
    assert is_active(peers, found["OIDC_access_token"])
    assert ask(peers, "revoke", token=found["OIDC_refresh_token"]).status_code == 200
    assert not is_active(peers, found["OIDC_access_token"])


@pytest.mark.parametrize("name", ["state", "code", "iss"])
def test_the_module_refuses_what_was_changed_on_the_way(peers: Peers, name: str) -> None:
    visitor = Visitor(stops=lambda url: url.startswith(f"{peers.rooms}/app/callback"))
    back = log_in(peers, peers.rooms, visitor)
    assert f"{name}=" in back.url
    changed = back.url.replace(f"{name}=", f"{name}=x", 1)

    visitor.stops = lambda _: False
    page = visitor.open(changed)

    assert "OIDC_CLAIM_email" not in page.text
    assert page.status != 200 or page.url != back.url
