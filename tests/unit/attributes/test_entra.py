"""attributes.md 5, Entra ID, OIDC: unverified mail ("nOAuth"), guests, groups overage."""

from __future__ import annotations

from typing import Any

import pytest

from broker.attributes import entra
from broker.attributes.mapping import map_attributes
from broker.attributes.trace import TraceStep, Verdict
from broker.federation.model import AttributeRule

TENANT = "9c1d0000-0000-4000-8000-00000000beef"
Sent = dict[str, tuple[str, ...]]
MAIL = {"email": ("boss@pori.fi",)}


@pytest.mark.parametrize(
    "proof",
    [
        pytest.param({"xms_edov": ("true",)}, id="domain_owner_verified"),
        pytest.param({"xms_edov": ("1",)}, id="domain_owner_verified_as_number"),
        pytest.param({"verified_primary_email": ("Boss@pori.fi",)}, id="verified_primary_email"),
        pytest.param({"tid": (TENANT,)}, id="single_tenant_pin"),
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
        pytest.param(
            {"tid": (TENANT,), "idp": ("https://sts.windows.net/other/",)},
            id="another_idp",
        ),
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
    [
        {"acct": ("0",)},
        {
            "tid": (TENANT,),
            "idp": (f"https://sts.windows.net/{TENANT.upper()}/",),
        },
    ],
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


# --- one tenant -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "issuer",
    [
        f"https://login.microsoftonline.com/{TENANT}/v2.0",
        f"https://login.microsoftonline.us/{TENANT}/v2.0",
        f"https://login.partner.microsoftonline.cn/{TENANT}/v2.0",
        f"https://sts.windows.net/{TENANT}/",
    ],
)
def test_5_an_issuer_of_one_tenant_is_pinned_to_it(issuer: str, an_idp: Any) -> None:
    assert entra.complaint("entra-oidc", issuer) is None
    assert entra.pinned_tenant(an_idp("entra-oidc", issuer=issuer)) == TENANT


@pytest.mark.parametrize("host", ["login.microsoftonline.com", "sts.windows.net", "login.example"])
@pytest.mark.parametrize("everybody", ["common", "organizations", "consumers", "Common"])
def test_5_an_issuer_of_every_tenant_is_refused_on_any_host(host: str, everybody: str) -> None:
    told = entra.complaint("entra-oidc", f"https://{host}/{everybody}/v2.0")
    assert told is not None
    assert told.startswith(f"{everybody.lower()} stands for every tenant: write https://")


@pytest.mark.parametrize(
    "issuer",
    [
        "https://login.microsoftonline.com/",
        "https://login.microsoftonline.com/pori.fi/v2.0",
        f"https://login.microsoftonline.com/{TENANT}",
        f"https://login.microsoftonline.com/{TENANT}/",
        f"https://login.microsoftonline.com/{TENANT}/v2.0/",
        f"https://login.microsoftonline.com/{TENANT.upper()}/v2.0",
        f"https://login.microsoftonline.com/tfp/{TENANT}/v2.0",
        f"https://login.microsoftonline.com:444/{TENANT}/v2.0",
        f"https://sts.windows.net/{TENANT}",
        f"https://sts.windows.net/{TENANT}/v2.0",
    ],
)
def test_5_what_entra_id_never_says_of_itself_is_refused_with_what_to_write(issuer: str) -> None:
    told = entra.complaint("entra-oidc", issuer)
    assert told is not None
    assert "TENANT-ID" in told


def test_5_personal_accounts_are_no_city() -> None:
    told = entra.complaint("entra-oidc", "https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0")
    assert told is not None
    assert "personal" in told


@pytest.mark.parametrize(
    "issuer", ["https://login.example", "http://127.0.0.1:8080", "https://login.example/9c1d/v2.0"]
)
def test_5_what_only_speaks_like_entra_id_has_no_tenant(issuer: str, an_idp: Any) -> None:
    assert entra.complaint("entra-oidc", issuer) is None
    assert entra.pinned_tenant(an_idp("entra-oidc", issuer=issuer)) is None


def test_5_another_dialect_asks_for_no_tenant(an_idp: Any) -> None:
    issuer = f"https://login.example/{TENANT}"
    assert entra.pinned_tenant(an_idp("eduperson-oid", issuer=issuer)) is None
    assert entra.complaint("eduperson-oid", "https://login.example/common") is None


def test_5_an_issuer_without_a_tenant_proves_no_mail(trace: list[TraceStep], an_idp: Any, an_assertion: Any) -> None:
    idp = an_idp("entra-oidc", issuer="https://login.example/9c1d/v2.0")
    assert "mail" not in map_attributes(an_assertion(MAIL | {"tid": ("9c1d",)}), idp, trace)
