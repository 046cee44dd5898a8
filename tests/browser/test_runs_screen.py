"""The Runs screen in a real browser: a table that lives, names, deleting and taking back, phones."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from dans_core.config import Config
from dans_lab.runs.folder import read_about
from dans_lab.runs.run import Run, list_runs
from dans_lab.runs.writer import RunWriter
from tests.browser.states import at_rest, fits, inside, is_calm
from tests.waiting import wait_for

pytestmark = pytest.mark.browser

ROW = 35 * 15 / 16
"""Height of a row in pixels, at the theme's size of text."""

NAME = "a *first* <b>try</b>"


def make(root: Path, run_id: str, state: str = "finished", epoch: int = 100) -> Run:
    config = Config(epochs=100, sampler="uniform")
    with RunWriter.create(root, run_id, config, "nations", "0" * 64, "nations") as writer:
        writer.write_status(state, epoch=epoch)
        return writer.run


def cell(page, text: str):
    """The cell of the table with this text; the table is painted, and read from what it tells screen readers."""
    return page.locator("[role=gridcell]").filter(has_text=re.compile(f"^{re.escape(text)}$")).first


def mark(page, row: int) -> None:
    """Select a row of the table, or take it out of the selection."""
    table = page.get_by_test_id("stDataFrame").first
    table.scroll_into_view_if_needed()
    box = table.bounding_box()
    page.mouse.click(box["x"] + 16, box["y"] + ROW * (row + 1.5))


def marked(page) -> list[str]:
    """Names of the rows that are marked on the screen."""
    return page.evaluate(
        """() => Array.from(document.querySelectorAll('[role=row]'))
        .filter(row => row.getAttribute('aria-selected') === 'true')
        .map(row => row.querySelector('[role=gridcell]')?.textContent)"""
    )


def test_a_run_is_named_deleted_and_taken_back(server, page):
    for name in ("first", "second", "third"):
        make(server.runs, name)
    page.goto(f"{server.url}/runs?sampler=uniform")
    cell(page, "second").wait_for(state="attached")
    expect(page).to_have_title("Runs · DANS Lab")
    at_rest(page)
    mark(page, 2)
    page.get_by_role("heading", name="first").first.wait_for()
    page.get_by_role("textbox", name="Name", exact=True).fill(NAME)
    page.get_by_role("button", name="Save").click()
    cell(page, NAME).wait_for(state="attached")
    assert read_about(Run(server.runs / "first")).name == NAME
    at_rest(page)

    mark(page, 1)
    page.get_by_text("2 runs selected:").first.wait_for()
    page.get_by_role("button", name="Delete").click()
    page.get_by_text(re.compile("Deleted 2 runs, .* just now")).first.wait_for()
    assert [run.id for run in list_runs(server.runs)] == ["third"]
    page.get_by_role("button", name="Undo").click()
    cell(page, NAME).wait_for(state="attached")
    expect(page.get_by_text("Deleted 2 runs")).to_have_count(0)
    assert len(list_runs(server.runs)) == 3
    at_rest(page)

    mark(page, 2)
    page.get_by_role("button", name="Repeat with changes").click()
    page.get_by_role("button", name="Start training").first.wait_for()
    page.wait_for_url(lambda url: "sampler=Uniform" in url and "run=first" in url)
    page.wait_for_function("() => document.querySelector('input[aria-label^=Epochs]')?.value === '100'")
    # The picker is an input, and the name stands first in it.
    page.wait_for_function(
        "name => [...document.querySelectorAll('input')].some(e => e.value.startsWith(name))",
        arg=f"{NAME} · Nations · ",
    )
    is_calm(page)


def test_a_run_of_a_terminal_appears_and_marks_stay_with_their_runs(server, page):
    make(server.runs, "half", "stopped", epoch=50)
    page.goto(f"{server.url}/runs")
    cell(page, "half").wait_for(state="attached")
    config = Config(epochs=100)
    with RunWriter.create(server.runs, "going", config, "nations", "0" * 64, "nations") as writer:
        writer.write_status("running", epoch=10)
        cell(page, "going").wait_for(state="attached")
        cell(page, "● Training").wait_for(state="attached")
        page.get_by_text("1 under way").first.wait_for()
        # Sorted by progress, the run that goes on would pass the other.
        table = page.get_by_test_id("stDataFrame").first.bounding_box()
        page.mouse.click(table["x"] + 530, table["y"] + 15)
        page.locator("[role=columnheader]").filter(has_text=re.compile("[↑↓]")).wait_for(state="attached")
        mark(page, 0)
        page.get_by_role("heading", name="going").first.wait_for()
        wait_for(lambda: marked(page) == ["going"])
        writer.write_status("running", epoch=80)
        page.get_by_text("Epoch 80 of 100").first.wait_for()
        page.get_by_text("the table waits with updates").first.wait_for()
        assert marked(page) == ["going"]
        page.get_by_role("button", name="Delete").click()
        page.get_by_text("is being trained and cannot be deleted; stop it first").first.wait_for()
        page.get_by_role("button", name="Stop").click()
        wait_for(lambda: writer.control().stop)
        writer.write_status("stopped", epoch=81)
    page.get_by_role("button", name="Continue").first.wait_for()
    at_rest(page)

    # On a phone are the table and what can be done.
    page.set_viewport_size({"width": 400, "height": 850})
    page.get_by_role("button", name="Repeat with changes").scroll_into_view_if_needed()
    fits(page)
    for name in ("Open", "Map", "Triplet", "Repeat with changes", "Delete"):
        inside(page.get_by_role("button", name=name, exact=True).last)
    is_calm(page)
