"""One run of a study from beginning to end, and what one will cost: the work that processes and Ray nodes do alike."""

from __future__ import annotations

import shutil
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from dans_core.config import Config
from dans_core.diagnostics import measure
from dans_core.kg import KnowledgeGraph
from dans_core.ranking import RankingResult, evaluate
from dans_core.training import Trainer
from dans_data.errors import InputError
from dans_data.metrics import TERMS
from dans_lab.runs.drive import drive
from dans_lab.runs.run import Run, usual_weights
from dans_lab.runs.snapshot import snapshot_of
from dans_lab.runs.weights import load_weights
from dans_lab.runs.writer import RunWriter
from dans_lab.study.convergence import convergence, curves
from dans_lab.study.folder import RunRecord
from dans_lab.study.plan import PlannedRun

_TIMED = 7
"""Epochs of each phase that are timed before a study begins, at most; the first iteration does not count."""

_PATIENCE = 6.0
"""Seconds of timing a phase, where epochs are long: then a few of their batches tell how long the others are."""

_LONG = 100_000
_TRAINING_ALONE = dict.fromkeys(("epochs", "eval_every", "diagnose_every", "snapshot_every"), _LONG)

_FILES = 0.3
"""Seconds that a run spends on its files and its test ranking (*measured* on UMLS: 0.2 to 0.4)."""


class Stopped(Exception):
    """The run was asked to stop; it can go on from its checkpoint."""


def execute(
    planned: PlannedRun, study: str, kg: KnowledgeGraph, source: str, root: Path, stop: Callable[[], bool]
) -> RunRecord:
    """Train a planned run in `root` to its end, from wherever an earlier attempt left it, and rank the test split.

    The record of a run that diverged says so; it is a result, not an error. Of the weights only the best are kept.

    Raises:
        Stopped: when `stop()` said so.
        InputError: where the run cannot be trained or its files cannot be used.
    """
    run = Run(root / planned.run)
    if _begun(run, planned, kg):
        # A run that diverged would do so again.
        if run.stored_status.state not in ("finished", "failed") or not _over(run):
            with RunWriter.reopen(run.path) as writer:
                _train(writer, kg, stop)
    else:
        with RunWriter.create(root, planned.run, planned.config, kg.name, kg.hash, source, study) as writer:
            _train(writer, kg, stop)
    record = _record(run, kg)
    # Three quarters of a run's size, for going on; a study has many runs, and this one is over.
    if (run.path / "best.pt").exists():
        (run.path / "last.pt").unlink(missing_ok=True)
    return record


def time_run(config: Config, kg: KnowledgeGraph, stop: Callable[[], bool] = lambda: False) -> float:
    """Seconds that a run with these settings will take in this process, from a few steps of each of its phases.

    Raises Stopped when `stop()` said so.
    """
    warm_up = config.warmup_epochs if config.waits else 0
    training = building = 0.0
    # The phase that ends the run comes last, as its networks are those to be ranked.
    for waiting, epochs in ((True, warm_up), (False, config.epochs - warm_up)):
        if not epochs:
            continue
        begun = time.perf_counter()
        trainer = Trainer(
            kg, config.with_values(warmup_epochs=_LONG - 1 if waiting else 0, **_TRAINING_ALONE)
        )
        building = time.perf_counter() - begun
        training += epochs * _epoch_seconds(trainer, stop)
    ranking = _seconds_of(lambda: evaluate(trainer.model, kg, "valid"))
    checking = _seconds_of(lambda: measure(trainer.networks, kg, config, 1))
    keeping = _seconds_of(lambda: snapshot_of(trainer))
    if stop():
        raise Stopped
    # Once it has ended, both splits are ranked with the best weights.
    rankings = config.epochs / config.eval_every + 1 + len(kg.test) / max(1, len(kg.valid))
    checks, snapshots = config.epochs / config.diagnose_every, 1 + config.epochs / config.snapshot_every
    return building + training + rankings * ranking + checks * checking + snapshots * keeping + _FILES


def _epoch_seconds(trainer: Trainer, stop: Callable[[], bool]) -> float:
    """Seconds of an epoch of the trainer, from as many of its iterations as there is time for, the first left out."""
    chunks = -(-len(trainer.kg.train) // trainer.config.batch_size)
    iterations: list[float] = []
    begun = time.perf_counter()
    while len(iterations) < _TIMED * chunks and (
        len(iterations) < 2 or time.perf_counter() - begun < _PATIENCE
    ):
        started = time.perf_counter()
        while trainer.step().name != "base":
            if stop():
                raise Stopped
        iterations.append(time.perf_counter() - started)
    return chunks * statistics.median(iterations[1:])


def _seconds_of(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def _begun(run: Run, planned: PlannedRun, kg: KnowledgeGraph) -> bool:
    """Whether an earlier attempt made the run; one that was killed before its config.json was there is removed."""
    if not run.path.exists():
        return False
    if not (run.path / "config.json").exists():
        shutil.rmtree(run.path)
        return False
    if run.config.model_dump() != planned.config.model_dump() or run.meta.hash != kg.hash:
        raise InputError(
            f"run {run.id} has other settings or data than this study asks for; move {run.path} away"
        )
    return True


def _over(run: Run) -> bool:
    status = run.stored_status
    return status.state == "finished" or status.diverged


def _train(writer: RunWriter, kg: KnowledgeGraph, stop: Callable[[], bool]) -> None:
    """Train the writer's run; what ends it before its end is raised."""
    if drive(writer, Trainer(kg, writer.config), stop) == "finished" or _over(writer.run):
        return
    if writer.status.reason:
        raise InputError(f"run {writer.run.id} {writer.status.state}: {writer.status.reason}")
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
    model = load_weights(run.load_checkpoint(usual_weights(kg)), kg, run.config).model
    valid, test = (evaluate(model, kg, split) for split in ("valid", "test"))
    doubled = [(int(tail), int(head)) for tail, head in (2 * test.ranks).tolist()]
    return found.model_copy(update={"valid": _metrics(valid), "test": _metrics(test), "ranks": doubled})


def _metrics(result: RankingResult) -> dict[str, float]:
    """The metrics of a ranking by name; none of an empty split."""
    return {name: getattr(result, name) for name in TERMS} if result.count else {}
