"""The negatives of one triplet, source by source and run by run: as sentences, cards and a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd
import streamlit as st

from dans_app.shared import negatives, theme
from dans_app.shared.theme import Look
from dans_app.shared.words import markdown_text
from dans_core.config import Config
from dans_core.declaration import Declaration
from dans_data import SPLITS
from dans_data.words import count, plural, share, signed

if TYPE_CHECKING:
    from dans_lab.inspection import Inspection, Row

HARDEST = 3
"""Different names on a card."""

_PATHWAYS = ("G_E", "G_R")
_OTHER_LOOK = Look("", theme.D_AUX.color, "triangle-up", "7 3")


@dataclass(frozen=True)
class Shown:
    """What one run says of one side of the triplet.

    Attributes:
        run: id of the run, empty for the chosen one; `label` tells it from the others.
        side: what the negatives are, "tail" or "head".
        epoch: of the weights.
        sampler: of the run, by which negatives of the source "sampler" are called.
    """

    run: str
    label: str
    side: str
    epoch: int
    seen: Inspection
    sampler: str = ""


@dataclass(frozen=True)
class Lane:
    """The negatives of one source of one run, in the order of their draws."""

    shown: Shown
    source: str
    rows: tuple[Row, ...]

    @property
    def positive(self) -> Row:
        """What they stand against, scored by the same run."""
        return self.shown.seen.positive

    @property
    def title(self) -> str:
        """The source as it is written on screen."""
        return title(self.source, self.shown.sampler)

    @property
    def run(self) -> str:
        """What its run is called beside its title, in plain text; "" where that says it all."""
        label = self.shown.label
        named = self.source == "sampler" and f"{label} · ".startswith(f"{self.title} · ")
        return label.removeprefix(self.title).removeprefix(" · ") if named else label

    @property
    def fakes(self) -> bool:
        """Whether they are vectors made by a pathway, read by their nearest entity."""
        return self.source in _PATHWAYS

    def against(self, row: Row) -> float:
        """Score minus the positive's."""
        return row.score - self.positive.score


def lanes(shown: Iterable[Shown]) -> list[Lane]:
    """One lane for each source of each run, whatever the sources are called."""
    found = []
    for part in shown:
        for source in dict.fromkeys(row.source for row in part.seen.negatives):
            rows = tuple(row for row in part.seen.negatives if row.source == source)
            found.append(Lane(part, source, rows))
    return found


def look(source: str) -> Look:
    """How a source is drawn; one without a look of its own gets a spare one."""
    return theme.BY_SOURCE.get(source) or Look(source, _OTHER_LOOK.color, _OTHER_LOOK.marker)


def title(source: str, sampler: str = "") -> str:
    """A source as it is written on screen; what the run's own `sampler` chose is called by that."""
    if source == "sampler" and sampler:
        return theme.own_negatives(sampler).name
    return "Positive" if source == "positive" else look(source).name


def mark(source: str) -> str:
    """The marker of a source in its colour, in Markdown."""
    return theme.mark(look(source))


def token(lane: Lane, row: Row) -> str:
    """What an address calls one negative, such as "G_R.3", or "some-run~head.random.1" for a head by another run."""
    run = f"{lane.shown.run}~" if lane.shown.run else ""
    side = "head." if lane.shown.side == "head" else ""
    return f"{run}{side}{row.source}.{row.draw + 1}"


def tokens(found: Iterable[Lane]) -> dict[str, tuple[Lane, Row]]:
    """Every negative by its token."""
    return {token(lane, row): (lane, row) for lane in found for row in lane.rows}


def hardest(found: Sequence[Lane]) -> tuple[Lane, Row]:
    """The negative that comes closest to its positive, or furthest beyond it; the first lane's run comes first."""
    own = [lane for lane in found if lane.shown.run == found[0].shown.run]
    return max(((lane, row) for lane in own for row in lane.rows), key=lambda pair: pair[0].against(pair[1]))


def sources(config: Config) -> str:
    """Where the negatives of a run come from, in words: "G_E, from G_R and at random"."""
    if not config.declaration.chooses:
        return "all entities at random"
    own = [*config.fakes] or [config.declaration.title]
    return f"{', from '.join(own)} and at random"


def no_fakes(sampler: Declaration) -> str:
    """Why a run without a GAN has no fakes, and what random negatives are there for."""
    return f"{sampler.no_fakes}{' Random ones stand beside them to compare.' if sampler.chooses else ''}"


# --- words -----------------------------------------------------------------------------------------------------


def known_line(names: tuple[str, str, str], split: str | None) -> str:
    """Whether the triplet itself is a fact, in Markdown; the names are made plain."""
    head, relation, tail = (markdown_text(name, 60) for name in names)
    fact = f"a fact of **{split}**" if split else "**no known fact**; its negatives all the same"
    return f"({head}, {relation}, {tail}) is {fact}."


def answers_line(
    names: tuple[str, str, str], side: str, counts: dict[str, int], is_fact: bool, num_entities: int
) -> str:
    """How many known answers the query has in each split, and how often a random entity is another one."""
    head, relation, tail = (markdown_text(name, 60) for name in names)
    query = f"(?, {relation}, {tail})" if side == "head" else f"({head}, {relation}, ?)"
    total = sum(counts.values())
    if not total:
        return f"{query} has no known {side}, so none of its negatives can be a known fact."
    splits = ", ".join(f"{number:,} {split}" for split, number in counts.items())
    chance = share((total - is_fact) / (num_entities - 1))
    others = "another of them" if is_fact else "one of them"
    return (
        f"{query} has **{total:,}** known {plural(total, side)} ({splits}); "
        f"a random {side} is {others} in **{chance}** of draws."
    )


def headline(found: Sequence[Lane]) -> str:
    """One sentence on all negatives of one side: how many outscore their positive, and the hardest by name."""
    pairs = [(row.score, lane.positive.score) for lane in found for row in lane.rows]
    above, ties = _outscored(pairs)
    total = sum(len(lane.rows) for lane in found)
    lane, row = max(
        ((lane, row) for lane in found for row in lane.rows), key=lambda pair: pair[0].against(pair[1])
    )
    several = len({part.shown.run for part in found}) > 1
    source = f"{lane.title}, {markdown_text(lane.shown.label, 60)}" if several else lane.title
    gap = lane.against(row)
    where = f"{abs(gap):.2f} {'above' if gap > 0 else 'below'}" if gap else "level with"
    which = f"{name(lane, row)} ({source}), {where} its positive"
    if not above:
        return f"None of the {total:,} negatives outscores its positive; the hardest is {which}."
    outscore = plural(above, "outscores its positive", "outscore their positive")
    return f"**{above:,g}** of the {total:,} negatives {outscore}{ties}; the hardest is {which}."


def _outscored(pairs: Sequence[tuple[float, float]]) -> tuple[float, str]:
    """In how many pairs the first score is above the second, and how many ties, if any, count half in it."""
    ties = sum(score == other for score, other in pairs)
    above = sum(score > other for score, other in pairs) + ties / 2
    return above, f" ({count(ties, 'tie')}, which {plural(ties, 'counts', 'count')} half)" if ties else ""


def name(lane: Lane, row: Row, limit: int = 60) -> str:
    """A negative by name, in Markdown; "≈" where it is a fake read by its nearest entity."""
    return ("≈ " if lane.fakes else "") + markdown_text(row.nearest, limit)


def badge(known: str | None) -> str:
    """The split in which a negative is a known fact, in Markdown; nothing where it is none."""
    return f" :violet-badge[✓ {known}]" if known else ""


def card(lane: Lane) -> list[str]:
    """One source in a few lines of Markdown: what outscores what, known facts, and the hardest by name, each once."""
    rows, size = lane.rows, len(lane.rows)
    above, ties = _outscored([(row.score, lane.positive.score) for row in rows])
    lines = [f"**{above:,g} of {size:,}** {plural(above, 'outscores', 'outscore')} the positive{ties}"]
    random = [row.score for row in lane.shown.seen.negatives if row.source == "random"]
    if lane.source != "random" and random:
        harder, ties = _outscored([(row.score, max(random)) for row in rows])
        lines.append(f"**{harder:,g}** {plural(harder, 'outscores', 'outscore')} every random negative{ties}")
    lines.append(known_words(rows))
    named: dict[int, list[Row]] = {}
    for row in sorted(rows, key=lambda row: -row.score):
        named.setdefault(row.nearest_id, []).append(row)
    for alike in list(named.values())[:HARDEST]:
        first, times = alike[0], f" × {len(alike)}" if len(alike) > 1 else ""
        weight = f" :small[weight {first.weight:.2f}]" if first.weight is not None else ""
        lines.append(
            f"`{signed(lane.against(first), 2)}` {name(lane, first, 40)}{times}{weight}{badge(first.known)}"
        )
    return lines


def known_words(rows: Sequence[Row]) -> str:
    """ "**2** known facts (1 train, 1 test)"."""
    found = Counter(row.known for row in rows if row.known)
    total = sum(found.values())
    splits = ", ".join(f"{found[split]:,} {split}" for split in SPLITS if found[split])
    return f"**{total:,}** known {plural(total, 'fact', 'facts')}" + (f" ({splits})" if splits else "")


# --- the table -------------------------------------------------------------------------------------------------


def table(shown: Iterable[Shown]) -> tuple[pd.DataFrame, list[str]]:
    """The positive and then every negative of each run and side as a row, and the token of each; a positive's is ""."""
    records, names = [], []
    for part in shown:
        found = tokens(lanes([part]))
        names += ["", *found]
        for row in (part.seen.positive, *(row for _, row in found.values())):
            records.append(
                {
                    "source": title(row.source, part.sampler),
                    "draw": None if row.source == "positive" else row.draw + 1,
                    "nearest entity": row.nearest,
                    "score": row.score,
                    "against positive": row.score - part.seen.positive.score,
                    "known fact": row.known or "no",
                    "weight": row.weight,
                    "cosine": row.cosine,
                    "length": row.scale,
                    "D_adv": row.d_adv,
                    "D_aux": negatives.opinion(row.d_aux if row.source in _PATHWAYS else None),
                    "side": part.side,
                    "run": part.label,
                }
            )
    frame = pd.DataFrame(records)
    return frame.astype({"draw": "Int64", "weight": float}), names


def columns(side: str) -> dict[str, Any]:
    """How the columns of the table are headed and explained; `side` is what the negatives are."""
    column = st.column_config
    what = "entity" if side == "both" else side
    return negatives.columns() | {
        "source": column.TextColumn("Source", help="Who made it.", pinned=True),
        "draw": column.NumberColumn("Draw", help="Counts within a source."),
        "nearest entity": column.TextColumn(
            f"Nearest {what}",
            help="The nearest entity by cosine. A random negative and the positive are entities themselves.",
        ),
        "against positive": negatives.against("Against positive", "the positive’s"),
        "weight": column.NumberColumn(
            "Weight",
            format="× %.2f",
            help="How much the sampler makes this negative count in the loss; 1 is the mean.",
        ),
        "side": column.TextColumn("Side", help="Which side of the triplet it takes the place of."),
        "run": column.TextColumn("Run", help="Its sampler, and what differs from the run above."),
    }


def label(lane: Lane, row: Row, several_runs: bool, several_sides: bool) -> str:
    """One negative in a list to choose from, in plain text."""
    parts = [f"{lane.title} {row.draw + 1}", ("≈ " if lane.fakes else "") + row.nearest]
    parts.append(signed(lane.against(row), 2))
    if row.known:
        parts.append(f"✓ {row.known}")
    if several_sides:
        parts.insert(0, f"Fake {lane.shown.side}" if lane.fakes else lane.shown.side.capitalize())
    if several_runs:
        parts.append(lane.shown.label)
    return " · ".join(parts)


def alt(shown: Sequence[Shown]) -> str:
    """The table in words."""
    sizes = sum(len(part.seen.negatives) for part in shown)
    return f"{count(len(shown), 'positive')} and {count(sizes, 'negative')}, one a row, with scores and D’s opinion."
