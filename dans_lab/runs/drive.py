"""The loop between a Trainer and its run directory, for the worker and the command line alike."""

from __future__ import annotations

import copy
import dataclasses
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import torch

from dans_core.config import Config
from dans_core.events import Losses, Ranking, Snapshot
from dans_core.ranking import evaluate
from dans_core.training import Diverged, Stage, Trainer
from dans_data.errors import InputError
from dans_lab.ranks import ProcessLost
from dans_lab.runs import earlier, process, refusals
from dans_lab.runs.records import State
from dans_lab.runs.snapshot import snapshot_of
from dans_lab.runs.writer import RunWriter
from dans_lab.watched import Onlooker

CHECKPOINT_EVERY = 10.0
"""Seconds of training between two checkpoints: the most that a killed run has to do again."""

BEST_EVERY = 3.0
"""Seconds between two writings of best.pt, as early on nearly every ranking is the best so far."""

STATUS_EVERY = 0.25
"""Seconds between two writings of status.json."""

BEAT_EVERY = 5.0
"""Seconds between two beats, by which viewers know that the process is not stopped, however long a stage takes."""

POLL_EVERY = 0.1
"""Seconds between two looks at control.json while paused."""

PAUSE_LIMIT = 15 * 60.0
"""Seconds of pause after which the process ends; the run stays paused and can be resumed from its checkpoint."""

GAN_COST = 4.0
"""Cost of an epoch with a round of the game in warm-up epochs (*measured* on UMLS: 36 to 45 and 9.4 ms), until seen."""


IN_SHARDS = (
    "the entity table of this run is in shards; it goes on by "
    "torchrun --nproc-per-node 2 -m dans_core train --resume RUN --shard-entities"
)


class _TimeLeft:
    """Estimates the rest of a run from its recent epochs, knowing that the GAN makes an epoch dearer."""

    def __init__(self, config: Config) -> None:
        self._config = config
        # Whole periods of ranking, diagnosing and playing, or the estimate would swing with them.
        self._play_every = config.play_every if config.fakes else 1
        period = max(config.eval_every, config.diagnose_every, self._play_every)
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
            epochs = plain + (1 + (GAN_COST - 1) / self._play_every) * (epochs - plain)
        return epochs * sum(self._recent) / len(self._recent)


def drive(
    writer: RunWriter,
    trainer: Trainer,
    stop: Callable[[], bool],
    on_stage: Callable[[Stage], None] = lambda stage: None,
    on_state: Callable[[State], None] = lambda state: None,
    processes: str = "1",
    rank_test: Callable[[], float] | None = None,
) -> State:
    """Train the run of `writer` to its end, or until it is stopped or was paused for long; returns its state.

    Between stages it looks at control.json and at `stop()`. `on_stage` is called after each stage is recorded,
    `on_state` when the run pauses and goes on. `processes` says how many train it together. `rank_test` is the MRR of
    the test split for a trainer that has the entity table in shards. A failure is recorded with its reason and does not
    raise; its traceback is in log.txt.
    """
    session = _Drive(writer, trainer, stop, on_stage, on_state, rank_test)
    try:
        with _beating(writer):
            return session.run(processes)
    except Diverged as error:
        if session.best_is_due:
            session.save_best()
        session.show("failed", str(error), diverged=True)
    except ProcessLost as error:
        session.show("stopped", str(error))
        writer.log(traceback.format_exc())
        return "stopped"
    except InputError as error:
        session.show("failed", str(error))
    except OSError as error:
        return session.give_up(error)
    except torch.OutOfMemoryError:
        session.show(
            "failed",
            f"{trainer.device_name} has too little free memory for this run; a smaller batch_size or the CPU may help",
        )
        writer.log(traceback.format_exc())
    except Exception as error:
        words = " ".join(str(error).split())
        session.show("failed", f"{type(error).__name__}: {words}" if words else type(error).__name__)
        writer.log(traceback.format_exc())
    return "failed"


@contextmanager
def _beating(writer: RunWriter) -> Iterator[None]:
    """Beats in a thread of its own, which stands still only where the whole process does."""
    over = threading.Event()

    def beat() -> None:
        while not over.wait(BEAT_EVERY):
            writer.beat()

    writer.beat()
    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


class _Drive:
    """One session of training a run."""

    def __init__(
        self,
        writer: RunWriter,
        trainer: Trainer,
        stop: Callable[[], bool],
        on_stage: Callable[[Stage], None],
        on_state: Callable[[State], None],
        rank_test: Callable[[], float] | None,
    ) -> None:
        self.writer, self.trainer, self.stop = writer, trainer, stop
        self.on_stage, self.on_state = on_stage, on_state
        self._rank_shards = rank_test
        self.onlooker = Onlooker(trainer)
        self.time_left = _TimeLeft(writer.config)
        self.best_is_due = False
        self.last_stage: dict[str, Any] = {}
        self.test_mrr: float | None = None

    def run(self, processes: str) -> State:
        writer, trainer = self.writer, self.trainer
        how = trainer.device_name, process.precision(), torch.get_num_threads()
        writer.trains_on(*how, goes_on=writer.state is not None, processes=processes)
        if writer.state is not None:
            if "shards" in writer.state and self._rank_shards is None:
                raise InputError(IN_SHARDS)
            try:
                earlier.refuse(writer.state, writer.config)
                trainer.load_state_dict(writer.state)
                self.onlooker.load_state_dict(writer.state["watch"])
            except InputError:
                raise
            except (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError) as error:
                raise InputError(
                    f"last.pt of run {writer.run.id} does not fit its settings and its graph "
                    f"({type(error).__name__}: {error}); it cannot be resumed"
                ) from None
            writer.state = None
        # A killed writer may have left a best.pt from beyond the checkpoint.
        writer.best(trainer.best_weights())
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
        stage = dataclasses.replace(stage, events=tuple(self.onlooker.told(stage.events)))
        for event in stage.events:
            if isinstance(event, Snapshot):
                writer.snapshot(event.file, snapshot_of(trainer))
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

    def show(self, state: State, reason: str = "", diverged: bool = False) -> None:
        """Write the status."""
        trainer = self.trainer
        ranked = trainer.best_epoch > 0
        over = trainer.finished or state == "failed"
        self.shown_at = time.monotonic()
        self.writer.write_status(
            state,
            reason,
            diverged=diverged,
            epoch=trainer.epoch,
            stage_number=trainer.stage_number,
            seconds=trainer.seconds,
            eta_seconds=None if over else self.time_left.after(trainer.epoch),
            best_epoch=trainer.best_epoch if ranked else None,
            best_mrr=trainer.best_mrr if ranked else None,
            test_mrr=self.test_mrr,
            **self.last_stage,
        )

    def give_up(self, error: OSError) -> State:
        """Stop where the disk refuses: the run goes on from its last checkpoint once the disk allows it.

        Where not even the status can be written, the run counts as interrupted, and the reason is the writer's alone.
        """
        reason = refusals.in_words(self.writer.path, error)
        with suppress(OSError):
            self.show("stopped", reason)
        self.writer.log(traceback.format_exc())
        return "stopped"

    def save(self) -> None:
        """Write last.pt, and best.pt before it where it is behind."""
        if self.best_is_due:
            self.save_best()
        self.writer.checkpoint({**self.trainer.state_dict(), "watch": self.onlooker.state_dict()})
        self.saved_at = self.trainer.seconds

    def save_best(self) -> None:
        self.writer.best(self.trainer.best_weights())
        self.best_is_due = False
        self.best_at = time.monotonic()

    def end(self, state: State) -> State:
        self.save()
        if state == "finished" and len(self.trainer.kg.test):
            self.test_mrr = self.rank_test()
        self.show(state)
        return state

    def rank_test(self) -> float | None:
        """MRR of the test split by the weights that `evaluate` takes, too; None where that fails."""
        try:
            if self._rank_shards:
                return self._rank_shards()
            best = self.trainer.best_weights()
            model = copy.deepcopy(self.trainer.networks.model)
            if best is not None:
                model.load_state_dict(best["networks"]["model"])
            return evaluate(model, self.trainer.kg, "test").mrr
        # A run that has finished is not lost by what comes after it, such as too little memory.
        except Exception:
            self.writer.log(traceback.format_exc())
            return None
