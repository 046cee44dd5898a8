"""What the screens have loaded: graphs, snapshots, views and pictures, kept by the server between clicks."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import math
import threading
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import streamlit as st

from dans_app import inspecting, projection, snapshots
from dans_app.projection import Method, Projection
from dans_app.projector import Job, Projector
from dans_app.snapshots import Frame, RelationView
from dans_core.errors import InputError
from dans_core.kg import KnowledgeGraph
from dans_core.runs import Run, runs_dir

IMPORT_DELAY = 5.0
"""Seconds before the server imports what draws the other screens: first its own is painted."""

WARM_UP_DELAY = 20.0
"""Seconds before UMAP compiles: first the screen is painted, and a run started at once gets the core."""

_CHAIN = 32
"""Each picture is turned to match the one before; every 32nd matches the 32nd before, so that a long run needs
few pictures before any one."""

_PICTURES = 512
"""Pictures by PCA kept in memory, of all runs; one of UMLS takes 15 kB."""


@dataclass(frozen=True)
class Picture:
    """A projection to show now, and what is to be said about it.

    `waiting` is set while UMAP is still being made and PCA stands in for it; `problem` says why it could not be made.
    """

    shown: Projection
    waiting: Job | None = None
    problem: str | None = None


@st.cache_resource(show_spinner=False)
def prepare() -> None:
    """Have ready, before long, what the other screens need. Returns at once; calling it again does nothing."""
    threading.Thread(target=_prepare, args=(projector(),), name="prepare", daemon=True).start()


def _prepare(umap: Projector) -> None:
    time.sleep(IMPORT_DELAY)
    for module in ("dans_app.map_figure", "dans_app.triplet_table"):
        importlib.import_module(module)
    umap.wait_until_warm()
    # A broken install is told by the page that needs it.
    with contextlib.suppress(Exception):
        inspecting.warm_up()


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
    return _frame(str(run.path), epoch, _stamp(path), kg.hash, kg)


def view(run: Run, epoch: int, kg: KnowledgeGraph, relation: int) -> RelationView:
    """What the map shows of one relation (id below 2|R|) at one snapshot."""
    path = run.path / "snapshots" / f"{epoch:06d}.npz"
    return _view(str(path), _stamp(path), kg.hash, relation, frame(run, epoch, kg), kg)


def picture(run: Run, epoch: int, kg: KnowledgeGraph, method: Method, focus: projection.Rows) -> Picture:
    """The picture of one snapshot: UMAP when it is there, else PCA at once with UMAP on its way.

    `focus` are rows that have to be in the picture; they matter only where a graph is too large for one UMAP of all.
    """
    first, key = _pca(run, epoch, kg)
    now = frame(run, epoch, kg)
    if method == "pca" or now.size < projection.SMALLEST_UMAP:
        return Picture(_with_trust(first, key, now))
    rows = projection.sample_rows(now.size, focus)
    job = Job(_folders(run)[0], projection.key_of("umap", key, rows))
    worker = projector()
    done = worker.result(job) or projection.load(_folders(run), job.key, now.size)
    if isinstance(done, str):
        return Picture(_with_trust(first, key, now), problem=done)
    if done is not None:
        return Picture(done)
    worker.submit(job, partial(projection.umap_aside, now.groups, first.points, rows))
    return Picture(_with_trust(first, key, now), waiting=job)


# --- pictures by PCA, each turned to match the one before ------------------------------------------------------


def _links(run: Run, epoch: int) -> list[tuple[int, str]]:
    """The epochs whose pictures lead up to this one, first to last and itself included, each with a key.

    The key depends on every snapshot before, since a picture is turned to match them.
    """
    epochs = [number for number, _ in run.snapshots()]
    if epoch not in epochs:
        raise InputError("this snapshot is gone from the run's folder")
    places = [epochs.index(epoch)]
    while places[-1] > 0:
        places.append(places[-1] - (1 if places[-1] % _CHAIN else _CHAIN))
    links, key = [], ""
    for place in reversed(places):
        path = run.path / "snapshots" / f"{epochs[place]:06d}.npz"
        key = projection.key_of("pca", key, _content(str(path), _stamp(path)))
        links.append((epochs[place], key))
    return links


def _pca(run: Run, epoch: int, kg: KnowledgeGraph) -> tuple[Projection, str]:
    """The picture of one epoch by PCA, and its key; made in milliseconds, so kept in memory only."""
    memory = _memory()
    made: Projection | None = None
    key = ""
    for number, key in _links(run, epoch):
        if (kept := memory.get(key)) is None:
            now = frame(run, number, kg)
            kept = projection.pca(now.groups, made.points[: kg.num_entities] if made else None, trust=False)
            memory[key] = kept
        made = kept
    assert made is not None  # the epoch itself is the last link
    while len(memory) > _PICTURES:
        memory.pop(next(iter(memory)), None)
    return made, key


def _with_trust(made: Projection, key: str, now: Frame) -> Projection:
    """The picture with its trustworthiness, which takes longer than the picture: only for one that is shown."""
    if math.isnan(made.trust):
        _memory()[key] = made = projection.with_trust(made, now.groups)
    return made


@st.cache_resource(show_spinner=False)
def _memory() -> dict[str, Projection]:
    return {}


def _folders(run: Run) -> list[Path]:
    """Where pictures of a run are kept: the cache, then what a recorded run ships."""
    settings = hashlib.sha256((run.path / "config.json").read_bytes()).hexdigest()[:8]
    return [runs_dir() / ".cache" / "projections" / f"{run.id}-{settings}", run.path / "projections"]


# --- kept between clicks; a stamp (time, size) renews what was read from a file ---------------------------------


def _stamp(path: Path) -> tuple[int, int]:
    try:
        stat = path.stat()
    except OSError:
        raise InputError("this snapshot is gone from the run's folder") from None
    return stat.st_mtime_ns, stat.st_size


@st.cache_resource(max_entries=4, show_spinner=False)
def _graph(source: str, wanted_hash: str, _run: Run) -> KnowledgeGraph:
    return _run.load_kg()


@st.cache_resource(max_entries=32, show_spinner=False)
def _frame(run_path: str, epoch: int, stamp: tuple[int, int], graph_hash: str, _kg: KnowledgeGraph) -> Frame:
    try:
        return Frame.of(Run(run_path).load_snapshot(epoch), _kg.num_entities, _kg.num_relations)
    except ValueError as error:
        raise InputError(str(error)) from None


@st.cache_resource(max_entries=256, show_spinner=False)
def _view(
    path: str, stamp: tuple[int, int], graph_hash: str, relation: int, _frame: Frame, _kg: KnowledgeGraph
) -> RelationView:
    return snapshots.view_of(_frame, _kg, relation)


@st.cache_data(max_entries=4096, show_spinner=False)
def _content(path: str, stamp: tuple[int, int]) -> bytes:
    return hashlib.sha256(Path(path).read_bytes()).digest()
