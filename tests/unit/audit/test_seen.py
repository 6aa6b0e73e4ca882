"""What recent logins had, by identity provider: from the audit log, by names."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from broker.audit.logins import recent
from broker.audit.seen import seen

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


def step(subject: str, rule: str, verdict: str = "mapped", stage: str = "map") -> dict[str, str]:
    return {"stage": stage, "subject": subject, "verdict": verdict, "rule": rule, "note": ""}


async def test_rules_that_found_something_are_counted_by_login(database, log, an_event) -> None:
    mail, number = step("mail", "email"), step("employeeNumber", "employeeid")
    for trace in ([mail, number], [mail, step("phone", "tel", "dropped")], [mail, mail]):
        await log.append(an_event(at=AT, detail={"trace": trace}))
    await log.append(
        an_event(at=AT, kind="login.refused", identity_provider="ulvila-entra", detail={"trace": [number]})
    )

    found = seen(await recent(database, AT - timedelta(days=1), most=100))

    logins, rules = found["pori-adfs"]
    assert (logins, dict(rules)) == (3, {("mail", "email"): 3, ("employeeNumber", "employeeid"): 1})
    assert found["ulvila-entra"][0] == 1


async def test_a_login_that_ended_before_anything_was_mapped_says_nothing(database, log, an_event) -> None:
    await log.append(an_event(at=AT, kind="login.refused", detail={"trace": []}))
    await log.append(an_event(at=AT, kind="request.refused", detail={}))
    await log.append(an_event(at=AT, detail={"trace": [step("eppn", "own_scopes_only", "failed", "scope")]}))
    assert seen(await recent(database, AT - timedelta(days=1), most=100)) == {}


async def test_older_logins_are_left_out(database, log, an_event) -> None:
    await log.append(an_event(at=AT - timedelta(days=31), detail={"trace": [step("mail", "old")]}))
    await log.append(an_event(at=AT, detail={"trace": [step("mail", "new")]}))
    _, rules = seen(await recent(database, AT - timedelta(days=30), most=100))["pori-adfs"]
    assert set(rules) == {("mail", "new")}


async def test_the_newest_are_taken_where_there_are_too_many(database, log, an_event) -> None:
    for number in range(3):
        await log.append(an_event(reference=f"R-{number}", at=AT))
    assert [each.reference for each in await recent(database, AT, most=2)] == ["R-2", "R-1"]
