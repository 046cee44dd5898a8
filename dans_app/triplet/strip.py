"""The strip of scores: every negative of one side against its run's own positive, one lane for each source and run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from dans_app.shared import theme
from dans_app.shared.words import plotly_text
from dans_app.triplet.table import Lane, look, token
from dans_data import SPLITS

if TYPE_CHECKING:
    from dans_lab.inspection import Row

_ROW = 58
_OFFSETS = np.array([0.0, 0.22, -0.22, 0.11, -0.11])
_RINGS = {"train": "circle-open", "valid": "square-open", "test": "diamond-open"}


def strip(lanes: Sequence[Lane]) -> go.Figure:
    """Score minus the positive's, so that runs whose scores have other sizes share the line at 0.

    A ring marks a known fact, its shape the split.
    """
    chart = go.Figure()
    heights = [len(lanes) - 1 - i for i in range(len(lanes))]
    ringed: dict[str, list[tuple[float, float]]] = {}
    for lane, height in zip(lanes, heights, strict=True):
        values = np.array([lane.against(row) for row in lane.rows])
        places = height + (_OFFSETS[np.arange(len(values)) % len(_OFFSETS)] if len(values) > 1 else 0.0)
        drawn = look(lane.source)
        chart.add_trace(
            go.Scatter(
                x=values,
                y=np.broadcast_to(places, values.shape),
                mode="markers",
                name=_tick(lane),
                marker={"symbol": drawn.marker, "color": drawn.color, "size": 10, "opacity": 0.8},
                hovertext=[hover(lane, row) for row in lane.rows],
                hovertemplate="%{hovertext}<extra></extra>",
                customdata=[token(lane, row) for row in lane.rows],
                showlegend=False,
            )
        )
        for row, x, y in zip(lane.rows, values, np.broadcast_to(places, values.shape), strict=True):
            if row.known:
                ringed.setdefault(row.known, []).append((x, y))
    for split in SPLITS:
        if split in ringed:
            x, y = np.array(ringed[split]).T
            ring = {"color": theme.D_AUX.color, "symbol": _RINGS[split], "size": 18, "line": {"width": 2}}
            chart.add_trace(
                go.Scatter(x=x, y=y, mode="markers", name=f"Fact of {split}", marker=ring, hoverinfo="skip")
            )
    chart.add_trace(
        go.Scatter(
            x=np.zeros(len(lanes) + 1),
            y=np.array([len(lanes) - 0.5, *(height - 0.5 for height in heights)]),
            mode="lines",
            name="The positive",
            line={"color": theme.POSITIVE.color, "width": 2.5},
            hoverinfo="skip",
        )
    )
    chart.update_layout(
        height=_ROW * len(lanes) + 92,
        margin={"l": 4, "r": 12, "t": 8, "b": 4},
        legend={"orientation": "h", "x": 0, "xanchor": "left", "y": 1.0, "yanchor": "bottom", "title": None},
        xaxis={"title": {"text": "score − the positive’s score, by the same run"}, "zeroline": False},
        yaxis={
            "tickvals": heights,
            "ticktext": [_tick(lane) for lane in lanes],
            "range": [-0.55, len(lanes) - 0.45],
            "showgrid": False,
            "zeroline": False,
            "title": None,
        },
        hoverlabel={"align": "left", "font": {"size": 12}},
        hovermode="closest",
        dragmode=False,
    )
    return chart


def _tick(lane: Lane) -> str:
    """The source; for another run than the chosen one with its label under it."""
    name = plotly_text(lane.title, 24)
    return name if not lane.shown.run else f"{name}<br><i>{plotly_text(lane.shown.label, 22)}</i>"


def hover(lane: Lane, row: Row) -> str:
    """One negative in a few lines, its names escaped."""
    name, who = plotly_text(row.nearest), plotly_text(lane.title)
    if lane.fakes:
        lines = [
            f"<b>Fake {lane.shown.side} from {who}</b>, draw {row.draw + 1}",
            f"nearest entity: <b>{name}</b>, cosine {row.cosine:.2f}, length × {row.scale:.2f}",
        ]
    else:
        lines = [f"<b>{who}</b> {lane.shown.side}, draw {row.draw + 1}: <b>{name}</b>"]
    lines.append(f"score {row.score:.2f}, the positive’s {lane.positive.score:.2f}")
    if row.weight is not None:
        lines.append(f"weight {row.weight:.2f}")
    if row.d_adv is not None:
        lines.append(f"D_adv {row.d_adv:.2f}")
    lines.append("not a known fact" if row.known is None else f"known fact ({row.known})")
    if lane.shown.run:
        lines.append(f"run: {plotly_text(lane.shown.label)}")
    return "<br>".join(lines)


def alt(lanes: Sequence[Lane]) -> str:
    """The strip in words."""
    parts = []
    for lane in lanes:
        values = [lane.against(row) for row in lane.rows]
        of = f" of {lane.shown.label}" if lane.shown.run else ""
        parts.append(f"{lane.title}{of} from {min(values):+.1f} to {max(values):+.1f}")
    side = lanes[0].shown.side
    return f"Scores of negative {side}s minus the score of their run’s positive: {'; '.join(parts)}."
