"""The report of a study as files: Markdown, CSV and curves for every table, and the study itself, small and packed."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dans_core.config import Config
from dans_data.errors import InputError
from dans_lab.export.spreadsheet import csv_bytes
from dans_lab.names import METRICS
from dans_lab.runs.records import replace, to_json
from dans_lab.study import tables
from dans_lab.study.convergence import FIGURES
from dans_lab.study.folder import RunRecord
from dans_lab.study.learning import timed
from dans_lab.study.picture import svg, worth_drawing
from dans_lab.study.report import Read, markdown
from dans_lab.study.tables import Spread

SPLITS = ("valid", "test")

_OURS = re.compile(r"(table|comparisons|curve|epochs)-\d+\.(csv|svg)")


def deliver(read: Read, to: Path | None = None) -> tuple[Path, dict[str, int]]:
    """Write the report; the folder, and the size in bytes of each file in it.

    Without `to`, the folder "report" of the study. Else a folder with the name of the study in `to`, or `to` itself if
    that is its name already (a study is known by the name of its folder), where the study is packed beside its report.
    Files of an earlier report are replaced.

    Raises:
        InputError: for a folder that cannot be written, or holds a study with its own records.
    """
    study = read.study
    folder = study.path / "report"
    contents: dict[str, bytes] = {"report.md": markdown(read).encode(), "runs.csv": runs_csv(read)}
    for number, table in enumerate(read.tables, start=1):
        contents[f"table-{number}.csv"] = table_csv(table, read.seen_of(table))
        contents[f"comparisons-{number}.csv"] = comparisons_csv(read, number - 1)
        for over, name in worth_drawing(table).items():
            contents[f"curve-{number}.csv"] = curve_csv(table)
            contents[f"{name}-{number}.svg"] = svg(table, over).encode()
    if to is not None:
        folder = to if to.resolve().name == study.name else to / study.name
        if not folder.resolve().is_relative_to(study.path.resolve()):
            if (folder / "records").exists():
                raise InputError(f"{folder} is a study with records of its own; expected another folder")
            contents |= packed(read)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            replace(folder / name, content)
        for file in folder.iterdir():
            if _OURS.fullmatch(file.name) and file.name not in contents:
                file.unlink()
    except OSError as error:
        raise InputError(f"{folder} cannot be written ({error.strerror})") from None
    return folder, {name: len(content) for name, content in contents.items()}


def packed(read: Read) -> dict[str, bytes]:
    """The files of the study, its records in one; the same study gives the same bytes."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for run in sorted(read.records):
            file = zipfile.ZipInfo(f"{run}.json", date_time=(1980, 1, 1, 0, 0, 0))
            file.compress_type, file.create_system, file.external_attr = zipfile.ZIP_DEFLATED, 3, 0o644 << 16
            archive.writestr(file, read.records[run].model_dump_json())
    return {
        "study.toml": read.plan.text.encode(),
        "study.json": to_json(read.meta.model_copy(update={"expected": {}})),
        "records.zip": stream.getvalue(),
    }


def runs_csv(read: Read) -> bytes:
    """A line for each run that the plan asks for: what varies among its settings, state, metrics and figures.

    Where there are unseen entities, the test metrics stand once more over the seen triplets.
    """
    runs = read.plan.jobs
    seen = tables.over_seen(read.records, read.meta.seen) if read.meta.seen else {}
    varying = [
        name
        for name in Config.model_fields
        if name in ("decoder", "sampler") or len({getattr(planned.config, name) for planned in runs}) > 1
    ]
    settings = [name for name in varying if name != "seed"]
    head = ["run", "seed", *settings, "state", "reason", "seconds", "best_epoch"]
    head += [f"{split}_{name}" for split in SPLITS for name in METRICS]
    head += [f"seen_{name}" for name in METRICS if seen]
    figures = [name for name in FIGURES if any(name in record.figures for record in read.records.values())]

    def lines() -> Iterator[list[Any]]:
        for planned in runs:
            record = read.records.get(planned.run)
            yield [
                planned.run,
                planned.config.seed,
                *(getattr(planned.config, name) for name in settings),
                *_of(record),
                *(getattr(record, split, {}).get(name) for split in SPLITS for name in METRICS),
                *(getattr(seen.get(planned.run), "test", {}).get(name) for name in METRICS if seen),
                *(record.figures.get(name) if record is not None else None for name in figures),
            ]

    return csv_bytes([*head, *figures], lines())


def _of(record: RunRecord | None) -> tuple[Any, ...]:
    if record is None:
        return "missing", None, None, None
    return record.state, record.reason or None, record.seconds, record.best_epoch


def table_csv(table: tables.ResultTable, seen: tables.ResultTable | None = None) -> bytes:
    """A line for each cell: mean and standard deviation of every metric, of the seconds and of the figures.

    With the same table over the seen triplets, the test metrics stand once more over these.
    """
    names = [f"{split}_{name}" for split in SPLITS for name in METRICS]
    names += [f"seen_{name}" for name in METRICS if seen is not None]
    figures = [name for name in FIGURES if any(entry.figure(name) for entry in table.entries)]
    spreads = [f"{name}_{what}" for name in (*names, "seconds", *figures) for what in ("mean", "sd")]

    def lines() -> Iterator[list[Any]]:
        for entry in table.entries:
            found = [entry.spread(name, split) for split in SPLITS for name in METRICS]
            if seen is not None:
                found += [seen.entry(entry.labels).spread(name) for name in METRICS]
            found += [entry.seconds, *(entry.figure(name) for name in figures)]
            runs = [len(entry.records), len(entry.failed), entry.missing]
            yield [
                *_labels(table, entry.labels),
                *runs,
                *(number for each in found for number in _pair(each)),
            ]

    return csv_bytes([*_axes(table), "finished", "diverged", "missing", *spreads], lines())


def curve_csv(table: tables.ResultTable) -> bytes:
    """A line for each ranking of valid in each finished run: its cell and seed, epoch, seconds of training, MRR."""
    lines = (
        [*_labels(table, entry.labels), record.run, record.seed, int(epoch), seconds, value]
        for entry in table.entries
        for record in entry.records
        for epoch, seconds, value in timed(record)
    )
    return csv_bytes([*_axes(table), "run", "seed", "epoch", "seconds", "valid_mrr"], lines)


def comparisons_csv(read: Read, number: int) -> bytes:
    """A line for each metric and cell but the reference's, where there is something to compare.

    Where there are unseen entities, all of them once more over the seen triplets.
    """
    part, seen = read.plan.parts[number], read.meta.seen
    every = [
        ("all", tables.table(read.plan, part, read.records, metric, read.meta.floor)) for metric in METRICS
    ]
    if seen:
        kept = tables.over_seen(read.records, seen)
        every += [
            ("seen", tables.table(read.plan, part, kept, metric, read.meta.floor_seen)) for metric in METRICS
        ]
    axes = _axes(read.tables[number])
    head = [*(["triplets"] * bool(seen)), "metric", *axes, "reference", "difference", "low", "high"]
    head += ["p", "holm_p", "verdict", "seeds", "queries"]
    lines = [
        [
            *([which] * bool(seen)),
            each.metric,
            *_labels(table, each.labels),
            *(_cell(each.reference), each.difference, each.low, each.high),
            *(each.p, each.corrected, each.verdict, each.seeds, each.queries),
        ]
        for which, table in every
        for each in table.comparisons
    ]
    return csv_bytes(head, lines)


def _axes(table: tables.ResultTable) -> list[str]:
    return [table.part.rows.name, *(axis.name for axis in table.part.columns)]


def _labels(table: tables.ResultTable, labels: Mapping[str, Any]) -> list[Any]:
    return [_cell(labels[name]) for name in _axes(table)]


def _cell(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value


def _pair(found: Spread | None) -> tuple[float | None, float | None]:
    return (None, None) if found is None else (found.mean, found.sd)
