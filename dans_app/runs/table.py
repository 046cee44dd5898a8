"""The table of the Runs screen, a row a run; its columns are described in the page."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime, tzinfo

import pandas as pd

from dans_app.shared import shell, theme
from dans_lab.apart import as_words, differing
from dans_lab.runs.folder import ListedRun


def frame(entries: Sequence[ListedRun], disk: Sequence[int | None], zone: tzinfo) -> pd.DataFrame:
    """One row a run: text, numbers, times in `zone`, and training time as a duration."""
    statuses = [entry.status for entry in entries]
    configs = [entry.run.config for entry in entries]
    created = pd.to_datetime([entry.run.meta.created for entry in entries], utc=True, format="ISO8601")
    created = created.tz_convert(zone)
    # "A minute ago" is written once by the browser, and again only where the table is another.
    minute = pd.Timedelta(microseconds=int(time.time() / 60) % 2)
    return pd.DataFrame(
        {
            "name": [entry.about.name or entry.id for entry in entries],
            # A phone shows the first columns.
            "mrr": pd.array([status.best_mrr for status in statuses], dtype="Float64"),
            "test_mrr": pd.array([status.test_mrr for status in statuses], dtype="Float64"),
            "state": [state(entry) for entry in entries],
            "progress": [round(min(1.0, status.epoch / status.epochs), 2) for status in statuses],
            "data": [shell.dataset_name(entry.run.meta.dataset) for entry in entries],
            "decoder": [theme.DECODERS.get(config.decoder, config.decoder) for config in configs],
            "sampler": [theme.SAMPLERS.get(config.sampler, config.sampler) for config in configs],
            "seed": [config.seed for config in configs],
            "epochs": [config.epochs for config in configs],
            "differs": [" · ".join(as_words(differing(config))) for config in configs],
            "best_epoch": pd.array([status.best_epoch for status in statuses], dtype="Int64"),
            "time": pd.to_timedelta([round(status.seconds) for status in statuses], unit="s"),
            "created": created + minute,
            "disk": pd.array(disk, dtype="Int64"),
            "note": [entry.about.note.replace("\n", " ") for entry in entries],
            "created_at": created,
            "id": [entry.id for entry in entries],
        }
    )


def state(entry: ListedRun) -> str:
    """The state in words; a dot for a run that a process holds now."""
    words = theme.STATES[entry.status.state] if entry.status.silent is None else "Does not answer"
    return f"● {words}" if entry.status.live else words


def same_order(before: pd.DataFrame, now: pd.DataFrame) -> bool:
    """Whether the rows stay in place whichever column they are sorted by."""
    if list(before["id"]) != list(now["id"]):
        return False
    return all(
        before[column].rank(method="min").equals(now[column].rank(method="min"))
        for column in now.columns
        if not before[column].equals(now[column])
    )


def for_csv(rows: pd.DataFrame) -> pd.DataFrame:
    """The same with units in the headings and without what only reads well on a screen."""
    return rows.assign(
        time=rows["time"].dt.total_seconds(), created=rows["created_at"].map(datetime.isoformat)
    ).rename(
        columns={
            "mrr": "best valid MRR",
            "test_mrr": "test MRR",
            "differs": "differs from the defaults in",
            "best_epoch": "best epoch",
            "time": "seconds",
            "disk": "bytes",
        }
    )[
        [
            "id",
            "name",
            "state",
            "progress",
            "data",
            "decoder",
            "sampler",
            "seed",
            "epochs",
            "differs from the defaults in",
            "best valid MRR",
            "test MRR",
            "best epoch",
            "seconds",
            "created",
            "bytes",
            "note",
        ]
    ]
