"""A class on a shared server, in real browsers: the code, a run, the limit, the queue, and what is another's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import _end_processes
from tests.browser.server import Server
from tests.browser.states import at_rest, is_calm

pytestmark = pytest.mark.browser

FORM = "dataset=nations&sampler=uniform&decoder=distmult&epochs=50000"
LIMITS = "runs=1 runs_each=1 epochs=50000 minutes=600"


@pytest.fixture
def shared(runs: Path) -> Iterator[Server]:
    """A shared server below a path, on which one run trains at a time."""
    started = Server(
        runs, serve=("--limits", LIMITS, "--server.baseUrlPath", "dans"), DANS_ACCESS_CODE="hello-class"
    )
    yield started
    started.stop()
    _end_processes(runs)


def comes_in(page: Page, address: str) -> None:
    """Type the code, and see what the address shows."""
    page.goto(address)
    page.get_by_label("Access code").fill("hello-class")
    page.get_by_role("button", name="Come in").click()
    page.get_by_role("button", name="Start training").wait_for()
    at_rest(page)
    assert page.url.startswith(address.partition("?")[0])


def test_a_class_trains_in_turns(shared, open_page):
    address = f"{shared.url}/dans/"
    one, other = open_page(), open_page(color_scheme="dark", viewport={"width": 390, "height": 844})
    comes_in(one, f"{address}?{FORM}")
    one.get_by_role("button", name="Start training").click()
    one.get_by_text("of 50,000").first.wait_for()
    # The curve is live.
    one.locator("svg.plot path.line").first.wait_for()
    at_rest(one)
    one.get_by_role("button", name="Start training").click()
    one.get_by_text("ou have 1 run under way or waiting").first.wait_for()

    wide = open_page()
    comes_in(wide, f"{address}?{FORM.replace('50000', '50001')}")
    wide.get_by_text("more than this server allows a student, 50,000").first.wait_for()
    expect(wide.get_by_role("button", name="Start training")).to_be_disabled()
    # Another's run is only looked at.
    first = one.url.partition("run=")[2].partition("&")[0]
    wide.goto(f"{address}?run={first}&{FORM}")
    wide.get_by_text("of 50,000").first.wait_for()
    at_rest(wide)
    expect(wide.get_by_role("button", name="Stop")).to_have_count(0)
    wide.get_by_role("button", name="Start training").click()
    wide.get_by_text("1 of 1 in the queue").first.wait_for()
    expect(wide.get_by_role("button", name="Pause")).to_have_count(0)

    one.get_by_role("button", name="Stop").click()
    one.get_by_text("Stopped at epoch").first.wait_for()
    wide.get_by_role("button", name="Pause").wait_for()
    wide.get_by_role("button", name="Stop").click()
    wide.get_by_text("Stopped at epoch").first.wait_for()
    for page in (one, wide):
        is_calm(page)

    other.goto(address)
    other.get_by_label("Access code").fill("nonsense")
    other.get_by_role("button", name="Come in").click()
    expect(other.get_by_role("alert")).to_have_text("That is not the access code.")
    assert other.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    one.get_by_role("button", name="Log out").click()
    one.get_by_role("link", name="Log out on this computer").click()
    one.get_by_role("button", name="Log out").click()
    one.get_by_label("Access code").wait_for()
    one.goto(address)
    one.get_by_label("Access code").wait_for()
