"""A training process: imports made and waiting, it takes one job from standard input and trains that run.

    python -m dans_lab.worker [DATASET]        one line: {"run_dir": "runs/NAME", "resume": false}

While it waits it trains a little in memory, so that the job need not pay for what torch does once a process, reads
the data set that the job will probably name, and then times a few steps, by which estimates know this machine, again
and again as these times grow old. The end of input before a job means exit, so a worker never outlives an app that did
not use it. With a job it writes to log.txt of the run and reads no more.
"""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
import time
import traceback
from concurrent.futures import Future, wait
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict, ValidationError

from dans_core.config import Config
from dans_core.events import Snapshot
from dans_core.kg import KnowledgeGraph
from dans_core.training import Trainer
from dans_data.errors import InputError
from dans_lab import log
from dans_lab.budget import practice, speed
from dans_lab.runs import process
from dans_lab.runs.drive import drive
from dans_lab.runs.records import appending, refuse_link
from dans_lab.runs.run import Run, source_that_lasts
from dans_lab.runs.snapshot import snapshot_of
from dans_lab.runs.writer import RunWriter

COURTESY = 10
"""Steps of niceness of a process that gives way: the screens of others come first, and it has what they leave."""


class RunToTrain(BaseModel):
    """The line that a worker reads: the run directory, whether the run was begun before, whether screens go first."""

    model_config = ConfigDict(strict=True, extra="forbid")

    run_dir: str
    resume: bool = False
    gives_way: bool = False


def _practise() -> None:
    """Train three triplets for two epochs in memory: the first use of each operation of torch takes longest.

    The numbers of later runs stay the same, since a Trainer draws from random sources of its own.
    """
    kg = KnowledgeGraph(
        [[0, 0, 1], [1, 0, 2], [2, 0, 0]], [[1, 0, 0]], [], ["a", "b", "c"], ["r"], "practice"
    )
    trainer = Trainer(kg, Config(epochs=2, warmup_epochs=1, eval_every=1, diagnose_every=1))
    while not trainer.finished:
        for event in trainer.step().events:
            if isinstance(event, Snapshot):
                snapshot_of(trainer)
    torch.save(trainer.state_dict(), io.BytesIO())


def _read_ahead(dataset: str | None) -> tuple[str, KnowledgeGraph] | None:
    """What it was loaded from and the graph; None without a guess, and where it cannot be read: the job will tell."""
    if dataset is None:
        return None
    try:
        kg = KnowledgeGraph.load(dataset)
        # Made when first asked for, and kept.
        kg.hash, kg.known_answers, kg.train  # noqa: B018
    except InputError:
        return None
    return source_that_lasts(dataset), kg


def _next_line() -> str:
    """The next line of standard input; as long as it does not come, the worker times what it practises."""
    line: Future[str] = Future()
    threading.Thread(target=_read_line, args=(line,), daemon=True).start()
    try:
        while not line.done():
            practice.renew(line.done)
            process.give_memory_back()
            wait([line], speed.SOON)
    except Exception:
        # Without it estimates are worse, but runs can be trained; what is printed here is kept for who looks for it.
        traceback.print_exc()
        process.give_memory_back()
    return line.result()


def _read_line(into: Future[str]) -> None:
    try:
        into.set_result(sys.stdin.readline())
    except Exception as error:
        into.set_exception(error)


def _work(job: RunToTrain, ahead: tuple[str, KnowledgeGraph] | None) -> int:
    """Do a job; the exit code. `ahead` is a graph read while waiting, used where it is the one of the run."""
    run = Run(job.run_dir)
    if not job.resume and run.stored_status.state != "queued":
        raise InputError(f"run {run.id} was begun before; it can be resumed")
    # Looked at first, so that a folder which is no run gets no log.txt.
    run.config, run.meta  # noqa: B018
    refuse_link(run.path / "log.txt")
    _log_to(run.path / "log.txt")
    if job.gives_way:
        process.give_way(COURTESY)
    stop = process.StopFlag()
    stop.install()
    with RunWriter.reopen(run.path, given=True) as writer:
        try:
            meta = run.meta
            known = ahead and (ahead[0], ahead[1].hash) == (meta.source, meta.hash)
            trainer = Trainer(ahead[1] if ahead and known else run.load_kg(), run.config)
        except InputError as error:
            writer.write_status("failed", str(error))
            return 1
        began = time.monotonic()
        log.tell("run began", run=run.id, data=meta.dataset, sampler=run.config.sampler, again=job.resume)
        state = drive(writer, trainer, lambda: stop.asked)
        seconds = time.monotonic() - began
        log.tell("run ended", run=run.id, state=state, epoch=trainer.epoch, seconds=seconds)
        return int(state == "failed")


def _log_to(path: Path) -> None:
    """From now on standard output and error of this process, C code included, go to the end of this file."""
    sys.stdout.flush()
    sys.stderr.flush()
    with appending(path) as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)


def main(dataset: str | None = None) -> int:
    """Wait for a job and do it; `dataset` is the one it will probably name.

    Exit code: 0 done, paused or stopped, 1 failed, 2 a job that cannot be done.
    """
    # While idle Ctrl-C is the end, without words.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        process.prepare()
        _practise()
        ahead = _read_ahead(dataset)
        line = _next_line()
        if not line.strip():
            return 0
        try:
            job = RunToTrain.model_validate_json(line)
        except ValidationError as error:
            raise InputError(f"not a job: {error.errors(include_url=False)[0]['msg']}") from None
        return _work(job, ahead)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
