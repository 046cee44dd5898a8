"""The field that finds names, in a real browser with 64,000 of them: typing, the keyboard, and what travels."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests import large_run
from tests.browser.server import Server
from tests.browser.states import at_rest, fits, inside, is_calm

pytestmark = pytest.mark.browser

ENTITIES = 64_000


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on a large graph."""
    folder = tmp_path_factory.mktemp("search")
    kg = large_run.graph(folder / "graph", ENTITIES, 5_000, 20)
    return large_run.drawn(folder / "runs", kg, folder / "graph", "large").path


@pytest.fixture
def server(server: Server, large: Path) -> Server:
    """The server with a run on a large graph."""
    shutil.copytree(large, server.runs / large.name)
    return server


def field(page, label: str):
    found = page.get_by_role("combobox", name=label, exact=True)
    found.wait_for()
    return found


def names(page, text: str) -> list[str]:
    """Those offered for what was typed, once they are there."""
    page.locator(f"ul.names[data-typed='{text}'][data-open]").wait_for()
    return page.locator("ul.names[data-open] [role=option] .text").all_inner_texts()


def test_names_come_as_one_types_and_the_keyboard_picks_one_on_the_map_and_on_a_phone(server, page):
    received: list[int] = []
    page.on("websocket", lambda socket: socket.on("framereceived", lambda data: received.append(len(data))))
    page.goto(f"{server.url}/triplet?run=large")
    head = field(page, "Head")
    at_rest(page)
    before = head.input_value()
    head.click()
    # Offered before anything is typed.
    page.locator("ul.names[data-open] [role=option]").nth(1).wait_for()
    at_rest(page)
    received.clear()
    for text in ("river:place_2", "place 4999", "nothing like it"):
        head.fill("")
        names(page, "")
        head.press_sequentially(text)
        found = names(page, text)
        assert all(text.replace("_", " ") in name.replace("_", " ") for name in found)
        assert len(found) == {"river:place_2": 20, "place 4999": 11, "nothing like it": 0}[text]
    assert sum(received) < 100_000, "some names travel, not all"
    page.locator(".names .say", has_text="No entity has this in its name.").wait_for()

    head.press("Escape")
    expect(head).to_have_value(before)
    expect(head).to_have_attribute("aria-expanded", "false")
    head.fill("city:place_100")
    found = names(page, "city:place_100")
    head.press("ArrowDown")
    head.press("ArrowDown")
    active = page.locator(f"#{head.get_attribute('aria-activedescendant')}")
    assert active.get_attribute("aria-selected") == "true" and found[2] in active.inner_text()
    head.press("Enter")
    page.wait_for_url(re.compile(f"head={re.escape(found[2]).replace(':', '(:|%3A)')}(&|$)"))
    expect(head).to_have_value(found[2])
    at_rest(page)
    # Enter before the names have come takes the first.
    tail = field(page, "Tail")
    tail.fill("sports_team:place_13")
    tail.press("Enter")
    page.wait_for_url(re.compile("tail=sports_team(:|%3A)place_13(&|$)"))
    at_rest(page)
    is_calm(page)

    # On the map all that match have a ring, and nothing typed clears it.
    page.get_by_role("link", name="Map").first.click()
    page.locator(".map canvas.canvas[aria-label]").first.wait_for()
    at_rest(page)
    find = field(page, "Find entities")
    find.fill("/^city:place_1[05]+$/")
    page.get_by_role("option", name="All that match").click()
    page.wait_for_url(re.compile("find="))
    page.get_by_text(re.compile("match your search, .* in the sample and have a ring")).first.wait_for()
    at_rest(page)
    find.fill("")
    find.press("Enter")
    page.wait_for_url(lambda url: "find=" not in url)
    at_rest(page)

    page.set_viewport_size({"width": 400, "height": 850})
    find.fill("place_77")
    names(page, "place_77")
    inside(page.locator("ul.names[data-open]"))
    fits(page)
    is_calm(page)
