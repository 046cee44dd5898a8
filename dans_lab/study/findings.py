"""What the tables of a study show, as records that claim no more than the comparisons do; `words` says them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from dans_lab.study.convergence import FIGURES
from dans_lab.study.plan import Label
from dans_lab.study.tables import SIGNIFICANT, Column, Comparison, ResultCell, ResultTable, Spread, Verdict


@dataclass(frozen=True)
class AgainstReference:
    """One column: the reference, the mean of each row that has one, and how the rows compare with the reference."""

    column: Column
    reference: Spread | None
    means: dict[Label, float]
    compared: tuple[Comparison, ...]

    @property
    def best(self) -> Label:
        """The row with the highest mean."""
        return max(self.means, key=self.means.__getitem__)

    @property
    def worst(self) -> Label:
        """The row with the lowest mean."""
        return min(self.means, key=self.means.__getitem__)

    def by(self, verdict: Verdict) -> list[Comparison]:
        """The comparisons with this verdict."""
        return [each for each in self.compared if each.verdict == verdict]


@dataclass(frozen=True)
class VerdictCounts:
    """How many of all comparisons say something; `alone` more would if each were the only one.

    `withheld` are those without a verdict, near the floor or still rising.
    """

    compared: int
    better: int
    worse: int
    alone: int
    withheld: int = 0


@dataclass(frozen=True)
class IntervalReach:
    """How far the intervals of the comparisons reach to either side."""

    compared: int
    least: float
    median: float
    most: float


@dataclass(frozen=True)
class SingleSeed:
    """Some comparison is over a single seed."""


@dataclass(frozen=True)
class NearFloor:
    """The cells whose mean is near the popularity floor, which is `floor`."""

    entries: tuple[ResultCell, ...]
    floor: float


@dataclass(frozen=True)
class StillRising:
    """The cells whose runs had not levelled off when their epochs were over."""

    entries: tuple[ResultCell, ...]


@dataclass(frozen=True)
class OverSeen:
    """The comparisons over the seen test triplets whose verdict is another, each with that over all triplets."""

    triplets: int
    others: tuple[tuple[Comparison, Verdict], ...]


@dataclass(frozen=True)
class FigureRange:
    """From where to where a convergence figure goes, by its means."""

    name: str
    lowest: ResultCell
    low: float
    highest: ResultCell
    high: float


@dataclass(frozen=True)
class DivergedRuns:
    """The cells with runs that diverged; they are in no mean."""

    entries: tuple[ResultCell, ...]


@dataclass(frozen=True)
class MissingRuns:
    """How many runs of the table are still to be made."""

    count: int


@dataclass(frozen=True)
class NotCompared:
    """Cells without a finished seed that the reference has too."""

    entries: tuple[ResultCell, ...]


Finding = (
    AgainstReference
    | VerdictCounts
    | IntervalReach
    | SingleSeed
    | NearFloor
    | StillRising
    | OverSeen
    | FigureRange
    | DivergedRuns
    | MissingRuns
    | NotCompared
)


def findings(table: ResultTable, seen: ResultTable | None = None) -> list[Finding]:
    """What a table shows, first of each column, then of all of it.

    `seen` is the same table over the test triplets whose entities train shows, where there are others.
    """
    found: list[Finding] = [_against_reference(table, column) for column in table.columns]
    found += _counts(table)
    found += _standing(table)
    found += [] if seen is None else _over_seen(table, seen)
    if table.part.figure == "stability":
        found += [each for name in FIGURES if (each := _range(table, name)) is not None]
    return [*found, *lost_runs(table), *_not_compared(table)]


def lost_runs(table: ResultTable) -> list[DivergedRuns | MissingRuns]:
    """The runs that are in no mean, since they diverged or are missing."""
    found: list[DivergedRuns | MissingRuns] = []
    if failed := tuple(entry for entry in table.entries if entry.failed):
        found.append(DivergedRuns(failed))
    if missing := sum(entry.missing for entry in table.entries):
        found.append(MissingRuns(missing))
    return found


def figure_names(table: ResultTable) -> list[str]:
    """The convergence figures that some run of the table has, in the order of `FIGURES`."""
    return [name for name in FIGURES if any(entry.figure(name) for entry in table.entries)]


def _against_reference(table: ResultTable, column: Column) -> AgainstReference:
    axis = table.part.rows.name
    entries = [entry for entry in table.entries if table.column_of(entry.labels) == column]
    spreads = {entry.labels[axis]: entry.spread(table.metric) for entry in entries}
    return AgainstReference(
        column,
        spreads[table.part.reference],
        {row: spread.mean for row, spread in spreads.items() if spread is not None},
        tuple(each for each in table.comparisons if table.column_of(each.labels) == column),
    )


def _counts(table: ResultTable) -> Iterator[Finding]:
    """How many comparisons say something, and how large a difference they could have seen."""
    compared = table.comparisons
    if not compared:
        return
    better, worse = (sum(each.verdict == verdict for each in compared) for verdict in ("better", "worse"))
    alone = sum(each.p < SIGNIFICANT <= each.corrected for each in compared if each.withheld is None)
    withheld = sum(each.withheld is not None for each in compared)
    yield VerdictCounts(len(compared), better, worse, alone, withheld)
    reach = [(each.high - each.low) / 2 for each in compared]
    if np.isfinite(reach).all():
        yield IntervalReach(len(reach), min(reach), float(np.median(reach)), max(reach))
    if any(each.seeds == 1 for each in compared):
        yield SingleSeed()


def _standing(table: ResultTable) -> Iterator[NearFloor | StillRising]:
    """The cells whose means say little of how good they are, or would be with more epochs."""
    near = tuple(entry for entry in table.entries if table.is_near_floor(entry))
    if near and table.floor is not None:
        yield NearFloor(near, table.floor)
    if rising := tuple(entry for entry in table.entries if entry.rising):
        yield StillRising(rising)


def _over_seen(table: ResultTable, seen: ResultTable) -> Iterator[OverSeen]:
    """Whether the verdicts are the same over the seen triplets alone."""
    if table.comparisons and seen.comparisons:
        others = tuple(
            (own, found.verdict)
            for found in table.comparisons
            if (own := seen.comparison(found.labels)) is not None and own.verdict != found.verdict
        )
        yield OverSeen(seen.comparisons[0].queries // 2, others)


def _range(table: ResultTable, name: str) -> FigureRange | None:
    have = [(found.mean, entry) for entry in table.entries if (found := entry.figure(name)) is not None]
    if len(have) < 2:
        return None
    (low, lowest), (high, highest) = (end(have, key=lambda pair: pair[0]) for end in (min, max))
    return FigureRange(name, lowest, low, highest, high)


def _not_compared(table: ResultTable) -> Iterator[NotCompared]:
    rows = [entry for entry in table.entries if entry.labels[table.part.rows.name] != table.part.reference]
    if lacking := tuple(entry for entry in rows if table.comparison(entry.labels) is None):
        yield NotCompared(lacking)
