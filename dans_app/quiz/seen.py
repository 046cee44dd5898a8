"""What D sees of a candidate, for a person: its neighbours in all dimensions, its measures, its place under PCA."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from dans_app.quiz.pools import Pool
from dans_app.shared import theme
from dans_app.shared.theme import Look
from dans_app.shared.words import plotly_text
from dans_core.kg import KnowledgeGraph
from dans_lab.map.projection import Axes, Moments

NEIGHBOURS = 6

ITEM = Look("This one", "#AD8200", "star")
OTHERS = Look("Entities", "#838A96", "circle")
ANSWERS = Look("Answers of the relation", theme.POSITIVE.color, "circle")


@dataclass(frozen=True)
class Neighbour:
    """An entity near a candidate: the cosine between them, and the distance in median lengths of an entity."""

    entity: int
    cosine: float
    distance: float


def neighbours(candidates: Pool, place: int) -> list[Neighbour]:
    """The entities nearest by cosine.

    An entity is left out of its own, since a list that begins with a cosine of 1 would tell that it is real.
    """
    row, vector = int(candidates.rows[place]), candidates.vectors[candidates.rows[place]]
    entities = candidates.vectors[: len(candidates.entity_ids)]
    lengths = np.maximum(np.linalg.norm(entities, axis=1), 1e-12)
    cosines = entities @ vector / (lengths * max(float(np.linalg.norm(vector)), 1e-12))
    distances = np.linalg.norm(entities - vector, axis=1) / candidates.unit
    order = [i for i in np.argsort(-cosines, kind="stable").tolist() if i != row]
    return [
        Neighbour(int(candidates.entity_ids[i]), float(cosines[i]), float(distances[i]))
        for i in order[:NEIGHBOURS]
    ]


@dataclass(frozen=True, eq=False)
class Place:
    """The map of one round: points (M, 2) of all vectors of a pool, and the share of the variance that they hold."""

    points: npt.NDArray[np.float32]
    explained: float


def places(candidates: Pool) -> Place:
    """All vectors along the two directions of largest variance, where entities and each pathway count the same."""
    moments = Moments.of(np.split(candidates.vectors, np.cumsum(candidates.sizes)[:-1]))
    axes = Axes.of([moments])
    return Place(axes.place(candidates.vectors), axes.explained(moments))


def layers(candidates: Pool, place: int, kg: KnowledgeGraph) -> list[tuple[Look, npt.NDArray[np.int64]]]:
    """What lies around a candidate, as rows of the pool's vectors: the same form for every kind.

    The candidate's own row is in none of them, or a dot under the star would tell that it is real. Of the fakes, those
    for queries of the relation are there.
    """
    row, relation = int(candidates.rows[place]), int(candidates.relations[place])
    train = kg.queries("train")
    answers = np.unique(train[train[:, 1] == relation, 2])
    is_answer = np.isin(candidates.entity_ids, answers)
    entities = np.arange(len(candidates.entity_ids))
    parts = [(OTHERS, entities[~is_answer]), (ANSWERS, entities[is_answer])]
    for look in (theme.G_E, theme.G_R):
        own = (candidates.kinds == look.name) & (candidates.relations == relation)
        parts.append((look, np.unique(candidates.rows[own])))
    return [(look, rows[rows != row]) for look, rows in parts if len(rows)]


def figure(candidates: Pool, place: int, kg: KnowledgeGraph, drawn: Place) -> go.Figure:
    """The map with the candidate marked; entities tell their names, fakes have none."""
    found = go.Figure()
    for look, rows in layers(candidates, place, kg):
        kept = rows[rows < len(candidates.entity_ids)]
        names = [plotly_text(kg.entities[i]) for i in candidates.entity_ids[kept].tolist()]
        faint = look is OTHERS
        found.add_scatter(
            x=drawn.points[rows, 0],
            y=drawn.points[rows, 1],
            mode="markers",
            name=look.name,
            marker={"color": look.color, "symbol": look.marker, "size": 5 if faint else 8},
            opacity=0.5 if faint else 0.8,
            text=names or None,
            hovertemplate="%{text}<extra></extra>" if names else f"fake of {look.name}<extra></extra>",
        )  # fmt: skip
    x, y = drawn.points[candidates.rows[place]]
    found.add_scatter(
        x=[x], y=[y], mode="markers", name=ITEM.name,
        marker={"color": ITEM.color, "symbol": "star", "size": 20, "line": {"color": "#FFFFFF", "width": 1.5}},
        hovertemplate="this one<extra></extra>",
    )  # fmt: skip
    axis = {"visible": False, "scaleratio": 1}
    found.update_layout(
        height=360,
        margin={"l": 0, "r": 0, "t": 0, "b": 0},
        xaxis=axis,
        yaxis=axis | {"scaleanchor": "x"},
        legend={"orientation": "h", "y": -0.02, "yanchor": "top", "x": 0},
        uirevision=str(place),
    )
    return found


def alt(near: list[Neighbour], kg: KnowledgeGraph) -> str:
    """The map in words."""
    names = ", ".join(kg.entities[each.entity] for each in near[:3])
    return (
        f"Map of the entities under PCA, with a star where this one lies. Nearest in all dimensions: {names}."
    )
