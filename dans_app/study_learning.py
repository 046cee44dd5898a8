"""The charts of how the rows of a study learned, and what that costs."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from dans_app import study_words as words
from dans_app import theme
from dans_app.comparing import LOOKS
from dans_app.study_data import Column, View
from dans_app.study_figures import GREY, LEGEND, NAME, dash, far_off, layout_of
from dans_app.theme import Look
from dans_app.words import escape
from dans_core.names import METRICS
from dans_core.study.folder import RunRecord
from dans_core.study.plan import Label

FAINT = theme.rgba(GREY, 0.45)


def learning(view: View, column: Column, rows: Sequence[Label]) -> go.Figure:
    """Median valid MRR over the seeds by epoch; the reference and the best rows are coloured, the others grey."""
    found = {
        row: curve
        for row in rows
        if len((curve := median(view.entries[row, column].records, "valid_mrr"))[0])
    }
    looks = _looks(view, {row: float(np.nanmax(values)) for row, (_, values) in found.items()})
    traces = []
    for row in sorted(found, key=lambda row: row in looks):
        epochs, values = found[row]
        look = looks.get(row)
        traces.append(
            {
                "type": "scatter",
                "x": epochs,
                "y": values,
                "name": escape(view.row_name(row), NAME),
                "mode": "lines",
                "line": {
                    "color": look.color if look else FAINT,
                    "width": 2 if look else 1.3,
                    "dash": dash(look) if look else "solid",
                },
                "hovertemplate": f"<b>{escape(view.row_name(row))}</b>, epoch %{{x:,d}}: %{{y:.3f}}<extra></extra>",
                "showlegend": look is not None,
            }
        )
    layout = layout_of(380) | {"legend": LEGEND}
    layout["xaxis"]["title"] = {"text": "epoch", "standoff": 4}
    layout["yaxis"] |= {"title": {"text": "median valid MRR"}, "nticks": 7}
    # The first epochs, and rows far below, would press the lines that matter flat.
    late = [values[len(values) // 8 :] for row, (_, values) in found.items() if row in looks]
    if late:
        low, high = min(map(np.min, late)), max(map(np.max, late))
        layout["yaxis"]["range"] = [low - 0.05 * (high - low), high + 0.08 * (high - low)]
    return go.Figure({"data": traces, "layout": layout})


def learning_alt(view: View, column: Column, rows: Sequence[Label]) -> str:
    """The same in words: where each curve ends."""
    parts = []
    for row in rows:
        epochs, values = median(view.entries[row, column].records, "valid_mrr")
        if len(epochs):
            parts.append(f"{view.row_name(row)} {values[-1]:.3f} at epoch {epochs[-1]:,.0f}")
    return f"Median valid MRR by epoch. {'; '.join(parts) or 'No run is there yet'}."


def cost(view: View, column: Column, rows: Sequence[Label], metric: str, split: str) -> go.Figure:
    """Mean metric against mean training time, a point a row; named are the reference and what nothing faster beats."""
    points = []
    for row in rows:
        entry = view.entries[row, column]
        spread, seconds = entry.spread(metric, split), entry.seconds
        if spread and seconds:
            points.append((row, seconds.mean, spread))
    points.sort(key=lambda point: point[1])
    best, labelled, traces = float("-inf"), 0, []
    far = far_off(view, column, rows, metric, split)
    for row, seconds, spread in (point for point in points if point[0] not in far):
        leads = spread.mean > best
        best = max(best, spread.mean)
        named = leads or row == view.reference
        labelled += named
        color = theme.BASE.color if row == view.reference else GREY
        traces.append(
            {
                "type": "scatter",
                "x": [seconds],
                "y": [spread.mean],
                "mode": "markers+text" if named else "markers",
                "text": [escape(view.row_name(row), NAME)],
                "textposition": ("top center", "bottom center")[labelled % 2],
                "textfont": {"size": 12},
                "cliponaxis": False,
                "marker": {
                    "color": color if named else theme.rgba(GREY, 0.6),
                    "size": 12 if named else 9,
                    "symbol": "diamond" if row == view.reference else "circle",
                },
                "error_y": {
                    "array": [spread.sd or 0.0],
                    "color": theme.rgba(color, 0.5),
                    "thickness": 1.3,
                    "width": 0,
                },
                "hovertemplate": f"<b>{escape(view.row_name(row))}</b><br>{words.value(spread)}, "
                f"{seconds:,.0f} s a run<extra></extra>",
                "showlegend": False,
            }
        )
    layout = layout_of(380)
    times = [seconds for _, seconds, _ in points]
    spans = bool(times) and max(times) > 8 * max(min(times), 1e-9)
    title = {"text": "seconds of training, mean of a run", "standoff": 4}
    layout["xaxis"] |= {"title": title, "type": "log" if spans else "linear"}
    if times and not spans:
        room = 0.18 * max(max(times) - min(times), 0.2 * max(times))
        layout["xaxis"]["range"] = [max(0.0, min(times) - room), max(times) + room]
    layout["yaxis"] |= {"title": {"text": f"{METRICS[metric]} on {split}"}, "nticks": 7}
    return go.Figure({"data": traces, "layout": layout})


def cost_alt(view: View, column: Column, rows: Sequence[Label], metric: str, split: str) -> str:
    """The same in words."""
    parts = []
    for row in rows:
        entry = view.entries[row, column]
        if entry.seconds:
            parts.append(
                f"{view.row_name(row)} {words.value(entry.spread(metric, split))} in {entry.seconds.mean:,.0f} s"
            )
    return f"{METRICS[metric]} on {split} against training time: {'; '.join(parts)}."


def median(records: Sequence[RunRecord], name: str) -> tuple[np.ndarray, np.ndarray]:
    """Epochs, and at each the median over the runs that have the curve there; both (n,), empty without any."""
    at: dict[float, list[float]] = {}
    for record in records:
        for epoch, value in zip(record.curves.get("epoch", []), record.curves.get(name, []), strict=False):
            if epoch is not None and value is not None:
                at.setdefault(epoch, []).append(value)
    epochs = sorted(at)
    return np.array(epochs), np.array([statistics.median(at[epoch]) for epoch in epochs])


def _looks(view: View, ends: dict[Label, float]) -> dict[Label, Look]:
    """The reference first, then the best of the others, as many as there are looks."""
    best = sorted((row for row in ends if row != view.reference), key=ends.__getitem__, reverse=True)
    others = [look for look in LOOKS if look.color != theme.BASE.color]
    found = {view.reference: theme.BASE} if view.reference in ends else {}
    return found | dict(zip(best, others, strict=False))
