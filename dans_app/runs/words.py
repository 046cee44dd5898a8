"""What the Runs screen says of runs in words: how many there are, what they are called, when they were made."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

from dans_app.shared import run_state
from dans_app.shared.words import markdown_text
from dans_data.words import bytes_in_words, count, seconds_in_words
from dans_lab.runs.folder import ListedRun
from dans_lab.runs.run import Run


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
