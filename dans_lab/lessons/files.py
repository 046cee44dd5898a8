"""Reading lessons: a TOML head between two lines of +++, then a section for each step, in Markdown.

    ## predict: How many of them will be harder than the answer?
    figure: harder
    scale: 0 … 1

    Text of the step.

An `ask` ends with its answers, each `- [check] text` with what is said of it, indented, below.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from pydantic import ValidationError

from dans_core.config import parse
from dans_core.events import Diagnostics, Losses, Ranking
from dans_data.complaints import did_you_mean, first_problem
from dans_data.errors import InputError
from dans_data.shipped import TOP
from dans_data.stamps import Stamp, stamp
from dans_lab.lessons import checks
from dans_lab.lessons.form import KINDS, SCREENS, FigurePart, Head, Lesson, LessonRun, Option, RunPart, Step
from dans_lab.lessons.measuring import AT, OF_STUDIES, field_names
from dans_lab.presets import PRESETS
from dans_lab.runs.run import RECORDED

FOLDER = TOP / "assets" / "lessons"
"""The folder of the lessons that come with the program: NAME.md, one file each."""

_NAME = re.compile(r"[a-z0-9-]{1,40}")
_FENCE = "+++"
_HEADING = re.compile(r"## +(\w+): +(\S.*)")
_FIELD = re.compile(r"(\w+): +(\S.*)")
_OPTION = re.compile(r"- \[([^\]]+)\] +(\S.*)")
_SCALE = re.compile(r"(-?[\d.]+) *… *(-?[\d.]+)(?: +(\S.*))?")
_MENTION = re.compile(r"\{([a-z_]+)\}")

_FIELDS = {
    "look": ("open", "until", "task"),
    "predict": ("figure", "scale"),
}


class _Wrong(Exception):
    """A mistake at a line of the file, counted from 1."""

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(problem)
        self.line = line


def lessons(folder: Path = FOLDER) -> list[Lesson]:
    """All lessons of a folder, in their order. Raises InputError for one that cannot be read."""
    return sorted(
        (_kept(file, stamp(file)) for file in folder.glob("*.md")), key=lambda each: each.head.order
    )


@cache
def _kept(file: Path, _: Stamp | None) -> Lesson:
    return read_lesson(file)


def read_lesson(file: Path, measured: bool = True) -> Lesson:
    """The lesson of one file; one that is not `measured` yet is not checked against its figures.

    Raises:
        InputError: in one sentence with file and line: what is wrong, and what would be right.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise InputError(f"{file} cannot be read as text in UTF-8") from None
    if not _NAME.fullmatch(file.stem):
        raise InputError(f"{file}: the name of a lesson has 1 to 40 characters of a-z, 0-9 and -")
    try:
        lesson = _lesson(file.stem, text.splitlines())
        if measured:
            _check_measured(lesson, text.splitlines())
        return lesson
    except _Wrong as wrong:
        raise InputError(f"{file}, line {wrong.line}: {wrong}") from None


def _lesson(name: str, lines: list[str]) -> Lesson:
    if not lines or lines[0] != _FENCE or _FENCE not in lines[1:]:
        raise _Wrong(1, f"a lesson begins with its head in TOML between two lines of {_FENCE}")
    end = lines.index(_FENCE, 1)
    matter = lines[1:end]
    head = _head(matter)
    runs = {run: _run(run, part, matter) for run, part in head.runs.items()}
    for figure, part in head.figures.items():
        _check_figure(figure, part, head, matter)
    _check(head.promise, head, _line_of("promise", matter))
    steps = tuple(_steps(lines, end + 1, head))
    _check_order(steps, len(lines))
    return Lesson(name, head, runs, steps)


def _head(matter: list[str]) -> Head:
    try:
        return Head.model_validate(tomllib.loads("\n".join(matter)))
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"\(at line (\d+), column \d+\)", str(error))
        line = int(found[1]) + 1 if found else len(matter) + 1
        raise _Wrong(line, f"the head is not TOML ({re.sub(r' *[(]at .*', '', str(error))})") from None
    except ValidationError as error:
        place = error.errors(include_url=False)[0]["loc"]
        raise _Wrong(_line_of(place, matter), first_problem(error)) from None


def _line_of(place: str | tuple[str | int, ...], matter: list[str]) -> int:
    """The line of the file where a key of the head stands: the last part of its place that is written anywhere."""
    parts = [place] if isinstance(place, str) else [str(part) for part in place]
    start, found = 0, 0
    for number, part in enumerate(parts):
        table = f"[{'.'.join(parts[: number + 1])}]"
        key = re.compile(rf"(\[.*\b)?{re.escape(part)}\b *(=|\])")
        for line in range(start, len(matter)):
            if matter[line].startswith(table) or matter[line] == part or key.match(matter[line]):
                start = found = line
                break
    return found + 2


def _run(name: str, part: RunPart, matter: list[str]) -> LessonRun:
    line = _line_of(("runs", name), matter)
    if part.recorded:
        if part.settings or not (RECORDED / part.recorded / "config.json").is_file():
            raise _Wrong(line, f"run {name!r} is either a recorded run of assets/recorded, or has settings")
        return LessonRun(part.dataset, None, part.recorded)
    if part.preset not in PRESETS:
        raise _Wrong(line, f"preset = {part.preset!r}: must be one of {', '.join(PRESETS)}")
    try:
        return LessonRun(part.dataset, parse(PRESETS[part.preset] | part.settings))
    except InputError as error:
        raise _Wrong(line, f"run {name!r}: {error}") from None


def _check_figure(name: str, part: FigurePart, head: Head, matter: list[str]) -> None:
    line = _line_of(("figures", name), matter)
    if [bool(part.run), bool(part.study), bool(part.formula)].count(True) != 1:
        raise _Wrong(line, f"figure {name!r} is either of a run, of a study, or has a formula")
    if part.formula:
        _check(part.formula, head, line)
        return
    if part.study:
        if part.of not in OF_STUDIES:
            raise _Wrong(line, f"of = {part.of!r}: of a study it is one of {', '.join(OF_STUDIES)}")
        return
    if part.run not in head.runs:
        raise _Wrong(line, f"run = {part.run!r}: there is no such run in the head")
    known = field_names(Diagnostics, Losses, Ranking)
    if part.of not in known:
        raise _Wrong(line, f"of = {part.of!r} is not a figure of a run{did_you_mean(part.of, known)}")
    if isinstance(part.at, str) and part.at not in AT:
        raise _Wrong(line, f"at = {part.at!r}: must be one of {', '.join(AT)}, or an epoch")


def _check(text: str, head: Head, line: int) -> None:
    try:
        unknown = sorted(checks.names(text) - set(head.figures))
    except InputError as error:
        raise _Wrong(line, str(error)) from None
    if unknown:
        raise _Wrong(
            line, f"“{text}” names {unknown[0]!r}{did_you_mean(unknown[0], head.figures) or ', no figure'}"
        )


def _steps(lines: list[str], start: int, head: Head) -> Iterator[Step]:
    """The steps of the sections from a line on, which counts from 0."""
    places = [place for place in range(start, len(lines)) if lines[place].startswith("## ")]
    for place in range(start, places[0] if places else len(lines)):
        if lines[place].strip():
            raise _Wrong(place + 1, "text stands below a heading such as “## read: What a negative is”")
    for place, end in zip(places, [*places[1:], len(lines)], strict=True):
        yield _step(lines[place:end], place + 1, head)


def _step(lines: list[str], number: int, head: Head) -> Step:
    """The step of one section, whose heading is line `number` of the file."""
    found = _HEADING.fullmatch(lines[0])
    if not found or found[1] not in KINDS:
        kinds = ", ".join(KINDS)
        raise _Wrong(number, f"a step begins with “## KIND: Title”, where KIND is one of {kinds}")
    kind, title = found[1], found[2]
    fields: dict[str, str] = {}
    below = 1
    while below < len(lines) and (entry := _FIELD.fullmatch(lines[below])):
        if entry[1] not in _FIELDS.get(kind, ()):
            expected = ", ".join(_FIELDS.get(kind, ())) or "none"
            raise _Wrong(
                number + below, f"{entry[1]!r} is no field of a step of kind {kind}; it has {expected}"
            )
        fields[entry[1]] = entry[2]
        below += 1
    for missing in _FIELDS.get(kind, ()):
        if missing not in fields and missing != "until":
            raise _Wrong(number, f"a step of kind {kind} needs a line “{missing}: …” below its heading")
    first = next((at for at in range(below, len(lines)) if lines[at].startswith("- [")), len(lines))
    last = first if kind == "ask" else len(lines)
    text = "\n".join(lines[below:last]).strip()
    for at in range(below, len(lines)):
        for name in _MENTION.findall(lines[at]):
            if name not in head.figures:
                raise _Wrong(number + at, f"{{{name}}} is no figure of the head")
    options = tuple(_options(lines, last, number, head)) if kind == "ask" else ()
    return Step(kind, title, text, number, **_given(kind, fields, number, head), options=options)  # type: ignore[arg-type] # of the kinds that there are


def _given(kind: str, fields: dict[str, str], number: int, head: Head) -> dict[str, Any]:
    """The attributes of a step that follow from the lines below its heading."""
    if kind == "look":
        screen, _, query = fields["open"].partition("?")
        if screen not in SCREENS:
            raise _Wrong(number + 1, f"open: {screen!r} is no screen; there are {', '.join(SCREENS)}")
        asked = dict(parse_qsl(query, keep_blank_values=True))
        for run in _MENTION.findall(query):
            if run not in head.runs:
                raise _Wrong(number + 1, f"open: {{{run}}} is no run of the head")
        until = dict(parse_qsl(fields.get("until", ""), keep_blank_values=True))
        return {"screen": screen, "query": asked, "until": until, "task": fields["task"]}
    if kind == "predict":
        if fields["figure"] not in head.figures:
            raise _Wrong(number + 1, f"figure: {fields['figure']!r} is no figure of the head")
        scale = _SCALE.fullmatch(fields["scale"])
        if not scale or not float(scale[1]) < float(scale[2]):
            raise _Wrong(
                number + 1,
                "scale: expected two ascending numbers and maybe a unit, such as “0 … 135 entities”",
            )
        low, high = float(scale[1]), float(scale[2])
        return {"figure": fields["figure"], "low": low, "high": high, "unit": scale[3] or ""}
    return {}


def _options(lines: list[str], start: int, number: int, head: Head) -> Iterator[Option]:
    at = start
    while at < len(lines):
        found = _OPTION.fullmatch(lines[at])
        if not found:
            if lines[at].strip():
                raise _Wrong(
                    number + at, "an answer is “- [check] text”, with what is said of it indented below"
                )
            at += 1
            continue
        _check(found[1], head, number + at)
        below = at + 1
        while below < len(lines) and lines[below].startswith("  "):
            below += 1
        said = " ".join(line.strip() for line in lines[at + 1 : below])
        if not said:
            raise _Wrong(number + at, "an answer needs what is said once it is chosen, indented, below it")
        yield Option(found[1], found[2], said)
        at = below


def _check_measured(lesson: Lesson, lines: list[str]) -> None:
    """The figures as they were measured keep what the lesson promises, and make one answer of each question right."""
    head, line = lesson.head, _line_of("[measured]", lines[1:])
    if odd := sorted(set(head.measured) ^ set(head.figures)):
        raise _Wrong(line, f"measured has the figures and no others; {odd[0]!r} is not in both")
    figures = {name: float(number) for name, number in head.measured.items()}
    try:
        if not checks.holds(head.promise, figures):
            raise _Wrong(line, f"the measured figures do not keep the promise “{head.promise}”")
        for step in lesson.steps:
            right, options = step.right(figures), len(step.options)
            if step.kind == "ask" and (len(right) != 1 or options < 2):
                raise _Wrong(
                    step.line,
                    "of two answers or more, exactly one must be right with the measured figures; "
                    f"{len(right)} of {options} are",
                )
    except InputError as error:
        raise _Wrong(line, str(error)) from None


def _check_order(steps: tuple[Step, ...], lines: int) -> None:
    kinds = [step.kind for step in steps]
    if kinds.count("predict") != 1 or "ask" not in kinds or kinds.count("run") > 1:
        raise _Wrong(lines, "a lesson has one step predict, at most one run, and at least one ask")
    for step in steps[: kinds.index("predict")]:
        if step.kind in ("run", "gap", "ask") or _MENTION.search(step.text):
            raise _Wrong(step.line, "nothing is measured before the prediction")
    if "run" in kinds and not kinds.index("predict") < kinds.index("run") < kinds.index("gap"):
        raise _Wrong(steps[kinds.index("run")].line, "the order is predict, run, gap, ask")
    if "gap" not in kinds or not kinds.index("predict") < kinds.index("gap") < kinds.index("ask"):
        raise _Wrong(lines, "a lesson has a gap between its predict and its ask")
