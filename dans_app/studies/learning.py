"""The charts of how the rows of a study learned, and what that costs."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go

from dans_app.shared import theme
from dans_app.shared.theme import LOOKS, Look
from dans_app.shared.words import plotly_text
from dans_app.studies.data import Column, StudyView
from dans_app.studies.figures import GREY, LEGEND, NAME, far_off, layout_of
from dans_lab.names import METRICS
from dans_lab.study.folder import RunRecord
from dans_lab.study.learning import median as median_in_time
from dans_lab.study.learning import timed, unit
from dans_lab.study.plan import Label
from dans_lab.study.words import spread as spread_words

FAINT = theme.rgba(GREY, 0.45)

_FEW = 5
"""Up to so many points all have their names, which then do not lie upon one another."""

BY_HELP = (
    "Epochs say how often each has gone through the training triplets; time, what a person waits for: that of training "
    "alone, without rankings and checks."
)


@dataclass(frozen=True)
class Scale:
    """What learning is drawn over: epochs, or a time in a unit of so many seconds; `size` 0 stands for epochs."""

    title: str
    axis: str
    size: float = 0.0

    @property
    def words(self) -> str:
        """What learning is told by."""
        return "training time" if self.size else "epoch"

    def points(self, record: RunRecord) -> list[tuple[float, float]]:
        """Where a run was, and its valid MRR there."""
        if self.size:
            return [(seconds / self.size, value) for _, seconds, value in timed(record)]
        pairs = zip(record.curves.get("epoch", []), record.curves.get("valid_mrr", []), strict=False)
        return [(epoch, value) for epoch, value in pairs if epoch is not None and value is not None]

    def middle(self, records: Sequence[RunRecord]) -> tuple[np.ndarray, np.ndarray]:
        """The medians over the runs of both, at each epoch; both (n,)."""
        if not self.size:
            return median(records, "valid_mrr")
        points = np.array(median_in_time(records, "seconds")).reshape(-1, 2)
        return points[:, 0] / self.size, points[:, 1]


EPOCHS = Scale("Epochs", "epoch")


def scales(view: StudyView, column: Column, rows: Sequence[Label]) -> dict[str, Scale]:
    """What the curves of a column can be drawn over; time only where records have it."""
    records = [record for row in rows for record in view.entries[row, column].records]
    ends = [points[-1][1] for record in records if (points := timed(record))]
    if not ends:
        return {"epochs": EPOCHS}
    name, size = unit(max(ends))
    time = Scale(name.capitalize(), f"training time of a run, {name}", size)
    return {"epochs": EPOCHS, "time": time}


def learning(view: StudyView, column: Column, rows: Sequence[Label], scale: Scale = EPOCHS) -> go.Figure:
    """Median valid MRR over the seeds; reference and best rows are coloured, with their seeds, the others grey."""
    found = {row: curve for row in rows if len((curve := scale.middle(view.entries[row, column].records))[0])}
    looks = _looks(view, {row: float(np.nanmax(values)) for row, (_, values) in found.items()})
    traces = [
        _seed(view, row, column, record, scale, look)
        for row, look in looks.items()
        for record in view.entries[row, column].records
    ]
    for row in sorted(found, key=lambda row: row in looks):
        places, values = found[row]
        look = looks.get(row)
        traces.append(
            {
                "type": "scatter",
                "x": places,
                "y": values,
                "name": plotly_text(view.row_name(row), NAME),
                "legendgroup": str(row),
                "mode": "lines",
                "line": {
                    "color": look.color if look else FAINT,
                    "width": 2 if look else 1.3,
                    "dash": theme.plotly_dash(look) if look else "solid",
                },
                "hovertemplate": f"<b>{plotly_text(view.row_name(row))}</b>, {_at(scale)}: %{{y:.3f}}<extra></extra>",
                "showlegend": look is not None,
            }
        )
    layout = layout_of(380) | {"legend": LEGEND}
    layout["xaxis"] |= {"title": {"text": scale.axis, "standoff": 14}, "rangemode": "tozero"}
    layout["yaxis"] |= {"title": {"text": "median valid MRR"}, "nticks": 7}
    # The first epochs, and rows far below, would press the lines that matter flat.
    late = [values[len(values) // 8 :] for row, (_, values) in found.items() if row in looks]
    if late:
        low, high = min(map(np.min, late)), max(map(np.max, late))
        layout["yaxis"]["range"] = [low - 0.05 * (high - low), high + 0.08 * (high - low)]
    return go.Figure({"data": traces, "layout": layout})


def learning_alt(view: StudyView, column: Column, rows: Sequence[Label], scale: Scale = EPOCHS) -> str:
    """The same in words: where each curve ends."""
    parts = []
    for row in rows:
        places, values = scale.middle(view.entries[row, column].records)
        if len(places):
            end = (
                f"after {places[-1]:.1f} {scale.title.lower()}"
                if scale.size
                else f"at epoch {places[-1]:,.0f}"
            )
            parts.append(f"{view.row_name(row)} {values[-1]:.3f} {end}")
    return f"Median valid MRR by {scale.words}. {'; '.join(parts) or 'No run is there yet'}."


def _at(scale: Scale) -> str:
    return f"%{{x:.1f}} {scale.title.lower()}" if scale.size else "epoch %{x:,d}"


def _seed(
    view: StudyView, row: Label, column: Column, record: RunRecord, scale: Scale, look: Look
) -> dict[str, Any]:
    points = scale.points(record)
    name = f"<b>{plotly_text(view.row_name(row))}</b>, seed {record.seed}"
    return {
        "type": "scatter",
        "x": [x for x, _ in points],
        "y": [y for _, y in points],
        "mode": "lines",
        "legendgroup": str(row),
        "line": {"color": theme.rgba(look.color, 0.28), "width": 1},
        "hovertemplate": f"{name}, {_at(scale)}: %{{y:.3f}}<extra></extra>",
        "showlegend": False,
    }


def cost(view: StudyView, column: Column, rows: Sequence[Label], metric: str, split: str) -> go.Figure:
    """Mean metric against mean training time, a point a row.

    Named are all where they are few, else the reference and what nothing faster beats.
    """
    points = []
    for row in rows:
        entry = view.entries[row, column]
        reached, spent = entry.spread(metric, split), entry.seconds
        if reached and spent:
            points.append((row, spent.mean, reached))
    points.sort(key=lambda point: point[1])
    name, size = unit(max((seconds for _, seconds, _ in points), default=0.0))
    best, labelled, traces = float("-inf"), 0, []
    far = far_off(view, column, rows, metric, split)
    for row, seconds, spread in (point for point in points if point[0] not in far):
        leads = spread.mean > best
        best = max(best, spread.mean)
        named = leads or row == view.reference or len(points) <= _FEW
        labelled += named
        color = theme.BASE.color if row == view.reference else GREY
        traces.append(
            {
                "type": "scatter",
                "x": [seconds / size],
                "y": [spread.mean],
                "mode": "markers+text" if named else "markers",
                "text": [plotly_text(view.row_name(row), NAME)],
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
                "hovertemplate": f"<b>{plotly_text(view.row_name(row))}</b><br>{spread_words(spread)}, "
                f"{seconds / size:,.1f} {name} a run<extra></extra>",
                "showlegend": False,
            }
        )
    layout = layout_of(380)
    times = [seconds / size for _, seconds, _ in points]
    spans = bool(times) and max(times) > 8 * max(min(times), 1e-9)
    title = {"text": f"{name} of training, mean of a run", "standoff": 14}
    layout["xaxis"] |= {"title": title, "type": "log" if spans else "linear"}
    if times and not spans:
        room = 0.18 * max(max(times) - min(times), 0.2 * max(times))
        layout["xaxis"]["range"] = [max(0.0, min(times) - room), max(times) + room]
    layout["yaxis"] |= {"title": {"text": f"{METRICS[metric]} on {view.where(split)}"}, "nticks": 7}
    return go.Figure({"data": traces, "layout": layout})


def cost_alt(view: StudyView, column: Column, rows: Sequence[Label], metric: str, split: str) -> str:
    """The same in words."""
    parts = []
    for row in rows:
        entry = view.entries[row, column]
        if entry.seconds:
            parts.append(
                f"{view.row_name(row)} {spread_words(entry.spread(metric, split))} in {entry.seconds.mean:,.0f} s"
            )
    return f"{METRICS[metric]} on {view.where(split)} against training time: {'; '.join(parts)}."


def median(records: Sequence[RunRecord], name: str) -> tuple[np.ndarray, np.ndarray]:
    """Epochs, and at each the median over the runs that have the curve there; both (n,), empty without any."""
    at: dict[float, list[float]] = {}
    for record in records:
        for epoch, value in zip(record.curves.get("epoch", []), record.curves.get(name, []), strict=False):
            if epoch is not None and value is not None:
                at.setdefault(epoch, []).append(value)
    epochs = sorted(at)
    return np.array(epochs), np.array([statistics.median(at[epoch]) for epoch in epochs])


def _looks(view: StudyView, ends: dict[Label, float]) -> dict[Label, Look]:
    """The reference first, then the best of the others, as many as there are looks."""
    best = sorted((row for row in ends if row != view.reference), key=ends.__getitem__, reverse=True)
    others = [look for look in LOOKS if look.color != theme.BASE.color]
    found = {view.reference: theme.BASE} if view.reference in ends else {}
    return found | dict(zip(best, others, strict=False))
