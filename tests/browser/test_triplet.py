"""The Triplet screen in a real browser: deep links, runs side by side, the arithmetic of a clicked row, phones."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests import small_run
from tests.browser.server import Server
from tests.browser.states import at_rest, fits, inside, is_calm
from tests.waiting import wait_for

pytestmark = pytest.mark.browser

HOSTILE = "%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E"
BRAZIL = "head=brazil&relation=embassy&tail=china"


@pytest.fixture
def server(server: Server) -> Server:
    """The server with a small run and its twin."""
    small_run.trained(server.runs, "small")
    small_run.trained(server.runs, "twin", sampler="uniform")
    return server


def chart(page, number: int = 0):
    found = page.locator(".js-plotly-plot").nth(number)
    found.locator(".scatterlayer .point, .barlayer .point").first.wait_for(state="attached")
    return found


def strip(page) -> str:
    """What the strip of scores says of itself."""
    return page.locator("[aria-label^='Scores of negative']").first.get_attribute("aria-label")


def test_a_deep_link_shows_the_run_beside_its_twin_and_a_clicked_row_its_arithmetic(server, page):
    page.goto(f"{server.url}/triplet?run=small&{BRAZIL}&side=head")
    chart(page)
    assert page.get_by_role("heading", name="Triplet").is_visible()
    assert page.get_by_role("link", name="Map").is_visible()
    page.get_by_text("(brazil, embassy, china) is").first.wait_for()
    page.get_by_text(re.compile("of the 20 negatives outscore|None of the 20 negatives")).first.wait_for()
    wait_for(lambda: "G_R from" in strip(page) and "Random of Uniform from" in strip(page))
    ticks = page.locator(".js-plotly-plot .yaxislayer-above text, .js-plotly-plot .ytick text")
    wait_for(lambda: "RandomUniform" in "".join(ticks.all_text_contents()))

    page.get_by_role("button", name="Clear all").click()
    page.wait_for_url(re.compile("with=none"))
    page.get_by_text(re.compile("of the 15 negatives outscore|None of the 15 negatives")).first.wait_for()
    at_rest(page)
    assert page.locator(".katex").count() == 0, "closed, it computes nothing"
    table = page.get_by_test_id("stDataFrame").first
    table.scroll_into_view_if_needed()
    box = table.bounding_box()
    # The box before the fourth row: after the head and the positive comes G_E's first draw.
    page.mouse.click(box["x"] + 15, box["y"] + 35 * 4 + 17)
    page.wait_for_url(re.compile(r"negative=head\.G_E\.3"))
    page.locator(".katex").first.wait_for()
    terms = page.locator("[aria-label^='Terms of two scores']").first
    terms.wait_for()
    said = terms.get_attribute("aria-label")
    assert re.search(r"over 8 coordinates.* for G_E 3\. The sums end at -?[\d.]+ and -?[\d.]+\.$", said)
    is_calm(page)

    page.get_by_text("How the negatives of this query moved").click()
    page.get_by_text(re.compile("Every snapshot keeps one true head of this query")).first.wait_for()
    page.locator("[aria-label^='Scores over the snapshots']").first.wait_for()
    at_rest(page)
    page.set_viewport_size({"width": 400, "height": 850})
    for number in range(page.locator(".js-plotly-plot").count()):
        inside(chart(page, number))
    fits(page)
    is_calm(page)

    page.set_viewport_size({"width": 1400, "height": 1000})
    page.get_by_role("button", name="Random test triplet").click()
    page.get_by_text("is a fact of test").first.wait_for()
    at_rest(page)
    with page.expect_download() as download:
        page.locator("[class*=st-key-menu_table_]").first.get_by_role("button").click()
        page.get_by_role("button", name="Table as CSV").click()
    lines = Path(download.value.path()).read_text().splitlines()
    assert lines[0].startswith("source,draw,nearest entity,score") and len(lines) == 17
    is_calm(page)


def test_a_hostile_address_gets_one_sentence(server, page):
    dialogs = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    parts = (f"head={HOSTILE}", "relation=..%2F..", "tail=%00", f"side={HOSTILE}", "draws=1e9", "draw=-1")
    page.goto(f"{server.url}/triplet?run=small&{'&'.join(parts)}&with={HOSTILE}&negative={HOSTILE}")
    chart(page)
    expect(page.locator("[data-testid=stAlert]")).to_have_count(1)
    assert re.search("the address asks for|has no", page.locator("[data-testid=stAlert]").inner_text(), re.I)
    assert not dialogs
    is_calm(page)
