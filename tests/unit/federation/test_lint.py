"""What is right in itself and will disappoint somebody: each finding, and what leaves nothing to find."""

from __future__ import annotations

import inspect
import re
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from broker.federation import lint as lint_module
from broker.federation.lint import ENOUGH_LOGINS, LintFinding, Seen, SeenBy, Severity, lint
from broker.federation.model import (
    AccessException,
    Agreement,
    AgreementId,
    AssuranceRule,
    AttributeRule,
    Federation,
    IdentityProvider,
    IdentityProviderId,
    RegisteredAttribute,
    Requirements,
    Service,
    ServiceId,
    Status,
)
from tests.unit.federation.test_access import NOW, PORI, a_federation, a_service, an_agreement

PORI_IDP, ULVILA_IDP = IdentityProviderId("pori-idp"), IdentityProviderId("ulvila-idp")
TEXTS = {"fi": "Ilmoitukset", "sv": "Meddelanden", "en": "Letters"}
LONG = an_agreement(valid_until=date(2029, 12, 31))


def required(name: str, **texts: str) -> RegisteredAttribute:
    return RegisteredAttribute(name=name, purpose=texts or TEXTS, required=True)


def federation(
    *agreements: Agreement, idps: dict[IdentityProviderId, dict[str, Any]] | None = None, **service: Any
) -> Federation:
    """``idps``: changes of identity providers, by id. ``service``: changes of the only service, which is Ulvila's."""
    made = a_federation(*(agreements or (LONG,)))
    changed: dict[IdentityProviderId, IdentityProvider] = {
        id: replace(idp, **(idps or {}).get(id, {})) for id, idp in made.identity_providers.items()
    }
    only: Service = a_service(**service)
    return replace(made, identity_providers=changed, services={only.id: only})


def found(given: Federation, seen: SeenBy | None = None) -> list[tuple[str, Severity, str]]:
    return [(each.code, each.severity, each.id) for each in lint(given, seen or {}, NOW)]


def the_only(given: Federation, seen: SeenBy | None = None) -> LintFinding:
    [finding] = lint(given, seen or {}, NOW)
    return finding


def test_a_federation_that_is_well_has_nothing_to_find() -> None:
    assert found(federation(attributes=(required("mail"), required("displayName"), required("organizationName")))) == []


# --- agreements -----------------------------------------------------------------------------------------------------------


def test_an_agreement_that_ends_within_ninety_days_is_told_with_the_days() -> None:
    finding = the_only(federation(an_agreement(valid_until=date(2026, 8, 30))))
    assert (finding.code, finding.severity, finding.id) == ("agreement_ends", Severity.WARNING, "pact")
    assert "in 90 days" in finding.message
    assert found(federation(an_agreement(valid_until=date(2026, 8, 31)))) == []


def test_one_that_another_follows_is_not() -> None:
    ending = an_agreement(valid_until=date(2026, 6, 30))
    following = replace(LONG, id=AgreementId("next"), valid_from=date(2026, 7, 1))
    assert found(federation(ending, following)) == []
    too_late = replace(following, valid_from=date(2026, 7, 2))
    assert [each[2] for each in found(federation(ending, too_late)) if each[0] == "agreement_ends"] == ["pact"]
    covers_less = replace(following, services=frozenset({ServiceId("another")}))
    assert ("agreement_ends", Severity.WARNING, "pact") in found(federation(ending, covers_less))


def test_one_that_is_not_signed_by_all_names_who_has_not() -> None:
    finding = the_only(federation(replace(LONG, signed={PORI: date(2025, 12, 10)})))
    assert finding.code == "agreement_not_signed"
    assert "ulvila" in finding.message


def test_one_that_has_ended_is_told_unless_another_follows() -> None:
    ended = an_agreement(valid_until=date(2026, 5, 31))
    assert found(federation(ended)) == [("agreement_ended", Severity.NOTICE, "pact")]
    assert found(federation(ended, replace(LONG, id=AgreementId("next")))) == []


# --- services ---------------------------------------------------------------------------------------------------------------


def test_an_attribute_without_its_purpose_in_all_languages() -> None:
    finding = the_only(federation(attributes=(required("mail", fi="Ilmoitukset"),)))
    assert (finding.code, finding.severity) == ("purpose_missing", Severity.NOTICE)
    assert "sv, en" in finding.message


def test_a_required_attribute_that_no_login_has_a_rule_for() -> None:
    finding = the_only(federation(attributes=(required("employeeNumber"),)))
    assert (finding.code, finding.severity, finding.kind, finding.id) == (
        "required_by_nobody",
        Severity.ERROR,
        "service",
        "rooms",
    )
    assert "employeeNumber" in finding.message
    assert "pori, ulvila" in finding.message


def test_a_required_attribute_that_one_of_the_parties_delivers() -> None:
    rule = AttributeRule(attribute="employeeNumber", sources=("employeeid",))
    given = federation(idps={PORI_IDP: {"attributes": (rule,)}}, attributes=(required("employeeNumber"),))
    finding = the_only(given)
    assert (finding.code, finding.severity) == ("required_not_delivered", Severity.WARNING)
    assert "ulvila" in finding.message
    assert "pori" not in finding.message


@pytest.mark.parametrize("name", ["subjectId", "pairwiseId", "homeOrganization", "municipalityCode", "affiliation"])
def test_what_the_broker_makes_or_knows_itself_is_delivered(name: str) -> None:
    kind = AttributeRule(attribute="personType", sources=("x",))
    idps = {each: {"attributes": (kind,)} for each in (PORI_IDP, ULVILA_IDP)}
    assert found(federation(idps=idps, attributes=(required(name),))) == []


def test_a_fact_that_the_registry_does_not_have_is_not_delivered() -> None:
    assert found(federation(attributes=(required("businessId"),))) == [("required_by_nobody", Severity.ERROR, "rooms")]


def test_what_an_organisation_withholds_is_not_delivered() -> None:
    given = federation(attributes=(required("mail"),))
    pori = replace(given.organisations[PORI], withhold=frozenset({"mail"}))
    given = replace(given, organisations={**given.organisations, PORI: pori})
    assert found(given) == [("required_not_delivered", Severity.WARNING, "rooms")]


def test_what_no_login_ever_had_is_not_delivered_though_the_dialect_knows_it() -> None:
    given = federation(attributes=(required("phone"),))
    mapped = {("mail", "email"): ENOUGH_LOGINS}
    few = {PORI_IDP: Seen(logins=ENOUGH_LOGINS - 1, mapped=mapped)}
    enough = {PORI_IDP: Seen(logins=ENOUGH_LOGINS, mapped=mapped)}
    assert found(given, few) == []
    assert found(given, enough) == [("required_not_delivered", Severity.WARNING, "rooms")]


def test_several_factors_that_a_city_cannot_prove() -> None:
    proof = {PORI_IDP: {"assurance": {"mfa": AssuranceRule(mfa=True)}}}
    demanding = {"require": Requirements(mfa=True)}
    assert found(federation(**demanding)) == [("mfa_proven_by_nobody", Severity.ERROR, "rooms")]
    assert found(federation(idps=proof, **demanding)) == [("mfa_not_proven", Severity.WARNING, "rooms")]


@pytest.mark.parametrize(
    ("valid_until", "codes"),
    [
        (date(2026, 5, 31), ["exception_ended"]),
        (date(2026, 6, 1), ["exception_ends"]),
        (date(2026, 6, 15), ["exception_ends"]),
        (date(2026, 6, 16), []),
    ],
)
def test_an_exception_that_ends(valid_until: date, codes: list[str]) -> None:
    exception = AccessException(person="eeva@harjavalta.fi", valid_until=valid_until, reason="substitute")
    assert [each[0] for each in found(federation(exceptions=(exception,)))] == codes


@pytest.mark.parametrize("status", [Status.DRAFT, Status.RETIRED])
def test_a_service_that_nobody_uses_disappoints_nobody(status: Status) -> None:
    assert found(federation(status=status, attributes=(required("employeeNumber"),))) == []


# --- identity providers --------------------------------------------------------------------------------------------------------

NUMBER = AttributeRule(attribute="employeeNumber", sources=("employeeid", "employeeId"))


@pytest.mark.parametrize(
    ("logins", "mapped", "codes"),
    [
        (ENOUGH_LOGINS, {("mail", "email"): 5}, ["rule_never_used"]),
        (ENOUGH_LOGINS, {("employeeNumber", "employeeId"): 1}, []),
        (ENOUGH_LOGINS - 1, {}, []),
    ],
)
def test_a_rule_of_an_operator_s_own_that_no_login_had_a_use_for(
    logins: int, mapped: dict[tuple[str, str], int], codes: list[str]
) -> None:
    given = federation(idps={PORI_IDP: {"attributes": (NUMBER,)}})
    assert [each[0] for each in found(given, {PORI_IDP: Seen(logins=logins, mapped=mapped)})] == codes


def test_the_gravest_comes_first() -> None:
    given = federation(
        an_agreement(valid_until=date(2026, 6, 30)), attributes=(required("employeeNumber"), required("mail", fi="x"))
    )
    assert [each[1] for each in found(given)] == [Severity.ERROR, Severity.WARNING, Severity.NOTICE]


def test_every_finding_says_what_to_do() -> None:
    given = federation(an_agreement(valid_until=date(2026, 6, 30)), attributes=(required("employeeNumber", fi="x"),))
    assert all(each.mend and not each.mend.endswith(".") for each in lint(given, {}, NOW))


def test_the_reference_page_names_every_code_and_no_other() -> None:
    source = inspect.getsource(lint_module)
    codes = set(re.findall(r'about\.(?:error|warning|notice)\(\s*"(\w+)"|\.warning\("(\w+)"', source))
    page = (Path(__file__).parents[3] / "docs/reference/findings.md").read_text("utf-8")
    assert {next(filter(None, each)) for each in codes} == set(re.findall(r"^\| `(\w+)`", page, re.MULTILINE))
