"""Runs that go wrong on purpose, in a real browser: started from the menu, each shows what it promises."""

from __future__ import annotations

import re

import pytest

from dans_core.events import HealthWarning
from dans_lab.failing import FAILING
from dans_lab.runs.run import Run

pytestmark = [pytest.mark.browser, pytest.mark.long]


@pytest.mark.parametrize("name", FAILING)
def test_a_preset_is_started_by_one_choice_and_goes_as_promised(server, page, name):
    preset = FAILING[name]
    page.goto(server.url)
    page.get_by_role("button", name="Runs that go wrong").click()
    page.get_by_role("menuitem", name=preset.title, exact=True).click()
    page.get_by_text(re.compile(f"{preset.title}.*, on purpose")).wait_for()
    page.get_by_text(re.compile(rf"^{preset.config.epochs} epochs in ")).first.wait_for()
    page.get_by_text(re.compile("It ended as promised")).wait_for()
    events = Run(server.runs / re.search(r"run=([a-z0-9-]+)", page.url)[1]).events()
    assert preset.keeps(preset.read(events))
    for told in (event for event in events if isinstance(event, HealthWarning) and event.active):
        # Of several, the later ones may be folded away.
        page.get_by_text(told.message[:60]).first.wait_for(state="attached")
