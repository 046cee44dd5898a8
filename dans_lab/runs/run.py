"""The run directory, where training and viewing meet: how to find and read one (`writer` writes it).

    run.lock       held by the writer for its life; free while the status is not final means "interrupted"
    worker.lock    held by the worker that was given the queued run, from before that until the worker ends
    config.json    Config, data set, versions: enough to repeat the run; and the format of this folder
    events.jsonl   one event a line, after a first line that names this writing of the file
    snapshots/     NNNNNN.npz, one for each Snapshot event
    last.pt        everything needed to continue; best.pt: the weights of the best epoch
    status.json    state and progress; control.json: what a viewer asks; log.txt: output of the process
    about.json     the name and the note a person gave it (`folder` reads and writes them)

Every file but the events is replaced whole, so a reader never sees half of one. Nothing here imports torch
until a checkpoint is read.
"""

from __future__ import annotations

import os
import re
import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

import dans_data as datasets
from dans_core import config as config_module
from dans_core.config import Config
from dans_core.declared import DECLARED
from dans_core.events import Event
from dans_core.kg import KnowledgeGraph
from dans_data import html
from dans_data.catalogue import CATALOGUE
from dans_data.complaints import first_problem
from dans_data.errors import InputError
from dans_data.places import folders
from dans_data.shipped import TOP
from dans_lab.names import DECODERS, SAMPLERS
from dans_lab.runs import bounded, locks
from dans_lab.runs.earlier import EARLIER
from dans_lab.runs.events_file import read_events
from dans_lab.runs.records import (
    FORMAT,
    LOG_LINE_BYTES,
    Control,
    Format,
    Meta,
    Status,
    Stored,
    log_id,
    read,
    replace,
    to_json,
)

RUNS_DIR_VARIABLE = "DANS_RUNS_DIR"
RECORDED = TOP / "assets" / "recorded"

FINAL = ("finished", "stopped", "failed")
"""States that a run has only after its writer is done with it."""

QUEUE_GRACE = 30.0
"""Seconds a queued run may be without a writer and a worker, where a script passes it on by its path alone."""

SILENCE = 30.0
"""Seconds without a beat of its writer after which a run is said not to answer; `drive` beats every few seconds."""

LONGEST_ID = 64
_RUN_ID = re.compile(rf"[a-z0-9][a-z0-9-]{{0,{LONGEST_ID - 1}}}")

STUDIES = "studies"
"""The folder among the runs that holds studies, and so the name that no run can have."""

MODEL = "model.safetensors"
"""The file by which a folder is the model that was exported of a run."""

SNAPSHOT = re.compile(r"[0-9]{6}\.npz")

Arrays = dict[str, npt.NDArray[Any]]
Checkpoint = dict[str, Any]
Which = Literal["best", "last"]


@dataclass(frozen=True)
class Cursor:
    """How far a follower has read: the writing of the file, and the bytes of it."""

    log: str
    offset: int


@dataclass(frozen=True)
class NewEvents:
    """New events, and where to go on.

    `restarted` says that they replace all that was read before, since the run was resumed or made anew.
    """

    events: list[Event]
    cursor: Cursor
    restarted: bool


@dataclass(frozen=True)
class FoundRuns:
    """The runs of a folder, newest first, and why other folders in it are not shown: name to reason."""

    runs: list[Run] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)


def runs_dir() -> Path:
    """Where runs are kept: the folder `DANS_RUNS_DIR`, or ./runs."""
    return Path(os.environ.get(RUNS_DIR_VARIABLE) or "runs")


def run_id_error(run_id: str) -> str | None:
    """What is wrong with a run id, in one sentence, or None."""
    if run_id == STUDIES:
        return f"{STUDIES!r} is the folder of the studies; choose another name for a run"
    if _RUN_ID.fullmatch(run_id):
        return None
    shown = run_id if len(run_id) <= 80 else run_id[:80] + "…"
    return f"{shown!r} is not a run id; expected 1 to 64 characters of a-z, 0-9 and -, the first of them no -"


def usual_weights(kg: KnowledgeGraph) -> Which:
    """Which weights of a run on this graph count: the best ones; the last, where no valid split says which are best."""
    return "best" if len(kg.array("valid")) else "last"


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


def new_id(config: Config, dataset: str, apart: Iterable[str] = ()) -> str:
    """A fresh id that tells the run apart, such as "umls-complex-dans-lr0p01-s0-7f3a".

    `apart` are words, of a-z, 0-9 and "-", for what was chosen; those that fit stand in it.
    """
    name = re.sub(r"[^a-z0-9]+", "-", dataset.lower()).strip("-")[:24].strip("-") or "data"
    begin, end = f"{name}-{config.decoder}-{config.sampler}", f"-s{config.seed}-{secrets.token_hex(2)}"
    for word in apart:
        if len(begin) + 1 + len(word) + len(end) > LONGEST_ID:
            break
        begin = f"{begin}-{word}"
    return begin + end


class Run:
    """A run directory to read. Making one costs nothing; each property reads what it needs.

    Reading never writes, so a run may lie in a read-only folder. Everything raises InputError where a file is
    missing or not what it should be.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    @property
    def in_shards(self) -> bool:
        """Whether its entity table lies in shards, one for each process that trained it."""
        return self.meta.processes.endswith("shards")

    @cached_property
    def id(self) -> str:
        """The name of its folder."""
        return self.path.resolve().name

    def _repr_html_(self) -> str:
        """How a notebook shows it: data set, method, how far it is, and how good."""
        config, status = self.config, self.status
        return html.table(
            self.id,
            [
                ("data set", self.meta.dataset),
                ("decoder", DECODERS[config.decoder]),
                ("negatives", SAMPLERS[config.sampler]),
                ("seed", config.seed),
                ("state", f"{status.state}, epoch {status.epoch:,} of {status.epochs:,}"),
                ("best valid MRR", status.best_mrr),
                ("test MRR", status.test_mrr),
            ],
        )

    @property
    def recorded(self) -> bool:
        """Whether it came with the program (assets/recorded) and is only to be looked at."""
        return RECORDED in self.path.resolve().parents

    @cached_property
    def config(self) -> Config:
        """The settings; none but `epochs` and `patience` ever change, where a run is trained on."""
        stored = self._stored
        try:
            return config_module.parse({**EARLIER, **stored.config})
        except InputError as error:
            raise InputError(f"{self.path / 'config.json'}: {error}") from None

    @cached_property
    def meta(self) -> Meta:
        """Data set, seed, versions and time of creation, which never change, and where it was trained."""
        stored = self._stored
        return Meta.model_construct(**{name: getattr(stored, name) for name in Meta.model_fields})

    @cached_property
    def _stored(self) -> Stored:
        path = self.path / "config.json"
        # First, since of a later format nothing else can be expected to be right.
        if (written := read(path, Format).format) > FORMAT:
            raise InputError(
                f"{path}: run {self.id} has format {written}, from a later version of this program, which reads "
                f"{FORMAT}; bring the program up to date"
            )
        return read(path, Stored)

    @property
    def status(self) -> Status:
        """State and progress now; "interrupted" where the writer is gone before its end."""
        stored = self.stored_status
        if stored.state in FINAL:
            return stored
        if locks.is_held(self.path / "run.lock"):
            return stored.model_copy(update={"live": True, "silent": self._silence(stored)})
        # The writer may have ended between the two looks.
        stored = self.stored_status
        if stored.state == "paused" or stored.state in FINAL or self.is_given(stored):
            return stored
        return stored.model_copy(update={"state": "interrupted", "eta_seconds": None})

    def is_given(self, stored: Status) -> bool:
        """Whether the run, whose stored status this is, was queued and given to a process that has yet to begin."""
        if stored.state != "queued":
            return False
        if os.path.lexists(ticket := self.path / locks.TICKET):
            return locks.is_held(ticket)
        return abs(time.time() - stored.updated) < QUEUE_GRACE

    def _silence(self, stored: Status) -> float | None:
        """Seconds since the last beat of a writer that trains, where they are too many."""
        if stored.state not in ("running", "paused"):
            return None
        try:
            beat = (self.path / "run.lock").stat().st_mtime
        except OSError:
            return None
        silent = time.time() - max(beat, stored.updated)
        return silent if silent > SILENCE else None

    @property
    def stored_status(self) -> Status:
        """status.json as it stands, without asking whether a process still holds the run."""
        return read(self.path / "status.json", Status)

    @property
    def asked(self) -> Control:
        """What was last asked of its writer, which may not have come to it yet; a damaged file asks nothing."""
        try:
            return read(self.path / "control.json", Control)
        except InputError:
            return Control()

    @property
    def is_live(self) -> bool:
        """Whether a process holds the run now."""
        return self.status.live

    def follow(self, cursor: Cursor | None = None) -> NewEvents:
        """The events since `cursor` (None: all); a line still being written is left for the next time."""
        path = self.path / "events.jsonl"
        if not os.path.lexists(path):
            return NewEvents([], Cursor("", 0), cursor is not None and cursor.offset > 0)
        # What is read from one open file belongs together: a resuming writer puts another in its place.
        with bounded.opened(path, bounded.EVENT_BYTES) as file:
            log = log_id(bounded.read(file, path, LOG_LINE_BYTES))
            size = file.seek(0, os.SEEK_END)
            known = cursor is not None and cursor.log == log and cursor.offset <= size
            start = cursor.offset if cursor is not None and known else 0
            file.seek(start)
            data = bounded.read(file, path)
        data = data[: data.rfind(b"\n") + 1]
        events = read_events(path, data, start)
        return NewEvents(events, Cursor(log, start + len(data)), cursor is not None and not known)

    def events(self) -> list[Event]:
        """All whole events so far."""
        return self.follow().events

    def snapshots(self) -> list[tuple[int, Path]]:
        """Epoch and file of each snapshot, in the order of epochs."""
        try:
            files = [file for file in (self.path / "snapshots").iterdir() if SNAPSHOT.fullmatch(file.name)]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise InputError(f"{error.filename} cannot be read ({error.strerror})") from None
        return sorted((int(file.stem), file) for file in files)

    def load_snapshot(self, epoch: int) -> Arrays:
        """The arrays of one snapshot by name."""
        path = self.path / "snapshots" / f"{epoch:06d}.npz"
        try:
            with (
                bounded.opened(path, bounded.ARRAY_BYTES) as file,
                np.load(file, allow_pickle=False) as arrays,
            ):
                return {name: arrays[name] for name in arrays.files}
        except InputError:
            if not os.path.lexists(path):
                raise InputError(f"run {self.id} has no snapshot of epoch {epoch}") from None
            raise
        # A damaged archive fails in many ways, deep inside zipfile and numpy.
        except Exception:
            raise InputError(f"{path} is not a snapshot, or is damaged") from None

    def load_kg(self) -> KnowledgeGraph:
        """The data set the run was trained on, read again and compared; who looks at a run downloads none."""
        if self.meta.source in CATALOGUE and self.meta.source not in folders():
            raise InputError(
                f"data set {self.meta.source} of run {self.id} is not on this machine; "
                f"python -m dans_core datasets --download {self.meta.source} brings it"
            )
        kg = KnowledgeGraph.load(self.meta.source, self.meta.split_seed)
        if kg.hash != self.meta.hash:
            raise InputError(
                f"run {self.id} was trained on other triplets than data set {kg.name} now has "
                f"({self.meta.source}); its weights do not fit them"
            )
        return kg

    def load_checkpoint(self, which: Which = "best") -> Checkpoint:
        """What best.pt or last.pt holds, on the CPU; imports torch."""
        path = self.path / f"{which}.pt"
        if not os.path.lexists(path):
            other = "last" if which == "best" else "best"
            hint = (
                f"; there is {other}.pt, the weights called {other}"
                if (self.path / f"{other}.pt").is_file()
                else ""
            )
            raise InputError(f"run {self.id} has no {which}.pt (yet){hint}")
        import torch

        try:
            with bounded.opened(path, bounded.CHECKPOINT_BYTES) as file:
                state = torch.load(file, map_location="cpu", weights_only=True)
        except InputError:
            raise
        # A damaged file fails in many ways, deep inside zipfile and pickle.
        except Exception:
            raise InputError(f"{path} is not a checkpoint of this program, or is damaged") from None
        if not isinstance(state, dict) or not isinstance(state.get("networks"), dict):
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


def scan_runs(root: str | os.PathLike[str] | None = None) -> FoundRuns:
    """The runs of a folder (None: `runs_dir()`), and why other folders in it are not shown."""
    folder = runs_dir() if root is None else Path(root)
    listing = FoundRuns()
    try:
        entries = sorted(
            entry for entry in folder.iterdir() if not entry.name.startswith(".") and entry.name != STUDIES
        )
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
            run.meta, run.config  # noqa: B018 - likewise
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


def twin_config(config: Config) -> Config:
    """The same settings with uniform negatives; those of uniform negatives with DANS.

    What follows from the sampler or the epochs where it is not set stays as it is, such as a loss. Where one of the two
    samplers does not read a setting, what is usual with the one becomes what is usual with the other.

    Raises InputError where DANS cannot be trained with these settings.
    """
    other = "dans" if config.sampler == "uniform" else "uniform"
    values = config.model_dump(exclude_unset=True)
    for name in {*config.declaration.defaults, *DECLARED[other].defaults}:
        both = all(config_module.matters(name, each) for each in (config.sampler, other))
        usual = config.declaration.defaults.get(name, Config.model_fields[name].default)
        if not both and values.get(name) == usual:
            del values[name]
    values |= {"sampler": other, "loss": config.loss, "warmup_epochs": config.warmup_epochs}
    return config_module.parse(values)


def find_twin(run: Run, runs: list[Run]) -> Run | None:
    """The newest of `runs` on the same data that trains as `twin_config` would, or None.

    Settings that the twin's sampler does not read may be anything.
    """
    try:
        wanted = twin_config(run.config)
    except InputError:
        return None
    names = {
        name for name in Config.model_fields if config_module.matters(name, wanted.sampler, wanted.reading)
    }
    settings = wanted.model_dump(include=names)
    twins = [
        other
        for other in runs
        if other.meta.hash == run.meta.hash
        and other.config.sampler == wanted.sampler
        and other.config.model_dump(include=names) == settings
    ]
    return max(twins, key=lambda twin: twin.meta.created, default=None)


def _inside(root: Path, run_id: str) -> Run:
    """The run of an id directly in `root`, which is resolved."""
    if problem := run_id_error(run_id):
        raise InputError(problem)
    # As the root is resolved, only its last part could lead elsewhere.
    if (root / run_id).is_symlink():
        raise InputError(f"run {run_id} leads out of {root}")
    return Run(root / run_id)


def _readable(run: Run) -> Run:
    if not (run.path / "config.json").exists():
        raise InputError(f"there is no run in {run.path}, it has no config.json")
    if (run.path / MODEL).exists():
        raise InputError(
            f"{run.path} is the model that was exported of a run; it can be evaluated and asked, by `evaluate` and "
            "`predict`, and nothing else"
        )
    run.config, run.meta, run.stored_status  # noqa: B018 - read to see that it can be read
    return run
