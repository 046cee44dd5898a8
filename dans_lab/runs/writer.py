"""Writing a run directory: the one process that trains it holds its lock and puts every file in place whole."""

from __future__ import annotations

import json
import logging
import os
import platform
import secrets
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import filelock
import numpy as np
import numpy.typing as npt

from dans_core.config import Config
from dans_core.events import Event, Finished, Snapshot, to_dict
from dans_data.errors import InputError
from dans_data.stamps import Stamp, stamp
from dans_lab.health_words import in_words
from dans_lab.runs import bounded, locks, machine, refusals
from dans_lab.runs import run as runs
from dans_lab.runs.events_file import read_events
from dans_lab.runs.records import (
    LOG_LINE,
    LOG_LINE_BYTES,
    Control,
    Meta,
    State,
    Status,
    Stored,
    appending,
    read,
    refuse_link,
    replace,
    replacing,
    to_json,
)
from dans_lab.runs.run import SNAPSHOT, Checkpoint, Run, run_id_error, source_that_lasts

_LOCK_PATIENCE = 2.0
"""Seconds a starting writer waits, since a reader holds the lock for an instant when it looks."""

THEN = ", then "
"""Between the devices of a run that went on elsewhere."""

_VERSIONS = ("numpy", "pydantic", "torch", "torch-geometric")

_OVER = json.dumps({"event": Finished.kind})[:-1].encode()
"""How the line begins that says that a run is over."""

_log = logging.getLogger(__name__)


_OF_VIEWERS = (".control.json", ".about.json")
"""Beginnings of files that those who look at a run are writing, whoever holds its lock."""


class RunWriter:
    """The one process that writes a run: made by `create` or `reopen`, holds run.lock until `close`.

    To hand a new run to another process, `create` it, `close` it, and let the other `reopen` it. While it waits
    for its turn keep it open, or give it a worker's ticket (`locks`); else it counts as interrupted after `QUEUE_GRACE`
    seconds.

    Attributes:
        path, config, meta: the run.
        state: what last.pt held when the run was reopened, for `Trainer.load_state_dict`; None at the start.
        status: as last written.
    """

    def __init__(self, path: Path, config: Config, meta: Meta, lock: filelock.BaseFileLock) -> None:
        self.path = path
        self.config = config
        self.meta = meta
        self.state: Checkpoint | None = None
        self.status = Status(state="queued", epochs=config.epochs, updated=time.time())
        self._lock = lock
        self._events: IO[bytes] | None = None
        self._control = Control()
        self._control_seen: Stamp | None = None

    @property
    def run(self) -> Run:
        """The same run, to read."""
        return Run(self.path)

    @classmethod
    def create(
        cls,
        root: str | os.PathLike[str],
        run_id: str,
        config: Config,
        kg_name: str,
        kg_hash: str,
        source: str | os.PathLike[str],
        study: str | None = None,
        split_seed: int = 0,
        owner: str = "",
    ) -> RunWriter:
        """A new run, queued, with its lock held.

        `source` and `split_seed` are what `KnowledgeGraph.load` was given; a path is kept as an absolute one. `study`
        is the name of the study that it belongs to, `owner` the visitor of a shared server who starts it.

        Raises:
            InputError: a bad id, a run that exists, or a folder that cannot be made.
        """
        if problem := run_id_error(run_id):
            raise InputError(problem)
        if (runs.RECORDED / run_id).exists():
            raise InputError(f"{run_id} is the name of a recorded run; choose another")
        path = Path(root) / run_id
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.mkdir()
        except FileExistsError:
            if not path.parent.is_dir():
                raise InputError(f"{path.parent} is not a folder, so {run_id} cannot be made in it") from None
            raise InputError(f"{path} exists already; choose another name, or resume it") from None
        except OSError as error:
            raise InputError(refusals.in_words(path, error, "made")) from None
        meta = Meta(
            dataset=kg_name,
            source=source_that_lasts(source),
            hash=kg_hash,
            seed=config.seed,
            created=datetime.now(UTC).isoformat(timespec="microseconds"),
            versions=versions(),
            study=study,
            split_seed=split_seed,
            machine=machine.name(),
            owner=owner,
        )
        writer: RunWriter | None = None
        try:
            with refusals.told(path):
                writer = cls(path, config, meta, _acquire(path))
                (path / "snapshots").mkdir()
                writer._start_log(b"")
                replace(path / "control.json", to_json(Control()))
                writer.write_status("queued")
                # Last, since a folder becomes a run by its config.json.
                writer._write_config()
        except BaseException:
            # Half a run could neither go on nor be made again under its name.
            shutil.rmtree(path, ignore_errors=True)
            if writer is not None:
                writer.close()
            raise
        return writer

    @classmethod
    def reopen(cls, path: str | os.PathLike[str], given: bool = False) -> RunWriter:
        """Take a queued run, or go back to the last checkpoint of one that ended early; its lock is held.

        What was written after the checkpoint is removed, since it will be made again. A run that has no
        checkpoint starts from the beginning. Requests of viewers are forgotten, unless the run was still queued.
        `given` says that this process is the one that the run was given to.

        Raises:
            InputError: no run, a finished one, one that another process holds or was given, or damaged files.
        """
        run = Run(path)
        if run.recorded:
            raise InputError(f"run {run.id} is recorded; it cannot be continued")
        _refuse_links(run)
        writer = cls(run.path, run.config, run.meta, _acquire(run.path))
        try:
            if not given:
                writer._refuse_given()
            with refusals.told(run.path):
                writer._rewind()
        except BaseException:
            writer.close()
            raise
        return writer

    @classmethod
    def requeue(cls, path: str | os.PathLike[str]) -> RunWriter:
        """Queue a run that ended early, for another process to `reopen` it once this writer is closed.

        Requests of viewers up to now are forgotten, and those from now on count.

        Raises:
            InputError: no run, a finished one, or one that another process holds or was given.
        """
        run = Run(path)
        _refuse_links(run)
        writer = cls(run.path, run.config, run.meta, _acquire(run.path))
        try:
            writer._refuse_given()
            writer.status = run.stored_status
            if writer.status.state == "finished":
                raise InputError(f"run {run.id} is finished; there is nothing to resume")
            with refusals.told(run.path):
                replace(run.path / "control.json", to_json(Control()))
                writer.write_status("queued", eta_seconds=None)
        except BaseException:
            writer.close()
            raise
        return writer

    @classmethod
    def train_on(cls, path: str | os.PathLike[str], config: Config) -> RunWriter:
        """Queue a run, a finished one too, for a process to `reopen` it by `config` once this writer is closed.

        `going_on.config_of` makes the settings: they may differ in `epochs` and `patience` alone.

        Raises:
            InputError: no run, or one that another process holds or was given.
        """
        run = Run(path)
        writer = cls(run.path, config, run.meta, _acquire(run.path))
        try:
            writer._refuse_given()
            writer.status = before = run.stored_status
            if before.state == "finished":
                writer.meta = run.meta.model_copy(update={"trained_on": [*run.meta.trained_on, before.epoch]})
            writer._write_config()
            replace(run.path / "control.json", to_json(Control()))
            writer.write_status("queued", epochs=config.epochs, eta_seconds=None)
        except BaseException:
            writer.close()
            raise
        return writer

    def trains_on(
        self, device: str, precision: str, threads: int, goes_on: bool, processes: str = "1"
    ) -> None:
        """Record where the run is trained from now on, and how exact; where it goes on, what was before is kept."""
        now = {
            "device": device,
            "precision": precision,
            "processes": processes,
            "machine": machine.name(threads),
        }
        for name, words in now.items():
            before = getattr(self.meta, name) or "unknown"
            if goes_on:
                now[name] = before if before.split(THEN)[-1] == words else f"{before}{THEN}{words}"
        meta = self.meta.model_copy(update=now)
        if meta != self.meta:
            self.meta = meta
            self._write_config()

    def append(self, *events: Event) -> None:
        """Write events, one a line, warnings in words, and hand them to the operating system.

        Raises:
            ValueError: a number in an event is not finite.
        """
        file = self._opened()
        for event in events:
            file.write(json.dumps(to_dict(in_words(event, self.config)), allow_nan=False).encode() + b"\n")
        file.flush()

    def write_status(
        self, state: State, reason: str = "", *, diverged: bool = False, **progress: Any
    ) -> None:
        """Replace status.json; the progress that is not given stays as it was."""
        now = {"state": state, "reason": reason, "diverged": diverged}
        values = {**self.status.model_dump(), **progress, **now}
        self.status = Status(**{**values, "updated": time.time()})
        replace(self.path / "status.json", to_json(self.status))

    def snapshot(self, file: str, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Write one snapshot; before its event is appended, so that who sees the event finds the file."""
        if not SNAPSHOT.fullmatch(file):
            raise ValueError(f"{file!r} is not the name of a snapshot, NNNNNN.npz")
        refuse_link(self.path / "snapshots")
        with replacing(self.path / "snapshots" / file) as stream:
            np.savez(stream, allow_pickle=False, **arrays)

    def checkpoint(self, state: Mapping[str, Any]) -> None:
        """Replace last.pt; the events so far are on disk before it, so that it never points beyond them."""
        events = self._opened()
        events.flush()
        os.fsync(events.fileno())
        self._save("last.pt", {**state, "event_offset": events.tell()})

    def best(self, state: Mapping[str, Any] | None) -> None:
        """Replace best.pt; with None there is no best epoch yet, and the file is removed."""
        if state is None:
            (self.path / "best.pt").unlink(missing_ok=True)
        else:
            self._save("best.pt", state)

    def control(self) -> Control:
        """What viewers ask. A file that is no control is told once in the log, and the last good one stands."""
        path = self.path / "control.json"
        seen = stamp(path)
        if seen is not None and seen != self._control_seen:
            self._control_seen = seen
            try:
                self._control = read(path, Control)
            except InputError as error:
                _log.warning("ignored: %s", error)
        return self._control

    def log(self, text: str) -> None:
        """Append to log.txt, where the disk lets it."""
        with suppress(OSError), appending(self.path / "log.txt") as file:
            file.write(text.encode())

    def close(self) -> None:
        """Let go of the run."""
        events, self._events = self._events, None
        try:
            if events is not None:
                # What a full disk refused before it refuses again.
                with suppress(OSError):
                    events.close()
        finally:
            self._lock.release()

    def __enter__(self) -> RunWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def beat(self) -> None:
        """Say that this process is alive and not stopped."""
        with suppress(OSError):
            os.utime(self.path / "run.lock", follow_symlinks=False)

    def _refuse_given(self) -> None:
        if locks.is_held(self.path / locks.TICKET) and self.run.is_given(self.run.stored_status):
            raise InputError(f"run {self.run.id} was given to another process, which is about to train it")

    def _write_config(self) -> None:
        stored = Stored(**self.meta.model_dump(), config=self.config.model_dump())
        replace(self.path / "config.json", to_json(stored))

    def _opened(self) -> IO[bytes]:
        if self._events is None:
            raise ValueError(f"the writer of {self.path} is closed")
        return self._events

    def _save(self, name: str, state: Mapping[str, Any]) -> None:
        import torch

        with replacing(self.path / name) as stream:
            torch.save(dict(state), stream)

    def _start_log(self, kept: bytes) -> None:
        """A new events.jsonl; its first line tells followers that it is not the one they knew."""
        if self._events is not None:
            self._events.close()
        path = self.path / "events.jsonl"
        replace(path, LOG_LINE % secrets.token_hex(8).encode() + kept)
        self._events = path.open("ab")

    def _rewind(self) -> None:
        """Back to last.pt, or to the beginning where there is none."""
        run = self.run
        try:
            before = run.stored_status
        except InputError:
            before = self.status.model_copy(update={"state": "interrupted"})
        if before.state == "finished":
            raise InputError(f"run {run.id} is finished; there is nothing to resume")
        kept = b""
        if (self.path / "last.pt").exists():
            self.state = run.load_checkpoint("last")
            kept = self._events_before(self.state.pop("event_offset", None))
            *rest, last = kept.splitlines(keepends=True) or [b""]
            # Of a run that is trained on; one that was killed as it became finished is over.
            if last.startswith(_OVER) and not self._is_over(self.state):
                kept = b"".join(rest)
                # Before the log is shorter, or who is killed between the two could never go on.
                self._save("last.pt", {**self.state, "event_offset": LOG_LINE_BYTES + len(kept)})
        self._remove_leftovers(read_events(self.path / "events.jsonl", kept, LOG_LINE_BYTES))
        self._start_log(kept)
        if before.state != "queued":
            replace(self.path / "control.json", to_json(Control()))
        self.status = before
        self.write_status("queued", eta_seconds=None)

    def _is_over(self, state: Mapping[str, Any]) -> bool:
        try:
            epoch, best = (int(state["progress"][name]) for name in ("epoch", "best_epoch"))
        except (KeyError, TypeError, ValueError):
            # What is wrong with it is said as the run is taken up.
            return False
        return epoch >= self.config.epochs or self.config.out_of_patience(epoch, best)

    def _events_before(self, offset: object) -> bytes:
        """The event lines up to the offset that last.pt holds."""
        path = self.path / "events.jsonl"
        with bounded.opened(path, bounded.EVENT_BYTES) as file:
            file.seek(LOG_LINE_BYTES)
            kept = b""
            if isinstance(offset, int):
                kept = bounded.read(file, path, min(max(0, offset - LOG_LINE_BYTES), bounded.EVENT_BYTES))
        if offset != LOG_LINE_BYTES + len(kept) or (kept and not kept.endswith(b"\n")):
            raise InputError(f"{path} ends before the point of last.pt, so the run cannot be resumed")
        return kept

    def _remove_leftovers(self, kept: list[Event]) -> None:
        """Snapshots after the checkpoint, and files that a killed writer left half-written."""
        folder = self.path / "snapshots"
        folder.mkdir(exist_ok=True)
        wanted = {event.file for event in kept if isinstance(event, Snapshot)}
        stale = [file for _, file in self.run.snapshots() if file.name not in wanted]
        for parent in (self.path, folder):
            # A viewer may be writing its request at this moment.
            stale += [file for file in parent.glob(".*.tmp") if not file.name.startswith(_OF_VIEWERS)]
        for file in stale:
            file.unlink(missing_ok=True)


def _refuse_links(run: Run) -> None:
    for name in ("snapshots", "log.txt"):
        refuse_link(run.path / name)


def _acquire(path: Path) -> filelock.BaseFileLock:
    # Not thread-local, so that one thread may hand a writer to another.
    lock = filelock.FileLock(path / "run.lock", thread_local=False)
    try:
        lock.acquire(timeout=_LOCK_PATIENCE, poll_interval=0.02)
    except filelock.Timeout:
        raise InputError(f"run {path.name} is being written by another process") from None
    except OSError as error:
        raise InputError(refusals.in_words(path, error)) from None
    return lock


@cache
def versions() -> dict[str, str]:
    """The versions of Python and of what numbers depend on, by name."""
    return {"python": platform.python_version()} | {name: metadata.version(name) for name in _VERSIONS}
