"""What a city's Response may hold beside the plain case: saml-core 2.4 to 2.7 and 6, saml-profiles 4.1.4.2 to 4.1.4.5.

``test_response_read.py`` has the plain case, one test a check.
"""

from __future__ import annotations

import asyncio
from base64 import b64encode
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from broker.errors import HomeLoginTooOld, HomeRefused, MessageReplayed
from broker.keys import keyring
from broker.keys.keyring import KeyState, KeyUse
from broker.login.decide import check_age
from broker.saml import errors
from broker.saml.about import About
from broker.saml.sp.edge import SamlServiceProvider
from broker.saml.xml import BadValue, instant
from broker.state.memory import MemoryStore
from broker.state.replay import ReplayRecords

NOW = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)
SKEW = timedelta(seconds=60)
SECOND = timedelta(seconds=1)
US = "https://broker.example/saml/sp/metadata"
MAIL = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress"
STATUS = "urn:oasis:names:tc:SAML:2.0:status:"
CONTEXT = "urn:oasis:names:tc:SAML:2.0:ac:classes:"


# --- times -----------------------------------------------------------------------------------------------------------------


def test_core_3_2_2_a_Response_issued_in_the_future(upstream: Any) -> None:
    draft = upstream.draft
    response = draft.response(draft.assertion()).replace("2026-01-15T12:00:00Z", "2026-01-15T12:01:01Z", 1)
    with pytest.raises(errors.NotYetValid):
        upstream.post(response)


@pytest.mark.parametrize("ends", [NOW, NOW - SECOND], ids=["at_once", "before"])
def test_core_2_5_1_2_NotBefore_is_before_NotOnOrAfter(upstream: Any, ends: datetime) -> None:
    with pytest.raises(errors.Expired):
        upstream.answer(not_before=NOW, not_on_or_after=ends)


@pytest.mark.parametrize("until", [NOW + timedelta(days=365), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)])
def test_P2_an_answer_that_never_ends_is_remembered_longer_than_any_login(upstream: Any, until: datetime) -> None:
    assert upstream.answer(confirmed_until=until, not_on_or_after=until, session_until=until).subject == "pori-4711"
    [remembered] = upstream.replay.seen.values()
    assert remembered == timedelta(days=1) + SKEW + SECOND


@pytest.mark.parametrize("time", ["9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", "2026-02-30T00:00:00Z"])
def test_core_1_3_3_a_time_outside_the_calendar(upstream: Any, time: str) -> None:
    with pytest.raises(BadValue):
        instant(time)
    statement = upstream.draft._authn_statement().replace("2026-01-15T11:59:30Z", time)
    with pytest.raises(errors.UnreadableResponse):
        upstream.answer(authn_statement=statement)


# --- saml-core 2.4: the subject --------------------------------------------------------------------------------------------


def test_profiles_4_1_4_3_an_Address_is_not_held_against_the_person(upstream: Any) -> None:
    confirmation = upstream.draft._confirmations().replace(" Recipient=", ' Address="192.0.2.1" Recipient=')
    assert upstream.answer(confirmations=confirmation).subject == "pori-4711"


def test_profiles_4_1_4_2_a_bearer_confirmation_without_data(upstream: Any) -> None:
    with pytest.raises(errors.NotBearer):
        upstream.answer(confirmations='<saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"/>')


def test_P2_of_several_confirmations_the_longest_that_holds_is_remembered(upstream: Any) -> None:
    draft = upstream.draft
    each = [
        replace(draft, confirmed_until=NOW + timedelta(minutes=minutes), recipient=recipient)._confirmations()
        for minutes, recipient in [(1, draft.recipient), (30, draft.recipient), (90, "https://other.example")]
    ]
    assert upstream.answer(confirmations="".join(each)).subject == "pori-4711"
    assert list(upstream.replay.seen.values()) == [timedelta(minutes=30) + SKEW + SECOND]


def test_profiles_4_1_4_2_a_bearer_confirmation_beside_another_method(upstream: Any) -> None:
    draft = upstream.draft
    other = replace(draft, method="urn:oasis:names:tc:SAML:2.0:cm:sender-vouches")._confirmations()
    assert upstream.answer(confirmations=other + draft._confirmations()).subject == "pori-4711"
    wrong = replace(draft, confirmed_in_response_to="_another")._confirmations()
    with pytest.raises(errors.WrongInResponseTo):
        upstream.answer(confirmations=other + wrong)


def test_core_2_4_a_subject_without_identifier_is_nobody_s_key(upstream: Any) -> None:
    accepted = upstream.answer(name_id="")
    assert accepted.subject is None
    assert "name_id" not in accepted.session


# --- saml-core 2.7: statements -----------------------------------------------------------------------------------------------


def statement(when: datetime, context: str, more: str = "") -> str:
    return (
        f'<saml:AuthnStatement AuthnInstant="{when:%Y-%m-%dT%H:%M:%SZ}"{more}><saml:AuthnContext>'
        f"<saml:AuthnContextClassRef>{context}</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement>"
    )


@pytest.mark.parametrize("order", [1, -1])
def test_core_2_7_2_of_several_AuthnStatements_the_last_authentication_counts(upstream: Any, order: int) -> None:
    each = [
        statement(NOW - timedelta(hours=8), CONTEXT + "Password"),
        statement(NOW - timedelta(minutes=1), CONTEXT + "X509"),
    ]
    accepted = upstream.answer(authn_statement="".join(each[::order]))
    assert (accepted.authn_instant, accepted.authn_context) == (NOW - timedelta(minutes=1), CONTEXT + "X509")


def test_core_2_7_2_each_AuthnStatement_must_hold(upstream: Any) -> None:
    good = statement(NOW, CONTEXT + "Password")
    with pytest.raises(errors.AuthnInstantInFuture):
        upstream.answer(authn_statement=good + statement(NOW + timedelta(hours=1), CONTEXT + "Password"))
    ended = statement(NOW, CONTEXT + "Password", ' SessionNotOnOrAfter="2026-01-15T11:00:00Z"')
    with pytest.raises(errors.SessionEnded):
        upstream.answer(authn_statement=good + ended)


def test_core_2_7_2_SessionNotOnOrAfter_is_kept(upstream: Any) -> None:
    accepted = upstream.answer(session_until=NOW + timedelta(hours=8))
    assert accepted.session_ends == datetime(2026, 1, 15, 20, 0, tzinfo=UTC)


def test_core_2_7_2_2_a_context_by_declaration_alone_proves_nothing(upstream: Any) -> None:
    by_declaration = statement(NOW, "x").replace("AuthnContextClassRef", "AuthnContextDeclRef")
    assert upstream.answer(authn_statement=by_declaration).authn_context is None


def test_core_2_7_4_what_a_city_decides_on_access_is_not_read(upstream: Any) -> None:
    decision = (
        '<saml:AuthzDecisionStatement Resource="https://wiki.example" Decision="Deny">'
        '<saml:Action Namespace="urn:x">read</saml:Action></saml:AuthzDecisionStatement>'
    )
    assert upstream.answer(authn_statement=statement(NOW, CONTEXT + "Password") + decision).subject == "pori-4711"


@pytest.mark.parametrize("kind", ["x:Statement", "saml:StatementAbstractType"])
def test_core_2_7_1_an_unknown_Statement_is_refused(upstream: Any, kind: str) -> None:
    unknown = f'<saml:Statement xmlns:x="urn:x" xsi:type="{kind}"/>'
    with pytest.raises(errors.UnreadableResponse) as refused:
        upstream.answer(authn_statement=statement(NOW, CONTEXT + "Password") + unknown)
    assert refused.value.context["check"] == "schema"


@pytest.mark.parametrize(
    ("asked", "age", "too_old"),
    [
        pytest.param({"force_authn": True}, timedelta(0), False, id="ForceAuthn_anew"),
        pytest.param({"force_authn": True}, SKEW, False, id="ForceAuthn_a_clock_behind"),
        pytest.param({"force_authn": True}, SKEW + SECOND, True, id="ForceAuthn_from_a_session"),
        pytest.param({"max_age": timedelta(hours=1)}, timedelta(hours=1) + SKEW, False, id="max_age_just_so"),
        pytest.param({"max_age": timedelta(hours=1)}, timedelta(hours=1) + SKEW + SECOND, True, id="max_age_too_old"),
        pytest.param({}, timedelta(days=90), False, id="nothing_asked"),
    ],
)
def test_core_3_4_1_ForceAuthn_is_proven_by_AuthnInstant(
    upstream: Any, asked: dict[str, Any], age: timedelta, too_old: bool
) -> None:
    assertion = upstream.answer(authn_instant=NOW - age)
    request = replace(upstream.transaction.request, **asked)
    if not too_old:
        check_age(request, assertion, upstream.transaction.begun_at, NOW, SKEW)
        return
    with pytest.raises(HomeLoginTooOld):
        check_age(request, assertion, upstream.transaction.begun_at, NOW, SKEW)


# --- what is not read --------------------------------------------------------------------------------------------------------


def test_core_2_6_1_Advice_is_not_read(upstream: Any, tool: Any) -> None:
    advice = (
        '<saml:Advice><saml:AssertionURIRef>https://other.example/a</saml:AssertionURIRef><x:y xmlns:x="urn:x">'
        "<saml:NameID>root</saml:NameID></x:y></saml:Advice>"
    )
    draft = upstream.draft
    inner = draft.assertion().replace("</saml:Conditions>", f"</saml:Conditions>{advice}")
    accepted = upstream.post(draft.response(tool.sign(inner, upstream.pairs["city"])))
    assert accepted.subject == "pori-4711"


def test_core_3_2_2_Extensions_are_not_read(upstream: Any, tool: Any) -> None:
    extensions = '<samlp:Extensions><x:y xmlns:x="urn:x" InResponseTo="_other">z</x:y></samlp:Extensions>'
    draft = upstream.draft
    xml = draft.response(tool.sign(draft.assertion(), upstream.pairs["city"]))
    xml = xml.replace("<samlp:Status>", f"{extensions}<samlp:Status>", 1)
    assert upstream.post(tool.sign(xml, upstream.pairs["city"])).subject == "pori-4711"


@pytest.mark.parametrize(
    ("before", "hidden"),
    [
        ("<samlp:Status>", "<samlp:Extensions>{}</samlp:Extensions>"),
        ("</samlp:Status>", "<samlp:StatusDetail>{}</samlp:StatusDetail>"),
    ],
    ids=["Extensions", "StatusDetail"],
)
def test_P1_an_assertion_hidden_in_the_Response_is_a_second_one(upstream: Any, before: str, hidden: str) -> None:
    draft = upstream.draft
    other = hidden.format(replace(draft, assertion_id="_other").assertion())
    xml = upstream.signed(draft, response=False).replace(before, other + before, 1)
    with pytest.raises(errors.NotOneAssertion):
        upstream.post(xml)


def test_P1_an_assertion_hidden_in_the_confirmation_is_a_second_one(upstream: Any) -> None:
    draft = upstream.draft
    other = replace(draft, assertion_id="_other").assertion()
    held = draft._confirmations().replace("/></saml:Sub", f">{other}</saml:SubjectConfirmationData></saml:Sub")
    with pytest.raises(errors.NotOneAssertion):
        upstream.answer(confirmations=held)


# --- the city's refusal ------------------------------------------------------------------------------------------------------


def test_core_3_2_2_2_NoAuthnContext_is_told_to_the_service_as_such(upstream: Any) -> None:
    with pytest.raises(errors.HomeContextNotMet) as refused:
        upstream.answer(status=(STATUS + "Requester", STATUS + "NoAuthnContext"), with_assertion=False)
    assert refused.value.saml_status == (STATUS + "Responder", STATUS + "NoAuthnContext")
    assert isinstance(refused.value, HomeRefused)


# --- saml-core 6: encryption -------------------------------------------------------------------------------------------------


def sealed(tool: Any, element: str, certificate: bytes, name: str, **how: str) -> str:
    """An element, encrypted, inside the element of that name."""
    text = tool.encrypt(element.replace(" ", f' xmlns:saml="{tool.SAML}" ', 1), certificate, **how)
    return text.replace("EncryptedAssertion", name)


def ours(upstream: Any) -> bytes:
    return upstream.keys.active(KeyUse.SAML_ENCRYPTION).certificate


@pytest.mark.parametrize("data", ["Aes256Gcm", "Aes128Cbc"])
def test_core_2_7_3_2_an_EncryptedAttribute_is_opened(upstream: Any, tool: Any, data: str) -> None:
    attribute = (
        f'<saml:Attribute Name="{MAIL}"><saml:AttributeValue>aino@pori.fi</saml:AttributeValue></saml:Attribute>'
    )
    hidden = sealed(tool, attribute, ours(upstream), "EncryptedAttribute", data=data)
    statements = f"{upstream.draft._authn_statement()}<saml:AttributeStatement>{hidden}</saml:AttributeStatement>"
    accepted = upstream.answer(authn_statement=statements, attributes={})
    assert accepted.attributes == {MAIL: ("aino@pori.fi",)}


@pytest.mark.parametrize("name", ["EncryptedAttribute", "EncryptedID"])
def test_core_6_1_something_else_was_encrypted(upstream: Any, tool: Any, name: str) -> None:
    wrong = "<saml:Audience >x</saml:Audience>"
    hidden = sealed(tool, wrong, ours(upstream), name)
    changes = {"name_id": hidden}
    if name == "EncryptedAttribute":
        held = f"<saml:AttributeStatement>{hidden}</saml:AttributeStatement>"
        changes = {"authn_statement": upstream.draft._authn_statement() + held}
    with pytest.raises(errors.NotDecrypted):
        upstream.answer(**changes)


@pytest.mark.parametrize("name", ["EncryptedAttribute", "EncryptedID"])
def test_core_6_1_for_somebody_else(upstream: Any, tool: Any, name: str) -> None:
    hidden = sealed(tool, "<saml:NameID >x</saml:NameID>", upstream.pairs["stranger"].certificate_pem, name)
    changes = {"name_id": hidden}
    if name == "EncryptedAttribute":
        held = f"<saml:AttributeStatement>{hidden}</saml:AttributeStatement>"
        changes = {"authn_statement": upstream.draft._authn_statement() + held}
    with pytest.raises(errors.NotDecrypted) as refused:
        upstream.answer(**changes)
    assert refused.value.context["check"] == "encryption_key"


def test_core_6_1_one_of_several_recipients_is_us(upstream: Any, tool: Any) -> None:
    xml = upstream.encrypted(upstream.draft, response=False)
    theirs = upstream.encrypted(
        upstream.draft, response=False, encryption_key=upstream.pairs["stranger"].certificate_pem
    )
    other_key = (
        theirs[theirs.index("<xenc:EncryptedKey") :].partition("</xenc:EncryptedKey>")[0] + "</xenc:EncryptedKey>"
    )
    both = xml.replace("<xenc:EncryptedKey", f"{other_key}<xenc:EncryptedKey", 1)
    assert both.count("<xenc:EncryptedKey") == 2
    assert upstream.post(tool.sign(both, upstream.pairs["city"])).subject == "pori-4711"


@pytest.fixture(scope="module")
def rolling(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A key ring with an encryption key of each state: the city may still know the previous one, or already the next."""
    folder: Path = tmp_path_factory.mktemp("rolling")
    keyring.create(folder, common_name="broker.example", now=NOW)
    keyring.create_next(folder, KeyUse.SAML_ENCRYPTION, common_name="broker.example", now=NOW)
    keyring.rotate(folder, KeyUse.SAML_ENCRYPTION)
    keyring.create_next(folder, KeyUse.SAML_ENCRYPTION, common_name="broker.example", now=NOW)
    return keyring.load(folder)


@pytest.mark.parametrize("state", list(KeyState))
def test_metadata_2_4_1_1_during_our_key_change_either_key_opens(upstream: Any, rolling: Any, state: KeyState) -> None:
    [key] = [each for each in rolling.keys[KeyUse.SAML_ENCRYPTION] if each.state is state]
    upstream.edge = edge_of(upstream, rolling, upstream.replay)
    xml = upstream.encrypted(upstream.draft, encryption_key=key.certificate)
    assert upstream.post(xml).subject == "pori-4711"


# --- P2: once, in all workers together ---------------------------------------------------------------------------------------


def edge_of(upstream: Any, keys: Any, replay: Any) -> SamlServiceProvider:
    return SamlServiceProvider(
        base_url="https://broker.example",
        keys=keys,
        clock=lambda: upstream.now,
        clock_skew=SKEW,
        replay=replay,
        fetcher=upstream.back_channel,
        saml_names=lambda _: None,
        about=About(base_url="https://broker.example", name="Kuntasilta"),
    )


def test_P2_an_assertion_is_accepted_by_one_of_all_workers(upstream: Any) -> None:
    store = MemoryStore(lambda: upstream.now.timestamp())
    workers = [edge_of(upstream, upstream.keys, ReplayRecords(store)) for _ in range(8)]
    text = b64encode(upstream.signed(upstream.draft).encode()).decode()
    message = {"SAMLResponse": text, "RelayState": upstream.transaction.id}

    async def all_at_once() -> list[Any]:
        arrivals = (each.arrive(upstream.transaction, message, upstream.idp) for each in workers)
        return await asyncio.gather(*arrivals, return_exceptions=True)

    outcomes = asyncio.run(all_at_once())
    assert sum(isinstance(each, MessageReplayed) for each in outcomes) == 7
    assert [each.subject for each in outcomes if not isinstance(each, Exception)] == ["pori-4711"]
