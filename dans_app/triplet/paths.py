"""How the kept negatives of one query moved over the snapshots of a run: scores, nearest entities, D's opinions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st
from plotly.subplots import make_subplots

from dans_app.server import loading
from dans_app.shared import negatives, theme
from dans_app.shared.words import plotly_text
from dans_app.triplet.table import look, title
from dans_core.kg import KnowledgeGraph
from dans_data.errors import InputError
from dans_data.stamps import Stamp, stamp
from dans_lab.runs.frames import Frame
from dans_lab.runs.run import Run

MOST_SNAPSHOTS = 60
"""Of a run with more, so many are read, evenly over its epochs."""

CHECK = "✓ "
"""Before the name of a known fact."""

_PATHWAYS = ("G_E", "G_R")
_LETTERS = 150


@dataclass(frozen=True)
class Moment:
    """One of the kept points of a query at one snapshot.

    Attributes:
        source: "positive", "random", "G_E" or "G_R".
        nearest: id of the nearest entity by cosine, or of the entity itself; `cosine` to it.
        score: the decoder's score for the query.
        d_adv, d_aux: probability "real" and "made by G_R" by D; NaN without a GAN, d_aux of an entity and without
            D_aux too.
        known: the split in which query and nearest entity are a fact, or None.
    """

    epoch: int
    source: str
    nearest: int
    cosine: float
    score: float
    d_adv: float
    d_aux: float
    known: str | None


def chosen(epochs: Sequence[int]) -> list[int]:
    """The epochs to read: all of a few, else `MOST_SNAPSHOTS` evenly, the first and the last among them."""
    if len(epochs) <= MOST_SNAPSHOTS:
        return list(epochs)
    places = np.linspace(0, len(epochs) - 1, MOST_SNAPSHOTS).round().astype(int)
    return [epochs[place] for place in places]


def place_of(frame: Frame, head: int, relation: int) -> int | None:
    """The row of a query in a snapshot, or None where the snapshot keeps other queries only."""
    found = np.flatnonzero((frame.queries == (head, relation)).all(axis=1))
    return int(found[0]) if len(found) else None


def kept(frame: Frame, head: int, relation: int) -> tuple[int, int, int] | None:
    """A query that the snapshot keeps, with its answer: of the same relation, else of the same head, else any."""
    if not len(frame.queries):
        return None
    like = 2 * (frame.queries[:, 1] == relation) + (frame.queries[:, 0] == head)
    place = int(like.argmax())
    return int(frame.queries[place, 0]), int(frame.queries[place, 1]), int(frame.answers[place])


def moments(frame: Frame, kg: KnowledgeGraph, head: int, relation: int) -> tuple[Moment, ...]:
    """What one snapshot keeps of a query: the positive, a fake of each pathway that there is, the random entity."""
    place = place_of(frame, head, relation)
    if place is None:
        return ()

    def of_entity(source: str, entity: int, score: float) -> Moment:
        return moment(source, entity, 1.0, score, float(frame.d_entities[frame.rows_of(entity)]), np.nan)

    def of_fake(source: str, at: int, score: float, d_adv: float, d_aux: float) -> Moment:
        nearest, cosine = frame.nearest(source, np.array([at]))
        return moment(source, int(nearest[0]), float(cosine[0]), score, d_adv, d_aux)

    def moment(source: str, nearest: int, cosine: float, score: float, d_adv: float, d_aux: float) -> Moment:
        known = kg.split_of(head, relation, nearest)
        return Moment(frame.epoch, source, nearest, cosine, float(score), float(d_adv), float(d_aux), known)

    found = [of_entity("positive", int(frame.answers[place]), frame.score_true[place])]
    of_head = np.flatnonzero(frame.heads_e == head)
    if len(of_head):
        e = int(of_head[0])
        found.append(of_fake("G_E", e, frame.score_e[place], frame.d_fakes_e[e], frame.aux_fakes_e[e]))
    if "G_R" in frame.pathways:
        found.append(
            of_fake(
                "G_R",
                place,
                frame.score_r[place],
                frame.d_fakes_r[place],
                frame.aux_fakes_r[place],
            )
        )
    return (*found, of_entity("random", int(frame.random[place]), frame.score_random[place]))


def path(run: Run, kg: KnowledgeGraph, head: int, relation: int, epochs: Sequence[int]) -> list[Moment]:
    """The moments of a query at these snapshots, in the order of epochs; each is computed once.

    Raises InputError where a snapshot is gone or damaged.
    """
    files = dict(run.snapshots())
    found: list[Moment] = []
    for epoch in epochs:
        writing = stamp(files[epoch]) if epoch in files else None
        if writing is None:
            raise InputError(f"that of epoch {epoch:,} is gone")
        found += _moments(str(run.path), epoch, writing, kg.hash, head, relation, run, kg)
    return found


@st.cache_resource(max_entries=4096, show_spinner=False)
def _moments(
    run_path: str,
    epoch: int,
    writing: Stamp,
    graph_hash: str,
    head: int,
    relation: int,
    _run: Run,
    _kg: KnowledgeGraph,
) -> tuple[Moment, ...]:
    return moments(loading.frame(_run, epoch, _kg), _kg, head, relation)


# --- the picture and the table ---------------------------------------------------------------------------------


def figure(found: Sequence[Moment], kg: KnowledgeGraph, warm_up: int) -> go.Figure:
    """Score against epoch, a line for each source; under it, which entity is nearest to each pathway's fake, and when.

    `warm_up` is the last epoch without a GAN, 0 for a run that has none.
    """
    by_source = {
        source: [moment for moment in found if moment.source == source]
        for source in dict.fromkeys(moment.source for moment in found)
    }
    pathways = [source for source in reversed(_PATHWAYS) if source in by_source]
    bars = 36 * len(pathways)
    chart = make_subplots(
        rows=2 if pathways else 1,
        cols=1,
        shared_xaxes=True,
        vertical_spacing=0.04,
        row_heights=[300, bars] if pathways else None,
    )
    for source, points in by_source.items():
        drawn = look(source)
        chart.add_scatter(
            x=np.array([point.epoch for point in points]),
            y=np.array([point.score for point in points]),
            mode="lines+markers",
            name=title(source),
            line={"color": drawn.color, "width": 2, "dash": theme.plotly_dash(drawn)},
            marker={"symbol": drawn.marker, "color": drawn.color, "size": 8},
            hovertext=[hover(point, kg) for point in points],
            hovertemplate="%{hovertext}<extra></extra>",
            row=1,
            col=1,
        )
    for source in pathways:
        _add_bar(chart, by_source[source], kg)
    if warm_up:
        chart.add_vline(x=warm_up, line={"color": theme.RANDOM.color, "width": 1, "dash": "dot"})
        chart.add_annotation(
            x=warm_up, y=1, yref="y domain", yanchor="top", xanchor="left", xshift=3, showarrow=False,
            text="the GAN begins", font={"size": 11, "color": theme.RANDOM.color},
        )  # fmt: skip
    chart.update_layout(
        height=372 + bars,
        barmode="overlay",
        bargap=0.15,
        margin={"l": 4, "r": 12, "t": 8, "b": 4},
        legend={"orientation": "h", "x": 0, "xanchor": "left", "y": 1.0, "yanchor": "bottom", "title": None},
        # A name that does not fit its bar is left to the hover text.
        uniformtext={"minsize": 10, "mode": "hide"},
        hoverlabel={"align": "left", "font": {"size": 12}},
        hovermode="closest",
        dragmode=False,
    )
    chart.update_xaxes(zeroline=False)
    chart.update_xaxes(title={"text": "epoch"}, row=2 if pathways else 1, col=1)
    chart.update_yaxes(title={"text": "decoder score"}, zeroline=False, row=1, col=1)
    if pathways:
        chart.update_yaxes(showgrid=False, title=None, row=2, col=1)
    return chart


def _add_bar(chart: go.Figure, points: Sequence[Moment], kg: KnowledgeGraph) -> None:
    """One bar for each stretch of snapshots with the same nearest entity; it ends half way to the next snapshot."""
    epochs = np.array([point.epoch for point in points], dtype=float)
    nearest = np.array([point.nearest for point in points])
    halves = np.concatenate([epochs[:1], (epochs[1:] + epochs[:-1]) / 2, epochs[-1:] + (len(epochs) == 1)])
    starts = np.concatenate([[0], np.flatnonzero(np.diff(nearest)) + 1, [len(nearest)]])
    widths = np.diff(halves[starts])
    drawn, parts = look(points[0].source), [points[i] for i in starts[:-1]]
    names = [plotly_text(kg.entities[part.nearest]) for part in parts]
    # As many letters as a wide screen has room for.
    fitting = np.maximum(4, _LETTERS * widths / widths.sum()).astype(int)
    chart.add_bar(
        orientation="h",
        y=[title(points[0].source)] * len(names),
        base=halves[starts[:-1]],
        x=widths,
        text=[
            ("" if part.known is None else CHECK) + plotly_text(kg.entities[part.nearest], letters)
            for part, letters in zip(parts, fitting.tolist(), strict=True)
        ],
        textposition="inside",
        insidetextanchor="start",
        textangle=0,
        marker={"color": drawn.color, "line": {"color": "white", "width": 1}},
        hovertext=[
            f"<b>{name}</b> is nearest to the fake of {title(points[0].source)}<br>"
            f"at the snapshots of epochs {epochs[first]:,.0f} to {epochs[last - 1]:,.0f}<br>{_fact(part.known)}"
            for name, part, first, last in zip(names, parts, starts[:-1], starts[1:], strict=True)
        ],
        hovertemplate="%{hovertext}<extra></extra>",
        showlegend=False,
        row=2,
        col=1,
    )


def hover(moment: Moment, kg: KnowledgeGraph) -> str:
    """One point in a few lines, its names escaped."""
    name = plotly_text(kg.entities[moment.nearest])
    lines = [f"<b>{title(moment.source)}</b>, epoch {moment.epoch:,}: score {moment.score:.2f}"]
    if moment.source in _PATHWAYS:
        lines.append(f"nearest entity: <b>{name}</b>, cosine {moment.cosine:.2f}")
    else:
        lines.append(f"<b>{name}</b>")
    if not np.isnan(moment.d_adv):
        lines.append(f"D_adv {moment.d_adv:.2f}")
    return "<br>".join([*lines, _fact(moment.known)])


def _fact(known: str | None) -> str:
    return "not a known fact" if known is None else f"known fact ({known})"


def table(found: Sequence[Moment], kg: KnowledgeGraph) -> pd.DataFrame:
    """One row for each snapshot and source, newest first."""
    return pd.DataFrame(
        [
            {
                "epoch": moment.epoch,
                "source": title(moment.source),
                "nearest entity": kg.entities[moment.nearest],
                "cosine": moment.cosine,
                "score": moment.score,
                "known fact": moment.known or "no",
                "D_adv": moment.d_adv,
                "D_aux": moment.d_aux,
            }
            for moment in sorted(found, key=lambda moment: -moment.epoch)
        ]
    )


def columns() -> dict[str, Any]:
    """How the columns of the table are headed and explained."""
    column = st.column_config
    return negatives.columns() | {
        "epoch": column.NumberColumn("Epoch", pinned=True),
        "source": "Source",
        "score": column.NumberColumn(
            "Score", format="%.2f", help="By the decoder, rounded as the snapshot keeps it."
        ),
        "D_aux": column.NumberColumn(
            "D_aux", format="%.2f", help="The probability, by D, that G_R made this fake."
        ),
    }


def alt(found: Sequence[Moment], kg: KnowledgeGraph) -> str:
    """The lines in words: where each begins and ends."""
    parts = []
    for source in dict.fromkeys(moment.source for moment in found):
        points = [moment for moment in found if moment.source == source]
        first, last = points[0], points[-1]
        parts.append(
            f"{title(source)} from {first.score:.1f} at epoch {first.epoch:,}, nearest {kg.entities[first.nearest]}, "
            f"to {last.score:.1f} at epoch {last.epoch:,}, nearest {kg.entities[last.nearest]}"
        )
    return f"Scores over the snapshots: {'; '.join(parts)}."
