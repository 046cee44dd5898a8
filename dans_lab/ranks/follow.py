"""The job of a run, as its first process gives it to the others, and what those do: train along and write nothing."""

from __future__ import annotations

import io
import sys
from functools import partial
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict

from dans_core.config import Config
from dans_core.kg import KnowledgeGraph
from dans_core.training import Diverged
from dans_data.errors import InputError
from dans_lab.ranks import ProcessLost
from dans_lab.ranks.group import Ranks, Word
from dans_lab.ranks.shards import ShardTrainer
from dans_lab.ranks.trainer import RankTrainer
from dans_lab.runs import locks, process
from dans_lab.runs.run import Run, source_that_lasts


class _Job(BaseModel):
    """What is to be trained; `device` is the kind that all are to have."""

    model_config = ConfigDict(strict=True, extra="forbid")

    run_dir: str
    config: Config
    source: str
    split_seed: int
    hash: str
    device: str
    shards: bool


def lead(
    others: Ranks,
    run: Path,
    kg: KnowledgeGraph,
    config: Config,
    device: torch.device,
    source: str,
    split_seed: int,
    shards: bool,
) -> RankTrainer:
    """The trainer of the first process, once all others have theirs; with `shards`, of the entity table in shards.

    Raises InputError where one of them cannot train this run.
    """
    job = _Job(
        run_dir=str(run),
        config=config,
        source=source_that_lasts(source),
        split_seed=split_seed,
        hash=kg.hash,
        device=device.type,
        shards=shards,
    )
    with others.all_do(Word.JOB, job.model_dump_json().encode()):
        trainer = others.made(lambda: _made(others, job, kg, device))
        trainer.meet()
    return trainer


def follow(others: Ranks, device: str, precision: str, threads: int | None) -> int:
    """Train along until the first process says that it is over; the exit code of one that is not the first."""
    others.stop.install()
    run: Run | None = None
    try:
        trainer: RankTrainer | None = None
        while True:
            word, content = others.hear()
            if word is Word.OVER:
                return 0
            if word is Word.JOB:
                job = _Job.model_validate_json(content)
                run = Run(job.run_dir)
                trainer = others.made(partial(_trainer, others, job, device, precision, threads))
                trainer.meet()
                continue
            assert trainer is not None, "the job is said first"
            if word is Word.STATE:
                trainer.load_state_dict(torch.load(io.BytesIO(content), weights_only=True))
            elif word is Word.ALSO:
                trainer.also(content.decode())
            else:
                trainer.step()
    except ProcessLost:
        # The first process tells of what ends a run, where it can.
        if others.rank == 1 and run is not None and _is_orphaned(run):
            print(
                f"error: the process that writes run {run.id} ended, so training stopped; "
                f"to go on: train --resume {run.id}",
                file=sys.stderr,
            )
        return 1
    except (Diverged, InputError, OSError):
        return 1


def _trainer(others: Ranks, job: _Job, device: str, precision: str, threads: int | None) -> RankTrainer:
    process.prepare(threads, precision)
    place = others.place(device)
    if place.type != job.device:
        raise InputError(
            f"it would train on {place.type}, and the first one on {job.device}; say --device cpu"
        )
    kg = KnowledgeGraph.load(job.source, job.split_seed)
    if kg.hash != job.hash:
        raise InputError(f"{job.source} holds other triplets here than where the first process found it")
    return _made(others, job, kg, place)


def _made(others: Ranks, job: _Job, kg: KnowledgeGraph, device: torch.device) -> RankTrainer:
    if job.shards:
        return ShardTrainer(kg, job.config, device, others, Path(job.run_dir))
    return RankTrainer(kg, job.config, device, others)


def _is_orphaned(run: Run) -> bool:
    """Whether nobody writes a run any more that was not brought to an end."""
    try:
        return not locks.is_held(run.path / "run.lock") and run.stored_status.state in (
            "queued",
            "running",
            "paused",
        )
    except InputError:
        return False
