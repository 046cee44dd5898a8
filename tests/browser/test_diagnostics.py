"""The Diagnostics screen in a real browser: the keyboard, the address, a run that trains, a phone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from dans_core import Config, KnowledgeGraph, Trainer
from dans_core.events import Diagnostics
from dans_lab.runs.writer import RunWriter
from tests.browser.states import fits, inside

pytestmark = pytest.mark.browser


def created(runs: Path, run_id: str) -> tuple[RunWriter, Trainer]:
    small = {"epochs": 12, "dim": 16, "negatives": 8, "warmup_epochs": 2, "diagnose_every": 2}
    config, kg = Config(**small), KnowledgeGraph.load("nations")
    return RunWriter.create(runs, run_id, config, kg.name, kg.hash, "nations"), Trainer(kg, config)


def is_calm(page) -> None:
    """No error box, and nothing makes the page scroll sideways."""
    assert page.locator("[data-testid=stException], [data-testid=stAlertContentError]").count() == 0
    fits(page)


def all_drawn(page, epoch: int) -> None:
    """Wait until every chart but the lanes of troubles says what it shows at this epoch."""
    page.wait_for_function(
        "epoch => [...document.querySelectorAll('[aria-label]')].filter(e =>"
        " e.ariaLabel.includes(`At epoch ${epoch}:`)).length >= 10",
        arg=epoch,
    )
    page.locator(".js-plotly-plot .scatterlayer .js-line").first.wait_for(state="attached")


def test_a_run_that_trains_is_followed_an_epoch_chosen_by_keyboard_and_a_phone_shows_it_all(server, page):
    """The slider grows under the eyes of the browser, which must not take that for a choice."""
    writer, trainer = created(server.runs, "live")
    with writer:
        writer.write_status("running")
        page.goto(f"{server.url}/diagnostics?run=live")
        page.get_by_text("No diagnosis yet").first.wait_for()
        for event in trainer:
            writer.append(event)
            # Several come between two looks of the page, as on a fast machine.
            if isinstance(event, Diagnostics) and event.epoch in (2, 12):
                page.get_by_text(f"At epoch {event.epoch}", exact=True).first.wait_for()
        assert "epoch=" not in page.url
        writer.write_status("finished", epoch=12)
    expect(page.get_by_text("following the newest")).to_have_count(0)
    assert page.get_by_text("At epoch 12", exact=True).is_visible() and "epoch=" not in page.url
    expect(page).to_have_title("Diagnostics · DANS Lab")
    all_drawn(page, 12)

    page.get_by_role("slider", name="Epoch").focus()
    for epoch in (10, 8):
        # The slider keeps the focus, though all around it is drawn anew.
        page.keyboard.press("ArrowLeft")
        page.get_by_text(f"At epoch {epoch}", exact=True).first.wait_for()
        page.wait_for_url(re.compile(f"epoch={epoch}$"))
    page.set_viewport_size({"width": 400, "height": 850})
    all_drawn(page, 8)
    inside(page.locator(".js-plotly-plot"))
    is_calm(page)
