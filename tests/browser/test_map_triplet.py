"""The Map and Triplet screens in a real browser: deep links, layers, hover, live snapshots, phones."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dans_core import KnowledgeGraph
from dans_core.writer import RunWriter
from tests import small_run

pytestmark = pytest.mark.browser

HOSTILE = "%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E"


@pytest.fixture
def server(runs: Path, serve):
    """A fresh server with one small finished run."""
    small_run.trained(runs, "small")
    return serve()


def chart(page):
    found = page.locator(".js-plotly-plot").first
    found.locator(".scatterlayer .point").first.wait_for(state="attached")
    return found


def is_calm(page) -> None:
    """No dialog, no error box, no stray element of a name."""
    assert page.locator("[data-testid=stException]").count() == 0
    assert page.locator("img[src=x]").count() == 0


def fits(page) -> bool:
    """Whether nothing makes the page scroll sideways."""
    return page.evaluate("document.documentElement.scrollWidth <= window.innerWidth + 1")


def hover_over(page, trace: int):
    """Put the mouse on the first marker of a trace; the text that appears."""
    marker = page.locator(f".js-plotly-plot .scatterlayer .trace:nth-child({trace}) .point").first
    marker.scroll_into_view_if_needed()
    box = marker.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2 - 3, box["y"] + box["height"] / 2)
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, steps=3)
    label = page.locator(".js-plotly-plot .hoverlayer .hovertext")
    label.first.wait_for()
    return label.first.text_content()


def test_map_opens_by_deep_link_on_a_fresh_server_and_umap_takes_the_place_of_pca(server, page):
    page.goto(f"{server.url}/map?run=small&relation=embassy")
    chart(page)
    assert page.get_by_role("heading", name="Map").is_visible()
    assert page.get_by_role("link", name="Triplet").is_visible()
    page.get_by_text("UMAP of all entities and fakes of epoch 6 together").wait_for(timeout=120_000)
    alt = page.locator("[aria-label*='Map of embassy at epoch 6, UMAP']")
    assert "true answers" in alt.first.get_attribute("aria-label")
    assert "Trustworthiness" in page.locator("[data-testid=stMetric]").first.inner_text()
    is_calm(page)


def test_a_layer_toggles_and_hover_names_entities(server, page):
    page.goto(f"{server.url}/map?run=small&relation=embassy&projection=pca")
    shown = chart(page)
    legend = shown.locator(".legendtext")
    assert any("G_R fakes" in text for text in legend.all_text_contents())
    page.get_by_role("button", name="G_R fakes").click()
    page.wait_for_url(re.compile("layers="))
    page.wait_for_function(
        "!Array.from(document.querySelectorAll('.legendtext')).some(e => e.textContent.includes('G_R fakes'))"
    )
    for name in ("G_E fakes", "Random negatives", "Everything else"):
        page.get_by_role("button", name=name).click()
        page.wait_for_timeout(400)
    page.wait_for_url(re.compile("layers=true$"))
    chart(page)
    text = hover_over(page, 1)
    names = KnowledgeGraph.load("nations").entities
    assert any(name in text for name in names) and "true answer for" in text
    page.reload()
    chart(page)
    assert page.locator(".legendtext").all_text_contents() != [] and "layers=true" in page.url
    is_calm(page)


def test_a_box_around_points_gives_their_names_as_a_table(server, page):
    page.goto(f"{server.url}/map?run=small&relation=embassy&projection=pca")
    area = chart(page).locator(".nsewdrag").first
    chart(page).hover()
    page.locator(".modebar-btn[data-title='Box Select']").first.click()
    box = area.bounding_box()
    page.mouse.move(box["x"] + 5, box["y"] + 5)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 5, box["y"] + box["height"] - 5, steps=5)
    page.mouse.up()
    page.get_by_text("What you selected").wait_for()
    is_calm(page)


def test_a_live_run_brings_its_snapshots_to_the_map(runs, serve, page):
    nations = KnowledgeGraph.load("nations")
    run = small_run.drawn(runs, nations, "nations", "live", epochs=())
    with RunWriter.reopen(run.path) as writer:
        writer.write_status("running")
        page.goto(f"{serve().url}/map?run=live&projection=pca")
        page.get_by_text("No snapshot yet").wait_for()
        small_run.add_snapshot(writer, nations, 1)
        page.get_by_text("of epoch 1 together").wait_for()
        small_run.add_snapshot(writer, nations, 2)
        page.get_by_text("of epoch 2 together").wait_for()
        page.get_by_role("slider").first.press("ArrowLeft")
        page.get_by_text("of epoch 1 together").wait_for()
        small_run.add_snapshot(writer, nations, 3)
        page.wait_for_timeout(4_000)
        assert page.get_by_text("of epoch 1 together").is_visible() and "epoch=1" in page.url
        writer.write_status("finished", epoch=10)
    is_calm(page)


def test_triplet_opens_by_deep_link_on_a_fresh_server(server, page):
    page.goto(f"{server.url}/triplet?run=small&head=brazil&relation=embassy&tail=china&side=head")
    chart(page)
    assert page.get_by_role("heading", name="Triplet").is_visible()
    assert page.get_by_role("link", name="Map").is_visible()
    page.get_by_text("(brazil, embassy, china) is").wait_for()
    assert page.get_by_text(re.compile("Of 5 fakes of G_R, .* outscore")).is_visible()
    assert "The positive has" in page.locator("[aria-label^='Decoder scores']").first.get_attribute(
        "aria-label"
    )
    page.get_by_role("button", name="Random test triplet").click()
    page.get_by_text("is a fact of test").wait_for()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download these negatives").click()
    lines = Path(download.value.path()).read_text().splitlines()
    assert lines[0].startswith("source,nearest entity,score") and len(lines) == 17
    is_calm(page)


@pytest.mark.parametrize(
    "address",
    [
        f"map?run=small&relation={HOSTILE}&epoch=-5&layers={HOSTILE}&projection=pca&entity={HOSTILE}",
        f"triplet?run=small&head={HOSTILE}&relation=..%2F..&tail=%00&side={HOSTILE}&draws=1e9",
    ],
)
def test_a_hostile_address_gets_one_sentence(server, page, address):
    dialogs = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    page.goto(f"{server.url}/{address}")
    chart(page)
    assert page.locator("[data-testid=stAlert]").count() == 1
    assert re.search("has no (relation|head)", page.locator("[data-testid=stAlert]").inner_text())
    assert not dialogs
    is_calm(page)


@pytest.mark.parametrize("address", ["map?run=small&projection=pca", "triplet?run=small"])
def test_both_fit_on_a_phone(server, page, address):
    page.set_viewport_size({"width": 400, "height": 850})
    page.goto(f"{server.url}/{address}")
    chart(page)
    assert fits(page)
    box = page.locator(".js-plotly-plot").first.bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= 400
    is_calm(page)
