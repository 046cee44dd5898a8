"""The Lessons screen without a browser: each lesson from start to end, the list, and what an address may ask."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from dans_app.lessons import kept, steps
from dans_app.shared import lesson_place
from dans_core.events import Diagnostics, Event, Losses, Ranking
from dans_lab.lessons.cards import filled
from dans_lab.lessons.files import lessons
from dans_lab.lessons.form import Lesson, Step
from dans_lab.runs.writer import RunWriter
from tests import small_run
from tests.sound_pathway import SOUND
from tests.waiting import PATIENCE

screen = partial(small_run.screen, "lessons.py")
LESSONS = {lesson.name: lesson for lesson in lessons()}


@pytest.fixture(autouse=True)
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DANS_RUNS_DIR", str(tmp_path))
    return tmp_path


def with_figure(event: Any, path: list[str], value: float) -> Any:
    """The event, or the part of one, with this figure at `path`."""
    name, *inner = path
    return replace(event, **{name: with_figure(getattr(event, name), inner, value) if inner else value})


def run_id(name: str) -> str:
    """Of the prepared run that a lesson calls so."""
    return name.replace("_", "-")


def prepare(root: Path, umls: Any, lesson: Lesson, **other: float) -> None:
    """The runs of a lesson as their workers would have written them, with the figures that its author measured.

    `other` are figures that came out otherwise. tests/lab/test_lessons.py trains these runs.
    """
    figures = {**lesson.head.measured, **other}
    for run, wanted in lesson.runs.items():
        last = wanted.config.epochs
        events: dict[tuple[str, int], Event] = {
            (event.kind, event.epoch): event
            for epoch in (1, last)
            for event in (
                Losses(epoch, 1.0, False, 0.1),
                Diagnostics(epoch, 1.0, -1.0, 0.1, 0.05, g_e=SOUND, g_r=SOUND, sampled=SOUND),
                Ranking(epoch, "valid", 0.1, 0.1, 0.1, 0.1, 0.1, best=True),
            )
        }
        for name, part in lesson.head.figures.items():
            if part.run == run:
                kind, *path = part.of.split(".")
                at = kind, 1 if part.at == "first" else last
                events[at] = with_figure(events[at], path, figures[name])
        with RunWriter.create(root, run_id(run), wanted.config, "umls", umls.hash, "umls") as writer:
            writer.append(*events.values())
            writer.write_status("finished", epoch=last)


def texts(app: Any) -> str:
    kinds = (app.markdown, app.info, app.warning, app.success, app.header, app.caption, app.error)
    return "\n".join(element.value for kind in kinds for element in kind)


def press(app: AppTest, key: str) -> None:
    app.button(key=key).click().run()
    assert not app.exception


def whole(**query: str) -> AppTest:
    """The app at this address. Where `pages` lies beside its entry, AppTest would leave out the entry later on."""
    app = AppTest.from_string(
        (small_run.ROOT / "app.py").read_text(encoding="utf-8"), default_timeout=PATIENCE
    )
    for name, value in query.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception
    return app


def look(app: AppTest, step: Step, lesson: Lesson) -> None:
    """Go to the other screen, do what the bar says, and come back by it."""
    assert app.button(key="lesson_next").disabled
    next(button for button in app.button if button.label.startswith("Open ")).click().run()
    assert not app.exception
    assert app.session_state["dans_page"] == step.screen
    for name, value in step.query.items():
        assert app.query_params[name] == re.sub(r"\{(\w+)\}", lambda run: run_id(run[1]), value)
    assert f"**Lesson, step {app.query_params['step']} of {len(lesson.steps)}** · {step.task}" in texts(app)
    if step.until:
        press(app, "lesson_done")
        assert f"Not yet: {step.task}" in texts(app)
        ((name, wanted),) = step.until.items()
        app.query_params[name] = "causes" if wanted.startswith("!") else wanted
    press(app, "lesson_done")


def answer(app: AppTest, step: Step, lesson: Lesson) -> None:
    """A wrong answer is told why, then the right one is right."""
    figures = lesson.head.measured
    (right,) = step.right(figures)
    wrong = next(place for place in range(len(step.options)) if place != right)
    for place, verdict in ((wrong, "**Not quite.**"), (right, "**Right.**")):
        assert app.button(key="lesson_next").disabled
        assert filled(lesson, step.options[place].text, figures) == app.radio[0].options[place]
        app.radio[0].set_value(place).run()
        assert f"{verdict} {filled(lesson, step.options[place].feedback, figures)}" in texts(app)


@pytest.mark.parametrize("name", LESSONS)
def test_a_lesson_is_done_from_start_to_end(name: str, runs: Path, umls: Any):
    lesson, app = LESSONS[name], whole(lesson=name)
    figures = lesson.head.measured
    found = lesson.form(lesson.prediction.figure, figures[lesson.prediction.figure])
    press(app, "lesson_back")
    for number, step in enumerate(lesson.steps):
        assert app.query_params["step"] == str(number + 1)
        assert app.header[0].value == step.title
        match step.kind:
            case "look":
                look(app, step, lesson)
                continue
            case "predict":
                assert app.button(key="lesson_next").disabled
                press(app, "lesson_commit")
                continue
            case "run":
                assert app.button(key="lesson_next").disabled
                assert [button.label for button in app.button].count("Run it") == 1
                prepare(runs, umls, lesson)
                app.run()
                assert ("The run is there." if len(lesson.runs) == 1 else "All runs are there.") in texts(app)
            case "gap":
                drawn = [json.loads(each.proto.json)[0] for each in app.get("bidi_component")]
                assert any(f"Measured {found}" in each.get("about", "") for each in drawn)
                assert filled(lesson, step.text, figures) in texts(app)
                assert "came out otherwise" not in texts(app)
            case "ask":
                answer(app, step, lesson)
        press(app, "lesson_next")
    assert app.header[0].value == "Lesson complete"
    assert f"measured: **{found}" in texts(app)
    assert "Right at the first attempt: 0 of 1" in texts(app)


def test_the_list_tells_of_every_lesson():
    app = screen()
    for lesson in LESSONS.values():
        assert lesson.head.title in texts(app) and lesson.head.before in texts(app)
    assert "lesson" not in app.query_params


def test_a_prediction_is_committed_once_and_stands_in_the_address():
    app = screen(lesson="does-it-help")
    app.button(key="lesson_next").click().run()
    assert app.button(key="lesson_next").disabled, "a look is done on the other screen"
    app = screen(lesson="does-it-help", step="3")
    assert app.button(key="lesson_next").disabled
    app.slider[0].set_value(0.03).run()
    app.button(key="lesson_commit").click().run()
    assert app.query_params["said"] == "0.03" and app.query_params["step"] == "4"
    assert "**0.0223** apart" in texts(app)
    app.button(key="lesson_previous").click().run()
    assert "That stands" in texts(app) and not app.slider
    assert not [each for each in app.button if each.key == "lesson_commit"]


def test_answers_are_told_why_and_the_first_one_counts():
    app = screen(lesson="does-it-help", step="6", said="0.01")
    lesson = LESSONS["does-it-help"]
    step = lesson.steps[5]
    (right,) = step.right(lesson.head.measured)
    assert app.button(key="lesson_next").disabled
    for place in range(len(step.options)):
        app.radio[0].set_value(place).run()
        assert ("**Right.**" if place == right else "**Not quite.**") in texts(app)
        assert app.button(key="lesson_next").disabled == (place != right)
    app.radio[0].set_value(right).run()
    app.button(key="lesson_next").click().run()
    assert "Right at the first attempt: 0 of 1" in texts(app)


@pytest.mark.parametrize(
    ("query", "words", "heading"),
    [
        ({"lesson": "<b>x</b>"}, "there is no lesson", None),
        ({"lesson": "does-it-help", "step": "99"}, "no step “99”", "One run proves nothing"),
        ({"lesson": "does-it-help", "step": "²"}, "no step “²”", "One run proves nothing"),
        ({"lesson": "does-it-help", "said": "9"}, "is not between", "One run proves nothing"),
        ({"lesson": "does-it-help", "said": "nan", "step": "5"}, "is not between", "One run proves nothing"),
        ({"lesson": "does-it-help", "step": "6"}, "", "By how much does DANS raise the test MRR?"),
        ({"lesson": "negatives", "step": "7", "said": "10"}, "", "Train it"),
    ],
)
def test_an_address_opens_no_step_too_early_and_gets_one_sentence(
    query: dict[str, str], words: str, heading: str | None
):
    app = screen(**query)
    found = [each.value for each in app.warning if "cannot be followed" in each.value]
    assert len(found) == bool(words)
    assert not words or words in found[0]
    assert not app.header or (heading and heading in app.header[0].value)
    assert "<b>" not in texts(app)


def test_figures_that_break_the_promise_are_admitted(runs: Path, umls: Any):
    prepare(runs, umls, LESSONS["negatives"], late=0.3)
    app = screen(lesson="negatives", step="5", said="10")
    assert "came out otherwise" in texts(app)
    assert "**20 points** apart" in texts(app)


def test_a_run_of_the_same_settings_serves_and_the_right_answer_follows_its_figures(runs: Path, umls: Any):
    prepare(runs, umls, LESSONS["negatives"], late=0.3)
    app = screen(lesson="negatives", step="7", said="10")
    options = LESSONS["negatives"].steps[6].options
    much = next(place for place, option in enumerate(options) if option.text.startswith("Much"))
    app.radio[0].set_value(much).run()
    assert "**Right.**" in texts(app)


def test_the_bar_follows_to_other_screens_and_can_be_left():
    app = small_run.app(lesson="does-it-help", step="2")
    assert any("Lesson, step 2 of 6" in each.value for each in app.markdown)
    app.button(key="lesson_leave").click().run()
    assert not any("Lesson, step" in each.value for each in app.markdown)
    assert "lesson" not in app.query_params


def test_a_slider_counts_as_its_figure_reads():
    asked = {name: lesson.prediction for name, lesson in LESSONS.items()}
    assert steps.scale(asked["negatives"], ".0%") == (0, 100, 1, "%d")
    assert steps.scale(asked["film"], ".1f") == (0.0, 5.0, 0.1, "%.1f")
    assert steps.in_figure(asked["negatives"], 40) == 0.4
    assert steps.in_figure(asked["collapse"], 40) == 40


def test_what_a_browser_kept_is_taken_in_where_it_fits():
    every = list(LESSONS.values())
    good = {"step": 5, "reached": 5, "said": 0.03, "chosen": {"5": [1, 0]}}
    bad = [
        {**good, "step": 9}, {**good, "said": 7.0}, {**good, "chosen": {"5": [4]}}, {**good, "chosen": {"x": [1]}},
        {**good, "reached": "5"}, {**good, "chosen": {"99": [1]}}, {"step": 1}, [],
    ]  # fmt: skip
    st.session_state.clear()
    for text in (None, 1, "{", "[]", "x" * 30_000, *(json.dumps({"does-it-help": each}) for each in bad)):
        kept.take(text, every)
        assert not lesson_place.memory("does-it-help").touched
    kept.take(json.dumps({"does-it-help": good, "no-lesson": good}), every)
    found = lesson_place.memory("does-it-help")
    assert (found.step, found.said, found.chosen) == (5, 0.03, {5: [1, 0]})
    kept.take(json.dumps({"does-it-help": {**good, "said": 0.05}}), every)
    assert lesson_place.memory("does-it-help").said == 0.03, "what was said in this session stands"
    kept.forget(every)
    assert not lesson_place.memory("does-it-help").touched
