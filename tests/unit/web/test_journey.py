"""The dispatcher: decide, make the audit record durable, remember, then hand out; and the moves that a login may make."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from broker.attributes.identifiers import Subjects
from broker.errors import (
    AuditUnavailable,
    HomeAnswerInvalid,
    HomeRefused,
    HomeUnreachable,
    InvalidServiceRequest,
    LoginUsedOrExpired,
    OtherBrowser,
    OutOfOrder,
    StateUnavailable,
    UnknownService,
)
from broker.federation.model import Federation, Protocol, Status
from broker.keys.keyring import KeyRing
from broker.login.edges import Redirect, RefusedRequest
from broker.login.request import Hints
from broker.login.transaction import LIFETIME, LoginTransaction, Stage, TransactionId
from broker.oidc import pkce
from broker.oidc.op.edge import OpenIdProvider
from broker.oidc.op.grants import CODE
from broker.state.grants import GrantRecords
from broker.state.memory import MemoryStore
from broker.web.journey import Deliver, Outcome, ShowChoice, ShowRefusal
from broker.web.views import Forwarding
from tests.unit.web.parties import (
    AGREEMENT,
    BROWSER,
    IDENTITY_PROVIDERS,
    KEVA,
    MAIL,
    NOW,
    PORI,
    PORI_IDP,
    REDIRECT_URI,
    ROOMS,
    SERVICES,
    ULVILA,
    ULVILA_IDP,
    WIKI,
    Clock,
    Scene,
    a_request,
    federation_of,
    service_in,
    to_pori,
)


def delivered(outcome: Outcome, forwarding: Forwarding) -> str:
    """The address that the browser is sent to."""
    assert isinstance(outcome, Deliver)
    assert outcome.forwarding is forwarding
    assert isinstance(outcome.delivery, Redirect)
    return outcome.delivery.url


def refusal(outcome: Outcome) -> ShowRefusal:
    assert isinstance(outcome, ShowRefusal)
    return outcome


# --- a service's request ----------------------------------------------------------------------------------------------


async def test_several_organisations_a_choice_is_shown_and_the_login_remembered(scene: Scene) -> None:
    outcome = await scene.journey.begin(a_request(), BROWSER)

    assert isinstance(outcome, ShowChoice)
    assert outcome.step.organisations == (PORI, ULVILA)
    assert scene.happened == ["put received"]
    assert await scene.stored(outcome.transaction) == outcome.transaction
    assert outcome.transaction.browser == BROWSER
    assert outcome.transaction.expires_at == NOW + LIFETIME


async def test_a_hint_leads_straight_to_the_city_and_what_it_must_answer_is_remembered_first(scene: Scene) -> None:
    outcome = await scene.journey.begin(to_pori(), BROWSER)

    assert delivered(outcome, Forwarding.TO_HOME) == "https://adfs.pori.example/sso"
    assert scene.happened == ["depart", "put at_idp"]
    stored = await scene.stored(outcome.transaction)
    assert (stored.idp, stored.organisation, stored.upstream) == (PORI_IDP, PORI, {"request": "1"})


async def test_a_service_that_nobody_may_reach_is_refused_on_a_page_that_the_audit_knows(scene: Scene) -> None:
    scene.federation = service_in(Status.DRAFT)

    shown = refusal(await scene.journey.begin(a_request(), BROWSER))

    assert shown.fault.code == "service_status"
    assert scene.happened == ["audit login.refused", "put refused"]
    assert scene.audit.events[0].reference == shown.reference
    assert shown.transaction is not None
    assert (await scene.stored(shown.transaction)).refusal == "service_status"


async def test_a_passive_request_that_needs_a_page_goes_back_to_the_service_and_is_forgotten(scene: Scene) -> None:
    outcome = await scene.journey.begin(a_request(passive=True), BROWSER)

    assert delivered(outcome, Forwarding.RETURNED).endswith("error=no_passive")
    assert scene.happened == ["audit login.refused", "refuse"]


async def test_a_city_that_cannot_be_asked_is_named_in_the_refusal(scene: Scene) -> None:
    scene.city.unreachable = HomeUnreachable("discovery: timed out")

    shown = refusal(await scene.journey.begin(to_pori(), BROWSER))

    assert shown.transaction is not None
    assert (shown.transaction.idp, shown.transaction.organisation) == (PORI_IDP, PORI)
    assert scene.audit.events[0].organisation == PORI
    assert scene.audit.events[0].identity_provider == PORI_IDP


async def test_a_refused_request_is_recorded_before_the_service_is_told(scene: Scene) -> None:
    refused = RefusedRequest(InvalidServiceRequest("no scope"), a_request(ROOMS))

    outcome = await scene.journey.refuse_request(refused, BROWSER)

    assert delivered(outcome, Forwarding.RETURNED).endswith("error=invalid_service_request")
    assert scene.happened == ["audit login.refused", "refuse"]
    assert scene.audit.events[0].service == ROOMS


async def test_a_stranger_s_request_is_recorded_with_a_reference_and_goes_nowhere(scene: Scene) -> None:
    shown = await scene.journey.refuse_stranger(UnknownService("no such client_id"))

    assert shown.transaction is None
    assert [(each.kind, each.reference, each.reason) for each in scene.audit.events] == [
        ("request.refused", shown.reference, "unknown_service")
    ]


# --- the choice -------------------------------------------------------------------------------------------------------


async def begun(scene: Scene) -> LoginTransaction:
    outcome = await scene.journey.begin(a_request(), BROWSER)
    assert isinstance(outcome, ShowChoice)
    scene.happened.clear()
    return outcome.transaction


async def test_a_choice_leads_to_that_city(scene: Scene) -> None:
    transaction = await begun(scene)

    outcome = await scene.journey.choose(transaction.id, "ulvila", BROWSER)

    assert delivered(outcome, Forwarding.TO_HOME) == "https://login.ulvila.example/sso"
    assert (await scene.stored(transaction)).stage is Stage.AT_IDP


@pytest.mark.parametrize("organisation", ["keva", "nobody", "", "PORI", "pori "])
async def test_a_choice_that_is_not_on_the_page_shows_the_page_and_grants_nothing(
    scene: Scene, organisation: str
) -> None:
    transaction = await begun(scene)

    outcome = await scene.journey.choose(transaction.id, organisation, BROWSER)

    assert isinstance(outcome, ShowChoice)
    assert outcome.step.hint_ignored is bool(organisation)
    assert "depart" not in scene.happened
    assert (await scene.stored(transaction)).stage is Stage.RECEIVED


async def test_a_person_at_one_city_may_go_back_and_choose_another_whose_answer_alone_then_fits(scene: Scene) -> None:
    transaction = await scene.at_pori()

    await scene.journey.choose(transaction.id, "ulvila", BROWSER)

    stored = await scene.stored(transaction)
    assert (stored.idp, stored.upstream) == (ULVILA_IDP, {"request": "2"})


async def test_the_page_of_a_login_may_be_shown_again_and_changes_nothing(scene: Scene) -> None:
    transaction = await scene.at_pori()

    outcome = await scene.journey.show(transaction.id, BROWSER)

    assert isinstance(outcome, ShowChoice)
    assert not outcome.step.hint_ignored
    assert scene.happened == []


@pytest.mark.parametrize("move", ["show", "choose"])
async def test_an_agreement_that_ended_meanwhile_refuses_at_the_next_step(scene: Scene, move: str) -> None:
    transaction = await begun(scene)
    scene.federation = federation_of(agreements=(), identity_providers=IDENTITY_PROVIDERS[1:])

    journey = scene.journey
    again = journey.show(transaction.id, BROWSER) if move == "show" else journey.choose(transaction.id, PORI, BROWSER)
    shown = refusal(await again)

    assert shown.fault.code == "no_agreement"
    assert scene.happened == ["audit login.refused", "put refused"]


async def test_a_service_that_was_removed_meanwhile_is_unknown(scene: Scene) -> None:
    transaction = await begun(scene)
    scene.federation = federation_of(services=SERVICES[1:])

    with pytest.raises(UnknownService):
        await scene.journey.choose(transaction.id, PORI, BROWSER)


# --- the city's answer ------------------------------------------------------------------------------------------------


async def receive(scene: Scene, transaction: LoginTransaction, browser: str = BROWSER) -> Outcome:
    return await scene.journey.receive(transaction.id, {"SAMLResponse": "x"}, browser, Protocol.SAML)


async def test_P6_the_record_is_there_before_the_answer_is_handed_out(scene: Scene) -> None:
    transaction = await scene.at_pori()

    outcome = await receive(scene, transaction)

    assert delivered(outcome, Forwarding.SIGNED_IN) == "https://service.example/acs?answer=1"
    assert scene.happened == ["take", "arrive", "audit login.answered"]
    event = scene.audit.events[0]
    assert (event.reference, event.service, event.organisation) == (transaction.reference, WIKI, PORI)
    assert event.subject == scene.service.answers[0].release.pairwise_id
    assert event.detail["released"] == ["mail", "mailVerified"]


async def test_P7_the_record_and_the_log_hold_names_and_no_value(scene: Scene) -> None:
    transaction = await scene.at_pori()

    with capture_logs() as lines:
        await receive(scene, transaction)

    for text in (repr(scene.audit.events), repr(lines)):
        assert MAIL not in text
        assert "4711" not in text
        assert transaction.id not in text
    assert [line["event"] for line in lines] == ["login.answered"]


@pytest.mark.parametrize(
    ("request_", "reason"), [(to_pori(), ""), (a_request(passive=True), "no_passive")], ids=["answered", "refused"]
)
async def test_each_end_of_a_login_is_counted_once_by_names_of_a_bounded_set(
    scene: Scene, request_: object, reason: str
) -> None:
    labels = {
        "outcome": "refused" if reason else "answered",
        "reason": reason,
        "upstream": "" if reason else "saml",
        "downstream": "saml",
    }
    before = REGISTRY.get_sample_value("broker_logins_total", labels) or 0

    if reason:
        await scene.journey.begin(a_request(passive=True), BROWSER)
    else:
        await receive(scene, await scene.at_pori())

    assert REGISTRY.get_sample_value("broker_logins_total", labels) == before + 1


async def test_P2_an_answer_is_used_once(scene: Scene) -> None:
    transaction = await scene.at_pori()
    await receive(scene, transaction)

    with pytest.raises(LoginUsedOrExpired):
        await receive(scene, transaction)
    assert len(scene.audit.events) == 1


async def test_P2_of_a_hundred_that_bring_an_answer_at_once_one_gets_in(scene: Scene) -> None:
    transaction = await scene.at_pori()

    found = await asyncio.gather(*(receive(scene, transaction) for _ in range(100)), return_exceptions=True)

    assert sum(isinstance(each, Deliver) for each in found) == 1
    assert sum(isinstance(each, LoginUsedOrExpired) for each in found) == 99


@pytest.mark.parametrize("browser", ["", "e" * 64])
async def test_P2_another_browser_can_do_nothing_with_a_login(scene: Scene, browser: str) -> None:
    transaction = await scene.at_pori()
    journey, id = scene.journey, transaction.id

    for call in (
        lambda: receive(scene, transaction, browser),
        lambda: journey.show(id, browser),
        lambda: journey.choose(id, PORI, browser),
        lambda: journey.reopen(id, browser),
        lambda: journey.back_to_service(id, browser),
    ):
        with pytest.raises(OtherBrowser):
            await call()

    # Nor does the attempt harm the one who began it.
    assert isinstance(await receive(scene, transaction), Deliver)


async def test_P2_an_answer_after_the_login_s_time_is_refused(scene: Scene) -> None:
    transaction = await scene.at_pori()
    scene.clock.now = transaction.expires_at

    with pytest.raises(LoginUsedOrExpired):
        await receive(scene, transaction)
    assert "arrive" not in scene.happened


async def test_an_answer_before_a_city_was_asked_is_out_of_order(scene: Scene) -> None:
    transaction = await begun(scene)

    with pytest.raises(OutOfOrder):
        await receive(scene, transaction)
    assert scene.happened == ["take", "put received"]
    assert await scene.stored(transaction) == transaction


async def test_an_answer_that_is_posted_again_after_its_refusal_does_not_take_the_refusal_away(scene: Scene) -> None:
    transaction = await refused_login(scene)

    with pytest.raises(OutOfOrder):
        await receive(scene, transaction)

    assert refusal(await scene.journey.show(transaction.id, BROWSER)).fault.code == "home_refused"


async def test_P2_an_answer_of_the_other_protocol_is_not_read(scene: Scene) -> None:
    transaction = await scene.at_pori()

    shown = refusal(await scene.journey.receive(transaction.id, {"code": "c"}, BROWSER, Protocol.OIDC))

    assert shown.fault.code == "out_of_order"
    assert "arrive" not in scene.happened


async def test_a_city_that_was_removed_meanwhile_vouches_for_nobody(scene: Scene) -> None:
    transaction = await scene.at_pori()
    scene.federation = federation_of(identity_providers=IDENTITY_PROVIDERS[1:])

    assert refusal(await receive(scene, transaction)).fault.code == "out_of_order"
    assert "arrive" not in scene.happened


async def test_a_wrong_answer_is_recorded_and_the_login_may_be_tried_again(scene: Scene) -> None:
    transaction = await scene.at_pori()
    scene.city.wrong = HomeAnswerInvalid("signature", check="signature")

    shown = refusal(await receive(scene, transaction))

    assert scene.happened == ["take", "arrive", "audit login.refused", "put refused"]
    stored = await scene.stored(transaction)
    assert (stored.stage, stored.refusal, stored.upstream) == (Stage.REFUSED, "home_answer_invalid", {})
    assert shown.reference == transaction.reference


async def test_a_passive_login_that_the_city_refuses_goes_back_without_a_page(scene: Scene) -> None:
    transaction = await scene.at_pori(to_pori(passive=True))
    scene.city.wrong = HomeRefused("access_denied")

    assert delivered(await receive(scene, transaction), Forwarding.RETURNED).endswith("error=home_refused")


async def test_a_service_that_was_removed_meanwhile_gets_nobody(scene: Scene) -> None:
    transaction = await scene.at_pori()
    scene.federation = federation_of(services=SERVICES[1:])

    assert refusal(await receive(scene, transaction)).fault.code == "unknown_service"
    assert scene.service.answers == []


async def test_an_answer_that_the_service_s_protocol_cannot_carry_is_refused_with_the_steps_so_far(
    scene: Scene,
) -> None:
    transaction = await scene.at_pori()
    scene.service.unwilling = InvalidServiceRequest("no such name identifier")

    assert refusal(await receive(scene, transaction)).fault.code == "invalid_service_request"
    assert scene.audit.events[0].detail["trace"]


async def test_an_agreement_that_ended_meanwhile_refuses_the_person_who_comes_back(scene: Scene) -> None:
    transaction = await scene.at_pori(to_pori(service=ROOMS))
    ended = replace(AGREEMENT, valid_until=AGREEMENT.valid_from)
    scene.federation = federation_of(agreements=(ended,))

    shown = refusal(await receive(scene, transaction))

    assert shown.fault.code == "no_agreement"
    assert shown.fault.context["agreement"] == AGREEMENT.id


# --- after a refusal --------------------------------------------------------------------------------------------------


async def refused_login(scene: Scene) -> LoginTransaction:
    transaction = await scene.at_pori()
    scene.city.wrong = HomeRefused("access_denied")
    await receive(scene, transaction)
    scene.city.wrong = None
    scene.happened.clear()
    return transaction


async def test_a_refusal_page_may_be_shown_again_in_another_language(scene: Scene) -> None:
    transaction = await refused_login(scene)

    shown = refusal(await scene.journey.show(transaction.id, BROWSER))

    assert (shown.fault.code, shown.reference) == ("home_refused", transaction.reference)
    assert scene.happened == []


async def test_a_refused_person_chooses_another_organisation_and_gets_in(scene: Scene) -> None:
    transaction = await refused_login(scene)

    outcome = await scene.journey.reopen(transaction.id, BROWSER)
    assert isinstance(outcome, ShowChoice)
    stored = await scene.stored(transaction)
    assert (stored.stage, stored.idp, stored.organisation, stored.refusal) == (Stage.RECEIVED, None, None, None)

    await scene.journey.choose(transaction.id, PORI, BROWSER)
    assert isinstance(await receive(scene, transaction), Deliver)


async def test_the_refused_attempt_s_answer_is_worth_nothing_after_the_login_was_reopened(scene: Scene) -> None:
    transaction = await refused_login(scene)
    await scene.journey.reopen(transaction.id, BROWSER)

    with pytest.raises(OutOfOrder):
        await receive(scene, transaction)


async def test_a_choice_is_not_taken_on_a_refused_login(scene: Scene) -> None:
    transaction = await refused_login(scene)

    with pytest.raises(OutOfOrder):
        await scene.journey.choose(transaction.id, PORI, BROWSER)
    assert scene.happened == []


async def test_a_refused_person_goes_back_to_the_service_which_is_told_why_once(scene: Scene) -> None:
    transaction = await refused_login(scene)

    outcome = await scene.journey.back_to_service(transaction.id, BROWSER)

    assert delivered(outcome, Forwarding.RETURNED).endswith("error=home_refused")
    assert scene.service.told[0].code == "home_refused"
    with pytest.raises(LoginUsedOrExpired):
        await scene.journey.back_to_service(transaction.id, BROWSER)


async def test_nobody_goes_back_with_a_refusal_that_did_not_happen(scene: Scene) -> None:
    transaction = await begun(scene)

    with pytest.raises(OutOfOrder):
        await scene.journey.back_to_service(transaction.id, BROWSER)
    assert scene.happened == ["take", "put received"]
    assert await scene.stored(transaction) == transaction


# --- P6, P10: a port that is down -------------------------------------------------------------------------------------

Calls = dict[str, Callable[[Scene], Awaitable[Outcome]]]


async def _answered(scene: Scene) -> Outcome:
    return await receive(scene, await scene.at_pori())


async def _refused(scene: Scene) -> Outcome:
    transaction = await scene.at_pori()
    scene.city.wrong = HomeRefused("access_denied")
    return await receive(scene, transaction)


async def _refused_request(scene: Scene) -> Outcome:
    return await scene.journey.refuse_request(RefusedRequest(InvalidServiceRequest(), a_request()), BROWSER)


async def _passive(scene: Scene) -> Outcome:
    return await scene.journey.begin(a_request(passive=True), BROWSER)


async def _stranger(scene: Scene) -> Outcome:
    return await scene.journey.refuse_stranger(UnknownService())


ENDS: Calls = {
    "answered": _answered,
    "refused": _refused,
    "refused_request": _refused_request,
    "passive": _passive,
    "stranger": _stranger,
}


@pytest.mark.parametrize("end", ENDS)
async def test_P6_without_its_record_nothing_leaves(scene: Scene, end: str) -> None:
    scene.audit.down = True

    with pytest.raises(AuditUnavailable):
        await ENDS[end](scene)

    assert "refuse" not in scene.happened
    assert "put refused" not in scene.happened


@pytest.mark.parametrize("end", ENDS)
async def test_P6_what_is_not_durable_yet_is_not_handed_out(scene: Scene, end: str) -> None:
    scene.audit.gate = asyncio.Event()
    ending = asyncio.ensure_future(ENDS[end](scene))

    for _ in range(20):
        await asyncio.sleep(0)
    assert not ending.done()

    scene.audit.gate.set()
    await ending
    assert len(scene.audit.events) == 1


async def test_P6_a_login_whose_record_failed_cannot_be_finished_by_trying_again(scene: Scene) -> None:
    transaction = await scene.at_pori()
    scene.audit.down = True
    with pytest.raises(AuditUnavailable):
        await receive(scene, transaction)
    scene.audit.down = False

    with pytest.raises(LoginUsedOrExpired):
        await receive(scene, transaction)
    assert scene.audit.events == []


class Remembering(GrantRecords):
    """The real grants, which also remember the secrets: what nobody else learns when the record fails."""

    def __init__(self, store: MemoryStore) -> None:
        super().__init__(store)
        self.secrets: list[str] = []

    async def put(self, kind: str, secret: str, value: bytes, lifetime: object) -> None:
        self.secrets.append(secret)
        await super().put(kind, secret, value, lifetime)  # type: ignore[arg-type]


async def test_P6_a_code_whose_record_failed_reaches_nobody(keys: KeyRing) -> None:
    store, clock = MemoryStore(), Clock()
    grants = Remembering(store)
    provider = OpenIdProvider(
        base_url="https://broker.example",
        keys=keys,
        grants=grants,
        replay=None,  # type: ignore[arg-type]  # no client proves itself here
        fetcher=None,  # type: ignore[arg-type]  # nor this
        clock=clock,
        clock_skew=timedelta(seconds=60),
        claims_of=lambda released, scopes: {},
        subjects=lambda: Subjects(keys=keys.subject),
        audit=None,  # type: ignore[arg-type]  # no token is exchanged
    )
    scene = Scene(downstream=provider, store=store, clock=clock)
    reply = {
        "redirect_uri": REDIRECT_URI,
        "response_mode": "query",
        "code_challenge": pkce.challenge_of("v" * 43),
        "scopes": '["openid"]',
    }
    transaction = await scene.at_pori(to_pori(service=ROOMS, reply=reply))
    scene.audit.down = True

    with capture_logs() as lines, pytest.raises(AuditUnavailable) as caught:
        await receive(scene, transaction)

    assert all(secret not in repr((caught.value, lines, scene.happened)) for secret in grants.secrets)
    # In the store there is its hash alone, from which it cannot be made.
    assert all(secret not in repr(vars(store)) for secret in grants.secrets)
    assert await grants.get(CODE, "a guess") is None


@pytest.mark.parametrize("move", ["begin", "to_city", "show", "choose", "reopen", "receive", "back"])
async def test_P10_without_the_store_nothing_is_decided(scene: Scene, move: str) -> None:
    transaction = await (scene.at_pori() if move != "back" else refused_login(scene))
    scene.transactions.down = StateUnavailable("ConnectionError")
    journey, id = scene.journey, transaction.id
    moves = {
        "begin": lambda: journey.begin(a_request(), BROWSER),
        "to_city": lambda: journey.begin(to_pori(), BROWSER),
        "show": lambda: journey.show(id, BROWSER),
        "choose": lambda: journey.choose(id, PORI, BROWSER),
        "reopen": lambda: journey.reopen(id, BROWSER),
        "receive": lambda: receive(scene, transaction),
        "back": lambda: journey.back_to_service(id, BROWSER),
    }

    with pytest.raises(StateUnavailable):
        await moves[move]()
    assert scene.audit.events == [] or move == "back"
    assert scene.service.answers == []


async def test_an_error_that_nobody_foresaw_lets_nobody_in(scene: Scene) -> None:
    transaction = await scene.at_pori()
    scene.city.wrong = RuntimeError("a programming error")

    with pytest.raises(RuntimeError):
        await receive(scene, transaction)

    with pytest.raises(LoginUsedOrExpired):
        await receive(scene, transaction)
    assert scene.service.answers == []


async def test_a_login_nobody_knows(scene: Scene) -> None:
    for id in ("", "x" * 100_000, "\udcff", "../x"):
        with pytest.raises(LoginUsedOrExpired):
            await scene.journey.show(TransactionId(id), BROWSER)


async def test_an_organisation_without_a_login_service_is_not_offered(scene: Scene) -> None:
    agreement = replace(AGREEMENT, parties=AGREEMENT.parties | {KEVA}, signed={**AGREEMENT.signed, KEVA: NOW.date()})
    scene.federation = federation_of(agreements=(agreement,))

    outcome = await scene.journey.begin(a_request(hints=Hints(organisation=KEVA)), BROWSER)

    assert isinstance(outcome, ShowChoice)
    assert KEVA not in outcome.step.organisations
    assert outcome.step.hint_ignored


def test_the_federation_of_these_tests_is_one_that_the_rules_accept() -> None:
    federation: Federation = federation_of()
    assert set(federation.identity_providers_of) == {PORI, ULVILA}
