"""Starting, resuming and costing runs from the app; training itself happens in workers, processes of their own."""

from __future__ import annotations

import itertools
import json
import math
import os
import subprocess
import sys
import threading
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import streamlit as st

from dans_app.server import graph, queue, visitors
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
from dans_lab.sharing.limits import Allowance
from dans_lab.sharing.settings import current

ROOT = Path(__file__).resolve().parents[2]

FIRST_SCREEN = 1.5
"""Seconds before a worker is made ready: its imports take a core, which the browser needs for the first screen."""

FIRST_EPOCHS = 1.0
"""Seconds after a start before the next worker is made ready, which would slow down the first losses of the run."""

_LONGEST_LOG = 1_000_000
"""Bytes of what workers said from which on it begins anew."""

LOOK = 1.0
"""Seconds between two looks at those who wait and at runs that have had their time."""

LONGEST_PAUSE = 120.0
"""Seconds for which a run may be paused while others wait for its core."""

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
        # Where many look on, none of them waits for the training of another.
        gives_way = current() is not None or os.environ.get("DANS_GIVE_WAY") == "1"
        job = {"run_dir": str(run.path.resolve()), "resume": resume, "gives_way": gives_way}
        self.process.stdin.write(f"{json.dumps(job)}\n".encode())
        self.process.stdin.close()

    def dismiss(self) -> None:
        """Let it go without a run."""
        assert self.process.stdin is not None
        with suppress(OSError):
            self.process.stdin.close()
        self.ticket.discard()


@dataclass(frozen=True)
class _Waiting(queue.Asked):
    """A run that waits for its turn. Its writer is kept open, by which everyone sees that it is not left alone."""

    writer: RunWriter
    resume: bool


class Pool:
    """Keeps one worker warm (imports done, data read, waiting for a job) and hands it runs.

    A worker that got a run belongs to that run: it lives in a session of its own and outlives the app. An idle
    one ends when its standard input does, which is when the app ends. On a shared server a run waits for its turn where
    all cores are taken.
    """

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._idle: _Worker | None = None
        self._working: list[subprocess.Popen[bytes]] = []
        self._timer: threading.Timer | None = None
        self._not_before = time.monotonic() + FIRST_SCREEN
        self._likely = ""
        self._waiting: list[_Waiting] = []
        self._served: dict[str, int] = {}
        self._expected: dict[str, float] = {}
        self._places: dict[str, queue.Place] = {}
        self._numbers = itertools.count()
        self._tender: threading.Thread | None = None

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
        kg = graph.load(dataset)
        check_memory(config, dataset)
        seconds = check_limits(config, dataset)
        run_id = new_id(config, kg.name, as_name(differing(config)))
        with self._turn, locks.one_start_at_a_time(runs_dir() / CACHE):
            self._check_place()
            self._likely = dataset
            # First, so that no run is left behind where no process can be started.
            self._worker()
            owner = visitors.owner()
            writer = RunWriter.create(runs_dir(), run_id, config, kg.name, kg.hash, dataset, owner=owner)
            self._begin(writer, seconds, resume=False)
        return writer.run

    def resume(self, run: Run) -> None:
        """Go on with a run that was stopped, interrupted, or paused for so long that its worker left.

        Raises:
            InputError: for another's run, no free core, or a run that cannot go on.
        """
        visitors.need_own(run, f"resuming run {run.id}")
        seconds = estimate(run.config, run.meta.source).seconds if current() else 0.0
        with self._turn, locks.one_start_at_a_time(runs_dir() / CACHE):
            if (status := run.status).live or status.state == "queued":
                return
            if (limits := _limits()) is not None:
                limits.check_time(status.seconds)
            self._check_place()
            self._worker()
            self._begin(RunWriter.requeue(run.path), seconds, resume=True)

    def train_on(self, run: Run, config: Config) -> None:
        """Give a finished run more epochs, as `going_on.config_of` has them in its settings, and train these.

        Raises:
            InputError: for another's run, no free core, too little memory, or a run that cannot go on.
        """
        visitors.need_own(run, f"training run {run.id} on")
        check_memory(config, run.meta.source)
        seconds = check_limits(config, run.meta.source)
        with self._turn, locks.one_start_at_a_time(runs_dir() / CACHE):
            self._check_place()
            self._worker()
            self._begin(RunWriter.train_on(run.path, config), seconds, resume=True)

    def place(self, run: Run) -> queue.Place | None:
        """Where a run stands in the queue, None where it does not wait; asked by every screen at every tick."""
        return self._places.get(run.id)

    def withdraw(self, run: Run) -> bool:
        """Take a run out of the queue, as if it had been stopped; False where it does not wait."""
        with self._turn:
            for each in self._waiting:
                if each.run_id == run.id:
                    self._take_out(each, "")
                    self._see_places(self._busy())
                    return True
        return False

    def close(self) -> None:
        """Let the waiting worker go, and stop the runs that wait; those under way go on."""
        with self._turn:
            for each in list(self._waiting):
                self._take_out(each, "the server ended while it waited for its turn")
            self._places = {}
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            if self._idle is not None:
                self._idle.dismiss()
                self._idle = None

    def _check_place(self) -> None:
        """InputError where there is no room for one more run: on a core, or in the queue of a shared server."""
        sharing = current()
        if sharing is None:
            _check_room()
        elif (limits := _limits()) is None:
            sharing.limits.check_queue(len(self._waiting))
        else:
            own = [run for run in _busy_runs() if run.meta.owner == visitors.owner()]
            limits.check_place(len(own), len(self._waiting))

    def _begin(self, writer: RunWriter, seconds: float, resume: bool) -> None:
        """Train a run, whose lock is held, of so many seconds in all: at once, or in its turn on a shared server."""
        run = writer.run
        if current() is None:
            with writer:
                self._hand_over(run, resume)
            return
        left = seconds * (1 - min(writer.status.epoch, writer.status.epochs) / writer.status.epochs)
        self._expected[run.id] = left
        number = next(self._numbers)
        self._waiting.append(_Waiting(run.id, writer.meta.owner, left, number, writer=writer, resume=resume))
        self._serve()
        if self._tender is None:
            self._tender = threading.Thread(target=self._tend, name="queue", daemon=True)
            self._tender.start()

    def _tend(self) -> None:
        """Look again and again whether a core is free for those who wait, and who has had their time."""
        while True:
            time.sleep(LOOK)
            # What fails here is tried again: a folder that cannot be written now, or another server's turn.
            with suppress(InputError, OSError), self._turn:
                if self._waiting:
                    with locks.one_start_at_a_time(runs_dir() / CACHE):
                        self._serve()
                busy = self._busy()
                _stop_what_had_its_time(busy, bool(self._waiting))
                known = {*(run.id for run in busy), *(each.run_id for each in self._waiting)}
                self._expected = {name: left for name, left in self._expected.items() if name in known}
                if not busy and not self._waiting:
                    self._tender = None
                    return

    def _serve(self) -> None:
        """Hand over those whose turn it is, as long as a core is free; then say where the others stand."""
        busy = self._busy()
        while self._waiting and len(busy) < _cores():
            turn = queue.turns(map(self._going, busy), self._waiting, _cores(), self._served)[0][0]
            try:
                self._hand_over(turn.writer.run, turn.resume)
            except InputError as error:
                self._take_out(turn, str(error))
                continue
            turn.writer.close()
            self._waiting.remove(turn)
            self._served[turn.owner] = max(self._served.values(), default=0) + 1
            busy.append(turn.writer.run)
        self._see_places(busy)

    def _take_out(self, waiting: _Waiting, reason: str) -> None:
        self._waiting.remove(waiting)
        with suppress(InputError, OSError):
            waiting.writer.write_status("stopped", reason, eta_seconds=None)
        waiting.writer.close()

    def _see_places(self, busy: Sequence[Run]) -> None:
        going = list(map(self._going, busy))
        known = {each.owner for each in going} | {each.owner for each in self._waiting}
        self._served = {owner: turn for owner, turn in self._served.items() if owner in known}
        # Another one in its place, since screens look at it meanwhile.
        self._places = queue.places(queue.turns(going, self._waiting, _cores(), self._served))

    def _busy(self) -> list[Run]:
        """The runs that have a core."""
        return _busy_runs({each.run_id for each in self._waiting})

    def _going(self, run: Run) -> queue.Going:
        """A run that has a core, for the queue."""
        try:
            status, owner = run.status, run.meta.owner
        except InputError:
            return queue.Going("", math.inf)
        if status.state == "paused":
            return queue.Going(owner, math.inf)
        if status.eta_seconds is None:
            return queue.Going(owner, self._expected.get(run.id, math.inf))
        return queue.Going(owner, max(0.0, status.eta_seconds - max(0.0, time.time() - status.updated)))

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
    if not (stop and pool().withdraw(run)):
        run.request(run_until, stop)


def _limits() -> Allowance | None:
    """What the visitor who asks has to keep to, None for a teacher and for who is alone."""
    sharing = current()
    return None if sharing is None or visitors.visitor().is_at_least("teacher") else sharing.limits


def check_limits(config: Config, dataset: str) -> float:
    """The seconds that a run will take, on a shared server; InputError where it is more than the server allows."""
    if current() is None:
        return 0.0
    seconds = estimate(config, dataset).seconds
    if (limits := _limits()) is not None:
        limits.check(config, Sizes.of(graph.load(dataset)), seconds)
    return seconds


def _cores() -> int:
    """How many runs may train at once."""
    sharing = current()
    return CORES if sharing is None else min(CORES, sharing.limits.runs)


def _busy_runs(without: Collection[str] = ()) -> list[Run]:
    """The runs of the folder that a process has or is about to have, but for these."""
    try:
        folders = list(os.scandir(runs_dir()))
    except FileNotFoundError:
        return []
    found = [
        Run(each.path) for each in folders if each.name not in without and run_id_error(each.name) is None
    ]
    return [run for run in found if _is_busy(run)]


def _stop_what_had_its_time(busy: Sequence[Run], others_wait: bool) -> None:
    """Stop students' runs that have trained for as long as they may, or are paused for long while others wait."""
    if (sharing := current()) is None:
        return
    for run in busy:
        with suppress(InputError):
            status = run.status
            if not (status.live and run.meta.owner) or run.asked.stop:
                continue
            idles = status.state == "paused" and time.time() - status.updated > LONGEST_PAUSE
            if status.seconds >= 60 * sharing.limits.minutes or (others_wait and idles):
                run.request(stop=True)


def _check_room() -> None:
    """InputError where each core has its run, whichever server or terminal started them."""
    busy = sorted(run.id for run in _busy_runs())
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
