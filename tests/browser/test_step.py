"""The Step screen in a real browser: keys, slow motion, the scrubber, the next round, phones."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests import small_run
from tests.browser.server import Server
from tests.browser.states import at_rest, fits, inside, is_calm

pytestmark = pytest.mark.browser


@pytest.fixture
def page(moving_page):
    return moving_page


@pytest.fixture
def server(server: Server) -> Server:
    """The server with a small run."""
    small_run.trained(server.runs, "small", reading="entities", play_every=1)
    return server


def at(page, number: int, stop: int) -> None:
    """Wait until this stop is shown and nothing moves."""
    page.locator(f".step[data-round='{number}'][data-stop='{stop}']:not([data-moving])").wait_for()


def fakes(page, kind: str) -> list[str]:
    places = page.locator(".step .fakes g").evaluate_all(
        "marks => marks.map(mark => [mark.querySelector('title').textContent, mark.getAttribute('transform')])"
    )
    return [place for title, place in places if title.endswith(kind)]


def to(page, stop: int) -> None:
    """Move the scrubber."""
    page.get_by_role("slider", name="Stop").evaluate(
        "(slider, to) => { slider.value = to; slider.dispatchEvent(new Event('input')) }", stop
    )


def test_a_round_by_keys_scrubber_and_slow_motion_on_a_projector_and_a_phone(server, page):
    page.set_viewport_size({"width": 1280, "height": 720})
    page.goto(f"{server.url}/step?run=small&stop=5")
    at(page, 1, 5)
    # Fakes move at their update, and leave ghosts and arrows.
    before = fakes(page, "G_E")
    assert len(before) == 5
    assert page.locator(".step .arrow").count() and not page.locator(".step .ghost").count()
    page.keyboard.press("ArrowRight")
    at(page, 1, 6)
    expect(page.locator(".step .title")).to_have_text("G_E has learned")
    assert page.locator(".step .ghost").count() == 5
    assert all(was != now for was, now in zip(before, fakes(page, "G_E"), strict=True))
    expect(page.locator(".step svg.scene")).to_have_attribute(
        "aria-label", re.compile("where those of G_E were")
    )

    to(page, 15)
    at(page, 1, 15)
    expect(page.locator(".step .title")).to_have_text("The base model has learned")
    page.keyboard.press("ArrowRight")
    at(page, 2, 1)
    page.keyboard.press("ArrowLeft")
    at(page, 1, 15)
    page.wait_for_url(re.compile("stop=15"))
    # Round 3 is trained ahead, and is no part of what was looked at.
    assert int(page.get_by_role("slider", name="Stop").get_attribute("max")) == 2 * 15
    to(page, 3)
    at(page, 1, 3)
    page.keyboard.press("Space")
    at(page, 1, 4)
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    page.keyboard.press("Space")
    expect(page.get_by_role("button", name="Slow motion")).to_be_visible()

    page.get_by_role("button", name="D", exact=True).click()
    at(page, 1, 10)
    expect(page.locator(".step .formula")).to_contain_text("L_adv")
    for part in (".title", ".text", ".formula", "svg.scene", ".controls"):
        box = page.locator(f".step {part}").first.bounding_box()
        assert box["y"] + box["height"] <= 720, part

    page.set_viewport_size({"width": 390, "height": 844})
    inside(page.locator(".step svg.scene"), 390)
    inside(page.locator(".step button"), 390)
    fits(page)
    at_rest(page)
    is_calm(page)
