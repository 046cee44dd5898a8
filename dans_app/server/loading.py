"""What the screens have loaded: graphs, snapshots, views and pictures, kept by the server between clicks."""

from __future__ import annotations

import contextlib
import importlib
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import streamlit as st
from threadpoolctl import threadpool_limits

from dans_app.server import fitting, inspecting, ticks, upkeep
from dans_app.server.graph import refuse_download
from dans_app.server.projector import PictureFile, Projector
from dans_core.kg import KnowledgeGraph
from dans_data.errors import InputError
from dans_data.stamps import Stamp, stamp
from dans_lab.map import pictures, projection, relation_view
from dans_lab.map.projection import Method, Projection
from dans_lab.map.relation_view import RelationView
from dans_lab.runs.frames import Frame
from dans_lab.runs.run import Run, recorded_runs

IMPORT_DELAY = 5.0
"""Seconds before the server imports what draws the other screens: first its own is painted."""

WARM_UP_DELAY = 20.0
"""Seconds before UMAP compiles: first the screen is painted, and a run started at once gets the core."""

TURN = 0.0005
"""Seconds for which one screen's script may keep the interpreter while another's wants it, a tenth of Python's own.

Each of a screen's hundred messages lets go of the interpreter for a moment, and with many screens waits for its next
turn.
"""

_PICTURES = 64
"""Pictures kept in memory, of all runs; one of UMLS with 13 snapshots takes 200 kB."""


@dataclass(frozen=True)
class Picture:
    """The projection to show now, and what is to be said about it.

    `series` holds all epochs of the map in one space. `single` is the chosen epoch by the method that was asked for,
    where that is not (yet) there for all: it has a space of its own. `waiting` are those still being made; `problem`
    says why one could not be.
    """

    series: Projection
    single: Projection | None = None
    waiting: tuple[PictureFile, ...] = ()
    problem: str | None = None


@st.cache_resource(show_spinner=False)
def prepare() -> None:
    """Have ready, before long, what the other screens need. Returns at once; calling it again does nothing."""
    # While a run trains, numpy's second thread waits for a core that is taken: a PCA takes 3 ms with one, 145 with two.
    threadpool_limits(1)
    sys.setswitchinterval(TURN)
    upkeep.begin()
    ticks.begin()
    projector()
    threading.Thread(target=_prepare, name="prepare", daemon=True).start()


def make_ready() -> None:
    """Have all screens ready at once, before anyone comes: for a server to which many may come at the same time."""
    sys.setswitchinterval(TURN)
    ticks.begin()
    inspecting.torch_process().warm_up()
    _import_screens()


def _prepare() -> None:
    time.sleep(IMPORT_DELAY)
    _import_screens()
    # While UMAP still waits, which takes longer and is needed by fewer. A broken install is told by its page.
    with contextlib.suppress(Exception):
        inspecting.warm_up()
        for run in recorded_runs():
            inspecting.look_ahead(run, "best")


def _import_screens() -> None:
    for module in (
        "step.view",
        "data.sections",
        "data.walk",
        "map.view",
        "map.words",
        "triplet.details",
        "diagnostics.figures",
        "compare.rank_comparison",
        "runs.table",
    ):
        importlib.import_module(f"dans_app.{module}")


@st.cache_resource(show_spinner=False)
def projector() -> Projector:
    """The server's one queue for UMAP. First asked for, it waits a little and then has UMAP imported and compiled."""
    worker = Projector()
    worker.warm_up(after=WARM_UP_DELAY)
    return worker


def graph(run: Run) -> KnowledgeGraph:
    """The data set of a run. Raises InputError where it is gone or no longer the one the run was trained on."""
    return _graph(run.meta.source, run.meta.hash, run)


def frame(run: Run, epoch: int, kg: KnowledgeGraph) -> Frame:
    """One snapshot, read and checked. Raises InputError where the file is gone or damaged."""
    path = run.path / "snapshots" / f"{epoch:06d}.npz"
    return _frame(str(run.path), epoch, _writing(path), kg.hash, kg)


def view(run: Run, epochs: Sequence[int], kg: KnowledgeGraph, relation: int) -> RelationView:
    """What the map shows of one relation (id below 2|R|) at these snapshots."""
    stamps = tuple(_writing(run.path / "snapshots" / f"{epoch:06d}.npz") for epoch in epochs)
    return _view(str(run.path), tuple(epochs), stamps, kg.hash, relation, run, kg)


def all_shown_epochs(run: Run, kg: KnowledgeGraph) -> list[int]:
    """Those snapshots of a run that its map holds; none where it has none."""
    epochs = [epoch for epoch, _ in run.snapshots()]
    if not epochs:
        return []
    last = frame(run, epochs[-1], kg)
    return pictures.shown_epochs(epochs, last.size, last.entities.shape[1], last.is_sample)


def frames(run: Run, epochs: Sequence[int], kg: KnowledgeGraph) -> list[Frame]:
    """These snapshots. Raises InputError where one is gone, damaged, or of other queries than the last one."""
    found = [frame(run, epoch, kg) for epoch in epochs]
    pictures.check_alike(found)
    return found


def picture(
    run: Run, epochs: Sequence[int], epoch: int, kg: KnowledgeGraph, method: Method, focus: projection.Rows
) -> Picture:
    """The places of everything in these snapshots: by the method asked for when it is there, else by PCA at once.

    `focus` are rows that have to be in the picture; they matter only where there are too many points for all.
    """
    shown = frames(run, epochs, kg)
    rows = pictures.placed_rows(shown, focus)
    contents = [_content_of(run, number) for number in epochs]
    pca = _pca(run, epochs, kg, rows, contents)
    if method == "pca" or len(rows) < projection.SMALLEST:
        return Picture(pca)
    at = list(epochs).index(epoch)
    wanted = [_Fit(run, method, epochs[at : at + 1], rows, contents[at : at + 1], pca, shown[at : at + 1])]
    # While a run goes on, each new snapshot would have all of them fitted again.
    if method == "umap" and not run.is_live:
        wanted.append(_Fit(run, "umap", epochs, rows, contents, pca, shown))
        if isinstance(joint := wanted[-1].found(), Projection):
            return Picture(joint)
    answers = [fit.found() for fit in wanted]
    missing = [fit for fit, answer in zip(wanted, answers, strict=True) if answer is None]
    # The chosen epoch comes first: it takes a second, and is what the person looks at.
    projector().submit(*((fit.file, fit.compute) for fit in missing))
    return Picture(
        pca,
        answers[0] if isinstance(answers[0], Projection) else None,
        tuple(fit.file for fit in missing),
        next((answer for answer in answers if isinstance(answer, str)), None),
    )


@dataclass(frozen=True)
class _Fit:
    """A UMAP or t-SNE of some snapshots, which is there, or can be made from their PCA."""

    run: Run
    method: Method
    epochs: Sequence[int]
    rows: projection.Rows
    contents: Sequence[bytes]
    pca: Projection
    shown: Sequence[Frame]

    @property
    def file(self) -> PictureFile:
        return PictureFile(
            pictures.folders(self.run)[0], projection.key_of(self.method, *self.contents, self.rows)
        )

    def found(self) -> Projection | str | None:
        """The picture, or why it cannot be made, or None while it is not there."""
        file = self.file
        if done := projector().result(file) or _memory().get(file.key):
            return done
        if kept := projection.load(pictures.folders(self.run), file.key, self.epochs, self.rows):
            _keep(file.key, kept)
        return kept

    def compute(self) -> Projection:
        points = np.stack([_stacked(each, self.rows) for each in self.shown])
        start = np.stack([self.pca.points[self.pca.epochs.index(epoch)] for epoch in self.epochs])
        return fitting.fit_in_helper(self.method, self.epochs, self.rows, points, start)


def trust(run: Run, epoch: int, kg: KnowledgeGraph, made: Projection) -> float:
    """The trustworthiness of one epoch of a picture; of a PCA it is measured here, which takes longer than the PCA."""
    at = made.epochs.index(epoch)
    if np.isnan(made.trust[at]):
        points = _stacked(frame(run, epoch, kg), made.rows)
        made.trust[at] = projection.trustworthiness(points, made.points[at])
    return float(made.trust[at])


def _stacked(shown: Frame, rows: projection.Rows) -> projection.Points:
    return np.concatenate(shown.groups)[rows]


def _pca(
    run: Run, epochs: Sequence[int], kg: KnowledgeGraph, rows: projection.Rows, contents: Sequence[bytes]
) -> Projection:
    """All snapshots along the same two directions; made in milliseconds, so kept in memory only."""
    key = projection.key_of("pca", *contents, rows)
    memory = _memory()
    if (kept := memory.get(key)) is None:
        shown = frames(run, epochs, kg)
        moments = [_moments(content, each) for content, each in zip(contents, shown, strict=True)]
        kept = projection.pca(epochs, rows, [each.groups for each in shown], moments)
        _keep(key, kept)
    return kept


def _keep(key: str, made: Projection) -> None:
    memory = _memory()
    memory[key] = made
    while len(memory) > _PICTURES:
        memory.pop(next(iter(memory)), None)


@st.cache_resource(show_spinner=False)
def _memory() -> dict[str, Projection]:
    return {}


# --- kept between clicks; the stamp of a file renews what was read from a file ---------------------------------


def _writing(path: Path) -> Stamp:
    found = stamp(path)
    if found is None:
        raise InputError("this snapshot is gone from the run's folder")
    return found


@st.cache_resource(max_entries=4, show_spinner="Reading the data set …")
def _graph(source: str, wanted_hash: str, _run: Run) -> KnowledgeGraph:
    refuse_download(source)
    return _run.load_kg()


@st.cache_resource(max_entries=64, show_spinner=False)
def _frame(run_path: str, epoch: int, writing: Stamp, graph_hash: str, _kg: KnowledgeGraph) -> Frame:
    try:
        return Frame.of(Run(run_path).load_snapshot(epoch), _kg.num_entities, _kg.num_relations)
    except ValueError as error:
        raise InputError(str(error)) from None


@st.cache_resource(max_entries=128, show_spinner=False)
def _view(
    path: str,
    epochs: tuple[int, ...],
    writings: tuple[Stamp, ...],
    graph_hash: str,
    relation: int,
    _run: Run,
    _kg: KnowledgeGraph,
) -> RelationView:
    return relation_view.view_of(frames(_run, epochs, _kg), _kg, relation)


@st.cache_resource(max_entries=1024, show_spinner=False)
def _moments(content: bytes, _frame: Frame) -> projection.Moments:
    return projection.Moments.of(_frame.groups)


def _content_of(run: Run, epoch: int) -> bytes:
    return _content(str(run.path), epoch, _writing(run.path / "snapshots" / f"{epoch:06d}.npz"), run)


@st.cache_data(max_entries=4096, show_spinner=False)
def _content(path: str, epoch: int, writing: Stamp, _run: Run) -> bytes:
    return pictures.content_of(_run, epoch)
