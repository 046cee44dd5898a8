"""What the map draws, as plain values for its component, and the same as tables."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import streamlit as st

from dans_app.server.projection import Method, Projection
from dans_app.server.relation_view import RelationView
from dans_app.shared import negatives, theme
from dans_app.shared.theme import Look
from dans_core.kg import KnowledgeGraph
from dans_data import SPLITS
from dans_lab.runs.frames import Frame, Ids

ANSWERS, HELD_OUT, BACKGROUND = "true", "held-out", "others"
LAYERS: dict[str, Look] = {
    ANSWERS: Look("True answers", theme.POSITIVE.color, "circle", about="Entities that answer it in train."),
    HELD_OUT: Look(
        "Valid and test", theme.POSITIVE.color, "circle-open", about="Answers that only valid or test has."
    ),
    "G_E": Look("G_E fakes", theme.G_E.color, theme.G_E.marker, about=theme.G_E.about),
    "G_R": Look("G_R fakes", theme.G_R.color, theme.G_R.marker, about=theme.G_R.about),
    "random": Look("Random", theme.RANDOM.color, theme.RANDOM.marker, about="One random entity a query."),
    BACKGROUND: Look(
        "All else",
        theme.RANDOM.color,
        "circle",
        about="Other entities, and smaller the fakes of other queries.",
    ),
}
"""The layers of the map, by the name that stands in the URL."""

DEFAULT_LAYERS = (ANSWERS, "G_E", "G_R", "random", BACKGROUND)

COLOURS = {
    "layer": ("Layer", []),
    "hardness": ("Hardness: score minus that of a true answer", theme.SEQUENCE),
    "d_adv": ("D_adv: fake … real", theme.OPINION),
    "d_aux": ("D_aux: made by", [theme.G_E.color, "#A9A3B0", theme.G_R.color]),
    "epoch": ("Epoch", theme.SEQUENCE),
}
"""What can be told by colour: the words beside the scale, and its stops."""

NAMES: dict[Method, str] = {"umap": "UMAP", "tsne": "t-SNE", "pca": "PCA"}

_COLUMNS = [
    "source", "head", "nearest entity", "score", "against true", "cosine", "length", "D_adv", "D_aux", "known fact",
]  # fmt: skip


def plate(
    title: str,
    run_id: str,
    view: RelationView,
    frames: Sequence[Frame],
    kg: KnowledgeGraph,
    series: Projection,
    single: Projection | None = None,
    bounds: tuple[float, float, float, float] | None = None,
) -> dict[str, Any]:
    """One picture: places, D_adv's opinion and everything that hovering tells, at each of E snapshots.

    `bounds` (left, right, bottom, top) are those of several pictures that share a space; else they fit this one.
    Numbers travel as base64 of little-endian arrays. A point is a position in `series.rows`; entities come first.
    """
    last = frames[-1]
    # The last place is that of the entities that are not kept, whose row is -1.
    point_of = np.full(last.size + 1, -1)
    point_of[series.rows] = np.arange(len(series.rows))
    ids = last.entity_ids[series.rows[series.rows < len(last.entities)]]
    used, nearest = np.unique(
        np.concatenate([part.nearest.reshape(-1) for part in view.negatives.values()]), return_inverse=True
    )
    parts = np.split(nearest.reshape(-1), len(view.negatives))
    sources = [
        {
            "source": name,
            "points": point_of[part.rows].tolist(),
            "nearest": _pack(words, np.int32),
            "known": _pack(part.known, np.int8),
            **{
                key: _pack(values, np.float32)
                for key, values in (
                    ("cosine", part.cosine),
                    ("scale", part.scale),
                    ("score", part.score),
                    ("d", part.d_adv),
                    ("aux", part.aux),
                )
            },
        }
        for (name, part), words in zip(view.negatives.items(), parts, strict=True)
    ]
    points, held = point_of[last.rows_of(view.answers)], point_of[last.rows_of(view.held_out)]
    answers = np.stack([points, view.counts], axis=1)[points >= 0].tolist()
    shown = {
        "relation": kg.relation_name(view.relation),
        "other": "tail" if view.side == "head" else "head",
        "answers": answers,
        "held": held[held >= 0].tolist(),
        "heads": [kg.entities[head] for head in view.heads],
        "headIds": view.heads.tolist(),
        "trueScore": _pack(view.score_true, np.float32),
        "sources": sources,
    }
    shown["token"] = f"{zlib.crc32(repr(shown).encode()):x}"
    return {
        "title": title,
        "run": run_id,
        "method": NAMES[series.method],
        "epochs": list(series.epochs),
        "n": len(series.rows),
        "ids": ids.tolist(),
        "names": [kg.entities[entity] for entity in ids],
        "words": [kg.entities[entity] for entity in used],
        **_places(series, bounds),
        "single": None
        if single is None
        else {"epoch": single.epochs[0], "method": NAMES[single.method], **_places(single, None)},
        "d": _pack(_bytes(np.stack([_opinions(frame)[series.rows] for frame in frames])), np.uint8),
        "view": shown,
    }


def looks() -> list[dict[str, str]]:
    """The layers as the component takes them."""
    return [
        {"id": name, "name": look.name, "color": look.color, "marker": look.marker, "about": look.about}
        for name, look in LAYERS.items()
    ]


def scales() -> dict[str, dict[str, Any]]:
    """The colour scales as the component takes them."""
    return {name: {"name": words, "stops": stops} for name, (words, stops) in COLOURS.items() if stops}


def _places(made: Projection, bounds: tuple[float, float, float, float] | None) -> dict[str, Any]:
    """Places in units of the picture's longer side, about its middle; both axes alike, so that PCA's gaps are true."""
    left, right, bottom, top = bounds or made.frame()
    size = max(right - left, top - bottom)
    units = (made.points - np.array([(left + right) / 2, (bottom + top) / 2], np.float32)) / size
    steps = np.round((units + 2.5) / 5 * 65535).clip(0, 65535)
    return {"xy": _pack(steps, np.uint16), "extent": [(right - left) / size, (top - bottom) / size]}


def _opinions(frame: Frame) -> npt.NDArray[np.float32]:
    return np.concatenate([frame.d_entities, frame.d_fakes_e, frame.d_fakes_r])


def _bytes(shares: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """0 … 1 as 0 … 254, and 255 for NaN."""
    return np.where(np.isnan(shares), 255, np.round(np.nan_to_num(shares).clip(0, 1) * 254)).astype(np.uint8)


def _pack(values: npt.NDArray[Any], kind: type[np.generic]) -> str:
    return base64.b64encode(np.asarray(values, dtype=np.dtype(kind).newbyteorder("<")).tobytes()).decode()


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
    for source, number in parse(keys):
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


def parse(keys: Sequence[object], most: int = 2000) -> list[tuple[str, int]]:
    """The points that keys name, each once; anything else is left out, since keys come from a browser or an address."""
    found: dict[tuple[str, int], None] = {}
    for key in list(keys)[:most]:
        source, _, number = str(key).partition(":")
        if (
            source in ("e", "G_E", "G_R", "random")
            and number.isascii()
            and number.isdecimal()
            and len(number) < 10
        ):
            found[source, int(number)] = None
    return list(found)


def kept(numbers: Sequence[int], frame: Frame) -> list[int]:
    """Of these entities, the ones that a snapshot keeps."""
    ids = np.asarray(numbers, np.int64)
    return ids[frame.rows_of(ids) >= 0].tolist()


def triplet_of(keys: Sequence[str], view: RelationView) -> tuple[int, int] | None:
    """Head and a true answer of the query that the first selected negative was made for; None without one."""
    for source, number in parse(keys):
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
