"""The Train screen in a real browser: live curves, pause, a server that is killed, deep links, phones."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from dans_lab.runs.run import Run, list_runs
from tests.browser.server import workers
from tests.browser.states import at_rest, drag, fits
from tests.waiting import wait_for

pytestmark = pytest.mark.browser

EPOCHS = 5_000
"""More than a run trains while a test looks at it."""

LONG = f"dataset=umls&epochs={EPOCHS}&set_warmup_epochs=20&set_eval_every=10"


def start(page, server) -> str:
    """Press Start training; returns the id of the run, taken from the URL."""
    page.goto(f"{server.url}/?{LONG}")
    # These visitors ask for less motion.
    page.get_by_role("button", name="▶ Play").wait_for()
    assert page.locator(".curves[data-playing]").count() == 0
    page.get_by_role("button", name="Start training").click()
    # Recorded runs have ids without a seed.
    page.wait_for_url(re.compile(r"run=[a-z0-9-]+-s\d+-"))
    page.get_by_text(re.compile(rf"^Epoch [1-9]\d* of {EPOCHS:,}")).first.wait_for()
    return re.search(r"run=([a-z0-9-]+)", page.url)[1]


def epoch(page) -> int:
    """The epoch in the status line."""
    text = page.get_by_text(re.compile(r"epoch [\d,]+ of [\d,]+", re.I)).first.inner_text()
    return int(re.search(r"epoch ([\d,]+) of", text, re.I)[1].replace(",", ""))


def test_a_run_is_watched_outlives_the_server_is_paused_and_goes_on(page, serve, runs: Path):
    server = serve()
    run_id = start(page, server)
    run = Run(runs / run_id)
    # Until its first answer is whole, the curves of the run that was shown before may still stand there.
    at_rest(page)
    base = page.locator("svg.plot").nth(2)
    base.evaluate("node => { node.watched = true }")
    seen, labels = set(), set()

    def look() -> bool:
        seen.add(epoch(page))
        labels.add(base.get_attribute("aria-label"))
        return len(seen) >= 3 and len(labels) >= 3

    wait_for(look)
    assert base.evaluate("node => node.watched === true && node.isConnected"), "the chart was mounted anew"

    # A zoom survives the next ticks.
    drag(page, base.bounding_box, (200, 60), page.get_by_text(re.compile("Zoomed to epochs")).first)
    before = epoch(page)
    wait_for(lambda: epoch(page) > before)
    page.get_by_text(re.compile("Zoomed to epochs")).first.wait_for()

    # The run has a process of its own, which the server does not take along; the one that waits for the next run goes.
    server.stop(kill=True)
    before = run.status.epoch
    wait_for(lambda: run.status.epoch > before)
    wait_for(lambda: len(workers(runs)) == 1)

    # A deep link to a fresh server: the right menu and title, and the run.
    page.goto(f"{serve().url}/train?run={run_id}")
    page.get_by_role("button", name="Pause").click()
    page.get_by_text(re.compile("^Paused at epoch")).first.wait_for()
    stood = epoch(page)
    expect(page).to_have_title("Train · DANS Lab")
    for name in ("Train", "Map", "Triplet"):
        page.get_by_role("link", name=name).first.wait_for()
    assert f"run={run_id}" in page.url
    assert page.get_by_text("Page not found").count() == 0

    page.get_by_role("button", name="Resume").click()
    wait_for(lambda: epoch(page) > stood)
    page.get_by_role("button", name="Stop").click()
    page.get_by_text(re.compile("^Stopped at epoch")).first.wait_for()
    assert run.status.state == "stopped"
    page.get_by_text(re.compile(r"Best valid MRR")).first.wait_for()
    stood = epoch(page)
    assert stood < EPOCHS
    # What was learned is kept, and goes on from there.
    page.get_by_role("button", name="Resume").click()
    wait_for(lambda: epoch(page) > stood)
    run.request(stop=True)
    page.get_by_text(re.compile("^Stopped at epoch")).first.wait_for()


def test_a_run_is_started_on_a_phone_and_its_twin_beside_it(server, open_page):
    page = open_page(viewport={"width": 400, "height": 800}, color_scheme="dark")
    page.goto(f"{server.url}/?dataset=nations&epochs=200&set_warmup_epochs=5&set_dim=16")
    page.get_by_role("button", name=re.compile("sidebar", re.I)).or_(
        page.get_by_test_id("stExpandSidebarButton")
    ).first.click()
    page.get_by_role("spinbutton", name="Epochs", exact=True).fill("20")
    page.get_by_role("button", name="Start training").click()
    page.wait_for_url(re.compile(r"run=[a-z0-9-]+-s\d+-"))
    page.get_by_text(re.compile(r"^20 epochs in ")).first.wait_for(state="attached")
    page.locator("svg.plot path.line").first.wait_for(state="attached")
    fits(page)

    page.set_viewport_size({"width": 1400, "height": 1000})
    (run,) = list_runs(server.runs)
    assert run.config.epochs == 20, "what was typed last is what is trained"
    assert run.status.state == "finished" and run.status.epoch == 20
    page.get_by_text(re.compile(r"Best valid MRR")).first.wait_for()
    page.get_by_role("button", name="Train the twin").click()
    page.get_by_text("MRR, uniform").first.wait_for()
    wait_for(lambda: {run.config.sampler for run in list_runs(server.runs)} == {"dans", "uniform"})
    page.get_by_text(re.compile("One run of each proves nothing")).first.wait_for()


def drawn(page) -> float:
    """How far the curves of the first panel are drawn, in pixels."""
    return float(page.locator("svg.plot clipPath rect").first.get_attribute("width"))


def test_the_first_visit_moves_until_a_person_acts_and_charts_are_started_ahead_once(server, moving_page):
    page = moving_page
    fetched: list[str] = []
    page.on("request", lambda request: fetched.append(request.url) if "PlotlyChart" in request.url else None)
    # The script that draws charts takes a browser a second to start, which a visit of Triplet need not wait for.
    with page.expect_request(lambda request: "PlotlyChart" in request.url):
        page.goto(server.url)
        page.locator(".curves[data-playing]").wait_for()
    again = page.get_by_role("button", name="▶ Play")
    seen: set[float] = set()

    def moves() -> bool:
        # It takes seven seconds everywhere, in which a busy browser may draw twice.
        if again.is_visible():
            again.click()
        seen.add(drawn(page))
        return len(seen) >= 3

    def ends() -> None:
        page.keyboard.press("Shift")
        expect(page.locator(".curves[data-playing]")).to_have_count(0)

    wait_for(moves)
    ends()
    whole = drawn(page)
    assert whole > max(seen) - 7

    def plays_again() -> bool:
        if again.is_visible():
            again.click()
        return drawn(page) < whole

    wait_for(plays_again)
    ends()
    assert drawn(page) == whole
    page.get_by_role("link", name="Triplet").click()
    page.locator(".js-plotly-plot").first.wait_for()
    assert len(fetched) == 1
