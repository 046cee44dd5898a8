"""What a run proposes as tails of one query: the foremost entities as a chart and a table, and the whole in words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from dans_app.shared import theme
from dans_app.shared.theme import Look
from dans_app.shared.words import markdown_text, plotly_text
from dans_core.config import Config
from dans_core.kg import KnowledgeGraph
from dans_data.words import rough, share, signed

if TYPE_CHECKING:
    from dans_app.server.inspecting import Foremost
    from dans_lab.inspection import ProposalFigures

_MIXED = Look("m, drawn from", theme.SAMPLER.color, theme.SAMPLER.marker)
_BELIEFS = Look("p, the decoder’s belief", theme.BASE.color, theme.BASE.marker)
_WEIGHTS = Look("weight in the loss", theme.BASE.color, f"{theme.BASE.marker}-open")
_PATHWAYS = {"G_E": "q_E", "G_R": "q_R"}
_NAMES = {"mixture": "mixture", "random": "random"}

_ROW = 27
_LEAST = 1e-3
"""Of the chance of a random draw: smaller ones are left out of the chart, as nothing is."""

HELP = (
    "A fake is read as a proposal, a distribution q over all entities: those that lie in its direction have a large "
    "chance. Negatives are drawn from m, a mixture of the proposals and uniform chances. The decoder’s belief p is "
    "what proposals should be like. What a negative counts in the loss follows from its score, not from m: weights "
    "make up for how it was drawn."
)


def formula(config: Config) -> str:
    """How q and m are made in this run, in Markdown."""
    each = (1 - config.random_share) / len(config.fakes)
    parts = [*(f"{each:.3g} {_PATHWAYS[name]}" for name in config.fakes), f"{config.random_share:.3g} / N"]
    return (
        f"q(t) is the softmax of cos(fake, t) / {config.tau:g} over all entities t, for the fake of draw 1; m = "
        f"{' + '.join(parts)}."
    ).replace("_", "\\_")


# --- the whole in words ----------------------------------------------------------------------------------------


def lines(figures: Sequence[ProposalFigures], num_entities: int) -> list[str]:
    """Spread, closeness to the decoder, known facts and what each pathway adds; a line of Markdown each."""
    *made, random = figures
    adds = [f"{_called(of)} **{signed(of.adds, 2)}**" for of in made if of.adds is not None]
    return [
        f"**Entities in even use:** {_each(made, [rough(of.entities) for of in made])} of {num_entities:,}, "
        "that is, as widely spread as an even choice among so many.",
        f"**KL from the decoder’s beliefs:** {_each(made, [f'{of.kl:.2f}' for of in made])} "
        f"(random: {random.kl:.2f}). How far a proposal is from what the decoder believes; the lower, the more alike.",
        f"**On known facts:** {_each(made, [share(of.facts) for of in made])} (random: {share(random.facts)}). "
        "No fault: a good decoder believes facts, and a proposal follows it.",
        f"**What each pathway adds:** {', '.join(adds)}. By so much the KL of the mixture would grow without it; below "
        "0 the mixture would be better without.",
    ]


def _each(made: Sequence[ProposalFigures], values: Sequence[str]) -> str:
    return ", ".join(f"{_called(of)} **{value}**" for of, value in zip(made, values, strict=True))


def _called(of: ProposalFigures) -> str:
    if of.source in _PATHWAYS:
        return f"{theme.mark(theme.BY_SOURCE[of.source])} {markdown_text(of.source)}"
    return _NAMES[of.source]


# --- the foremost entities -------------------------------------------------------------------------------------


def figure(found: Foremost, kg: KnowledgeGraph, query: tuple[int, int, int]) -> go.Figure:
    """A row for each entity, and on it a mark for each chance; the axis is logarithmic."""
    random = 1 / kg.num_entities
    rows = np.arange(len(found.ids))[::-1]
    traces = []
    for look, values in _parts(found):
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "x": np.where(values < _LEAST * random, np.nan, values),
                "y": rows,
                "name": look.name,
                "marker": {
                    "symbol": look.marker,
                    "color": look.color,
                    "size": 10,
                    "opacity": 0.85,
                    "line": {"width": 2 if look is _WEIGHTS else 0},
                },
                "hovertext": [
                    f"<b>{plotly_text(kg.entities[entity])}</b><br>{look.name}: {chance(value)}"
                    for entity, value in zip(found.ids.tolist(), values.tolist(), strict=True)
                ],
                "hovertemplate": "%{hovertext}<extra></extra>",
            }
        )
    shown = np.concatenate([[random], *(trace["x"] for trace in traces)])
    layout = {
        "height": _ROW * len(rows) + 120,
        "margin": {"l": 4, "r": 12, "t": 8, "b": 4},
        "legend": {
            "orientation": "h",
            "x": 0,
            "xanchor": "left",
            "y": 1.0,
            "yanchor": "bottom",
            "title": None,
        },
        "xaxis": {
            "type": "log",
            "range": [np.log10(np.nanmin(shown)) - 0.15, np.log10(np.nanmax(shown)) + 0.15],
            "title": {"text": "chance or share of the weight"},
            "tickvals": _ticks(np.nanmin(shown), np.nanmax(shown)),
            "tickformat": "~%",
            "tickangle": 0,
        },
        "yaxis": {
            "tickvals": rows,
            "ticktext": [_tick(kg, query, entity) for entity in found.ids.tolist()],
            "range": [-0.6, len(rows) - 0.4],
            "zeroline": False,
            "title": None,
            "automargin": True,
        },
        "shapes": [
            {
                "type": "line",
                "x0": random,
                "x1": random,
                "yref": "paper",
                "y0": 0,
                "y1": 1,
                "line": {"color": theme.rgba(theme.RANDOM.color, 0.8), "width": 1.5, "dash": "dash"},
            }
        ],
        "annotations": [
            {
                "text": "random",
                "x": np.log10(random),
                "y": 0,
                "yref": "paper",
                "xanchor": "right",
                "yanchor": "bottom",
                "showarrow": False,
                "font": {"size": 11, "color": theme.RANDOM.color},
            }
        ],
        "hovermode": "closest",
        "hoverlabel": {"align": "left", "font": {"size": 12}},
        "dragmode": False,
    }
    return go.Figure({"data": traces, "layout": layout})


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers along a logarithmic axis, few enough for a phone."""
    decades = range(math.floor(np.log10(low)) - 1, math.ceil(np.log10(high)) + 1)
    steps = (1, 2, 5) if high < 50 * low else (1,)
    return [step * 10.0**decade for decade in decades for step in steps]


def _tick(kg: KnowledgeGraph, query: tuple[int, int, int], entity: int) -> str:
    name = plotly_text(kg.entities[entity], 22)
    if kg.split_of(query[0], query[1], entity):
        name = f"✓ {name}"
    return f"<b>{name}</b>" if entity == query[2] else name


def table(found: Foremost, kg: KnowledgeGraph, query: tuple[int, int, int]) -> pd.DataFrame:
    """An entity a row, with its chances and share of the weight in per cent, and what is known of it."""
    ids = found.ids.tolist()
    named = {_PATHWAYS[name]: q for name, q in found.readings.items()}
    named |= {"m": found.mixed, "p": found.beliefs, "weight": found.weights}
    return pd.DataFrame(
        {
            "entity": [kg.entities[entity] for entity in ids],
            **{name: 100 * values for name, values in named.items()},
            "known fact": [_known(kg, query, entity) or "no" for entity in ids],
        }
    )


def columns() -> dict[str, Any]:
    """How the columns of the table are headed and explained."""
    column = st.column_config

    def part(title: str, about: str) -> Any:
        return column.NumberColumn(title, format="%.3f %%", help=about)

    return {
        "entity": column.TextColumn("Entity", pinned=True),
        "q_E": part("q_E", "Its chance in the proposal of G_E."),
        "q_R": part("q_R", "Its chance in the proposal of G_R."),
        "m": part("m", "Its chance to be drawn: by the proposals and at random, mixed."),
        "p": part("p", "What the decoder believes: the softmax of the scores of all entities."),
        "weight": part(
            "Weight",
            "Its share of the weight of all negatives of this triplet, on average over many draws. The answer is no "
            "negative, and has none.",
        ),
        "known fact": column.TextColumn("Known fact", help="The split in which it is a fact of this query."),
    }


def alt(found: Foremost, kg: KnowledgeGraph) -> str:
    """The chart in words."""
    first = int(found.ids[0])
    parts = [f"{look.name} {chance(float(values[0]))}" for look, values in _parts(found)]
    return (
        f"The {len(found.ids):,} entities that are drawn most or weigh most. First is {kg.entities[first]}: "
        f"{', '.join(parts)}; a random entity has {chance(1 / kg.num_entities)}."
    )


def chance(part: float) -> str:
    """ "4.2 %", "0.031 %"; a chance that is not quite nothing is never shown as nothing."""
    return f"{100 * part:.2g} %" if part == 0 or part >= 1e-6 else "under 0.0001 %"


def _parts(found: Foremost) -> list[tuple[Look, npt.NDArray[np.float64]]]:
    looks = {"G_E": theme.G_E, "G_R": theme.G_R}
    of_pathways = [
        (Look(f"q of {name}", looks[name].color, looks[name].marker), q) for name, q in found.readings.items()
    ]
    return [*of_pathways, (_MIXED, found.mixed), (_BELIEFS, found.beliefs), (_WEIGHTS, found.weights)]


def _known(kg: KnowledgeGraph, query: tuple[int, int, int], entity: int) -> str:
    """The split that holds the fact with this entity, and whether it is the answer; "" for no fact and no answer."""
    split = kg.split_of(query[0], query[1], entity)
    parts = ["answer"] if entity == query[2] else []
    return ", ".join(parts + ([split] if split else []))
