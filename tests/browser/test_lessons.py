"""Lessons in a real browser, from the first click to the end, with the runs that they train and measure.

tests/app/test_lessons.py goes through each without a browser, and tests/lab/test_lessons.py trains all their runs.
"""

from __future__ import annotations

import contextlib
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import TimeoutError

from dans_lab.lessons import checks
from dans_lab.lessons.cards import card, filled
from dans_lab.lessons.files import lessons
from dans_lab.lessons.form import Lesson, Step
from dans_lab.lessons.measuring import find, measure
from dans_lab.runs.run import list_runs
from tests.browser.server import Server
from tests.browser.states import at_rest, is_calm
from tests.waiting import PATIENCE, wait_for

pytestmark = pytest.mark.browser
LESSONS = {lesson.name: lesson for lesson in lessons()}

BY_MOUSE = "pathways"
"""The lesson that is walked every time: it trains one run, and something is to be done on another screen."""

BY_KEYBOARD = "does-it-help"
"""The lesson that is walked without a mouse."""

MOST_TABS = 150


def press(page: Any, name: str, keys: bool = False) -> None:
    button = page.get_by_role("button", name=name, exact=False).first
    if keys:
        tab_to(page, button)
        page.keyboard.press("Enter")
        return
    button.scroll_into_view_if_needed()
    button.click()


def tab_to(page: Any, part: Any) -> None:
    """Press Tab until the focus is in this part of the page."""
    part.wait_for()
    for _ in range(MOST_TABS):
        page.keyboard.press("Tab")
        if part.evaluate("part => part.contains(document.activeElement)"):
            return
    raise AssertionError(f"{MOST_TABS} times Tab do not reach {part}")


def spaced(text: str) -> str:
    """A pattern for this text with spaces of any kind."""
    return r"\s".join(map(re.escape, text.split()))


def is_at(page: Any, lesson: Lesson, step: int) -> None:
    """Wait until the address is that of the step, and its heading is shown."""
    page.wait_for_url(re.compile(rf"/lessons\?.*lesson={lesson.name}&step={step + 1}\b"))
    page.get_by_role("heading", name=lesson.steps[step].title).wait_for()
    at_rest(page)


def look(page: Any, step: Step, lesson: Lesson, keys: bool) -> None:
    """Go to the other screen, do what the bar says, and come back by it."""
    press(page, "Open ", keys)
    bar = page.locator(".st-key-lesson_bar")
    bar.get_by_text(step.task.split(".")[0][:40]).wait_for()
    at_rest(page)
    if step.until:
        press(page, "Done, go on")
        page.get_by_text("Not yet: ").wait_for()
        at_rest(page)
        ((name, wanted),) = step.until.items()
        label, option = {"colour": ("Colour by", "D_aux"), "relation": ("Relation", "causes")}[name]
        box = page.get_by_role("combobox", name=re.compile(label))

        def picked() -> bool:
            # A list closes where its screen is drawn anew at this moment.
            box.fill(option)
            with contextlib.suppress(TimeoutError):
                page.get_by_role("option", name=option).click(timeout=5_000)
                return True
            return False

        wait_for(picked, f"the choice of {option}")
        page.wait_for_url(re.compile(f"{name}={'causes' if wanted.startswith('!') else wanted}"))
        at_rest(page)
    press(page, "Done, go on", keys)


def figures(lesson: Lesson, server: Server) -> dict[str, float]:
    """What the runs of the lesson measured, read from their folders."""
    runs = {name: find(wanted, list_runs(server.runs)) for name, wanted in lesson.runs.items()}
    return measure(lesson, {name: run.events() for name, run in runs.items() if run})


def answer(page: Any, step: Step, lesson: Lesson, measured: dict[str, float], keys: bool) -> None:
    """A wrong answer is told why, then the right one is right."""
    options = page.get_by_role("radiogroup")
    (right,) = step.right(measured)
    assert step.right(lesson.head.measured) == [right], "as when its author measured"
    wrong = next(place for place in range(len(step.options)) if place != right)
    for place, verdict in ((wrong, "Not quite."), (right, "Right.")):
        option = step.options[place]
        assert page.get_by_role("button", name="Next").is_disabled()
        words = filled(lesson, option.text, measured)
        if keys:
            choose(page, options, place)
        else:
            options.get_by_text(re.compile(spaced(words))).click()
        told = page.get_by_test_id("stAlert").filter(has_text=verdict)
        told.wait_for()
        because = filled(lesson, option.feedback, measured).replace("*", "")[:60]
        assert re.search(spaced(because), told.inner_text())
        at_rest(page)


def choose(page: Any, options: Any, place: int) -> None:
    """Choose the option at this place by the keyboard, from the one that is chosen, if any."""
    radios = options.get_by_role("radio")
    chosen = [number for number, radio in enumerate(radios.all()) if radio.is_checked()]
    if not options.evaluate("part => part.contains(document.activeElement)"):
        tab_to(page, options)
    if not chosen:
        page.keyboard.press("Space")
    for _ in range(place - (chosen[0] if chosen else 0)):
        page.keyboard.press("ArrowDown")


@pytest.fixture(scope="module")
def of_lessons_before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs that other lessons have trained: five of them look at the same one, which a person trains once, too."""
    return tmp_path_factory.mktemp("lessons")


@pytest.mark.parametrize(
    "name",
    [
        name if name in (BY_MOUSE, BY_KEYBOARD) else pytest.param(name, marks=pytest.mark.slow)
        for name in LESSONS
    ],
)
def test_a_lesson_is_done_from_start_to_end(name: str, server: Server, page: Any, of_lessons_before: Path):
    lesson, keys = LESSONS[name], name == BY_KEYBOARD
    shutil.copytree(of_lessons_before, server.runs, dirs_exist_ok=True)
    are_there = page.get_by_text(re.compile("(The|All) runs? (is|are) there"))
    page.goto(f"{server.url}/{card(lesson).link}")
    measured: dict[str, float] = {}
    for number, step in enumerate(lesson.steps):
        is_at(page, lesson, number)
        next_one = page.get_by_role("button", name="Next")
        match step.kind:
            case "look":
                assert next_one.is_disabled()
                look(page, step, lesson, keys)
                continue
            case "predict":
                assert next_one.is_disabled()
                if keys:
                    tab_to(page, page.get_by_role("slider"))
                    page.keyboard.press("ArrowRight")
                    at_rest(page)
                press(page, "Commit to this", keys)
                continue
            case "run":
                if not are_there.count():
                    press(page, "Run it")
                are_there.wait_for(timeout=4000 * PATIENCE)
                at_rest(page)
            case "gap":
                assert not keys or "said=0.026" in page.url
                measured = figures(lesson, server)
                assert checks.holds(lesson.head.promise, measured)
                found = lesson.form(lesson.prediction.figure, measured[lesson.prediction.figure])
                page.get_by_role("img", name=re.compile(rf"Measured {spaced(found)}.* apart")).wait_for()
                assert page.get_by_text("came out otherwise").count() == 0
            case "ask":
                answer(page, step, lesson, measured, keys)
        press(page, "Next", keys)
    page.get_by_role("heading", name="Lesson complete").wait_for()
    page.get_by_text("Right at the first attempt: 0 of 1").wait_for()
    is_calm(page)
    for run in list_runs(server.runs):
        shutil.copytree(run.path, of_lessons_before / run.id, dirs_exist_ok=True)


def test_what_was_done_is_there_at_the_next_visit(server: Server, page: Any):
    page.goto(f"{server.url}/lessons?lesson=does-it-help&step=3")
    press(page, "Commit to this")
    is_at(page, LESSONS["does-it-help"], 3)
    page.goto(f"{server.url}/lessons")
    press(page, "Go on at step 4")
    is_at(page, LESSONS["does-it-help"], 3)
    assert "said=0.025" in page.url
    press(page, "All lessons")
    press(page, "Forget it and begin anew")
    page.get_by_role("button", name="Forget it").wait_for(state="detached")
    page.goto(f"{server.url}/lessons")
    begins = page.get_by_role("button", name="Begin", exact=True)
    wait_for(lambda: begins.count() == len(LESSONS), "a list in which nothing was done")
