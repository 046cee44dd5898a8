"""What the records of a study say: mean and spread of every cell, and each row against the reference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from dans_core.config import Config
from dans_data.errors import InputError
from dans_data.metrics import TERMS, Floats
from dans_lab.names import DECODERS, SAMPLERS
from dans_lab.standing import Withheld, is_near, is_rising, late_gain, why_withheld
from dans_lab.study.folder import RunRecord
from dans_lab.study.plan import VARIANT, Cell, Label, Plan, StudyPart
from dans_lab.study.statistics import crossed, holm

SIGNIFICANT = 0.05
"""A corrected p-value below this is called a difference."""

Column = tuple[Label, ...]
"""A column of a table: its value on each axis but that of the rows."""

Verdict = Literal["better", "worse", "cannot be told apart", "near the floor", "still rising"]
"""The last two say why no verdict is given."""


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviation over seeds (with count − 1; None for one run)."""

    mean: float
    sd: float | None
    count: int

    @classmethod
    def of(cls, values: list[float]) -> Spread | None:
        """The spread of these numbers; None without any."""
        if not values:
            return None
        sd = float(np.std(values, ddof=1)) if len(values) > 1 else None
        return cls(float(np.mean(values)), sd, len(values))


@dataclass(frozen=True)
class ResultCell:
    """One cell of a table.

    records   finished runs in the order of seeds
    failed    runs that diverged, in the order of seeds; they are in no mean
    missing   how many runs have not been made yet
    """

    labels: dict[str, Label]
    cell: Cell
    records: tuple[RunRecord, ...]
    failed: tuple[RunRecord, ...]
    missing: int

    def spread(self, metric: str, split: str = "test") -> Spread | None:
        """A metric over the finished runs, on "valid" or else on test; None where no run has it."""
        found = [record.valid if split == "valid" else record.test for record in self.records]
        return Spread.of([values[metric] for values in found if metric in values])

    def figure(self, name: str) -> Spread | None:
        """A figure of the way there over the finished runs that have it; None without any."""
        return Spread.of([record.figures[name] for record in self.records if name in record.figures])

    @property
    def seconds(self) -> Spread | None:
        """Time of training of a finished run, with rankings and checks."""
        return Spread.of([record.seconds for record in self.records])

    @property
    def late_gain(self) -> float | None:
        """The median over the finished runs of what the last quarter of the epochs brought (`standing.late_gain`)."""
        found = [gain for record in self.records if (gain := late_gain(_course(record))) is not None]
        return float(np.median(found)) if found else None

    @property
    def rising(self) -> bool:
        """Whether its runs had not levelled off."""
        return is_rising(self.late_gain)

    @property
    def trained(self) -> Spread | None:
        """Seconds of training alone of a finished run, without rankings and checks; None of records of before."""
        curves = [record.curves["seconds"] for record in self.records if record.curves.get("seconds")]
        return Spread.of([curve[-1] for curve in curves if curve[-1] is not None])


@dataclass(frozen=True)
class Comparison:
    """A row less the reference, in one column, over the seeds that both have.

    labels           of the row's cell, on all axes
    difference       in the metric; low and high are its 95 % interval, for new seeds and new test triplets
    p, corrected     two-sided; corrected by Holm for all the comparisons of the table
    seeds, queries   how many the difference is over; a test triplet is two queries. One seed speaks of itself alone
    withheld         why it is not called better or worse, whatever p is
    """

    labels: dict[str, Label]
    reference: Label
    metric: str
    difference: float
    low: float
    high: float
    p: float
    corrected: float
    seeds: int
    queries: int
    withheld: Withheld | None = None

    @property
    def verdict(self) -> Verdict:
        """What may be said, at the level of 5 % for the whole table."""
        if self.withheld is not None:
            return self.withheld
        if self.corrected >= SIGNIFICANT:
            return "cannot be told apart"
        return "better" if self.difference > 0 else "worse"


@dataclass(frozen=True)
class ResultTable:
    """The cells of a part in its order, and the comparisons in the same order, but for those without a common seed.

    `floor` is the metric of ranking by popularity alone; None where it is not known.
    """

    part: StudyPart
    entries: tuple[ResultCell, ...]
    comparisons: tuple[Comparison, ...]
    metric: str
    floor: float | None = None

    def is_near_floor(self, entry: ResultCell) -> bool:
        """Whether the mean of a cell is near the popularity floor."""
        spread = entry.spread(self.metric)
        return spread is not None and is_near(spread.mean, self.floor)

    def entry(self, labels: Mapping[str, Label]) -> ResultCell:
        """The entry with these values on all axes; KeyError if there is none."""
        for entry in self.entries:
            if entry.labels == dict(labels):
                return entry
        raise KeyError(labels)

    def comparison(self, labels: Mapping[str, Label]) -> Comparison | None:
        """The comparison of the cell with these values; None for the reference and where no seed is common."""
        return next((found for found in self.comparisons if found.labels == dict(labels)), None)

    @property
    def columns(self) -> list[Column]:
        """The columns in order; one () where there is no axis but that of the rows."""
        return list(dict.fromkeys(self.column_of(entry.labels) for entry in self.entries))

    def column_of(self, labels: Mapping[str, Label]) -> Column:
        """The column of a cell with these values."""
        return tuple(labels[axis.name] for axis in self.part.columns)


def table(
    plan: Plan,
    part: StudyPart,
    records: Mapping[str, RunRecord],
    metric: str = "mrr",
    floor: Mapping[str, float] | None = None,
) -> ResultTable:
    """The table of a part; `metric`, of `TERMS`, is that of the comparisons.

    `floor` has the metrics of ranking the same triplets by popularity alone, where they are known.

    Raises:
        InputError: for another metric, or records whose ranks cannot be those of one test split.
    """
    if metric not in TERMS:
        raise InputError(f"metric = {metric!r}: must be one of {', '.join(TERMS)}")
    entries = tuple(_entry(plan, cell, records) for cell in part.cells)
    found = ResultTable(part, entries, (), metric, (floor or {}).get(metric))
    return replace(found, comparisons=_comparisons(found))


def over_seen(records: Mapping[str, RunRecord], seen: str) -> dict[str, RunRecord]:
    """The same runs as if the test split had only the triplets marked in `seen`, as `About` has it; valid is left out.

    Raises:
        InputError: for records whose ranks are not as many as there are marks.
    """
    kept = np.array(list(seen)) == "1"
    found = {}
    for run, record in records.items():
        changed: dict[str, object] = {"valid": {}, "test": {}, "ranks": []}
        if record.ranks:
            if len(record.ranks) != len(kept):
                raise InputError(
                    f"study.json tells of {len(kept):,} test triplets, but run {run} has ranked {len(record.ranks):,}"
                )
            ranks = [pair for pair, keep in zip(record.ranks, kept, strict=True) if keep]
            changed["ranks"] = ranks
            if ranks:
                values = np.asarray(ranks, dtype=float) / 2
                changed["test"] = {name: float(of(values).mean()) for name, of in TERMS.items()}
        found[run] = record.model_copy(update=changed)
    return found


def by_halves(entry: ResultCell, halves: str) -> dict[int, Spread]:
    """The test MRR of a cell over the triplets of which train shows 2, 1 or 0 halves, as `StudyRecord.halves` has it.

    Raises:
        InputError: for records whose ranks are not as many as there are marks.
    """
    shown = np.array(list(halves), dtype=int)
    values: dict[int, list[float]] = {}
    for record in entry.records:
        if len(record.ranks) != len(shown):
            raise InputError(
                f"study.json tells of {len(shown):,} test triplets, but run {record.run} has ranked "
                f"{len(record.ranks):,}"
            )
        mrr = TERMS["mrr"](_ranks(record)).mean(1)
        for number in (2, 1, 0):
            if (which := shown == number).any():
                values.setdefault(number, []).append(float(mrr[which].mean()))
    return {number: spread for number, some in values.items() if (spread := Spread.of(some)) is not None}


def label(axis: str, value: Label) -> str:
    """How a value is shown: "DANS", "ComplEx", "on", "0.0001" → "1e-4"."""
    if axis == "sampler":
        return SAMPLERS.get(str(value), str(value))
    if axis == "decoder":
        return DECODERS.get(str(value), str(value))
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, float):
        return _short(value)
    return f"{value:,}" if isinstance(value, int) else value


def title(axis: str) -> str:
    """How an axis is headed: the title of the setting."""
    if axis == VARIANT:
        return "Variant"
    field = Config.model_fields.get(axis)
    return field.title if field is not None and field.title else axis


def _short(number: float) -> str:
    """ "0.5", "1", "1e-4": below a thousandth with an exponent."""
    if number == 0 or 1e-3 <= abs(number) < 1e6:
        return f"{number:.6g}"
    digits, _, power = f"{number:.5e}".partition("e")
    return f"{digits.rstrip('0').rstrip('.')}e{int(power)}"


def _entry(plan: Plan, cell: Cell, records: Mapping[str, RunRecord]) -> ResultCell:
    runs = plan.runs_of(cell)
    made = [records[run] for run in runs if run in records]
    finished = tuple(record for record in made if record.state == "finished")
    failed = tuple(record for record in made if record.state == "failed")
    return ResultCell(cell.labels, cell, finished, failed, len(runs) - len(made))


def _comparisons(of: ResultTable) -> tuple[Comparison, ...]:
    part, values = of.part, {}
    for entry in of.entries:
        for record in entry.records:
            if record.ranks:
                values[record.run] = TERMS[of.metric](_ranks(record))
    if len({len(found) for found in values.values()}) > 1:
        lengths = {len(found): run for run, found in values.items()}
        runs = " and ".join(f"{run} has {count:,}" for count, run in sorted(lengths.items())[:2])
        raise InputError(f"the test ranks of the runs of {part.title!r} are not of the same triplets: {runs}")
    found = []
    for entry in of.entries:
        if entry.labels[part.rows.name] == part.reference:
            continue
        reference = of.entry({**entry.labels, part.rows.name: part.reference})
        rows = {record.seed: values[record.run] for record in entry.records if record.run in values}
        others = {record.seed: values[record.run] for record in reference.records if record.run in values}
        seeds = [seed for seed in rows if seed in others]
        if not seeds:
            continue
        of_row, of_reference = (np.stack([side[seed] for seed in seeds]) for side in (rows, others))
        both = float(of_reference.mean()), float(of_row.mean())
        found.append((entry, reference, both, crossed(of_reference, of_row)))
    corrected = holm([difference.p for *_, difference in found])
    return tuple(
        Comparison(
            entry.labels,
            part.reference,
            of.metric,
            each.mean,
            each.low,
            each.high,
            each.p,
            p,
            each.seeds,
            2 * each.count,
            why_withheld(both, of.floor, (reference.late_gain, entry.late_gain), p < SIGNIFICANT),
        )
        for (entry, reference, both, each), p in zip(found, corrected, strict=True)
    )


def _course(record: RunRecord) -> list[tuple[float, float]]:
    """Epoch and valid MRR of each ranking that is kept."""
    pairs = zip(record.curves.get("epoch", []), record.curves.get("valid_mrr", []), strict=False)
    return [(epoch, value) for epoch, value in pairs if epoch is not None and value is not None]


def _ranks(record: RunRecord) -> Floats:
    """The test ranks, shape (triplets, 2), 1 being best."""
    ranks = np.asarray(record.ranks, dtype=float) / 2
    if not (ranks >= 1).all():
        raise InputError(f"the record of run {record.run} has a rank below 1")
    return ranks
