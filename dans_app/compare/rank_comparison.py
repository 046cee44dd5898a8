"""What rank vectors of several runs say: a table of metrics, paired tests against the first run, and relations apart.

Ranks have shape (n, 2), the tail and the head of each triplet, and are keyed by the letter of their run. No Streamlit.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import plotly.graph_objects as go

from dans_app.shared import theme
from dans_app.shared.theme import LOOKS
from dans_app.shared.words import plotly_text
from dans_core.kg import KnowledgeGraph
from dans_data.metrics import TERMS
from dans_data.words import count, listed, number, p_value, signed
from dans_lab import halves, standing
from dans_lab.names import METRICS
from dans_lab.standing import Withheld
from dans_lab.study import statistics
from dans_lab.study.statistics import Difference
from dans_lab.study.tables import SIGNIFICANT

Ranks = npt.NDArray[np.float64]

FEW = 10
"""Relations with fewer triplets are marked: one of them changes much."""

MOST_RELATIONS = 40

_SIDES = {"Both": (0, 1), "Tail": (0,), "Head": (1,)}
_SEEDS = "the luck of the seed"
_LOOK = {look.name: look for look in LOOKS}


@dataclass(frozen=True)
class Verdict:
    """How one run compares with the first; `p` is corrected for the number of comparisons.

    `withheld` says why it is not called higher or lower, whatever p is.
    """

    letter: str
    difference: Difference
    p: float
    withheld: Withheld | None = None

    @property
    def sure(self) -> bool:
        """Whether it is more than the luck of these triplets."""
        return self.p < SIGNIFICANT


def metric_table(ranks: Mapping[str, Ranks]) -> pd.DataFrame:
    """All metrics of both sides and of each, a row for each key in each of them."""
    return pd.DataFrame(
        [
            {"Side": side, "Run": name}
            | {METRICS[metric]: float(of(found[:, columns]).mean()) for metric, of in TERMS.items()}
            for side, columns in _SIDES.items()
            for name, found in ranks.items()
            if len(found)
        ]
    )


def metrics_alt(table: pd.DataFrame, split: str) -> str:
    """The table in words: the MRR of each run."""
    both = table[table["Side"] == "Both"]
    parts = [f"{run} {mrr:.3f}" for run, mrr in zip(both["Run"], both["MRR"], strict=True)]
    return f"Filtered ranking on {split}, both sides and each. MRR of both: {', '.join(parts)}."


def strata_table(ranks: Mapping[str, Ranks], floor: Ranks, kg: KnowledgeGraph, split: str) -> pd.DataFrame:
    """The MRR of each run and of the floor over the triplets of which train shows both halves, one or neither."""
    apart = {letter: halves.strata(kg, split, found, floor) for letter, found in ranks.items()}
    return pd.DataFrame(
        [
            {"Train shows": each.halves, "Triplets": each.triplets, "Share": each.share, "Floor": each.floor}
            | {letter: found[place].mrr for letter, found in apart.items()}
            for place, each in enumerate(next(iter(apart.values()), []))
        ]
    )


# --- paired tests ----------------------------------------------------------------------------------------------


def verdicts(
    ranks: Mapping[str, Ranks],
    metric: str,
    floor: float | None = None,
    gains: Mapping[str, float | None] | None = None,
) -> list[Verdict]:
    """Every run against the first, over the same triplets, p corrected by Holm.

    `floor` is the metric of popularity alone, `gains` the `standing.late_gain` of each run; where they are known, they
    may withhold a verdict.
    """
    (name, first), *others = ranks.items()
    of, late = TERMS[metric], gains or {}
    found = [statistics.paired(of(first), of(other)) for _, other in others]
    corrected = statistics.holm([each.p for each in found])
    out = []
    for (letter, other), each, p in zip(others, found, corrected, strict=True):
        both = float(of(first).mean()), float(of(other).mean())
        why = standing.why_withheld(both, floor, (late.get(name), late.get(letter)), p < SIGNIFICANT)
        out.append(Verdict(letter, each, p, why))
    return out


def sentence(verdict: Verdict, first: str, metric: str) -> str:
    """The verdict in words, in Markdown."""
    found, letter, name = verdict.difference, verdict.letter, METRICS[metric]
    if verdict.withheld is not None:
        return (
            f"**{letter} and {first}: no verdict, {verdict.withheld}** ({name} {signed(found.mean)}, "
            f"{signed(found.low)} … {signed(found.high)}, {p_value(verdict.p)}): {standing.ABOUT[verdict.withheld]}."
        )
    if not verdict.sure:
        which = "this triplet" if found.count == 1 else f"these {found.count:,} triplets"
        return (
            f"**{letter} and {first}: no difference that {which} could show** "
            f"({name} {signed(found.mean)}, {signed(found.low)} … {signed(found.high)}, {p_value(verdict.p)}, in "
            f"which {_SEEDS} is not counted)."
        )
    better = found.mean > 0
    low, high = (found.low, found.high) if better else (-found.high, -found.low)
    return (
        f"**{letter} ranks {'higher' if better else 'lower'} than {first}** by {abs(found.mean):.3f} {name} "
        f"({number(low)} … {number(high)}), {p_value(verdict.p)}: more than these triplets’ luck, but in that "
        f"{_SEEDS} is not counted."
    )


def seed_note(groups: Sequence[Sequence[str]], ranks: Mapping[str, Ranks]) -> str:
    """What the intervals leave out; `groups` are letters of runs that differ in nothing but the seed."""
    if not groups:
        return "One run of each: other seeds may turn this round."
    parts = []
    for group in groups:
        values = [float(TERMS["mrr"](ranks[letter]).mean()) for letter in group]
        parts.append(f"{listed(group)} lie {max(values) - min(values):.3f} MRR apart")
    return f"Seeds have their own luck, which is not in these intervals: by the seed alone {listed(parts)}."


def how(found: Sequence[Verdict], split: str) -> str:
    """How the verdicts were found."""
    corrected = f", corrected for {len(found)} comparisons (Holm)" if len(found) > 1 else ""
    return (
        f"Over the {count(found[0].difference.count, 'triplet')} of {split}, paired: all runs answer the same "
        "questions, and the two sides of a triplet stay together. Intervals: 95 %, by bootstrap. p: two-sided "
        f"sign-flip test{corrected}; below {SIGNIFICANT:g} it is called a difference."
    )


def verdict_table(found: Sequence[Verdict], first: str, metric: str) -> pd.DataFrame:
    """The verdicts as rows, for a download."""
    return pd.DataFrame(
        [
            {
                "comparison": f"{each.letter} - {first}",
                "metric": METRICS[metric],
                "difference": each.difference.mean,
                "low (95 %)": each.difference.low,
                "high (95 %)": each.difference.high,
                "p": each.difference.p,
                "p (Holm)": each.p,
                "no verdict": each.withheld or "",
                "triplets": each.difference.count,
            }
            for each in found
        ]
    )


def forest(found: Sequence[Verdict], first: str, metric: str) -> go.Figure:
    """The differences with their intervals, one a line; left of 0 the run ranks lower than the first."""
    chart = go.Figure()
    for place, each in enumerate(found):
        look, difference = _LOOK[each.letter], each.difference
        chart.add_trace(
            go.Scatter(
                x=[difference.mean],
                y=[-place],
                mode="markers",
                marker={"symbol": look.marker, "color": look.color, "size": 11},
                error_x={
                    "array": [difference.high - difference.mean],
                    "arrayminus": [difference.mean - difference.low],
                    "color": look.color,
                    "thickness": 2,
                    "width": 5,
                },
                hovertemplate=f"{each.letter} − {first}: {signed(difference.mean)}<br>95 %: {signed(difference.low)} … "
                f"{signed(difference.high)}<br>{p_value(each.p)}<extra></extra>",
                showlegend=False,
            )
        )
    chart.add_vline(x=0, line={"color": theme.RANDOM.color, "width": 1.5, "dash": "dot"})
    chart.update_layout(
        height=38 * len(found) + 84,
        margin={"l": 4, "r": 12, "t": 28, "b": 4},
        xaxis={"title": {"text": f"{METRICS[metric]} above that of {first}"}, "zeroline": False},
        yaxis={
            "tickvals": [-place for place in range(len(found))],
            "ticktext": [f"{each.letter} − {first}" for each in found],
            "range": [-len(found) + 0.4, 0.6],
            "showgrid": False,
            "zeroline": False,
        },
        hoverlabel={"align": "left"},
        dragmode=False,
    )
    return chart


def forest_alt(found: Sequence[Verdict], first: str, metric: str) -> str:
    """The same in words."""
    parts = [
        f"{each.letter} − {first} {signed(each.difference.mean)}, from {signed(each.difference.low)} to "
        f"{signed(each.difference.high)}"
        for each in found
    ]
    return f"Differences in {METRICS[metric]} with 95 % intervals: {'; '.join(parts)}."


# --- relations -------------------------------------------------------------------------------------------------


def relations(ranks: Mapping[str, Ranks], kg: KnowledgeGraph, split: str, metric: str) -> pd.DataFrame:
    """A metric of two runs on each relation of a split, both sides, sorted by how far the second is ahead."""
    number_of = kg.array(split)[:, 1]
    triplets = np.bincount(number_of, minlength=kg.num_relations)
    there = np.flatnonzero(triplets)
    rows = pd.DataFrame({"Relation": [kg.relations[i] for i in there.tolist()], "Triplets": triplets[there]})
    for letter, found in ranks.items():
        sums = np.bincount(number_of, TERMS[metric](found).mean(1), minlength=kg.num_relations)
        rows[letter] = sums[there] / triplets[there]
    first, other = ranks
    rows["Difference"] = rows[other] - rows[first]
    rows["Few"] = rows["Triplets"] < FEW
    return rows.sort_values(["Difference", "Triplets"], ascending=False, ignore_index=True)


def about_relations(rows: pd.DataFrame, letters: tuple[str, str], split: str, metric: str) -> str:
    """What is shown of the relations, and what may not be read from it."""
    few = int(rows["Few"].sum())
    faint = (
        f" {few:,} with fewer than {FEW} triplets are faint: there one answer changes much." if few else ""
    )
    cut = f" Drawn are the {MOST_RELATIONS} at both ends." if len(rows) > MOST_RELATIONS else ""
    return (
        f"{METRICS[metric]} over both sides on each relation of {split}, with its number of triplets; {letters[1]} is "
        f"ahead at the top, {letters[0]} at the bottom.{faint}{cut} Nothing is tested here: of many relations some "
        "differ by chance."
    )


def dumbbells(rows: pd.DataFrame, letters: tuple[str, str], metric: str) -> go.Figure:
    """Two marks and a bar between them for each relation; those with few triplets are faint.

    Of many relations, those at both ends of the table are drawn.
    """
    rows = ends(rows)
    heights = np.arange(len(rows))[::-1]
    chart = go.Figure()
    first, other = letters
    bars = np.full((len(rows), 3), np.nan)
    bars[:, :2] = rows[list(letters)]
    chart.add_trace(
        go.Scatter(
            x=bars.ravel(),
            y=np.repeat(heights, 3),
            mode="lines",
            line={"color": theme.rgba(theme.RANDOM.color, 0.7), "width": 2},
            hoverinfo="skip",
            showlegend=False,
        )
    )
    words = np.array(
        [
            f"<b>{plotly_text(row.Relation)}</b>, {count(row.Triplets, 'triplet')}<br>"
            f"{first} {a:.3f}, {other} {b:.3f}, difference {signed(b - a)}"
            for row, a, b in zip(rows.itertuples(), rows[first], rows[other], strict=True)
        ]
    )
    for letter, few in itertools.product(letters, (False, True)):
        look, part = _LOOK[letter], (rows["Few"] == few).to_numpy()
        if part.any():
            chart.add_trace(
                go.Scatter(
                    x=rows[letter].to_numpy()[part],
                    y=heights[part],
                    mode="markers",
                    name=letter,
                    marker={"symbol": look.marker, "color": look.color, "size": 9},
                    opacity=0.4 if few else 1.0,
                    hovertext=words[part],
                    hovertemplate="%{hovertext}<extra></extra>",
                    showlegend=not few or bool(part.all()),
                )
            )
    chart.update_layout(
        height=19 * len(rows) + 100,
        margin={"l": 4, "r": 12, "t": 28, "b": 4},
        xaxis={"title": {"text": METRICS[metric]}, "zeroline": False},
        yaxis={
            "tickvals": heights,
            "ticktext": [_tick(row.Relation, row.Triplets, row.Few) for row in rows.itertuples()],
            "range": [-0.7, len(rows) - 0.3],
            "showgrid": False,
            "zeroline": False,
            "automargin": True,
        },
        legend={"orientation": "h", "x": 0, "xanchor": "left", "y": 1, "yanchor": "bottom"},
        hoverlabel={"align": "left", "font": {"size": 12}},
        dragmode=False,
    )
    return chart


def dumbbells_alt(rows: pd.DataFrame, letters: tuple[str, str], metric: str) -> str:
    """The chart in words: how many relations go which way, and the ends."""
    first, other = letters
    higher, lower = int((rows["Difference"] > 0).sum()), int((rows["Difference"] < 0).sum())
    best, worst = rows.iloc[0], rows.iloc[-1]
    return (
        f"{METRICS[metric]} of {first} and {other} on each of {count(len(rows), 'relation')}: {other} is higher on "
        f"{higher:,} and lower on {lower:,}, from {signed(best['Difference'])} on {best['Relation']} "
        f"to {signed(worst['Difference'])} on {worst['Relation']}."
    )


def ends(rows: pd.DataFrame) -> pd.DataFrame:
    """At most `MOST_RELATIONS` rows: from the top and from the bottom."""
    if len(rows) <= MOST_RELATIONS:
        return rows
    return pd.concat([rows.head(MOST_RELATIONS // 2), rows.tail(MOST_RELATIONS // 2)])


def _tick(relation: str, triplets: int, few: bool) -> str:
    text = f"{plotly_text(relation, 24)} ({triplets:,})"
    return f'<span style="color:{theme.RANDOM.color}">{text}</span>' if few else text
