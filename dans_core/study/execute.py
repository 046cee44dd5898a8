"""One run of a study from beginning to end, and what one will cost: the work that processes and Ray nodes do alike."""

from __future__ import annotations

import shutil
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from dans_core.config import Config
from dans_core.diagnostics import measure
from dans_core.drive import drive
from dans_core.errors import InputError
from dans_core.events import Losses
from dans_core.kg import KnowledgeGraph
from dans_core.networks import load_weights
from dans_core.ranking import RankingResult, evaluate
from dans_core.runs import Run, Which
from dans_core.statistics import METRICS
from dans_core.study.convergence import convergence, curves
from dans_core.study.folder import RunRecord
from dans_core.study.plan import Job
from dans_core.training import Diverged, Trainer
from dans_core.writer import RunWriter

_TIMED = 7
"""Epochs of each phase that are timed before a study begins; the first of them does not count."""

_FILES = 0.3
"""Seconds that a run spends on its files and its test ranking (*measured* on UMLS: 0.2 to 0.4)."""


class Stopped(Exception):
    """The run was asked to stop; it can go on from its checkpoint."""


def execute(
    job: Job, study: str, kg: KnowledgeGraph, source: str, root: Path, stop: Callable[[], bool]
) -> RunRecord:
    """Train the run of a job in `root` to its end, from wherever an earlier attempt left it, and rank the test split.

    The record of a run that diverged says so; it is a result, not an error. Of the weights only the best are kept.

    Raises
    ------
    Stopped
        when `stop()` said so.
    InputError
        where the run cannot be trained or its files cannot be used.
    """
    run = Run(root / job.run)
    if _begun(run, job, kg):
        # A run that diverged would do so again.
        if run.stored_status.state not in ("finished", "failed") or not _over(run):
            with RunWriter.reopen(run.path) as writer:
                _train(writer, kg, stop)
    else:
        with RunWriter.create(root, job.run, job.config, kg.name, kg.hash, source, study) as writer:
            _train(writer, kg, stop)
    record = _record(run, kg)
    # Three quarters of a run's size, for going on; a study has many runs, and this one is over.
    if (run.path / "best.pt").exists():
        (run.path / "last.pt").unlink(missing_ok=True)
    return record


def time_run(config: Config, kg: KnowledgeGraph, stop: Callable[[], bool] = lambda: False) -> float:
    """Seconds that a run with these settings will take in this process, from a few epochs of each of its phases.

    Raises Stopped when `stop()` said so.
    """
    waits = config.waits and config.warmup_epochs > 0
    begun = time.perf_counter()
    trainer = Trainer(
        kg,
        config.with_values(
            epochs=_TIMED * (1 + waits),
            warmup_epochs=_TIMED * waits,
            eval_every=100_000,
            diagnose_every=100_000,
            snapshot_every=100_000,
        ),
    )
    total = time.perf_counter() - begun + _FILES
    phases: dict[bool, list[float]] = {True: [], False: []}
    for event in trainer:
        if stop():
            raise Stopped
        if isinstance(event, Losses):
            phases[event.warm_up].append(event.seconds)
    warm_up = config.warmup_epochs if waits else 0
    for epochs, seconds in ((warm_up, phases[True]), (config.epochs - warm_up, phases[False])):
        if epochs:
            total += epochs * statistics.median(seconds[1:])
    begun = time.perf_counter()
    evaluate(trainer.model, kg, "valid")
    ranked = time.perf_counter()
    measure(trainer.networks, kg, config, 1)
    measured = time.perf_counter()
    total += config.epochs / config.eval_every * (ranked - begun)
    return total + config.epochs / config.diagnose_every * (measured - ranked)


def _begun(run: Run, job: Job, kg: KnowledgeGraph) -> bool:
    """Whether an earlier attempt made the run; one that was killed before its config.json was there is removed."""
    if not run.path.exists():
        return False
    if not (run.path / "config.json").exists():
        shutil.rmtree(run.path)
        return False
    if run.config.model_dump() != job.config.model_dump() or run.meta.hash != kg.hash:
        raise InputError(
            f"run {run.id} has other settings or data than this study asks for; move {run.path} away"
        )
    return True


def _over(run: Run) -> bool:
    status = run.stored_status
    return status.state == "finished" or status.reason.startswith(Diverged.BEGINNING)


def _train(writer: RunWriter, kg: KnowledgeGraph, stop: Callable[[], bool]) -> None:
    """Train the writer's run; what ends it before its end is raised."""
    if drive(writer, Trainer(kg, writer.config), stop) == "finished" or _over(writer.run):
        return
    if writer.status.state == "failed":
        raise InputError(f"run {writer.run.id} failed: {writer.status.reason}")
    raise Stopped


def _record(run: Run, kg: KnowledgeGraph) -> RunRecord:
    status, events = run.stored_status, run.events()
    found = RunRecord(
        run=run.id,
        seed=run.config.seed,
        state="finished" if status.state == "finished" else "failed",
        reason=status.reason,
        seconds=status.seconds,
        best_epoch=status.best_epoch,
        curves=curves(events),
        figures=convergence(events),
    )
    if found.state == "failed":
        return found
    which: Which = "best" if len(kg.valid) else "last"
    model = load_weights(run.load_checkpoint(which), kg, run.config).model
    valid, test = (evaluate(model, kg, split) for split in ("valid", "test"))
    doubled = [(int(tail), int(head)) for tail, head in (2 * test.ranks).tolist()]
    return found.model_copy(update={"valid": _metrics(valid), "test": _metrics(test), "ranks": doubled})


def _metrics(result: RankingResult) -> dict[str, float]:
    """The metrics of a ranking by name; none of an empty split."""
    return {name: getattr(result, name) for name in METRICS} if result.count else {}
