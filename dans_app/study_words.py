"""What the Studies screen says in words, and how better and worse are marked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from dans_app import jobs, theme
from dans_app.rank_comparison import number, p_words, signed
from dans_app.study_data import Column, Listed, Loaded, View, cost
from dans_app.theme import Look
from dans_app.words import plain
from dans_core.errors import InputError
from dans_core.names import DATASETS, METRICS, SAMPLERS_ABOUT
from dans_core.runs import Run
from dans_core.study import report, tables
from dans_core.study.folder import About
from dans_core.study.plan import Label, Plan
from dans_core.study.tables import LEVEL, Comparison, Entry, Spread, Verdict

VERDICTS: dict[Verdict, Look] = {
    "better": Look("better", theme.OPINION[2], "triangle-up"),
    "worse": Look("worse", theme.OPINION[0], "triangle-down"),
    "cannot be told apart": Look("cannot be told apart", theme.RANDOM.color, "circle-open"),
}
"""How each verdict is drawn; shape and colour both tell."""

MARKS: dict[Verdict, str] = {"better": "▲", "worse": "▼", "cannot be told apart": "○"}

LEGEND = (
    f"{MARKS['better']} better and {MARKS['worse']} worse than {{reference}}; {MARKS['cannot be told apart']} cannot "
    "be told apart from it."
)
HOW = (
    "± is the standard deviation over seeds. A difference is taken over the seeds that both have, triplet by triplet. "
    "Its 95 % interval is for new seeds and new test triplets. p is corrected for all comparisons of the table (Holm), "
    f"and below {LEVEL:g} it is called a difference."
)

NO_TEST = (
    "Differences, intervals and p are of the test split, whose ranks are kept; on valid the best epoch of each run was "
    "chosen."
)
METRICS_HELP = (
    "Filtered, over both sides. MRR: the mean of 1 / rank of the true answer. H@k: the share of answers ranked k or "
    "better. NDCG@5: 1 / log₂(1 + rank) up to rank 5, else 0."
)
SPLIT_HELP = (
    "Results are reported on test. On valid, where the best epoch was chosen, they look better than they are."
)
REPORT_HELP = "The whole study as Markdown: findings, tables with intervals, and what it ran on."
TABLE_HELP = "Means, standard deviations, differences, intervals and p, one cell a row."
RUNS_HELP = "Settings and all metrics of every run, one a row."
CHARTS_HELP = "All charts on this screen as one web page that works by itself, offline."


# --- the list of studies -----------------------------------------------------------------------------------------


def line(listed: Listed) -> str:
    """A study in the list: "Negative samplers · UMLS · 57 of 180 runs"."""
    data = DATASETS.get(listed.plan.dataset, listed.plan.dataset)
    done = (
        f"{listed.total:,} runs"
        if listed.done == listed.total
        else f"{listed.done:,} of {listed.total:,} runs"
    )
    parts = [listed.plan.title, data, done, *(["comes with the app"] if listed.study.shipped else [])]
    return " · ".join(parts)


def lines(studies: dict[str, Listed]) -> dict[str, str]:
    """A line for each study that no other has: its key is added where two would read the same."""
    found = {key: line(listed) for key, listed in studies.items()}
    every = list(found.values())
    return {key: text if every.count(text) == 1 else f"{text} · {key}" for key, text in found.items()}


def size(plan: Plan) -> str:
    """How many runs a study asks for, on what, and about how long they take: "180 runs on UMLS, about 2 hours …"."""
    text = f"{len(plan.jobs):,} runs on {DATASETS.get(plan.dataset, plan.dataset)}"
    seconds = cost(plan)
    return text if seconds is None else f"{text}, {jobs.seconds_in_words(seconds)} on this machine"


# --- how far it is -----------------------------------------------------------------------------------------------


def progress(loaded: Loaded, going: Sequence[Run], left: float | None) -> str:
    """How many runs there are, and when the rest will be: "57 of 180 runs, about 3 hours left at this pace." """
    total, missing = loaded.listed.total, len(loaded.left)
    text = f"**{total - missing:,} of {total:,} runs** are there"
    if not going:
        return f"{text}; none is being trained now."
    pace = "" if left is None else f", {jobs.seconds_in_words(left)} left"
    return f"{text}{pace}."


def training_now(going: Sequence[Run], most: int = 4) -> list[str]:
    """A line of Markdown for each run that is being trained: what it is, and how far."""
    found = []
    for run in going[:most]:
        status, config = run.stored_status, run.config
        names = [tables.label("sampler", config.sampler), tables.label("decoder", config.decoder)]
        what = " · ".join([*names, f"seed {config.seed}"])
        found.append(f"{what}: epoch {status.epoch:,} of {status.epochs:,}")
    return found + ([f"and {len(going) - most} more"] if len(going) > most else [])


def command(loaded: Loaded) -> str:
    """The line that runs this study, or goes on with it."""
    return f"python -m dans_core study {loaded.plan.name}"


# --- what it ran on ----------------------------------------------------------------------------------------------


def ran_on(loaded: Loaded) -> pd.DataFrame:
    """What a study ran on, one fact a row."""
    plan, about = loaded.plan, loaded.about
    rows = [
        ("Data set", DATASETS.get(plan.dataset, plan.dataset)),
        ("Seeds", ", ".join(map(str, plan.seeds))),
        ("Epochs", _span({job.config.epochs for job in plan.jobs})),
        ("Negatives per query", _span({job.config.negatives for job in plan.jobs})),
        ("Runs", f"{loaded.listed.total:,}"),
    ]
    if loaded.records:
        spent = sum(record.seconds for record in loaded.records.values())
        rows.append(("Training time of all runs", jobs.seconds_in_words(spent)))
    if about is not None:
        rows += _about(about)
    return pd.DataFrame(rows, columns=["What", "Value"])


def _about(about: About) -> list[tuple[str, str]]:
    rows = [("Data read from", about.source), ("Identity of the data", about.hash[:16])]
    rows += [("Machine", about.machine)] * bool(about.machine) + [("Trained by", about.workers)] * bool(
        about.workers
    )
    if about.estimate is not None:
        rows.append(("Time expected", jobs.seconds_in_words(about.estimate)))
    if about.took is not None:
        rows.append(("Time taken", jobs.seconds_in_words(about.took)))
    rows.append(("Begun", about.created[:16].replace("T", " ") + " UTC" * about.created.endswith("+00:00")))
    rows += [(f"Version of {name}", version) for name, version in about.versions.items()]
    return rows


def _span(values: set[int]) -> str:
    return f"{min(values):,}" if len(values) == 1 else f"{min(values):,} to {max(values):,}"


# --- a cell ------------------------------------------------------------------------------------------------------


def value(spread: Spread | None) -> str:
    """ "0.912 ± 0.004", "0.912" of one run, "–" of none."""
    if spread is None:
        return "–"
    return number(spread.mean) + (f" ± {number(spread.sd)}" if spread.sd is not None else "")


def runs_note(entry: Entry) -> str:
    """What is not in the mean: "3 of 5 runs, 1 diverged"; "" where all runs are."""
    total = len(entry.records) + len(entry.failed) + entry.missing
    if len(entry.records) == total:
        return ""
    text = f"{len(entry.records)} of {total} runs"
    return text + (f", {len(entry.failed)} diverged" if entry.failed else "")


def legend(view: View, split: str) -> str:
    """How to read the marks of the table, in Markdown."""
    if split != "test":
        return NO_TEST
    text = LEGEND.format(reference=plain(view.row_title(view.reference)))
    lone = any(found.seeds == 1 for found in view.comparisons.values())
    return text + " Faint: over one seed, which speaks of itself alone." * lone


def difference(found: Comparison, reference: str) -> str:
    """A comparison in words: "0.038 lower than DANS (95 %: 0.025 … 0.051 lower), p = 0.013 …: worse." """
    low, high = (found.low, found.high) if found.difference >= 0 else (-found.high, -found.low)
    way = "higher" if found.difference >= 0 else "lower"
    return (
        f"{number(abs(found.difference))} {way} than {reference} "
        f"(95 %: {number(low)} … {number(high)}), {p_words(found.corrected)} corrected, over {seeds(found.seeds)}: "
        f"{found.verdict}"
    )


def seeds(count: int) -> str:
    """ "1 seed", "5 seeds"."""
    return f"{count:,} seed{'' if count == 1 else 's'}"


def place(view: View, row: Label, column: Column) -> str:
    """How a cell is called: "Uniform, ComplEx"."""
    return ", ".join(part for part in (view.row_name(row), view.column_name(column)) if part)


def explained(view: View, row: Label, column: Column, metric: str, split: str) -> str:
    """All that is to be said of a cell, in a few sentences."""
    entry, found = view.entries[row, column], view.comparisons.get((row, column))
    spread = entry.spread(metric, split)
    text = f"{place(view, row, column)}: "
    if spread is None:
        return text + ("no run is there yet." if entry.missing else "every run diverged.")
    text += f"{METRICS[metric]} {value(spread)} on {split}, over {seeds(spread.count)}"
    if note := runs_note(entry):
        text += f" ({note})"
    if row == view.reference:
        return f"{text}. The others are compared with it."
    if split == "test" and found is not None:
        return f"{text}; {difference(found, view.row_title(view.reference))}."
    return f"{text}."


def about_row(view: View, row: Label) -> str:
    """What a row is, where it is a sampler; else ""."""
    return SAMPLERS_ABOUT.get(str(row), "") if view.part.rows.name == "sampler" else ""


# --- the whole table ---------------------------------------------------------------------------------------------


def ordered(view: View, by_value: bool, metric: str, split: str, column: Column | None = None) -> list[Label]:
    """The rows as in the plan, or best first: by a column, or by the mean over all columns."""
    if not by_value:
        return list(view.rows)
    columns = view.columns if column is None else (column,)

    def mean(row: Label) -> float:
        spreads = [view.entries[row, each].spread(metric, split) for each in columns]
        known = [spread.mean for spread in spreads if spread is not None]
        return sum(known) / len(known) if known else float("-inf")

    return sorted(view.rows, key=mean, reverse=True)


def table_data(
    view: View,
    rows: Sequence[Label],
    metric: str,
    split: str,
    floor: float | None,
    chosen: tuple[Label, Column] | None,
) -> dict[str, Any]:
    """What the table of the screen draws; cells are named by the places of row and column in the plan."""
    with_columns = len(view.columns) > 1 or bool(view.part.columns)
    return {
        "corner": tables.title(view.part.rows.name),
        "columns": [view.column_name(column) for column in view.columns]
        if with_columns
        else [METRICS[metric]],
        "rows": [
            {
                "name": view.row_name(row),
                "about": about_row(view, row),
                "reference": row == view.reference,
                "cells": [_cell(view, row, column, metric, split) for column in view.columns],
            }
            for row in rows
        ],
        "floor": None if floor is None else number(floor),
        "chosen": "" if chosen is None else cell_id(view, *chosen),
        "hint": "Point at a cell to read it in words; press it for its runs.",
        "alt": table_alt(view, rows, metric, split),
    }


def cell_id(view: View, row: Label, column: Column) -> str:
    """A cell by the places of its row and column in the plan."""
    return f"{view.rows.index(row)}.{view.columns.index(column)}"


def _cell(view: View, row: Label, column: Column, metric: str, split: str) -> dict[str, Any]:
    entry = view.entries[row, column]
    spread = entry.spread(metric, split)
    found = view.comparisons.get((row, column)) if split == "test" else None
    return {
        "id": cell_id(view, row, column),
        "mean": "–" if spread is None else number(spread.mean),
        "sd": "" if spread is None or spread.sd is None else f"± {number(spread.sd)}",
        "mark": MARKS[found.verdict] if found else "",
        "color": VERDICTS[found.verdict].color if found else "",
        "difference": signed(found.difference) if found else "",
        "faint": found is not None and found.seeds == 1,
        "note": runs_note(entry),
        "words": explained(view, row, column, metric, split),
    }


def table_alt(view: View, rows: Sequence[Label], metric: str, split: str) -> str:
    """The table in a sentence."""
    across = f" and {len(view.columns)} columns" if len(view.columns) > 1 else ""
    return f"{METRICS[metric]} on {split}, mean and standard deviation over seeds: {len(rows)} rows{across}."


def frame(view: View, rows: Sequence[Label], metric: str, split: str) -> pd.DataFrame:
    """The table with every number in a column of its own, one cell a row, for a download."""
    out = []
    for row in rows:
        for column in view.columns:
            entry, found = view.entries[row, column], view.comparisons.get((row, column))
            spread = entry.spread(metric, split)
            out.append(
                {tables.title(view.part.rows.name): view.row_name(row)}
                | {
                    tables.title(axis.name): tables.label(axis.name, each)
                    for axis, each in zip(view.part.columns, column, strict=True)
                }
                | {
                    f"{METRICS[metric]}, {split}": spread.mean if spread else None,
                    "standard deviation": spread.sd if spread else None,
                    "runs": len(entry.records),
                    "diverged": len(entry.failed),
                    "missing": entry.missing,
                    "seconds": entry.seconds.mean if entry.seconds else None,
                }
                | {
                    "difference (test)": found.difference if found else None,
                    "low (95 %)": found.low if found else None,
                    "high (95 %)": found.high if found else None,
                    "p": found.p if found else None,
                    "p (Holm)": found.corrected if found else None,
                    "verdict": found.verdict if found else "",
                }
            )
    return pd.DataFrame(out)


def runs_frame(loaded: Loaded) -> pd.DataFrame:
    """Every run with a record: its settings that vary, and all it was measured by."""
    out: dict[str, dict[str, Any]] = {}
    for part in loaded.plan.parts:
        for cell in part.cells:
            for run in loaded.plan.runs_of(cell):
                if (record := loaded.records.get(run)) is None:
                    continue
                labels = {
                    tables.title(axis): tables.label(axis, value) for axis, value in cell.labels.items()
                }
                measured = {f"{METRICS[name]}, test": record.test.get(name) for name in METRICS}
                measured |= {f"{METRICS[name]}, valid": record.valid.get(name) for name in METRICS}
                out[run] = (
                    {"run": run, "part": part.title}
                    | labels
                    | {"seed": record.seed, "state": record.state, "reason": record.reason}
                    | {"seconds": record.seconds, "best epoch": record.best_epoch}
                    | measured
                    | record.figures
                )
    return pd.DataFrame(list(out.values()))


def not_there(view: View) -> str:
    """A line of Markdown on runs that diverged or are missing; "" where all are there."""
    failed = [record for entry in view.table.entries for record in entry.failed]
    missing = sum(entry.missing for entry in view.table.entries)
    parts = []
    if failed:
        first = f" ({plain(failed[0].run)}: {plain(failed[0].reason, 160)})" if failed[0].reason else ""
        verb = "run" if len(failed) == 1 else "runs"
        parts.append(
            f"{len(failed):,} {verb} diverged and {'is' if len(failed) == 1 else 'are'} in no mean{first}"
        )
    if missing:
        parts.append(f"{missing:,} {'is' if missing == 1 else 'are'} still to come")
    return "; ".join(parts) + "." if parts else ""


def report_text(loaded: Loaded) -> bytes:
    """The report of a study as Markdown; where it cannot be made, a sentence that says why."""
    try:
        return report.markdown(report.read_study(loaded.listed.study)).encode()
    except InputError as error:
        return f"This report could not be made: {error}.\n".encode()
