"""Training that is killed at random moments and goes on: whether it comes to the numbers of a run that never was."""

from __future__ import annotations

import contextlib
import itertools
import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from dans_core.config import Config
from dans_core.kg import KnowledgeGraph
from dans_data.errors import InputError
from dans_lab.runs.run import Run
from dans_lab.runs.writer import RunWriter
from tests.same_run import assert_same_run, outcome, processes_of
from tests.study_samples import study_file
from tests.waiting import wait_for

ROOT = Path(__file__).resolve().parents[1]
DATASET = "nations"
SAMPLERS = ("dans", "nscaching", "uniform")
DECODERS = ("complex", "rotate")
SMALL = {"epochs": 24, "warmup_epochs": 6, "dim": 16, "negatives": 8, "eval_every": 4, "snapshot_every": 6}

CHAIN = 5
"""Kills that one run suffers before it is trained to its end and compared."""


@dataclass
class Kills:
    """What came of it: kills by kind, runs that came to the same numbers and those that did not, torn files seen."""

    by_kind: dict[str, int] = field(default_factory=dict)
    same: int = 0
    other: list[str] = field(default_factory=list)
    torn: list[str] = field(default_factory=list)

    def count(self, kind: str) -> None:
        """One more kill of this kind."""
        self.by_kind[kind] = self.by_kind.get(kind, 0) + 1

    @property
    def kills(self) -> int:
        """All of them."""
        return sum(self.by_kind.values())


def measure(kills: int, folder: Path, seed: int, servers: int = 0, studies: int = 0) -> Kills:
    """Kill runs of every sampler and decoder in turn, `kills` times together; so many more are of servers and studies.

    A worker is killed at any moment, or while it writes: before the nth thing that it does to a file.
    """
    chance, found = random.Random(seed), Kills()
    context = multiprocessing.get_context("forkserver")
    # So that each process has its imports from the first moment on.
    context.set_forkserver_preload(["benchmarks.soak_training"])
    every = list(itertools.product(SAMPLERS, DECODERS))
    # A short test cannot afford an unbroken run of each.
    kinds = itertools.cycle(every[:: 1 if kills >= 50 else 3])
    straight: dict[tuple[str, str], tuple[Run, float]] = {}
    number = 0
    while found.kills < kills:
        kind = next(kinds)
        if kind not in straight:
            config = Config(sampler=kind[0], decoder=kind[1], **SMALL)
            straight[kind] = _straight(context, folder / "-".join(kind), config)
        reference, seconds = straight[kind]
        run = _begun(folder / f"chain-{number}", reference.config)
        number += 1
        with _watched(run, found):
            for each in range(min(CHAIN, kills - found.kills)):
                # Of its files a run of this size does something to some hundred times.
                trap = chance.randrange(5, 120) if each % 2 else None
                process = _training(context, run, trap)
                process.join(None if trap else chance.uniform(0.0, seconds))
                process.kill()
                process.join()
                if process.exitcode == 0:
                    break
                found.count("mid-write" if trap else "worker")
                _look_whole(run, found)
        _finish(context, run, reference, found)
    for number in range(servers):
        reference, _ = straight[next(iter(straight))]
        run = _served(folder / f"server-{number}", reference.config, chance.uniform(0.0, 4.0))
        found.count("server")
        _finish(context, run, reference, found)
    if studies:
        _study(studies, folder, chance, found)
    return found


def _study(kills: int, folder: Path, chance: random.Random, found: Kills) -> None:
    """Kill the process of a study so many times, a training process of it with every second; then let it finish."""
    command = [sys.executable, "-m", "dans_core", "study"]

    def begin(runs: Path) -> subprocess.Popen[bytes]:
        words = [*command, str(study_file(runs)), "--workers", "2"]
        environment = {**os.environ, "DANS_RUNS_DIR": str(runs)}
        return subprocess.Popen(
            words, env=environment, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    straight = folder / "study-straight"
    straight.mkdir(parents=True)
    began = time.monotonic()
    begin(straight).wait()
    seconds = time.monotonic() - began
    number = 0
    while kills > 0:
        runs = folder / f"study-{number}"
        runs.mkdir()
        number += 1
        for each in range(min(CHAIN, kills)):
            process = begin(runs)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(chance.uniform(0.2, 1.0) * seconds)
            if process.poll() is not None:
                break
            if each % 2 and (victims := [pid for pid in processes_of(runs) if pid != process.pid]):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(chance.choice(victims), signal.SIGKILL)
            process.kill()
            process.wait()
            found.count("study")
            kills -= 1
        wait_for(
            lambda runs=runs: not processes_of(runs), "the end of the training processes of a killed study"
        )
        begin(runs).wait()
        if outcome(runs) == outcome(straight):
            found.same += 1
        else:
            found.other.append(f"{runs.name}: another table")


def _training(
    context: multiprocessing.context.ForkServerContext, run: Run, trap: int | None
) -> multiprocessing.process.BaseProcess:
    from benchmarks.soak_training import train

    process = context.Process(target=train, args=(str(run.path), trap))
    process.start()
    return process


def _begun(folder: Path, config: Config) -> Run:
    kg = KnowledgeGraph.load(DATASET)
    with RunWriter.create(folder, "a-run", config, kg.name, kg.hash, DATASET) as writer:
        return writer.run


def _straight(
    context: multiprocessing.context.ForkServerContext, folder: Path, config: Config
) -> tuple[Run, float]:
    run = _begun(folder, config)
    began = time.monotonic()
    _training(context, run, None).join()
    if run.status.state != "finished":
        raise SystemExit(f"error: an unbroken run is {run.status.state}: {run.status.reason}")
    return run, time.monotonic() - began


def _finish(
    context: multiprocessing.context.ForkServerContext, run: Run, reference: Run, found: Kills
) -> None:
    for _ in range(3):
        if run.status.state == "finished":
            break
        _training(context, run, None).join()
    try:
        assert run.status.state == "finished", run.status.state
        assert_same_run(run, reference)
        found.same += 1
    except (AssertionError, InputError) as error:
        found.other.append(
            f"{run.path.parent.name}: {str(error).splitlines()[0][:200] if str(error) else 'other numbers'}"
        )


class _watched:
    """Within, someone looks at the run again and again, as a screen does."""

    def __init__(self, run: Run, found: Kills) -> None:
        self._run, self._found = run, found
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(0.02):
            _told(self._found, lambda: (self._run.status, self._run.events()))


def _look_whole(run: Run, found: Kills) -> None:
    _told(found, lambda: [run.load_snapshot(epoch) for epoch, _ in run.snapshots()])
    for which in ("last", "best"):
        if (run.path / f"{which}.pt").exists():
            _told(found, lambda which=which: run.load_checkpoint(which))


def _told(found: Kills, look: Callable[[], object]) -> None:
    try:
        look()
    except InputError as error:
        found.torn.append(str(error)[:200])


def _served(folder: Path, config: Config, seconds: float) -> Run:
    """A run that a server started, which was killed so many seconds later; the worker goes on where it has it."""
    folder.mkdir(parents=True)
    code = (
        "import json, sys, time\n"
        "from dans_app.server.jobs import pool\n"
        "from dans_core.config import Config\n"
        "print(pool().start(Config(**json.loads(sys.argv[1])), sys.argv[2]).id, flush=True)\n"
        "time.sleep(600)\n"
    )
    server = subprocess.Popen(
        [sys.executable, "-c", code, json.dumps(config.model_dump(exclude_unset=True)), DATASET],
        cwd=ROOT,
        env={**os.environ, "DANS_RUNS_DIR": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert server.stdout is not None
    run = Run(folder / server.stdout.readline().strip())
    time.sleep(seconds)
    server.send_signal(signal.SIGKILL)
    server.wait()
    server.stdout.close()
    while run.status.live or (run.status.state == "queued"):
        time.sleep(0.05)
    return run
