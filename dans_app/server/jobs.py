"""Starting, resuming and costing runs from the app; training itself happens in workers, processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import streamlit as st

from dans_app.server import graph, visitors
from dans_core.config import Config
from dans_data.errors import InputError
from dans_data.words import bytes_in_words, count, seconds_in_words
from dans_lab.apart import as_name, differing
from dans_lab.budget import estimates, several
from dans_lab.budget.experience import Basis, Experience
from dans_lab.budget.several import Forecast
from dans_lab.budget.sizes import Sizes
from dans_lab.runs import locks, machine, trash
from dans_lab.runs.run import Run, list_runs, new_id, run_id_error, runs_dir
from dans_lab.runs.trash import CACHE
from dans_lab.runs.writer import RunWriter

ROOT = Path(__file__).resolve().parents[2]

FIRST_SCREEN = 1.5
"""Seconds before a worker is made ready: its imports take a core, which the browser needs for the first screen."""

FIRST_EPOCHS = 1.0
"""Seconds after a start before the next worker is made ready, which would slow down the first losses of the run."""

_LONGEST_LOG = 1_000_000
"""Bytes of what workers said from which on it begins anew."""

CORES = machine.cores()


@dataclass(frozen=True)
class _Worker:
    """A training process that waits for a run, and its ticket, as in `locks`."""

    process: subprocess.Popen[bytes]
    ticket: locks.Ticket

    @property
    def waits(self) -> bool:
        return self.process.poll() is None

    def take(self, run: Run, resume: bool) -> None:
        """Give it the run; OSError where it is gone, or its ticket."""
        assert self.process.stdin is not None
        self.ticket.use(run.path)
        job = json.dumps({"run_dir": str(run.path.resolve()), "resume": resume}) + "\n"
        self.process.stdin.write(job.encode())
        self.process.stdin.close()

    def dismiss(self) -> None:
        """Let it go without a run."""
        assert self.process.stdin is not None
        with suppress(OSError):
            self.process.stdin.close()
        self.ticket.discard()


class Pool:
    """Keeps one worker warm (imports done, data read, waiting for a job) and hands it runs.

    A worker that got a run belongs to that run: it lives in a session of its own and outlives the app. An idle
    one ends when its standard input does, which is when the app ends.
    """

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._idle: _Worker | None = None
        self._working: list[subprocess.Popen[bytes]] = []
        self._timer: threading.Timer | None = None
        self._not_before = time.monotonic() + FIRST_SCREEN
        self._likely = ""

    def warm(self, dataset: str) -> None:
        """See to it that before long a worker waits for a run on `dataset`. Returns at once.

        A worker that waits for another data set stays: it reads the right one in a moment.
        """
        with self._turn:
            self._likely = dataset
            if self._timer is None and not (self._idle and self._idle.waits):
                self._timer = threading.Timer(max(0.0, self._not_before - time.monotonic()), self._warm_now)
                self._timer.daemon = True
                self._timer.start()

    def _warm_now(self) -> None:
        with self._turn:
            self._timer = None
            early = self._not_before > time.monotonic()
            if not early:
                # Where none can be started, who wants to start a run is told why.
                with suppress(InputError):
                    self._worker()
        if early:
            self.warm(self._likely)
            return
        with suppress(InputError):
            trash.tidy()

    def start(self, config: Config, dataset: str) -> Run:
        """Create a run and train it.

        Raises:
            InputError: for a viewer, a data set that cannot be read, too little memory, a full house, or a folder that
                cannot be written.
        """
        visitors.need("student", "starting a run")
        owner = visitors.visitor().id
        kg = graph.load(dataset)
        check_memory(config, dataset)
        run_id = new_id(config, kg.name, as_name(differing(config)))
        with self._turn, locks.one_start_at_a_time(runs_dir() / CACHE):
            _check_room()
            self._likely = dataset
            # First, so that no run is left behind where no process can be started.
            self._worker()
            with RunWriter.create(
                runs_dir(), run_id, config, kg.name, kg.hash, dataset, owner=owner
            ) as writer:
                self._hand_over(writer.run, resume=False)
        return writer.run

    def resume(self, run: Run) -> None:
        """Go on with a run that was stopped, interrupted, or paused for so long that its worker left.

        Raises:
            InputError: for another's run, no free core, or a run that cannot go on.
        """
        visitors.need_own(run, f"resuming run {run.id}")
        with self._turn, locks.one_start_at_a_time(runs_dir() / CACHE):
            if (status := run.status).live or status.state == "queued":
                return
            _check_room()
            self._worker()
            with RunWriter.requeue(run.path):
                self._hand_over(run, resume=True)

    def train_on(self, run: Run, config: Config) -> None:
        """Give a finished run more epochs, as `going_on.config_of` has them in its settings, and train these.

        Raises:
            InputError: for another's run, no free core, too little memory, or a run that cannot go on.
        """
        visitors.need_own(run, f"training run {run.id} on")
        check_memory(config, run.meta.source)
        with self._turn, locks.one_start_at_a_time(runs_dir() / CACHE):
            _check_room()
            self._worker()
            with RunWriter.train_on(run.path, config):
                self._hand_over(run, resume=True)

    def close(self) -> None:
        """Let the waiting worker go; runs go on."""
        with self._turn:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            if self._idle is not None:
                self._idle.dismiss()
                self._idle = None

    def _hand_over(self, run: Run, resume: bool) -> None:
        """Give the run, whose lock is held, to the waiting worker; to a new one where that has died."""
        for _ in range(2):
            worker = self._worker()
            self._idle = None
            try:
                worker.take(run, resume)
            except OSError:
                worker.dismiss()
                continue
            self._working.append(worker.process)
            self._not_before = time.monotonic() + FIRST_EPOCHS
            return
        raise InputError(f"no training process could be started; its last words are in {_log_file()}")

    def _worker(self) -> _Worker:
        # Asking each for its exit code lets the system forget those that ended.
        self._working = [process for process in self._working if process.poll() is None]
        if self._idle is not None and not self._idle.waits:
            self._idle.dismiss()
            self._idle = None
        if self._idle is None:
            tickets = runs_dir() / CACHE / "workers"
            try:
                locks.sweep(tickets)
                if _log_file().exists() and _log_file().stat().st_size > _LONGEST_LOG:
                    _log_file().unlink()
                ticket = locks.Ticket(tickets)
                try:
                    with _log_file().open("ab") as words:
                        process = self._start_process(ticket, words)
                finally:
                    ticket.leave_to_worker()
            except OSError as error:
                raise InputError(f"no training process could be started ({error})") from None
            self._idle = _Worker(process, ticket)
        return self._idle

    def _start_process(self, ticket: locks.Ticket, words: IO[bytes]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "dans_lab.worker", *([self._likely] if self._likely else [])],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=words,
            stderr=words,
            # Else Ctrl-C on the server would reach every run.
            start_new_session=True,
            pass_fds=(ticket.descriptor,),
        )


def ask(run: Run, run_until: int | None = None, stop: bool = False) -> None:
    """Ask the process that trains a run to pause, go on or stop, as in `Run.request`; InputError for another's run."""
    visitors.need_own(run, f"stopping run {run.id}" if stop else f"pausing run {run.id}")
    run.request(run_until, stop)


def _check_room() -> None:
    """InputError where each core has its run, whichever server or terminal started them."""
    found = [Run(each.path) for each in os.scandir(runs_dir()) if run_id_error(each.name) is None]
    busy = sorted(run.id for run in found if _is_busy(run))
    if len(busy) >= CORES:
        runs = count(len(busy), "run is", "runs are")
        some = " or ".join(busy[:4]) + (" or another" if len(busy) > 4 else "")
        raise InputError(
            f"{runs} under way and this machine has {count(CORES, 'core')}, one for each run; "
            f"wait for {some} to end, or stop it"
        )


def _is_busy(run: Run) -> bool:
    try:
        status = run.status
    except InputError:
        # Whatever became of its files, who holds its lock has a core.
        return locks.is_held(run.path / "run.lock")
    return status.live or status.state == "queued"


@st.cache_resource(show_spinner=False)
def pool() -> Pool:
    """The one pool of this server."""
    return Pool()


def _log_file() -> Path:
    """What workers say before they have a run."""
    return runs_dir() / CACHE / "workers.log"


@dataclass(frozen=True)
class Cost:
    """What a run will take: seconds of training, bytes on disk, and bytes of memory at its peak.

    `basis` says what the seconds rest on, as in `experience`; `free_seconds` are those of a machine with no other work.
    """

    seconds: float
    epoch_seconds: float
    bytes: int
    memory: int
    basis: Basis
    free_seconds: float

    def __str__(self) -> str:
        return f"{seconds_in_words(self.seconds)} and {bytes_in_words(self.bytes)}"


def estimate(config: Config, dataset: str, runs: list[Run] | None = None) -> Cost:
    """What a run will take on this machine, before it starts; `runs` (None: those of the runs folder) tell, too.

    Raises InputError for a data set that cannot be read.
    """
    told = experience(dataset, runs).expect(config)
    need = told.need
    return Cost(
        seconds=need.run_seconds,
        epoch_seconds=need.epoch_seconds,
        bytes=need.disk_bytes,
        memory=need.memory_bytes,
        basis=told.basis,
        free_seconds=told.free_seconds,
    )


def experience(dataset: str, runs: list[Run] | None = None) -> Experience:
    """What is known here of runs on a data set; `runs` (None: those of the runs folder) tell.

    Raises InputError for a data set that cannot be read.
    """
    kg = graph.load(dataset)
    return Experience(Sizes.of(kg), kg.hash, list_runs() if runs is None else runs)


def forecast(kinds: Sequence[Config], seeds: int, known: Experience) -> Forecast:
    """What so many seeds of each kind of run will take on this machine together, a run on each core."""
    return several.forecast(kinds, seeds, known, CORES, estimates.free_memory())


def memory(config: Config, dataset: str) -> int:
    """Bytes of memory that a run needs at its peak. Raises InputError for a data set that cannot be read."""
    return estimates.predict(config, Sizes.of(graph.load(dataset))).memory_bytes


def check_memory(config: Config, dataset: str) -> str | None:
    """A warning where a run nearly fills the memory that is free, else None.

    Raises InputError where it needs more, or for a data set that cannot be read.
    """
    return estimates.check(
        config, Sizes.of(graph.load(dataset)), lambda name: Config.model_fields[name].title or name
    )
