"""What the screens know of a data set without torch: its graph, its sizes and the popularity floor."""

from __future__ import annotations

import numpy as np
import streamlit as st

from dans_core.kg import KnowledgeGraph
from dans_data.catalogue import CATALOGUE
from dans_data.errors import InputError
from dans_lab.budget.sizes import Sizes, is_here

_BLOCK = 1 << 22


@st.cache_resource(max_entries=8, show_spinner=False)
def load(name: str) -> KnowledgeGraph:
    """A data set, read once a server. Raises InputError, also for one that would have to be downloaded."""
    refuse_download(name)
    return KnowledgeGraph.load(name)


def refuse_download(name: str) -> None:
    """Raises InputError for a data set that would have to be downloaded, since who looks at a run asks for none."""
    if name in CATALOGUE and not is_here(name):
        raise InputError(f"data set {name} is not on this machine; the Data screen downloads it")


def sizes(name: str) -> Sizes | None:
    """The sizes of a data set; None where it is not here or cannot be read."""
    try:
        return Sizes.of(load(name)) if is_here(name) else None
    except InputError:
        return None


@st.cache_data(max_entries=32, show_spinner=False)
def floor_mrr(name: str, kg_hash: str, split: str = "valid") -> float | None:
    """MRR of ranking by how often an entity fills the slot; None where the data set is no longer the run's.

    The same numbers as `dans_core.ranking.popularity_floor` (a test compares them), in numpy, so that the
    first screen need not wait for torch.
    """
    try:
        kg = load(name)
    except ValueError:
        return None
    if kg.hash != kg_hash:
        return None
    counts = kg.slot_counts()
    known = kg.known_answers
    queries = kg.queries(split)
    total = 0.0
    for block in np.array_split(queries, max(1, len(queries) * kg.num_entities // _BLOCK)):
        scores = counts[block[:, 1]].astype(np.int64)
        target = scores[np.arange(len(block)), block[:, 2]][:, None]
        start, stop = known.ranges(block[:, 0], block[:, 1])
        rows = np.repeat(np.arange(len(block)), stop - start)
        columns = np.concatenate([known.answers[a:b] for a, b in zip(start, stop, strict=True)])
        scores[rows, columns] = -1
        ranks = 1 + (scores > target).sum(1) + 0.5 * (scores == target).sum(1)
        total += float((1 / ranks).sum())
    return total / len(queries) if len(queries) else None
