"""A service's AuthnRequest, read and checked (saml-core 3.4.1, saml-profiles 4.1.4.1; promise P5)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from broker.errors import REQUESTER, RESPONDER, MalformedMessage, UnknownService, UnregisteredAddress
from broker.login.edges import RefusedRequest
from broker.login.request import Comparison
from broker.saml import errors

NOW = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)
SKEW = timedelta(seconds=60)
SECOND = timedelta(seconds=1)
SSO = "https://broker.example/saml/idp/sso"
ACS = "https://wiki.example/saml/acs"
OTHER_ACS = "https://wiki.example/saml/acs2"
POST = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"
ARTIFACT = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Artifact"
STATUS = "urn:oasis:names:tc:SAML:2.0:status:"
PERSISTENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"
TRANSIENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"
EMAIL = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"
UNSPECIFIED = "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified"


def at(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def test_core_3_4_1_a_plain_request(downstream: Any) -> None:
    request = downstream.redirect(downstream.request())

    assert request.service == "wiki"
    assert request.reply["acs"] == ACS
    assert request.reply["request_id"] == "_request"
    assert request.reply["relay_state"] == "rs"
    assert not request.force_authn
    assert not request.passive
    assert request.requested_contexts == ()


def test_bindings_3_4_3_without_RelayState_none_goes_back(downstream: Any) -> None:
    request = downstream.redirect(downstream.request(), relay_state=None)
    assert "relay_state" not in request.reply
    assert "RelayState" not in downstream.deliver(request).fields


# --- a page, never a redirect ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("issuer", ["", "https://nobody.example", "https://wiki.example/saml/metadata/"])
def test_profiles_4_1_4_1_an_unknown_Issuer(downstream: Any, issuer: str) -> None:
    with pytest.raises(UnknownService):
        downstream.redirect(downstream.request(Issuer=issuer))


@pytest.mark.parametrize(
    "url", [ACS + "/", ACS + "?x=1", ACS.upper(), "https://evil.example/acs", "", "https://wiki.example/saml/acs\n"]
)
def test_P5_an_unregistered_AssertionConsumerServiceURL(downstream: Any, url: str) -> None:
    with pytest.raises(UnregisteredAddress):
        downstream.redirect(downstream.request(AssertionConsumerServiceURL=url))


def test_P5_an_unregistered_AssertionConsumerServiceIndex(downstream: Any) -> None:
    with pytest.raises(UnregisteredAddress):
        downstream.redirect(downstream.request(AssertionConsumerServiceURL=None, AssertionConsumerServiceIndex="7"))


def test_core_3_4_1_URL_and_index_exclude_each_other(downstream: Any) -> None:
    with pytest.raises(UnregisteredAddress):
        downstream.redirect(downstream.request(AssertionConsumerServiceIndex="0"))


def test_P5_an_address_of_the_metadata_that_takes_no_responses(downstream: Any, tool: Any) -> None:
    downstream.register(acs=tool.acs_element() + tool.acs_element(OTHER_ACS, 1, "PAOS"))
    with pytest.raises(UnregisteredAddress):
        downstream.redirect(downstream.request(AssertionConsumerServiceURL=OTHER_ACS))


@pytest.mark.parametrize(
    ("asked", "acs", "binding"),
    [
        pytest.param({"AssertionConsumerServiceURL": OTHER_ACS}, OTHER_ACS, ARTIFACT, id="by_address"),
        pytest.param({"AssertionConsumerServiceURL": ACS}, ACS, POST, id="by_the_other_address"),
        pytest.param({"AssertionConsumerServiceIndex": "1"}, OTHER_ACS, ARTIFACT, id="by_index"),
        pytest.param({"ProtocolBinding": ARTIFACT}, OTHER_ACS, ARTIFACT, id="the_default_of_the_binding"),
        pytest.param({}, ACS, POST, id="the_default"),
    ],
)
def test_core_3_4_1_the_address_says_by_which_binding_the_answer_comes(
    downstream: Any, tool: Any, asked: dict[str, str], acs: str, binding: str
) -> None:
    downstream.register(acs=tool.acs_element() + tool.acs_element(OTHER_ACS, 1, "HTTP-Artifact"))
    request = downstream.redirect(downstream.request(**{"AssertionConsumerServiceURL": None, **asked}))
    assert (request.reply["acs"], request.reply["acs_binding"]) == (acs, binding)


def test_core_3_4_1_one_address_by_two_bindings(downstream: Any, tool: Any) -> None:
    downstream.register(acs=tool.acs_element() + tool.acs_element(ACS, 1, "HTTP-Artifact"))
    for binding in (POST, ARTIFACT):
        assert downstream.redirect(downstream.request(ProtocolBinding=binding)).reply["acs_binding"] == binding


def test_core_3_4_1_by_index(downstream: Any, tool: Any) -> None:
    downstream.register(acs=tool.acs_element() + tool.acs_element(OTHER_ACS, 5))
    request = downstream.request(AssertionConsumerServiceURL=None, AssertionConsumerServiceIndex="5")
    assert downstream.redirect(request).reply["acs"] == OTHER_ACS


@pytest.mark.parametrize(
    ("first", "second", "chosen"),
    [
        pytest.param("", ' isDefault="true"', OTHER_ACS, id="the_one_marked"),
        pytest.param(' isDefault="false"', "", OTHER_ACS, id="the_first_not_excluded"),
        pytest.param(' isDefault="false"', ' isDefault="false"', ACS, id="else_the_first"),
        pytest.param("", "", ACS, id="nothing_said"),
    ],
)
def test_metadata_2_2_3_the_default(downstream: Any, tool: Any, first: str, second: str, chosen: str) -> None:
    downstream.register(acs=tool.acs_element(more=first) + tool.acs_element(OTHER_ACS, 1, more=second))
    request = downstream.redirect(downstream.request(AssertionConsumerServiceURL=None))
    assert request.reply["acs"] == chosen


def test_metadata_2_3_2_a_service_whose_metadata_ran_out(downstream: Any) -> None:
    downstream.register(more=' validUntil="2026-01-15T12:00:00Z"')
    with pytest.raises(errors.ServiceMetadataExpired):
        downstream.redirect(downstream.request())


def test_core_3_4_1_another_message(downstream: Any) -> None:
    xml = downstream.request(AssertionConsumerServiceURL=None).replace(
        "samlp:AuthnRequest", "samlp:ManageNameIDRequest"
    )
    with pytest.raises(MalformedMessage):
        downstream.redirect(xml)


# --- signatures and Destination --------------------------------------------------------------------------------------------


def test_bindings_3_4_4_1_a_good_signature(downstream: Any) -> None:
    downstream.register(attributes=("mail",), content=None)
    assert downstream.redirect(downstream.request(), by="service").service == "wiki"
    assert downstream.posted(downstream.request(), by="service").service == "wiki"


def test_metadata_2_4_4_AuthnRequestsSigned_is_kept(downstream: Any, tool: Any, pairs: Any) -> None:
    content = tool.sp_metadata(
        role=' AuthnRequestsSigned="true"', key_descriptors=tool.key_descriptor(pairs["service"])
    )
    downstream.register(content)
    assert downstream.redirect(downstream.request(), by="service").service == "wiki"
    for send in (downstream.redirect, downstream.posted):
        with pytest.raises(errors.RequestSignatureInvalid) as refused:
            send(downstream.request())
        assert refused.value.context["check"] == "unsigned"


def test_bindings_3_4_4_1_by_Redirect_a_signature_inside_the_message_is_none(
    downstream: Any, tool: Any, pairs: Any
) -> None:
    content = tool.sp_metadata(
        role=' AuthnRequestsSigned="true"', key_descriptors=tool.key_descriptor(pairs["service"])
    )
    downstream.register(content)
    with pytest.raises(errors.RequestSignatureInvalid):
        downstream.redirect(tool.sign(downstream.request(), pairs["service"]))


@pytest.mark.parametrize("by", ["stranger", "city"])
def test_a_wrong_signature_is_refused_even_where_none_is_needed(downstream: Any, by: str) -> None:
    for send in (downstream.redirect, downstream.posted):
        with pytest.raises(errors.RequestSignatureInvalid) as refused:
            send(downstream.request(), by=by)
        assert refused.value.context["check"] == "signature_wrong"


def test_a_service_without_keys_counts_as_unsigned(downstream: Any) -> None:
    downstream.register(key_descriptors="")
    assert downstream.redirect(downstream.request(), by="stranger").service == "wiki"


def test_a_registration_may_demand_signed_requests(downstream: Any) -> None:
    downstream.register(registration={"sign_requests": True})
    assert downstream.redirect(downstream.request(), by="service").service == "wiki"
    for send in (downstream.redirect, downstream.posted):
        with pytest.raises(errors.RequestSignatureInvalid) as refused:
            send(downstream.request())
        assert refused.value.context["check"] == "unsigned"


def test_a_demanded_signature_without_keys_to_check_it_is_none(downstream: Any) -> None:
    downstream.register(registration={"sign_requests": True}, key_descriptors="")
    with pytest.raises(errors.RequestSignatureInvalid):
        downstream.redirect(downstream.request(), by="stranger")


@pytest.mark.parametrize("destination", ["", SSO + "/", "https://other.example/sso", "https://broker.example/saml/idp"])
def test_core_3_2_1_Destination_is_our_address(downstream: Any, destination: str) -> None:
    with pytest.raises(errors.RequestWrongDestination):
        downstream.redirect(downstream.request(Destination=destination))


def test_bindings_3_4_5_2_a_signed_request_has_a_Destination(downstream: Any) -> None:
    request = downstream.request(Destination=None)
    assert downstream.redirect(request).service == "wiki"
    with pytest.raises(errors.RequestWrongDestination):
        downstream.redirect(request, by="service")
    with pytest.raises(errors.RequestWrongDestination):
        downstream.posted(request, by="service")


# --- hints ---------------------------------------------------------------------------------------------------------------


def test_the_organisation_is_named_beside_the_signed_octets(downstream: Any) -> None:
    request = downstream.redirect(
        downstream.request(Destination=SSO + "?organisation=pori"), by="service", more="&organisation=pori"
    )
    assert request.hints.organisation == "pori"


def test_the_organisation_is_named_in_the_address_that_is_posted_to(downstream: Any) -> None:
    assert downstream.posted(downstream.request(), raw_query="organisation=pori").hints.organisation == "pori"


def test_core_3_4_1_2_IDPList_names_identity_providers(downstream: Any) -> None:
    listed = '<samlp:Scoping><samlp:IDPList><samlp:IDPEntry ProviderID="https://a"/></samlp:IDPList></samlp:Scoping>'
    assert downstream.redirect(downstream.request(listed)).hints.identity_providers == ("https://a",)


# --- what is asked of the login ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("written", "meant"), [("true", True), ("1", True), ("false", False), ("0", False)])
def test_core_3_4_1_ForceAuthn_and_IsPassive(downstream: Any, written: str, meant: bool) -> None:
    request = downstream.redirect(downstream.request(ForceAuthn=written, IsPassive=written))
    assert (request.force_authn, request.passive) == (meant, meant)


@pytest.mark.parametrize("comparison", [None, "exact", "minimum", "maximum", "better"])
def test_core_3_3_2_2_1_RequestedAuthnContext(downstream: Any, comparison: str | None) -> None:
    attribute = f' Comparison="{comparison}"' if comparison else ""
    asked = (
        f"<samlp:RequestedAuthnContext{attribute}><saml:AuthnContextClassRef>urn:a</saml:AuthnContextClassRef>"
        "<saml:AuthnContextClassRef> urn:b </saml:AuthnContextClassRef></samlp:RequestedAuthnContext>"
    )
    request = downstream.redirect(downstream.request(asked))
    assert request.requested_contexts == ("urn:a", "urn:b")
    assert request.comparison is Comparison(comparison or "exact")


@pytest.mark.parametrize(
    ("format", "formats"),
    [
        (PERSISTENT, [PERSISTENT]),
        (TRANSIENT, [TRANSIENT]),
        pytest.param(EMAIL, [EMAIL], id="an_address_where_it_is_registered"),
        (UNSPECIFIED, [PERSISTENT]),
        (None, [PERSISTENT]),
    ],
)
def test_core_3_4_1_1_NameIDPolicy(downstream: Any, format: str | None, formats: list[str]) -> None:
    attribute = f' Format="{format}"' if format else ""
    request = downstream.redirect(downstream.request(f"<samlp:NameIDPolicy{attribute}/>"))
    assert request.reply["name_id_formats"].split() == formats


def test_metadata_2_4_2_without_a_policy_the_metadata_s_formats_in_their_order(downstream: Any) -> None:
    downstream.register(formats=("urn:oasis:names:tc:SAML:2.0:nameid-format:kerberos", TRANSIENT, PERSISTENT))
    assert downstream.redirect(downstream.request()).reply["name_id_formats"].split() == [TRANSIENT, PERSISTENT]


# --- refused in the service's own protocol -----------------------------------------------------------------------------------


def refused(downstream: Any, xml: str, fault: type[Exception]) -> tuple[str, ...]:
    """The status that goes back, to the verified address."""
    with pytest.raises(RefusedRequest) as raised:
        downstream.redirect(xml)
    assert type(raised.value.fault) is fault
    assert raised.value.request.reply["acs"] == ACS
    assert raised.value.request.reply["relay_state"] == "rs"
    return raised.value.fault.saml_status


@pytest.mark.parametrize("issued", [NOW + SKEW + SECOND, NOW - timedelta(minutes=5) - SKEW - SECOND])
def test_core_3_2_1_IssueInstant(downstream: Any, issued: datetime) -> None:
    status = refused(downstream, downstream.request(IssueInstant=at(issued)), errors.RequestExpired)
    assert status == (REQUESTER,)


@pytest.mark.parametrize("issued", [NOW + SKEW, NOW - timedelta(minutes=5) - SKEW])
def test_core_3_2_1_IssueInstant_within_the_skew(downstream: Any, issued: datetime) -> None:
    assert downstream.redirect(downstream.request(IssueInstant=at(issued))).service == "wiki"


def test_core_3_2_1_another_Version(downstream: Any) -> None:
    refused(downstream, downstream.request(Version="2.1"), errors.RequestUnsupported)


def test_core_3_4_1_ProtocolBinding_by_which_the_address_takes_nothing(downstream: Any) -> None:
    assert downstream.redirect(downstream.request(ProtocolBinding=POST)).service == "wiki"
    status = refused(downstream, downstream.request(ProtocolBinding=ARTIFACT), errors.UnsupportedBinding)
    assert status == (REQUESTER, STATUS + "UnsupportedBinding")


@pytest.mark.parametrize(
    "policy",
    [
        'Format="urn:oasis:names:tc:SAML:2.0:nameid-format:kerberos"',
        'Format="urn:oasis:names:tc:SAML:2.0:nameid-format:encrypted"',
        'SPNameQualifier="https://other.example"',
    ],
)
def test_core_3_4_1_1_InvalidNameIDPolicy(downstream: Any, policy: str) -> None:
    status = refused(downstream, downstream.request(f"<samlp:NameIDPolicy {policy}/>"), errors.InvalidNameIdPolicy)
    assert status == (REQUESTER, STATUS + "InvalidNameIDPolicy")


def test_P4_an_address_as_NameID_only_where_it_is_registered(downstream: Any) -> None:
    downstream.register(attributes=("displayName",), formats=(EMAIL, TRANSIENT))
    assert downstream.redirect(downstream.request()).reply["name_id_formats"].split() == [TRANSIENT]
    refused(downstream, downstream.request(f'<samlp:NameIDPolicy Format="{EMAIL}"/>'), errors.InvalidNameIdPolicy)


@pytest.mark.parametrize(("allowed", "left"), [("1", 0), ("5", 4), (" 2 ", 1)])
def test_core_3_4_1_5_1_ProxyCount_is_passed_on_less_one(downstream: Any, allowed: str, left: int) -> None:
    request = downstream.redirect(downstream.request(f'<samlp:Scoping ProxyCount="{allowed}"/>'))
    assert request.proxy_count == left


def test_core_3_4_1_5_1_a_ProxyCount_that_is_no_number_of_this_world(downstream: Any) -> None:
    with pytest.raises(MalformedMessage):
        downstream.redirect(downstream.request(f'<samlp:Scoping ProxyCount="{"9" * 5000}"/>'))


def test_core_3_4_1_2_RequesterID_is_passed_on(downstream: Any) -> None:
    chain = "<samlp:RequesterID>https://a</samlp:RequesterID><samlp:RequesterID>https://b</samlp:RequesterID>"
    request = downstream.redirect(downstream.request(f"<samlp:Scoping>{chain}</samlp:Scoping>"))
    assert request.requesters == ("https://a", "https://b")


# --- attributes ---------------------------------------------------------------------------------------------------------------


def attribute_sets(*sets: tuple[int, tuple[str, ...]]) -> str:
    """AttributeConsumingServices: index and the Names that each holds."""
    return "".join(
        f'<md:AttributeConsumingService index="{index}"><md:ServiceName xml:lang="en">Wiki</md:ServiceName>'
        + "".join(f'<md:RequestedAttribute Name="{name}"/>' for name in wanted)
        + "</md:AttributeConsumingService>"
        for index, wanted in sets
    )


def test_core_3_4_1_AttributeConsumingServiceIndex_names_fewer_attributes(downstream: Any, tool: Any) -> None:
    sets = attribute_sets(
        (1, ("urn:oid:2.16.840.1.113730.3.1.241", "urn:unknown")), (2, ("urn:oid:0.9.2342.19200300.100.1.3",))
    )
    downstream.register(acs=tool.acs_element() + sets)
    assert downstream.redirect(downstream.request()).attributes is None
    assert downstream.redirect(downstream.request(AttributeConsumingServiceIndex="1")).attributes == ("displayName",)
    assert downstream.redirect(downstream.request(AttributeConsumingServiceIndex="2")).attributes == ("mail",)


def test_core_3_4_1_an_unknown_AttributeConsumingServiceIndex(downstream: Any) -> None:
    status = refused(
        downstream,
        downstream.request(AttributeConsumingServiceIndex="7"),
        errors.UnknownAttributeConsumingService,
    )
    assert status == (REQUESTER, STATUS + "RequestUnsupported")


@pytest.mark.parametrize(
    ("value", "needed"), [("pairwise-id", True), ("any", True), ("subject-id", False), ("none", False), (None, False)]
)
def test_subject_id_attr_4_subject_id_req(downstream: Any, value: str | None, needed: bool) -> None:
    downstream.register(metadata_that_says(downstream, value))
    assert downstream.redirect(downstream.request()).needs_pairwise_id is needed


def metadata_that_says(downstream: Any, value: str | None) -> bytes:
    """The service's metadata with subject-id:req as an entity attribute."""
    content = downstream.service.metadata.content
    if value is None:
        return content
    extensions = (
        '<md:Extensions><mdattr:EntityAttributes xmlns:mdattr="urn:oasis:names:tc:SAML:metadata:attribute">'
        '<saml:Attribute xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion"'
        ' Name="urn:oasis:names:tc:SAML:profiles:subject-id:req"'
        ' NameFormat="urn:oasis:names:tc:SAML:2.0:attrname-format:uri">'
        f"<saml:AttributeValue>{value}</saml:AttributeValue></saml:Attribute></mdattr:EntityAttributes></md:Extensions>"
    )
    head, tag, tail = content.partition(b"<md:SPSSODescriptor")
    return head + extensions.encode() + tag + tail


def test_core_3_4_1_5_1_ProxyCount_zero(downstream: Any) -> None:
    status = refused(downstream, downstream.request('<samlp:Scoping ProxyCount="0"/>'), errors.ProxyCountExceeded)
    assert status == (RESPONDER, STATUS + "ProxyCountExceeded")
    assert downstream.redirect(downstream.request('<samlp:Scoping ProxyCount="1"/>')).service == "wiki"


def test_core_3_3_2_2_1_a_context_by_declaration(downstream: Any) -> None:
    asked = (
        "<samlp:RequestedAuthnContext><saml:AuthnContextDeclRef>urn:a</saml:AuthnContextDeclRef>"
        "</samlp:RequestedAuthnContext>"
    )
    status = refused(downstream, downstream.request(asked), errors.UnsupportedAuthnContext)
    assert status == (RESPONDER, STATUS + "NoAuthnContext")


def test_core_3_4_1_a_certain_Subject(downstream: Any) -> None:
    subject = "<saml:Subject><saml:NameID>aino</saml:NameID></saml:Subject>"
    status = refused(downstream, downstream.request(subject), errors.RequestUnsupported)
    assert status == (REQUESTER, STATUS + "RequestUnsupported")
