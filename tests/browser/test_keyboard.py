"""Everything by keyboard alone: WCAG 2.1.1, 2.1.2, 2.4.1, 2.4.3, 2.4.7 and 2.4.11."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests.browser import looks
from tests.browser.pages import PAGES
from tests.browser.servers import Demo
from tests.browser.visitor import Visitor

# What the keyboard reaches, in the order of the document.
_STOPS = """() => {
  window.stops = [...document.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex='0']")]
    .filter((each) => each.checkVisibility({visibilityProperty: true}) && each.type !== "hidden" && !each.disabled);
  document.activeElement.blur();
  scrollTo(0, 0);
  return stops.length;
}"""
_FOCUSED = """() => {
  const each = document.activeElement, style = getComputedStyle(each), box = each.getBoundingClientRect();
  return {
    stop: window.stops.indexOf(each),
    what: each.outerHTML.slice(0, 80),
    ring: each.matches(":focus-visible") && style.outlineStyle !== "none" ? parseFloat(style.outlineWidth) : 0,
    inView: box.width > 1 && box.bottom > 0 && box.top < innerHeight && box.left > -1 && box.right < innerWidth + 1,
  };
}"""
LEAST_RING = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """``index``: among the document's own stops; -1 outside the document. ``ring``: width of the outline in px."""

    index: int
    what: str
    ring: float
    in_view: bool


def walk(visitor: Visitor, key: str) -> list[Stop]:
    """From outside the document by this key, until it is left again."""
    stops: list[Stop] = []
    for _ in range(visitor.page.evaluate(_STOPS) + 1):
        visitor.page.keyboard.press(key)
        found = visitor.page.evaluate(_FOCUSED)
        stop = Stop(index=found["stop"], what=found["what"], ring=found["ring"], in_view=found["inView"])
        # Where the window has nothing but the page, its other end follows at once.
        if stop.index < 0 or stop.index in [each.index for each in stops]:
            break
        stops.append(stop)
    return stops


@pytest.mark.parametrize("name", PAGES)
def test_wcag_2_4_3_tab_goes_through_the_page_in_its_order_and_out_again(
    visitor: Visitor, region: str, name: str
) -> None:
    PAGES[name].come(visitor, region)
    visitor.page.locator("main").wait_for()
    for width in (320, 1280):
        looks.set_up(visitor.page, width=width)
        forwards = walk(visitor, "Tab")
        assert len(forwards) == visitor.page.evaluate("stops.length")
        assert [stop.index for stop in forwards] == list(range(len(forwards)))
        assert [stop.what for stop in forwards if stop.ring < LEAST_RING or not stop.in_view] == []
    backwards = walk(visitor, "Shift+Tab")
    assert [stop.index for stop in backwards] == list(reversed(range(len(forwards))))


@pytest.mark.parametrize("name", ["start", "choose", "refused-not-found"])
def test_wcag_2_4_1_the_first_stop_skips_to_the_content(visitor: Visitor, region: str, name: str) -> None:
    PAGES[name].come(visitor, region)
    skip = visitor.page.locator("a.skip")
    visitor.page.keyboard.press("Tab")
    assert skip.evaluate("(each) => each === document.activeElement")
    assert skip.evaluate("(each) => each.getBoundingClientRect().height") >= looks.ROW
    visitor.page.keyboard.press("Enter")
    assert visitor.page.evaluate("document.activeElement.id") == "main"
    visitor.page.keyboard.press("Tab")
    assert visitor.page.evaluate("document.activeElement.closest('main') !== null || !document.querySelector('main a')")


def test_wcag_2_1_1_enter_on_an_organisation_goes_to_its_login(visitor: Visitor, demo: Demo) -> None:
    visitor.begin(demo.wiki)
    visitor.page.locator('#orgs a.row[href$="organisation=ulvila"]').focus()
    visitor.page.keyboard.press("Enter")
    visitor.page.wait_for_url(f"{demo.ulvila}/**")
    assert visitor.origin == demo.ulvila


def test_wcag_2_1_1_enter_opens_and_closes_what_is_folded(visitor: Visitor, demo: Demo) -> None:
    visitor.begin(demo.wiki)
    details = visitor.page.locator("details").first
    summary = details.locator("summary")
    summary.focus()
    for is_open in (True, False):
        visitor.page.keyboard.press("Enter")
        assert details.evaluate("(each) => each.open") == is_open
        assert summary.evaluate("(each) => each === document.activeElement")


def test_wcag_2_1_1_the_page_that_posts_goes_on_by_keyboard(visitor: Visitor, demo: Demo, region: str) -> None:
    PAGES["forward"].come(visitor, region)
    visitor.page.locator("main button").focus()
    visitor.page.keyboard.press("Enter")
    visitor.page.wait_for_url(f"{demo.wiki.base}/received")
    assert visitor.received()
