"""Which lesson a person follows and how far: in the session, in the address of every screen, and back from it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import streamlit as st

from dans_app.shared.words import markdown_text
from dans_data.errors import InputError
from dans_lab.lessons.files import lessons
from dans_lab.lessons.form import Lesson, Step

LESSON, STEP, SAID = "lesson", "step", "said"
"""Names in the address: the lesson, its step from 1, and what was predicted."""

# Forgotten, as what starts with "address_" is, when a bookmark is opened: its own address says where it is then.
_PLACE = "address_lesson"
_MEMORY = "dans_lessons"
_PROBLEM = "dans_lesson_problem"


@dataclass
class Memory:
    """What a person did in one lesson.

    Attributes:
        step: where they are, from 0; as many as there are steps once they are through.
        reached: the furthest step.
        said: the prediction they committed to.
        chosen: the answers chosen at each question, in their order.
    """

    step: int = 0
    reached: int = 0
    said: float | None = None
    chosen: dict[int, list[int]] = field(default_factory=dict)

    @property
    def touched(self) -> bool:
        """Whether anything was done."""
        return self.reached > 0 or self.said is not None


@dataclass(frozen=True)
class Place:
    """A lesson that is being followed, and what was done in it."""

    lesson: Lesson
    memory: Memory

    @property
    def step(self) -> Step | None:
        """The present step; None past the last."""
        steps = self.lesson.steps
        return steps[self.memory.step] if self.memory.step < len(steps) else None

    def go(self, step: int) -> None:
        """Be at this step from now on."""
        self.memory.step = max(0, min(step, len(self.lesson.steps)))
        self.memory.reached = max(self.memory.reached, self.memory.step)

    def commit(self, value: float) -> None:
        """Predict; what was said before stands."""
        if self.memory.said is None:
            self.memory.said = value


def follow() -> Place | None:
    """The lesson that this person is in, from the session, at its beginning from the address; and into the address.

    An address that asks for what there is not gets one sentence, see `problem`.
    """
    if _PLACE not in st.session_state:
        st.session_state[_PLACE] = None
        _arrive()
    place = now()
    query = {} if place is None else _query(place)
    for name in (LESSON, STEP, SAID):
        if name in query and st.query_params.get(name) != query[name]:
            st.query_params[name] = query[name]
        elif name not in query and name in st.query_params:
            del st.query_params[name]
    return place


def now() -> Place | None:
    """The lesson that is being followed."""
    name = st.session_state.get(_PLACE)
    lesson = None if name is None else _lesson(name)
    return None if lesson is None else Place(lesson, memory(lesson.name))


def begin(name: str) -> None:
    """Follow this lesson from now on, from where it was left."""
    st.session_state[_PLACE] = name
    st.session_state.pop(_PROBLEM, None)


def leave() -> None:
    """Follow no lesson any more; what was done in it is kept for the session."""
    st.session_state[_PLACE] = None


def memory(name: str) -> Memory:
    """What was done in a lesson in this session."""
    known: dict[str, Memory] = st.session_state.setdefault(_MEMORY, {})
    return known.setdefault(name, Memory())


def put(name: str, done: Memory) -> None:
    """Have this be what was done in a lesson."""
    memory(name)
    st.session_state[_MEMORY][name] = done


def problem() -> str | None:
    """What was wrong with the address, in a sentence of Markdown, or None."""
    return st.session_state.get(_PROBLEM)


def _query(place: Place) -> dict[str, str]:
    said = {} if place.memory.said is None else {SAID: f"{place.memory.said:g}"}
    return {LESSON: place.lesson.name, STEP: str(place.memory.step + 1), **said}


def _lesson(name: str) -> Lesson | None:
    return next((lesson for lesson in lessons() if lesson.name == name), None)


def _arrive() -> None:
    """Take up the lesson of the address."""
    name = st.query_params.get(LESSON)
    if name is None:
        return
    try:
        lesson = _lesson(name)
        if lesson is None:
            raise InputError(f"there is no lesson “{name[:40]}”; all lessons are on the screen Lessons")
        begin(lesson.name)
        _take_up(Place(lesson, memory(lesson.name)))
    except InputError as error:
        st.session_state[_PROBLEM] = f"The address cannot be followed: {markdown_text(str(error), 300)}."


def _take_up(place: Place) -> None:
    """The step and the prediction of the address; without a prediction no step behind it is open."""
    asked, said = st.query_params.get(STEP, "1"), st.query_params.get(SAID)
    scale = place.lesson.prediction
    if said is not None:
        value = _number(said)
        if not scale.low <= value <= scale.high:
            raise InputError(
                f"its prediction “{said[:20]}” is not between {scale.low:g} and {scale.high:g}; predict again"
            )
        place.commit(value)
    last = len(place.lesson.steps)
    if not (asked.isascii() and asked.isdecimal() and len(asked) < 5 and 1 <= int(asked) <= last + 1):
        raise InputError(f"the lesson has no step “{asked[:20]}”, only 1 to {last}; it begins with the first")
    open_to = last if place.memory.said is not None else place.lesson.steps.index(scale)
    place.go(min(int(asked) - 1, open_to))


def _number(text: str) -> float:
    try:
        return float(text[:20])
    except ValueError:
        return math.nan
