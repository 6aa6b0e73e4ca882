"""LoginTransaction's legal moves."""

from datetime import UTC, datetime

import pytest

from broker.errors import LoginUsedOrExpired, NoAgreement, OutOfOrder
from broker.federation.model import IdentityProviderId, OrganisationId, Protocol, ServiceId
from broker.login.request import LoginRequest
from broker.login.transaction import (
    LIFETIME,
    LoginTransaction,
    Stage,
    new_reference_code,
    new_transaction_id,
)

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
PORI = (IdentityProviderId("pori-adfs"), OrganisationId("pori"))


@pytest.fixture
def received() -> LoginTransaction:
    return LoginTransaction(
        id=new_transaction_id(),
        reference=new_reference_code(),
        browser="fingerprint",
        request=LoginRequest(service=ServiceId("shared-wiki"), protocol=Protocol.SAML, reply={"acs": "https://a"}),
        stage=Stage.RECEIVED,
        begun_at=NOW,
        expires_at=NOW + LIFETIME,
    )


def test_received_goes_to_a_city(received: LoginTransaction) -> None:
    sent = received.sent_to(*PORI, {"id": "_1"})
    assert (sent.stage, sent.idp, sent.organisation, sent.upstream) == (Stage.AT_IDP, *PORI, {"id": "_1"})


def test_choosing_again_leaves_nothing_of_the_first_request(received: LoginTransaction) -> None:
    again = received.sent_to(*PORI, {"id": "_1"}).sent_to(
        IdentityProviderId("ulvila-entra"), OrganisationId("ulvila"), {"nonce": "n"}
    )
    assert (again.idp, again.upstream) == ("ulvila-entra", {"nonce": "n"})


def test_a_refused_login_keeps_its_reason_and_forgets_the_citys_request(received: LoginTransaction) -> None:
    refused = received.sent_to(*PORI, {"id": "_1"}).refused(NoAgreement("why", service="shared-wiki"))
    assert (refused.stage, refused.refusal) == (Stage.REFUSED, "no_agreement")
    assert refused.refusal_context == {"service": "shared-wiki"}
    assert refused.upstream == {}


def test_a_refused_login_goes_to_no_city_unless_it_is_reopened(received: LoginTransaction) -> None:
    refused = received.refused(NoAgreement())
    with pytest.raises(OutOfOrder):
        refused.sent_to(*PORI, {})
    with pytest.raises(OutOfOrder):
        refused.refused(NoAgreement())
    assert refused.reopened() == received


def test_only_a_refused_login_is_reopened(received: LoginTransaction) -> None:
    with pytest.raises(OutOfOrder):
        received.reopened()


def test_p2_an_answer_counts_only_at_its_stage_and_within_its_time(received: LoginTransaction) -> None:
    sent = received.sent_to(*PORI, {})
    sent.expect(Stage.AT_IDP, NOW)
    with pytest.raises(OutOfOrder):
        received.expect(Stage.AT_IDP, NOW)
    with pytest.raises(LoginUsedOrExpired):
        sent.expect(Stage.AT_IDP, NOW + LIFETIME)


def test_ids_are_unguessable_and_codes_can_be_read_aloud() -> None:
    assert len({new_transaction_id() for _ in range(100)}) == 100
    assert len(new_transaction_id()) >= 43
    assert not set("".join(new_reference_code() for _ in range(500))) & set("01IO")
