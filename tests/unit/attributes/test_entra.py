"""attributes.md 5, Entra ID, OIDC: unverified mail ("nOAuth"), guests, groups overage."""

from __future__ import annotations

from typing import Any

import pytest

from broker.attributes.mapping import map_attributes
from broker.attributes.trace import TraceStep, Verdict
from broker.federation.model import AttributeRule

Sent = dict[str, tuple[str, ...]]
MAIL = {"email": ("boss@pori.fi",)}


@pytest.mark.parametrize(
    "proof",
    [
        pytest.param({"xms_edov": ("true",)}, id="domain_owner_verified"),
        pytest.param({"xms_edov": ("1",)}, id="domain_owner_verified_as_number"),
        pytest.param({"verified_primary_email": ("Boss@pori.fi",)}, id="verified_primary_email"),
        pytest.param({"tid": ("9c1d",)}, id="single_tenant_pin"),
    ],
)
def test_proven_mail_is_taken(proof: Sent, trace: list[TraceStep], an_idp: Any, an_assertion: Any) -> None:
    assert map_attributes(an_assertion(MAIL | proof), an_idp("entra-oidc"), trace)["mail"] == ("boss@pori.fi",)


@pytest.mark.parametrize(
    "proof",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"xms_edov": ("false",)}, id="domain_owner_not_verified"),
        pytest.param({"verified_primary_email": ("other@pori.fi",)}, id="another_address"),
        pytest.param({"tid": ("9c",)}, id="another_tenant"),
        pytest.param({"email_verified": ("true",)}, id="a_claim_that_proves_nothing"),
    ],
)
def test_unproven_mail_is_not_taken(proof: Sent, trace: list[TraceStep], an_idp: Any, an_assertion: Any) -> None:
    assert "mail" not in map_attributes(an_assertion(MAIL | proof), an_idp("entra-oidc"), trace)
    assert ("mail", "verified-mail") in [(step.subject, step.rule) for step in trace]


@pytest.mark.parametrize(
    "sign",
    [
        pytest.param({"acct": ("1",)}, id="acct"),
        pytest.param({"tid": ("9c1d",), "idp": ("https://sts.windows.net/other/",)}, id="another_idp"),
        pytest.param({"idp": ("live.com",)}, id="idp_without_tenant"),
    ],
)
def test_a_guest_of_the_tenant_is_a_guest_and_nothing_else(
    sign: Sent, trace: list[TraceStep], an_idp: Any, an_assertion: Any
) -> None:
    idp = an_idp("entra-oidc", attributes=(AttributeRule(attribute="personType", constant=("employee",)),))
    sent = sign | {"upn": ("x_gmail.com#EXT#@pori.onmicrosoft.example",)}

    mapped = map_attributes(an_assertion(sent), idp, trace)

    assert mapped == {"personType": ("guest",), "affiliationUnscoped": ("affiliate",)}


@pytest.mark.parametrize(
    "sign",
    [{"acct": ("0",)}, {"tid": ("9c1d",), "idp": ("https://sts.windows.net/9C1D/",)}],
)
def test_a_member_of_the_tenant_is_no_guest(sign: Sent, trace: list[TraceStep], an_idp: Any, an_assertion: Any) -> None:
    assert "personType" not in map_attributes(an_assertion(sign), an_idp("entra-oidc"), trace)


@pytest.mark.parametrize("marker", ["hasgroups", "_claim_names.groups"])
@pytest.mark.parametrize("attribute", ["entitlement", "personType"])
def test_7_overage_is_unknown_and_never_no_groups(
    marker: str, attribute: str, trace: list[TraceStep], an_idp: Any, an_assertion: Any
) -> None:
    table = {"g1": "https://wiki.example/admin"}
    idp = an_idp("entra-oidc", attributes=(AttributeRule(attribute=attribute, sources=("groups",), table=table),))

    without_groups = map_attributes(an_assertion(), idp, trace)
    with_overage = map_attributes(an_assertion({marker: ("true",), "groups": ("g1",)}), idp, trace)

    assert attribute not in without_groups
    assert with_overage[attribute] == ()
    assert [step.subject for step in trace if step.verdict is Verdict.FAILED] == [attribute]


def test_roles_are_not_touched_by_the_overage_of_groups(trace: list[TraceStep], an_idp: Any, an_assertion: Any) -> None:
    rule = AttributeRule(attribute="personType", sources=("roles",), table={"Staff": "employee"})
    idp = an_idp("entra-oidc", attributes=(rule,))

    mapped = map_attributes(an_assertion({"hasgroups": ("true",), "roles": ("Staff",)}), idp, trace)

    assert mapped["personType"] == ("employee",)
