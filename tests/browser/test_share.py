"""Sharing a view in a real browser: its address, its files, and bookmarks that another browser opens."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from dans_app.shared import bookmarks
from tests import small_run
from tests.browser.server import Server
from tests.browser.states import at_rest, fits, is_calm
from tests.waiting import wait_for

pytestmark = pytest.mark.browser

HOSTILE = "<img src=x onerror=alert(1)> **b** [x](javascript:y)"


@pytest.fixture
def server(server: Server) -> Server:
    """The server with one small finished run."""
    small_run.trained(server.runs, "small")
    return server


def settle(page) -> None:
    """Wait until the screen stands."""
    page.get_by_role("button", name="Share").first.wait_for()
    at_rest(page)


def bookmark(page, name: str) -> None:
    """Open the list of bookmarks and add this view; the list stays open."""
    page.get_by_role("button", name="Bookmarks").click()
    page.get_by_role("textbox", name="Name of this view").fill(name)
    page.get_by_role("button", name="Bookmark this view").click()
    page.get_by_text(f"Added “{name}”.").first.wait_for()


def close_dialog(page) -> None:
    """Press Escape until it is heard."""
    dialog = page.get_by_role("dialog")
    wait_for(lambda: page.keyboard.press("Escape") or not dialog.count(), "the end of the dialog")


def relation(page) -> str:
    """The relation that the map shows."""
    return page.get_by_role("combobox", name=re.compile("^Relation")).input_value()


def test_a_bookmark_of_a_map_opens_in_another_browser_and_takes_back_another_view(server, page, open_page):
    page.on("dialog", lambda dialog: pytest.fail("a script of a name ran"))
    page.goto(f"{server.url}/map?run=small&relation=embassy&projection=pca&epoch=3")
    settle(page)
    assert relation(page) == "embassy"
    bookmark(page, HOSTILE)
    address = page.get_by_role("link", name="onerror").get_attribute("href")
    close_dialog(page)

    # Another view of the same page, whole, in the same session.
    page.get_by_role("combobox", name=re.compile("^Relation")).fill("treaties")
    page.get_by_role("option", name="treaties").first.click()
    page.wait_for_url(re.compile("relation=treaties"))
    at_rest(page)
    page.get_by_role("button", name="Bookmarks").click()
    page.get_by_role("link", name="onerror").click()
    page.wait_for_url(re.compile("relation=embassy"))
    settle(page)
    assert relation(page) == "embassy" and "epoch=3" in page.url
    expect(page.get_by_role("dialog")).to_have_count(0)

    phone = open_page(viewport={"width": 400, "height": 850})
    phone.goto(f"{server.url}/{address.lstrip('/')}")
    settle(phone)
    assert relation(phone) == "embassy" and "epoch=3" in phone.url and f"{bookmarks.TICKET}=" not in phone.url
    fits(phone)


def test_a_bookmark_leads_from_one_screen_to_another_whose_address_and_files_are_shared(server, page):
    page.goto(f"{server.url}/triplet?run=small&head=brazil&relation=embassy&tail=china")
    settle(page)
    bookmark(page, "brazil")
    close_dialog(page)
    page.get_by_role("link", name="Train").first.click()
    page.get_by_role("button", name="Start training").first.wait_for()
    settle(page)
    page.get_by_role("spinbutton", name="Epochs", exact=True).fill("77")
    page.get_by_role("spinbutton", name="Epochs", exact=True).press("Tab")
    page.wait_for_url(re.compile("epochs=77"))
    page.get_by_role("button", name="Bookmarks").click()
    page.get_by_role("link", name="brazil").click()
    page.get_by_text("(brazil, embassy, china) is").first.wait_for()
    page.wait_for_url(lambda url: "epochs" not in url)
    settle(page)

    page.get_by_role("button", name="Share").click()
    dialog = page.get_by_role("dialog")
    code = dialog.locator("[data-testid=stCode]")
    code.first.wait_for()
    assert code.first.inner_text().strip() == page.url
    assert code.nth(1).inner_text().startswith("python -m dans_core train --dataset nations")

    def downloaded(name: str) -> bytes:
        with page.expect_download() as download:
            dialog.get_by_role("button", name=name).click()
        stem, ending = name.split(".")
        assert download.value.suggested_filename == f"{stem}-small.{ending}"
        return Path(download.value.path()).read_bytes()

    rows = list(csv.DictReader(downloaded("negatives.csv").decode().splitlines()))
    assert {row["source"] for row in rows} == {"G_E", "G_R", "random"} and {row["epoch"] for row in rows} == {
        "6"
    }
    assert {row["name"] for row in csv.DictReader(downloaded("metrics.csv").decode().splitlines())} > {
        "losses.base"
    }
    assert json.loads(downloaded("config.json"))["config"]["epochs"] == 6
    assert downloaded("embeddings.zip").startswith(b"PK")
    assert page.url == code.first.inner_text().strip(), "a download moved the screen"
    is_calm(page)
    assert "Traceback" not in server.log()
