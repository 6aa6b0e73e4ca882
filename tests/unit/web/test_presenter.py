"""Outcomes as HTTP: status, headers, addresses octet by octet, the language, and what a page depends on of the request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from lxml import html

from broker import app as every_package
from broker.errors import (
    AuditUnavailable,
    Fault,
    HomeUnreachable,
    LoginUsedOrExpired,
    NoAgreement,
    PageNotFound,
    RequiredAttributeMissing,
    StatusDoesNotAdmit,
    UnknownService,
)
from broker.federation.model import Federation, OrganisationId, ServiceId
from broker.login.edges import FormPost, Redirect
from broker.login.steps import ChooseOrganisation
from broker.login.transaction import LoginTransaction, Stage
from broker.web.cookies import Cookies
from broker.web.journey import Deliver, Outcome, ShowChoice, ShowRefusal
from broker.web.pages import Pages
from broker.web.presenter import Presenter, see_other
from broker.web.views import Forwarding
from tests.unit.web.parties import (
    KEVA,
    NOW,
    ORGANISATIONS,
    PORI,
    PORI_IDP,
    ROOMS,
    SERVICES,
    ULVILA,
    WIKI,
    Clock,
    a_request,
    a_transaction,
    federation_of,
)

HERE = "/login/" + "t" * 43


@cache
def _pages() -> Pages:
    return Pages("Kuntasilta")


@dataclass
class Shown:
    """A presenter and the requests that it answers. ``secure``: browsers come by https."""

    federation: Federation = field(default_factory=federation_of)
    secure: bool = True

    def __post_init__(self) -> None:
        self.presenter = Presenter(
            _pages(), lambda: self.federation, Cookies(secure=self.secure), Clock(), secure=self.secure
        )

    def present(
        self,
        outcome: Outcome,
        url: str = HERE,
        *,
        language: str = "en",
        cookies: Mapping[str, str] | None = None,
    ) -> web.Response:
        headers = {"Accept-Language": language, "Host": "evil.example"}
        if cookies:
            headers["Cookie"] = "; ".join(f"__Host-broker-{name}={value}" for name, value in cookies.items())
        return self.presenter.present(make_mocked_request("GET", url, headers=headers), outcome)


@pytest.fixture
def shown() -> Shown:
    return Shown()


def choice(transaction: LoginTransaction | None = None, **changes: Any) -> ShowChoice:
    step = {"service": WIKI, "organisations": (PORI, ULVILA), **changes}
    return ShowChoice(transaction=transaction or a_transaction(), step=ChooseOrganisation(**step))


def at_pori(**changes: Any) -> LoginTransaction:
    return a_transaction(**{"idp": PORI_IDP, "organisation": PORI, "stage": Stage.AT_IDP, **changes})


def refused(fault: Fault, transaction: LoginTransaction | None = None) -> ShowRefusal:
    return ShowRefusal(fault=fault, reference="K7M2-9QXA", transaction=transaction)


def posting(forwarding: Forwarding, **fields: str) -> Deliver:
    post = FormPost(url="https://wiki.example/acs", fields=fields or {"SAMLResponse": "PHg+"})
    return Deliver(delivery=post, forwarding=forwarding, transaction=at_pori())


def page(response: web.Response) -> Any:
    return html.document_fromstring(response.text)


def links(response: web.Response) -> list[str]:
    return list(page(response).xpath("//main//a/@href"))


def policy(response: web.Response) -> dict[str, str]:
    found = dict(each.split(" ", 1) for each in response.headers["Content-Security-Policy"].split("; "))
    assert response.headers.getall("Content-Security-Policy") == [response.headers["Content-Security-Policy"]]
    return found


OUTCOMES: dict[str, Outcome] = {
    "choice": choice(),
    "refusal": refused(HomeUnreachable("x", organisation="pori"), at_pori()),
    "stranger": refused(UnknownService("x")),
    "redirect": Deliver(
        delivery=Redirect(url="https://city.example/sso?a=b"), forwarding=Forwarding.TO_HOME, transaction=at_pori()
    ),
    **{each.value: posting(each) for each in Forwarding},
}
PAGES = {name: outcome for name, outcome in OUTCOMES.items() if name != "redirect"}


# --- status, headers --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("outcome", OUTCOMES.values(), ids=OUTCOMES)
def test_nothing_of_a_login_is_ever_stored_by_a_browser_nor_told_by_a_referer(shown: Shown, outcome: Outcome) -> None:
    response = shown.present(outcome)

    assert response.headers.getall("Cache-Control") == ["no-store"]
    assert response.headers.getall("Referrer-Policy") == ["no-referrer"]


@pytest.mark.parametrize("outcome", PAGES.values(), ids=PAGES)
def test_every_page_has_the_security_headers_once(shown: Shown, outcome: Outcome) -> None:
    response = shown.present(outcome)

    for name, value in {
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Cross-Origin-Resource-Policy": "same-origin",
        "X-Robots-Tag": "noindex",
        "Strict-Transport-Security": "max-age=31536000",
        "Content-Type": "text/html; charset=utf-8",
        "Content-Language": "en",
    }.items():
        assert response.headers.getall(name) == [value]
    assert policy(response) | {"form-action": ""} == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' data:",
        "font-src": "'self'",
        "connect-src": "'self'",
        "form-action": "",
        "frame-ancestors": "'none'",
        "base-uri": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
    }


@pytest.mark.parametrize("secure", [True, False])
@pytest.mark.parametrize("outcome", PAGES.values(), ids=PAGES)
def test_only_the_page_that_posts_elsewhere_may_do_so(outcome: Outcome, secure: bool) -> None:
    leaves = isinstance(outcome, Deliver)
    expected = ("https:" if secure else "https: http:") if leaves else "'self'"

    assert policy(Shown(secure=secure).present(outcome))["form-action"] == expected


def test_without_https_nothing_is_said_of_it() -> None:
    assert "Strict-Transport-Security" not in Shown(secure=False).present(choice()).headers


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (LoginUsedOrExpired(), 400),
        (UnknownService(), 400),
        (StatusDoesNotAdmit(service=WIKI), 403),
        (NoAgreement(organisation="pori", service=WIKI), 403),
        (PageNotFound(), 404),
        (HomeUnreachable(organisation="pori"), 502),
        (AuditUnavailable(), 503),
    ],
    ids=lambda each: each.code if isinstance(each, Fault) else "",
)
def test_P12_a_refusal_s_page_has_the_fault_s_status_its_reason_and_its_code(
    shown: Shown, fault: Fault, status: int
) -> None:
    response = shown.present(refused(fault))

    assert response.status == status
    assert page(response).xpath("string(//main/@data-reason)") == fault.code
    assert page(response).xpath("string(//output)") == "K7M2-9QXA"


def test_a_page_without_a_record_shows_no_reference(shown: Shown) -> None:
    response = shown.present(ShowRefusal(fault=PageNotFound(), reference=""))

    assert not page(response).xpath("//output")


# --- where the browser is sent ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "https://city.example/sso?SAMLRequest=fZJ%2bA%2B&SigAlg=http%3A%2F%2Fwww&Signature=a%2Fb%3d%3D",
        "https://service.example/cb?already=1&code=x&state=a+b%20c%2Bd%C3%A4&iss=https%3A%2F%2Fbroker.example",
        "https://Service.EXAMPLE:443/../a/./b//c?&&x=;y#f",
        "http://127.0.0.1:8081/callback?state=%0d%0aSet-Cookie%3A%20a%3Db",
        "https://service.example/%7Euser/(a)'*?q=[1]|{2}",
    ],
)
def test_P5_the_address_is_sent_as_it_was_signed_or_registered(shown: Shown, url: str) -> None:
    """saml-bindings 3.4.4.1: a signature covers the very octets of the query."""
    outcome = Deliver(delivery=Redirect(url=url), forwarding=Forwarding.SIGNED_IN, transaction=at_pori())

    response = shown.present(outcome)

    assert response.status == 303
    assert response.headers.getall("Location") == [url]
    assert response.body is None


def test_a_post_goes_to_the_address_with_the_fields_as_they_are(shown: Shown) -> None:
    hostile = '"><script>alert(1)</script>&amp;\r\n ä'
    response = shown.present(posting(Forwarding.SIGNED_IN, SAMLResponse="PHg+", RelayState=hostile))

    form = page(response).forms[0]
    assert (form.method, form.action) == ("POST", "https://wiki.example/acs")
    # HTML knows no CR in an attribute's value; lxml gives what a browser would read.
    assert dict(form.form_values()) == {"SAMLResponse": "PHg+", "RelayState": hostile.replace("\r\n", "\n")}
    assert "<script>alert" not in response.text


@pytest.mark.parametrize("forwarding", Forwarding)
def test_P11_without_a_script_there_is_a_button_and_no_link_that_would_show_the_page_again(
    shown: Shown, forwarding: Forwarding
) -> None:
    found = page(shown.present(posting(forwarding)))

    assert len(found.xpath("//form//button[not(@disabled)]")) == 1
    assert not found.xpath("//nav")
    assert not found.xpath("//script[not(@src)] | //@style | //@onclick")


def test_the_page_that_posts_names_city_and_service(shown: Shown) -> None:
    assert "Pori" in page(shown.present(posting(Forwarding.TO_HOME))).text_content()
    assert "Shared wiki" in page(shown.present(posting(Forwarding.SIGNED_IN))).text_content()


def test_see_other_takes_no_host_of_the_request() -> None:
    assert see_other("/login/x").headers["Location"] == "/login/x"


@pytest.mark.parametrize("outcome", OUTCOMES.values(), ids=OUTCOMES)
def test_the_host_header_is_in_no_page_and_no_address(shown: Shown, outcome: Outcome) -> None:
    response = shown.present(outcome)

    assert "evil.example" not in f"{response.text} {response.headers}"


# --- language ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "cookie", "ui_locales", "accepted", "expected"),
    [
        (f"{HERE}?lang=sv", "fi", ("en",), "en", "sv"),
        (HERE, "fi", ("en",), "en", "fi"),
        (HERE, "", ("sv", "en"), "en", "sv"),
        (HERE, "", (), "en", "en"),
        (HERE, "", (), "de", "fi"),
        (f"{HERE}?lang=de", "xx", ("ru",), "", "fi"),
    ],
    ids=["asked", "remembered", "the_service_s", "the_browser_s", "none_of_ours", "nothing_usable"],
)
def test_the_language_is_what_was_asked_for_last(
    shown: Shown, url: str, cookie: str, ui_locales: tuple[str, ...], accepted: str, expected: str
) -> None:
    transaction = a_transaction(a_request(ui_locales=ui_locales))
    cookies = {"language": cookie} if cookie else {}

    response = shown.present(choice(transaction), url, language=accepted, cookies=cookies)

    assert response.headers["Content-Language"] == expected
    assert page(response).get("lang") == expected


@pytest.mark.parametrize(
    ("query", "remembered"), [("?lang=sv", "sv"), ("?lang=de", None), ("?lang=sv-FI", None), ("", None)]
)
def test_only_a_language_that_was_asked_for_and_given_is_remembered(
    shown: Shown, query: str, remembered: str | None
) -> None:
    cookies = shown.present(choice(), HERE + query).cookies

    if remembered is None:
        assert "__Host-broker-language" not in cookies
    else:
        cookie = cookies["__Host-broker-language"]
        assert cookie.value == remembered
        assert (cookie["path"], cookie["samesite"], cookie["secure"], cookie["httponly"]) == ("/", "Lax", True, True)


@pytest.mark.parametrize("outcome", [choice(), refused(NoAgreement(organisation="pori"), at_pori())])
def test_the_language_links_show_the_same_login_again(shown: Shown, outcome: Outcome) -> None:
    found = page(shown.present(outcome, "/oidc/callback?state=secret&code=secret"))

    assert found.xpath("//nav//a/@href") == [f"{HERE}?lang={code}" for code in ("fi", "sv", "en")]
    assert found.xpath("//nav//a[@aria-current]/@hreflang") == ["en"]


def test_a_page_that_cannot_be_shown_again_has_no_language_links(shown: Shown) -> None:
    assert not page(shown.present(refused(UnknownService()))).xpath("//nav")


# --- the choice -------------------------------------------------------------------------------------------------------


def test_the_choice_is_links_in_the_order_of_names_each_to_this_login(shown: Shown) -> None:
    response = shown.present(choice(organisations=(ULVILA, KEVA, PORI)))

    assert response.status == 200
    found = [each for each in links(response) if "choose" in each]
    assert found == [f"{HERE}/choose?organisation={each}" for each in ("keva", "pori", "ulvila")]


def test_the_organisation_of_the_last_time_stands_first_and_in_the_list(shown: Shown) -> None:
    response = shown.present(choice(), cookies={"organisation": "ulvila"})

    found = [each.rpartition("=")[2] for each in links(response) if "choose" in each]
    assert found == ["ulvila", "pori", "ulvila"]
    forms = page(response).xpath(f"//form[@method='post'][@action='{HERE}']")
    assert len(forms) == 1


@pytest.mark.parametrize("value", ["keva", "nobody", "", '"><b>x', "pori,ulvila"])
def test_a_remembered_organisation_that_is_not_in_the_list_is_not_shown(shown: Shown, value: str) -> None:
    response = shown.present(choice(), cookies={"organisation": value})

    assert not page(response).xpath("//form[@method='post']")
    assert "<b>x" not in response.text


def test_a_hint_that_named_nobody_is_told_in_a_note(shown: Shown) -> None:
    assert page(shown.present(choice(hint_ignored=True))).xpath("//div[@class='notice']")
    assert not page(shown.present(choice())).xpath("//div[@class='notice']")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("q=ulv", ["ulvila"]),
        ("q=ULVSBY", ["ulvila"]),
        ("q=bjorneb", ["pori"]),
        ("q=pori.fi", ["pori"]),
        ("q=orin", []),
        ("mail=aino%40ulvila.fi", ["ulvila"]),
        ("mail=%40Pori.FI", ["pori"]),
        ("mail=aino%40pori.fi.evil.example", []),
        ("q=++", ["pori", "ulvila"]),
        ("q=&mail=", ["pori", "ulvila"]),
    ],
)
def test_a_search_works_without_a_script(shown: Shown, query: str, expected: list[str]) -> None:
    response = shown.present(choice(), f"{HERE}?{query}")

    assert [each.rpartition("=")[2] for each in links(response) if "choose" in each] == expected


def test_P7_an_address_that_was_searched_for_is_not_written_into_the_page(shown: Shown) -> None:
    many = tuple(
        replace(ORGANISATIONS[2], id=OrganisationId(f"keva{number}"), name={"fi": f"Keva {number}"})
        for number in range(20)
    )
    shown.federation = federation_of(organisations=(*ORGANISATIONS, *many))
    step = {"organisations": tuple(each.id for each in many)}

    assert "aino" not in shown.present(choice(**step), f"{HERE}?q=aino%40pori.fi").text
    assert 'value="kev"' in shown.present(choice(**step), f"{HERE}?q=kev").text


def test_a_very_long_search_is_cut_and_an_evil_one_is_text(shown: Shown) -> None:
    response = shown.present(choice(), f"{HERE}?q=" + "x" * 5000)
    assert "x" * 300 not in response.text

    assert "<script>alert" not in shown.present(choice(), f"{HERE}?q=%22%3E%3Cscript%3Ealert(1)").text


def test_another_revision_s_organisations_are_shown_at_once(shown: Shown) -> None:
    assert "Keva" not in shown.present(choice()).text
    renamed = replace(ORGANISATIONS[0], short_name={"en": "New Pori"}, name={"en": "City of New Pori"})
    shown.federation = federation_of(organisations=(renamed, *ORGANISATIONS[1:]))

    assert "New Pori" in shown.present(choice()).text


@pytest.mark.parametrize("removed", ["service", "organisation"])
def test_what_was_removed_while_the_page_was_on_its_way_is_no_crash(shown: Shown, removed: str) -> None:
    shown.federation = (
        federation_of(services=SERVICES[1:]) if removed == "service" else federation_of(organisations=ORGANISATIONS[1:])
    )
    if removed == "service":
        for outcome in (choice(), posting(Forwarding.TO_HOME)):
            with pytest.raises(UnknownService):
                shown.present(outcome)
    else:
        assert [each.rpartition("=")[2] for each in links(shown.present(choice())) if "choose" in each] == ["ulvila"]


# --- the refusal ------------------------------------------------------------------------------------------------------


def test_who_was_refused_after_a_city_was_asked_may_choose_again_or_go_back(shown: Shown) -> None:
    response = shown.present(refused(NoAgreement(organisation="pori", service=WIKI), at_pori()))

    assert f"{HERE}/again" in links(response)
    assert f"{HERE}/back" in links(response)


def test_who_was_refused_before_is_not_offered_what_would_be_refused_again(shown: Shown) -> None:
    transaction = a_transaction(stage=Stage.REFUSED)
    response = shown.present(refused(StatusDoesNotAdmit(service=WIKI), transaction))

    assert f"{HERE}/again" not in links(response)
    assert f"{HERE}/back" in links(response)


def test_a_refusal_without_a_login_leads_nowhere_of_ours(shown: Shown) -> None:
    assert not [each for each in links(shown.present(refused(UnknownService()))) if each.startswith("/")]


def test_a_stranger_s_refusal_that_names_a_service_leads_to_its_front_page(shown: Shown) -> None:
    assert "https://wiki.example/" in links(shown.present(refused(LoginUsedOrExpired(service=WIKI))))


def test_P12_a_missing_attribute_is_named_with_its_purpose_and_whom_to_ask(shown: Shown) -> None:
    fault = RequiredAttributeMissing(
        "missing: mail", service=WIKI, organisation=PORI, attribute="mail", rule="required_attributes_are_there"
    )
    response = shown.present(refused(fault, at_pori()))
    text = page(response).text_content()

    assert "Notifications of changes" in text
    assert "ict@pori.example" in text
    assert "+358 2 000 0000, Mon–Fri 8–16" in text
    assert "mailto:ict@pori.example?subject=K7M2-9QXA" in links(response)


def test_the_organisation_that_the_fault_names_counts_before_the_one_that_was_chosen(shown: Shown) -> None:
    """A directory of several cities: the person is Ulvila's, whichever was chosen on the page."""
    fault = NoAgreement("none", organisation=ULVILA, service=WIKI)

    assert "ict@ulvila.example" not in shown.present(refused(HomeUnreachable(organisation="pori"), at_pori())).text
    assert "Ulvila" in page(shown.present(refused(fault, at_pori()))).text_content()


def test_a_service_that_was_removed_meanwhile_is_no_crash(shown: Shown) -> None:
    shown.federation = federation_of(services=SERVICES[1:])
    transaction = at_pori()

    response = shown.present(refused(UnknownService(service=WIKI), transaction))

    assert response.status == 400
    assert WIKI in page(response).text_content()


@pytest.mark.parametrize("language", ["fi", "sv", "en"])
@pytest.mark.parametrize("known", [True, False])
def test_P12_every_refusal_has_its_page_in_every_language(shown: Shown, language: str, known: bool) -> None:
    for each in _all_faults():
        context = {"service": ROOMS, "organisation": ULVILA, "attribute": "mail"} if known else {}
        response = shown.present(refused(each("", **context), at_pori() if known else None), language=language)
        assert page(response).xpath("string(//main/@data-reason)") == each.code
        assert page(response).xpath("string(//h1)").strip()
        assert "%(" not in response.text


def _all_faults() -> list[type[Fault]]:
    assert every_package
    waiting, found = [Fault], []
    while waiting:
        each = waiting.pop()
        waiting.extend(each.__subclasses__())
        # Those of the broker alone: other tests make some of their own.
        if getattr(each, "code", "") and each.__module__.startswith("broker."):
            found.append(each)
    assert len(found) > 50
    return found


def test_the_start_page_is_a_page_like_the_others(shown: Shown) -> None:
    request = make_mocked_request("GET", "/?lang=sv", headers={"Host": "evil.example"})

    response = shown.presenter.start(request)

    assert response.status == 200
    assert policy(response)["form-action"] == "'self'"
    assert page(response).xpath("//nav//a/@href")[0] == "/?lang=fi"
    assert response.cookies["__Host-broker-language"].value == "sv"


def test_the_moment_on_the_page_is_the_clock_s(shown: Shown) -> None:
    response = shown.present(refused(UnknownService(service=ServiceId("x"))))

    # 8.00 UTC in Finland's winter.
    assert NOW.hour == 8
    assert "2 Mar 2026 at 10:00" in page(response).text_content()
