"""A card for each lesson, for a teacher: how long, what to know before, the link, and the answers to expect."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dans_lab.lessons.files import FOLDER, lessons
from dans_lab.lessons.form import Lesson


@dataclass(frozen=True)
class Answer:
    """A question of a lesson, and the answer that is right with the figures as they were when it was written."""

    question: str
    expected: str
    because: str


@dataclass(frozen=True)
class Card:
    """What a teacher should know of a lesson.

    `link` is the path and query of its first step, to put behind the address of the app; `minutes` are with reading.
    `prediction` is what is predicted, `measured` what came out when the lesson was written.
    """

    name: str
    title: str
    about: str
    minutes: int
    before: str
    link: str
    prediction: str
    measured: str
    answers: tuple[Answer, ...]


def cards(folder: Path = FOLDER) -> list[Card]:
    """The cards of all lessons, in their order. Raises InputError for a lesson that cannot be read."""
    return [card(lesson) for lesson in lessons(folder)]


def card(lesson: Lesson) -> Card:
    """The card of one lesson."""
    head, asked = lesson.head, lesson.prediction
    figures = {name: float(number) for name, number in head.measured.items()}
    measured = f"{lesson.form(asked.figure, figures[asked.figure])} {asked.noun}".strip()
    return Card(
        lesson.name,
        head.title,
        head.about,
        head.minutes,
        head.before,
        f"lessons?lesson={lesson.name}",
        asked.title,
        measured,
        tuple(
            _answer(lesson, place, figures) for place, step in enumerate(lesson.steps) if step.kind == "ask"
        ),
    )


def filled(lesson: Lesson, text: str, figures: Mapping[str, float]) -> str:
    """A text of the lesson with its figures, each as it reads, in place of their names in braces."""
    for name, value in figures.items():
        text = text.replace(f"{{{name}}}", lesson.form(name, value))
    return text


def _answer(lesson: Lesson, place: int, figures: dict[str, float]) -> Answer:
    step = lesson.steps[place]
    right = step.options[step.right(figures)[0]]
    question, expected, because = (
        filled(lesson, text, figures) for text in (step.title, right.text, right.feedback)
    )
    return Answer(question, expected, because)
