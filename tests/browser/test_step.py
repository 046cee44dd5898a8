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


def test_keys_go_through_a_round_and_on_to_the_next(server, page):
    page.goto(f"{server.url}/step?run=small")
    at(page, 1, 1)
    titles = []
    for stop in range(1, 16):
        at(page, 1, stop)
        titles.append(page.locator(".step .title").inner_text())
        assert page.locator(".step .formula").inner_text()
        page.keyboard.press("ArrowRight")
    assert titles[5] == "G_E has learned" and titles[-1] == "The base model has learned"
    at(page, 2, 1)
    page.keyboard.press("ArrowLeft")
    at(page, 1, 15)
    at_rest(page)
    page.wait_for_url(re.compile("stop=15"))
    page.reload()
    at(page, 1, 15)
    is_calm(page)


def test_fakes_move_at_their_update_and_leave_ghosts_and_arrows(server, page):
    page.goto(f"{server.url}/step?run=small&stop=5")
    at(page, 1, 5)
    before = fakes(page, "G_E")
    assert (
        len(before) == 5 and page.locator(".step .arrow").count() and not page.locator(".step .ghost").count()
    )
    page.get_by_role("button", name="Next").click()
    at(page, 1, 6)
    assert page.locator(".step .ghost").count() == 5
    assert all(was != now for was, now in zip(before, fakes(page, "G_E"), strict=True))
    expect(page.locator(".step svg.scene")).to_have_attribute(
        "aria-label", re.compile("where those of G_E were")
    )
    page.get_by_role("button", name="D", exact=True).click()
    at(page, 1, 10)
    expect(page.locator(".step .formula")).to_contain_text("L_adv")


def test_the_scrubber_and_slow_motion(server, page):
    page.goto(f"{server.url}/step?run=small&round=2&stop=14")
    at(page, 2, 14)
    slider = page.get_by_role("slider", name="Stop")
    slider.evaluate("slider => { slider.value = 3; slider.dispatchEvent(new Event('input')) }")
    at(page, 1, 3)
    # Round 3 is trained ahead, and is no part of what was looked at.
    assert int(slider.get_attribute("max")) == 2 * 15
    page.keyboard.press("Space")
    at(page, 1, 4)
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    page.keyboard.press("Space")
    expect(page.get_by_role("button", name="Slow motion")).to_be_visible()


def test_all_that_matters_is_above_the_fold_of_a_projector_and_fits_a_phone(server, open_page):
    page = open_page(viewport={"width": 1280, "height": 720})
    page.goto(f"{server.url}/step?run=small&stop=10")
    at(page, 1, 10)
    for part in (".title", ".text", ".formula", "svg.scene", ".controls"):
        box = page.locator(f".step {part}").first.bounding_box()
        assert box["y"] + box["height"] <= 720, part
    phone = open_page(viewport={"width": 390, "height": 844})
    phone.goto(f"{server.url}/step?run=small&stop=6")
    at(phone, 1, 6)
    inside(phone.locator(".step svg.scene"), 390)
    inside(phone.locator(".step button"), 390)
    fits(phone)
