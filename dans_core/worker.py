"""A training process: imports made and waiting, it takes one job from standard input and trains that run.

    python -m dans_core.worker [DATASET]        one line: {"run_dir": "runs/NAME", "resume": false}

While it waits it trains a little in memory, so that the job need not pay for what torch does once a process, and
reads the data set that the job will probably name. The end of input before a job means exit, so a worker never
outlives an app that did not use it. With a job it writes to log.txt of the run and reads no more. `drive`, the loop
between a Trainer and its run directory, also serves the command line.
"""

from __future__ import annotations

import io
import os
import signal
import sys
import time
import traceback
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, ValidationError

from dans_core import process
from dans_core.config import Config
from dans_core.errors import InputError
from dans_core.events import Losses, Ranking, Snapshot
from dans_core.kg import KnowledgeGraph
from dans_core.runs import Run, State, source_that_lasts
from dans_core.training import Diverged, Stage, Trainer
from dans_core.writer import RunWriter

CHECKPOINT_EVERY = 10.0
"""Seconds of training between two checkpoints: the most that a killed run has to do again."""

BEST_EVERY = 3.0
"""Seconds between two writings of best.pt, as early on nearly every ranking is the best so far."""

STATUS_EVERY = 0.25
"""Seconds between two writings of status.json."""

POLL_EVERY = 0.1
"""Seconds between two looks at control.json while paused."""

PAUSE_LIMIT = 15 * 60.0
"""Seconds of pause after which the process ends; the run stays paused and can be resumed from its checkpoint."""

GAN_COST = 4.0
"""Cost of an epoch with the GAN in warm-up epochs (*measured* on UMLS: 36 to 45 and 9.4 ms), until one was seen."""


class Job(BaseModel):
    """The line that a worker reads: the run directory, and whether the run was begun before."""

    model_config = ConfigDict(strict=True, extra="forbid")

    run_dir: str
    resume: bool = False


class StopFlag:
    """Whether SIGINT or SIGTERM asked this process to end after the current stage."""

    def __init__(self) -> None:
        self.asked = False
        self.told: Callable[[], None] | None = None

    def install(self) -> None:
        """Take over both signals; the second one ends the process at once, leaving the last checkpoint."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._handle)

    def _handle(self, number: int, frame: object) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        if self.told is not None:
            self.told()


class _TimeLeft:
    """Estimates the rest of a run from its recent epochs, knowing that the GAN makes an epoch dearer."""

    def __init__(self, config: Config) -> None:
        self._config = config
        # Whole periods of ranking and diagnosing, or the estimate would swing with them.
        period = max(config.eval_every, config.diagnose_every)
        self._recent: deque[float] = deque(maxlen=min(200, period * -(-10 // period)))
        self._warm_up: bool | None = None

    def epoch_done(self, seconds: float, warm_up: bool) -> None:
        if warm_up != self._warm_up:
            self._recent.clear()
            self._warm_up = warm_up
        self._recent.append(seconds)

    def after(self, epoch: int) -> float | None:
        """Seconds that the epochs after this one will take; None before an epoch was timed."""
        if not self._recent:
            return None
        epochs = float(self._config.epochs - epoch)
        if self._warm_up:
            plain = max(0, self._config.warmup_epochs - epoch)
            epochs = plain + GAN_COST * (epochs - plain)
        return epochs * sum(self._recent) / len(self._recent)


def drive(
    writer: RunWriter,
    trainer: Trainer,
    stop: Callable[[], bool],
    on_stage: Callable[[Stage], None] = lambda stage: None,
    on_state: Callable[[State], None] = lambda state: None,
) -> State:
    """Train the run of `writer` to its end, or until it is stopped or was paused for long; returns its state.

    Between stages it looks at control.json and at `stop()`. `on_stage` is called after each stage is recorded,
    `on_state` when the run pauses and goes on. A failure is recorded with its reason and does not raise; its
    traceback is in log.txt.
    """
    session = _Drive(writer, trainer, stop, on_stage, on_state)
    try:
        return session.run()
    except Diverged as error:
        if session.best_is_due:
            session.save_best()
        session.show("failed", str(error))
    except Exception as error:
        writer.log(traceback.format_exc())
        words = " ".join(str(error).split())
        session.show("failed", f"{type(error).__name__}: {words}" if words else type(error).__name__)
    return "failed"


class _Drive:
    """One session of training a run."""

    def __init__(
        self,
        writer: RunWriter,
        trainer: Trainer,
        stop: Callable[[], bool],
        on_stage: Callable[[Stage], None],
        on_state: Callable[[State], None],
    ) -> None:
        self.writer, self.trainer, self.stop = writer, trainer, stop
        self.on_stage, self.on_state = on_stage, on_state
        self.time_left = _TimeLeft(writer.config)
        self.best_is_due = False
        self.last_stage: dict[str, Any] = {}

    def run(self) -> State:
        writer, trainer = self.writer, self.trainer
        if writer.state is not None:
            trainer.load_state_dict(writer.state)
            writer.state = None
        # A killed writer may have left a best.pt from beyond the checkpoint.
        writer.best(trainer.best_state)
        self.saved_at = trainer.seconds
        self.best_at = time.monotonic()
        self.epoch_began = trainer.seconds
        self.show("running")
        paused_at: float | None = None
        while not trainer.finished:
            control = writer.control()
            if control.stop or self.stop():
                return self.end("stopped")
            if control.run_until is not None and trainer.stage_number >= control.run_until:
                if paused_at is None:
                    paused_at = time.monotonic()
                    self.save()
                    self.show("paused")
                    self.on_state("paused")
                elif time.monotonic() - paused_at > PAUSE_LIMIT:
                    return "paused"
                time.sleep(POLL_EVERY)
                continue
            if paused_at is not None:
                paused_at = None
                # A single step is over in a moment, and its status is written with the next pause.
                if control.run_until != trainer.stage_number + 1:
                    self.show("running")
                    self.on_state("running")
            self.advance()
        return self.end("finished")

    def advance(self) -> None:
        """One stage, recorded."""
        writer, trainer = self.writer, self.trainer
        stage = trainer.step()
        for event in stage.events:
            if isinstance(event, Snapshot):
                writer.snapshot(event.file, trainer.snapshot_arrays())
            elif isinstance(event, Ranking):
                self.best_is_due |= event.best
            elif isinstance(event, Losses):
                self.time_left.epoch_done(trainer.seconds - self.epoch_began, event.warm_up)
                self.epoch_began = trainer.seconds
        writer.append(*stage.events)
        self.last_stage = {"stage": stage.name, "values": dict(stage.values)}
        if self.best_is_due and time.monotonic() - self.best_at >= BEST_EVERY:
            self.save_best()
        if trainer.seconds - self.saved_at >= CHECKPOINT_EVERY:
            self.save()
        if time.monotonic() - self.shown_at >= STATUS_EVERY:
            self.show("running")
        self.on_stage(stage)

    def show(self, state: State, reason: str = "") -> None:
        """Write the status."""
        trainer = self.trainer
        ranked = trainer.best_epoch > 0
        over = trainer.finished or state == "failed"
        self.shown_at = time.monotonic()
        self.writer.write_status(
            state,
            reason,
            epoch=trainer.epoch,
            stage_number=trainer.stage_number,
            seconds=trainer.seconds,
            eta_seconds=None if over else self.time_left.after(trainer.epoch),
            best_epoch=trainer.best_epoch if ranked else None,
            best_mrr=trainer.best_mrr if ranked else None,
            **self.last_stage,
        )

    def save(self) -> None:
        """Write last.pt, and best.pt before it where it is behind."""
        if self.best_is_due:
            self.save_best()
        self.writer.checkpoint(self.trainer.state_dict())
        self.saved_at = self.trainer.seconds

    def save_best(self) -> None:
        self.writer.best(self.trainer.best_state)
        self.best_is_due = False
        self.best_at = time.monotonic()

    def end(self, state: State) -> State:
        self.save()
        self.show(state)
        return state


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
                trainer.snapshot_arrays()
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


def _work(job: Job, ahead: tuple[str, KnowledgeGraph] | None) -> int:
    """Do a job; the exit code. `ahead` is a graph read while waiting, used where it is the one of the run."""
    run = Run(job.run_dir)
    if not job.resume and run.stored_status.state != "queued":
        raise InputError(f"run {run.id} was begun before; it can be resumed")
    # Looked at first, so that a folder which is no run gets no log.txt.
    run.config, run.meta  # noqa: B018
    _log_to(run.path / "log.txt")
    stop = StopFlag()
    stop.install()
    with RunWriter.reopen(run.path) as writer:
        try:
            meta = run.meta
            known = ahead is not None and (ahead[0], ahead[1].hash) == (meta.source, meta.hash)
            trainer = Trainer(ahead[1] if ahead and known else run.load_kg(), run.config)
        except InputError as error:
            writer.write_status("failed", str(error))
            return 1
        return int(drive(writer, trainer, lambda: stop.asked) == "failed")


def _log_to(path: Path) -> None:
    """From now on standard output and error of this process, C code included, go to the end of this file."""
    sys.stdout.flush()
    sys.stderr.flush()
    with path.open("ab") as file:
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
        line = sys.stdin.readline()
        if not line.strip():
            return 0
        try:
            job = Job.model_validate_json(line)
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
