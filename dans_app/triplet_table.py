"""The negatives of one triplet as a sentence, a strip of scores and a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from dans_app import shell, theme
from dans_app.map_figure import escape
from dans_app.snapshots import count

if TYPE_CHECKING:
    from dans_core.inspection import Inspection, Row

SOURCES = {"G_E": "fake", "G_R": "fake", "random": "negative"}
_MARKS = {"G_E": ":orange[◆]", "G_R": ":blue[■]", "random": ":gray[✕]"}
_TITLES = {"positive": "Positive", "G_E": "G_E", "G_R": "G_R", "random": "Random"}
_ROW = 62
_LANES = np.array([0.0, 0.22, -0.22, 0.11, -0.11])


def verdicts(inspection: Inspection) -> list[str]:
    """One line on each source, in Markdown: harder than the positive, harder than random, false negatives."""
    return [
        f"{_MARKS[source]} {sentence(source, inspection)}"
        for source in SOURCES
        if any(row.source == source for row in inspection.negatives)
    ]


def sentence(source: str, inspection: Inspection) -> str:
    """ "Of 5 fakes of G_R, 0 outscore the positive, 1 outscores every random negative, 2 are known facts (…)." """
    rows = [row for row in inspection.negatives if row.source == source]
    random = [row.score for row in inspection.negatives if row.source == "random"]
    above = sum(row.score > inspection.positive.score for row in rows)
    known = sum(row.known is not None for row in rows)
    what = (
        count(len(rows), "random negative")
        if source == "random"
        else f"{count(len(rows), 'fake')} of {source}"
    )
    parts = [f"**{above:,}** {'outscores' if above == 1 else 'outscore'} the positive"]
    if source != "random" and random:
        harder = sum(row.score > max(random) for row in rows)
        parts.append(f"**{harder:,}** {'outscores' if harder == 1 else 'outscore'} every random negative")
    false = "is a known fact" if known == 1 else "are known facts"
    note = "" if not known else " (a false negative)" if known == 1 else " (false negatives)"
    parts.append(f"**{known:,}** {false}{note}")
    return f"Of {what}, {parts[0]}, {', '.join(parts[1:])}."


def strip(inspection: Inspection) -> go.Figure:
    """Scores by source, the positive's as a line through all of them; a ring marks a known fact."""
    chart = go.Figure()
    sources = [source for source in SOURCES if any(row.source == source for row in inspection.negatives)]
    places = {source: len(sources) - 1 - i for i, source in enumerate(sources)}
    for source in sources:
        rows = [row for row in inspection.negatives if row.source == source]
        look = theme.BY_SOURCE[source]
        lanes = _LANES[np.arange(len(rows)) % len(_LANES)] if len(rows) > 1 else np.zeros(len(rows))
        known = np.array([row.known is not None for row in rows])
        chart.add_trace(
            go.Scatter(
                x=np.array([row.score for row in rows]),
                y=places[source] + lanes,
                mode="markers",
                name=_TITLES[source],
                marker={"symbol": look.marker, "color": look.color, "size": 10, "opacity": 0.8},
                hovertext=[hover(row) for row in rows],
                hovertemplate="%{hovertext}<extra></extra>",
                customdata=[[source, row.draw, row.nearest_id] for row in rows],
                showlegend=False,
            )
        )
        if known.any():
            chart.add_trace(
                go.Scatter(
                    x=np.array([row.score for row in rows])[known],
                    y=(places[source] + lanes)[known],
                    mode="markers",
                    name="Known fact",
                    marker={
                        "symbol": "circle-open",
                        "color": theme.D_ADV.color,
                        "size": 18,
                        "line": {"width": 2},
                    },
                    hoverinfo="skip",
                    legendgroup="known",
                    showlegend=not any(trace.name == "Known fact" for trace in chart.data),
                )
            )
    chart.add_trace(
        go.Scatter(
            x=np.full(2, inspection.positive.score),
            y=np.array([-0.5, len(sources) - 0.5]),
            mode="lines",
            name="The positive",
            line={"color": theme.POSITIVE.color, "width": 2.5},
            hovertext=[hover(inspection.positive)] * 2,
            hovertemplate="%{hovertext}<extra></extra>",
        )
    )
    chart.update_layout(
        height=_ROW * len(sources) + 92,
        margin={"l": 4, "r": 12, "t": 8, "b": 4},
        legend={"orientation": "h", "x": 0, "xanchor": "left", "y": 1.0, "yanchor": "bottom", "title": None},
        xaxis={"title": {"text": "decoder score (higher: more believed)"}, "zeroline": False},
        yaxis={
            "tickvals": list(places.values()),
            "ticktext": [_TITLES[source] for source in places],
            "range": [-0.55, len(sources) - 0.45],
            "showgrid": False,
            "zeroline": False,
            "title": None,
        },
        hoverlabel={"align": "left", "font": {"size": 12}},
        hovermode="closest",
        dragmode=False,
    )
    return chart


def hover(row: Row) -> str:
    """One negative in a few lines, its names escaped."""
    name = escape(row.nearest)
    if row.source in ("positive", "random"):
        lines = [f"<b>{_TITLES[row.source]}</b>: {name}"]
    else:
        lines = [
            f"<b>Fake from {row.source}</b>",
            f"nearest entity: <b>{name}</b>, cosine {row.cosine:.2f}, length × {row.scale:.2f}",
        ]
    lines.append(f"score {row.score:.2f}" + ("" if row.d_adv is None else f", D_adv {row.d_adv:.2f}"))
    lines.append("not a known fact" if row.known is None else f"known fact ({row.known})")
    return "<br>".join(lines)


def alt(inspection: Inspection) -> str:
    """The strip of scores in words."""
    parts = []
    for source in SOURCES:
        scores = [row.score for row in inspection.negatives if row.source == source]
        if scores:
            parts.append(f"{_TITLES[source]} from {min(scores):.1f} to {max(scores):.1f}")
    return f"Decoder scores. The positive has {inspection.positive.score:.1f}; {'; '.join(parts)}."


def table(inspection: Inspection) -> pd.DataFrame:
    """The positive and then every negative as a row."""
    return pd.DataFrame(
        [
            {
                "source": _TITLES[row.source],
                "nearest entity": row.nearest,
                "score": row.score,
                "against positive": row.score - inspection.positive.score,
                "known fact": row.known or "no",
                "cosine": row.cosine,
                "length": row.scale,
                "D_adv": row.d_adv,
                "D_aux": opinion(row),
            }
            for row in (inspection.positive, *inspection.negatives)
        ]
    )


def opinion(row: Row) -> str:
    """Which pathway D_aux thinks made a fake, and how sure it is; a dash for what no pathway made."""
    if row.d_aux is None or row.source not in ("G_E", "G_R"):
        return "–"
    guess, sure = ("G_R", row.d_aux) if row.d_aux >= 0.5 else ("G_E", 1 - row.d_aux)
    return f"{guess}, {100 * sure:.0f} %"


def known_line(names: tuple[str, str, str], split: str | None) -> str:
    """Whether the triplet itself is a fact, in Markdown; the names are made plain."""
    head, relation, tail = (shell.plain(name, 60) for name in names)
    fact = f"a fact of **{split}**" if split else "**no known fact**; its negatives all the same"
    return f"({head}, {relation}, {tail}) is {fact}."
