"""The run directory, where training and viewing meet: written by one process, read by any number.

    run.lock       held by the writer for its life; free while the status is not final means "interrupted"
    config.json    Config, data set, versions: enough to repeat the run
    events.jsonl   one event a line, after a first line that names this writing of the file
    snapshots/     NNNNNN.npz, one for each Snapshot event
    last.pt        everything needed to continue; best.pt: the weights of the best epoch
    status.json    state and progress; control.json: what a viewer asks; log.txt: output of the process

Every file but the events is replaced whole, so a reader never sees half of one. Nothing here imports torch
until a checkpoint is written or read.
"""

from __future__ import annotations

import json
import logging
import os
import platform
import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Literal

import filelock
import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from dans_core import config as config_module
from dans_core import datasets
from dans_core.config import Config
from dans_core.errors import InputError
from dans_core.events import Event, Snapshot, to_dict
from dans_core.kg import KnowledgeGraph
from dans_core.records import (
    LOG_LINE,
    LOG_LINE_BYTES,
    Control,
    Meta,
    State,
    Status,
    Stored,
    first_problem,
    log_id,
    read,
    read_events,
    replace,
    replacing,
    to_json,
)

__all__ = [
    "RECORDED",
    "Batch",
    "Control",
    "Cursor",
    "Listing",
    "Meta",
    "Run",
    "RunWriter",
    "State",
    "Status",
    "Which",
    "find_twin",
    "list_runs",
    "new_id",
    "open_run",
    "recorded_runs",
    "run_id_error",
    "runs_dir",
    "scan_runs",
    "source_that_lasts",
]

RUNS_DIR_VARIABLE = "DANS_RUNS_DIR"
RECORDED = Path(__file__).resolve().parents[1] / "assets" / "recorded"

FINAL = ("finished", "stopped", "failed")
"""States that a run has only after its writer is done with it."""

QUEUE_GRACE = 30.0
"""Seconds a queued run may be without a writer, while it passes from its creator to the one that trains."""

_LOCK_PATIENCE = 2.0
"""Seconds a starting writer waits, since a reader holds the lock for an instant when it looks."""

_PROBE_PATIENCE = 0.03
"""Seconds a reader looks again, since another reader may be looking; not needed while the status is fresh."""

_RUN_ID = re.compile(r"[a-z0-9-]{1,64}")
_SNAPSHOT = re.compile(r"[0-9]{6}\.npz")

_VERSIONS = ("numpy", "pydantic", "torch", "torch-geometric")

_log = logging.getLogger(__name__)

Arrays = dict[str, npt.NDArray[Any]]
Checkpoint = dict[str, Any]
Which = Literal["best", "last"]


@dataclass(frozen=True)
class Cursor:
    """How far a follower has read: the writing of the file, and the bytes of it."""

    log: str
    offset: int


@dataclass(frozen=True)
class Batch:
    """New events, and where to go on.

    `restarted` says that they replace all that was read before, since the run was resumed or made anew.
    """

    events: list[Event]
    cursor: Cursor
    restarted: bool


@dataclass(frozen=True)
class Listing:
    """The runs of a folder, newest first, and why other folders in it are not shown: name to reason."""

    runs: list[Run] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)


def runs_dir() -> Path:
    """Where runs are kept: the folder `DANS_RUNS_DIR`, or ./runs."""
    return Path(os.environ.get(RUNS_DIR_VARIABLE) or "runs")


def run_id_error(run_id: str) -> str | None:
    """What is wrong with a run id, in one sentence, or None."""
    if _RUN_ID.fullmatch(run_id):
        return None
    shown = run_id if len(run_id) <= 80 else run_id[:80] + "…"
    return f"{shown!r} is not a run id; expected 1 to 64 characters of a-z, 0-9 and -"


def source_that_lasts(source: str | os.PathLike[str]) -> str:
    """The name of a data set as it is, a path made absolute: a run may go on from another working folder."""
    path = Path(source).expanduser()
    if isinstance(source, str):
        if not path.exists():
            return source
        # A name comes before a folder of this name, as in `KnowledgeGraph.load`.
        if source in (known.name for known in datasets.available()):
            return source
    return str(path.absolute())


def new_id(config: Config, dataset: str) -> str:
    """A fresh id that tells the run apart, such as "umls-complex-dans-s0-7f3a"."""
    name = re.sub(r"[^a-z0-9]+", "-", dataset.lower()).strip("-")[:24].strip("-") or "data"
    return f"{name}-{config.decoder}-{config.sampler}-s{config.seed}-{secrets.token_hex(2)}"


class Run:
    """A run directory to read. Making one costs nothing; each property reads what it needs.

    Reading never writes, so a run may lie in a read-only folder. Everything raises InputError where a file is
    missing or not what it should be.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    @property
    def id(self) -> str:
        """The name of its folder."""
        return self.path.resolve().name

    @property
    def recorded(self) -> bool:
        """Whether it came with the program (assets/recorded) and is only to be looked at."""
        return RECORDED in self.path.resolve().parents

    @cached_property
    def config(self) -> Config:
        """The settings; they never change."""
        stored = self._stored
        try:
            return config_module.parse(stored.config)
        except InputError as error:
            raise InputError(f"{self.path / 'config.json'}: {error}") from None

    @cached_property
    def meta(self) -> Meta:
        """Data set, seed, versions and time of creation; they never change."""
        return Meta(**self._stored.model_dump(exclude={"config"}))

    @cached_property
    def _stored(self) -> Stored:
        return read(self.path / "config.json", Stored)

    @property
    def status(self) -> Status:
        """State and progress now; "interrupted" where the writer is gone before its end."""
        stored = self.stored_status
        if stored.state in FINAL:
            return stored
        age = time.time() - stored.updated
        if self._is_locked(age):
            return stored.model_copy(update={"live": True})
        # The writer may have ended between the two looks.
        stored = self.stored_status
        waiting = stored.state == "queued" and abs(age) < QUEUE_GRACE
        if waiting or stored.state == "paused" or stored.state in FINAL:
            return stored
        return stored.model_copy(update={"state": "interrupted", "eta_seconds": None})

    @property
    def stored_status(self) -> Status:
        """status.json as it stands, without asking whether a process still holds the run."""
        return read(self.path / "status.json", Status)

    @property
    def is_live(self) -> bool:
        """Whether a process holds the run now."""
        return self.status.live

    def _is_locked(self, age: float) -> bool:
        """Whether a writer holds the lock; `age` is the time in seconds since it last wrote the status."""
        lock = self.path / "run.lock"
        if not lock.is_file():
            return False
        if not os.access(lock, os.W_OK):
            # The lock of someone else's run cannot be tried; a fresh status is the only sign left.
            return abs(age) < QUEUE_GRACE
        patience = 0.0 if abs(age) < 1.0 else _PROBE_PATIENCE
        probe = filelock.FileLock(lock)
        try:
            with probe.acquire(timeout=patience, poll_interval=_PROBE_PATIENCE / 3):
                return False
        except filelock.Timeout:
            return True
        except OSError:
            return False

    def follow(self, cursor: Cursor | None = None) -> Batch:
        """The events since `cursor` (None: all); a line still being written is left for the next time."""
        path = self.path / "events.jsonl"
        try:
            # What is read from one open file belongs together: a resuming writer puts another in its place.
            with path.open("rb") as file:
                log = log_id(file.read(LOG_LINE_BYTES))
                size = file.seek(0, os.SEEK_END)
                known = cursor is not None and cursor.log == log and cursor.offset <= size
                start = cursor.offset if cursor is not None and known else 0
                file.seek(start)
                data = file.read()
        except FileNotFoundError:
            return Batch([], Cursor("", 0), cursor is not None and cursor.offset > 0)
        except OSError as error:
            raise InputError(f"{path} cannot be read ({error.strerror})") from None
        data = data[: data.rfind(b"\n") + 1]
        events = read_events(path, data, start)
        return Batch(events, Cursor(log, start + len(data)), cursor is not None and not known)

    def events(self) -> list[Event]:
        """All whole events so far."""
        return self.follow().events

    def snapshots(self) -> list[tuple[int, Path]]:
        """Epoch and file of each snapshot, in the order of epochs."""
        try:
            files = [file for file in (self.path / "snapshots").iterdir() if _SNAPSHOT.fullmatch(file.name)]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise InputError(f"{error.filename} cannot be read ({error.strerror})") from None
        return sorted((int(file.stem), file) for file in files)

    def load_snapshot(self, epoch: int) -> Arrays:
        """The arrays of one snapshot by name."""
        path = self.path / "snapshots" / f"{epoch:06d}.npz"
        try:
            with np.load(path, allow_pickle=False) as arrays:
                return {name: arrays[name] for name in arrays.files}
        except FileNotFoundError:
            raise InputError(f"run {self.id} has no snapshot of epoch {epoch}") from None
        # A damaged archive fails in many ways, deep inside zipfile and numpy.
        except Exception as error:
            raise InputError(f"{path} is not a snapshot ({error})") from None

    def load_kg(self) -> KnowledgeGraph:
        """The data set the run was trained on, read again and compared."""
        kg = KnowledgeGraph.load(self.meta.source)
        if kg.hash != self.meta.hash:
            raise InputError(
                f"run {self.id} was trained on other triplets than data set {kg.name} now has "
                f"({self.meta.source}); its weights do not fit them"
            )
        return kg

    def load_checkpoint(self, which: Which = "best") -> Checkpoint:
        """What best.pt or last.pt holds, on the CPU; imports torch."""
        path = self.path / f"{which}.pt"
        if not path.is_file():
            other = "last" if which == "best" else "best"
            hint = f"; there is {other}.pt" if (self.path / f"{other}.pt").is_file() else ""
            raise InputError(f"run {self.id} has no {which}.pt, it has not got that far{hint}")
        import torch

        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
        # A damaged file fails in many ways, deep inside zipfile and pickle.
        except Exception as error:
            words = str(error).splitlines() or [type(error).__name__]
            raise InputError(f"{path} is not a checkpoint ({words[0]})") from None
        if not isinstance(state, dict) or "networks" not in state:
            raise InputError(f"{path} is not a checkpoint of this program")
        return state

    def request(self, run_until: int | None = None, stop: bool = False) -> None:
        """Ask the writer to run to a stage (see `Control`) or to stop; it looks between stages."""
        if self.recorded:
            raise InputError(f"run {self.id} is recorded; it is not running and cannot be controlled")
        try:
            asked = Control(run_until=run_until, stop=stop)
        except ValidationError as error:
            raise InputError(f"control: {first_problem(error)}") from None
        try:
            replace(self.path / "control.json", to_json(asked))
        except OSError as error:
            raise InputError(f"run {self.id} cannot be controlled ({error.strerror})") from None

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"


class RunWriter:
    """The one process that writes a run: made by `create` or `reopen`, holds run.lock until `close`.

    To hand a new run to another process, `create` it, `close` it, and let the other `reopen` it. While it waits
    for its turn keep it open, or it counts as interrupted after `QUEUE_GRACE` seconds.

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
        self._control_seen: tuple[int, ...] | None = None

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
    ) -> RunWriter:
        """A new run, queued, with its lock held.

        `source` is what `KnowledgeGraph.load` was given; a path is kept as an absolute one.

        Raises:
            InputError: a bad id, a run that exists, or a folder that cannot be made.
        """
        if problem := run_id_error(run_id):
            raise InputError(problem)
        if (RECORDED / run_id).exists():
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
            raise InputError(f"{path} cannot be made ({error.strerror})") from None
        meta = Meta(
            dataset=kg_name,
            source=source_that_lasts(source),
            hash=kg_hash,
            seed=config.seed,
            created=datetime.now(UTC).isoformat(timespec="microseconds"),
            versions=_versions(),
        )
        writer = cls(path, config, meta, _acquire(path))
        try:
            (path / "snapshots").mkdir()
            writer._start_log(b"")
            replace(path / "control.json", to_json(Control()))
            writer.write_status("queued")
            # Last, since a folder becomes a run by its config.json.
            stored = Stored(**meta.model_dump(), config=config.model_dump())
            replace(path / "config.json", to_json(stored))
        except BaseException:
            writer.close()
            raise
        return writer

    @classmethod
    def reopen(cls, path: str | os.PathLike[str]) -> RunWriter:
        """Take a queued run, or go back to the last checkpoint of one that ended early; its lock is held.

        What was written after the checkpoint is removed, since it will be made again. A run that has no
        checkpoint starts from the beginning. Requests of viewers are forgotten, unless the run was still queued.

        Raises:
            InputError: no run, a finished one, one that another process holds, or damaged files.
        """
        run = Run(path)
        if run.recorded:
            raise InputError(f"run {run.id} is recorded; it cannot be continued")
        writer = cls(run.path, run.config, run.meta, _acquire(run.path))
        try:
            writer._rewind()
        except BaseException:
            writer.close()
            raise
        return writer

    def append(self, *events: Event) -> None:
        """Write events, one a line, and hand them to the operating system.

        Raises:
            ValueError: a number in an event is not finite.
        """
        file = self._opened()
        for event in events:
            file.write(json.dumps(to_dict(event), allow_nan=False).encode() + b"\n")
        file.flush()

    def write_status(self, state: State, reason: str = "", **progress: Any) -> None:
        """Replace status.json; fields of `Status` that are not given stay as they were."""
        values = {**self.status.model_dump(), **progress, "state": state, "reason": reason}
        self.status = Status(**{**values, "updated": time.time()})
        replace(self.path / "status.json", to_json(self.status))

    def snapshot(self, file: str, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Write one snapshot; before its event is appended, so that who sees the event finds the file."""
        if not _SNAPSHOT.fullmatch(file):
            raise ValueError(f"{file!r} is not the name of a snapshot, NNNNNN.npz")
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
        try:
            stat = path.stat()
            seen: tuple[int, ...] = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
        except OSError:
            return self._control
        if seen != self._control_seen:
            self._control_seen = seen
            try:
                self._control = read(path, Control)
            except InputError as error:
                _log.warning("ignored: %s", error)
        return self._control

    def log(self, text: str) -> None:
        """Append to log.txt."""
        with (self.path / "log.txt").open("a", encoding="utf-8") as file:
            file.write(text)

    def close(self) -> None:
        """Let go of the run."""
        if self._events is not None:
            self._events.close()
            self._events = None
        self._lock.release()

    def __enter__(self) -> RunWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

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
        self._remove_leftovers(read_events(self.path / "events.jsonl", kept, LOG_LINE_BYTES))
        self._start_log(kept)
        if before.state != "queued":
            replace(self.path / "control.json", to_json(Control()))
        self.status = before
        self.write_status("queued", eta_seconds=None)

    def _events_before(self, offset: object) -> bytes:
        """The event lines up to the offset that last.pt holds."""
        path = self.path / "events.jsonl"
        try:
            with path.open("rb") as file:
                file.seek(LOG_LINE_BYTES)
                kept = file.read(offset - LOG_LINE_BYTES) if isinstance(offset, int) else b""
        except OSError as error:
            raise InputError(f"{path} cannot be read ({error.strerror})") from None
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
            stale += [file for file in parent.glob(".*.tmp") if not file.name.startswith(".control.json")]
        for file in stale:
            file.unlink(missing_ok=True)


def scan_runs(root: str | os.PathLike[str] | None = None) -> Listing:
    """The runs of a folder (None: `runs_dir()`), and why other folders in it are not shown."""
    folder = runs_dir() if root is None else Path(root)
    listing = Listing()
    try:
        entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
        inside = folder.resolve()
    except FileNotFoundError:
        return listing
    except OSError as error:
        listing.unreadable[str(folder)] = f"cannot be read ({error.strerror})"
        return listing
    for entry in entries:
        if not entry.is_dir():
            continue
        try:
            run = _inside(inside, entry.name)
            run.stored_status  # noqa: B018 - read to see that it can be read
            run.meta, run.config  # noqa: B018
            listing.runs.append(run)
        except InputError as error:
            listing.unreadable[entry.name] = str(error)
    listing.runs.sort(key=lambda run: (run.meta.created, run.id), reverse=True)
    return listing


def list_runs(root: str | os.PathLike[str] | None = None) -> list[Run]:
    """The readable runs of a folder (None: `runs_dir()`), newest first; `scan_runs` tells of the others too."""
    return scan_runs(root).runs


def recorded_runs() -> list[Run]:
    """The runs that came with the program."""
    return list_runs(RECORDED)


def open_run(run: str | os.PathLike[str], paths: bool = False) -> Run:
    """A run by its id, among `runs_dir()` and then the recorded ones.

    A `Path` is a folder anywhere. So is a string with `paths=True` where it is not the id of a run: for what a
    person typed in a terminal, never for what came in an address.

    Raises:
        InputError: a bad id, an unknown run, one that leads out of its folder, or files that cannot be read.
    """
    if isinstance(run, str):
        problem = run_id_error(run)
        if problem is None:
            for root in (runs_dir(), RECORDED):
                if os.path.lexists(root / run):
                    return _readable(_inside(root.resolve(), run))
        if not paths or "\0" in run or not Path(run).expanduser().is_dir():
            where = f"in {runs_dir()}" + ", nor is it a folder" * paths
            raise InputError(problem if problem and not paths else f"there is no run {run!r} {where}")
    path = Path(run).expanduser()
    if not path.is_dir():
        raise InputError(f"there is no run in {path}")
    return _readable(Run(path))


def find_twin(run: Run, runs: list[Run]) -> Run | None:
    """The newest of `runs` with the same data and settings but another sampler, or None."""
    settings = run.config.model_dump(exclude={"sampler"})
    twins = [
        other
        for other in runs
        if other.meta.hash == run.meta.hash
        and other.config.sampler != run.config.sampler
        and other.config.model_dump(exclude={"sampler"}) == settings
    ]
    return max(twins, key=lambda twin: twin.meta.created, default=None)


def _inside(root: Path, run_id: str) -> Run:
    """The run of an id directly in `root`, which is resolved."""
    if problem := run_id_error(run_id):
        raise InputError(problem)
    if (root / run_id).resolve() != root / run_id:
        raise InputError(f"run {run_id} leads out of {root}")
    return Run(root / run_id)


def _readable(run: Run) -> Run:
    if not (run.path / "config.json").exists():
        raise InputError(f"there is no run in {run.path}, it has no config.json")
    run.config, run.meta, run.stored_status  # noqa: B018 - read to see that it can be read
    return run


def _acquire(path: Path) -> filelock.BaseFileLock:
    # Not thread-local, so that one thread may hand a writer to another.
    lock = filelock.FileLock(path / "run.lock", thread_local=False)
    try:
        lock.acquire(timeout=_LOCK_PATIENCE, poll_interval=0.02)
    except filelock.Timeout:
        raise InputError(f"run {path.name} is being written by another process") from None
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror})") from None
    return lock


def _versions() -> dict[str, str]:
    return {"python": platform.python_version()} | {name: metadata.version(name) for name in _VERSIONS}
