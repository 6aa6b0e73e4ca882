"""Colours as Chromium computes them: WCAG 1.4.3 and 1.4.11, and what readers ask of their system."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Literal

import pytest
from playwright.sync_api import Page

from tests.browser import looks
from tests.browser.looks import SCHEMES, Scheme
from tests.browser.pages import PAGES
from tests.browser.servers import Demo
from tests.browser.visitor import SCREENSHOTS, Visitor

TEXT, MUCH, EDGE = 4.5, 7.0, 3.0
GROUNDS = ("paper", "surface")
STATUSES = ("ok", "warn", "bad", "note")
# Which token is drawn on which, and how much they must differ.
PAIRS = (
    *((text, ground, TEXT) for text, ground in product(("ink", "ink-2", "brand", *STATUSES), (*GROUNDS, "soft"))),
    *(("ink", ground, TEXT) for ground in ("sunken", *(f"{status}-soft" for status in STATUSES))),
    *((status, f"{status}-soft", TEXT) for status in STATUSES),
    ("on-fill", "fill", TEXT),
    ("paper", "ink", TEXT),
    *((edge, ground, EDGE) for edge, ground in product(("edge", "accent", "fill", "brand", "ink"), GROUNDS)),
)
# "ink" is the focus ring's too: it lies outside of what has the focus, or on a row's own surface.
NAMES = sorted({name for front, ground, _ in PAIRS for name in (front, ground)})

_COLOURS = """(names) => {
  const probe = document.body.appendChild(document.createElement("i"));
  const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
  const found = Object.fromEntries(names.map((name) => {
    probe.style.color = `var(--${name})`;
    canvas.fillStyle = getComputedStyle(probe).color;
    canvas.fillRect(0, 0, 1, 1);
    return [name, [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3)];
  }));
  probe.remove();
  return found;
}"""
_MOVING = """() => [...document.querySelectorAll("*")].flatMap((each) => [null, "::before", "::after"].map((part) => {
  const style = getComputedStyle(each, part);
  return style.transitionDuration.split(", ").every((time) => parseFloat(time) === 0) && style.animationName === "none"
    ? null : `${each.tagName} ${part ?? ""}`;
})).filter((each) => each !== null)"""
# What would not be seen where the system paints all grounds alike: a control without an edge, text that is not the
# system's own.
_LOST = """() => {
  const system = (name) => {
    const probe = document.body.appendChild(document.createElement("i"));
    probe.style.color = name;
    const colour = getComputedStyle(probe).color;
    probe.remove();
    return colour;
  };
  const texts = ["CanvasText", "LinkText", "ButtonText", "FieldText", "GrayText", "VisitedText"].map(system);
  const visible = [...document.querySelectorAll("main *")].filter((each) => each.checkVisibility());
  const edgeless = visible.filter((each) => each.matches(".btn:not(.btn-3), .input, .row-main, .rows, .notice"))
    .filter((each) => parseFloat(getComputedStyle(each).borderTopWidth) < 1
      || getComputedStyle(each).borderTopColor === getComputedStyle(document.body).backgroundColor);
  const strange = visible.filter((each) => each.matches("p, h1, h2, h3, a, button, span, dt, dd, li"))
    .filter((each) => !texts.includes(getComputedStyle(each).color));
  return [...edgeless, ...strange].map((each) => each.outerHTML.slice(0, 80));
}"""
SHOWN = ("start", "choose-remembered", "choose-many", "forward", "refused-agreement")


def luminance(colour: list[int]) -> float:
    """WCAG 2.2, relative luminance of sRGB."""
    linear = [each / 255 / 12.92 if each / 255 <= 0.04045 else ((each / 255 + 0.055) / 1.055) ** 2.4 for each in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: list[int], other: list[int]) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_contrast_is_computed_as_wcag_says() -> None:
    assert contrast([0, 0, 0], [255, 255, 255]) == pytest.approx(21)
    assert contrast([118, 118, 118], [255, 255, 255]) == pytest.approx(4.54, abs=0.01)


@pytest.fixture
def page(visitor: Visitor, demo: Demo) -> Page:
    visitor.open(f"{demo.broker}/")
    return visitor.page


@pytest.mark.parametrize("wish", ["no-preference", "more"])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_wcag_1_4_3_and_1_4_11_tokens_differ_enough(
    page: Page, scheme: Scheme, wish: Literal["no-preference", "more"]
) -> None:
    page.emulate_media(color_scheme=scheme, contrast=wish)
    colours = page.evaluate(_COLOURS, NAMES)
    too_alike = [
        f"{front} on {ground}: {ratio:.2f}, needs {least}"
        for front, ground, least in PAIRS
        if (ratio := contrast(colours[front], colours[ground])) < least
    ]
    assert too_alike == []


@pytest.mark.parametrize("scheme", SCHEMES)
def test_wcag_1_4_6_who_asks_for_more_contrast_gets_it(page: Page, scheme: Scheme) -> None:
    page.emulate_media(color_scheme=scheme)
    usual = page.evaluate(_COLOURS, NAMES)
    page.emulate_media(contrast="more")
    more = page.evaluate(_COLOURS, NAMES)
    for front, ground in product(("ink", "ink-2", "edge"), GROUNDS):
        ratio = contrast(more[front], more[ground])
        assert ratio > contrast(usual[front], usual[ground])
        assert ratio >= MUCH


@pytest.fixture(params=SHOWN)
def shown(request: pytest.FixtureRequest, visitor: Visitor, region: str) -> Iterator[tuple[str, Visitor]]:
    PAGES[request.param].come(visitor, region)
    visitor.page.locator("main").wait_for()
    yield request.param, visitor
    assert visitor.complaints == []


def test_more_contrast_leaves_the_page_whole(shown: tuple[str, Visitor]) -> None:
    name, visitor = shown
    for scheme in SCHEMES:
        visitor.page.emulate_media(color_scheme=scheme, contrast="more")
        assert looks.violations(visitor.page) == []
        assert looks.too_wide(visitor.page) == []
        visitor.page.screenshot(path=SCREENSHOTS / f"{name}-en-{scheme}-more-contrast.png", full_page=True)


def test_forced_colours_leave_edges_and_text(shown: tuple[str, Visitor]) -> None:
    name, visitor = shown
    for scheme in SCHEMES:
        visitor.page.emulate_media(color_scheme=scheme, forced_colors="active")
        assert visitor.page.evaluate(_LOST) == []
        assert looks.violations(visitor.page) == []
        visitor.page.screenshot(path=SCREENSHOTS / f"{name}-en-{scheme}-forced-colours.png", full_page=True)


def test_who_asks_for_less_motion_gets_none(visitor: Visitor, region: str) -> None:
    PAGES["choose-remembered"].come(visitor, region)
    visitor.rows.first.hover()
    assert visitor.page.evaluate(_MOVING) != []
    visitor.page.emulate_media(reduced_motion="reduce")
    assert visitor.page.evaluate(_MOVING) == []
