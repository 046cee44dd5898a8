"""What can be taken away from the Studies screen: the report, the table and the runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from dans_app.studies.data import Loaded, StudyView
from dans_data.errors import InputError
from dans_lab.names import METRICS
from dans_lab.study import report, tables
from dans_lab.study.plan import Label

REPORT_HELP = "The whole study as Markdown: findings, tables with intervals, and what it ran on."
TABLE_HELP = "Means, standard deviations, differences, intervals and p, one cell a row."
PLAN_HELP = "What was asked for, to be run in a terminal or changed by hand."
RUNS_HELP = "Settings and all metrics of every run, one a row."
CHARTS_HELP = "All charts on this screen as one web page that works by itself, offline."


def frame(view: StudyView, rows: Sequence[Label], metric: str, split: str) -> pd.DataFrame:
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
                    f"{METRICS[metric]}, {view.where(split)}": spread.mean if spread else None,
                    "standard deviation": spread.sd if spread else None,
                    "runs": len(entry.records),
                    "diverged": len(entry.failed),
                    "missing": entry.missing,
                    "epochs": entry.cell.config.epochs,
                    "seconds": entry.seconds.mean if entry.seconds else None,
                    "training seconds": entry.trained.mean if entry.trained else None,
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
    seen = tables.over_seen(loaded.records, loaded.seen) if loaded.seen else {}
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
                if run in seen:
                    measured |= {f"{METRICS[name]}, seen": seen[run].test.get(name) for name in METRICS}
                out[run] = (
                    {"run": run, "part": part.title}
                    | labels
                    | {"seed": record.seed, "state": record.state, "reason": record.reason}
                    | {"seconds": record.seconds, "best epoch": record.best_epoch}
                    | measured
                    | record.figures
                )
    return pd.DataFrame(list(out.values()))


def report_text(loaded: Loaded) -> bytes:
    """The report of a study as Markdown; where it cannot be made, a sentence that says why."""
    try:
        # It comes alone, without the files that lie beside it otherwise.
        return report.markdown(report.read_study(loaded.listed.study), pictures=False).encode()
    except InputError as error:
        return f"This report could not be made: {error}.\n".encode()
