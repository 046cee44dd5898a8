"""The charts of the Diagnostics screen: troubles, how hard the negatives are, and a curve of each other figure."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go

from dans_app.diagnostics.panels import Floats, Panel
from dans_app.diagnostics.words import OF_D, TROUBLES, Span, percent, title
from dans_app.shared import theme
from dans_app.shared.theme import Look
from dans_app.shared.words import plotly_text
from dans_core.events import Diagnostics, Quantiles

_POSITIVES = Look("Positives", theme.POSITIVE.color)
_GREY = theme.RANDOM.color
_BAR = 0.4
_SMALL = 250


@dataclass(frozen=True)
class EpochAxis:
    """The epochs below every chart: the last one drawn, those of warm-up, and the one that is marked."""

    last: int
    warm_up: int = 0
    marked: int | None = None


# --- curves ----------------------------------------------------------------------------------------------------


def curves(panel: Panel, diagnosed: Sequence[int], axis: EpochAxis) -> go.Figure:
    """The chart of one panel."""
    form = ":.1%" if panel.percent else ":.3~g"
    traces = [
        _line(line.name, line.look, diagnosed, line.values, form, line.dash) | {"connectgaps": False}
        for line in panel.lines
    ]
    values = np.concatenate([line.values for line in panel.lines])
    top = float(np.nanmax(values)) if len(values) else 0.0
    layout = _layout(axis, height=_SMALL)
    layout["yaxis"] |= {
        "tickformat": ".0%" if panel.percent and top > 0.05 else ".1%" if panel.percent else "",
        "rangemode": "tozero",
    }
    if panel.rule is not None:
        height, name = panel.rule
        layout["shapes"].append(_rule(y0=height, y1=height, xref="paper", x0=0, x1=1))
        layout["annotations"].append(_note(name, x=1, y=height, xref="paper", xanchor="right"))
    return go.Figure({"data": traces, "layout": layout})


def curves_alt(panel: Panel, diagnosed: Sequence[int], epoch: int) -> str:
    """What a panel shows at an epoch, in a sentence."""
    place = list(diagnosed).index(epoch)
    shown = [
        f"{line.name} {percent(value) if panel.percent else f'{value:.3g}'}"
        for line in panel.lines
        if np.isfinite(value := line.values[place])
    ]
    return f"{panel.title}, by epoch. At epoch {epoch:,}: {', '.join(shown) or 'nothing measured'}."


# --- hardness --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Band:
    """Scores of one source by epoch: five quantiles (n, 5), or NaN with the mean alone in the middle."""

    name: str
    look: Look
    quantiles: Floats

    @property
    def whole(self) -> bool:
        """Whether there is more than the middle."""
        return bool(np.isfinite(self.quantiles[:, 0]).any())


def bands(diagnoses: Sequence[Diagnostics], against: bool, sampler: str = "") -> list[Band]:
    """Scores of positives and of each source of negatives, or what the negatives' lie above the positive's.

    A diagnosis of an earlier version has means alone.
    """

    def rows(read: Callable[[Diagnostics], tuple[Quantiles | None, float] | None]) -> Floats:
        out = np.full((len(diagnoses), 5), np.nan)
        for place, found in enumerate(diagnoses):
            if (answer := read(found)) is not None:
                quantiles, mean = answer
                out[place] = quantiles or (np.nan, np.nan, mean, np.nan, np.nan)
        return out

    def side(key: str) -> Floats:
        def read(found: Diagnostics) -> tuple[Quantiles | None, float] | None:
            health = getattr(found, key)
            if health is None:
                return None
            if against:
                return health.hardness, health.mean_score - found.positive_score
            return health.scores, health.mean_score

        return rows(read)

    def random(found: Diagnostics) -> tuple[Quantiles | None, float]:
        if against:
            return found.random_hardness, found.random_score - found.positive_score
        return found.random_scores, found.random_score

    own = theme.own_negatives(sampler)
    made = [
        Band("Positives", _POSITIVES, rows(lambda found: (found.positive_scores, found.positive_score))),
        Band("Random", theme.RANDOM, rows(random)),
        Band("G_E", theme.G_E, side("g_e")),
        Band("G_R", theme.G_R, side("g_r")),
        Band(own.name, own, side("sampled")),
    ]
    return [band for band in made[int(against) :] if np.isfinite(band.quantiles[:, 2]).any()]


def hardness(found: Sequence[Band], diagnosed: Sequence[int], axis: EpochAxis, against: bool) -> go.Figure:
    """Bands of 5 to 95 % and of 25 to 75 % with the median as a line; the legend hides a source with its bands."""
    traces: list[dict[str, Any]] = []
    x = np.asarray(diagnosed)
    for band in found:
        for low, high, alpha in ((0, 4, 0.10), (1, 3, 0.20)):
            there = np.isfinite(band.quantiles[:, low])
            if there.any():
                traces.append(
                    {
                        "type": "scatter",
                        "x": np.concatenate([x[there], x[there][::-1]]),
                        "y": np.concatenate([band.quantiles[there, high], band.quantiles[there, low][::-1]]),
                        "fill": "toself",
                        "fillcolor": theme.rgba(band.look.color, alpha),
                        "line": {"width": 0},
                        "mode": "lines",
                        "hoverinfo": "skip",
                        "legendgroup": band.name,
                        "showlegend": False,
                    }
                )
    for band in found:
        line = _line(band.name, band.look, diagnosed, band.quantiles[:, 2], ":.2f") | {
            "legendgroup": band.name
        }
        if band.whole:
            line["customdata"] = band.quantiles[:, [0, 4]]
            line["hovertemplate"] = "%{y:.2f} (%{customdata[0]:.1f} to %{customdata[1]:.1f})"
        traces.append(line)
    layout = _layout(axis, height=380)
    layout["yaxis"]["title"] = {"text": "score minus the positive’s" if against else "decoder score"}
    if against:
        layout["shapes"].append(_rule(y0=0, y1=0, xref="paper", x0=0, x1=1))
        layout["annotations"].append(_note("the positive", x=1, y=0, xref="paper", xanchor="right"))
    return go.Figure({"data": traces, "layout": layout})


def hardness_alt(found: Sequence[Band], diagnosed: Sequence[int], epoch: int, against: bool) -> str:
    """What the bands show at an epoch, in a sentence."""
    place = list(diagnosed).index(epoch)
    parts = []
    for band in found:
        low, _, middle, _, high = band.quantiles[place]
        if np.isfinite(low):
            parts.append(f"{band.name} median {middle:.2f}, from {low:.2f} to {high:.2f}")
        elif np.isfinite(middle):
            parts.append(f"{band.name} mean {middle:.2f}")
    what = "Scores minus the positive’s" if against else "Decoder scores"
    return f"{what}, by epoch. At epoch {epoch:,}: {'; '.join(parts)}."


# --- when something was wrong ----------------------------------------------------------------------------------


def timeline(
    spans: Sequence[Span], now: int, axis: EpochAxis, watched: Iterable[str] = TROUBLES
) -> go.Figure:
    """A lane for each trouble, in it a bar for each time it lasted; what goes on reaches to epoch `now`."""
    lanes = list(dict.fromkeys([*watched, *(span.warning.code for span in spans)]))
    traces = []
    for pathway, look, shift in (
        ("G_E", theme.G_E, 0.22),
        ("G_R", theme.G_R, -0.22),
        (None, theme.D_ADV, 0.0),
    ):
        own = [span for span in spans if span.warning.pathway == pathway]
        # One that has only begun is drawn as a sliver, else nobody sees it.
        lengths = [max((now if s.end is None else s.end) - s.begin, axis.last / 150) for s in own]
        traces.append(
            {
                "type": "bar",
                "orientation": "h",
                "base": [span.begin for span in own],
                "x": lengths,
                "y": [len(lanes) - 1 - lanes.index(span.warning.code) + shift for span in own],
                "width": _BAR,
                "marker": {"color": look.color, "line": {"width": 0}},
                "text": [
                    _whose(span) if length > 0.1 * axis.last else ""
                    for span, length in zip(own, lengths, strict=True)
                ],
                "textposition": "inside",
                "insidetextanchor": "start",
                "textfont": {"color": "#FFFFFF", "size": 11},
                "textangle": 0,
                "hovertext": [_hover(span) for span in own],
                "hovertemplate": "%{hovertext}<extra></extra>",
                "showlegend": False,
            }
        )
    layout = _layout(axis, height=42 * len(lanes) + 50) | {"barmode": "overlay", "hovermode": "closest"}
    layout["yaxis"] |= {
        "tickvals": list(range(len(lanes))),
        "ticktext": [plotly_text(TROUBLES.get(code, code)) for code in reversed(lanes)],
        "range": [-0.55, len(lanes) - 0.45],
        "showgrid": False,
    }
    layout["shapes"] += [
        _rule(y0=height + 0.5, y1=height + 0.5, xref="paper", x0=0, x1=1, width=0.5, dash="solid")
        for height in range(-1, len(lanes))
    ]
    return go.Figure({"data": traces, "layout": layout})


def _whose(span: Span) -> str:
    return span.warning.pathway or ("D" if span.warning.code in OF_D else "")


def timeline_alt(spans: Sequence[Span]) -> str:
    """The lanes in a sentence."""
    parts = [f"{title(span.warning)}, {span.words}" for span in spans]
    return f"Troubles by epoch: {'; '.join(parts) or 'none so far'}."


def _hover(span: Span) -> str:
    words = textwrap.wrap(span.warning.message[:400], 60)
    head = f"<b>{plotly_text(title(span.warning))}</b>, {span.words}"
    return "<br>".join([head, *(plotly_text(line, 80) for line in words)])


# --- shared ----------------------------------------------------------------------------------------------------


def _line(
    name: str, look: Look, diagnosed: Sequence[int], values: Floats, form: str, dash: str | None = None
) -> dict[str, Any]:
    return {
        "type": "scatter",
        "x": np.asarray(diagnosed),
        "y": values,
        "name": name,
        "mode": "lines+markers",
        "line": {"color": look.color, "width": 2, "dash": dash or theme.plotly_dash(look)},
        "marker": {"symbol": look.marker, "color": look.color, "size": 7, "maxdisplayed": 8},
        "hovertemplate": f"%{{y{form}}}",
    }


def _layout(axis: EpochAxis, height: int) -> dict[str, Any]:
    """What all charts share: the epochs below, the legend above, the warm-up and the marked epoch."""
    shapes, notes = [], []
    if axis.warm_up:
        shapes.append(
            {
                "type": "rect",
                "x0": 0,
                "x1": min(axis.warm_up, axis.last),
                "yref": "paper",
                "y0": 0,
                "y1": 1,
                "fillcolor": theme.rgba(_GREY, 0.10),
                "line": {"width": 0},
                "layer": "below",
            }
        )
        # In a small chart the word would stand on the curves.
        if height > _SMALL:
            notes.append(_note("warm-up", x=0, y=1, yref="paper", xanchor="left", yanchor="top"))
    if axis.marked is not None:
        shapes.append(_rule(x0=axis.marked, x1=axis.marked, yref="paper", y0=0, y1=1, width=2, dash="dot"))
    return {
        "height": height,
        "margin": {"l": 4, "r": 8, "t": 8, "b": 4},
        "legend": {
            "orientation": "h",
            "x": 0,
            "xanchor": "left",
            "y": 1.02,
            "yanchor": "bottom",
            "title": None,
        },
        "xaxis": {
            "range": [0, 1.02 * max(axis.last, 1)],
            "title": {"text": "epoch", "standoff": 14},
            "zeroline": False,
            "showgrid": False,
            "nticks": 7,
            "unifiedhovertitle": {"text": "epoch %{x:,d}"},
        },
        "yaxis": {"zeroline": False, "title": None, "nticks": 6, "automargin": True},
        "shapes": shapes,
        "annotations": notes,
        "hovermode": "x unified",
        "hoverlabel": {"align": "left", "font": {"size": 12}},
        "dragmode": False,
    }


def _rule(width: float = 1.5, dash: str = "dash", **place: Any) -> dict[str, Any]:
    return {"type": "line", "line": {"color": theme.rgba(_GREY, 0.8), "width": width, "dash": dash}} | place


def _note(text: str, yanchor: str = "bottom", **place: Any) -> dict[str, Any]:
    return {
        "text": text,
        "showarrow": False,
        "font": {"size": 11, "color": _GREY},
        "yanchor": yanchor,
        "borderpad": 1,
    } | place
