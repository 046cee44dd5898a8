"""A study as one page of Markdown: what was asked, what was run, its tables and what they show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dans_data import words
from dans_data.errors import InputError
from dans_data.words import signed
from dans_lab.halves import ABOUT as HALVES_ABOUT
from dans_lab.names import METRICS
from dans_lab.study import tables
from dans_lab.study.convergence import FIGURES, OF_NEGATIVES
from dans_lab.study.facts import facts, floor
from dans_lab.study.findings import figure_names
from dans_lab.study.folder import RunRecord, Study, StudyRecord
from dans_lab.study.learning import unit
from dans_lab.study.markup import markdown_text, rows
from dans_lab.study.picture import WORDS, worth_drawing
from dans_lab.study.plan import Plan
from dans_lab.study.tables import ResultCell, ResultTable, Spread
from dans_lab.study.words import MARKS, figure, heading, marks, row_name, sentences, spread, strata, verdict

_SEEN = ("mrr", "hits_at_10")
"""Metrics that a table of all metrics has over the seen triplets, too."""


@dataclass(frozen=True)
class Read:
    """A study with all that its report is made of; `tables` has one for each part, their comparisons in `metric`.

    `seen` has the same tables over the test triplets whose two entities occur in train; it is empty where all do.
    """

    study: Study
    plan: Plan
    meta: StudyRecord
    records: dict[str, RunRecord]
    tables: tuple[ResultTable, ...]
    metric: str
    seen: tuple[ResultTable, ...] = ()

    def _repr_markdown_(self) -> str:
        return markdown(self, pictures=False)

    def seen_of(self, table: ResultTable) -> ResultTable | None:
        """The same table over the seen triplets; None where all are."""
        return self.seen[self.tables.index(table)] if self.seen else None


def read_study(study: Study, metric: str = "mrr") -> Read:
    """All of a study, of its records those that its plan asks for.

    Raises:
        InputError: for what is damaged, another metric, and a study without a single record.
    """
    plan, meta, found = study.plan, study.meta, study.records()
    records = {planned.run: found[planned.run] for planned in plan.jobs if planned.run in found}
    if not records:
        raise InputError(f"study {study.name} has no run that is over yet, so there is nothing to report")
    made = tuple(tables.table(plan, part, records, metric, meta.floor) for part in plan.parts)
    over_seen = tables.over_seen(records, meta.seen) if meta.seen else {}
    seen = tuple(
        tables.table(plan, part, over_seen, metric, meta.floor_seen) for part in plan.parts if over_seen
    )
    return Read(study, plan, meta, records, made, metric, seen)


def markdown(read: Read, pictures: bool = True) -> str:
    """The report, readable as text and as a page; with `pictures` it shows those that `deliver` puts beside it."""
    plan = read.plan
    blocks = [f"# {markdown_text(plan.title)}"]
    blocks += [markdown_text(plan.question)] if plan.question else []
    if (made := len(read.records)) < len(plan.jobs):
        blocks.append(f"**Unfinished: {made:,} of {len(plan.jobs):,} runs.** All below may change.")
    listed = facts(plan, read.meta, read.tables)
    blocks += ["## What was run", _bullets(listed), floor(read.meta)]
    for number, table in enumerate(read.tables, start=1):
        blocks += _part(read, table, number if pictures else None)
    return "\n\n".join(block for block in blocks if block) + "\n"


# --- a part ----------------------------------------------------------------------------------------------------


def _part(read: Read, table: ResultTable, number: int | None) -> list[str]:
    """One table and all about it; with its number also the pictures that stand beside the report."""
    part, metric, seen = table.part, METRICS[table.metric], read.seen_of(table)
    blocks = (
        [f"## {markdown_text(part.title)}"]
        if len(read.plan.parts) > 1 or part.title != read.plan.title
        else ["## Results"]
    )
    blocks += [markdown_text(part.note)] if part.note else []
    reference = markdown_text(row_name(table, part.reference))
    compared = marks(reference, table.comparisons) if table.comparisons else ""
    if part.columns:
        blocks += [f"Test {metric}. {compared}".strip(), _matrix(table)]
        blocks += [] if seen is None else [f"Test {metric} over the seen triplets:", _matrix(seen)]
        blocks += ["All metrics on test, and valid MRR:", _cells(read, table, marked=False)]
    else:
        blocks += [
            f"All metrics on test, and valid MRR. {compared}".strip(),
            _cells(read, table, marked=True),
        ]
    drawn = worth_drawing(table) if number is not None else {}
    for over, name in drawn.items():
        blocks += [f"### Learning by {WORDS[over]}", f"![Valid MRR by {WORDS[over]}]({name}-{number}.svg)"]
    if drawn:
        blocks.append(
            f"Thick lines are medians over the seeds, thin ones runs; the points are in curve-{number}.csv. The time "
            "is of training alone, without rankings and checks."
        )
    if len(apart := strata(read.meta.halves)) > 1:
        blocks += ["### Test MRR by what train shows", HALVES_ABOUT, _by_halves(read, table, apart)]
    names = [name for name in figure_names(table) if part.figure == "stability" or name in OF_NEGATIVES]
    if names:
        title = "The way there" if part.figure == "stability" else "Their negatives"
        blocks += [f"### {title}", _figures(table, names)]
        blocks.append("\n".join(f"- {FIGURES[name][0]}: {FIGURES[name][1]}" for name in names))
    if table.comparisons:
        blocks += [f"### Test {metric}, each less {reference}", _comparisons(table)]
    if seen is not None and seen.comparisons:
        blocks += [f"### Test {metric} over the seen triplets, each less {reference}", _comparisons(seen)]
    return [*blocks, "### What it shows", _bullets(sentences(table, seen))]


def _bullets(sentences: Sequence[str]) -> str:
    return "\n".join(f"- {markdown_text(sentence)}" for sentence in sentences)


def _matrix(table: ResultTable) -> str:
    """Rows by columns: the metric, and what the comparison says."""
    axis = table.part.rows
    found = {(entry.labels[axis.name], table.column_of(entry.labels)): entry for entry in table.entries}
    across = table.columns
    body = [
        [
            markdown_text(tables.label(axis.name, value)),
            *(_value(table, found[value, column], True) for column in across),
        ]
        for value in axis.values
    ]
    return rows(
        [
            markdown_text(tables.title(axis.name)),
            *(markdown_text(heading(table, column)) for column in across),
        ],
        body,
    )


def _value(table: ResultTable, entry: ResultCell, marked: bool) -> str:
    found = entry.spread(table.metric)
    comparison = table.comparison(entry.labels) if marked else None
    mark = ""
    if comparison is not None and comparison.verdict != "cannot be told apart":
        mark = f" {MARKS[comparison.verdict]}"
    return f"{spread(found)}{mark}{_lacking(entry)}"


def _lacking(entry: ResultCell) -> str:
    """ " (1 diverged, 2 missing)"; "" where all runs are finished."""
    words = [f"{len(entry.failed)} diverged"] if entry.failed else []
    words += [f"{entry.missing} missing"] if entry.missing else []
    return f" ({', '.join(words)})" if words else ""


def _axes(table: ResultTable) -> list[str]:
    return [table.part.rows.name, *(axis.name for axis in table.part.columns)]


def _labels(table: ResultTable, labels: dict[str, Any]) -> list[str]:
    return [markdown_text(tables.label(name, labels[name])) for name in _axes(table)]


def _cells(read: Read, table: ResultTable, marked: bool) -> str:
    """A line for each cell with all metrics; where they differ, its epochs, and the time of training alone."""
    axes, seen = _axes(table), read.seen_of(table)
    epochs = {entry.cell.config.epochs for entry in table.entries}
    spent = len(epochs) > 1 or bool(read.plan.budget)
    alone = spent and any(entry.trained for entry in table.entries)
    name, size = unit(max((each.mean for entry in table.entries if (each := entry.seconds)), default=0.0))
    head = [*(markdown_text(tables.title(axis)) for axis in axes), "runs", *METRICS.values()]
    head += [f"{METRICS[metric]}, seen" for metric in _SEEN if seen is not None]
    head += [
        "valid MRR",
        *(["epochs"] * (spent and "epochs" not in axes)),
        *([f"{name} of training"] * alone),
    ]
    head.append(f"{name} a run")
    body = []
    for entry in table.entries:
        cells = [
            _value(table, entry, marked) if metric == table.metric else spread(entry.spread(metric))
            for metric in METRICS
        ]
        if seen is not None:
            own = seen.entry(entry.labels)
            cells += [
                _value(seen, own, marked) if metric == table.metric else spread(own.spread(metric))
                for metric in _SEEN
            ]
        cells.append(spread(entry.spread("mrr", "valid")))
        cells += [f"{entry.cell.config.epochs:,}"] * (spent and "epochs" not in axes)
        cells += [spread(_scaled(entry.trained, size), 1)] * alone
        cells.append(spread(_scaled(entry.seconds, size), 1))
        body.append([*_labels(table, entry.labels), f"{len(entry.records)}", *cells])
    return rows(head, body, len(axes))


def _by_halves(read: Read, table: ResultTable, apart: dict[int, str]) -> str:
    """The floor, then a line for each cell: its MRR over the triplets of each stratum."""
    axes, floor = _axes(table), read.meta.floor_halves
    base = [words.number(floor.get(str(number))) for number in apart]
    body = [["popularity floor", *[""] * (len(axes) - 1), *base]]
    for entry in table.entries:
        found = tables.by_halves(entry, read.meta.halves)
        body.append([*_labels(table, entry.labels), *(spread(found.get(number)) for number in apart)])
    return rows([*(markdown_text(tables.title(axis)) for axis in axes), *apart.values()], body, len(axes))


def _scaled(found: Spread | None, size: float) -> Spread | None:
    """The same in another unit."""
    if found is None:
        return None
    return Spread(found.mean / size, None if found.sd is None else found.sd / size, found.count)


def _figures(table: ResultTable, names: Sequence[str]) -> str:
    axes = _axes(table)
    body = []
    for entry in table.entries:
        cells = []
        for name in names:
            found = entry.figure(name)
            beside = "" if found is None or found.sd is None else f" ± {figure(name, found.sd)}"
            cells.append("–" if found is None else f"{figure(name, found.mean)}{beside}")
        body.append([*_labels(table, entry.labels), *cells])
    return rows(
        [*(markdown_text(tables.title(name)) for name in axes), *(FIGURES[name][0] for name in names)],
        body,
        len(axes),
    )


def _comparisons(table: ResultTable) -> str:
    axes = _axes(table)
    head = [
        *(markdown_text(tables.title(name)) for name in axes),
        "difference",
        "95 % interval",
        "p",
        "Holm p",
        "seeds",
        "verdict",
    ]
    body = [
        [
            *_labels(table, each.labels),
            signed(each.difference, 4),
            f"{signed(each.low, 4)} … {signed(each.high, 4)}",
            _p(each.p),
            _p(each.corrected),
            str(each.seeds),
            verdict(each),
        ]
        for each in table.comparisons
    ]
    return rows(head, body, len(axes))


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"
