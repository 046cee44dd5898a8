"""The screen Predict in a real browser: from the menu to new facts and what speaks for one of them."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests import small_run
from tests.browser.states import at_rest, fits

pytestmark = pytest.mark.browser


def test_from_a_question_to_new_facts(page, server):
    small_run.trained(server.runs, "small", sampler="uniform")
    page.goto(f"{server.url}/predict?run=small&head=usa&relation=embassy")
    expect(page.get_by_role("heading", name="(usa, embassy, ?)")).to_be_visible()
    expect(page.get_by_text("over all of them its MRR is")).to_be_visible()
    expect(page.get_by_text("What speaks for")).to_be_visible()
    page.get_by_role("radio", name="New facts").click()
    expect(page.get_by_role("heading", name="New facts of")).to_be_visible()
    at_rest(page)
    fits(page)
    assert "ask=new" in page.url
    page.get_by_role("button", name="Its negatives").click()
    expect(page.get_by_role("heading", name="Triplet", exact=True)).to_be_visible()
    assert "/triplet?" in page.url
