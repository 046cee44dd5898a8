"""Runs that go wrong on purpose, in a real browser: started from the menu, shown with what it promises."""

from __future__ import annotations

import re

import pytest

from dans_lab.failing import FAILING
from dans_lab.health import HealthWarning
from dans_lab.health_words import worded
from dans_lab.runs.run import Run

pytestmark = [pytest.mark.browser, pytest.mark.long]


# The shortest; tests/lab/test_failing.py trains all of them, and tests/app/test_failing_presets.py starts all, and says
# how one without a warning ended. Of the others, one is warned of in several ways, and one is not.
@pytest.mark.parametrize(
    "name",
    [
        "learning-rate-too-high",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("mode-collapse", "film-off")),
    ],
)
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
    for warning in (each for each in events if isinstance(each, HealthWarning) and each.active):
        # Of several, the later ones may be folded away.
        said = worded(warning, preset.config).message[:60]
        page.get_by_text(said).first.wait_for(state="attached")
