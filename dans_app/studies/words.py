"""What the Studies screen says in words, and how better and worse are marked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dans_app.shared import theme
from dans_app.shared.theme import Look
from dans_app.shared.words import markdown_text
from dans_app.studies import data
from dans_app.studies.data import Column, Conducted, Listed, Loaded, StudyView, cost, download
from dans_data.words import bytes_in_words, count, number, p_value, seconds_in_words, signed
from dans_lab.names import DATASETS, METRICS, SAMPLERS_ABOUT
from dans_lab.runs.run import Run
from dans_lab.study import facts, findings, tables
from dans_lab.study.folder import StudyRecord
from dans_lab.study.learning import unit
from dans_lab.study.plan import Label, Plan
from dans_lab.study.tables import Comparison, ResultCell, Verdict
from dans_lab.study.words import MARKS, marks, sentence
from dans_lab.study.words import spread as spread_words
from dans_lab.study.words import verdict as verdict_words

VERDICTS: dict[Verdict, Look] = {
    "better": Look("better", theme.OPINION[2], "triangle-up"),
    "worse": Look("worse", theme.OPINION[0], "triangle-down"),
    "cannot be told apart": Look("cannot be told apart", theme.RANDOM.color, "circle-open"),
    "near the floor": Look("near the floor", theme.RANDOM.color, "circle-open-dot"),
    "still rising": Look("still rising", theme.RANDOM.color, "circle-x-open"),
}
"""How each verdict is drawn; shape and colour both tell."""

NO_TEST = (
    "Differences, intervals and p are of the test split, whose ranks are kept; on valid the best epoch of each run was "
    "chosen."
)
UNCORRECTED = (
    "Each interval is that of its own comparison, uncorrected; the mark is given after Holm’s correction for all of "
    "them. So an interval may leave out 0 and its row still not be told apart."
)
METRICS_HELP = (
    "Filtered, over both sides. MRR: the mean of 1 / rank of the true answer. H@k: the share of answers ranked k or "
    "better. NDCG@5: 1 / log₂(1 + rank) up to rank 5, else 0."
)
SPLIT_HELP = (
    "Results are reported on test. On valid, where the best epoch was chosen, they look better than they are. Where "
    "test has entities that train never shows, of which nothing can be learned, it is there without them, too."
)
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
    if (info := download(plan)) is not None:
        return f"{text}, which is downloaded first ({bytes_in_words(info.bytes)})"
    told = cost(plan)
    return text if told is None else f"{text}, {seconds_in_words(told.seconds)} on this machine"


# --- how far it is -----------------------------------------------------------------------------------------------


def progress(loaded: Loaded, now: Conducted, going: Sequence[Run], left: float | None) -> str:
    """How many runs there are, and when the rest will be: "57 of 180 runs are there, about 3 hours left"."""
    total, missing = loaded.listed.total, len(loaded.left)
    text = f"**{total - missing:,} of {total:,} runs** are there"
    match now.state:
        case "starting":
            return f"{text}; it is starting."
        case "timing":
            return f"{text}; each kind of run is timed first."
        case "pausing":
            return f"{text}; it pauses as soon as its runs have kept where they are."
    if not going and now.state == "at rest":
        return f"{text}; none is being trained now."
    pace = "" if left is None else f", {seconds_in_words(left)} left"
    return f"{text}{pace}."


def conductor(now: Conducted) -> str:
    """Who runs the study now, in a sentence; "" for nobody."""
    if now.state == "at rest":
        return ""
    if now.by == "terminal":
        return "A process in a terminal runs it; pausing it here ends that command, and either can go on with it."
    return "A process of its own runs it: closing this window, or ending the app, stops nothing."


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


def ran_on(loaded: Loaded) -> list[str]:
    """What was run and on what, as the report has it; names in it may hold anything."""
    made = [data.view(loaded, number, "mrr").table for number in range(len(loaded.plan.parts))]
    return facts.facts(loaded.plan, loaded.meta, made)


def _span(values: set[int]) -> str:
    return f"{min(values):,}" if len(values) == 1 else f"{min(values):,} to {max(values):,}"


# --- a cell ------------------------------------------------------------------------------------------------------


def runs_note(entry: ResultCell) -> str:
    """What is not in the mean: "3 of 5 runs, 1 diverged"; "" where all runs are."""
    total = len(entry.records) + len(entry.failed) + entry.missing
    if len(entry.records) == total:
        return ""
    text = f"{len(entry.records)} of {total} runs"
    return text + (f", {len(entry.failed)} diverged" if entry.failed else "")


def legend(view: StudyView, split: str) -> str:
    """How to read the marks of the table, in Markdown."""
    sd = "± is the standard deviation over seeds. " if len(view.plan.seeds) > 1 else ""
    if split != "test":
        return f"{sd}{NO_TEST}"
    neither = f"{MARKS['cannot be told apart']} cannot be told apart from it."
    text = f"{sd}{marks(markdown_text(view.row_title(view.reference)), view.comparisons.values())} {neither}"
    if any(found.seeds == 1 for found in view.comparisons.values()):
        text += " Faint: over one seed, which speaks of itself alone."
    return text


def difference(found: Comparison, reference: str) -> str:
    """A comparison in words: "0.038 lower than DANS (95 %: 0.025 … 0.051 lower), p = 0.013 …: worse"."""
    low, high = (found.low, found.high) if found.difference >= 0 else (-found.high, -found.low)
    way = "higher" if found.difference >= 0 else "lower"
    return (
        f"{number(abs(found.difference))} {way} than {reference} "
        f"(95 %: {number(low)} … {number(high)}), {p_value(found.corrected)} corrected, "
        f"over {count(found.seeds, 'seed')}: {verdict_words(found)}"
    )


def place(view: StudyView, row: Label, column: Column) -> str:
    """How a cell is called: "Uniform, ComplEx"."""
    return ", ".join(part for part in (view.row_name(row), view.column_name(column)) if part)


def explained(
    view: StudyView, row: Label, column: Column, metric: str, split: str, beside: StudyView | None = None
) -> str:
    """All that is to be said of a cell, in a few sentences; `beside` is the same table over the seen test triplets."""
    text = _explained(view, row, column, metric, split)
    over_seen = beside.entries[row, column].spread(metric) if beside else None
    if beside is None or over_seen is None:
        return text
    found = beside.comparisons.get((row, column))
    said = f": {verdict_words(found)}" if found else ""
    return f"{text} On {beside.where('test')} {spread_words(over_seen)}{said}."


def _explained(view: StudyView, row: Label, column: Column, metric: str, split: str) -> str:
    entry, found = view.entries[row, column], view.comparisons.get((row, column))
    spread = entry.spread(metric, split)
    text = f"{place(view, row, column)}: "
    if spread is None:
        return text + ("no run is there yet." if entry.missing else "every run diverged.")
    text += (
        f"{METRICS[metric]} {spread_words(spread)} on {view.where(split)}, over {count(spread.count, 'seed')}"
    )
    if note := runs_note(entry):
        text += f" ({note})"
    if row == view.reference:
        return f"{text}. The others are compared with it."
    if split == "test" and found is not None:
        return f"{text}; {difference(found, view.row_title(view.reference))}."
    return f"{text}."


def about_row(view: StudyView, row: Label) -> str:
    """What a row is, where it is a sampler; else ""."""
    return SAMPLERS_ABOUT.get(str(row), "") if view.part.rows.name == "sampler" else ""


# --- the whole table ---------------------------------------------------------------------------------------------


def ordered(
    view: StudyView, by_value: bool, metric: str, split: str, column: Column | None = None
) -> list[Label]:
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
    view: StudyView,
    rows: Sequence[Label],
    metric: str,
    split: str,
    floor: str | None,
    chosen: tuple[Label, Column] | None,
    beside: StudyView | None = None,
) -> dict[str, Any]:
    """What the table of the screen draws; cells are named by the places of row and column in the plan.

    With `beside`, the same table over the seen test triplets, each cell has the metric on these, too.
    """
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
                "spent": spent(view, row) if view.spent_differs else "",
                "reference": row == view.reference,
                "cells": [_cell(view, row, column, metric, split, beside) for column in view.columns],
            }
            for row in rows
        ],
        "floor": floor,
        "chosen": "" if chosen is None else cell_id(view, *chosen),
        "hint": "Point at a cell to read it in words; press it for its runs.",
        "alt": table_alt(view, rows, metric, split),
    }


def cell_id(view: StudyView, row: Label, column: Column) -> str:
    """A cell by the places of its row and column in the plan."""
    return f"{view.rows.index(row)}.{view.columns.index(column)}"


def floor_words(meta: StudyRecord | None, metric: str, view: StudyView, split: str) -> str | None:
    """The popularity floor of a metric, which is known for test; with that over the seen triplets where both are."""
    floor = floor_of(meta, metric, view, split)
    if meta is None or floor is None:
        return None
    seen = None if view.seen else meta.floor_seen.get(metric)
    return number(floor) + ("" if seen is None else f" (seen {number(seen)})")


def floor_of(meta: StudyRecord | None, metric: str, view: StudyView, split: str) -> float | None:
    """The floor over the triplets of the table; None where it is not known."""
    if meta is None or split != "test":
        return None
    return (meta.floor_seen if view.seen else meta.floor).get(metric)


def spent(view: StudyView, row: Label) -> str:
    """What each run of a row spends: "200 epochs, 10.2 minutes of training"."""
    entries = [view.entries[row, column] for column in view.columns]
    words = f"{_span({entry.cell.config.epochs for entry in entries})} epochs"
    times = [found.mean for entry in entries if (found := entry.trained or entry.seconds)]
    if not times:
        return words
    name, size = unit(max(times))
    ends = sorted({f"{min(times) / size:.1f}", f"{max(times) / size:.1f}"}, key=float)
    return f"{words}, {' to '.join(ends)} {name} of training"


def _over_seen(beside: StudyView | None, row: Label, column: Column, metric: str) -> str:
    """ "seen 0.473 ▲": the metric over the seen triplets, and its verdict."""
    spread = beside.entries[row, column].spread(metric) if beside else None
    if beside is None or spread is None:
        return ""
    found = beside.comparisons.get((row, column))
    return f"seen {number(spread.mean)}" + (f" {MARKS[found.verdict]}" if found else "")


def _cell(
    view: StudyView, row: Label, column: Column, metric: str, split: str, beside: StudyView | None
) -> dict[str, Any]:
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
        "seen": _over_seen(beside, row, column, metric),
        "note": runs_note(entry),
        "words": explained(view, row, column, metric, split, beside),
    }


def table_alt(view: StudyView, rows: Sequence[Label], metric: str, split: str) -> str:
    """The table in a sentence."""
    across = f" and {len(view.columns)} columns" if len(view.columns) > 1 else ""
    what = f"{METRICS[metric]} on {view.where(split)}, mean and standard deviation over seeds"
    return f"{what}: {len(rows)} rows{across}."


def lost_runs(view: StudyView) -> list[str]:
    """The runs that are in no mean, since they diverged or are missing, in sentences of Markdown."""
    return [markdown_text(sentence(view.table, found), 600) for found in findings.lost_runs(view.table)]
