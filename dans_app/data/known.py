"""What the Data screen knows: the data sets there are, one of them with its survey, and a run to look at it with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import streamlit as st

import dans_data
from dans_app.server import graph
from dans_app.shared.words import instead, markdown_text
from dans_core.kg import KnowledgeGraph
from dans_data import SPLITS, DatasetInfo
from dans_data.errors import InputError
from dans_data.files import split_file
from dans_data.stamps import stamp
from dans_lab import survey
from dans_lab.runs.run import Run, list_runs, recorded_runs
from dans_lab.survey import Degrees, Finding, RelationFacts, Statistics

FREE_CELLS = 20_000_000
"""Queries times entities up to which the popularity floor is worked out unasked: a quarter of a second."""

_WHERE = {
    "bundled": "comes with the program",
    "data-dir": "in DANS_DATA_DIR",
    "downloaded": "downloaded",
    "own": "yours",
    "download": "can be downloaded",
}


@dataclass(frozen=True, eq=False)
class Survey:
    """All that is counted of a graph; `notes` are what was noted as it was read, in words."""

    kg: KnowledgeGraph
    statistics: Statistics
    degrees: Degrees
    relations: Sequence[RelationFacts]
    findings: Sequence[Finding]
    notes: Sequence[str]


def listing() -> dict[str, DatasetInfo]:
    """Every data set that can be looked at or downloaded, by name."""
    return {info.name: info for info in dans_data.available()}


def title(info: DatasetInfo) -> str:
    """What a data set is called; text of unknown origin."""
    return info.title or info.name


def label(info: DatasetInfo) -> str:
    """A line that tells a data set from others in a list."""
    name = title(info) if title(info).lower() == info.name else f"{title(info)} ({info.name})"
    if info.problem:
        return f"{name} · cannot be read"
    triplets = info.train + info.valid + info.test
    return f"{name} · {info.entities:,} entities · {triplets:,} triplets · {_WHERE[info.where]}"


def choice(text: str | None, known: Mapping[str, DatasetInfo]) -> tuple[str, str | None]:
    """The data set that an address asks for, by name or title; where it asks for none, UMLS or another that is here."""
    here = [name for name, info in known.items() if info.here and not info.problem]
    default = "umls" if "umls" in here else next(iter([*here, *known]))
    if text is None:
        return default, None
    if text in known:
        return text, None
    if named := next((name for name, info in known.items() if title(info) == text[:200]), None):
        return named, None
    close = dans_data.suggestion(text, known) if len(text) <= 120 else ""
    return default, instead(
        f"There is no data set “{markdown_text(text)}” here{markdown_text(close, 160)}",
        markdown_text(title(known[default])),
    )


def relation(text: str | None, kg: KnowledgeGraph) -> tuple[int | None, str | None]:
    """The relation that an address asks for, if any; a reciprocal counts as its relation."""
    if text is None:
        return None, None
    try:
        return kg.relation_id(text[:10_000]) % kg.num_relations, None
    except InputError:
        close = dans_data.suggestion(text, kg.relations) if len(text) <= 120 else ""
        end = markdown_text(close, 160) if close else "."
        return None, f"This data set has no relation “{markdown_text(text)}”{end}"


def surveyed(info: DatasetInfo) -> Survey:
    """A data set that is here, read and counted once for as long as its files stay. Raises InputError."""
    stamps = _stamps(info)
    if _read_with().get(info.name, stamps) != stamps:
        graph.forget(info.name)
    _read_with()[info.name] = stamps
    with st.spinner(f"Reading and counting {markdown_text(title(info))} …", show_time=True):
        kg = graph.load(info.name)
        return _survey(info.name, kg.hash, kg)


def costs_little(kg: KnowledgeGraph) -> bool:
    """Whether the popularity floor can be worked out without being asked for."""
    return 2 * len(kg.array("test")) * kg.num_entities <= FREE_CELLS


def floor(name: str, kg: KnowledgeGraph) -> float | None:
    """The test MRR of the popularity floor; None where there are no test triplets."""
    return graph.floor_mrr(name, kg.hash, "test")


def run_on(kg: KnowledgeGraph, wanted: str | None) -> Run | None:
    """A run on these data: the one that the person looks at, else the newest with weights, else the newest."""
    runs = [run for run in (*list_runs(), *recorded_runs()) if run.meta.hash == kg.hash]
    chosen = [run for run in runs if run.id == wanted]
    weighty = [run for run in runs if (run.path / "best.pt").is_file() or (run.path / "last.pt").is_file()]
    return next(iter([*chosen, *weighty, *runs]), None)


def runs_on(name: str) -> int:
    """How many runs were trained on the data set of this name."""
    return sum(run.meta.source == name for run in list_runs())


@st.cache_resource(max_entries=6, show_spinner=False)
def _survey(name: str, kg_hash: str, _kg: KnowledgeGraph) -> Survey:
    relations = survey.relations(_kg)
    return Survey(
        _kg,
        survey.statistics(_kg),
        survey.degrees(_kg),
        relations,
        survey.findings(_kg, facts=relations),
        tuple(map(str, _kg.read_notes)),
    )


@st.cache_resource(show_spinner=False)
def _read_with() -> dict[str, object]:
    """The stamps of the files that each data set was read from."""
    return {}


def _stamps(info: DatasetInfo) -> object:
    files = [split_file(info.path, split) for split in SPLITS]
    found = [(str(file), stamp(file)) for file in files]
    if None in dict(found).values():
        raise InputError("its files are gone")
    return found
