"""The driver's own checks: a driver that accepts a wrong answer measures nothing."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from urllib.parse import urlencode

import jwt
import pytest

from tests.bench import authlib_grants, oidc, saml
from tests.bench.errors import WrongAnswerError
from tests.bench.flows import BrokerParties, Logins
from tests.bench.measure import Load, Result, percentile, perform
from tests.bench.parties import CLIENT_ID, SECRET, Parties, SigningKey, User
from tests.bench.report import markdown, write_into

NOW = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
USER = User(number=7, scope="bench-saml.fi")
BROKER = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def parties() -> Parties:
    return Parties.make(9999)


@pytest.fixture(scope="module")
def broker_key() -> SigningKey:
    return SigningKey.make("broker")


@pytest.fixture(scope="module")
def broker(broker_key: SigningKey) -> saml.Peer:
    return saml.read_metadata(broker_metadata(broker_key))


def broker_metadata(key: SigningKey) -> bytes:
    return f"""<md:EntityDescriptor xmlns:md="{saml.MD}" entityID="{BROKER}/saml/idp/metadata"><md:IDPSSODescriptor>
    <md:KeyDescriptor use="signing"><ds:KeyInfo xmlns:ds="{saml.DS}"><ds:X509Data><ds:X509Certificate>
    {key.certificate}</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>
    <md:SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" Location="{BROKER}/sso"/>
    </md:IDPSSODescriptor></md:EntityDescriptor>""".encode()


def broker_response(parties: Parties, asked: saml.Asked, **changes: str) -> str:
    """A right answer of the broker, not yet signed; ``changes`` replace one value of it."""
    value = {
        "destination": parties.service_acs,
        "in_response_to": asked.id,
        "status": saml.SUCCESS,
        "issuer": f"{BROKER}/saml/idp/metadata",
        "recipient": parties.service_acs,
        "subject_in_response_to": asked.id,
        "audience": parties.service_entity_id,
        "not_before": "2026-03-01T08:00:00Z",
        "until": "2026-03-01T08:05:00Z",
        "mail": USER.mail,
        "name": "User 7",
        "signature": saml.signature_template("_a"),
    } | changes
    return f"""<samlp:Response xmlns:samlp="{saml.SAMLP}" xmlns:saml="{saml.SAML}" ID="_r" Version="2.0"
    Destination="{value["destination"]}" InResponseTo="{value["in_response_to"]}">
    <samlp:Status><samlp:StatusCode Value="{value["status"]}"/></samlp:Status>
    <saml:Assertion ID="_a" Version="2.0"><saml:Issuer>{value["issuer"]}</saml:Issuer>{value["signature"]}
    <saml:Subject><saml:NameID>pairwise</saml:NameID><saml:SubjectConfirmation><saml:SubjectConfirmationData
    Recipient="{value["recipient"]}" InResponseTo="{value["subject_in_response_to"]}"
    NotOnOrAfter="{value["until"]}"/></saml:SubjectConfirmation></saml:Subject>
    <saml:Conditions NotBefore="{value["not_before"]}" NotOnOrAfter="{value["until"]}"><saml:AudienceRestriction>
    <saml:Audience>{value["audience"]}</saml:Audience></saml:AudienceRestriction></saml:Conditions>
    <saml:AttributeStatement>
    <saml:Attribute Name="{saml.MAIL}"><saml:AttributeValue>{value["mail"]}</saml:AttributeValue></saml:Attribute>
    <saml:Attribute Name="{saml.DISPLAY_NAME}"><saml:AttributeValue>{value["name"]}</saml:AttributeValue></saml:Attribute>
    </saml:AttributeStatement></saml:Assertion></samlp:Response>"""


# --- SAML ------------------------------------------------------------------------------------------------------------


def test_a_right_response_is_accepted(parties: Parties, broker: saml.Peer, broker_key: SigningKey) -> None:
    asked = saml.authn_request(parties, broker, "bench-saml")
    signed = saml.sign_assertion(broker_response(parties, asked), broker_key)

    assert saml.check_response(signed, parties, broker, asked, USER, NOW) == "pairwise"


@pytest.mark.parametrize(
    ("change", "point"),
    [
        ({"destination": "http://127.0.0.1:9999/other"}, "Destination"),
        ({"in_response_to": "_other"}, "InResponseTo"),
        ({"subject_in_response_to": "_other"}, "InResponseTo of the subject"),
        ({"status": "urn:oasis:names:tc:SAML:2.0:status:Responder"}, "status"),
        ({"issuer": "http://127.0.0.1:9/other"}, "Issuer"),
        ({"recipient": "http://127.0.0.1:9999/other"}, "Recipient"),
        ({"audience": "http://127.0.0.1:9999/other"}, "Audience"),
        ({"until": "2026-03-01T07:59:00Z"}, "not valid now"),
        ({"not_before": "2026-03-01T09:00:00Z"}, "not valid now"),
        ({"mail": "user8@bench-saml.fi"}, "mail"),
        ({"name": "User 8"}, "displayName"),
    ],
)
def test_a_response_that_is_wrong_in_one_point_is_not(
    parties: Parties, broker: saml.Peer, broker_key: SigningKey, change: dict[str, str], point: str
) -> None:
    asked = saml.authn_request(parties, broker, "bench-saml")
    signed = saml.sign_assertion(broker_response(parties, asked, **change), broker_key)

    with pytest.raises(WrongAnswerError, match=f"^{point}"):
        saml.check_response(signed, parties, broker, asked, USER, NOW)


def test_an_unsigned_response_is_not(parties: Parties, broker: saml.Peer) -> None:
    asked = saml.authn_request(parties, broker, "bench-saml")

    with pytest.raises(WrongAnswerError, match="there is none"):
        saml.check_response(broker_response(parties, asked, signature="").encode(), parties, broker, asked, USER, NOW)


def test_a_response_signed_by_another_is_not(parties: Parties, broker: saml.Peer) -> None:
    asked = saml.authn_request(parties, broker, "bench-saml")
    signed = saml.sign_assertion(broker_response(parties, asked), parties.city_key)

    with pytest.raises(WrongAnswerError, match="does not verify"):
        saml.check_response(signed, parties, broker, asked, USER, NOW)


def test_a_response_changed_after_signing_is_not(parties: Parties, broker: saml.Peer, broker_key: SigningKey) -> None:
    asked = saml.authn_request(parties, broker, "bench-saml")
    signed = saml.sign_assertion(broker_response(parties, asked), broker_key)

    with pytest.raises(WrongAnswerError, match="does not verify"):
        saml.check_response(signed.replace(b"pairwise", b"somebody"), parties, broker, asked, USER, NOW)


def test_a_signature_over_something_else_is_not(parties: Parties, broker: saml.Peer, broker_key: SigningKey) -> None:
    asked = saml.authn_request(parties, broker, "bench-saml")
    signed = saml.sign_assertion(broker_response(parties, asked), broker_key).replace(b'ID="_a"', b'ID="_b"')

    with pytest.raises(WrongAnswerError, match="Reference"):
        saml.check_response(signed, parties, broker, asked, USER, NOW)


def test_the_form_must_post_to_the_service_with_its_relay_state(parties: Parties, broker: saml.Peer) -> None:
    asked = saml.authn_request(parties, broker, "bench-saml")
    page = '<form action="{}"><input name="RelayState" value="{}"><input name="SAMLResponse" value="{}"></form>'
    content = b64encode(b"<Response/>").decode()

    assert saml.check_form(page.format(parties.service_acs, asked.relay_state, content).encode(), parties, asked)
    for address, relay_state in (("http://127.0.0.1:9999/other", asked.relay_state), (parties.service_acs, "other")):
        with pytest.raises(WrongAnswerError):
            saml.check_form(page.format(address, relay_state, content).encode(), parties, asked)
    with pytest.raises(WrongAnswerError):
        saml.check_form(b"<p>An error page</p>", parties, asked)


def test_the_city_takes_only_the_brokers_own_request(parties: Parties, broker_key: SigningKey) -> None:
    # The broker's request is made here by the service's code, with the broker's key and the city's address.
    city = replace(saml.read_metadata(broker_metadata(broker_key)), address=parties.city_sso)
    asking = replace(parties, service_key=broker_key, base=BROKER)
    peer = replace(city, entity_id=asking.service_entity_id, address=asking.service_acs)
    url = saml.authn_request(asking, city, "").url.removesuffix("&organisation=")

    assert saml.read_authn_request(url, parties, peer).id.startswith("_")
    for wrong in (
        url.replace("RelayState=", "RelayState=x"),
        url.replace("/city/sso", "/city/other"),
        url.partition("&Signature=")[0],
    ):
        with pytest.raises(WrongAnswerError):
            saml.read_authn_request(wrong, parties, peer)
    with pytest.raises(WrongAnswerError, match="AssertionConsumerServiceURL"):
        saml.read_authn_request(url, parties, replace(peer, address=f"{BROKER}/elsewhere"))


# --- OpenID Connect --------------------------------------------------------------------------------------------------


@pytest.fixture
def asked(parties: Parties) -> oidc.Asked:
    return oidc.authorization_request(parties, f"{BROKER}/oidc/authorize", "bench-oidc")


def test_a_right_redirect_gives_the_code_and_any_other_is_refused(parties: Parties, asked: oidc.Asked) -> None:
    right = {"code": "c", "state": asked.state, "iss": BROKER}
    check = partial(oidc.check_redirect, parties=parties, asked=asked, issuer=BROKER)

    assert check(f"{parties.redirect_uri}?{urlencode(right)}") == "c"
    for wrong in ({"state": "other"}, {"iss": "http://127.0.0.1:10"}, {"error": "access_denied"}):
        with pytest.raises(WrongAnswerError):
            check(f"{parties.redirect_uri}?{urlencode(right | wrong)}")
    with pytest.raises(WrongAnswerError):
        check(f"{BROKER}/elsewhere?{urlencode(right)}")


def test_a_right_id_token_is_accepted_and_any_other_is_refused(
    parties: Parties, asked: oidc.Asked, broker_key: SigningKey
) -> None:
    public = jwt.algorithms.RSAAlgorithm.to_jwk(broker_key.private.public_key(), as_dict=True)
    keys = {"k": jwt.PyJWK.from_dict({**public, "alg": "RS256"})}
    now = datetime.now(UTC)
    right = {"iss": BROKER, "aud": CLIENT_ID, "sub": "s", "iat": now, "nonce": asked.nonce}
    right["exp"] = now + timedelta(minutes=5)

    def token(key: SigningKey = broker_key, kid: str = "k", **changes: object) -> str:
        return jwt.encode(right | changes, key.private, algorithm="RS256", headers={"kid": kid})

    assert oidc.check_id_token(token(), keys, asked, BROKER) == "s"
    wrong = [
        token(parties.city_key),
        token(kid="other"),
        token(iss="http://127.0.0.1:10"),
        token(aud="other"),
        token(nonce="other"),
        token(exp=now - timedelta(minutes=1)),
        jwt.encode(right, "", algorithm="none", headers={"kid": "k"}),
        "None",
    ]
    for each in wrong:
        with pytest.raises(WrongAnswerError):
            oidc.check_id_token(each, keys, asked, BROKER)


def test_userinfo_must_be_of_the_same_person() -> None:
    right = {"sub": "s", "email": USER.mail, "name": "User 7"}

    oidc.check_userinfo(right, "s", USER)
    for wrong in ({"sub": "t"}, {"email": "user8@bench-saml.fi"}, {"name": "User 8"}):
        with pytest.raises(WrongAnswerError):
            oidc.check_userinfo(right | wrong, "s", USER)


def test_the_city_gives_tokens_only_for_secret_redirect_uri_and_verifier_together() -> None:
    grant = oidc.Grant(nonce="n", redirect_uri="u", challenge=oidc.challenge_of("v"), user=USER)
    right = {"redirect_uri": "u", "code_verifier": "v"}

    assert oidc.authorised(grant, right, oidc.basic("broker", SECRET))
    assert oidc.authorised(grant, right | {"client_id": "broker", "client_secret": SECRET}, "")
    assert not oidc.authorised(grant, right, oidc.basic("broker", "wrong"))
    assert not oidc.authorised(grant, right | {"redirect_uri": "other"}, oidc.basic("broker", SECRET))
    assert not oidc.authorised(grant, right | {"code_verifier": "other"}, oidc.basic("broker", SECRET))


# --- counting --------------------------------------------------------------------------------------------------------


class OneInThreeIsWrong(Logins):
    """Logs nobody in."""

    async def log_in(self, pair: str, number: int) -> None:
        if number % 3 == 0:
            raise WrongAnswerError("mail")


def a_result(**changes: object) -> Result:
    right: dict[str, object] = {"pair": "saml-oidc", "state": "redis", "workers": 2, "logins": 10, "wrong": 0}
    times = {
        "logins_per_second": 1,
        "p50_ms": 1,
        "p95_ms": 2,
        "p99_ms": 3,
        "cpu_ms": 2.346,
        "driver_cpu_ms": 3,
        "pss_mib": 80,
    }
    return Result(**(right | times | changes))  # type: ignore[arg-type]  # a row of a table, by name


async def test_wrong_logins_are_counted_and_named_and_are_not_among_the_latencies(
    parties: Parties, broker: saml.Peer
) -> None:
    nobody = BrokerParties(saml_idp=broker, saml_sp=broker, issuer=BROKER, endpoints={}, keys={})
    city = oidc.City(parties=parties, callback="")
    logins = OneInThreeIsWrong(parties=parties, broker=nobody, city=city, session=None)  # type: ignore[arg-type]  # unused

    outcome = await perform(logins, "saml-saml", Load(logins=9, concurrency=2, users=9, seconds=60))

    assert (len(outcome.latencies), outcome.wrong) == (6, 3)
    assert outcome.problems == ("WrongAnswerError: mail",)


@pytest.mark.parametrize(("share", "value"), [(0.5, 50), (0.95, 95), (0.99, 99), (0.001, 1), (1.0, 100)])
def test_percentiles_are_by_nearest_rank(share: float, value: float) -> None:
    assert percentile(tuple(float(each) for each in range(100, 0, -1)), share) == value


def test_no_login_has_no_percentile() -> None:
    assert percentile((), 0.5) == 0.0


def test_the_table_says_how_many_were_wrong() -> None:
    assert "| SAML → OIDC | redis | 2 | 10 | 1 | 1 | 2 | 3 | 2.35 | 3.00 | 80 |" in markdown([a_result()])
    assert "| 10 (4 wrong) |" in markdown([a_result(wrong=4)])


def test_the_table_goes_between_its_marks_and_nowhere_else(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- bench -->\nold\n<!-- end of bench -->\nafter\n", "utf-8")

    write_into(page, [a_result()], "A machine")

    lines = page.read_text("utf-8").splitlines()
    assert lines[:4] == ["before", "<!-- bench -->", "", "A machine."]
    assert lines[-2:] == ["<!-- end of bench -->", "after"]
    assert "old" not in lines


def test_authlib_and_we_grant_and_refuse_alike_what_is_measured() -> None:
    authlib_grants.check()
