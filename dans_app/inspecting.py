"""The networks of a run and the inspections made with them, kept by the server. The one door of the app to torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import streamlit as st

from dans_core.kg import KnowledgeGraph
from dans_core.runs import Run

if TYPE_CHECKING:
    from dans_core.inspection import Inspection
    from dans_core.networks import Networks

Which = Literal["best", "last"]


def checkpoints(run: Run) -> list[Which]:
    """Which weights the run has so far, best first."""
    names: tuple[Which, ...] = ("best", "last")
    return [name for name in names if (run.path / f"{name}.pt").is_file()]


def inspect(
    run: Run, kg: KnowledgeGraph, which: Which, query: tuple[int, int, int], draws: int, seed: int
) -> tuple[Inspection, int]:
    """The negatives for the tail of a query (reciprocals too), and the epoch of the weights.

    Raises InputError where there is no checkpoint, or one that does not fit the data set.
    """
    stat = (run.path / f"{which}.pt").stat() if which in checkpoints(run) else None
    stamp = (stat.st_mtime_ns, stat.st_size) if stat else (0, 0)
    return _inspect(str(run.path), which, stamp, kg.hash, query, draws, seed, run, kg)


@st.cache_resource(max_entries=3, show_spinner=False)
def _networks(
    path: str, which: Which, stamp: tuple[int, int], graph_hash: str, _run: Run, _kg: KnowledgeGraph
) -> tuple[Networks, int]:
    from dans_core.networks import load_weights

    state = _run.load_checkpoint(which)
    epoch = state["progress"]["epoch"] if which == "last" else state["epoch"]
    return load_weights(state, _kg, _run.config), int(epoch)


@st.cache_resource(max_entries=256, show_spinner="Loading the networks of this run …")
def _inspect(
    path: str,
    which: Which,
    stamp: tuple[int, int],
    graph_hash: str,
    query: tuple[int, int, int],
    draws: int,
    seed: int,
    _run: Run,
    _kg: KnowledgeGraph,
) -> tuple[Inspection, int]:
    from dans_core.inspection import inspect_triplet

    networks, epoch = _networks(path, which, stamp, graph_hash, _run, _kg)
    return inspect_triplet(networks, _kg, _run.config, *query, draws=draws, seed=seed), epoch
