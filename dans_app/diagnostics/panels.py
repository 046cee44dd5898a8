"""The small charts of the Diagnostics screen before they are drawn: which figures, as what lines, what they mean."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from dans_app.shared import theme
from dans_app.shared.theme import Look
from dans_core.events import Diagnostics, PathwayHealth, SampledHealth

Floats = npt.NDArray[np.float64]

MOST = 400
"""Diagnoses drawn at most: a long run keeps thousands."""

_WITHOUT_FILM = "4px,4px"
_DASHED = " Dashed: the same pathway without FiLM."


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


def panels(diagnoses: Sequence[Diagnostics], sampler: str = "") -> dict[str, Panel]:
    """The small charts of a run by name; a curve without any value is left out."""
    own_look = theme.own_negatives(sampler)
    film = any(
        side is not None and side.between_heads_neutral is not None
        for found in diagnoses
        for side in (found.g_e, found.g_r)
    )

    def of_run(read: Callable[[Diagnostics], float | None]) -> Floats:
        return np.array([read(found) for found in diagnoses], dtype=float)

    def sides(
        read: Callable[[PathwayHealth], float | None], suffix: str = "", dash: str | None = None
    ) -> list[Line]:
        def of(key: str) -> Floats:
            return of_run(lambda found: None if (side := getattr(found, key)) is None else read(side))

        return [
            Line(look.name + suffix, look, of(key), dash)
            for key, look in (("g_e", theme.G_E), ("g_r", theme.G_R))
        ]

    def own(read: Callable[[SampledHealth], float | None]) -> Line:
        values = of_run(lambda found: None if found.sampled is None else read(found.sampled))
        return Line(own_look.name, own_look, values)

    def random(read: Callable[[Diagnostics], float | None]) -> Line:
        return Line("Random", theme.RANDOM, of_run(read))

    found = {
        "random": Panel(
            "Outscores a random negative",
            "Share of the run’s own negatives that the decoder scores above a random one of the same query. At 50 % "
            "they are as hard as random ones; below 10 % they teach the base model less.",
            [*sides(lambda side: side.outscores_random), own(lambda side: side.outscores_random)],
            percent=True,
            rule=(0.5, "as hard as random"),
        ),
        "positive": Panel(
            "Outscores the positive",
            "Share of negatives that the decoder believes more than the true answer of the query: the hardest ones, "
            "or true facts taken for false.",
            [
                *sides(lambda side: side.outscores_positive),
                own(lambda side: side.outscores_positive),
                random(lambda found: found.random_outscores_positive),
            ],
            percent=True,
        ),
        "known": Panel(
            "Known facts among the negatives",
            "Share of negatives that make a fact of train, valid or test, and so are false negatives; a fake counts as "
            "its nearest entity.",
            [
                *sides(lambda side: side.false_negatives),
                own(lambda side: side.false_negatives),
                random(lambda found: found.random_false_negatives),
            ],
            percent=True,
        ),
        "rank": Panel(
            "Directions in use",
            "Effective rank: how many directions the fakes of different conditions spread over. 1 is a line.",
            sides(lambda side: side.effective_rank),
        ),
        "coverage": Panel(
            "Entities that are nearest",
            "How many different entities are nearest to some fake (solid), and how many it comes to where a few are "
            "nearest to most of them (dashed: the exponential of the entropy).",
            [
                *sides(lambda side: side.distinct_nearest, dash="solid"),
                *sides(lambda side: side.effective_nearest, ", in even use", _WITHOUT_FILM),
            ],
        ),
        "copies": Panel(
            "Spread of the draws for one condition",
            "Copy spread: how far the draws for one condition lie apart, against all fakes. 0: they are copies.",
            sides(lambda side: side.copy_spread),
        ),
        "scale": Panel(
            "Length against an entity",
            "Median length of a fake divided by that of an entity. The nearest entity by cosine does not see it, "
            "the score does.",
            sides(lambda side: side.scale),
            rule=(1.0, "an entity"),
        ),
        "heads": Panel(
            "Between heads",
            "How far the fakes for different heads of a relation lie apart, without what noise adds. 0: every head "
            "gets the same fake; 1: they differ as much as entities do." + _DASHED * film,
            [
                *sides(lambda side: side.between_heads, dash="solid"),
                *sides(lambda side: side.between_heads_neutral, " without FiLM", _WITHOUT_FILM),
            ],
        ),
        "relations": Panel(
            "Between relations",
            "The same for the different relations of a head. G_E makes its fakes from the head alone, so for it this "
            "is 0." + _DASHED * film,
            [
                *sides(lambda side: side.between_relations, dash="solid"),
                *sides(lambda side: side.between_relations_neutral, " without FiLM", _WITHOUT_FILM),
            ],
        ),
    }  # fmt: skip
    return {
        name: replace(panel, lines=lines)
        for name, panel in found.items()
        if (lines := [line for line in panel.lines if np.isfinite(line.values).any()])
    }
