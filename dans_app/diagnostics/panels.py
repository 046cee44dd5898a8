"""The small charts of the Diagnostics screen before they are drawn: which figures, as what lines, what they mean."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dans_app.shared import theme
from dans_app.shared.theme import Look
from dans_core.events import Diagnostics, PathwayHealth, SampledHealth

Floats = npt.NDArray[np.float64]

MOST = 400
"""Diagnoses drawn at most: a long run keeps thousands."""

_DASHES = "4px,4px"
_WITHOUT_FILM = " Dashed: the same pathway without FiLM."
_TRAINED_ON = (
    "Proposed is what is trained on: entities drawn from the proposals, each as often as it weighs. G_E and G_R are "
    "the fakes, which only propose."
)


@dataclass(frozen=True)
class Line:
    """One curve; `values` (n,) has NaN where there is none. `dash` in place of the look's own."""

    name: str
    look: Look
    values: Floats
    dash: str | None = None


@dataclass(frozen=True)
class Panel:
    """A small chart of curves over the epochs, with what it means; `rule` is a height that means something."""

    title: str
    about: str
    lines: list[Line]
    percent: bool = False
    rule: tuple[float, str] | None = None


def thinned(diagnoses: Sequence[Diagnostics], keep: int | None) -> list[Diagnostics]:
    """At most about `MOST` diagnoses, evenly, with the newest and that of epoch `keep`."""
    stride = -(-len(diagnoses) // MOST)
    last = len(diagnoses) - 1
    return [
        found for place, found in enumerate(diagnoses) if (last - place) % stride == 0 or found.epoch == keep
    ]


# --- which there are -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Dashed:
    """A second curve of each pathway: its name, how it is read, and what is said of it where there is one."""

    name: str
    read: Callable[[PathwayHealth], float | None]
    about: str = ""


@dataclass(frozen=True)
class Figure:
    """What a small chart shows, and how it is read from a diagnosis.

    `of_fakes` reads it from a pathway, `of_own` from the entities that a sampler chooses, `of_random` of random
    negatives; `proposing` is said in place of `about` where fakes are proposals; the rest is as in `Panel`.
    """

    title: str
    about: str
    of_fakes: Callable[[PathwayHealth], float | None]
    proposing: str = ""
    dashed: Dashed | None = None
    of_own: Callable[[SampledHealth], float | None] | None = None
    of_random: Callable[[Diagnostics], float | None] | None = None
    percent: bool = False
    rule: tuple[float, str] | None = None


FIGURES = {
    "random": Figure(
        "Outscores a random negative",
        "Share of the run’s own negatives that the decoder scores above a random one of the same query; ties count "
        "half. At 50 % they are as hard as random ones; below 10 % they teach the base model less.",
        lambda side: side.outscores_random,
        "Share of the negatives that the decoder scores above a random one of the same query; ties count half. At 50 % "
        "they are as hard as random ones. " + _TRAINED_ON,
        of_own=lambda own: own.outscores_random,
        percent=True,
        rule=(0.5, "as hard as random"),
    ),
    "positive": Figure(
        "Outscores the positive",
        "Share of negatives that the decoder believes more than the true answer of the query: the hardest ones, or "
        "true facts taken for false.",
        lambda side: side.outscores_positive,
        "Share of the negatives that the decoder believes more than the true answer of the query. "
        + _TRAINED_ON,
        of_own=lambda own: own.outscores_positive,
        of_random=lambda found: found.random_outscores_positive,
        percent=True,
    ),
    "known": Figure(
        "Known facts among the negatives",
        "Share of negatives that make a fact of train, valid or test, and so are false negatives; a fake counts as "
        "its nearest entity.",
        lambda side: side.false_negatives,
        "Share that makes a fact of train, valid or test; a fake counts as its nearest entity. More than random ones "
        "is no fault where fakes are proposals: the loss ranks the answer against all entities, the other true answers "
        "of the query too, and negatives only estimate that sum. Leaving facts of train out made rankings "
        "worse when it was measured. " + _TRAINED_ON,
        of_own=lambda own: own.false_negatives,
        of_random=lambda found: found.random_false_negatives,
        percent=True,
    ),
    "proposed": Figure(
        "Proposed entities, in even use",
        "Over how many entities a proposal spreads: as many as would have its entropy if all had the same chance. 1 is "
        "a single entity; where it is all of them, the proposal is no better than random. Good is few entities with a "
        "low KL: the right ones. On a large graph some of its entities stand for all.",
        lambda side: side.proposed_entities,
    ),
    "kl": Figure(
        "KL from the decoder’s beliefs",
        "How far a proposal is from what the decoder believes of all entities. The lower the better: at 0 it draws the "
        "entities just as the decoder believes them; above random it draws worse than by chance.",
        lambda side: side.proposed_kl,
        of_random=lambda found: found.random_kl,
    ),
    "beats": Figure(
        "Outscores the other entities",
        "Share of the other entities that the decoder scores below one drawn from a proposal. At 50 % a proposal is as "
        "hard as random; the higher, the harder.",
        lambda side: side.proposed_beats,
        percent=True,
        rule=(0.5, "as hard as random"),
    ),
    "facts": Figure(
        "Known facts among the proposals",
        "Share of a proposal that falls on facts of train, valid or test, the query’s own answer among them. High is "
        "expected, not a fault: a good decoder believes facts, and a proposal follows it. The own answer weighs "
        "nothing when drawn.",
        lambda side: side.proposed_facts,
        percent=True,
    ),
    "adds": Figure(
        "What each pathway adds",
        "By how much the KL of the mixture, from which negatives are drawn, would grow without this pathway. Above 0 "
        "it helps; at 0 the rest covers what it proposes; below 0 the mixture would be better without it.",
        lambda side: side.proposed_adds,
        rule=(0.0, "adds nothing"),
    ),
    "rank": Figure(
        "Directions in use",
        "Effective rank: how many directions the fakes of different conditions spread over. 1 is a line.",
        lambda side: side.effective_rank,
    ),
    "coverage": Figure(
        "Entities that are nearest",
        "How many different entities are nearest to some fake (solid), and how many it comes to where a few are "
        "nearest to most of them (dashed: the exponential of the entropy).",
        lambda side: side.distinct_nearest,
        dashed=Dashed(", in even use", lambda side: side.effective_nearest),
    ),
    "copies": Figure(
        "Spread of the draws for one condition",
        "Copy spread: how far the draws for one condition lie apart, against all fakes. 0: they are copies.",
        lambda side: side.copy_spread,
    ),
    "scale": Figure(
        "Length against an entity",
        "Median length of a fake divided by that of an entity. The nearest entity by cosine does not see it, the score "
        "does.",
        lambda side: side.scale,
        rule=(1.0, "an entity"),
    ),
    "heads": Figure(
        "Between heads",
        "How far the fakes for different heads of a relation lie apart, without what noise adds. 0: every head gets "
        "the same fake; 1: they differ as much as entities do.",
        lambda side: side.between_heads,
        dashed=Dashed(" without FiLM", lambda side: side.between_heads_neutral, _WITHOUT_FILM),
    ),
    "relations": Figure(
        "Between relations",
        "The same for the different relations of a head. G_E makes its fakes from the head alone, so for it this is 0.",
        lambda side: side.between_relations,
        dashed=Dashed(" without FiLM", lambda side: side.between_relations_neutral, _WITHOUT_FILM),
    ),
}
"""The small charts by name, in the order of the screen."""


def panels(diagnoses: Sequence[Diagnostics], sampler: str = "") -> dict[str, Panel]:
    """The small charts of a run by name; a curve without any value is left out, and a chart without any curve."""
    own = theme.own_negatives(sampler)
    made = {name: _panel(figure, diagnoses, own) for name, figure in FIGURES.items()}
    return {name: panel for name, panel in made.items() if panel.lines}


def _panel(figure: Figure, diagnoses: Sequence[Diagnostics], own: Look) -> Panel:
    second = figure.dashed
    lines = _of_pathways(figure.of_fakes, diagnoses, dash="solid" if second else None)
    dashed = _of_pathways(second.read, diagnoses, second.name, _DASHES) if second else []
    if read := figure.of_own:
        values = [None if found.sampled is None else read(found.sampled) for found in diagnoses]
        lines += _line(own.name, own, values)
    if figure.of_random:
        lines += _line("Random", theme.RANDOM, [figure.of_random(found) for found in diagnoses])
    proposing = any(
        side and side.proposed_kl is not None for found in diagnoses for side in (found.g_e, found.g_r)
    )
    about = figure.proposing if proposing and figure.proposing else figure.about
    about += second.about if second and dashed else ""
    return Panel(figure.title, about, lines + dashed, figure.percent, figure.rule)


def _of_pathways(
    read: Callable[[PathwayHealth], float | None],
    diagnoses: Sequence[Diagnostics],
    suffix: str = "",
    dash: str | None = None,
) -> list[Line]:
    lines = []
    for key, look in (("g_e", theme.G_E), ("g_r", theme.G_R)):
        sides = (getattr(found, key) for found in diagnoses)
        values = [None if side is None else read(side) for side in sides]
        lines += _line(look.name + suffix, look, values, dash)
    return lines


def _line(name: str, look: Look, values: Sequence[float | None], dash: str | None = None) -> list[Line]:
    """The curve; none where there is no value."""
    known = np.array(values, dtype=float)
    return [Line(name, look, known, dash)] if np.isfinite(known).any() else []
