"""The runs of a lesson: found, started, followed, and measured."""

from __future__ import annotations

import dataclasses

import streamlit as st

from dans_app.server import jobs, visitors
from dans_app.shared import run_state
from dans_data.errors import InputError
from dans_lab.lessons import measuring
from dans_lab.lessons.form import Lesson
from dans_lab.runs.run import Run, list_runs


def runs_of(lesson: Lesson) -> dict[str, Run | None]:
    """The runs that a lesson measures by their names, None where there is none yet."""
    known = list_runs()
    return {name: measuring.find(wanted, known) for name, wanted in lesson.runs.items()}


def with_runs(lesson: Lesson, query: dict[str, str]) -> dict[str, str]:
    """The query of an address with the ids of the lesson's runs in place of their names in braces."""
    ids = {name: run.id for name, run in runs_of(lesson).items() if run is not None}
    return {key: _filled(value, ids) for key, value in query.items()}


def _filled(text: str, ids: dict[str, str]) -> str:
    for name, run_id in ids.items():
        text = text.replace(f"{{{name}}}", run_id)
    return text


def over(run: Run | None) -> bool:
    """Whether all of it is there to be measured."""
    return run is not None and (run.recorded or run.status.state == "finished")


@dataclasses.dataclass(frozen=True)
class Progress:
    """How far the runs of a lesson are: `text` for each by its name, with the share that is done."""

    text: dict[str, tuple[str, float]]
    going: bool
    over: bool
    failed: str = ""


def progress(lesson: Lesson) -> Progress:
    """How far its runs are."""
    said, going, failed, runs = {}, False, "", runs_of(lesson)
    for name, run in runs.items():
        if run is None:
            said[name] = ("Not started.", 0.0)
            continue
        status = run.status
        going = going or run_state.under_way(status)
        failed = failed or (status.reason if status.state == "failed" else "")
        place = jobs.pool().place(run)
        said[name] = (
            str(place) if place else run_state.sentence(status, run.config),
            min(1.0, status.epoch / status.epochs),
        )
    return Progress(said, going, all(map(over, runs.values())), failed)


def is_mine(run: Run) -> bool:
    """Whether whoever looks may go on with it; of what another left, a run of one's own is trained instead."""
    return visitors.visitor().owns(run.meta.owner)


def start(lesson: Lesson) -> None:
    """Train what is missing, as far as there is room; raises InputError where nothing of it can be trained."""
    going = False
    for name, run in runs_of(lesson).items():
        if run is not None and (over(run) or run_state.under_way(run.status)):
            going = going or not over(run)
            continue
        try:
            if run is not None and is_mine(run) and run.status.state in ("stopped", "interrupted", "paused"):
                jobs.pool().resume(run)
            else:
                wanted = lesson.runs[name]
                assert wanted.config is not None, "a recorded run is always there"
                jobs.pool().start(wanted.config, wanted.dataset)
            going = True
        except InputError:
            # The rest follows when a core is free.
            if not going:
                raise
            return


def figures(lesson: Lesson) -> dict[str, float] | None:
    """All that the lesson measures; None while a run is missing. Raises InputError for what cannot be read."""
    found = {name: run for name, run in runs_of(lesson).items() if run is not None and over(run)}
    if len(found) < len(lesson.runs):
        return None
    kept: dict[tuple[str, ...], dict[str, float]] = st.session_state.setdefault("dans_lesson_figures", {})
    key = (lesson.name, *(run.id for run in found.values()))
    if key not in kept:
        kept[key] = measuring.measure(lesson, {name: run.events() for name, run in found.items()})
    return kept[key]
