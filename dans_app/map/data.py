"""What the map draws, as tables, and what is behind a point of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import streamlit as st

from dans_app.shared import negatives
from dans_core.kg import KnowledgeGraph
from dans_data import SPLITS
from dans_lab.map import plate as map_plate
from dans_lab.map.relation_view import RelationView
from dans_lab.runs.frames import Frame, Ids

_COLUMNS = [
    "source", "head", "nearest entity", "score", "against true", "cosine", "length", "D_adv", "D_aux", "known fact",
]  # fmt: skip


# --- tables ----------------------------------------------------------------------------------------------------


def table(
    view: RelationView, at: int, kg: KnowledgeGraph, only: Mapping[str, Ids] | None = None
) -> pd.DataFrame:
    """Every negative of a relation at one snapshot (by its position) as a row; `only` some, by source."""
    parts = []
    for source, part in view.negatives.items():
        which = np.arange(len(view.heads)) if only is None else only.get(source, np.zeros(0, np.int64))
        if not len(which):
            continue
        parts.append(
            pd.DataFrame(
                {
                    "source": source,
                    "head": [kg.entities[i] for i in view.heads[which]],
                    "nearest entity": [kg.entities[i] for i in part.nearest[at, which]],
                    "score": part.score[at, which].astype(float),
                    "against true": (part.score[at, which] - view.score_true[at, which]).astype(float),
                    "cosine": part.cosine[at, which].astype(float),
                    "length": part.scale[at, which].astype(float),
                    "D_adv": part.d_adv[at, which].astype(float),
                    "D_aux": [negatives.opinion(share) for share in part.aux[at, which].tolist()],
                    "known fact": ["no" if i < 0 else SPLITS[i] for i in part.known[at, which]],
                }
            )
        )
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=_COLUMNS)


def columns() -> dict[str, Any]:
    """How the columns of the tables are headed and explained."""
    return negatives.columns() | {
        "head": st.column_config.TextColumn("Made for", help="The entity of the query it was made for."),
        "against true": negatives.against("Against true", "that of a true answer of the same query"),
    }


def selected(
    keys: Sequence[str], view: RelationView, frame: Frame, at: int, kg: KnowledgeGraph
) -> pd.DataFrame:
    """The rows behind the keys of selected points: "e:ID" is an entity, "G_E:ID" the fake made for that head."""
    only: dict[str, list[int]] = {}
    entities = []
    place = {head: i for i, head in enumerate(view.heads.tolist())}
    for source, number in map_plate.parse(keys):
        if source == "e" and number < kg.num_entities:
            entities.append(number)
        elif source in view.negatives and number in place:
            only.setdefault(source, []).append(place[number])
    rows = table(view, at, kg, {source: np.array(found) for source, found in only.items()})
    if not entities:
        return rows
    places = frame.rows_of(entities)
    kinds = dict.fromkeys(view.held_out.tolist(), "answer in valid or test")
    kinds |= dict.fromkeys(view.answers.tolist(), "true answer")
    added = pd.DataFrame(
        {
            "source": [kinds.get(entity, "entity") for entity in entities],
            "head": "–",
            "nearest entity": [kg.entities[entity] for entity in entities],
            "D_adv": np.where(places < 0, np.nan, frame.d_entities[places]).astype(float),
            "D_aux": "–",
            "known fact": "–",
        }
    )
    return pd.concat([rows, added], ignore_index=True) if len(rows) else added.reindex(columns=_COLUMNS)


def kept(numbers: Sequence[int], frame: Frame) -> list[int]:
    """Of these entities, the ones that a snapshot keeps."""
    ids = np.asarray(numbers, np.int64)
    return ids[frame.rows_of(ids) >= 0].tolist()


def triplet_of(keys: Sequence[str], view: RelationView) -> tuple[int, int] | None:
    """Head and a true answer of the query that the first selected negative was made for; None without one."""
    for source, number in map_plate.parse(keys):
        place = np.flatnonzero(view.heads == number)
        if source != "e" and len(place):
            return number, int(view.true[place[0]])
    return None


def vector(key: tuple[str, int], view: RelationView, frame: Frame) -> npt.NDArray[np.float32] | None:
    """The embedding or fake behind the key of a point; None where the snapshot has none."""
    source, number = key
    if source == "e":
        known = number < frame.num_entities and frame.rows_of(number) >= 0
        return frame.entities[frame.rows_of(number)] if known else None
    place = np.flatnonzero(view.heads == number)
    if not len(place) or source not in view.negatives:
        return None
    row = int(view.negatives[source].rows[place[0]])
    for group in frame.groups:
        if row < len(group):
            return group[row]
        row -= len(group)
    return None


def neighbours(
    point: npt.NDArray[np.float32], frame: Frame, kg: KnowledgeGraph, count: int = 8
) -> list[tuple[str, float]]:
    """The entities nearest to a point in all dimensions, of those that the snapshot keeps, with their cosines."""
    cosines = _cosines(point, frame)
    order = np.argsort(-cosines, kind="stable")[:count]
    return [(kg.entities[frame.entity_ids[i]], float(cosines[i])) for i in order]


def chances(point: npt.NDArray[np.float32], frame: Frame, tau: float, count: int = 8) -> list[float]:
    """q of the entities of `neighbours`, in their order: what the fake at this point proposes, if all are kept."""
    cosines = _cosines(point, frame).astype(float)
    likely = np.exp((cosines - cosines.max()) / tau)
    return (np.sort(likely / likely.sum())[::-1][:count]).tolist()


def _cosines(point: npt.NDArray[np.float32], frame: Frame) -> npt.NDArray[np.float32]:
    lengths = np.maximum(np.linalg.norm(frame.entities, axis=1), 1e-12)
    return frame.entities @ point / (lengths * max(float(np.linalg.norm(point)), 1e-12))
