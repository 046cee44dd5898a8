"""The sum behind one score, opened up: the formula, what each coordinate adds, and the largest terms in numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt
import pandas as pd
import plotly.graph_objects as go
import streamlit as st
from plotly.subplots import make_subplots

from dans_app.shared import theme
from dans_app.shared.theme import Look
from dans_data.words import number

if TYPE_CHECKING:
    from dans_lab.inspection import Arithmetic

LARGEST = 8
"""Terms written out in numbers."""


def order(sums: Arithmetic) -> npt.NDArray[np.int64]:
    """Coordinates, first those in which the two scores differ most."""
    return np.argsort(-np.abs(sums.positive_terms - sums.negative_terms), kind="stable")


def totals(sums: Arithmetic) -> tuple[float, float]:
    """The scores of the positive and of the negative: `offset` and all terms."""
    offset = float(sums.offset)
    return offset + float(sums.positive_terms.sum()), offset + float(sums.negative_terms.sum())


def figure(sums: Arithmetic, look: Look, name: str) -> go.Figure:
    """Above, what each coordinate adds to both scores; below, the sums so far, which end in the scores."""
    chart = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.06, row_heights=[0.55, 0.45])
    places = order(sums)
    steps = np.arange(1, len(places) + 1)
    for terms, drawn, label in (
        (sums.positive_terms, theme.POSITIVE, "The positive"),
        (sums.negative_terms, look, name),
    ):
        values = terms[places]
        chart.add_bar(
            x=steps,
            y=values,
            name=label,
            marker={"color": drawn.color, "line": {"width": 0}},
            customdata=places + 1,
            hovertemplate="coordinate %{customdata}: %{y:+.3f}<extra></extra>",
            legendgroup=label,
            row=1,
            col=1,
        )
        chart.add_scatter(
            x=np.concatenate([[0], steps]),
            y=float(sums.offset) + np.concatenate([[0.0], np.cumsum(values)]),
            mode="lines",
            name=label,
            line={
                "color": drawn.color,
                "width": 2.5,
                "dash": "solid" if drawn is theme.POSITIVE else "5px,3px",
            },
            hovertemplate="after %{x} terms: %{y:.2f}<extra></extra>",
            legendgroup=label,
            showlegend=False,
            row=2,
            col=1,
        )
    ends = totals(sums)
    for total, drawn in zip(ends, (theme.POSITIVE, look), strict=True):
        # Above and below, so that two that are alike can both be read.
        shift = 8 if total == max(ends) else -8
        chart.add_annotation(
            x=len(places), y=total, xref="x2", yref="y2", text=f"<b>{total:.2f}</b>".replace("-", "−"), showarrow=False,
            xanchor="left", xshift=4, yshift=shift, font={"color": drawn.color, "size": 13},
        )  # fmt: skip
    chart.update_layout(
        height=430,
        barmode="group",
        bargap=0.15,
        bargroupgap=0,
        margin={"l": 4, "r": 48, "t": 8, "b": 4},
        legend={"orientation": "h", "x": 0, "xanchor": "left", "y": 1.0, "yanchor": "bottom", "title": None},
        hoverlabel={"align": "left", "font": {"size": 12}},
        dragmode=False,
    )
    chart.update_xaxes(showgrid=False, zeroline=False, range=[-0.5, len(places) + 0.75])
    chart.update_xaxes(title={"text": "coordinates, first those that differ most"}, row=2, col=1)
    chart.update_yaxes(title={"text": "adds"}, row=1, col=1)
    chart.update_yaxes(title={"text": "sum so far"}, row=2, col=1)
    return chart


def table(sums: Arithmetic, largest: int | None = LARGEST) -> pd.DataFrame:
    """The terms that differ most in numbers, the rest as one row, and the scores they add up to.

    None for `largest` gives all terms.
    """
    places = order(sums)
    shown, rest = places[:largest], places[len(places[:largest]) :]
    records = [
        {
            "coordinate": str(i + 1),
            "h": coordinate(sums.h[i]),
            "r": coordinate(sums.r[i]),
            "t": coordinate(sums.positive[i]),
            "term": float(sums.positive_terms[i]),
            "t of the negative": coordinate(sums.negative[i]),
            "term of the negative": float(sums.negative_terms[i]),
        }
        for i in shown
    ]

    def line(what: str, positive: float, negative: float) -> None:
        records.append(
            {"coordinate": what, "h": "", "r": "", "t": "", "term": positive}
            | {"t of the negative": "", "term of the negative": negative}
        )

    if len(rest):
        line(
            f"{len(rest):,} more",
            float(sums.positive_terms[rest].sum()),
            float(sums.negative_terms[rest].sum()),
        )
    if sums.offset:
        line("γ", float(sums.offset), float(sums.offset))
    line("score", *totals(sums))
    return pd.DataFrame(records)


def columns() -> dict[str, Any]:
    """How the columns of the table are headed and explained."""
    column = st.column_config
    return {
        "coordinate": column.TextColumn("i", width="small", pinned=True, help="The coordinate."),
        "h": column.TextColumn("hᵢ"),
        "r": column.TextColumn("rᵢ"),
        "t": column.TextColumn("tᵢ", help="Of the positive."),
        "term": column.NumberColumn("Adds", width="small", format="%+.3f", help="To the positive’s score."),
        "t of the negative": column.TextColumn("tᵢ, negative"),
        "term of the negative": column.NumberColumn(
            "Adds, negative", width="small", format="%+.3f", help="To the negative’s score."
        ),
    }


def coordinate(value: complex | float | np.generic) -> str:
    """A coordinate as it is read: "0.31", or "0.31 − 0.20i" for a complex one."""
    if not np.iscomplexobj(value):
        return number(float(cast("float", value)), 2)
    whole = complex(value)
    sign = "−" if whole.imag < 0 else "+"
    return f"{number(whole.real, 2)} {sign} {number(abs(whole.imag), 2)}i"


def alt(sums: Arithmetic, name: str) -> str:
    """The chart in words."""
    positive, negative = totals(sums)
    first = int(order(sums)[0])
    return (
        f"Terms of two scores over {len(sums.positive_terms):,} coordinates. They differ most in {first + 1}: "
        f"{sums.positive_terms[first]:+.2f} for the positive and {sums.negative_terms[first]:+.2f} for {name}. "
        f"The sums end at {positive:.2f} and {negative:.2f}."
    )
