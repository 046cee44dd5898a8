"""The degree chart of the Data screen: how many entities stand in how many train triplets."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from dans_app.shared import theme
from dans_app.shared.theme import Look
from dans_data.known import Ids
from dans_lab.survey import Degrees, distribution

WAYS = {"least": "At least so many", "exactly": "Exactly so many"}

_OUT = Look("as head", theme.G_E.color, "circle")
_INTO = Look("as tail", theme.G_R.color, "diamond", "7 3")
_BOTH = Look("either", theme.D_ADV.color, "square-open", "2 3")


def points(of: Ids, way: str) -> tuple[Ids, Ids]:
    """Degrees, ascending, and how many entities have each, or at least each."""
    degree, entities = distribution(of)
    return degree, entities if way == "exactly" else np.cumsum(entities[::-1])[::-1]


def degrees(found: Degrees, way: str) -> go.Figure:
    """The chart; both axes are logarithmic, since most entities have few triplets and a few have very many."""
    traces = []
    for look, of in ((_OUT, found.out), (_INTO, found.into), (_BOTH, found.both)):
        degree, entities = points(of, way)
        word = "entities with exactly" if way == "exactly" else "entities with at least"
        traces.append(
            {
                "type": "scatter",
                "mode": "markers" if way == "exactly" else "lines+markers",
                "name": look.name,
                "x": degree,
                "y": entities,
                "marker": {"symbol": look.marker, "color": look.color, "size": 6, "opacity": 0.85},
                "line": {"color": look.color, "dash": theme.plotly_dash(look), "width": 1.5},
                "hovertemplate": f"%{{y:,}} {word} %{{x:,}} triplets, {look.name}<extra></extra>",
            }
        )
    low = min(int(of[of > 0].min()) for of in (found.out, found.into))
    top = max(int(found.both.max()), 2)
    return go.Figure(
        {
            "data": traces,
            "layout": {
                "height": 330,
                "margin": {"l": 4, "r": 12, "t": 8, "b": 4},
                "xaxis": _axis("train triplets of an entity", low, top),
                "yaxis": _axis("entities", 1, max(len(found.out), 2)),
                "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "title": None},
                "hoverlabel": {"align": "left", "font": {"size": 12}},
                "hovermode": "closest",
                "dragmode": False,
            },
        }
    )


def alt(found: Degrees, way: str) -> str:
    """The same in words."""
    parts = []
    for name, of in (("head", found.out), ("tail", found.into)):
        some = of[of > 0]
        parts.append(
            f"as {name}, {len(some):,} entities have at least 1, {int((of >= 10).sum()):,} at least 10, "
            f"{int((of >= 100).sum()):,} at least 100, and the highest has {int(of.max()):,}"
        )
    return f"How many entities stand in {WAYS[way].lower()} train triplets: {'; '.join(parts)}."


def _axis(name: str, low: int, top: int) -> dict[str, object]:
    """A logarithmic axis from below `low` to above `top`, marked at 1, 10, 100 …, and between where it is short."""
    steps = (1,) if top >= 1000 * low else (1, 2, 5) if top >= 10 * low else range(1, 10)
    marks = [step * 10**power for power in range(8) for step in steps]
    marks = [mark for mark in marks if 0.8 * low <= mark <= 1.3 * top]
    return {
        "title": {"text": name, "standoff": 14},
        "type": "log",
        "range": [float(np.log10(low)) - 0.12, float(np.log10(top)) + 0.12],
        "tickvals": marks,
        "ticktext": [f"{mark:,}" for mark in marks],
        "zeroline": False,
        "automargin": True,
    }
