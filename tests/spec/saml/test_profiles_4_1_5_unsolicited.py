"""Unsolicited Responses (saml-profiles 4.1.5): ours to a service, and a city's to us, each only where it is registered."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from dataclasses import replace
from typing import Any

import pytest

from broker.errors import Fault, MalformedMessage, NoPassive, UnknownService
from broker.login.request import Hints, LoginRequest
from broker.saml import errors

ACS = "https://wiki.example/saml/acs"
CITY = "https://adfs.pori.example/adfs/services/trust"
NS = {"saml": "urn:oasis:names:tc:SAML:2.0:assertion", "samlp": "urn:oasis:names:tc:SAML:2.0:protocol"}
FORMAT = "urn:oasis:names:tc:SAML:2.0:nameid-format:"


# --- toward services ---------------------------------------------------------------------------------------------------------


def begin(downstream: Any, service: str = "wiki", relay_state: str | None = None, **hints: Any) -> LoginRequest:
    request = downstream.edge.begin_unsolicited(service, Hints(**hints), relay_state, downstream.federation)
    assert isinstance(request, LoginRequest)
    return request


def test_a_registered_service_gets_a_Response_that_answers_nothing(downstream: Any) -> None:
    downstream.register(registration={"unsolicited": True})
    delivery = downstream.deliver(begin(downstream, relay_state="/page"))

    assert delivery.url == ACS
    assert delivery.fields["RelayState"] == "/page"
    response = downstream.read(delivery)
    assert response.get("Destination") == ACS
    assert response.get("InResponseTo") is None
    data = response.find(".//saml:SubjectConfirmationData", NS)
    assert set(data.attrib) == {"Recipient", "NotOnOrAfter"}
    assert data.get("Recipient") == ACS


def test_without_RelayState_it_gets_none(downstream: Any) -> None:
    downstream.register(registration={"unsolicited": True})
    assert set(downstream.deliver(begin(downstream)).fields) == {"SAMLResponse"}


def test_it_is_what_a_request_without_any_wish_would_begin(downstream: Any) -> None:
    downstream.register(registration={"unsolicited": True}, formats=(FORMAT + "transient",))
    asked = downstream.redirect(downstream.request(AssertionConsumerServiceURL=None), relay_state=None)
    ours = begin(downstream)
    assert replace(asked, reply={}) == replace(ours, reply={})
    assert {**ours.reply, "request_id": "_request"} == asked.reply


def test_it_may_name_the_home_organisation(downstream: Any) -> None:
    downstream.register(registration={"unsolicited": True})
    assert begin(downstream, organisation="pori").hints == Hints(organisation="pori")


def test_an_error_answers_nothing_either(downstream: Any, tool: Any) -> None:
    downstream.register(registration={"unsolicited": True})
    transaction = tool.a_transaction(begin(downstream))
    delivery = asyncio.run(downstream.edge.refuse(transaction, NoPassive("no"), downstream.service))
    assert downstream.read(delivery).get("InResponseTo") is None


@pytest.mark.parametrize(
    ("service", "fault"), [("wiki", errors.UnsolicitedNotRegistered), ("other", UnknownService), ("", UnknownService)]
)
def test_any_other_service_is_refused(downstream: Any, service: str, fault: type[Fault]) -> None:
    with pytest.raises(fault):
        begin(downstream, service)


def test_bindings_3_5_3_a_RelayState_of_more_than_80_octets(downstream: Any) -> None:
    downstream.register(registration={"unsolicited": True})
    assert begin(downstream, relay_state="x" * 80)
    with pytest.raises(MalformedMessage):
        begin(downstream, relay_state="x" * 2000)


# --- toward cities -----------------------------------------------------------------------------------------------------------


def unsolicited(upstream: Any, **changes: Any) -> str:
    return str(upstream.signed(replace(upstream.draft, in_response_to=None, confirmed_in_response_to=None, **changes)))


def read(upstream: Any, xml: str, *, registered: bool = True) -> Any:
    idp = replace(upstream.idp, unsolicited=registered)
    federation = replace(upstream.federation, identity_providers={idp.id: idp})
    message = {"SAMLResponse": b64encode(xml.encode()).decode(), "RelayState": "wiki"}
    return upstream.edge.read_unsolicited(message, federation)


def test_a_registered_city_is_asked_anew(upstream: Any) -> None:
    assert read(upstream, unsolicited(upstream)).id == upstream.idp.id


def test_nothing_in_it_is_believed_so_nothing_need_be_signed(upstream: Any) -> None:
    """It gives what a link to /saml/idp/unsolicited gives: a login that has yet to be answered."""
    assert read(upstream, upstream.signed(replace(upstream.draft, in_response_to=None), response=False)).id


def test_a_city_that_is_not_registered_for_it(upstream: Any) -> None:
    with pytest.raises(errors.UnsolicitedFromHome) as refused:
        read(upstream, unsolicited(upstream), registered=False)
    assert refused.value.context == {"identity_provider": "pori-adfs"}


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"issuer": "https://idp.example/nobody"}, id="of_nobody"),
        pytest.param({"destination": "https://other.example/acs"}, id="to_another"),
        pytest.param({"destination": None}, id="to_nobody"),
        pytest.param({"version": "2.1"}, id="another_version"),
    ],
)
def test_what_is_not_a_Response_of_a_city_to_us(upstream: Any, changes: dict[str, Any]) -> None:
    with pytest.raises(errors.UnsolicitedFromHome):
        read(upstream, unsolicited(upstream, **changes))


def test_P2_a_Response_that_answers_a_request_is_not_unsolicited(upstream: Any) -> None:
    with pytest.raises(errors.UnsolicitedFromHome):
        read(upstream, upstream.signed(upstream.draft))


def test_P2_an_unsolicited_Response_never_ends_a_login(upstream: Any) -> None:
    upstream.idp = replace(upstream.idp, unsolicited=True)
    with pytest.raises(errors.WrongInResponseTo):
        upstream.post(unsolicited(upstream))


@pytest.mark.parametrize("xml", ["", "<x/>", "<!DOCTYPE x><x/>"])
def test_P1_what_is_no_message(upstream: Any, xml: str) -> None:
    with pytest.raises(errors.UnreadableResponse):
        read(upstream, xml)


def test_an_artifact_comes_for_a_login_only(upstream: Any) -> None:
    artifact = b64encode(b"\x00\x04\x00\x00" + b"x" * 40).decode()
    with pytest.raises(errors.UnsolicitedFromHome):
        upstream.edge.read_unsolicited({"SAMLart": artifact, "RelayState": "wiki"}, upstream.federation)
