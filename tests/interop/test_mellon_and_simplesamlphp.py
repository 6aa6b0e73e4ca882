"""mod_auth_mellon as a service ← the broker ← SimpleSAMLphp as a city: Debian's packages, on loopback.

The broker's keys have rolled over since the two loaded its metadata (``conftest.py``).
"""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Iterator
from html import unescape
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import pytest
from lxml import etree

from tests.interop.conftest import CLIENT, Peers
from tests.interop.simplesamlphp import MFA
from tests.interop.visitor import Page, Visitor

NS = {
    "saml": "urn:oasis:names:tc:SAML:2.0:assertion",
    "samlp": "urn:oasis:names:tc:SAML:2.0:protocol",
    "ds": "http://www.w3.org/2000/09/xmldsig#",
}
# The city says that it asked for a second factor.
STRONG = {
    "authproc": {
        "3": {"class": "saml:PersistentNameID", "attribute": "uid"},
        "5": {"class": "saml:AuthnContextClassRef", "AuthnContextClassRef": MFA},
    }
}


def log_in(peers: Peers, visitor: Visitor | None = None, path: str = "/plain/") -> Page:
    visitor = visitor or peers.visitor()
    return peers.log_in(visitor, visitor.open(peers.service + path))


def seen(page: Page) -> dict[str, str]:
    """What the application behind mellon knows."""
    assert page.status == 200, (page.url, page.status, page.reason, page.text[:2000])
    found: dict[str, str] = json.loads(page.text)
    return found


def messages(visitor: Visitor) -> list[etree._Element]:
    """The Responses that the browser carried: the city's, then the broker's."""
    return [etree.fromstring(b64decode(each["SAMLResponse"])) for each in visitor.carried if "SAMLResponse" in each]


def authorization(peers: Peers, **more: str) -> str:
    given = {"response_type": "code", "client_id": "client", "redirect_uri": CLIENT, "scope": "openid", "state": "s"}
    return f"{peers.broker}/oidc/authorize?{urlencode(given | {'nonce': 'n'} | more)}"


def answer(page: Page) -> dict[str, list[str]]:
    """What came back to the OpenID Connect client."""
    assert page.url.startswith(CLIENT), (page.url, page.status, page.reason)
    return parse_qs(urlsplit(page.url).query)


# --- a login ----------------------------------------------------------------------------------------------------------


def test_the_service_gets_the_person_s_attributes(peers: Peers) -> None:
    found = seen(log_in(peers))
    assert found["MELLON_mail"] == "aino@pori.fi"
    # Lasso hands a value out as it stands in the XML.
    assert unescape(found["MELLON_displayName"]) == "Aino Ä. & Co <Virtanen>"


def test_P3_a_foreign_scope_is_dropped_and_several_values_come_joined(peers: Peers) -> None:
    assert seen(log_in(peers))["MELLON_affiliation"] == "employee@pori.fi;member@pori.fi"


def test_the_pairwise_identifier_is_the_same_at_each_login(peers: Peers) -> None:
    first, second = (seen(log_in(peers))["MELLON_pairwiseId"] for _ in range(2))
    assert first == second
    assert first.endswith("@pori.fi")
    assert "aino" not in first


def test_mellon_gets_a_transient_NameID_as_it_asks_and_an_encrypted_assertion(peers: Peers) -> None:
    visitor = peers.visitor()
    found = seen(log_in(peers, visitor))
    _, ours = messages(visitor)
    assert ours.find("saml:EncryptedAssertion", NS) is not None
    assert ours.find("saml:Assertion", NS) is None
    assert found["MELLON_NAME_ID"] != found["MELLON_pairwiseId"]


def test_a_second_service_of_the_browser_needs_no_second_password(peers: Peers) -> None:
    visitor = peers.visitor()
    log_in(peers, visitor)
    assert "code" in answer(visitor.open(authorization(peers)))


# --- how the city signs and encrypts --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "remote",
    [
        pytest.param({"assertion.encryption": True}, id="encrypted"),
        pytest.param({"saml20.sign.response": True, "saml20.sign.assertion": False}, id="response_signed"),
        pytest.param({"saml20.sign.response": False, "saml20.sign.assertion": True}, id="assertion_signed"),
        pytest.param({"signature.algorithm": "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512"}, id="rsa_sha512"),
    ],
)
def test_a_login_with_each_way_of_the_city_to_protect_its_answer(peers: Peers, remote: dict[str, object]) -> None:
    peers.set_city(remote=remote)
    visitor = peers.visitor()
    assert seen(log_in(peers, visitor))["MELLON_mail"] == "aino@pori.fi"
    theirs = messages(visitor)[0]
    assert (theirs.find("saml:EncryptedAssertion", NS) is not None) is bool(remote.get("assertion.encryption"))


@pytest.mark.parametrize(
    ("remote", "reason"),
    [
        pytest.param(
            {"saml20.sign.response": False, "saml20.sign.assertion": False}, "saml_signature_invalid", id="unsigned"
        ),
        pytest.param(
            {"signature.algorithm": "http://www.w3.org/2000/09/xmldsig#rsa-sha1"}, "saml_signature_invalid", id="sha1"
        ),
        # AES-CBC, all that SimpleSAMLphp 1.19 knows, is opened only where a signature covers the ciphertext: here none does.
        pytest.param(
            {"saml20.sign.response": False, "assertion.encryption": True},
            "saml_not_decrypted",
            id="cbc_assertion_signed",
        ),
    ],
)
def test_P1_an_answer_of_the_city_that_proves_nothing(peers: Peers, remote: dict[str, object], reason: str) -> None:
    peers.set_city(remote=remote)
    page = log_in(peers)
    assert (page.status, page.reason) == (400, reason)
    assert page.url.startswith(peers.broker)


# --- requests ---------------------------------------------------------------------------------------------------------


def test_a_city_that_demands_signed_requests(peers: Peers) -> None:
    peers.set_city(hosted={"redirect.validate": True})
    assert seen(log_in(peers))["MELLON_mail"] == "aino@pori.fi"


def test_the_city_notices_a_request_of_ours_that_was_changed(peers: Peers) -> None:
    peers.set_city(hosted={"redirect.validate": True})
    visitor = peers.visitor()
    visitor.open(peers.service + "/plain/")
    ours = next(each for each in visitor.trail if "SSOService.php?SAMLRequest" in each)
    page = peers.visitor().open(ours.replace("RelayState=", "RelayState=x"))
    assert "Unable to validate signature on query string" in page.text


def test_metadata_2_4_4_mellon_signs_its_requests_and_one_without_is_refused(peers: Peers) -> None:
    visitor = peers.visitor()
    visitor.open(peers.service + "/plain/")
    theirs = next(each for each in visitor.trail if each.startswith(f"{peers.broker}/saml/idp/sso"))
    page = peers.visitor().open(theirs.partition("&SigAlg=")[0])
    assert (page.status, page.reason) == (400, "saml_request_signature")


# --- again, silently, and more strongly -------------------------------------------------------------------------------------


def test_core_3_4_1_a_forced_login_asks_for_the_password_again(peers: Peers) -> None:
    visitor = peers.visitor()
    log_in(peers, visitor)
    page = visitor.open(authorization(peers, prompt="login"))
    assert "code" in answer(peers.log_in(visitor, page))


def test_oidc_core_3_1_2_1_max_age_reaches_the_city(peers: Peers) -> None:
    visitor = peers.visitor()
    log_in(peers, visitor)
    page = visitor.open(authorization(peers, max_age="0"))
    assert "code" in answer(peers.log_in(visitor, page))


def passive(peers: Peers) -> str:
    return f"{peers.service}/plain/mellon/login?ReturnTo={quote(peers.service + '/plain/', safe='')}&IsPassive=true"


def test_core_3_4_1_a_passive_login_of_who_is_logged_in(peers: Peers) -> None:
    visitor = peers.visitor()
    log_in(peers, visitor)
    for cookie in [each for each in visitor.session.cookies if each.name.startswith("mellon")]:
        visitor.session.cookies.clear(cookie.domain, cookie.path, cookie.name)
    assert seen(visitor.open(passive(peers)))["MELLON_mail"] == "aino@pori.fi"


def test_core_3_2_2_2_NoPassive_of_the_city_reaches_the_service(peers: Peers) -> None:
    visitor = peers.visitor()
    page = visitor.open(passive(peers))
    theirs, ours = messages(visitor)
    for each in (theirs, ours):
        codes = [code.get("Value", "").rpartition(":")[2] for code in each.iter(f"{{{NS['samlp']}}}StatusCode")]
        assert codes[-1] == "NoPassive"
    # Mellon shows a bare page of its own.
    assert page.url.startswith(peers.service)
    assert page.status in (401, 403, 500)


def test_oidc_core_3_1_2_6_NoPassive_of_the_city_is_login_required(peers: Peers) -> None:
    assert answer(peers.visitor().open(authorization(peers, prompt="none")))["error"] == ["login_required"]


def test_core_3_3_2_2_1_a_service_that_asks_for_mfa_gets_it(peers: Peers) -> None:
    peers.set_city(hosted=STRONG)
    assert seen(log_in(peers, path="/mfa/"))["MELLON_mail"] == "aino@pori.fi"


def test_core_3_3_2_2_1_a_service_that_asks_for_mfa_and_does_not_get_it(peers: Peers) -> None:
    page = log_in(peers, path="/mfa/")
    assert (page.url.startswith(peers.broker), page.reason) == (True, "mfa_not_proven")


# --- logins that nobody asked for -----------------------------------------------------------------------------------------


def test_profiles_4_1_5_a_login_that_begins_at_the_broker(peers: Peers) -> None:
    visitor = peers.visitor()
    page = visitor.open(f"{peers.broker}/saml/idp/unsolicited?service=wiki&RelayState={peers.service}/plain/")
    assert seen(peers.log_in(visitor, page))["MELLON_mail"] == "aino@pori.fi"


def test_profiles_4_1_5_a_login_that_begins_at_the_city_s_portal(peers: Peers) -> None:
    visitor = peers.visitor()
    asked = {"spentityid": f"{peers.broker}/saml/sp/metadata", "RelayState": "wiki"}
    page = visitor.open(f"{peers.city}/simplesaml/saml2/idp/SSOService.php?{urlencode(asked)}")
    page = peers.log_in(visitor, page)
    assert page.url.startswith(peers.service)


# --- by artifact ------------------------------------------------------------------------------------------------------


@pytest.fixture
def by_artifact(peers: Peers) -> Iterator[Peers]:
    peers.set_city(hosted={"saml20.sendartifact": True})
    peers.register(artifact=True)
    yield peers
    peers.set_city()
    peers.register()


def test_bindings_3_6_the_city_answers_by_artifact(by_artifact: Peers) -> None:
    visitor = by_artifact.visitor()
    assert seen(log_in(by_artifact, visitor))["MELLON_mail"] == "aino@pori.fi"
    assert any("/saml/sp/acs?SAMLart=" in each for each in visitor.trail)
    assert len(messages(visitor)) == 1


# --- what was used is used up ------------------------------------------------------------------------------------------


def test_P2_the_city_s_answer_is_of_no_use_again(peers: Peers) -> None:
    visitor = peers.visitor()
    log_in(peers, visitor)
    theirs = visitor.carried[0]
    page = visitor.post(f"{peers.broker}/saml/sp/acs", theirs)
    assert (page.status, page.reason) == (400, "login_used_or_expired")
    stranger = peers.visitor().post(f"{peers.broker}/saml/sp/acs", theirs)
    assert stranger.status == 400


def test_mellon_refuses_what_was_made_for_another_service(peers: Peers) -> None:
    visitor = peers.visitor()
    log_in(peers, visitor)
    other = peers.visitor()
    other.open(peers.service + "/mfa/")
    page = other.post(f"{peers.service}/mfa/mellon/postResponse", visitor.carried[1])
    assert page.status != 200
    assert "MELLON_mail" not in page.text
