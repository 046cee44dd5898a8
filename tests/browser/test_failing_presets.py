"""Runs that go wrong on purpose, in a real browser: started from the menu, each shows what it promises."""

from __future__ import annotations

import re

import pytest

from dans_core.events import HealthWarning
from dans_lab.failing import FAILING
from dans_lab.health_words import worded
from dans_lab.runs.run import Run

pytestmark = [pytest.mark.browser, pytest.mark.long]

TOLD = {
    "mode-collapse": {"collapse", "easier-than-random", "below-floor"},
    "d-too-strong": {"d-too-strong", "unstable"},
    "g-too-strong": {"d-too-weak"},
    "copies": {"copies"},
    "easy-negatives": {"easier-than-random"},
    "hard-false-negatives": {"false-negatives"},
    "learning-rate-too-high": {"below-floor"},
}
"""The warnings that a run of the preset must tell; the others go wrong, or not, without one."""


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
    figure = preset.read(events)
    assert preset.keeps(figure), f"{figure}: {preset.promise} is promised"
    told = [event for event in events if isinstance(event, HealthWarning)]
    assert {warning.code for warning in told} >= TOLD.get(name, set())
    for warning in told:
        said = worded(warning, preset.config)
        assert said.message.endswith(".") and said.advice.endswith("."), "its figures have words"
    begun = [(warning.code, warning.pathway) for warning in told if warning.active]
    assert len(begun) == len(set(begun)), "no trouble begins twice"
    for warning in (each for each in told if each.active):
        # Of several, the later ones may be folded away.
        page.get_by_text(warning.message[:60]).first.wait_for(state="attached")
