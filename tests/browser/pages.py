"""Every page that the broker shows, and how a person comes to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from broker.demo.people import PEOPLE, Person
from tests.browser.region import DOWN, SCREEN
from tests.browser.visitor import Visitor

LANGUAGES = ("fi", "sv", "en")


@dataclass(frozen=True, slots=True, kw_only=True)
class PageOfTheBroker:
    """``come``: takes a visitor there; ``region`` is the address that begins a login at the region's service.

    ``reason``: the fault code, of a refusal. ``posts``: it is left by a form that goes to another origin.
    """

    come: Callable[[Visitor, str], None]
    reason: str | None = None
    status: int = 200
    posts: bool = False


def _start(visitor: Visitor, region: str) -> None:
    visitor.open(f"{visitor.demo.broker}/")


def _choose(visitor: Visitor, region: str) -> None:
    visitor.begin(visitor.demo.wiki)


def _choose_remembered(visitor: Visitor, region: str) -> None:
    visitor.begin(visitor.demo.wiki)
    visitor.choose("pori")
    visitor.begin(visitor.demo.rooms)


def _choose_hint_ignored(visitor: Visitor, region: str) -> None:
    """Harjavalta has no agreement in force."""
    visitor.begin(visitor.demo.wiki, "harjavalta")


def _choose_found(visitor: Visitor, region: str) -> None:
    visitor.begin(visitor.demo.wiki)
    visitor.open(f"{visitor.login}?{urlencode({'mail': '@pori.fi'})}")


def _choose_not_found(visitor: Visitor, region: str) -> None:
    visitor.begin(visitor.demo.wiki)
    visitor.open(f"{visitor.login}?{urlencode({'mail': '@elsewhere.example'})}")


def _choose_many(visitor: Visitor, region: str) -> None:
    visitor.open(region)


def _choose_many_found(visitor: Visitor, region: str) -> None:
    visitor.open(region)
    visitor.open(f"{visitor.login}?{urlencode({'q': 'h'})}")


def _refused(person_id: str, service_id: str) -> Callable[[Visitor, str], None]:
    def come(visitor: Visitor, region: str) -> None:
        visitor.log_in(visitor.demo.service(service_id), _person(person_id))

    return come


def _forward(visitor: Visitor, region: str) -> None:
    visitor.stay_on_the_page_that_posts()
    visitor.begin(visitor.demo.wiki)
    visitor.choose("ulvila")
    visitor.be(_person("juhani-makela"))


def _forward_back(visitor: Visitor, region: str) -> None:
    visitor.stay_on_the_page_that_posts()
    visitor.log_in(visitor.demo.wiki, _person("oskari-lehto"))
    visitor.page.locator('a[href$="/back"]').click()


def _idp_down(visitor: Visitor, region: str) -> None:
    visitor.open(region)
    visitor.choose(DOWN)


def _login_used(visitor: Visitor, region: str) -> None:
    visitor.open(f"{visitor.demo.broker}/login/{'u' * 43}")


def _not_found(visitor: Visitor, region: str) -> None:
    visitor.open(f"{visitor.demo.broker}/no/such/page")


def _unknown_service(visitor: Visitor, region: str) -> None:
    visitor.open(f"{visitor.demo.broker}/oidc/authorize?client_id=nobody&response_type=code&scope=openid")


def _service_request_wrong(visitor: Visitor, region: str) -> None:
    """P5: a redirect URI that is not registered."""
    visitor.open(region.replace("callback", "elsewhere"))


def _device(visitor: Visitor, region: str) -> None:
    visitor.open(f"{visitor.demo.broker}/device")


def _device_wrong(visitor: Visitor, region: str) -> None:
    visitor.open(f"{visitor.demo.broker}/device?user_code=BCDF-GHJK")


def _device_confirm(visitor: Visitor, region: str) -> None:
    visitor.open(_verification_address(visitor))


def _device_done(visitor: Visitor, region: str) -> None:
    _device_confirm(visitor, region)
    visitor.page.locator('a[href^="/device/sign-in"]').click()
    visitor.choose("ulvila")
    visitor.be(_person("juhani-makela"))


def _device_refused(visitor: Visitor, region: str) -> None:
    """Elina's home asserts a scope that is not its own."""
    _device_confirm(visitor, region)
    visitor.page.locator('a[href^="/device/sign-in"]').click()
    visitor.choose("ulvila")
    visitor.be(_person("elina-virtanen"))
    visitor.page.locator('a[href$="/back"]').click()


def _verification_address(visitor: Visitor) -> str:
    """Of a screen that was just switched on."""
    form = {"client_id": SCREEN, "scope": "openid"}
    answer = visitor.page.context.request.post(f"{visitor.demo.broker}/oidc/device_authorization", form=form)
    return str(answer.json()["verification_uri_complete"])


def _person(id: str) -> Person:
    return next(person for person in PEOPLE if person.id == id)


PAGES: Mapping[str, PageOfTheBroker] = {
    "start": PageOfTheBroker(come=_start),
    "choose": PageOfTheBroker(come=_choose),
    "choose-remembered": PageOfTheBroker(come=_choose_remembered),
    "choose-hint-ignored": PageOfTheBroker(come=_choose_hint_ignored),
    "choose-found": PageOfTheBroker(come=_choose_found),
    "choose-not-found": PageOfTheBroker(come=_choose_not_found),
    "choose-many": PageOfTheBroker(come=_choose_many),
    "choose-many-found": PageOfTheBroker(come=_choose_many_found),
    "device": PageOfTheBroker(come=_device),
    "device-wrong": PageOfTheBroker(come=_device_wrong),
    "device-confirm": PageOfTheBroker(come=_device_confirm),
    "device-done": PageOfTheBroker(come=_device_done),
    "device-refused": PageOfTheBroker(come=_device_refused),
    "forward": PageOfTheBroker(come=_forward, posts=True),
    "forward-back": PageOfTheBroker(come=_forward_back, posts=True),
    "refused-agreement": PageOfTheBroker(
        come=_refused("helena-nieminen", "meeting-rooms"), reason="no_agreement", status=403
    ),
    "refused-attribute": PageOfTheBroker(
        come=_refused("veikko-salo", "meeting-rooms"), reason="required_attribute_missing", status=403
    ),
    "refused-requirement": PageOfTheBroker(
        come=_refused("oskari-lehto", "shared-wiki"), reason="requirement_not_met", status=403
    ),
    "refused-foreign-scope": PageOfTheBroker(
        come=_refused("elina-virtanen", "meeting-rooms"), reason="foreign_scope", status=403
    ),
    "refused-idp-down": PageOfTheBroker(come=_idp_down, reason="home_unreachable", status=502),
    "refused-login-used": PageOfTheBroker(come=_login_used, reason="login_used_or_expired", status=400),
    "refused-not-found": PageOfTheBroker(come=_not_found, reason="not_found", status=404),
    "refused-unknown-service": PageOfTheBroker(come=_unknown_service, reason="unknown_service", status=400),
    "refused-service-request": PageOfTheBroker(come=_service_request_wrong, reason="unregistered_address", status=400),
}
