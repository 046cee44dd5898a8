"""The screen Real or generated in a real browser: a game by keyboard alone, kept from screen to screen, and a phone."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests import small_run
from tests.browser.server import Server
from tests.browser.states import at_rest, fits, inside, is_calm
from tests.waiting import wait_for

pytestmark = pytest.mark.browser


@pytest.fixture
def server(server: Server) -> Server:
    """The server with a small run."""
    small_run.trained(server.runs, "small")
    return server


def press(page, key: str, told) -> None:
    """Press a key until it is heard: on a page that still loads its parts, the first press may go unheard."""

    def heard() -> bool:
        page.keyboard.press(key)
        at_rest(page)
        return told.count() > 0

    wait_for(heard, f"what {key} does")
    told.first.wait_for()


def test_a_game_is_ended_by_keyboard_alone_kept_and_another_begun_on_a_phone(server, page):
    page.goto(f"{server.url}/quiz?run=small&seed=5&answers=ggrggrg")
    for number in (8, 9, 10):
        page.get_by_text(f"Round {number} of 10").wait_for()
        at_rest(page)
        press(page, "1" if number == 9 else "2", page.get_by_text(re.compile("^(Right: it is|Wrong: it is)")))
        at_rest(page)
        after = f"Round {number + 1} of 10" if number < 10 else re.compile("of 10 right")
        press(page, "ArrowRight", page.get_by_text(after))
    assert "answers=ggrggrggrg" in page.url
    page.get_by_text("Ten rounds are few").first.wait_for()
    at_rest(page)
    for title in ("How it works", "Real or generated"):
        page.get_by_test_id("stTopNav").get_by_role("button", name="Learn").click()
        page.get_by_role("menuitem", name=title).click()
        page.get_by_role("heading", name=title, level=1).wait_for()
        at_rest(page)
    page.get_by_text(re.compile("of 10 right")).first.wait_for()
    page.get_by_role("button", name="Share").click()
    dialog = page.get_by_role("dialog")
    shared = dialog.get_by_test_id("stCode").first
    expect(shared).to_contain_text("seed=5")
    expect(shared).not_to_contain_text("answers")
    at_rest(page)
    wait_for(lambda: page.keyboard.press("Escape") or not dialog.count(), "the end of the dialog")
    is_calm(page)

    # On a phone the answers stand above the picture.
    page.set_viewport_size({"width": 390, "height": 844})
    page.get_by_text("Which pathway?", exact=True).click()
    buttons = page.get_by_role("button", name=re.compile("^G_[ER]"))
    expect(buttons).to_have_count(2)
    page.locator(".js-plotly-plot .points path").first.wait_for()
    fits(page)
    inside(buttons, 390)
    chart = page.locator(".js-plotly-plot").bounding_box()
    assert all(button.bounding_box()["y"] < chart["y"] for button in buttons.all())
