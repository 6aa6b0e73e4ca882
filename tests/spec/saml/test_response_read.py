"""A city's Response, every check of saml-profiles 4.1.4.2 and 4.1.4.3 (promises P1 and P2)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from broker.errors import HomeRefused, MessageReplayed, NoPassive
from broker.saml import errors

NOW = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)
SKEW = timedelta(seconds=60)
SECOND = timedelta(seconds=1)
ACS = "https://broker.example/saml/sp/acs"
US = "https://broker.example/saml/sp/metadata"
CITY = "https://adfs.pori.example/adfs/services/trust"
MAIL = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress"
FORMAT = "urn:oasis:names:tc:SAML:2.0:nameid-format:"
OLD_FORMAT = "urn:oasis:names:tc:SAML:1.1:nameid-format:"
STATUS = "urn:oasis:names:tc:SAML:2.0:status:"


def test_profiles_4_1_4_2_a_good_answer_is_what_it_says(upstream: Any) -> None:
    accepted = upstream.answer()

    assert accepted.idp == "pori-adfs"
    assert accepted.subject == "pori-4711"
    assert accepted.attributes == {MAIL: ("aino@pori.fi",)}
    assert accepted.authn_instant == NOW - timedelta(seconds=30)
    assert accepted.authn_context == "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport"
    assert accepted.session == {"name_id": "pori-4711", "name_id_format": FORMAT + "persistent", "session_index": "_s1"}


@pytest.mark.parametrize(
    ("response", "assertion"), [(True, False), (False, True)], ids=["response_only", "assertion_only"]
)
def test_profiles_4_1_4_5_one_signature_is_enough(upstream: Any, response: bool, assertion: bool) -> None:
    assert upstream.post(upstream.signed(upstream.draft, response=response, assertion=assertion)).subject


# --- the Response ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("destination", [None, "", ACS + "/", ACS + "?", ACS.upper(), US, "https://other.example/acs"])
def test_bindings_3_5_5_2_Destination_is_our_ACS(upstream: Any, destination: str | None) -> None:
    with pytest.raises(errors.WrongDestination):
        upstream.answer(destination=destination)


@pytest.mark.parametrize("request_id", [None, "_another"], ids=["unsolicited", "other_request"])
def test_profiles_4_1_4_3_InResponseTo_of_the_Response_is_our_request(upstream: Any, request_id: str | None) -> None:
    with pytest.raises(errors.WrongInResponseTo):
        upstream.answer(in_response_to=request_id)


@pytest.mark.parametrize("request_id", [None, "_another"], ids=["unsolicited", "other_request"])
def test_profiles_4_1_4_3_InResponseTo_of_the_confirmation_is_our_request(
    upstream: Any, request_id: str | None
) -> None:
    with pytest.raises(errors.WrongInResponseTo):
        upstream.answer(confirmed_in_response_to=request_id)


@pytest.mark.parametrize("issuer", [None, "https://idp.ulvila.example/idp", CITY + "/", ""])
def test_profiles_4_1_4_2_Issuer_of_the_Response_is_the_city_that_was_asked(upstream: Any, issuer: str | None) -> None:
    draft = replace(upstream.draft, issuer=issuer)
    with pytest.raises(errors.WrongIssuer):
        upstream.post(upstream.signed(draft, response=issuer is not None))


def test_profiles_4_1_4_2_Issuer_of_the_assertion_is_the_city_that_was_asked(upstream: Any) -> None:
    with pytest.raises(errors.WrongIssuer):
        upstream.answer(assertion_issuer="https://idp.ulvila.example/idp")


def test_core_3_2_2_the_city_s_refusal_is_told_with_its_status(upstream: Any) -> None:
    with pytest.raises(HomeRefused) as refused:
        upstream.answer(status=(STATUS + "Responder", STATUS + "AuthnFailed"), with_assertion=False)

    assert refused.value.context == {"identity_provider": "pori-adfs", "status": "Responder AuthnFailed"}


def test_core_3_2_2_an_unsigned_refusal_is_believed(upstream: Any) -> None:
    draft = replace(upstream.draft, status=(STATUS + "Requester",), with_assertion=False)
    with pytest.raises(HomeRefused):
        upstream.post(upstream.signed(draft, response=False))


def test_core_3_2_2_an_unsigned_refusal_of_another_login_is_not(upstream: Any) -> None:
    draft = replace(upstream.draft, status=(STATUS + "Requester",), with_assertion=False, in_response_to="_another")
    with pytest.raises(errors.WrongInResponseTo):
        upstream.post(upstream.signed(draft, response=False))


def test_core_3_2_2_success_beneath_a_failure_is_a_failure(upstream: Any) -> None:
    with pytest.raises(HomeRefused):
        upstream.answer(status=(STATUS + "Responder", STATUS + "Success"))


def test_core_3_4_1_NoPassive_is_the_service_s_NoPassive(upstream: Any) -> None:
    with pytest.raises(NoPassive):
        upstream.answer(status=(STATUS + "Responder", STATUS + "NoPassive"), with_assertion=False)


@pytest.mark.parametrize("kind", ["LogoutResponse", "ArtifactResponse"])
def test_core_3_3_3_a_response_of_another_kind(upstream: Any, kind: str) -> None:
    xml = upstream.signed(replace(upstream.draft, with_assertion=False), response=False)
    with pytest.raises(errors.NotAResponse):
        upstream.post(xml.replace("samlp:Response", f"samlp:{kind}"))


def test_core_4_1_another_version_is_refused(upstream: Any) -> None:
    with pytest.raises(errors.NotAResponse):
        upstream.answer(version="2.1")


# --- saml-core 2.5: conditions -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "audiences",
    [
        pytest.param((), id="none_given"),
        pytest.param((("https://other.example",),), id="names_someone_else"),
        pytest.param(((US,), ("https://other.example",)), id="only_one_of_two_names_us"),
        pytest.param(((US + "/",),), id="nearly_us"),
    ],
)
def test_core_2_5_1_4_an_assertion_not_meant_for_us(upstream: Any, audiences: tuple[tuple[str, ...], ...]) -> None:
    with pytest.raises(errors.WrongAudience):
        upstream.answer(audiences=audiences)


@pytest.mark.parametrize(
    "audiences", [(("https://other.example", US),), ((US,), (US, "https://other.example"))], ids=["or", "and"]
)
def test_core_2_5_1_4_an_assertion_meant_for_us_and_others(
    upstream: Any, audiences: tuple[tuple[str, ...], ...]
) -> None:
    assert upstream.answer(audiences=audiences).subject


def test_core_2_5_1_4_without_any_condition_it_is_for_nobody(upstream: Any) -> None:
    with pytest.raises(errors.WrongAudience):
        upstream.answer(no_conditions=True)


def test_core_2_5_1_2_NotBefore(upstream: Any) -> None:
    assert upstream.answer(not_before=NOW + SKEW).subject
    with pytest.raises(errors.NotYetValid):
        upstream.answer(not_before=NOW + SKEW + SECOND)


def test_core_2_5_1_2_NotOnOrAfter(upstream: Any) -> None:
    assert upstream.answer(not_on_or_after=NOW - SKEW + SECOND).subject
    with pytest.raises(errors.Expired):
        upstream.answer(not_on_or_after=NOW - SKEW)


def test_core_2_3_3_an_assertion_issued_in_the_future(upstream: Any) -> None:
    with pytest.raises(errors.NotYetValid):
        upstream.answer(issue_instant=NOW + SKEW + SECOND)


def test_core_2_5_1_5_OneTimeUse_is_what_always_holds(upstream: Any) -> None:
    assert upstream.answer(conditions="<saml:OneTimeUse/>").subject


@pytest.mark.parametrize(
    "restriction",
    [
        pytest.param('<saml:ProxyRestriction Count="0"/>', id="Count_0"),
        pytest.param('<saml:ProxyRestriction Count=" 0 "/>', id="Count_0_with_spaces"),
        pytest.param(
            '<saml:ProxyRestriction Count="5"/><saml:ProxyRestriction Count="0"/>', id="the_smaller_of_two_Counts"
        ),
        pytest.param(
            '<saml:ProxyRestriction Count="5"><saml:Audience>https://wiki.example</saml:Audience></saml:ProxyRestriction>',
            id="Audience",
        ),
    ],
)
def test_core_2_5_1_6_ProxyRestriction_that_forbids_us(upstream: Any, restriction: str) -> None:
    with pytest.raises(errors.ProxyingForbidden):
        upstream.answer(conditions=restriction)


@pytest.mark.parametrize(
    ("restriction", "count"),
    [
        pytest.param("", None, id="none"),
        pytest.param("<saml:ProxyRestriction/>", None, id="no_Count"),
        pytest.param('<saml:ProxyRestriction Count="1"/>', 1, id="Count_1"),
        pytest.param('<saml:ProxyRestriction Count="7"/>', 7, id="Count_7"),
    ],
)
def test_core_2_5_1_6_ProxyRestriction_that_lets_us_pass_the_login_on(
    upstream: Any, restriction: str, count: int | None
) -> None:
    assert upstream.answer(conditions=restriction).proxy_count == count


def test_a_Count_of_too_many_digits(upstream: Any) -> None:
    with pytest.raises(errors.UnreadableResponse):
        upstream.answer(conditions=f'<saml:ProxyRestriction Count="{"9" * 30}"/>')


def test_core_2_5_1_an_unknown_condition_is_refused(upstream: Any) -> None:
    # An extension by xsi:type is no part of the schema that we know.
    with pytest.raises(errors.UnreadableResponse) as refused:
        upstream.answer(conditions='<saml:Condition xmlns:x="urn:x" xsi:type="x:Condition"/>')
    assert refused.value.context["check"] == "schema"


# --- saml-core 2.4: the subject ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("recipient", [None, "", US, ACS + "/", "https://other.example/acs"])
def test_profiles_4_1_4_3_Recipient_is_our_ACS(upstream: Any, recipient: str | None) -> None:
    with pytest.raises(errors.WrongRecipient):
        upstream.answer(recipient=recipient)


def test_profiles_4_1_4_3_NotOnOrAfter_of_the_confirmation(upstream: Any) -> None:
    assert upstream.answer(confirmed_until=NOW - SKEW + SECOND).subject
    for too_late in (NOW - SKEW, None):
        with pytest.raises(errors.Expired):
            upstream.answer(confirmed_until=too_late)


def test_profiles_4_1_4_2_NotBefore_of_the_confirmation_is_forbidden(upstream: Any) -> None:
    with pytest.raises(errors.NotBearer):
        upstream.answer(confirmed_from=NOW - SECOND)


@pytest.mark.parametrize("method", ["holder-of-key", "sender-vouches"])
def test_profiles_4_1_4_2_another_confirmation_than_bearer(upstream: Any, method: str) -> None:
    with pytest.raises(errors.NotBearer):
        upstream.answer(method=f"urn:oasis:names:tc:SAML:2.0:cm:{method}")


def test_profiles_4_1_4_2_no_confirmation(upstream: Any) -> None:
    with pytest.raises(errors.NotBearer):
        upstream.answer(confirmations="")


def test_profiles_4_1_4_2_one_of_several_confirmations_holds(upstream: Any) -> None:
    draft = upstream.draft
    wrong = replace(draft, recipient="https://other.example")._confirmations()
    assert upstream.answer(confirmations=wrong + draft._confirmations()).subject


@pytest.mark.parametrize(
    ("name_id", "subject"),
    [
        pytest.param(f'<saml:NameID Format="{FORMAT}persistent">p-1</saml:NameID>', "p-1", id="persistent"),
        pytest.param(f'<saml:NameID Format="{OLD_FORMAT}unspecified">p-1</saml:NameID>', "p-1", id="unspecified"),
        pytest.param("<saml:NameID>p-1</saml:NameID>", "p-1", id="adfs_without_format"),
        pytest.param(f'<saml:NameID Format="{FORMAT}transient">t-1</saml:NameID>', None, id="transient"),
        pytest.param(f'<saml:NameID Format="{OLD_FORMAT}emailAddress">a@pori.fi</saml:NameID>', None, id="address"),
        pytest.param(f'<saml:NameID Format="{FORMAT}persistent"> </saml:NameID>', None, id="blank"),
        pytest.param("", None, id="none"),
        pytest.param(
            f'<saml:NameID Format="{FORMAT}persistent" NameQualifier="{CITY}" SPNameQualifier="{US}">p-1</saml:NameID>',
            "p-1",
            id="qualified_by_the_two_of_us",
        ),
    ],
)
def test_core_8_3_which_NameID_is_a_person_s_key(upstream: Any, name_id: str, subject: str | None) -> None:
    assert upstream.answer(name_id=name_id).subject == subject


@pytest.mark.parametrize("qualifier", ["NameQualifier", "SPNameQualifier"])
def test_core_8_3_7_a_persistent_identifier_of_someone_else(upstream: Any, qualifier: str) -> None:
    with pytest.raises(errors.ForeignNameQualifier):
        upstream.answer(
            name_id=f'<saml:NameID Format="{FORMAT}persistent" {qualifier}="https://other.example">p-1</saml:NameID>'
        )


# --- saml-core 2.7: statements -------------------------------------------------------------------------------------------


def test_profiles_4_1_4_2_an_assertion_without_AuthnStatement_is_no_login(upstream: Any) -> None:
    with pytest.raises(errors.NoAuthnStatement):
        upstream.answer(authn_statement="")


def test_core_2_7_2_SessionNotOnOrAfter(upstream: Any) -> None:
    assert upstream.answer(session_until=NOW - SKEW + SECOND).subject
    with pytest.raises(errors.SessionEnded):
        upstream.answer(session_until=NOW - SKEW)


def test_core_2_7_2_AuthnInstant_in_the_future(upstream: Any) -> None:
    assert upstream.answer(authn_instant=NOW + SKEW).subject
    with pytest.raises(errors.AuthnInstantInFuture):
        upstream.answer(authn_instant=NOW + SKEW + SECOND)


def test_core_2_7_2_4_who_authenticated_and_how(upstream: Any) -> None:
    accepted = upstream.answer(
        authn_statement=(
            '<saml:AuthnStatement AuthnInstant="2026-01-15T13:59:00.1234567+02:00"><saml:AuthnContext>'
            "<saml:AuthnContextClassRef>https://refeds.org/profile/mfa</saml:AuthnContextClassRef>"
            "<saml:AuthenticatingAuthority>https://idp.example</saml:AuthenticatingAuthority>"
            "</saml:AuthnContext></saml:AuthnStatement>"
        )
    )
    assert accepted.authn_context == "https://refeds.org/profile/mfa"
    assert accepted.authenticating_authorities == ("https://idp.example",)
    assert accepted.authn_instant == datetime(2026, 1, 15, 11, 59, 0, 123456, tzinfo=UTC)


def test_core_2_7_3_attributes_are_read_as_they_were_sent(upstream: Any) -> None:
    sent = {"urn:oid:1.2": ("Ä &amp; Ö", "b"), "Mail": ("x",), "mail": ("y",), "empty": ("",)}
    assert upstream.answer(attributes=sent).attributes == {
        "urn:oid:1.2": ("Ä & Ö", "b"),
        "Mail": ("x",),
        "mail": ("y",),
        "empty": (),
    }


def test_core_2_7_3_1_1_structured_values_are_left_out_but_for_eduPersonTargetedID(upstream: Any, tool: Any) -> None:
    sent = {"targeted": ("<saml:NameID>t-1</saml:NameID>",), "structured": ('<x:y xmlns:x="urn:x">z</x:y>',)}
    xml = upstream.signed(replace(upstream.draft, attributes=sent), response=False, assertion=False)
    plain = xml.replace(' xsi:type="xs:string"', "")
    assert upstream.post(tool.sign(plain, upstream.pairs["city"])).attributes == {
        "targeted": ("t-1",),
        "structured": (),
    }


# --- saml-core 6: encryption ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", ["Aes128Gcm", "Aes192Gcm", "Aes256Gcm"])
def test_core_6_2_an_encrypted_assertion_is_opened(upstream: Any, data: str) -> None:
    sealed = upstream.encrypted(upstream.draft, response=False, data=data)
    assert "aino@pori.fi" not in sealed
    assert upstream.post(sealed).attributes == {MAIL: ("aino@pori.fi",)}


@pytest.mark.parametrize("data", ["Aes128Gcm", "Aes128Cbc", "Aes256Cbc"])
def test_core_6_2_an_unsigned_assertion_in_a_signed_Response(upstream: Any, data: str) -> None:
    assert upstream.post(upstream.encrypted(upstream.draft, assertion=False, data=data)).subject == "pori-4711"


def test_core_2_2_4_an_encrypted_NameID_is_opened(upstream: Any, tool: Any) -> None:
    certificate = upstream.keys.active(tool.keyring.KeyUse.SAML_ENCRYPTION).certificate
    name_id = upstream.draft.name_id.replace("<saml:NameID", f'<saml:NameID xmlns:saml="{tool.SAML}"')
    sealed = tool.encrypt(name_id, certificate).replace("EncryptedAssertion", "EncryptedID")
    accepted = upstream.answer(name_id=sealed)
    assert accepted.subject == "pori-4711"
    assert accepted.session["name_id"] == "pori-4711"


# --- P2 --------------------------------------------------------------------------------------------------------------------


def test_P2_profiles_4_1_4_5_an_assertion_is_accepted_once(upstream: Any) -> None:
    octets = upstream.signed(upstream.draft)
    upstream.post(octets)
    with pytest.raises(MessageReplayed):
        upstream.post(octets)


def test_P2_its_ID_is_remembered_as_long_as_it_could_be_accepted(upstream: Any) -> None:
    upstream.answer(confirmed_until=NOW + timedelta(minutes=30), not_on_or_after=None)
    assert upstream.replay.seen[CITY, "_assertion"] > timedelta(minutes=31)


def test_metadata_2_3_2_a_city_whose_metadata_ran_out(upstream: Any, tool: Any) -> None:
    content = tool.idp_metadata(CITY, upstream.pairs["city"], more=' validUntil="2026-01-15T12:00:00Z"')
    octets = upstream.signed(upstream.draft)
    upstream.idp = tool.identity_provider("pori-adfs", tool.PORI, CITY, content)
    with pytest.raises(errors.IdentityProviderMetadataExpired):
        upstream.post(octets)
    with pytest.raises(errors.IdentityProviderMetadataExpired):
        upstream.depart()


def test_metadata_2_4_1_1_during_a_key_change_either_key_verifies(upstream: Any, tool: Any) -> None:
    content = tool.idp_metadata(CITY, upstream.pairs["stranger"], upstream.pairs["city"])
    upstream.idp = tool.identity_provider("pori-adfs", tool.PORI, CITY, content)
    assert upstream.answer().subject
