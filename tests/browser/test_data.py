"""The Data screen in a real browser: from entity to entity by keyboard and mouse, on to training, one's own removed."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from dans_data import Dataset, own
from tests.browser.states import fits, inside

pytestmark = pytest.mark.browser


def is_calm(page) -> None:
    """No error box, and nothing makes the page scroll sideways."""
    assert page.locator("[data-testid=stException], [data-testid=stAlertContentError]").count() == 0
    fits(page)


def asks(name: str, value: str) -> re.Pattern[str]:
    return re.compile(rf"[?&]{name}={value}(&|$)")


def test_one_walks_from_entity_to_entity_and_on_to_training(server, page):
    page.goto(f"{server.url}/data?data=nations&entity=china")
    page.get_by_text("china is the head of").first.wait_for()
    expect(page).to_have_title("Data · DANS Lab")
    network = page.get_by_role("group", name=re.compile("The network around china"))
    leaf = network.get_by_role("button", name=re.compile(r"Go to egypt\.$")).first
    leaf.hover()
    page.get_by_text(
        re.compile(r"^(china – .+ → egypt|egypt – .+ → china) \((train|valid|test)\)")
    ).first.wait_for()
    leaf.focus()
    page.keyboard.press("Enter")
    page.wait_for_url(asks("entity", "egypt"))
    page.get_by_text("egypt is the head of").first.wait_for()
    page.get_by_role("button", name="china ›").click()
    page.wait_for_url(asks("entity", "china"))
    page.get_by_text("china is the head of").first.wait_for()
    page.get_by_role("combobox", name="Entity").fill("bra")
    page.get_by_role("option", name="brazil").click()
    page.wait_for_url(asks("entity", "brazil"))
    page.get_by_text("brazil is the head of").first.wait_for()
    page.get_by_role("radio", name="One step further").click()
    page.wait_for_url(asks("steps", "2"))
    page.set_viewport_size({"width": 400, "height": 900})
    network = page.get_by_role("group", name=re.compile("The network around brazil.* one step further"))
    network.wait_for()
    inside(network)
    is_calm(page)
    page.get_by_role("button", name="Train on this").click()
    page.wait_for_url(re.compile("/(start|train)?[?].*dataset=Nations"))
    page.get_by_role("heading", name="Train", exact=True).first.wait_for()
    is_calm(page)


def test_a_data_set_of_ones_own_goes_for_good_only_after_a_question(server, page):
    rows = [("a", "likes", "b"), ("b", "likes", "c"), ("c", "likes", "a")]
    own.add(Dataset("mine", {"train": rows, "valid": rows[:1], "test": rows[1:2]}, split_seed=None), "mine")
    page.goto(f"{server.url}/data?data=mine")
    page.get_by_text("The splits overlap").first.wait_for()
    page.get_by_role("button", name="Remove").click()
    page.get_by_role("button", name="Keep it").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert own.names() == ["mine"]
    page.get_by_role("button", name="Remove").click()
    page.get_by_role("button", name="Remove for good").click()
    page.wait_for_url(asks("data", "umls"))
    page.get_by_text("97 of 661 test triplets").first.wait_for()
    assert own.names() == []
    is_calm(page)
