"""The demo's own cities and services: other people's sites, and as accessible as ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from broker.demo.people import PEOPLE, Person
from tests.browser import looks
from tests.browser.looks import SCHEMES
from tests.browser.servers import Demo
from tests.browser.visitor import SCREENSHOTS, Visitor

PERSON: Mapping[str, Person] = {person.id: person for person in PEOPLE}


def _service(visitor: Visitor, demo: Demo) -> None:
    visitor.open(demo.wiki.base)


def _city(visitor: Visitor, demo: Demo) -> None:
    visitor.begin(demo.wiki, "pori")


def _received(visitor: Visitor, demo: Demo) -> None:
    visitor.log_in(demo.rooms, PERSON["sofia-nystrom"])


def _refused(visitor: Visitor, demo: Demo) -> None:
    visitor.log_in(demo.wiki, PERSON["elina-virtanen"])
    visitor.go_back(demo.wiki)


COME = {"demo-service": _service, "demo-city": _city, "demo-received": _received, "demo-refused": _refused}


@pytest.mark.parametrize("language", ["fi", "en"])
@pytest.mark.parametrize("name", COME)
def test_wcag_2_2_aa_the_demos_pages_too(
    visitor_with: Callable[..., Visitor], demo: Demo, name: str, language: str
) -> None:
    visitor = visitor_with(locale={"fi": "fi-FI", "en": "en-GB"}[language])
    COME[name](visitor, demo)
    assert visitor.page.locator("html").get_attribute("lang") == language
    assert looks.headings(visitor.page).count(1) == 1
    for scheme in SCHEMES:
        for width in (320, 1280):
            looks.set_up(visitor.page, scheme=scheme, width=width)
            assert looks.violations(visitor.page) == []
            assert looks.too_wide(visitor.page) == []
            visitor.page.screenshot(path=SCREENSHOTS / f"{name}-{language}-{scheme}-{width}.png", full_page=True)
    assert visitor.complaints == []
