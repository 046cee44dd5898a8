"""The studies there are and what the Studies screen knows of one, read anew only where a file has changed."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

import streamlit as st

import dans_data
from dans_app.server import graph, jobs, studies
from dans_data.errors import InputError
from dans_data.stamps import Stamp, stamp
from dans_lab.budget.several import Forecast
from dans_lab.runs.records import read
from dans_lab.runs.run import Run, runs_dir
from dans_lab.study import pace, session, tables
from dans_lab.study import words as study_words
from dans_lab.study.folder import RunRecord, Study, StudyRecord, list_studies
from dans_lab.study.plan import SHIPPED, Cell, Label, Plan, StudyPart, read_plan
from dans_lab.study.tables import Column as Column
from dans_lab.study.tables import Comparison, ResultCell, ResultTable

# --- which there are -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Listed:
    """A study whose plan can be read. `key` names it in an address: its name, a shipped one with its data set."""

    key: str
    study: Study
    plan: Plan
    done: int

    @property
    def total(self) -> int:
        """Runs that were asked for."""
        return len(self.plan.jobs)


@dataclass(frozen=True)
class StudyListing:
    """Own studies by name, then shipped ones, by key; and why others are not shown, by key as well."""

    studies: dict[str, Listed] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)


def listing() -> StudyListing:
    """All studies as they are now; no record is read."""
    found = StudyListing()
    for study in list_studies():
        key = study.key
        try:
            stamps = tuple(stamp(study.path / name) for name in ("study.toml", "study.json"))
            plan = _plan(str(study.path), stamps, study)
            done = len(study.finished() & {planned.run for planned in plan.jobs})
            found.studies[key] = Listed(key, study, plan, done)
        except InputError as error:
            found.unreadable[key] = str(error)
    return found


def shipped_plans() -> list[Plan]:
    """The study files that come with the program and can be read, the main one first."""
    found = []
    for file in sorted(SHIPPED.glob("*.toml"), key=lambda file: (file.stem != "main", file.stem)):
        try:
            found.append(_shipped_plan(str(file), stamp(file)))
        except InputError:
            continue
    return found


def download(plan: Plan) -> dans_data.DatasetInfo | None:
    """The data set of a study where it must be downloaded first; else None."""
    return next((info for info in dans_data.available() if info.name == plan.dataset and not info.here), None)


def cost(plan: Plan) -> Forecast | None:
    """What a study takes on this machine; None where its data set is not here to be read."""
    if download(plan) is not None:
        return None
    try:
        made = _made_for(plan.text, len(graph.load(plan.dataset).array("train")), plan)
        kinds = [cell.config for cell in made.kinds]
        return jobs.forecast(kinds, len(plan.seeds), jobs.experience(plan.dataset))
    except InputError:
        return None


@st.cache_resource(max_entries=32, show_spinner=False)
def _made_for(text: str, train: int, _plan: Plan) -> Plan:
    return _plan.made_for(train)


@st.cache_resource(max_entries=64, show_spinner=False)
def _plan(path: str, writings: object, _study: Study) -> Plan:
    return _study.plan


@st.cache_resource(max_entries=64, show_spinner=False)
def _shipped_plan(path: str, writing: object) -> Plan:
    return read_plan(Path(path))


# --- one of them -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Loaded:
    """A study with its records by the id of their run.

    `damaged` are records that cannot be read, id to reason; `meta` is None where study.json cannot be, and `problem`
    says why. `stamp` is another one whenever a record is.
    """

    listed: Listed
    meta: StudyRecord | None
    problem: str
    records: Mapping[str, RunRecord]
    damaged: Mapping[str, str]
    stamp: str

    @property
    def plan(self) -> Plan:
        """What was asked for."""
        return self.listed.plan

    @property
    def shipped(self) -> bool:
        """Whether it came with the program, without its runs."""
        return self.listed.study.shipped

    @cached_property
    def left(self) -> list[str]:
        """Ids of the runs without a record."""
        return [planned.run for planned in self.plan.jobs if planned.run not in self.records]

    @property
    def seen(self) -> str:
        """A mark for each test triplet, as in `StudyRecord`; "" where train shows all entities, or nobody knows."""
        return self.meta.seen if self.meta else ""

    @property
    def source(self) -> str:
        """What `--dataset` takes to get the same data."""
        return self.meta.source if self.meta else self.plan.dataset


def load(listed: Listed) -> Loaded:
    """A study with all that can be read of it."""
    study = listed.study
    records, damaged, state = _reader(str(study.path)).read()
    if not study.shipped and not (study.path / "study.json").exists() and not records and not damaged:
        # It was started a moment ago, or could not begin.
        return Loaded(listed, None, "", records, damaged, state)
    try:
        meta, problem = _meta(str(study.path), stamp(study.path / "study.json"), study), ""
    except InputError as error:
        meta, problem = None, str(error)
    return Loaded(listed, meta, problem, records, damaged, state)


class RecordReader:
    """The records of one study, looked at again and again: only files that changed are read anew."""

    def __init__(self, study: Study) -> None:
        self._study = study
        self._turn = threading.Lock()
        self._kept: dict[str, tuple[Stamp | None, RunRecord | str]] = {}
        self._packed: tuple[object, dict[str, RunRecord], dict[str, str]] | None = None

    def read(self) -> tuple[dict[str, RunRecord], dict[str, str], str]:
        """Records, why others cannot be read, and what tells this state of all of them from others."""
        with self._turn:
            packed = self._study.path / "records.zip"
            return self._unpacked(stamp(packed)) if packed.is_file() else self._files()

    def _files(self) -> tuple[dict[str, RunRecord], dict[str, str], str]:
        records, damaged, digest = {}, {}, hashlib.sha256()
        seen = set()
        try:
            with os.scandir(self._study.path / "records") as entries:
                files = sorted((e for e in entries if e.name.endswith(".json")), key=lambda e: e.name)
        except OSError:
            files = []
        for file in files:
            if file.name.startswith("."):
                continue
            run = file.name.removesuffix(".json")
            writing = stamp(file)
            kept = self._kept.get(run)
            if kept is None or kept[0] != writing:
                kept = self._kept[run] = (writing, _record(Path(file.path)))
            digest.update(repr((run, writing)).encode())
            seen.add(run)
            if isinstance(kept[1], str):
                damaged[run] = kept[1]
            else:
                records[run] = kept[1]
        for gone in self._kept.keys() - seen:
            del self._kept[gone]
        return records, damaged, digest.hexdigest()[:16]

    def _unpacked(self, writing: object) -> tuple[dict[str, RunRecord], dict[str, str], str]:
        if self._packed is None or self._packed[0] != writing:
            try:
                self._packed = (writing, self._study.records(), {})
            except InputError as error:
                self._packed = (writing, {}, {"records.zip": str(error)})
        _, records, damaged = self._packed
        return records, damaged, hashlib.sha256(repr(writing).encode()).hexdigest()[:16]


def _record(file: Path) -> RunRecord | str:
    try:
        return read(file, RunRecord)
    except InputError as error:
        return str(error)


@st.cache_resource(max_entries=16, show_spinner=False)
def _reader(path: str) -> RecordReader:
    return RecordReader(Study(Path(path)))


@st.cache_resource(max_entries=64, show_spinner=False)
def _meta(path: str, writing: object, _study: Study) -> StudyRecord:
    return _study.meta


# --- its runs --------------------------------------------------------------------------------------------------


def run_of(run_id: str) -> Run | None:
    """The run of this id where its folder is there and can be read."""
    run = Run(runs_dir() / run_id)
    try:
        run.meta, run.config, run.stored_status  # noqa: B018 - read to see that it can be read
    except InputError:
        return None
    return run


def going(loaded: Loaded) -> list[Run]:
    """Runs of this study that are being trained now."""
    if loaded.shipped:
        return []
    folder = runs_dir()
    there = (run_of(run_id) for run_id in loaded.left if (folder / run_id).is_dir())
    return [run for run in there if run is not None and run.is_live]


@dataclass(frozen=True)
class Conducted:
    """Whether a study is being run, and by whom.

    `state` is "starting", "timing", "training", "pausing" or "at rest"; `by` who started it last, `size` how many runs
    it trains at a time, `reason` why it came to rest before its time, "" where it was paused or is whole.
    """

    state: Literal["starting", "timing", "training", "pausing", "at rest"]
    by: session.By | None = None
    size: int = 1
    reason: str = ""


def conducted(study: Study) -> Conducted:
    """How it is with a study of this machine now."""
    if studies.conductors().starts(study):
        return Conducted("starting", "app")
    last = session.last_session(study)
    by, size = (last.by, last.size) if last else (None, 1)
    if not session.is_running(study):
        return Conducted("at rest", by, reason=studies.why_it_ended(study))
    if session.is_to_pause(study):
        return Conducted("pausing", by, size)
    return Conducted("training" if last and last.stage == "training" else "timing", by, size)


def seconds_left(loaded: Loaded, at_a_time: int, going: Sequence[Run] = ()) -> float | None:
    """What the runs without a record will take, so many at a time (`pace.left`); None before anything is known.

    Of those that are `going` on, what is left of their epochs.
    """
    expected = loaded.meta.expected if loaded.meta else {}
    done = {run.id: run.stored_status.epoch / run.stored_status.epochs for run in going}
    left = pace.left(loaded.plan, loaded.records, expected, max(1, at_a_time), done=done)
    return left if left is not None or loaded.meta is None else loaded.meta.estimate


# --- its tables ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class StudyView:
    """The table of one part, to be looked up by row and column; `seen`: over the seen test triplets alone."""

    plan: Plan
    table: ResultTable
    rows: tuple[Label, ...]
    columns: tuple[Column, ...]
    entries: Mapping[tuple[Label, Column], ResultCell]
    comparisons: Mapping[tuple[Label, Column], Comparison]
    seen: bool = False

    @property
    def part(self) -> StudyPart:
        """The part of the plan that it shows."""
        return self.table.part

    @property
    def reference(self) -> Label:
        """The row that the others are compared with."""
        return self.part.reference

    def where(self, split: str) -> str:
        """What its metrics of "test" or "valid" are over, in words."""
        return "seen test triplets" if self.seen and split == "test" else split

    @property
    def spent_differs(self) -> bool:
        """Whether its rows are to be read with what each may spend: their epochs differ, or the plan has a budget."""
        epochs = {entry.cell.config.epochs for entry in self.table.entries}
        return bool(self.plan.budget) or (len(epochs) > 1 and self.part.rows.name != "epochs")

    def row_name(self, row: Label) -> str:
        """How a row is called on screen."""
        return tables.label(self.part.rows.name, row)

    def row_title(self, row: Label) -> str:
        """The same where the axis is not said beside it: "Noise (σ) 0.5"."""
        return study_words.row_name(self.table, row)

    def column_name(self, column: Column) -> str:
        """How a column is called on screen; "" where there is but one, without an axis."""
        names = zip(self.part.columns, column, strict=True)
        return " · ".join(tables.label(axis.name, value) for axis, value in names)

    def runs_of(self, row: Label, column: Column) -> tuple[str, ...]:
        """Ids of the runs of a cell, in the order of seeds."""
        return self.plan.runs_of(self.cell(row, column))

    def cell(self, row: Label, column: Column) -> Cell:
        """The settings of a cell."""
        return self.entries[row, column].cell


def view(loaded: Loaded, number: int, metric: str, seen: bool = False) -> StudyView:
    """The table of a part, counted from 0; made once for the same records. `seen`: over the seen test triplets.

    Raises InputError for records that are not of one test split.
    """
    marks = loaded.seen if seen else ""
    asked = loaded.plan.text, loaded.plan.train
    return _view(str(loaded.listed.study.path), asked, loaded.stamp, number, metric, marks, loaded)


@st.cache_resource(max_entries=64, show_spinner=False)
def _view(
    path: str, asked: tuple[str, int], stamp: str, number: int, metric: str, seen: str, _loaded: Loaded
) -> StudyView:
    part = _loaded.plan.parts[number]
    records = tables.over_seen(_loaded.records, seen) if seen else _loaded.records
    meta = _loaded.meta
    floor = {} if meta is None else meta.floor_seen if seen else meta.floor
    made = tables.table(_loaded.plan, part, records, metric, floor)

    def place(labels: Mapping[str, Label]) -> tuple[Label, Column]:
        return labels[part.rows.name], made.column_of(labels)

    entries = {place(entry.labels): entry for entry in made.entries}
    return StudyView(
        _loaded.plan,
        made,
        part.rows.values,
        tuple(made.columns),
        entries,
        {place(each.labels): each for each in made.comparisons},
        bool(seen),
    )
