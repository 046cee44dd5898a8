"""A teacher's link in a real browser: made in the dialog, opened by a student, kept from screen to screen."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests import small_run
from tests.browser.server import Server
from tests.browser.states import at_rest, is_calm

pytestmark = pytest.mark.browser

TASK = "Which <b>pathway</b> is **easier** to tell? <img src=x onerror=alert(1)>"


@pytest.fixture
def server(server: Server) -> Server:
    """The server with a small run."""
    small_run.trained(server.runs, "small")
    return server


def test_a_link_made_by_a_teacher_hides_and_asks_on_every_screen_and_can_be_embedded(server, page, open_page):
    page.goto(f"{server.url}/quiz?run=small&seed=3&answers=rr")
    page.get_by_text("Round 3 of 10").wait_for()
    at_rest(page)
    page.get_by_role("button", name="Teach").click()
    dialog = page.get_by_role("dialog")
    for part in ("Choice of a run", "Share and bookmarks", "Choice of game"):
        dialog.get_by_role("button", name=part).click()
        at_rest(page)
    dialog.get_by_role("textbox", name="Task").fill(TASK)
    dialog.get_by_role("textbox", name="Task").press("Control+Enter")
    link = dialog.get_by_test_id("stCode").first
    expect(link).to_contain_text("task=Which")
    at_rest(page)

    student = open_page()
    student.on("dialog", lambda found: pytest.fail("a script of the task ran"))
    student.goto(link.inner_text().strip())
    student.get_by_text("Round 1 of 10").wait_for()
    student.get_by_text(TASK).wait_for()
    at_rest(student)
    for name in ("Share", "Bookmarks", "Teach", "Ten others"):
        expect(student.get_by_role("button", name=name)).to_have_count(0)
    expect(student.get_by_role("combobox", name=re.compile("^Run"))).to_have_count(0)
    assert "seed=3" in student.url and "answers" not in student.url
    student.get_by_test_id("stTopNav").get_by_role("button", name="Learn").click()
    student.get_by_role("menuitem", name="How it works").click()
    student.get_by_role("heading", name="How it works", level=1).wait_for()
    student.get_by_text(TASK).wait_for()
    at_rest(student)
    assert "hide=run" in student.url and "task=Which" in student.url
    expect(student.get_by_role("button", name="Share")).to_have_count(0)
    is_calm(student)

    # A link to embed has no list of screens.
    student.goto(f"{server.url}/how?hide=menu,run,tools&embed=true")
    student.get_by_role("heading", name="How it works", level=1).wait_for()
    at_rest(student)
    expect(student.get_by_role("link", name="Triplet")).to_have_count(0)
    assert "embed=true" in student.url
    is_calm(student)
