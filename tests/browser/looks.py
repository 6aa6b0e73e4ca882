"""What can be said of a page by looking at it: axe-core's rules, and what axe-core does not see.

Everything is asked through the browser's debugging door, so that the page's Content-Security-Policy stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Literal, cast

from lxml import html
from playwright.sync_api import CDPSession, Page

_AXE = Path(__file__).parent / "node_modules" / "axe-core" / "axe.min.js"
_RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa")
Scheme = Literal["light", "dark"]
SCHEMES: tuple[Scheme, ...] = ("light", "dark")
TALL = 800
USUAL_TEXT = 16
LEAST_TARGET = 24
ROW = 44

_RUN_AXE = """async (tags) => {
  document.querySelectorAll("details").forEach((each) => { each.open = true; });
  const found = await axe.run(document, {runOnly: tags, resultTypes: ["violations"]});
  document.querySelectorAll("details").forEach((each) => { each.open = false; });
  return {rules: found.passes.length, violations: found.violations.flatMap(({id, nodes}) => nodes.map((node) =>
    `${id}: ${node.target.join(" ")} ${node.failureSummary.split("\\n").at(-1).trim()}`))};
}"""
# Text spacing of WCAG 1.4.12, on everything.
_SPACED = """() => {
  for (const each of document.querySelectorAll("body *")) {
    each.style.lineHeight = "1.5"; each.style.letterSpacing = ".12em"; each.style.wordSpacing = ".16em";
    if (each.tagName === "P") each.style.marginBottom = "2em";
  }
}"""
_UNSPACED = """() => {
  for (const each of document.querySelectorAll("body [style]")) each.removeAttribute("style");
}"""
# What sticks out to the right of the window, and what its own box cuts off; not what only a screen reader shall get.
_TOO_WIDE = """() => {
  const named = (each) => `${each.tagName}.${each.getAttribute("class") ?? ""}`;
  const all = [...document.querySelectorAll("body *")].filter((each) => !each.matches(".vh, .skip"));
  const over = document.documentElement.scrollWidth - innerWidth;
  const out = over > 0 ? all.filter((each) => each.getBoundingClientRect().right > innerWidth + 1).map(named) : [];
  const cut = all.filter((each) => each.scrollWidth > each.clientWidth + 1 && each.clientWidth > 0
    && ["clip", "hidden"].includes(getComputedStyle(each).overflowX)).map(named);
  return [...(over > 0 ? [`${over} px wider than the window`] : []), ...out, ...cut.map((each) => `${each} is cut off`)];
}"""
_SMALL_TARGETS = """([least, row]) => {
  const inSentence = (each) => getComputedStyle(each).display === "inline"
    && each.parentElement.textContent.trim().length > each.textContent.trim().length;
  return [...document.querySelectorAll("a[href], button, input, summary")]
    .filter((each) => each.checkVisibility({visibilityProperty: true}) && each.type !== "hidden" && !each.matches(".skip")
      && !inSentence(each))
    .map((each) => ({each, box: each.getBoundingClientRect()}))
    .filter(({each, box}) => Math.min(box.width, box.height) < (each.matches(".row, .btn:not(.btn-3), .input") ? row : least))
    .map(({each, box}) => `${each.tagName} "${each.textContent.trim()}" ${box.width.toFixed(1)} x ${box.height.toFixed(1)}`);
}"""
_HEADINGS = """() => [...document.querySelectorAll("h1, h2, h3, h4, h5, h6")].map((each) => Number(each.tagName[1]))"""
_INLINE = "//script[not(@src)] | //style | //@style | //@*[starts-with(name(), 'on')]"


@cache
def _axe() -> str:
    assert _AXE.exists(), "axe-core is not installed: `make setup` installs it"
    return _AXE.read_text(encoding="utf-8")


def set_up(page: Page, *, scheme: Scheme = "light", width: int = 1280) -> None:
    page.set_viewport_size({"width": width, "height": TALL})
    page.emulate_media(color_scheme=scheme)


def violations(page: Page) -> list[str]:
    """axe-core's, with all details open. Raises: AssertionError, if its rules found nothing to check."""
    if not page.evaluate("typeof axe === 'object'"):
        page.evaluate(_axe())
    found: dict[str, Any] = page.evaluate(_RUN_AXE, list(_RULES))
    assert found["rules"] > 10
    return list(found["violations"])


def too_wide(page: Page) -> list[str]:
    """WCAG 1.4.10: what does not fit into the window's width."""
    return list(page.evaluate(_TOO_WIDE))


def too_wide_with_text_of(page: Page, percent: int) -> list[str]:
    """WCAG 1.4.4: the same, with larger text but the page's own break points."""
    page.evaluate("(size) => { document.documentElement.style.fontSize = size; }", f"{percent}%")
    found = too_wide(page)
    page.evaluate("document.documentElement.removeAttribute('style')")
    return found


def too_wide_in_browser_with_text_of(page: Page, percent: int) -> list[str]:
    """The same, as the browser's own setting does it: break points in rem move along."""
    with _debugging(page) as session:
        _set_font_size(session, USUAL_TEXT * percent // 100)
        found = too_wide(page)
        _set_font_size(session, USUAL_TEXT)
    return found


def too_wide_when_spaced(page: Page) -> list[str]:
    """WCAG 1.4.12: the same, with the spacing that some readers need."""
    page.evaluate(_SPACED)
    found = too_wide(page)
    page.evaluate(_UNSPACED)
    return found


@contextmanager
def _debugging(page: Page) -> Iterator[CDPSession]:
    session = page.context.new_cdp_session(page)
    yield session
    session.detach()


def _set_font_size(session: CDPSession, pixels: int) -> None:
    session.send("Page.setFontSizes", {"fontSizes": {"standard": pixels}})


def small_targets(page: Page) -> list[str]:
    """WCAG 2.5.8, and 44 px for rows, buttons and fields. Links within a sentence are free."""
    return list(page.evaluate(_SMALL_TARGETS, [LEAST_TARGET, ROW]))


def headings(page: Page) -> Sequence[int]:
    """The levels, in the order of the page."""
    return list(page.evaluate(_HEADINGS))


def inline_code(markup: str) -> list[str]:
    """Scripts and styles that stand in the page itself; the Content-Security-Policy would stop them."""
    found = cast(list[object], html.document_fromstring(markup).xpath(_INLINE))
    return [str(each) for each in found]
