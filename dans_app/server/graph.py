"""What the screens know of a data set without torch: its graph, its sizes and the popularity floor."""

from __future__ import annotations

import time

import streamlit as st

from dans_core.kg import KnowledgeGraph
from dans_data.catalogue import CATALOGUE
from dans_data.errors import InputError
from dans_data.metrics import TERMS, popularity_ranks
from dans_lab.budget.sizes import Sizes, is_here


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
    """The sizes of a data set; None where it is not here or cannot be read.

    One that is here is looked for again after a second: a form of settings asks again for each of them.
    """
    lately = _found()
    found, until = lately.get(name, (None, 0.0))
    if time.monotonic() < until:
        return found
    lately.pop(name, None)
    try:
        found = Sizes.of(load(name)) if is_here(name) else None
    except InputError:
        return None
    if found is not None:
        lately[name] = found, time.monotonic() + 1.0
    return found


def forget(name: str) -> None:
    """Read a data set again, which came, changed or went."""
    load.clear(name)
    _found().pop(name, None)


@st.cache_resource(show_spinner=False)
def _found() -> dict[str, tuple[Sizes, float]]:
    """Sizes by data set, each with the time until which it is not looked for again."""
    return {}


@st.cache_data(max_entries=32, show_spinner=False)
def floor_mrr(name: str, kg_hash: str, split: str = "valid") -> float | None:
    """MRR of ranking by how often an entity fills the slot; None where the data set is no longer the run's.

    Without torch, so that the first screen need not wait for it.
    """
    try:
        kg = load(name)
    except ValueError:
        return None
    if kg.hash != kg_hash:
        return None
    ranks = popularity_ranks(kg, split)
    return float(TERMS["mrr"](ranks).mean()) if len(ranks) else None
