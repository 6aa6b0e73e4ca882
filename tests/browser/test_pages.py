"""Every page in three languages: WCAG 2.2 A and AA by axe-core, what axe-core does not see, and the headers.

Each page is come to once in each language; then it is looked at in light and dark, narrow and wide.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise, product
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser

from tests.browser import looks
from tests.browser.looks import SCHEMES
from tests.browser.pages import LANGUAGES, PAGES, PageOfTheBroker
from tests.browser.servers import Demo
from tests.browser.visitor import REFERENCE, SCREENSHOTS, Visitor

NARROW, WIDE = 320, 1280
LOOKS = tuple(product(SCHEMES, (NARROW, WIDE)))
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action {form_action}; frame-ancestors 'none'; base-uri 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
SEEDED_FAULTS = """() => {
  const main = document.querySelector("main");
  const wide = main.appendChild(document.createElement("img"));
  wide.style.cssText = "width: 400px; height: 10px; max-width: none";
  const small = main.appendChild(document.createElement("button"));
  small.style.cssText = "width: 10px; height: 10px; padding: 0; border: 0";
}"""
SEEDED_STYLE = """() => {
  document.head.appendChild(document.createElement("style")).textContent = "p { color: red }";
}"""


class Shown:
    """A page on view in one language."""

    def __init__(self, name: str, language: str, visitor: Visitor) -> None:
        self.name = name
        self.language = language
        self.visitor = visitor

    @property
    def kind(self) -> PageOfTheBroker:
        return PAGES[self.name]


@pytest.fixture(scope="module", params=list(product(PAGES, LANGUAGES)), ids="-".join)
def shown(request: pytest.FixtureRequest, browser: Browser, demo: Demo, region: str) -> Iterator[Shown]:
    name, language = request.param
    context = browser.new_context(locale={"en": "en-GB"}.get(language, f"{language}-FI"))
    visitor = Visitor(context, demo)
    PAGES[name].come(visitor, region)
    visitor.page.locator("main").wait_for()
    yield Shown(name, language, visitor)
    context.close()


def test_it_is_the_page_that_was_meant(shown: Shown, demo: Demo) -> None:
    assert shown.visitor.origin == demo.broker
    assert shown.visitor.reason == shown.kind.reason
    assert shown.visitor.document.status == shown.kind.status


def test_wcag_2_2_aa_axe_finds_nothing(shown: Shown) -> None:
    page = shown.visitor.page
    found = {}
    for scheme, width in LOOKS:
        looks.set_up(page, scheme=scheme, width=width)
        page.screenshot(path=SCREENSHOTS / f"{shown.name}-{shown.language}-{scheme}-{width}.png", full_page=True)
        found[scheme, width] = looks.violations(page)
    assert found == {each: [] for each in LOOKS}


def test_wcag_1_4_10_everything_fits_into_320_px(shown: Shown) -> None:
    looks.set_up(shown.visitor.page, width=NARROW)
    assert looks.too_wide(shown.visitor.page) == []


def test_wcag_1_4_4_everything_fits_with_text_of_200_and_400_percent(shown: Shown) -> None:
    page = shown.visitor.page
    for width in (NARROW, WIDE // 2, WIDE):
        looks.set_up(page, width=width)
        assert looks.too_wide_with_text_of(page, 200) == []
    assert looks.too_wide_in_browser_with_text_of(page, 400) == []


def test_wcag_1_4_12_everything_fits_with_wider_text_spacing(shown: Shown) -> None:
    looks.set_up(shown.visitor.page, width=NARROW)
    assert looks.too_wide_when_spaced(shown.visitor.page) == []


def test_wcag_2_5_8_targets_are_large_enough(shown: Shown) -> None:
    for width in (NARROW, WIDE):
        looks.set_up(shown.visitor.page, width=width)
        assert looks.small_targets(shown.visitor.page) == []


def test_wcag_3_1_1_the_page_says_its_language(shown: Shown) -> None:
    assert shown.visitor.page.locator("html").get_attribute("lang") == shown.language
    assert shown.visitor.document.headers["content-language"] == shown.language


def test_wcag_2_4_2_the_page_has_a_title(shown: Shown) -> None:
    title, _, federation = shown.visitor.page.title().partition(" – ")
    assert title.strip()
    assert "<" not in title
    assert federation == "Kuntasilta demo"


def test_wcag_1_3_1_one_main_heading_and_no_level_left_out(shown: Shown) -> None:
    levels = looks.headings(shown.visitor.page)
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_the_policy_lets_forms_leave_only_from_the_page_that_posts(shown: Shown) -> None:
    form_action = "https: http:" if shown.kind.posts else "'self'"
    assert shown.visitor.document.headers["content-security-policy"] == POLICY.format(form_action=form_action)


def test_other_headers_keep_the_page_to_itself(shown: Shown) -> None:
    headers = shown.visitor.document.headers
    assert headers["cache-control"] == "no-store"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"


def test_nothing_is_written_into_the_page_that_its_policy_stops(shown: Shown) -> None:
    assert looks.inline_code(shown.visitor.document.text()) == []


def test_everything_comes_from_the_broker(shown: Shown, demo: Demo) -> None:
    loaded = shown.visitor.page.evaluate("performance.getEntriesByType('resource').map((each) => each.name)")
    assert {urlsplit(each).netloc for each in loaded} <= {urlsplit(demo.broker).netloc}


def test_a_recorded_refusal_has_a_reference_code(shown: Shown) -> None:
    """All but addresses that are nobody's: nothing is recorded of those."""
    recorded = shown.kind.reason not in (None, "not_found")
    codes = shown.visitor.page.locator("output.ref").all_inner_texts()
    assert bool(codes) == recorded
    assert all(REFERENCE.fullmatch(code) for code in codes)


def test_the_browser_complains_of_nothing(shown: Shown) -> None:
    """No error of a script, nothing that the policy stopped, nothing that was not found."""
    assert shown.visitor.complaints == []


def test_these_looks_find_what_is_wrong(visitor: Visitor, demo: Demo) -> None:
    """A check that finds nothing anywhere proves nothing."""
    visitor.open(f"{demo.broker}/")
    looks.set_up(visitor.page, width=NARROW)
    visitor.page.evaluate(SEEDED_FAULTS)
    assert any(found.startswith("image-alt") for found in looks.violations(visitor.page))
    assert looks.too_wide(visitor.page)
    assert looks.small_targets(visitor.page)
    assert looks.inline_code("<p style='color: red' onclick='go()'><script>go()</script>") != []
    with visitor.page.expect_console_message():
        visitor.page.evaluate(SEEDED_STYLE)
    assert visitor.complaints
