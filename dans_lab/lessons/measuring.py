"""The figures of a lesson, from the events of its runs and the tables of studies."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from functools import cache
from typing import TYPE_CHECKING, get_type_hints

from dans_core.events import Event, PathwayHealth, SampledHealth
from dans_data.errors import InputError
from dans_data.stamps import Stamp, stamp
from dans_lab.lessons import checks
from dans_lab.runs.run import RECORDED, Run
from dans_lab.study.folder import RESULTS, Study
from dans_lab.study.tables import ResultTable, table

if TYPE_CHECKING:
    from dans_lab.lessons.form import FigurePart, Lesson, LessonRun

AT = ("first", "last", "mean", "least", "most")
"""Which of a figure's values over the epochs counts; a number is an epoch."""

OF_STUDIES = ("difference", "low", "high", "corrected", "mean", "sd", "count", "floor")
"""What may be measured of a study: of a comparison with the reference, of the cell itself, or of the floor."""


@cache
def field_names(*kinds: type[Event]) -> tuple[str, ...]:
    """The numbers in these events, such as "diagnostics.g_e.between_heads"."""
    found = []
    for kind in kinds:
        for name, hint in get_type_hints(kind).items():
            parts = [part for part in (PathwayHealth, SampledHealth) if part in getattr(hint, "__args__", ())]
            inner = [field.name for part in parts for field in dataclasses.fields(part)]
            if inner:
                found += [f"{kind.kind}.{name}.{each}" for each in inner]
            elif name != "kind":
                found.append(f"{kind.kind}.{name}")
    return tuple(found)


def measure(lesson: Lesson, events: Mapping[str, Iterable[Event]]) -> dict[str, float]:
    """All figures of a lesson, given the events of each of its runs by name.

    Raises:
        InputError: where a run has no such figure, or a study cannot be read.
    """
    listed = {name: list(of) for name, of in events.items()}
    found: dict[str, float] = {}
    for name, part in lesson.head.figures.items():
        if part.run:
            found[name] = _of_run(part, listed[part.run])
        elif part.study:
            found[name] = _of_study(part)
        else:
            found[name] = float(checks.value(part.formula, found))
    return found


def find(wanted: LessonRun, runs: Iterable[Run]) -> Run | None:
    """The run that a lesson asks for: the recorded one, or of `runs` with the same data and settings.

    The furthest of several; None where there is none. One that diverged counts, one that was stopped does not.
    """
    if wanted.recorded:
        return Run(RECORDED / wanted.recorded)
    assert wanted.config is not None
    settings = wanted.config.model_dump()
    same = [
        run
        for run in runs
        if run.meta.source == wanted.dataset
        and run.meta.study is None
        and run.config.model_dump() == settings
    ]
    order = ("stopped", "interrupted", "failed", "queued", "paused", "running", "finished")
    return max(same, key=lambda run: order.index(run.status.state), default=None)


def _of_run(part: FigurePart, events: list[Event]) -> float:
    kind, *path = part.of.split(".")
    values = [
        (event.epoch, number)
        for event in events
        if event.kind == kind
        and getattr(event, "split", "valid") == "valid"
        and (number := _number(event, path)) is not None
    ]
    if isinstance(part.at, int):
        values = [pair for pair in values if pair[0] == part.at]
    if not values:
        raise InputError(f"run {part.run!r} of the lesson has no figure {part.of} at {part.at}")
    numbers = [number for _, number in values]
    match part.at:
        case "first":
            return numbers[0]
        case "mean":
            return sum(numbers) / len(numbers)
        case "least":
            return min(numbers)
        case "most":
            return max(numbers)
    return numbers[-1]


def _number(event: object, path: list[str]) -> float | None:
    for name in path:
        event = getattr(event, name, None)
    return float(event) if isinstance(event, int | float) else None


def _of_study(part: FigurePart) -> float:
    study = Study(RESULTS / part.study)
    if part.of == "floor":
        return study.meta.floor["mrr"]
    found = _table(study, stamp(study.path / "records.zip"))
    labels = next((each.labels for each in found.entries if each.labels == part.row), None)
    if labels is None:
        raise InputError(f"study {part.study} has no cell {part.row}")
    if part.of in ("mean", "sd", "count"):
        number = getattr(found.entry(labels).spread("mrr"), part.of, None)
    else:
        number = getattr(found.comparison(labels), part.of, None)
    if number is None:
        raise InputError(f"study {part.study} has no {part.of} for {part.row}")
    return float(number)


@cache
def _table(study: Study, _: Stamp | None) -> ResultTable:
    return table(study.plan, study.plan.parts[0], study.records(), floor=study.meta.floor)
