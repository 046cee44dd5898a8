"""The picture of the map: true answers, fakes and random negatives of one relation, as a Plotly figure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from dans_app import theme
from dans_app.projection import Projection
from dans_app.snapshots import Frame, Ids, Negatives, RelationView
from dans_app.theme import Look
from dans_core.datasets import SPLITS
from dans_core.kg import KnowledgeGraph

ANSWERS, HELD_OUT, BACKGROUND = "true", "held-out", "others"
LAYERS = {
    ANSWERS: "True answers",
    HELD_OUT: "Valid and test answers",
    "G_E": "G_E fakes",
    "G_R": "G_R fakes",
    "random": "Random negatives",
    BACKGROUND: "Everything else",
}
"""The layers of the map, by the name that stands in the URL, with the words on screen."""

DEFAULT_LAYERS = (ANSWERS, "G_E", "G_R", "random", BACKGROUND)

MOST_POINTS = 1000
"""Markers drawn in a layer: each is an element of the page, and more would make it slow."""

NAMED = 8
"""Up to so many true answers have their names written beside them."""

HEIGHT = 560

_CELL = 0.014
"""Points closer than this share of the width or height lie on one another, and are drawn as one with their number."""

_OPINION = [[0.0, "#B4478C"], [0.5, "#A9A3B0"], [1.0, "#0B9268"]]
_HELD_OUT_LOOK = Look("Held out", theme.POSITIVE.color, "circle-open")
_RANKS = {name: 10 * place for place, name in enumerate(LAYERS, start=1)}
_SIZES = {"G_E": 9, "G_R": 8, "random": 7}


@dataclass(frozen=True)
class Stack:
    """Points of one layer that lie on one another: where, and which (positions in the layer's arrays)."""

    x: float
    y: float
    members: Ids


def escape(name: str, limit: int = 48) -> str:
    """A name from a file, safe in Plotly's text: it renders some HTML, and knows few entities (so quotes stay)."""
    line = " ".join(name.split())
    line = line if len(line) <= limit else line[: limit - 1] + "…"
    return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def stacks(points: np.ndarray, frame: tuple[tuple[float, float], tuple[float, float]]) -> list[Stack]:
    """Gather points (n, 2) that could not be told apart on screen; NaN points are left out."""
    shown = np.flatnonzero(~np.isnan(points[:, 0]))
    if not len(shown):
        return []
    low = np.array([frame[0][0], frame[1][0]])
    size = np.array([frame[0][1] - frame[0][0], frame[1][1] - frame[1][0]])
    cells = np.floor((points[shown] - low) / (size * _CELL)).astype(np.int64)
    _, which = np.unique(cells, axis=0, return_inverse=True)
    which = which.reshape(-1)
    found = []
    for cell in range(which.max() + 1):
        members = shown[which == cell]
        x, y = points[members].mean(axis=0)
        found.append(Stack(float(x), float(y), members))
    return found


def figure(
    view: RelationView,
    frame: Frame,
    projection: Projection,
    kg: KnowledgeGraph,
    layers: Sequence[str],
    by_opinion: bool = False,
    found: int | None = None,
    height: int = HEIGHT,
    drag: str | bool = False,
) -> go.Figure:
    """The map. `by_opinion` colours by D_adv instead of by source; `found` is an entity to be ringed and named."""
    axes = projection.frame()
    traces = [
        _layer(name, view, frame, projection, kg, axes, by_opinion)
        for name in (BACKGROUND, "random", HELD_OUT, ANSWERS, "G_E", "G_R")
        if name in layers
    ]
    if BACKGROUND in layers:
        traces.insert(0, _other_fakes(view, frame, projection))
    chart = go.Figure([trace for trace in traces if trace is not None])
    if found is not None and not np.isnan(projection.points[found, 0]):
        chart.add_trace(_ring(found, projection, kg))
    if by_opinion and frame.has_fakes:
        # Traces coloured point by point have no colour of their own for the legend: grey ones stand in.
        for trace in [trace for trace in chart.data if trace.marker.coloraxis]:
            trace.showlegend = False
            chart.add_trace(
                go.Scatter(
                    x=[None],
                    y=[None],
                    mode="markers",
                    name=trace.name,
                    marker={"symbol": trace.marker.symbol, "color": theme.RANDOM.color, "size": 9},
                    legendrank=trace.legendrank,
                    hoverinfo="skip",
                )
            )
        reach = _reach(frame)
        chart.update_layout(
            coloraxis={
                "colorscale": _OPINION,
                "cmin": 0.5 - reach,
                "cmax": 0.5 + reach,
                "colorbar": {
                    "title": {"text": "D_adv says: fake … real", "side": "top"},
                    "orientation": "h",
                    "thickness": 8,
                    "len": 0.5,
                    "x": 0.5,
                    "y": -0.02,
                    "yanchor": "top",
                    "tickformat": ".0%",
                    "tickvals": [0.5 - reach, 0.5, 0.5 + reach],
                },
            }
        )
    axis = {
        "showgrid": False,
        "zeroline": False,
        "showticklabels": False,
        "ticks": "",
        "title": None,
        "showline": False,
    }
    chart.update_layout(
        xaxis=axis | {"range": axes[0]},
        yaxis=axis | {"range": axes[1]},
        height=height,
        showlegend=True,
        margin={"l": 4, "r": 4, "t": 8, "b": 64 if by_opinion else 8},
        legend={
            "orientation": "h",
            "x": 0,
            "xanchor": "left",
            "y": 1.01,
            "yanchor": "bottom",
            "itemsizing": "constant",
            "title": None,
        },
        hoverlabel={"align": "left", "font": {"size": 12}},
        hovermode="closest",
        dragmode=drag,
        uirevision=f"{projection.method} {frame.epoch}",
    )
    return chart


def _layer(
    name: str,
    view: RelationView,
    frame: Frame,
    projection: Projection,
    kg: KnowledgeGraph,
    axes: tuple[tuple[float, float], tuple[float, float]],
    by_opinion: bool,
) -> go.Scatter | None:
    if name in (ANSWERS, HELD_OUT, BACKGROUND):
        return _entities(name, view, frame, projection, kg, by_opinion)
    negatives = view.negatives.get(name)
    if negatives is None:
        return None
    chosen = drawn(negatives.rows, projection)
    groups = stacks(projection.points[negatives.rows[chosen]], axes)
    look = theme.BY_SOURCE[name]
    sizes = np.array([len(group.members) for group in groups])
    marker: dict[str, object] = {
        "symbol": look.marker,
        "color": look.color,
        "size": _SIZES[name] + 4.0 * np.sqrt(np.maximum(sizes, 1) - 1).clip(max=6),
        "opacity": 0.85,
        "line": {"width": 0.8, "color": "rgba(255,255,255,0.5)"},
    }
    if name == "random":
        marker |= {"opacity": 0.9, "size": _SIZES[name] + np.minimum(sizes - 1, 4), "line": {"width": 0}}
    if by_opinion and not np.isnan(negatives.d_adv).any():
        means = [float(negatives.d_adv[chosen[group.members]].mean()) for group in groups]
        marker |= {"color": np.array(means), "coloraxis": "coloraxis"}
    title = {"G_E": "G_E fakes", "G_R": "G_R fakes", "random": "Random"}[name]
    return go.Scatter(
        x=np.array([group.x for group in groups]),
        y=np.array([group.y for group in groups]),
        mode="markers+text",
        name=f"{title} ({len(negatives):,})",
        marker=marker,
        # A number needs room: it stands in the marker once the marker is large enough to hold it.
        text=[str(size) if size > 2 and name != "random" else "" for size in sizes],
        textfont={"size": 9, "color": "#FFFFFF"},
        hovertext=[_hover(negatives, chosen[group.members], view, kg) for group in groups],
        hovertemplate="%{hovertext}<extra></extra>",
        customdata=[
            [name, *map(int, negatives.heads[chosen[group.members][:1]]), i] for i, group in enumerate(groups)
        ],
        meta=name,
        legendrank=_RANKS[name],
    )


def _entities(
    name: str, view: RelationView, frame: Frame, projection: Projection, kg: KnowledgeGraph, by_opinion: bool
) -> go.Scatter | None:
    others = np.setdiff1d(np.arange(kg.num_entities), np.concatenate([view.answers, view.held_out]))
    ids = {ANSWERS: view.answers, HELD_OUT: view.held_out, BACKGROUND: others}[name]
    if not len(ids):
        return None
    ids = ids[drawn(ids, projection)]
    places = projection.points[ids]
    facts = dict(zip(view.answers.tolist(), view.counts.tolist(), strict=True))
    other = "tail" if view.side == "head" else "head"
    hover = []
    for entity in ids.tolist():
        line = f"<b>{escape(kg.entities[entity])}</b>"
        if name == ANSWERS:
            line += (
                f"<br>true answer for {facts[entity]:,} {other}{'s' if facts[entity] > 1 else ''} in train"
            )
        elif name == HELD_OUT:
            line += "<br>true answer in valid or test only"
        if not np.isnan(frame.d_entities[entity]):
            line += f"<br>D_adv: {frame.d_entities[entity]:.2f} real"
        hover.append(line)
    look = {ANSWERS: theme.POSITIVE, HELD_OUT: _HELD_OUT_LOOK}.get(name)
    marker: dict[str, object] = (
        {"symbol": "circle", "color": theme.rgba(theme.RANDOM.color, 0.38), "size": 5}
        if look is None
        else {
            "symbol": look.marker,
            "color": look.color,
            "size": 10,
            "opacity": 0.9,
            "line": {
                "width": 2 if name == HELD_OUT else 0.8,
                "color": look.color if name == HELD_OUT else "rgba(255,255,255,0.5)",
            },
        }
    )
    if by_opinion and look is not None and not np.isnan(frame.d_entities).any():
        marker |= {"color": frame.d_entities[ids], "coloraxis": "coloraxis"}
    named = name == ANSWERS and len(ids) <= NAMED
    title = {ANSWERS: "True answers", HELD_OUT: "Valid and test", BACKGROUND: "Other entities"}[name]
    return go.Scatter(
        x=places[:, 0],
        y=places[:, 1],
        mode="markers+text" if named else "markers",
        name=f"{title} ({len(ids) if name == BACKGROUND else len(facts) if name == ANSWERS else len(view.held_out):,})",
        marker=marker,
        text=[escape(kg.entities[entity], 26) for entity in ids.tolist()] if named else None,
        textposition="top center",
        textfont={"size": 11},
        hovertext=hover,
        hovertemplate="%{hovertext}<extra></extra>",
        customdata=[[name, entity, i] for i, entity in enumerate(ids.tolist())],
        meta=name,
        legendrank=_RANKS[name],
    )


def _reach(frame: Frame) -> float:
    """How far D_adv gets from a coin toss anywhere in the snapshot, at least 0.1, in steps of 0.05."""
    opinions = np.concatenate([frame.d_entities, frame.d_fakes_e, frame.d_fakes_r])
    far = float(np.nanmax(np.abs(opinions - 0.5))) if not np.isnan(opinions).all() else 0.5
    return min(0.5, max(0.1, float(np.ceil(far * 20)) / 20))


def _other_fakes(view: RelationView, frame: Frame, projection: Projection) -> go.Scatter | None:
    """Fakes of all other relations, barely there: they show what shape this relation's fakes are a part of."""
    fakes = np.setdiff1d(np.arange(len(frame.entities), frame.size), view.focus)
    if not len(fakes):
        return None
    places = projection.points[fakes[drawn(fakes, projection)]]
    return go.Scatter(
        x=places[:, 0],
        y=places[:, 1],
        mode="markers",
        name=f"Other fakes ({len(fakes):,})",
        marker={"symbol": "circle", "color": theme.rgba(theme.RANDOM.color, 0.22), "size": 3},
        hoverinfo="skip",
        meta=BACKGROUND,
        legendrank=_RANKS[BACKGROUND] + 1,
    )


def _ring(entity: int, projection: Projection, kg: KnowledgeGraph) -> go.Scatter:
    x, y = projection.points[entity]
    return go.Scatter(
        x=[x],
        y=[y],
        mode="markers+text",
        marker={"symbol": "circle-open", "size": 20, "color": theme.D_ADV.color, "line": {"width": 2.5}},
        text=[f"<b>{escape(kg.entities[entity], 30)}</b>"],
        textposition="bottom center",
        textfont={"size": 12},
        hoverinfo="skip",
        showlegend=False,
        customdata=[["found", entity, 0]],
    )


def _hover(negatives: Negatives, members: Ids, view: RelationView, kg: KnowledgeGraph, most: int = 3) -> str:
    """What stands at one marker; a few are told one by one, in lines short enough for a phone."""
    name = escape(kg.relation_name(view.relation), 24)
    lines = []
    if len(members) > 1:
        what = "random negatives" if negatives.source == "random" else f"fakes from {negatives.source}"
        lines.append(f"<b>{len(members):,} {what} lie here</b>")
    for i in members[:most].tolist():
        made_for = f"({escape(kg.entities[negatives.heads[i]], 28)}, {name})"
        nearest = f"<b>{escape(kg.entities[negatives.nearest[i]], 34)}</b>"
        fact = "not a known fact" if negatives.known[i] < 0 else f"known fact ({SPLITS[negatives.known[i]]})"
        opinion = "" if np.isnan(negatives.d_adv[i]) else f"D_adv {negatives.d_adv[i]:.2f}, "
        if negatives.source == "random":
            lines += [
                f"{'Random' if len(members) == 1 else 'random'} for {made_for}:",
                f"{nearest}, {opinion}{fact}",
            ]
            continue
        title = f"<b>Fake from {negatives.source}</b> for " if len(members) == 1 else "for "
        measured = f"cosine {negatives.cosine[i]:.2f}, length × {negatives.scale[i]:.2f}"
        lines += [f"{title}{made_for}:", f"nearest entity {nearest}", f"{measured}, {opinion}{fact}"]
    if len(members) > most:
        lines.append(f"and {len(members) - most:,} more")
    return "<br>".join(lines)


def drawn(rows: Ids, projection: Projection) -> Ids:
    """Which of these rows of the projection are drawn: those that have a place, at most `MOST_POINTS`, evenly."""
    placed = np.flatnonzero(~np.isnan(projection.points[rows, 0]))
    if len(placed) <= MOST_POINTS:
        return placed
    return placed[np.linspace(0, len(placed) - 1, MOST_POINTS).astype(np.int64)]


def alt(
    view: RelationView, frame: Frame, projection: Projection, kg: KnowledgeGraph, layers: Sequence[str]
) -> str:
    """The picture in words, for those who do not see it."""
    parts = [f"{len(view.answers):,} true answers"] if ANSWERS in layers else []
    for source, negatives in view.negatives.items():
        if source in layers:
            what = "random negatives" if source == "random" else f"fakes of {source}"
            places = len(np.unique(negatives.nearest))
            where = "one and the same entity" if places == 1 else f"{places:,} different entities"
            parts.append(f"{len(negatives):,} {what} nearest to {where}")
    shown = "; ".join(parts) or "all layers of this relation hidden"
    return (
        f"Map of {kg.relation_name(view.relation)[:80]} at epoch {frame.epoch:,}, {projection.method.upper()} "
        f"in two dimensions: {shown}. The table below holds the same points as text."
    )


def table(view: RelationView, kg: KnowledgeGraph, layers: Sequence[str]) -> pd.DataFrame:
    """Every negative of the shown layers as a row, for reading, searching and CSV."""
    parts = []
    for source, negatives in view.negatives.items():
        if source not in layers:
            continue
        parts.append(
            pd.DataFrame(
                {
                    "source": source,
                    "made for": [kg.entities[i] for i in negatives.heads],
                    "nearest entity": [kg.entities[i] for i in negatives.nearest],
                    "cosine": negatives.cosine.astype(float),
                    "length": negatives.scale.astype(float),
                    "D_adv": negatives.d_adv.astype(float),
                    "known fact": ["no" if i < 0 else SPLITS[i] for i in negatives.known],
                }
            )
        )
    columns = ["source", "made for", "nearest entity", "cosine", "length", "D_adv", "known fact"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def chosen_rows(
    points: Sequence[dict[str, Any]], view: RelationView, projection: Projection, kg: KnowledgeGraph
) -> pd.DataFrame:
    """The rows of `table` (and entities) behind the markers that a person drew a box or lasso around."""
    axes = projection.frame()
    full = {source: table(view, kg, [source]) for source in view.negatives}
    parts, entities = [], []
    for point in points:
        data = point.get("customdata") or []
        if len(data) < 3:
            continue
        layer, place = str(data[0]), int(data[-1])
        if layer in full:
            negatives = view.negatives[layer]
            shown = drawn(negatives.rows, projection)
            groups = stacks(projection.points[negatives.rows[shown]], axes)
            if place < len(groups):
                parts.append(full[layer].iloc[shown[groups[place].members]])
        elif layer in (ANSWERS, HELD_OUT, BACKGROUND) and 0 <= int(data[1]) < kg.num_entities:
            entities.append({"source": LAYERS[layer].lower(), "nearest entity": kg.entities[int(data[1])]})
    frames = [*parts, pd.DataFrame(entities)] if entities else parts
    columns = ["source", "made for", "nearest entity", "cosine", "length", "D_adv", "known fact"]
    return (
        pd.concat(frames, ignore_index=True).reindex(columns=columns)
        if frames
        else pd.DataFrame(columns=columns)
    )
