"""The tour in a real browser: from the first screen to a generated negative of a named fact, and on a phone."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.states import at_rest, fits, inside, is_calm

pytestmark = pytest.mark.browser


def test_a_newcomer_is_brought_to_a_named_negative_and_back(server, page):
    page.set_viewport_size({"width": 1280, "height": 720})
    page.goto(server.url)
    page.get_by_role("button", name="What is this? (2 minutes)").click()
    for stop, title in enumerate(("Train", "How it works", "Map", "Triplet", "Studies"), 1):
        page.wait_for_url(re.compile(rf"tour={stop}\b"))
        page.get_by_text(f"What is this? {stop} of 5").wait_for()
        page.get_by_role("heading", name=title, exact=True).first.wait_for()
        if title == "Map":
            page.get_by_text(
                re.compile("for regulation_or_law: G_R invented a tail that is most like")
            ).wait_for()
        if title == "Triplet":
            page.get_by_text(re.compile("For it G_R invented a tail that is most like")).wait_for()
        at_rest(page)
        is_calm(page)
        if title == "How it works":
            box = page.get_by_role("group", name=re.compile("DANS")).bounding_box()
            assert box["y"] + box["height"] <= 720, "the drawing is cut"
        if title != "Studies":
            page.locator(".st-key-tour_next button").click()
    page.locator(".st-key-tour_back button").click()
    page.wait_for_url(re.compile(r"tour=4\b"))
    page.get_by_role("heading", name="Triplet", exact=True).first.wait_for()
    at_rest(page)
    page.locator(".st-key-tour_leave button").click()
    page.wait_for_url(lambda url: "tour=" not in url)
    page.get_by_role("heading", name="Triplet", exact=True).first.wait_for()
    expect(page.locator(".st-key-tour_card")).to_have_count(0)
    assert "head=regulation_or_law" in page.url
    page.goto(f"{server.url}/studies?tour=5&study=umls/samplers-umls")
    page.get_by_role("button", name="To the lessons").click()
    page.wait_for_url(re.compile(r"/lessons(?!.*tour=)"))
    page.get_by_role("heading", name="Lessons", exact=True).first.wait_for()


def test_a_link_to_a_stop_opens_it_on_a_phone(server, open_page):
    page = open_page(viewport={"width": 390, "height": 844})
    page.goto(f"{server.url}/how?tour=2")
    page.get_by_text("What is this? 2 of 5").wait_for()
    at_rest(page)
    inside(page.locator(".st-key-tour_card button"), 390)
    fits(page)
    page.get_by_test_id("stExpandSidebarButton").click()
    page.get_by_role("link", name="Predict").click()
    page.get_by_role("heading", name="Predict", exact=True).first.wait_for()
    page.goto(f"{server.url}/map?tour=2")
    page.get_by_text("Stop 2 of the tour is on the screen How it works").wait_for()
    page.wait_for_url(lambda url: "tour=" not in url)
