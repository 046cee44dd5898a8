"""The command `report`."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dans_data.errors import InputError
from dans_data.words import visible_text
from dans_lab.cli.output import print_json
from dans_lab.study.folder import open_study

if TYPE_CHECKING:
    from dans_lab.study.tables import ResultTable


def report(
    study: Annotated[str, typer.Argument(metavar="STUDY", help="A study's name, or the path of its folder.")],
    to: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER",
            help="Make a folder with the study's name in this one, with the study itself packed beside its report.",
            show_default="report in the study's folder",
        ),
    ] = None,
    metric: Annotated[
        str,
        typer.Option(
            metavar="mrr|hits_at_1|hits_at_3|hits_at_10|ndcg_at_5",
            help="What the rows are compared by, on test.",
        ),
    ] = "mrr",
    json: Annotated[
        bool, typer.Option("--json", help="Print JSON on standard output, nothing else.")
    ] = False,
) -> None:
    """Write what a study found: tables over seeds, comparisons and plain findings, as Markdown and CSV."""
    if to is not None and not to.strip():
        raise InputError("--to is empty; expected a folder")
    found = open_study(study)
    from dans_lab.study.delivery import deliver
    from dans_lab.study.report import read_study
    from dans_lab.study.words import sentences

    read = read_study(found, metric)
    folder, files = deliver(read, None if to is None else Path(to).expanduser())
    asked = len(read.plan.jobs)
    if json:
        failed = sum(record.state == "failed" for record in read.records.values())
        record = {"study": found.name, "folder": str(folder), "files": files, "metric": metric, "runs": asked}
        record |= {
            "finished": len(read.records) - failed,
            "failed": failed,
            "missing": asked - len(read.records),
        }
        parts = [_part(table, read.seen_of(table)) for table in read.tables]
        print_json(record | {"budget": read.plan.budget, "parts": parts})
        return
    print(
        read.plan.title + ("" if len(read.records) == asked else f": {len(read.records):,} of {asked:,} runs")
    )
    for table in read.tables:
        if len(read.tables) > 1:
            print(f"{visible_text(table.part.title)}:")
        for sentence in sentences(table, read.seen_of(table)):
            print(f"  {visible_text(sentence)}")
    print(f"written to {folder}:")
    width = max(map(len, files))
    for name, size in files.items():
        print(f"  {name:{width}}  {size:>11,} bytes")


def _part(table: ResultTable, seen: ResultTable | None) -> dict[str, Any]:
    """A table as JSON: the metric in each cell, the comparisons and what they show.

    "seen" is the metric or the comparisons over the test triplets whose entities train shows; None where that is all.
    """
    from dans_lab.study.words import sentences

    cells = []
    for entry in table.entries:
        spread, seconds, trained = entry.spread(table.metric), entry.seconds, entry.trained
        over_seen = seen and seen.entry(entry.labels).spread(table.metric)
        cells.append(
            {
                "labels": entry.labels,
                "test": asdict(spread) if spread else None,
                "seen": asdict(over_seen) if over_seen else None,
                "epochs": entry.cell.config.epochs,
                "seconds": asdict(seconds) if seconds else None,
                "training_seconds": asdict(trained) if trained else None,
                "failed": len(entry.failed),
                "missing": entry.missing,
            }
        )
    return {
        "title": table.part.title,
        "cells": cells,
        "comparisons": _comparisons(table),
        "seen": seen and _comparisons(seen),
        "findings": sentences(table, seen),
    }


def _comparisons(table: ResultTable) -> list[dict[str, Any]]:
    return [{**_finite(asdict(each)), "verdict": each.verdict} for each in table.comparisons]


def _finite(record: dict[str, Any]) -> dict[str, Any]:
    """JSON has no infinite number: an interval without an end has None there."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in record.items()
    }
