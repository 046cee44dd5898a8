"""The table of the Runs screen: which runs stand in it, how they read, and how much disk they take.

Widgets and layout are in the page.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

import pandas as pd
import streamlit as st

from dans_app.server import jobs
from dans_app.shared import run_state, shell, theme
from dans_app.shared.words import markdown_text
from dans_data.words import bytes_in_words, count, seconds_in_words
from dans_lab.runs.folder import DiskUse, ListedRun, ListedRuns, Shelf
from dans_lab.runs.run import Run, runs_dir

PATIENCE = 0.15
"""Seconds that a screen waits for the sizes of folders; what takes longer comes with a later tick."""

LONGEST_TEXT = 100


# --- what there is ---------------------------------------------------------------------------------------------


def look() -> ListedRuns:
    """All runs as they are now; one whose process is on its way counts as waiting to start."""
    found = _shelf(str(runs_dir())).look()
    entries = [
        replace(entry, status=jobs.pool().status(entry.run)) if entry.status.state == "interrupted" else entry
        for entry in found.entries
    ]
    return ListedRuns(entries, found.unreadable)


@st.cache_resource(max_entries=4, show_spinner=False)
def _shelf(root: str) -> Shelf:
    return Shelf(root)


class FolderSizes:
    """Bytes of folders, counted in a thread of their own, so that no click waits for a slow disk."""

    def __init__(self) -> None:
        self._use = DiskUse()
        self._known: dict[str, int] = {}
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sizes")
        self._counting: dict[frozenset[str], Future[None]] = {}

    def of(self, folders: dict[str, bool], patience: float = PATIENCE) -> list[int | None]:
        """The size of each folder, by its path, as far as it is known after some `patience` (seconds).

        The value of a folder says whether files in it grow in place now, as those of a live run do.
        """
        wanted = frozenset(folders)
        counting = self._counting.get(wanted)
        if counting is None:
            self._counting[wanted] = counting = self._thread.submit(self._count, folders)
        with suppress(TimeoutError):
            counting.result(timeout=patience)
            self._counting.pop(wanted, None)
        return [self._known.get(path) for path in folders]

    def _count(self, folders: dict[str, bool]) -> None:
        for path, growing in folders.items():
            self._known[path] = self._use.of(path, growing)


@st.cache_resource(show_spinner=False)
def sizes() -> FolderSizes:
    """The one `FolderSizes` of this server."""
    return FolderSizes()


def sizes_of(entries: Sequence[ListedRun]) -> list[int | None]:
    """Bytes of each run, None where they are still being counted."""
    return sizes().of({os.fspath(entry.run.path): entry.status.live for entry in entries})


def size_in_words(folders: Iterable[os.PathLike[str]]) -> str:
    """What all these folders take: "34 MB", or that it is still being counted."""
    found = sizes().of({os.fspath(folder): False for folder in folders})
    known = [size for size in found if size is not None]
    return bytes_in_words(sum(known)) if len(known) == len(found) else "size still being counted"


# --- which of them are shown -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Filter:
    """What a run must fit to be shown; an empty part lets all pass. Each word of `text` must occur somewhere.

    Runs of studies, which are many, pass only with `studies`.
    """

    text: str = ""
    data: tuple[str, ...] = ()
    decoders: tuple[str, ...] = ()
    samplers: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    studies: bool = False

    def lets_pass(self, entry: ListedRun) -> bool:
        """Whether this run is shown."""
        config, meta, about = entry.run.config, entry.run.meta, entry.about
        if meta.study is not None and not self.studies:
            return False
        chosen = (
            (self.data, meta.dataset),
            (self.decoders, config.decoder),
            (self.samplers, config.sampler),
            (self.states, entry.status.state),
        )
        if any(part and value not in part for part, value in chosen):
            return False
        places = " ".join(
            (about.name, about.note, entry.id, meta.dataset, shell.dataset_name(meta.dataset))
        ).casefold()
        return all(word in places for word in self.text.casefold().split())


# --- how they read ---------------------------------------------------------------------------------------------


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
            "state": [state(entry) for entry in entries],
            "progress": [round(min(1.0, status.epoch / status.epochs), 2) for status in statuses],
            "data": [shell.dataset_name(entry.run.meta.dataset) for entry in entries],
            "decoder": [theme.DECODERS.get(config.decoder, config.decoder) for config in configs],
            "sampler": [theme.SAMPLERS.get(config.sampler, config.sampler) for config in configs],
            "seed": [config.seed for config in configs],
            "epochs": [config.epochs for config in configs],
            "mrr": pd.array([status.best_mrr for status in statuses], dtype="Float64"),
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
    words = theme.STATES[entry.status.state]
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
        columns={"mrr": "best valid MRR", "best_epoch": "best epoch", "time": "seconds", "disk": "bytes"}
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
            "best valid MRR",
            "best epoch",
            "seconds",
            "created",
            "bytes",
            "note",
        ]
    ]


def of_studies(entries: Iterable[ListedRun]) -> int:
    """How many of the runs belong to a study."""
    return sum(entry.run.meta.study is not None for entry in entries)


def totals(entries: Sequence[ListedRun], shown: int, disk: Sequence[int | None], hidden: int = 0) -> str:
    """How many runs there are and what those of the runs folder take, in a line of Markdown.

    `shown` of them are in the table, and `hidden` are those of studies where they are left out.
    """
    own = [size for entry, size in zip(entries, disk, strict=True) if not entry.recorded]
    known = [size for size in own if size is not None]
    text = f"**{count(len(own), 'run')}** in the runs folder"
    if own:
        text += f", {bytes_in_words(sum(known))} on disk{' so far' if len(known) < len(own) else ''}"
    if len(own) < len(entries):
        text += f", and {len(entries) - len(own)} recorded"
    if going := sum(run_state.under_way(entry.status) for entry in entries):
        text += f" · {going} under way"
    if hidden:
        text += f" · {count(hidden, 'run')} of studies hidden"
    if shown < len(entries) - hidden:
        text += f" · {shown} shown"
    return text


def called(run_id: str, name: str) -> str:
    """How a run is named in a sentence of Markdown."""
    return f"“{markdown_text(name)}”" if name else markdown_text(run_id)


def zone_of(name: str | None) -> tzinfo:
    """The time zone of this name, which a browser sent; UTC for one that is unknown."""
    with suppress(ValueError, OSError, KeyError):
        return ZoneInfo(name or "UTC")
    return UTC


def exactly(when: datetime, zone: tzinfo) -> str:
    """ "22 Nov 2026, 17:51", and in UTC with its name."""
    there = when.astimezone(zone)
    return f"{there.day} {there:%b %Y, %H:%M}{' UTC' if zone is UTC else ''}"


def ago(when: datetime) -> str:
    """ "just now", "about 4 minutes ago"."""
    seconds = (datetime.now(UTC) - when).total_seconds()
    return "just now" if seconds < 45 else f"{seconds_in_words(seconds)} ago"


def created(run: Run) -> datetime:
    """When a run was made."""
    return datetime.fromisoformat(run.meta.created)
