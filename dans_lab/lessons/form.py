"""What a lesson is made of: its runs, its figures, and its steps."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from dans_core.config import Config
from dans_lab.lessons import checks

Kind = Literal["read", "look", "predict", "run", "gap", "ask"]

KINDS: dict[str, str] = {
    "read": "text alone",
    "look": "something to do on another screen",
    "predict": "a number to commit to",
    "run": "the runs of the lesson",
    "gap": "the prediction beside the measurement",
    "ask": "a question with answers to choose from",
}
"""The kinds of steps, and what each is."""

SCREENS = (
    "train",
    "how",
    "step",
    "quiz",
    "data",
    "map",
    "triplet",
    "diagnostics",
    "compare",
    "studies",
    "runs",
)
"""The screens that a step may open, by their paths."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class RunPart(_Part):
    """A run of a lesson as it is written: its name on screen, data set and settings, or one that came along."""

    title: str
    dataset: str = "umls"
    preset: str = "default"
    settings: dict[str, int | float | str | bool] = Field(default_factory=dict)
    recorded: str = ""


class FigurePart(_Part):
    """A figure as it is written.

    Attributes:
        run, of, at: of which run, which figure of which event, and at which epoch: "first", "last", "mean", "least",
            "most", or a number.
        study, row: instead of a run, a cell of a study's first table; `of` is then one of a comparison or a spread.
        formula: instead of both, made of other figures.
        form: how it reads, as in `format`; "%" is a share.
    """

    run: str = ""
    of: str = ""
    at: str | int = "last"
    study: str = ""
    row: dict[str, str] = Field(default_factory=dict)
    formula: str = ""
    form: str = ".2f"


class Head(_Part):
    """The front matter of a lesson.

    Attributes:
        order: its place among the lessons.
        title, about: what it is called, and what one sees in it, in a sentence.
        minutes: how long it takes.
        before: what one should know before.
        promise: the check that its phenomenon is there.
        measured: the figures as they were when the lesson was written; a test measures them again.
    """

    order: int
    title: str
    about: str
    minutes: int = Field(ge=1, le=60)
    before: str
    promise: str
    runs: dict[str, RunPart] = Field(default_factory=dict)
    figures: dict[str, FigurePart]
    measured: dict[str, int | float]


@dataclass(frozen=True)
class Option:
    """An answer that can be chosen: the check that makes it right, its text, and what is said once it is chosen."""

    check: str
    text: str
    feedback: str


@dataclass(frozen=True)
class Step:
    """One step: its kind, a title, and text in Markdown.

    screen, query, until   of "look": which screen opens, with which address, and what stands in it once it is done;
                           "!affects" is anything but affects
    task                   of "look": what to do there, in a sentence
    figure, low, high      of "predict": what is predicted, and the ends of the scale
    unit                   of "predict": what it is counted in
    options                of "ask"
    """

    kind: Kind
    title: str
    text: str
    line: int
    screen: str = ""
    query: dict[str, str] = field(default_factory=dict)
    until: dict[str, str] = field(default_factory=dict)
    task: str = ""
    figure: str = ""
    low: float = 0.0
    high: float = 1.0
    unit: str = ""
    options: tuple[Option, ...] = ()

    @property
    def noun(self) -> str:
        """The unit as a word behind a number; "" where the number says it itself."""
        return "" if self.unit == "%" else self.unit

    def right(self, figures: dict[str, float]) -> list[int]:
        """The places of the answers that are right with these figures."""
        return [place for place, option in enumerate(self.options) if checks.holds(option.check, figures)]


@dataclass(frozen=True)
class LessonRun:
    """A run that a lesson measures: one to train with these settings, or a recorded one by its id."""

    dataset: str
    config: Config | None
    recorded: str = ""


@dataclass(frozen=True)
class Lesson:
    """A lesson; `name` is that of its file, and its place in an address."""

    name: str
    head: Head
    runs: dict[str, LessonRun]
    steps: tuple[Step, ...]

    @property
    def prediction(self) -> Step:
        """The step that asks for the prediction."""
        return next(step for step in self.steps if step.kind == "predict")

    def form(self, figure: str, value: float) -> str:
        """The value as a figure of this name reads."""
        text = format(value, self.head.figures[figure].form)
        return text.replace("%", "\N{NO-BREAK SPACE}%").replace("-", "\N{MINUS SIGN}")
