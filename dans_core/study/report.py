"""A study as one page of Markdown: what was asked, what was run, its tables and what they show."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dans_core.config import Config
from dans_core.errors import InputError
from dans_core.kg import KnowledgeGraph
from dans_core.names import DATASETS, METRICS, duration
from dans_core.shelf import clean
from dans_core.study import tables
from dans_core.study.convergence import FIGURES, OF_NEGATIVES
from dans_core.study.findings import (
    columns,
    figure,
    figure_names,
    findings,
    heading,
    row_name,
    signed,
    spread,
)
from dans_core.study.folder import About, RunRecord, Study
from dans_core.study.plan import Plan
from dans_core.study.tables import Entry, Table

__all__ = ["Read", "findings", "markdown", "read_study"]

_MARKS = {"better": " ▲", "worse": " ▼"}

_HOW = (
    "Ranking: filtered with all three splits, both sides, all entities as candidates, ties count their mean rank. Each "
    "run is tested with the weights of its best epoch, by valid MRR.",
    "± is the standard deviation over seeds. Comparisons are paired by seed and by test triplet; their 95 % intervals "
    "speak of new seeds and new triplets (two-way bootstrap in closed form, with Student's t since seeds are few), and "
    "Holm p is corrected for all comparisons of the table.",
)


@dataclass(frozen=True)
class Read:
    """A study with all that its report is made of; `tables` has one for each part, their comparisons in `metric`."""

    study: Study
    plan: Plan
    about: About
    records: dict[str, RunRecord]
    tables: tuple[Table, ...]
    metric: str


def read_study(study: Study, metric: str = "mrr") -> Read:
    """All of a study, of its records those that its plan asks for.

    Raises
    ------
    InputError
        for what is damaged, another metric, and a study without a single record.
    """
    plan, about, found = study.plan, study.about, study.records()
    records = {job.run: found[job.run] for job in plan.jobs if job.run in found}
    if not records:
        raise InputError(f"study {study.name} has no run that is over yet, so there is nothing to report")
    made = tuple(tables.table(plan, part, records, metric) for part in plan.parts)
    return Read(study, plan, about, records, made, metric)


def markdown(read: Read) -> str:
    """The report, readable as text and as a page."""
    plan = read.plan
    blocks = [f"# {plain(plan.title)}"]
    blocks += [plain(plan.question)] if plan.question else []
    if (made := len(read.records)) < len(plan.jobs):
        blocks.append(f"**Unfinished: {made:,} of {len(plan.jobs):,} runs.** All below may change.")
    blocks += ["## What was run", "\n".join(f"- {fact}" for fact in _facts(read)), _floor(read.about)]
    for table in read.tables:
        blocks += _part(read, table)
    return "\n\n".join(block for block in blocks if block) + "\n"


def plain(text: str) -> str:
    """Text of a file that Markdown shows as it is, on one line."""
    line = clean(" ".join(text.split()))
    return re.sub(r"([\\`*<>\[\]|~#$]|(?<![^\W_])_|_(?![^\W_]))", r"\\\1", line)


def rows(head: Sequence[str], body: Sequence[Sequence[str]], words: int = 1) -> str:
    """A Markdown table with columns as wide as their cells; the first `words` and a "verdict" hold words."""
    lines = [head, *body]
    widths = [max(3, *(len(line[i]) for line in lines)) for i in range(len(head))]
    left = [i < words or name == "verdict" for i, name in enumerate(head)]

    def drawn(line: Sequence[str]) -> str:
        cells = zip(line, widths, left, strict=True)
        return " | ".join(cell.ljust(width) if flush else cell.rjust(width) for cell, width, flush in cells)

    rule = " | ".join(
        "-" * (width - 1) + ("-" if flush else ":") for width, flush in zip(widths, left, strict=True)
    )
    return "\n".join(f"| {line} |" for line in (drawn(head), rule, *map(drawn, body)))


# --- what was run ----------------------------------------------------------------------------------------------


def _facts(read: Read) -> list[str]:
    plan, about = read.plan, read.about
    configs = [job.config for job in plan.jobs]
    facts = [_data(about), _runs(plan), _budget(configs)]
    axes = {axis.name for part in plan.parts for axis in (part.rows, *part.columns)}
    default, first = Config(), configs[0].model_dump()
    shared = {
        name: value
        for name, value in first.items()
        if name not in axes | {"seed", "epochs", "negatives"}
        and value != getattr(default, name)
        and all(getattr(config, name) == value for config in configs)
    }
    listed = ", ".join(f"{name} = {_setting(value)}" for name, value in shared.items())
    facts.append(f"Settings of all runs other than the defaults: {listed or 'none'}.")
    versions = ", ".join(f"{name} {version}" for name, version in about.versions.items())
    where = ", ".join(plain(each) for each in (about.machine, about.workers) if each)
    facts.append(f"Begun {about.created[:10]}" + (f" on {where}" if where else "") + f"; {plain(versions)}.")
    facts.append(_time(about))
    return [fact for fact in [*facts, *_HOW] if fact]


def _data(about: About) -> str:
    text = f"Data set: {plain(DATASETS.get(about.dataset, about.dataset))}"
    try:
        kg = KnowledgeGraph.load(about.source)
    except InputError:
        kg = None
    if kg is not None and kg.hash == about.hash:
        text += f", {kg.num_entities:,} entities, {kg.num_relations:,} relations; "
        text += f"{len(kg.train):,} / {len(kg.valid):,} / {len(kg.test):,} triplets in train / valid / test"
    return f"{text} (sha256 {about.hash[:12]}…)."


def _runs(plan: Plan) -> str:
    seeds = ", ".join(map(str, plan.seeds))
    kinds = len(plan.jobs) // len(plan.seeds)
    return (
        f"Runs: {len(plan.jobs):,}, of {kinds:,} {'setting' if kinds == 1 else 'settings'} with "
        f"{len(plan.seeds)} {'seed' if len(plan.seeds) == 1 else 'seeds'} each ({seeds})."
    )


def _budget(configs: Sequence[Config]) -> str:
    """What every run may spend, and what differs."""
    epochs = sorted({config.epochs for config in configs})
    negatives = sorted({config.negatives for config in configs if config.sampler != "one-vs-all"})
    if len(epochs) > 1:
        listed = ", ".join(f"{each:,}" for each in epochs)
        return f"Training budgets differ: {listed} epochs, as the tables say. Seconds are shown."
    text = (
        f"Equal training budget: {epochs[0]:,} epochs for every run, so as many updates of the base model and as many "
        "positives"
    )
    if len(negatives) == 1:
        text += f", with {negatives[0]:,} negatives per query (N_s)."
    elif negatives:
        text += f"; negatives per query (N_s) differ: {', '.join(f'{each:,}' for each in negatives)}."
    else:
        text += "."
    if negatives and (every := [config for config in configs if config.sampler == "one-vs-all"]):
        text += " One-vs-all has no N_s: all other entities are its negatives"
        text += ", and its loss is softmax." if {config.loss for config in every} == {"softmax"} else "."
    if any(config.waits for config in configs):
        text += " Training a generator of negatives comes on top for those that have one."
    return f"{text} Seconds differ, and are shown."


def _time(about: About) -> str:
    said = "" if about.estimate is None else f"estimated before it began: {duration(about.estimate)}"
    took = "" if about.took is None else f"taken: {duration(about.took)}"
    text = "; ".join(part for part in (said, took) if part)
    if about.estimate and about.took:
        text += f", {about.took / about.estimate:.2f} × the estimate"
    return f"Time of the whole study, {text}." if text else ""


def _setting(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else plain(str(value))


def _floor(about: About) -> str:
    known = [f"{METRICS[name]} {about.floor[name]:.3f}" for name in METRICS if name in about.floor]
    if not known:
        return ""
    return f"Popularity floor on test (ranking by how often an entity fills the slot, no model): {', '.join(known)}."


# --- a part ----------------------------------------------------------------------------------------------------


def _part(read: Read, table: Table) -> list[str]:
    part, metric = table.part, METRICS[table.metric]
    blocks = (
        [f"## {plain(part.title)}"]
        if len(read.plan.parts) > 1 or part.title != read.plan.title
        else ["## Results"]
    )
    blocks += [plain(part.note)] if part.note else []
    reference = plain(row_name(table, part.reference))
    compared = (
        f"▲ better and ▼ worse than {reference}, Holm p < {tables.LEVEL:g}." if table.comparisons else ""
    )
    if part.columns:
        blocks += [
            f"Test {metric}. {compared}".strip(),
            _matrix(table),
            "All metrics on test, and valid MRR:",
        ]
        blocks.append(_cells(table, marked=False))
    else:
        blocks += [f"All metrics on test, and valid MRR. {compared}".strip(), _cells(table, marked=True)]
    names = [name for name in figure_names(table) if part.figure == "stability" or name in OF_NEGATIVES]
    if names:
        title = "The way there" if part.figure == "stability" else "Their negatives"
        blocks += [f"### {title}", _figures(table, names)]
        blocks.append("\n".join(f"- {FIGURES[name][0]}: {FIGURES[name][1]}" for name in names))
    if table.comparisons:
        blocks += [f"### Test {metric}, each less {reference}", _comparisons(table)]
    return [*blocks, "### What it shows", "\n".join(f"- {plain(sentence)}" for sentence in findings(table))]


def _matrix(table: Table) -> str:
    """Rows by columns: the metric, and what the comparison says."""
    axis = table.part.rows
    found = {(entry.labels[axis.name], _column(table, entry)): entry for entry in table.entries}
    across = columns(table)
    body = [
        [
            plain(tables.label(axis.name, value)),
            *(_value(table, found[value, column], True) for column in across),
        ]
        for value in axis.values
    ]
    return rows([plain(tables.title(axis.name)), *(plain(heading(table, column)) for column in across)], body)


def _column(table: Table, entry: Entry) -> tuple[Any, ...]:
    return tuple(entry.labels[axis.name] for axis in table.part.columns)


def _value(table: Table, entry: Entry, marked: bool) -> str:
    found = entry.spread(table.metric)
    comparison = table.comparison(entry.labels)
    mark = _MARKS.get(comparison.verdict, "") if marked and comparison is not None else ""
    return f"{spread(found)}{mark}{_lacking(entry)}"


def _lacking(entry: Entry) -> str:
    """ " (1 diverged, 2 missing)"; "" where all runs are finished."""
    words = [f"{len(entry.failed)} diverged"] if entry.failed else []
    words += [f"{entry.missing} missing"] if entry.missing else []
    return f" ({', '.join(words)})" if words else ""


def _axes(table: Table) -> list[str]:
    return [table.part.rows.name, *(axis.name for axis in table.part.columns)]


def _labels(table: Table, labels: dict[str, Any]) -> list[str]:
    return [plain(tables.label(name, labels[name])) for name in _axes(table)]


def _cells(table: Table, marked: bool) -> str:
    """A line for each cell with all metrics."""
    axes = _axes(table)
    head = [
        *(plain(tables.title(name)) for name in axes),
        "runs",
        *METRICS.values(),
        "valid MRR",
        "seconds a run",
    ]
    body = []
    for entry in table.entries:
        values = [
            _value(table, entry, marked) if name == table.metric else spread(entry.spread(name))
            for name in METRICS
        ]
        runs = f"{len(entry.records)}"
        valid = spread(entry.spread("mrr", "valid"))
        body.append([*_labels(table, entry.labels), runs, *values, valid, spread(entry.seconds, 1)])
    return rows(head, body, len(axes))


def _figures(table: Table, names: Sequence[str]) -> str:
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
        [*(plain(tables.title(name)) for name in axes), *(FIGURES[name][0] for name in names)],
        body,
        len(axes),
    )


def _comparisons(table: Table) -> str:
    axes = _axes(table)
    head = [
        *(plain(tables.title(name)) for name in axes),
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
            each.verdict,
        ]
        for each in table.comparisons
    ]
    return rows(head, body, len(axes))


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"
