"""For teachers in a real browser: reached from any screen, and the lecture of 15 minutes from start to end."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from dans_app.teach import plans
from tests.browser.states import at_rest, fits, is_calm, press

pytestmark = pytest.mark.browser


def test_the_lecture_of_15_minutes_is_given_from_start_to_end(server, moving_page):
    page = moving_page
    for place, said in plans.places("lecture-15.md").items():
        page.goto(f"{server.url}/{place}")
        for line in plans.quoted(said):
            found = re.compile(re.escape(line).replace(r"\ ", r"\s"))
            page.get_by_text(found).filter(visible=True).first.wait_for()
        at_rest(page)
        is_calm(page)
        if place.startswith("map"):
            page.get_by_role("button", name="Play").first.click()
            page.locator(".map[data-moving]").first.wait_for()
        if place.startswith("quiz"):
            for number in range(1, 5):
                page.get_by_text(f"Round {number} of 10").wait_for()
                at_rest(page)
                press(page, "1", page.get_by_text(re.compile("^(Right|Wrong): G_[ER] made it")))
                at_rest(page)
                press(page, "ArrowRight", page.get_by_text(f"Round {number + 1} of 10"))


def test_teach_leads_to_plans_cards_and_the_page_to_print(server, open_page):
    page = open_page(viewport={"width": 390, "height": 844})
    page.goto(f"{server.url}/data?data=nations")
    page.get_by_role("button", name="Teach").click()
    at_rest(page)
    page.get_by_role("dialog").get_by_role("button", name="Lessons, lecture plans").click()
    page.get_by_role("heading", name="For teachers").wait_for()
    page.get_by_text(re.compile("What a negative is, and why")).filter(visible=True).first.wait_for()
    # The address of the test's server is no one else's.
    page.get_by_text("These links lead each machine to itself.").wait_for()
    at_rest(page)
    fits(page)
    with page.expect_download() as download:
        page.get_by_role("button", name="A page for students, to print").click()
    page.set_content(Path(download.value.path()).read_text(encoding="utf-8"))
    expect(page.get_by_role("heading", name="The words")).to_be_visible()
    expect(page.get_by_text("I predict:")).to_have_count(8)
