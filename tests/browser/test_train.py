"""The Train screen in a real browser: live curves, pause, reload, deep links, phones."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from dans_core.config import Config
from dans_lab.runs.run import Run, list_runs
from tests.browser.server import workers
from tests.browser.states import fits
from tests.waiting import wait_for

pytestmark = pytest.mark.browser

EPOCHS = 5_000
"""More than a run trains while a test looks at it."""

LONG = f"dataset=umls&epochs={EPOCHS}&set_warmup_epochs=20&set_eval_every=10"


def start(page, server, query: str = LONG, typed: str = "") -> str:
    """Press Start training, right after typing the epochs if any; returns the id of the run, taken from the URL."""
    page.goto(f"{server.url}/?{query}")
    button = page.get_by_role("button", name="Start training")
    button.wait_for()
    if typed:
        page.get_by_role("spinbutton", name="Epochs", exact=True).fill(typed)
    button.click()
    # Recorded runs have ids without a seed.
    page.wait_for_url(re.compile(r"run=[a-z0-9-]+-s\d+-"))
    epochs = format(int(typed or re.search(r"epochs=(\d+)", query)[1]), ",")
    page.get_by_text(re.compile(rf"^Epoch [1-9]\d* of {epochs}|^{epochs} epochs in ")).first.wait_for()
    return re.search(r"run=([a-z0-9-]+)", page.url)[1]


def epoch(page) -> int:
    """The epoch in the status line."""
    text = page.get_by_text(re.compile(r"epoch [\d,]+ of [\d,]+", re.I)).first.inner_text()
    return int(re.search(r"epoch ([\d,]+) of", text, re.I)[1].replace(",", ""))


def test_a_run_is_watched_paused_found_again_goes_on_and_stops(server, page):
    run_id = start(page, server)
    base = page.locator("svg.plot").nth(2)
    base.evaluate("node => { node.watched = true }")
    seen, labels = set(), set()

    def look() -> bool:
        seen.add(epoch(page))
        labels.add(base.get_attribute("aria-label"))
        return len(seen) >= 4 and len(labels) >= 4

    wait_for(look)
    assert base.evaluate("node => node.watched === true && node.isConnected"), "the chart was mounted anew"

    # A zoom survives the next ticks.
    box = base.bounding_box()
    page.mouse.move(box["x"] + 60, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + 200, box["y"] + 60, steps=4)
    page.mouse.up()
    page.get_by_text(re.compile("Zoomed to epochs")).first.wait_for()
    before = epoch(page)
    wait_for(lambda: epoch(page) > before)
    page.get_by_text(re.compile("Zoomed to epochs")).first.wait_for()

    page.get_by_role("button", name="Pause").click()
    page.get_by_text(re.compile("^Paused at epoch")).first.wait_for()
    stood = epoch(page)
    # Longer than the ticks of the screen; a run that goes on would be seen.
    page.wait_for_timeout(1_500)
    assert epoch(page) == stood < EPOCHS

    page.reload()
    page.get_by_text(re.compile("^Paused at epoch")).first.wait_for()
    assert f"run={run_id}" in page.url
    assert epoch(page) == stood

    page.get_by_role("button", name="Resume").click()
    wait_for(lambda: epoch(page) > stood)
    page.get_by_role("button", name="Stop").click()
    page.get_by_text(re.compile("^Stopped at epoch")).first.wait_for()
    assert Run(server.runs / run_id).status.state == "stopped"
    page.get_by_text(re.compile(r"Best valid MRR")).first.wait_for()


def test_a_run_outlives_the_server_and_idle_workers_do_not(page, serve, runs: Path):
    server = serve()
    run_id = start(page, server, "dataset=nations&epochs=120&set_warmup_epochs=10&sampler=DANS")
    wait_for(lambda: len(workers(runs)) == 2)
    server.stop(kill=True)
    wait_for(lambda: Run(runs / run_id).status.state == "finished")
    wait_for(lambda: not workers(runs))

    # A deep link to a fresh server: the right menu and title, and the run.
    again = serve()
    page.goto(f"{again.url}/train?run={run_id}")
    page.get_by_text(re.compile(r"^\d+ epochs in ")).first.wait_for()
    expect(page).to_have_title("Train · DANS Lab")
    for name in ("Train", "Map", "Triplet"):
        page.get_by_role("link", name=name).first.wait_for()
    assert f"run={run_id}" in page.url
    assert page.get_by_text("Page not found").count() == 0


def test_stop_keeps_what_was_learned_and_the_run_can_go_on(server, page):
    run_id = start(page, server)
    page.get_by_role("button", name="Stop").click()
    page.get_by_text(re.compile("^Stopped at epoch")).first.wait_for()
    stood = epoch(page)
    page.get_by_role("button", name="Resume").click()
    wait_for(lambda: epoch(page) > stood)
    Run(server.runs / run_id).request(stop=True)
    page.get_by_text(re.compile("^Stopped at epoch")).first.wait_for()


def test_the_twin_trains_beside_its_run(server, page):
    run_id = start(page, server, "dataset=nations&epochs=200&set_warmup_epochs=5", typed="20")
    assert Run(server.runs / run_id).config.epochs == 20, "what was typed last is what is trained"
    page.get_by_text(re.compile(r"^20 epochs in ")).first.wait_for()
    run = Run(server.runs / run_id)
    assert run.status.state == "finished" and run.status.epoch == 20
    page.get_by_text(re.compile(r"Best valid MRR")).first.wait_for()
    page.get_by_role("button", name="Train the twin").click()
    page.get_by_text("MRR, uniform").first.wait_for()
    wait_for(lambda: {run.config.sampler for run in list_runs(server.runs)} == {"dans", "uniform"})
    page.get_by_text(re.compile("One run of each proves nothing")).first.wait_for()


@pytest.mark.parametrize("run_id", ["..%2F..%2Fetc%2Fpasswd", "%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E"])
def test_a_hostile_url_gets_one_sentence(server, page, run_id: str):
    page.on("dialog", lambda dialog: pytest.fail("a script of the URL ran"))
    page.goto(f"{server.url}/train?run={run_id}&epochs=banana")
    page.get_by_role("button", name="Start training").first.wait_for()
    page.get_by_text(re.compile("not the name of a run")).first.wait_for()
    page.get_by_text(re.compile("its default stands")).first.wait_for()
    expect(page.get_by_role("alert").filter(has_text="The address")).to_have_count(2)
    expect(page.get_by_role("spinbutton", name="Epochs", exact=True)).to_have_value(str(Config().epochs))


def test_a_phone_shows_the_curves_without_scrolling_sideways(server, open_page):
    page = open_page(viewport={"width": 400, "height": 800}, color_scheme="dark")
    page.goto(f"{server.url}/?dataset=nations&epochs=20")
    page.get_by_role("button", name=re.compile("sidebar", re.I)).or_(
        page.get_by_test_id("stExpandSidebarButton")
    ).first.click()
    page.get_by_role("button", name="Start training").click()
    page.locator("svg.plot path.line").first.wait_for(state="attached")
    fits(page)


def test_charts_are_started_ahead_once(server, page):
    """The script that draws it takes a browser a second to start, which a visit of Triplet need not wait for."""
    fetched: list[str] = []
    page.on("request", lambda request: fetched.append(request.url) if "PlotlyChart" in request.url else None)
    with page.expect_request(lambda request: "PlotlyChart" in request.url):
        page.goto(server.url)
    page.get_by_role("link", name="Triplet").click()
    page.locator(".js-plotly-plot").first.wait_for()
    assert len(fetched) == 1


def drawn(page) -> float:
    """How far the curves of the first panel are drawn, in pixels."""
    return float(page.locator("svg.plot clipPath rect").first.get_attribute("width"))


def test_the_first_visit_moves_until_a_person_acts(server, moving_page):
    page = moving_page
    page.goto(server.url)
    page.locator(".curves[data-playing]").wait_for()
    seen: set[float] = set()
    wait_for(lambda: seen.add(drawn(page)) or len(seen) >= 3)
    page.keyboard.press("Shift")
    expect(page.locator(".curves[data-playing]")).to_have_count(0)
    whole = drawn(page)
    assert whole > max(seen) - 7
    page.get_by_role("button", name="▶ Play").click()
    page.locator(".curves[data-playing]").wait_for()
    page.keyboard.press("Shift")
    expect(page.locator(".curves[data-playing]")).to_have_count(0)
    assert drawn(page) == whole


def test_nothing_moves_for_who_asks_for_less_motion(server, page):
    page.goto(server.url)
    page.get_by_role("button", name="▶ Play").wait_for()
    assert page.locator(".curves[data-playing]").count() == 0
