"""The charts of a study's table: what beats what, and the seeds behind the means."""

from __future__ import annotations

import statistics
import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from dans_app.shared import theme
from dans_app.shared.theme import Look
from dans_app.shared.words import plotly_text
from dans_app.studies import words
from dans_app.studies.data import Column, StudyView
from dans_app.studies.words import VERDICTS
from dans_data.words import number, signed
from dans_lab.names import METRICS
from dans_lab.study.folder import RunRecord
from dans_lab.study.plan import Label
from dans_lab.study.tables import Comparison, Spread
from dans_lab.study.words import spread as spread_words
from dans_lab.study.words import verdict

GREY = theme.RANDOM.color
FAR = 8.0
"""Differences so many times the usual one are drawn at the edge, so that the others can be told apart."""

_ROW = 27
NAME = 22
"""Characters of a name in a chart."""


Trace = dict[str, Any]


# --- what beats what ---------------------------------------------------------------------------------------------


def reach(view: StudyView) -> tuple[float, float]:
    """The ends of the axis of differences, the same for every column."""
    found = list(view.comparisons.values())
    sizes = [statistics.median(f(each) for each in found) for f in (_size, _half_width)] if found else [0.0]
    most = FAR * max(*sizes, 0.004)
    near = [each for each in found if abs(each.difference) <= most]
    low, high = min((each.low for each in near), default=0.0), max((each.high for each in near), default=0.0)
    low, high = min(low, 0.0), max(high, 0.0)
    room = 0.12 * max(high - low, 0.01)
    return low - room, high + room


def _size(found: Comparison) -> float:
    return abs(found.difference)


def _half_width(found: Comparison) -> float:
    return (found.high - found.low) / 2


def forest(view: StudyView, column: Column, rows: Sequence[Label], ends: tuple[float, float]) -> go.Figure:
    """Each row less the reference with its interval; what is beyond the ends stands at the edge, with its number."""
    shown = [row for row in rows if row != view.reference]
    heights = {row: -place for place, row in enumerate(shown)}
    traces, notes = [], []
    for kind, look in VERDICTS.items():
        own = [(r, c) for r in shown if (c := view.comparisons.get((r, column))) and c.verdict == kind]
        near = [(row, found) for row, found in own if ends[0] <= found.difference <= ends[1]]
        traces.append(_differences(view, column, near, heights, look))
        for row, found in own:
            if not ends[0] <= found.difference <= ends[1]:
                traces.append(_beyond(view, column, row, found, heights[row], ends, look))
                notes.append(_beyond_note(found, heights[row], ends))
    notes += [
        note("not there yet", x=0, y=heights[row], xshift=6, xanchor="left")
        for row in shown
        if (row, column) not in view.comparisons
    ]
    reference = view.entries[view.reference, column].spread(view.table.metric)
    name = view.row_name(view.reference)
    at_zero = f"{plotly_text(name, NAME)} {number(reference.mean)}" if reference else plotly_text(name, NAME)
    layout = layout_of(_ROW * len(shown) + 108) | {
        "shapes": [rule(x0=0, x1=0, yref="paper", y0=0, y1=1)],
        "annotations": [*notes, note(at_zero, x=0, y=1, yref="paper", yanchor="bottom")],
    }
    layout["margin"]["t"] = 24
    layout["xaxis"] |= {
        "range": list(ends),
        "title": {"text": f"{METRICS[view.table.metric]} above {plotly_text(name, NAME)}", "standoff": 14},
    }
    layout["yaxis"] |= _names([view.row_name(row) for row in shown])
    return go.Figure({"data": traces, "layout": layout})


def forest_alt(view: StudyView, column: Column, rows: Sequence[Label]) -> str:
    """The same in words."""
    parts = [
        f"{view.row_name(row)} {signed(found.difference)} ({signed(found.low)} … {signed(found.high)}), "
        f"{verdict(found)}"
        for row in rows
        if (found := view.comparisons.get((row, column)))
    ]
    where = f", {view.column_name(column)}" if view.column_name(column) else ""
    what = f"{METRICS[view.table.metric]} less that of {view.row_name(view.reference)}{where}, with 95 % intervals"
    return f"{what}: {'; '.join(parts) or 'nothing to compare yet'}."


def _differences(
    view: StudyView,
    column: Column,
    found: Sequence[tuple[Label, Comparison]],
    heights: dict[Label, int],
    look: Look,
) -> Trace:
    means = np.array([each.difference for _, each in found])
    return {
        "type": "scatter",
        "x": means,
        "y": [heights[row] for row, _ in found],
        "mode": "markers",
        "marker": {
            "symbol": look.marker,
            "color": look.color,
            "size": 10,
            "line": {"width": 2 if look.marker.endswith("open") else 0},
            "opacity": np.array([1.0 if each.seeds > 1 else 0.5 for _, each in found]),
        },
        "error_x": {
            "array": np.array([each.high for _, each in found]) - means,
            "arrayminus": means - np.array([each.low for _, each in found]),
            "color": look.color,
            "thickness": 2,
            "width": 4,
        },
        "hovertext": [_hover(view, row, column) for row, _ in found],
        "hovertemplate": "%{hovertext}<extra></extra>",
        "showlegend": False,
    }


def _beyond(
    view: StudyView,
    column: Column,
    row: Label,
    found: Comparison,
    height: int,
    ends: tuple[float, float],
    look: Look,
) -> Trace:
    left = found.difference < 0
    return {
        "type": "scatter",
        "x": [ends[0] if left else ends[1]],
        "cliponaxis": False,
        "y": [height],
        "mode": "markers",
        "marker": {"symbol": "triangle-left" if left else "triangle-right", "color": look.color, "size": 11},
        "hovertext": [_hover(view, row, column)],
        "hovertemplate": "%{hovertext}<extra></extra>",
        "showlegend": False,
    }


def _beyond_note(found: Comparison, height: int, ends: tuple[float, float]) -> dict[str, Any]:
    left = found.difference < 0
    text = f"{signed(found.difference)}, off the scale"
    place = (
        {"x": ends[0], "xanchor": "left", "xshift": 16}
        if left
        else {"x": ends[1], "xanchor": "right", "xshift": -16}
    )
    return note(text, y=height, **place)


def _hover(view: StudyView, row: Label, column: Column) -> str:
    text = words.explained(view, row, column, view.table.metric, "test")
    return "<br>".join(plotly_text(line, 90) for line in textwrap.wrap(text, 60))


# --- the seeds behind the means ----------------------------------------------------------------------------------


def strip(
    view: StudyView,
    column: Column,
    rows: Sequence[Label],
    metric: str,
    split: str,
    floor: float | None,
    chosen: tuple[Label, int],
) -> go.Figure:
    """Every run a dot, with mean and standard deviation; the run of the `chosen` row and seed has a ring.

    Points carry the id of their run, the place of their row in the plan, and their seed.
    """
    heights = {row: -place for place, row in enumerate(rows)}
    far = far_off(view, column, rows, metric, split)
    traces: list[dict[str, Any]] = []
    means: list[tuple[int, Spread, str]] = []
    for row in rows:
        entry, height = view.entries[row, column], heights[row]
        if row in far:
            continue
        records = [record for record in entry.records if metric in _of(record, split)]
        if not records:
            continue
        looks = theme.BASE if row == view.reference else Look("", GREY)
        shift = np.linspace(0.2, -0.2, len(records)) if len(records) > 1 else np.zeros(1)
        traces.append(
            {
                "type": "scatter",
                "x": [_of(record, split)[metric] for record in records],
                "y": height + shift,
                "mode": "markers",
                "marker": {"color": theme.rgba(looks.color, 0.75), "size": 8, "symbol": "circle"},
                "customdata": [[record.run, view.rows.index(row), record.seed] for record in records],
                "hovertemplate": f"<b>{plotly_text(view.row_name(row))}</b>, seed %{{customdata[2]}}: %{{x:.3f}}"
                "<br>%{customdata[0]}<extra></extra>",
                "showlegend": False,
            }
        )
        spread = entry.spread(metric, split)
        if spread is not None:
            means.append((height, spread, looks.color))
    for height, spread, color in means:
        traces.append(
            {
                "type": "scatter",
                "x": [spread.mean],
                "y": [height],
                "mode": "markers",
                "marker": {"symbol": "line-ns", "size": 17, "line": {"width": 3, "color": color}},
                "error_x": {"array": [spread.sd or 0.0], "color": color, "thickness": 1.5, "width": 0},
                "hoverinfo": "skip",
                "showlegend": False,
            }
        )
    every = [value for trace in traces for value in trace["x"]]
    traces += _ring(traces, view.rows.index(chosen[0]), chosen[1])
    layout = layout_of(_ROW * len(rows) + 76)
    if floor is not None and every and _is_near(floor, every):
        layout["shapes"] = [rule(x0=floor, x1=floor, yref="paper", y0=0, y1=1)]
        layout["annotations"] = [note("popularity floor", x=floor, y=1, yref="paper", yanchor="bottom")]
        layout["margin"]["t"] = 24
    layout["annotations"] = layout.get("annotations", []) + [
        note(
            f"{spread_words(view.entries[row, column].spread(metric, split))}, off the scale",
            x=x,
            y=heights[row],
            xref="paper",
            xanchor="right" if x else "left",
        )
        for row, x in far.items()
    ]
    layout["xaxis"]["title"] = {"text": f"{METRICS[metric]} on {view.where(split)}", "standoff": 14}
    layout["yaxis"] |= _names([_counted(view, row, column) for row in rows])
    return go.Figure({"data": traces, "layout": layout})


def _is_near(value: float, others: Sequence[float]) -> bool:
    """Whether an axis can hold the value, too, without pressing the others flat."""
    room = 0.6 * (max(others) - min(others) + 0.01)
    return min(others) - room < value < max(others) + room


def far_off(
    view: StudyView, column: Column, rows: Sequence[Label], metric: str, split: str
) -> dict[Label, float]:
    """Rows whose mean is so far from the others that it would press them flat: 0 for far below, 1 for far above."""
    spreads = {row: view.entries[row, column].spread(metric, split) for row in rows}
    means = {row: spread.mean for row, spread in spreads.items() if spread is not None}
    if len(means) < 4:
        return {}
    middle = statistics.median(means.values())
    usual = statistics.median(abs(mean - middle) for mean in means.values())
    usual = max(usual, statistics.median(spread.sd or 0.0 for spread in spreads.values() if spread), 0.004)
    most = FAR * usual
    return {
        row: float(mean > middle)
        for row, mean in means.items()
        if abs(mean - middle) > most and row != view.reference
    }


def _ring(traces: Sequence[Trace], row: int, seed: int) -> list[Trace]:
    """A ring round the dot of this row and seed, if there is one."""
    for trace in traces:
        for x, y, (_, of_row, of_seed) in zip(
            trace["x"], trace["y"], trace.get("customdata", []), strict=False
        ):
            if (of_row, of_seed) == (row, seed):
                mark = {"symbol": "circle-open", "size": 15, "color": theme.D_ADV.color, "line": {"width": 2}}
                shared = {"mode": "markers", "hoverinfo": "skip", "showlegend": False}
                return [{"type": "scatter", "x": [x], "y": [y], "marker": mark} | shared]
    return []


def strip_alt(view: StudyView, column: Column, rows: Sequence[Label], metric: str, split: str) -> str:
    """The same in words."""
    parts = [
        f"{view.row_name(row)} {spread_words(view.entries[row, column].spread(metric, split))}"
        for row in rows
    ]
    what = f"{METRICS[metric]} on {view.where(split)} of every run, a dot each"
    return f"{what}. Mean and standard deviation: {'; '.join(parts)}."


def _counted(view: StudyView, row: Label, column: Column) -> str:
    failed = len(view.entries[row, column].failed)
    return view.row_name(row) + (f" ({failed} diverged)" if failed else "")


# --- shared ------------------------------------------------------------------------------------------------------

LEGEND = {"orientation": "h", "x": 0, "xanchor": "left", "y": 1.02, "yanchor": "bottom", "title": None}


def _of(record: RunRecord, split: str) -> dict[str, float]:
    return record.test if split == "test" else record.valid


def _names(names: Sequence[str]) -> dict[str, Any]:
    """An axis of rows, the first at the top."""
    return {
        "tickvals": [-place for place in range(len(names))],
        "ticktext": [plotly_text(name, NAME + 14) for name in names],
        "range": [-len(names) + 0.4, 0.6],
        "showgrid": False,
    }


def layout_of(height: int) -> dict[str, Any]:
    """What all charts of a study share."""
    return {
        "height": height,
        "margin": {"l": 4, "r": 12, "t": 8, "b": 4},
        "xaxis": {"zeroline": False, "nticks": 6, "automargin": True},
        "yaxis": {"zeroline": False, "automargin": True, "title": None},
        "hoverlabel": {"align": "left", "font": {"size": 12}},
        "hovermode": "closest",
        "dragmode": False,
    }


def rule(**place: Any) -> dict[str, Any]:
    """A dotted line for what a chart is to be read against."""
    return {"type": "line", "line": {"color": theme.rgba(GREY, 0.9), "width": 1.5, "dash": "dot"}} | place


def note(text: str, **place: Any) -> dict[str, Any]:
    """A word in a chart."""
    return {"text": text, "showarrow": False, "font": {"size": 11, "color": GREY}, "borderpad": 1} | place
