"""The charts of a study that are no table: how a metric follows a setting, and whether training came to rest."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from dans_app.shared import theme
from dans_app.shared.theme import LOOKS, Look
from dans_app.shared.words import plotly_text
from dans_app.studies import words
from dans_app.studies.data import Column, StudyView
from dans_app.studies.figures import GREY, LEGEND, layout_of, note, rule
from dans_app.studies.learning import median
from dans_data.words import number
from dans_lab.names import METRICS
from dans_lab.study import tables
from dans_lab.study.convergence import FIGURES
from dans_lab.study.plan import Label
from dans_lab.study.words import spread as spread_words

DECADES = 20.0
"""An axis whose largest value is so many times the smallest is logarithmic."""

CURVES: dict[str, tuple[str, tuple[tuple[str, Look], ...]]] = {
    "mrr": ("Valid MRR", (("valid_mrr", theme.BASE),)),
    "l_g": ("L_G", (("g_e", theme.G_E), ("g_r", theme.G_R))),
    "l_d": ("L_D", (("d_adv", theme.D_ADV), ("d_aux", theme.D_AUX))),
    "base": ("Base loss", (("base", theme.BASE),)),
}
"""What can be drawn over epochs: its name, and the curves of a record with their looks."""

CURVES_HELP = (
    "Valid MRR: filtered ranking while it trains. L_G: the loss of each pathway of the generator; low means that its "
    "fakes pass for real and, read as entities, propose likely ones. L_D: the losses of D's two heads; at 0.693 (ln 2) "
    "a head is guessing. Base loss: of the embedding model. Thin lines are runs, thick ones their median."
)

Trace = dict[str, Any]
Range = tuple[float, float]


# --- a metric by a setting ---------------------------------------------------------------------------------------


def line(view: StudyView, metric: str, split: str, heights: Range | None) -> go.Figure:
    """Mean with a band of one standard deviation and a dot for each run, by the value of the rows; a line a column.

    The reference has a ring and, where there is one column, a band across of its own standard deviation.
    """
    numeric = is_numeric(view)
    places = {row: float(row) if numeric else float(place) for place, row in enumerate(view.rows)}
    looks = dict(zip(view.columns, itertools.cycle(LOOKS), strict=False))
    if len(view.columns) == 1:
        looks = {view.columns[0]: theme.BASE}
    traces = [
        trace
        for column in view.columns
        for trace in _line(view, column, places, metric, split, looks[column])
    ]
    layout = layout_of(300) | {"legend": LEGEND, "showlegend": len(view.columns) > 1}
    layout["xaxis"] |= {
        "type": "log" if numeric and is_log(view) else "linear",
        "tickvals": list(places.values()),
        "ticktext": [plotly_text(view.row_name(row), 14) for row in view.rows],
        "title": {"text": plotly_text(tables.title(view.part.rows.name)), "standoff": 14},
        "showgrid": False,
    }
    layout["yaxis"] |= {"title": {"text": f"{METRICS[metric]} on {view.where(split)}"}, "nticks": 6}
    if heights:
        layout["yaxis"]["range"] = list(heights)
    spread = view.entries[view.reference, view.columns[0]].spread(metric, split)
    if spread is not None and len(view.columns) == 1:
        band = {"type": "rect", "xref": "paper", "x0": 0, "x1": 1, "layer": "below", "line": {"width": 0}}
        band |= {"y0": spread.mean - (spread.sd or 0), "y1": spread.mean + (spread.sd or 0)}
        layout["shapes"] = [
            band | {"fillcolor": theme.rgba(GREY, 0.13)},
            rule(xref="paper", x0=0, x1=1, y0=spread.mean, y1=spread.mean),
        ]
    return go.Figure({"data": traces, "layout": layout})


def line_alt(view: StudyView, metric: str, split: str) -> str:
    """The same in words."""
    parts = []
    for column in view.columns:
        where = f"{view.column_name(column)}: " if view.column_name(column) else ""
        values = (
            f"{view.row_name(r)} {spread_words(view.entries[r, column].spread(metric, split))}"
            for r in view.rows
        )
        parts.append(where + ", ".join(values))
    what = f"{METRICS[metric]} on {view.where(split)} by {tables.title(view.part.rows.name)}"
    return f"{what}; the reference is {view.row_name(view.reference)}. {'; '.join(parts)}."


def heights(views: Sequence[StudyView], metric: str, split: str) -> Range | None:
    """The ends of an axis that holds every run of these tables; None without any."""
    found = [
        values[metric]
        for view in views
        for entry in view.table.entries
        for record in entry.records
        if metric in (values := record.test if split == "test" else record.valid)
    ]
    return _around(found)


def is_numeric(view: StudyView) -> bool:
    """Whether the rows are numbers, to be placed by their size."""
    return all(isinstance(row, int | float) and not isinstance(row, bool) for row in view.rows)


def is_log(view: StudyView) -> bool:
    """Whether the rows span so much that only a logarithmic axis tells them apart."""
    values = [float(row) for row in view.rows]
    return min(values) > 0 and max(values) >= DECADES * min(values)


def _line(
    view: StudyView, column: Column, places: Mapping[Label, float], metric: str, split: str, look: Look
) -> list[Trace]:
    found = [
        (row, spread) for row in view.rows if (spread := view.entries[row, column].spread(metric, split))
    ]
    if not found:
        return []
    x = np.array([places[row] for row, _ in found])
    means = np.array([spread.mean for _, spread in found])
    sd = np.array([spread.sd or 0.0 for _, spread in found])
    name = view.column_name(column) or "mean"
    shared: Trace = {"type": "scatter", "legendgroup": name, "showlegend": False}
    band = shared | {
        "x": np.concatenate([x, x[::-1]]),
        "y": np.concatenate([means + sd, (means - sd)[::-1]]),
        "fill": "toself",
        "fillcolor": theme.rgba(look.color, 0.15),
        "line": {"width": 0},
        "mode": "lines",
        "hoverinfo": "skip",
    }
    middle = shared | {
        "x": x,
        "y": means,
        "name": plotly_text(name),
        "mode": "lines+markers",
        "line": {"color": look.color, "width": 2, "dash": theme.plotly_dash(look)},
        "marker": {"color": look.color, "size": 8, "symbol": look.marker},
        "hovertext": [
            plotly_text(words.explained(view, row, column, metric, split), 300) for row, _ in found
        ],
        "hovertemplate": "%{hovertext}<extra></extra>",
        "showlegend": True,
    }
    dots = shared | _dots(view, column, places, metric, split, look)
    ring = [
        shared
        | {
            "x": [places[row]],
            "y": [spread.mean],
            "mode": "markers",
            "marker": {"symbol": "circle-open", "size": 16, "color": look.color, "line": {"width": 2}},
            "hoverinfo": "skip",
        }
        for row, spread in found
        if row == view.reference
    ]
    return [band, dots, middle, *ring]


def _dots(
    view: StudyView, column: Column, places: Mapping[Label, float], metric: str, split: str, look: Look
) -> Trace:
    found = [
        (places[row], values[metric], record)
        for row in view.rows
        for record in view.entries[row, column].records
        if metric in (values := record.test if split == "test" else record.valid)
    ]
    return {
        "x": [x for x, _, _ in found],
        "y": [y for _, y, _ in found],
        "mode": "markers",
        "marker": {"color": theme.rgba(look.color, 0.5), "size": 5},
        "customdata": [[record.run, record.seed] for _, _, record in found],
        "hovertemplate": "seed %{customdata[1]}: %{y:.3f}<br>%{customdata[0]}<extra></extra>",
    }


# --- curves over epochs ------------------------------------------------------------------------------------------


def curves(
    view: StudyView, row: Label, column: Column, kind: str, ends: Range | None, last: float
) -> go.Figure:
    """The runs of a cell over epochs as thin lines and their median as a thick one, for each curve of a kind."""
    records = view.entries[row, column].records
    traces = []
    parts = CURVES[kind][1]
    for name, look in parts:
        for record in records:
            values = record.curves.get(name)
            if values:
                traces.append(
                    {
                        "type": "scatter",
                        "x": record.curves["epoch"],
                        "y": values,
                        "mode": "lines",
                        "line": {"color": theme.rgba(look.color, 0.4), "width": 1},
                        "hovertemplate": f"seed {record.seed}, epoch %{{x:,d}}: %{{y:.3f}}<extra></extra>",
                        "showlegend": False,
                    }
                )
        epochs, middle = median(records, name)
        if len(epochs):
            traces.append(
                {
                    "type": "scatter",
                    "x": epochs,
                    "y": middle,
                    "name": look.name,
                    "mode": "lines",
                    "line": {"color": look.color, "width": 2.5, "dash": theme.plotly_dash(look)},
                    "hovertemplate": f"{look.name if len(parts) > 1 else 'median'}, epoch %{{x:,d}}: %{{y:.3f}}"
                    "<extra></extra>",
                    "showlegend": len(parts) > 1,
                }
            )
    layout = layout_of(210) | {"legend": LEGEND | {"font": {"size": 11}}}
    layout["xaxis"] |= {"range": [0, 1.02 * last], "title": {"text": "epoch", "standoff": 14}, "nticks": 5}
    if ends:
        layout["yaxis"]["range"] = list(ends)
    layout["yaxis"]["nticks"] = 5
    if not traces:
        layout["annotations"] = [note("nothing to draw", xref="paper", x=0.5, yref="paper", y=0.5)]
    return go.Figure({"data": traces, "layout": layout})


def curves_alt(view: StudyView, row: Label, column: Column, kind: str) -> str:
    """The same in words: where each run ends."""
    title, parts = CURVES[kind]
    records = view.entries[row, column].records
    said = []
    for name, look in parts:
        ends = [value for record in records if (value := _last(record.curves.get(name, []))) is not None]
        if ends:
            said.append(
                f"{look.name if len(parts) > 1 else 'the runs'} end at {', '.join(map(number, ends))}"
            )
    return f"{title} by epoch, {words.place(view, row, column)}: {'; '.join(said) or 'no run has it'}."


def ends_of(view: StudyView, kind: str) -> tuple[Range | None, float]:
    """The ends of the axis that all charts of a kind share, and the last epoch."""
    records = [record for entry in view.table.entries for record in entry.records]
    values = [
        value
        for name, _ in CURVES[kind][1]
        for record in records
        for value in record.curves.get(name, [])
        if value is not None
    ]
    if kind != "mrr" and values:
        # A loss that flew off once would press all others flat.
        values = [value for value in values if value <= 3 * float(np.percentile(values, 98))]
    last = max((epoch or 0.0 for record in records for epoch in record.curves.get("epoch", [])), default=1.0)
    return _around(values), last


def has_gan(view: StudyView) -> bool:
    """Whether any run has a curve of a generator."""
    return any("g_e" in r.curves or "g_r" in r.curves for entry in view.table.entries for r in entry.records)


# --- how it came to rest -----------------------------------------------------------------------------------------


def figures_of(view: StudyView, column: Column) -> list[str]:
    """Those of `FIGURES` that a run of this column has."""
    records = [record for row in view.rows for record in view.entries[row, column].records]
    return [name for name in FIGURES if any(name in record.figures for record in records)]


def dots(view: StudyView, column: Column, rows: Sequence[Label], name: str) -> go.Figure:
    """One figure of every run, a dot each, with the median of each row; rows whose runs do not have it are left out."""
    traces: list[Trace] = []
    rows = [row for row in rows if view.entries[row, column].figure(name) is not None]
    for place, row in enumerate(rows):
        records = [record for record in view.entries[row, column].records if name in record.figures]
        if not records:
            continue
        color = theme.BASE.color if row == view.reference else GREY
        values = [record.figures[name] for record in records]
        shift = np.linspace(0.18, -0.18, len(records)) if len(records) > 1 else np.zeros(1)
        shared = {"type": "scatter", "mode": "markers", "showlegend": False}
        traces.append(
            shared
            | {
                "x": values,
                "y": shift - place,
                "marker": {"color": theme.rgba(color, 0.7), "size": 7},
                "customdata": [[record.run, record.seed] for record in records],
                "hovertemplate": f"<b>{plotly_text(view.row_name(row))}</b>, seed %{{customdata[1]}}: %{{x:.3~g}}"
                "<extra></extra>",
            }
        )
        mark = {"symbol": "line-ns", "size": 15, "line": {"width": 3, "color": color}}
        traces.append(
            shared | {"x": [float(np.median(values))], "y": [-place], "marker": mark, "hoverinfo": "skip"}
        )
    layout = layout_of(25 * len(rows) + 40)
    layout["xaxis"] |= {"rangemode": "tozero", "nticks": 5}
    layout["yaxis"] |= {
        "tickvals": [-place for place in range(len(rows))],
        "ticktext": [plotly_text(view.row_name(row), 24) for row in rows],
        "range": [-len(rows) + 0.4, 0.6],
        "showgrid": False,
    }
    return go.Figure({"data": traces, "layout": layout})


def dots_alt(view: StudyView, column: Column, rows: Sequence[Label], name: str) -> str:
    """The same in words: the median of each row."""
    parts = []
    for row in rows:
        values = [r.figures[name] for r in view.entries[row, column].records if name in r.figures]
        if values:
            parts.append(f"{view.row_name(row)} {float(np.median(values)):.3g}")
    return f"{FIGURES[name][0]} of every run, a dot each. Medians: {'; '.join(parts)}."


# --- shared ------------------------------------------------------------------------------------------------------


def _last(values: Sequence[float | None]) -> float | None:
    return next((value for value in reversed(values) if value is not None), None)


def _around(values: Sequence[float]) -> Range | None:
    if not values:
        return None
    low, high = min(values), max(values)
    room = 0.06 * max(high - low, 0.01)
    return low - room, high + room
