"""How it works in a real browser: the drawing by mouse, by words and by keyboard, a phone, a link."""

from __future__ import annotations

import contextlib
import re

import pytest
from playwright.sync_api import expect

from dans_core import Config, KnowledgeGraph
from dans_core.events import Losses
from dans_lab.runs.writer import RunWriter
from tests.browser.states import at_rest, fits, inside, is_calm
from tests.waiting import wait_for

pytestmark = pytest.mark.browser


def part(page, name: str):
    """The button of a part in the drawing."""
    return page.locator("svg").get_by_role("button", name=re.compile(rf"^{name}\. "))


def lights(page, over, other) -> None:
    """Wait until the mouse on one of them lights the other; a drawing that comes anew has not seen it arrive."""

    def lit() -> bool:
        page.mouse.move(0, 0)
        over.hover()
        with contextlib.suppress(AssertionError):
            expect(other).to_have_class(re.compile(r"\blit\b"), timeout=2_000)
            return True
        return False

    wait_for(lit, "the light of what belongs together")


def test_parts_and_words_light_each_other_and_open_by_keyboard_and_on_a_phone(server, page):
    page.goto(f"{server.url}/how?part=d_adv")
    page.get_by_role("heading", name="D_adv").wait_for()
    expect(page).to_have_title("How it works · DANS Lab")
    expect(part(page, "D_adv")).to_have_attribute("aria-pressed", "true")
    word = page.get_by_role("button", name="G_E", exact=True)
    at_rest(page)
    lights(page, part(page, "G_E"), word)
    lights(page, word, part(page, "G_E"))
    word.click()
    page.get_by_role("heading", name="G_E").wait_for()
    page.wait_for_url(re.compile("part=g_e"))
    page.get_by_text("The lines that do it").click()
    page.get_by_text("dans_core/gan.py").first.wait_for()
    at_rest(page)

    part(page, "Triplet").focus()
    for key, name in (
        ("ArrowRight", "R-GCN encoder"),
        ("ArrowDown", "Where gradients stop"),
        ("ArrowDown", "G_E"),
        ("Tab", "G_R"),
    ):
        page.keyboard.press(key)
        expect(part(page, name)).to_be_focused()
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="G_R").wait_for()
    page.wait_for_url(re.compile("part=g_r"))
    at_rest(page)
    expect(part(page, "G_R")).to_be_focused()

    page.set_viewport_size({"width": 390, "height": 844})
    part(page, "L_G").wait_for()
    at_rest(page)
    inside(page.locator("svg .box"), 390)
    fits(page)
    part(page, "D_aux").click()
    heading = page.get_by_role("heading", name="D_aux")
    heading.wait_for()
    expect(heading).to_be_in_viewport()
    is_calm(page)


def test_a_run_that_trains_is_followed_under_the_keyboard(server, page):
    config, kg = Config(epochs=12, warmup_epochs=2, pathways="G_R"), KnowledgeGraph.load("nations")
    with RunWriter.create(server.runs, "live", config, kg.name, kg.hash, "nations") as writer:
        writer.write_status("running")
        page.goto(f"{server.url}/how?run=live&part=l_g")
        part(page, "G_E").wait_for()
        expect(part(page, "G_E")).to_have_class(re.compile(r"\babsent\b"))
        part(page, "G_R").focus()
        writer.append(
            Losses(3, base=2.5, warm_up=False, seconds=0.1, g_r=4.25, d_adv=0.5, d_real=0.7, d_fake_r=0.2)
        )
        part(page, r"G_R\. L_G 4\.25").wait_for()
        expect(part(page, "G_R")).to_be_focused()
        page.get_by_text(re.compile(r"^Epoch 3\.")).wait_for()
