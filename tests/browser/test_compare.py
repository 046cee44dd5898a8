"""The Compare screen in a real browser: deep link, maps, a live run on shared axes, phones."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from dans_core import KnowledgeGraph
from dans_core.events import Losses
from dans_lab.runs.writer import RunWriter
from tests import small_run
from tests.browser.states import at_rest, drag, fits, inside, is_calm

pytestmark = pytest.mark.browser

PAIR = "umls-complex-dans,umls-complex-uniform"
VERDICT = re.compile(r"B (ranks (higher|lower) than|and) A")


def curve(page, title: str):
    """The picture of the panel with this title."""
    return (
        page.locator("section.panel").filter(has=page.get_by_role("heading", name=title)).locator("svg.plot")
    )


def test_the_recorded_pair_is_compared_by_deep_link_and_its_maps_side_by_side(server, page):
    page.goto(f"{server.url}/compare?runs={PAIR}&relation=affects")
    page.get_by_text(VERDICT).first.wait_for()
    expect(page).to_have_title("Compare · DANS Lab")
    page.get_by_role("link", name="Train").first.wait_for()
    page.get_by_text("B differs from A in Negatives alone.").first.wait_for()
    page.get_by_text("One run of each: other seeds may turn this round.").first.wait_for()
    ranking = re.compile(r"A 0\.\d+ at epoch 300, B 0\.\d+ at epoch 300; popularity floor")
    expect(curve(page, "Ranking, valid split")).to_have_attribute("aria-label", ranking)
    expect(curve(page, "Base model loss").locator("path.line")).to_have_count(2)
    expect(curve(page, "D_aux").locator("path.line")).to_have_count(1)
    page.locator(".js-plotly-plot .points path").last.wait_for(state="attached")
    page.get_by_text("The relations as a table").click()
    page.get_by_test_id("stDataFrame").nth(2).wait_for()

    # An entity that is selected on one map is marked on the other; the two are of one space.
    page.get_by_text("Maps side by side").click()
    left, right = page.locator("canvas.canvas").nth(0), page.locator("canvas.canvas").nth(1)
    right.wait_for()
    page.get_by_text(re.compile(r"the entities of A account for .* of the others’: B \d+%")).first.wait_for()
    expect(left).to_have_attribute("aria-label", re.compile("Map of affects at epoch 300, PCA"))
    at_rest(page)
    for layer in ("G_E fakes", "G_R fakes", "Random", "All else"):
        page.get_by_role("button", name=layer).click()
    left.focus()
    left.press("ArrowDown")
    left.press("Enter")
    page.get_by_text("1 point selected").first.wait_for()
    for side in (left, right):
        expect(side).to_have_attribute("data-marked", "1")
    left.press("ArrowLeft")
    expect(left).to_have_attribute("aria-label", re.compile("epoch 275"))
    # The twin kept fewer snapshots: the last one before.
    expect(right).to_have_attribute("aria-label", re.compile("epoch 200"))
    for side in (left, right):
        expect(side).to_have_attribute("data-marked", "1")

    page.set_viewport_size({"width": 400, "height": 850})
    page.locator(".js-plotly-plot").last.wait_for()
    fits(page)
    inside(page.locator(".js-plotly-plot, section.panel"))
    assert page.locator("[data-testid=stException], [data-testid=stAlert]").count() == 0


def test_a_live_run_grows_on_the_shared_axes(server, page):
    nations = KnowledgeGraph.load("nations")
    small_run.drawn(server.runs, nations, "nations", "twin", gan=False)
    live = small_run.drawn(server.runs, nations, "nations", "live", epochs=())
    with RunWriter.reopen(live.path) as writer:
        writer.write_status("running", epoch=1)
        writer.append(Losses(epoch=1, base=0.9, warm_up=True, seconds=0.1))
        page.goto(f"{server.url}/compare?runs=live,twin")
        base = curve(page, "Base model loss")
        base.wait_for()
        at_rest(page)
        base.scroll_into_view_if_needed()
        base.evaluate("node => { node.watched = true }")
        drag(page, base.bounding_box, (200, 60), page.get_by_text(re.compile("Zoomed to epochs")).first)
        for epoch in (2, 3):
            writer.append(Losses(epoch=epoch, base=0.9 / epoch, warm_up=False, seconds=0.1))
            writer.write_status("running", epoch=epoch)
            page.locator(f"svg.plot[aria-label*='A {0.9 / epoch:.3f} at epoch {epoch}']").wait_for()
        assert base.evaluate("node => node.watched && node.isConnected"), "the chart was mounted anew"
        page.get_by_text(re.compile("Zoomed to epochs")).first.wait_for()
        writer.write_status("finished", epoch=10)
    page.get_by_text(re.compile("A.*DANS.*finished")).first.wait_for()
    # Runs of this test kept no weights, which is said of each.
    expect(page.get_by_text(re.compile("cannot be ranked"))).to_have_count(2)
    is_calm(page)
