"""How far a probability can be trusted, as a chart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dans_app.server.inspecting import Reliability
from dans_app.shared import theme

if TYPE_CHECKING:
    import plotly.graph_objects as go


def reliability(found: Reliability) -> go.Figure:
    """The share of facts of valid against the mean probability, bin by bin; points on the line keep their promise."""
    import plotly.graph_objects as go

    figure = go.Figure()
    figure.add_scatter(
        x=[0, 1],
        y=[0, 1],
        mode="lines",
        line={"color": theme.FLOOR.color, "dash": "dot"},
        name="as promised",
        hoverinfo="skip",
    )
    figure.add_scatter(
        x=found.predicted,
        y=found.observed,
        customdata=found.answers,
        mode="lines+markers",
        line={"color": theme.BASE.color},
        marker={"symbol": theme.BASE.marker, "size": 9},
        name="valid",
        hovertemplate="promised %{x:.2f}<br>facts %{y:.2f}<br>%{customdata:,.0f} answers<extra></extra>",
    )
    axis = {"range": [-0.02, 1.02], "tickformat": ".1f"}
    figure.update_layout(
        height=300,
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        showlegend=False,
        xaxis={"title": "Probability that was promised", **axis},
        yaxis={"title": "Share that were facts", **axis},
    )
    return figure
