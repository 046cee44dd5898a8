"""The runs of a folder as a person keeps them: a list at little cost, names and notes, and what they take on disk.

The name and the note a person gave are kept with the run, in its about.json, replaced whole. No link is followed.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import Field, field_validator

from dans_data.errors import InputError
from dans_data.stamps import Stamp, stamp
from dans_data.words import visible_text
from dans_lab.runs import run as runs
from dans_lab.runs.records import Record, Status, read, replace, to_json
from dans_lab.runs.run import FINAL, Run, open_run, run_id_error, runs_dir

ABOUT = "about.json"

NAME_LENGTH = 80
NOTE_LENGTH = 2000
"""The most characters of a name and of a note."""

_SETTLED = 2.0
"""Seconds after which the time of a change tells it from the next one, however coarse the clock of the disk."""


# --- names and notes -------------------------------------------------------------------------------------------


class NameAndNote(Record):
    """What a person says of a run: a name in one line, and a note; either may be empty."""

    name: str = Field(default="", max_length=NAME_LENGTH)
    note: str = Field(default="", max_length=NOTE_LENGTH)

    @field_validator("name")
    @classmethod
    def _one_line(cls, text: str) -> str:
        return visible_text(text)

    @field_validator("note")
    @classmethod
    def _lines(cls, text: str) -> str:
        return visible_text(text, lines=True)


def read_about(run: Run) -> NameAndNote:
    """The name and note of a run; empty ones where none were given. InputError says what is wrong with the file."""
    path = run.path / ABOUT
    if not os.path.lexists(path):
        return NameAndNote()
    if path.is_symlink():
        raise InputError(f"{path} does not hold the name and note of a run")
    return read(path, NameAndNote)


def write_about(run: Run, name: str, note: str) -> NameAndNote:
    """Keep a name and a note with the run, also while it trains.

    Raises:
        InputError: a recorded run, a text that is too long, or a folder that cannot be written.
    """
    if run.recorded:
        raise InputError(f"run {run.id} is recorded; it came with the program and cannot be renamed")
    name, note = visible_text(name), visible_text(note, lines=True)
    for what, text, limit in (("name", name, NAME_LENGTH), ("note", note, NOTE_LENGTH)):
        if len(text) > limit:
            raise InputError(f"a {what} has at most {limit:,} characters; this one has {len(text):,}")
    about = NameAndNote(name=name, note=note)
    try:
        replace(run.path / ABOUT, to_json(about))
    except OSError as error:
        raise InputError(
            f"the name of run {run.id} cannot be kept in its folder ({error.strerror})"
        ) from None
    return about


# --- the list --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ListedRun:
    """One run as it is now; `recorded` ones came with the program."""

    id: str
    recorded: bool
    run: Run
    status: Status
    about: NameAndNote


@dataclass(frozen=True)
class ListedRuns:
    """The runs, newest first, and why other folders are not shown: name to reason."""

    entries: list[ListedRun] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)


class Shelf:
    """The runs of a folder and the recorded ones, looked at again and again: only files that changed are read anew."""

    def __init__(self, root: str | os.PathLike[str] | None = None) -> None:
        """`root` is the folder of runs (None: `runs_dir()`)."""
        self.root = runs_dir() if root is None else Path(root)
        self._turn = threading.Lock()
        self._kept: dict[str, tuple[tuple[Stamp | None, ...], ListedRun | str]] = {}

    def look(self) -> ListedRuns:
        """All runs now. A run that has ended and did not change costs three looks at its files."""
        with self._turn:
            look = ListedRuns()
            seen: set[str] = set()
            for folder in (self.root, runs.RECORDED):
                self._look_into(folder, look, seen)
            for gone in self._kept.keys() - seen:
                del self._kept[gone]
        look.entries.sort(key=lambda entry: (entry.run.meta.created, entry.id), reverse=True)
        return look

    def _look_into(self, folder: Path, look: ListedRuns, seen: set[str]) -> None:
        known = {entry.id for entry in look.entries}
        try:
            with os.scandir(folder) as entries:
                found = [
                    each
                    for each in entries
                    if not each.name.startswith(".") and each.name != runs.STUDIES and each.is_dir()
                ]
        except FileNotFoundError:
            return
        except OSError as error:
            look.unreadable[str(folder)] = f"cannot be read ({error.strerror})"
            return
        for each in sorted(found, key=lambda each: each.name):
            if each.name in known:
                continue
            read = self._entry(each)
            seen.add(each.path)
            if isinstance(read, ListedRun):
                look.entries.append(read)
            elif os.path.lexists(each.path):
                look.unreadable[each.name] = read

    def _entry(self, folder: os.DirEntry[str]) -> ListedRun | str:
        """The run in a folder, or why it is none."""
        if problem := run_id_error(folder.name):
            return problem
        if folder.is_symlink():
            return f"run {folder.name} is a link that leads out of {self.root}"
        stamps = tuple(stamp(f"{folder.path}/{name}") for name in ("config.json", "status.json", ABOUT))
        before, kept = self._kept.get(folder.path, ((), ""))
        if stamps == before and (isinstance(kept, str) or kept.status.state in FINAL):
            return kept
        entry: ListedRun | str
        try:
            # A run that is known keeps what was read of its settings as long as their file is the same.
            same = isinstance(kept, ListedRun) and stamps[0] == before[0]
            run = kept.run if isinstance(kept, ListedRun) and same else open_run(Path(folder.path))
            entry = ListedRun(folder.name, run.recorded, run, run.status, about_or_nothing(run))
        except InputError as error:
            entry = str(error)
        self._kept[folder.path] = (stamps, entry)
        return entry


def about_or_nothing(run: Run) -> NameAndNote:
    """A damaged about.json hides no run from the list."""
    try:
        return read_about(run)
    except InputError:
        return NameAndNote()


# --- disk ------------------------------------------------------------------------------------------------------


class DiskUse:
    """Bytes in folders, links not followed. A folder is counted again only once something in it came or went."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[int, int, list[str]]] = {}

    def of(self, folder: str | os.PathLike[str], growing: bool = False) -> int:
        """Bytes in the files of a folder and all below it; 0 for one that is gone.

        A file that grows in place does not change its folder, so one where files do is to be given as `growing`.
        """
        top = os.fspath(folder)
        total, waiting = 0, [top]
        while waiting:
            path = waiting.pop()
            try:
                changed = os.lstat(path).st_mtime_ns
                kept = self._kept.get(path)
                if kept is None or kept[0] != changed or (growing and path == top):
                    size, folders = _count(path)
                    kept = (changed, size, folders)
                    # What comes within the same tick of the disk's clock would not be seen.
                    if time.time_ns() - changed > _SETTLED * 1e9:
                        self._kept[path] = kept
            except OSError:
                self._kept.pop(path, None)
                continue
            total += kept[1]
            waiting += kept[2]
        return total


def _count(folder: str) -> tuple[int, list[str]]:
    """Bytes of the files directly in a folder, and the folders in it."""
    size, folders = 0, []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                folders.append(entry.path)
            else:
                with suppress(FileNotFoundError):
                    size += entry.stat(follow_symlinks=False).st_size
    return size, folders
