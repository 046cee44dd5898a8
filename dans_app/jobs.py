"""Starting, resuming and costing runs from the app; training itself happens in workers, processes of their own."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from dans_app import graph
from dans_core.config import Config
from dans_core.errors import InputError
from dans_core.records import Status
from dans_core.runs import Run, list_runs, new_id, runs_dir
from dans_core.writer import RunWriter

ROOT = Path(__file__).resolve().parents[1]

FIRST_SCREEN = 1.5
"""Seconds before a worker is made ready: its imports take a core, which the browser needs for the first screen."""

FIRST_EPOCHS = 1.0
"""Seconds after a start before the next worker is made ready, which would slow down the first losses of the run."""

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Pool:
    """Keeps one worker warm (imports done, data read, waiting for a job) and hands it runs.

    A worker that got a run belongs to that run: it lives in a session of its own and outlives the app. An idle
    one ends when its standard input does, which is when the app ends.
    """

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._idle: subprocess.Popen[bytes] | None = None
        self._working: list[subprocess.Popen[bytes]] = []
        self._resuming: dict[str, subprocess.Popen[bytes]] = {}
        self._timer: threading.Timer | None = None
        self._not_before = time.monotonic() + FIRST_SCREEN
        self._likely = ""

    def warm(self, dataset: str) -> None:
        """See to it that before long a worker waits for a run on `dataset`. Returns at once.

        A worker that waits for another data set stays: it reads the right one in a moment.
        """
        with self._turn:
            self._likely = dataset
            if self._timer is None and (self._idle is None or self._idle.poll() is not None):
                self._timer = threading.Timer(max(0.0, self._not_before - time.monotonic()), self._warm_now)
                self._timer.daemon = True
                self._timer.start()

    def _warm_now(self) -> None:
        with self._turn:
            self._timer = None
            early = self._not_before > time.monotonic()
            if not early:
                self._worker()
        if early:
            self.warm(self._likely)

    def start(self, config: Config, dataset: str) -> Run:
        """Create a run and train it.

        Raises
        ------
        InputError
            for a data set that cannot be read, a full house, or a folder that cannot be written.
        """
        kg = graph.load(dataset)
        with self._turn:
            self._check_room()
            with RunWriter.create(
                runs_dir(), new_id(config, kg.name), config, kg.name, kg.hash, dataset
            ) as writer:
                run = writer.run
            self._likely = dataset
            self._hand_over(run, resume=False)
        return run

    def resume(self, run: Run) -> None:
        """Go on with a run that was stopped, interrupted, or paused for so long that its worker left.

        Raises
        ------
        InputError
            for a full house, or a run that cannot go on.
        """
        with self._turn:
            if run.is_live:
                return
            self._check_room()
            RunWriter.requeue(run.path)
            self._resuming[run.id] = self._hand_over(run, resume=True)

    def status(self, run: Run) -> Status:
        """Its status; "queued" also while a worker is about to go on with it, of which the run knows nothing yet."""
        status = run.status
        worker = self._resuming.get(run.id)
        if worker is None:
            return status
        if status.live or worker.poll() is not None:
            self._resuming.pop(run.id, None)
            return run.status
        return status.model_copy(update={"state": "queued"})

    def close(self) -> None:
        """Let the waiting worker go; runs go on."""
        with self._turn:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            if self._idle is not None:
                assert self._idle.stdin is not None
                self._idle.stdin.close()
                self._idle = None

    def _check_room(self) -> None:
        busy = [run for run in list_runs() if (status := run.status).live or status.state == "queued"]
        if len(busy) >= CORES:
            runs = "1 run is" if len(busy) == 1 else f"{len(busy)} runs are"
            cores = "1 core" if CORES == 1 else f"{CORES} cores"
            names = " or ".join(run.id for run in busy[:4]) + (" or another" if len(busy) > 4 else "")
            raise InputError(
                f"{runs} under way and this machine has {cores}, one for each run; wait for {names} to end, or stop it"
            )

    def _hand_over(self, run: Run, resume: bool) -> subprocess.Popen[bytes]:
        """Give the run to the waiting worker; to a new one where that has died."""
        job = json.dumps({"run_dir": str(run.path.resolve()), "resume": resume}) + "\n"
        for _ in range(2):
            worker = self._worker()
            assert worker.stdin is not None
            try:
                worker.stdin.write(job.encode())
                worker.stdin.close()
            except OSError:
                worker.wait()
                continue
            self._working.append(worker)
            self._idle = None
            self._not_before = time.monotonic() + FIRST_EPOCHS
            return worker
        raise InputError(f"no training process could be started; its last words are in {_log_file()}")

    def _worker(self) -> subprocess.Popen[bytes]:
        # Asking each for its exit code lets the system forget those that ended.
        self._working = [worker for worker in self._working if worker.poll() is None]
        if self._idle is None or self._idle.poll() is not None:
            log = _log_file()
            log.parent.mkdir(parents=True, exist_ok=True)
            with log.open("ab") as words:
                self._idle = subprocess.Popen(
                    [sys.executable, "-m", "dans_core.worker", *([self._likely] if self._likely else [])],
                    cwd=ROOT,
                    stdin=subprocess.PIPE,
                    stdout=words,
                    stderr=words,
                    # Else Ctrl-C on the server would reach every run.
                    start_new_session=True,
                )
        return self._idle


@st.cache_resource(show_spinner=False)
def pool() -> Pool:
    """The one pool of this server."""
    return Pool()


def _log_file() -> Path:
    """What workers say before they have a run."""
    return runs_dir() / ".cache" / "workers.log"


@dataclass(frozen=True)
class Cost:
    """What a run will take: seconds of training and bytes on disk.

    `measured` says whether the seconds rest on runs of the same kind (data set, decoder, sampler) of this machine.
    """

    seconds: float
    bytes: int
    measured: bool

    def __str__(self) -> str:
        return f"{seconds_in_words(self.seconds)} and {bytes_in_words(self.bytes)}"


def estimate(config: Config, dataset: str, runs: list[Run] | None = None) -> Cost:
    """Time and disk of a run, before it starts.

    The time is a formula fitted on one machine, times how much slower or faster finished runs (None: those of the
    runs folder) of the same kind were than the formula says; of any kind, where there is none of the same.

    Raises InputError for a data set that cannot be read.
    """
    kg = graph.load(dataset)
    size = graph.sizes(kg)
    same, other = [], []
    for run in list_runs() if runs is None else runs:
        if run.recorded or run.stored_status.state != "finished":
            continue
        alike = (run.meta.hash, run.config.decoder, run.config.sampler) == (
            kg.hash,
            config.decoder,
            config.sampler,
        )
        try:
            reference = size if alike else graph.sizes(graph.load(run.meta.source))
        except InputError:
            continue
        (same if alike else other).append(run.stored_status.seconds / _formula_seconds(run.config, reference))
    factors = (same or other)[:5]
    factor = statistics.median(factors) if factors else 1.0
    return Cost(factor * _formula_seconds(config, size), _formula_bytes(config, size), bool(same))


_DECODER_COST = {"distmult": 0.9, "complex": 1.0, "rotate": 8.0}

_SAMPLER_COST = {
    "popularity": 9.6,
    "bernoulli": 0.6,
    "self-adversarial": 1.6,
    "nscaching": 12.6,
    "kbgan": 31.6,
    "mcns": 1.6,
    "sans": 22.6,
    "cake-style": 17.6,
    "smile-style": 18.6,
    "one-vs-all": 3.6,
}
"""Milliseconds that a sampler adds to an epoch of uniform negatives, *measured* on UMLS with the default settings."""


def _formula_seconds(config: Config, size: graph.Sizes) -> float:
    """Seconds of a run on one core of the machine where the constants were fitted.

    *Measured* there on UMLS with ComplEx: 9 ms an epoch without and 36 to 47 ms with the GAN, 2.5 ms a ranking, and
    22 ms to measure the negatives, 4 ms where there are only random ones. With RotatE: 38, 80 and 8 ms; the GAN
    itself costs the same whatever the decoder, and so do the other samplers.
    """
    width = config.dim / 100
    encode = 0.2e-6 * 2 * size.train * config.layers * (1 + config.bases) / 5 * width
    score = 0.3e-6 * 2 * size.train * (config.negatives / 20) * width
    plain = 0.002 + encode + score * _DECODER_COST[config.decoder]
    judged = 12e-6 * (size.queries + size.entities) + 0.014
    gan = judged * (config.k_g + config.k_d) / 2 * max(1.0, width)
    own = gan if config.sampler == "dans" else _sampler_seconds(config, size)
    with_own = config.epochs - (config.warmup_epochs if config.waits else 0)
    rankings = config.epochs // config.eval_every + 1
    ranking = 0.0025 * size.train / 5000 * max(1.0, size.entities / 5000) * _DECODER_COST[config.decoder]
    checks = config.epochs // config.diagnose_every + 1
    check = {"dans": 0.022, "uniform": 0.004}.get(config.sampler, 0.004 + own)
    return config.epochs * plain + with_own * own + rankings * ranking + checks * check


def _sampler_seconds(config: Config, size: graph.Sizes) -> float:
    """What a sampler other than DANS adds to an epoch: by the negatives of each triplet, or what it chooses from."""
    share = {
        "one-vs-all": size.entities / 135,
        "nscaching": (config.cache_size + config.cache_fresh) / 60,
        "kbgan": config.negatives / 20 * config.candidates / 20,
    }.get(config.sampler, config.negatives / 20)
    return _SAMPLER_COST.get(config.sampler, 0.0) / 1000 * size.train / 5216 * share


def _formula_bytes(config: Config, size: graph.Sizes) -> int:
    """Bytes of a run directory: snapshots, events, and the two checkpoints."""
    dim, relations = config.dim, 2 * size.relations
    dans = config.sampler == "dans"
    snapshot = 2 * dim * (size.entities + relations) + 2_000
    fakes = 2 * dim * (size.entities + size.queries) + 12 * (size.entities + size.queries)
    snapshots = config.epochs // config.snapshot_every + 2
    with_fakes = max(0, (config.epochs - config.warmup_epochs) // config.snapshot_every + 1) if dans else 0
    layer = (config.bases + 1) * dim * dim + relations * config.bases + dim
    model = dim * (size.entities + relations) + config.layers * layer
    # A pathway: two layers and an output of d × d, and per layer two small networks of d × 100 × d.
    gan = 2 * (3 * dim * dim + 2 * 2 * 200 * dim) + 50 * dim if dans else 0
    kept = {
        "nscaching": 2 * size.queries * config.cache_size,
        "mcns": 2 * size.queries * config.negatives,
        "kbgan": 6 * (size.entities + relations) * config.generator_dim,
    }.get(config.sampler, 0)
    # last.pt: weights, two Adam moments, best weights; best.pt: weights. Both hold what a sampler keeps.
    checkpoints = 5 * 4 * (model + gan) + 4 * kept
    events = config.epochs * (420 if dans else 330) + config.epochs // config.eval_every * 220
    events += config.epochs // config.diagnose_every * 850
    return snapshots * snapshot + with_fakes * fakes + checkpoints + events


def seconds_in_words(seconds: float) -> str:
    """A time no more exact than it is known: "about 25 s", "about 4 minutes"."""
    if seconds < 1:
        return "about 1 s"
    if seconds < 10:
        return f"about {seconds:.0f} s"
    if seconds < 90:
        return f"about {5 * round(seconds / 5)} s"
    minutes = seconds / 60
    if minutes < 90:
        return f"about {minutes:.0f} minutes"
    hours = minutes / 60
    return f"about {hours:.0f} hours" if hours < 36 else f"about {hours / 24:.0f} days"


def bytes_in_words(count: float) -> str:
    """A size no more exact than it is known: "6 MB"."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= 0.95 * factor:
            value = count / factor
            return f"{value:.1f} {unit}" if value < 3 and unit == "GB" else f"{value:.0f} {unit}"
    return "1 kB"
