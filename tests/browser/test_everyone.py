"""Every screen for everyone: readable in both themes, whole on a projector and on a phone, by keyboard, presented."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import Any

import axe_playwright_python
import pytest
from playwright.sync_api import expect

from tests.browser.states import at_rest, fits, is_calm
from tests.small_run import ROOT
from tests.waiting import wait_for

pytestmark = pytest.mark.browser

AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
PAGES = sorted(path.stem for path in (ROOT / "pages").glob("*.py"))
TITLES = {"how": "How it works", "quiz": "Real or generated", "teach": "For teachers"}
"""Those that are not the name of the page."""

LEARN = ("how", "lessons", "quiz", "step")
"""The pages in the menu of this name."""

PROJECTOR = {"width": 1280, "height": 720}
PHONE = {"width": 390, "height": 800}
PICTURES = {
    "train": "svg.plot",
    "map": "canvas.canvas",
    "triplet": ".js-plotly-plot >> nth=0",
    "data": "svg.network",
}
"""The picture that a screen exists for."""

STREAMLIT = {
    # Its tables are drawn on a canvas, beside which it keeps a table for screen readers that can be scrolled.
    "scrollable-region-focusable": "stDataFrame",
}
"""Findings that are of Streamlit's own parts, by the part, and cannot be mended from here."""

OVERLAPS = """() => {
  const seen = (node) => {
    const box = node.getBoundingClientRect()
    const style = getComputedStyle(node)
    return box.width > 1 && box.height > 1 && style.visibility !== "hidden" && style.opacity !== "0" ? box : null
  }
  const kinds = "button, input, a, h1, h2, h3, p, canvas, svg.plot, .js-plotly-plot, [data-testid=stDataFrame]"
  const main = document.querySelector("[data-testid=stMainBlockContainer]")
  const inside = (a, b) => a !== b && a.contains(b)
  const parts = [...main.querySelectorAll(kinds)]
    .filter((part) => !part.closest("[data-testid=stTooltipContent], [data-testid=stElementToolbar]"))
    // What is folded away keeps a place of its own, unseen.
    .filter((part) => part.closest("summary") || !part.closest("details:not([open])"))
    .map((part) => [part, seen(part)])
    .filter(([, box]) => box)
  const found = []
  for (let i = 0; i < parts.length; i++)
    for (let j = i + 1; j < parts.length; j++) {
      const [[a, one], [b, two]] = [parts[i], parts[j]]
      if (inside(a, b) || inside(b, a)) continue
      // The parts of one widget may lie on each other, such as a field and the button in it.
      const widget = a.closest("[data-testid=stElementContainer]")
      if (widget && widget === b.closest("[data-testid=stElementContainer]")) continue
      const wide = Math.min(one.right, two.right) - Math.max(one.left, two.left)
      const high = Math.min(one.bottom, two.bottom) - Math.max(one.top, two.top)
      const said = [a, b].map((part) => `${part.tagName} ${part.textContent.slice(0, 40)}`)
      if (wide > 3 && high > 3) found.push(said.join(" / "))
    }
  return found
}"""
BACKGROUND = "getComputedStyle(document.querySelector('[data-testid=stApp]')).backgroundColor"
IS_LIGHT = "matchMedia('(prefers-color-scheme: light)').matches"
TOOLS_ON_LEGENDS = """() => [...document.querySelectorAll(".js-plotly-plot")].filter((plot) => {
  const legend = plot.querySelector(".legend")?.getBoundingClientRect()
  const tools = [...plot.querySelectorAll(".modebar-btn")].map((each) => each.getBoundingClientRect())
  return legend && tools.some((tool) => tool.left < legend.right && tool.right > legend.left
    && tool.top < legend.bottom && tool.bottom > legend.top)
}).length"""


def title(name: str) -> str:
    """The title of a screen."""
    return TITLES.get(name, name.capitalize())


def stands(page, name: str) -> None:
    """Wait until this screen stands."""
    page.get_by_role("heading", level=1, name=title(name), exact=True).wait_for()
    at_rest(page)
    if name in PICTURES:
        page.locator(PICTURES[name]).first.wait_for()
        at_rest(page)
    is_calm(page)


def go(page, name: str) -> None:
    """Go to a screen as a person does: a page that is loaded anew costs more than all that is looked at on it."""
    row = page.get_by_test_id("stTopNav")
    if name == "teach":
        page.get_by_role("button", name="Teach").click()
        page.get_by_role("dialog").get_by_role("button", name="Lessons, lecture plans").click()
    elif name in LEARN:
        row.get_by_role("button", name="Learn").click()
        page.get_by_role("menuitem", name=title(name), exact=True).click()
    else:
        row.get_by_role("link", name=title(name), exact=True).click()
    stands(page, name)


def findings(page) -> list[str]:
    """What axe-core calls serious or critical, and headings that leave out a level."""
    found = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")["violations"]
    return [
        f"{each['id']}: {node['html'][:160]}"
        for each in found
        if each["impact"] in ("serious", "critical") or each["id"] == "heading-order"
        for node in each["nodes"]
        if STREAMLIT.get(each["id"], "nothing") not in node["html"]
    ]


def test_no_screen_shuts_anybody_out_and_nothing_overlaps(server, open_page):
    """One page that goes from screen to screen; whatever is found on one, the others are looked at as well."""
    page = open_page(viewport=PROJECTOR, color_scheme="light")
    page.goto(f"{server.url}/compare?runs=umls-complex-dans,umls-complex-uniform")
    stands(page, "compare")
    page.evaluate(AXE)
    found = looked_at(page, "compare")
    for name in PAGES:
        if name != "compare":
            go(page, name)
            found += looked_at(page, name)
    assert found == []


def looked_at(page, name: str) -> list[str]:
    """What is wrong on a screen: in the theme that is on, in the other one, which stays, and on a phone."""
    found = shutting_out(page)
    if page.locator("[role=img][aria-label$=' icon']").count():
        found.append("an icon that is read out")
    found += page.evaluate(OVERLAPS)
    if page.evaluate(TOOLS_ON_LEGENDS):
        found.append("tools on a legend")
    if name in PICTURES:
        for picture in page.locator(PICTURES[name]).all():
            box = picture.bounding_box()
            if box["y"] < 0 or box["y"] + box["height"] > PROJECTOR["height"]:
                found.append(f"{PICTURES[name]} is below the fold")

    before = page.evaluate(BACKGROUND)
    page.emulate_media(color_scheme="dark" if page.evaluate(IS_LIGHT) else "light")
    wait_for(lambda: page.evaluate(BACKGROUND) != before, "another theme")
    at_rest(page)
    found += shutting_out(page)

    page.set_viewport_size(PHONE)
    fits(page)
    at_rest(page)
    found += page.evaluate(OVERLAPS)
    page.set_viewport_size(PROJECTOR)
    return [f"{name}: {each}" for each in found]


def shutting_out(page) -> list[str]:
    """What is found for good; a colour may still be on its way to that of the theme."""
    found: list[str] = []

    def nothing() -> bool:
        found[:] = findings(page)
        return not found

    with contextlib.suppress(AssertionError):
        wait_for(nothing, patience=30)
    return found


def test_the_pages_come_first_by_keyboard_and_on_a_phone_from_a_side_bar_that_closes(server, page):
    page.set_viewport_size(PROJECTOR)
    page.goto(server.url)
    stands(page, "train")
    came: list[str] = []
    for _ in range(4):
        page.keyboard.press("Tab")
        came.append(page.evaluate("document.activeElement.dataset.testid ?? ''"))
    assert came[0] == "stSkipToContent" and set(came[1:]) == {"stTopNavLink"}
    bar: Any = page.get_by_test_id("stSidebar")
    expect(bar).to_have_attribute("data-collapsed", "false")
    row = page.get_by_test_id("stTopNav")
    learn = row.get_by_role("button")
    expect(learn).to_have_text("Learn")
    learn.press("Enter")
    shown = [*row.get_by_role("link").all(), *page.get_by_role("menuitem").all()]
    paths = {link.get_attribute("href").rpartition("/")[2] or "train" for link in shown}
    assert paths | {"teach"} == set(PAGES)
    page.get_by_role("menuitem", name="Step").press("Enter")
    stands(page, "step")

    page.set_viewport_size(PHONE)
    expect(bar).to_have_attribute("data-collapsed", "true")
    page.get_by_test_id("stExpandSidebarButton").click()
    expect(bar).to_have_attribute("data-collapsed", "false")
    # All pages but that for teachers.
    expect(page.get_by_test_id("stSidebarNavLink")).to_have_count(len(PAGES) - 1)
    page.get_by_test_id("stSidebarNavLink").filter(has_text="Data").click()
    page.get_by_role("heading", name="Data", level=1).wait_for()
    expect(bar).not_to_be_in_viewport()


def test_a_presentation_begins_and_ends_with_a_key_and_stands_in_the_address(server, page):
    page.set_viewport_size(PROJECTOR)
    page.goto(f"{server.url}/map?present=1")
    stands(page, "map")
    expect(page.get_by_test_id("stTopNav")).to_be_hidden()
    box = page.locator("canvas.canvas").bounding_box()
    assert box["y"] + box["height"] <= PROJECTOR["height"]
    assert page.evaluate(OVERLAPS) == []
    # What is typed is text.
    page.get_by_role("textbox", name="Find entities").press_sequentially("p")
    expect(page.get_by_role("textbox", name="Find entities")).to_have_value("p")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("find=p"))
    at_rest(page)
    page.get_by_role("button", name="End").click()
    page.wait_for_url(lambda url: "present" not in url)
    expect(page.get_by_test_id("stTopNav")).to_be_visible()
    at_rest(page)
    page.keyboard.press("p")
    page.get_by_role("button", name="End").wait_for()
    page.wait_for_url(re.compile("present=1"))
