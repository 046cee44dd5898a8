"""Studies of chosen numbers, in the format of study folders, for tests that need many runs and no training."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Collection
from pathlib import Path

import numpy as np
import pytest

from dans_core.ranking import Metrics
from dans_lab.runs.records import replace, to_json
from dans_lab.study.convergence import FIGURES
from dans_lab.study.folder import RunRecord, Study, StudyRecord
from dans_lab.study.plan import Cell, Plan, parse_plan

FLOOR = {"mrr": 0.161, "hits_at_1": 0.056, "hits_at_3": 0.17, "hits_at_10": 0.31, "ndcg_at_5": 0.188}

SMALL = """
title = "Small study"
question = "Which negatives are best?"
dataset = "nations"
seeds = 3
[settings]
epochs = 40
[grid]
sampler = ["dans", "uniform", "popularity"]
decoder = ["distmult", "complex"]
[table]
rows = "sampler"
reference = "dans"
"""

EQUAL_TIME = """
title = "Equal time"
question = "Which negatives are best in a minute?"
budget = "Each run may train for about a minute on one core; epochs were set so that all take the same time"
dataset = "nations"
seeds = 3
[settings]
decoder = "complex"
[table]
rows = "variant"
reference = "DANS"
[[variant]]
name = "DANS"
sampler = "dans"
epochs = 60
[[variant]]
name = "Uniform"
sampler = "uniform"
epochs = 200
batch_size = 500
[[variant]]
name = "NSCaching"
sampler = "nscaching"
epochs = 120
"""
"""Variants that differ in their epochs, too."""

QUICK = """
title = "Small"
dataset = "nations"
seeds = 2
[settings]
epochs = {epochs}
dim = 16
eval_every = 5
diagnose_every = 10
snapshot_every = 1000
[grid]
sampler = ["dans", "nscaching"]
decoder = ["distmult", "complex"]
"""
"""Eight runs that take seconds to train."""

needs_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed")


def study_file(folder: Path, epochs: int = 30, text: str = QUICK) -> Path:
    """The file small.toml with this text in the folder."""
    file = folder / "small.toml"
    file.write_text(text.replace("{epochs}", str(epochs)))
    return file


def small_plan(text: str = SMALL, name: str = "small") -> Plan:
    """A plan of 3 samplers × 2 decoders × 3 seeds, or that of another text."""
    return parse_plan(text, name, f"{name}.toml")


def write_study(
    root: Path,
    plan: Plan,
    *,
    floor: dict[str, float] = FLOOR,
    skill: Callable[[Cell], float] = lambda cell: 0.0,
    missing: Collection[str] = (),
    failed: Collection[str] = (),
    triplets: int = 60,
    seed: int = 0,
    seen: str = "",
    epoch_seconds: Callable[[Cell], float] | None = None,
) -> Study:
    """The study in the folder root/NAME with a record for each run whose id is not `missing`.

    Ranks are random, paired by triplet and by seed, and the better the higher the `skill` of the cell: 0.3 is much. The
    runs with an id in `failed` diverged. `seen` is as in `StudyRecord`; triplets unseen by it rank far behind.
    With `epoch_seconds`, that of an epoch of a cell, records tell when each epoch ended, else they are of before.
    """
    study = Study(root / plan.name)
    (study.path / "records").mkdir(parents=True, exist_ok=True)
    replace(study.path / "study.toml", plan.text.encode())
    versions = {"dans-lab": "0.1.0", "python": "3.11.7", "torch": "2.13.0+cpu"}
    about = StudyRecord(
        dataset=plan.dataset,
        source=plan.dataset,
        hash="0" * 64,
        created="2026-11-22T10:00:00+00:00",
        versions=versions,
        machine="A processor, 2 cores",
        workers="2 processes",
        estimate=600.0,
        took=660.0,
        floor=floor,
        floor_seen={name: min(1.0, 1.2 * value) for name, value in floor.items()} if seen else {},
        seen=seen,
    )
    replace(study.path / "study.json", to_json(about))
    cells = {
        plan.run_id(cell.config.with_values(seed=each)): (cell, each)
        for part in plan.parts
        for cell in part.cells
        for each in plan.seeds
    }
    difficulty = np.random.default_rng(seed).gamma(1.0, 1.2, (triplets, 2))
    if seen:
        difficulty[np.array(list(seen)) == "0"] += 4
    for run, (cell, of_seed) in cells.items():
        if run not in missing:
            made = (
                _failed(run, of_seed)
                if run in failed
                else _finished(run, cell, of_seed, difficulty, skill(cell), epoch_seconds)
            )
            replace(study.path / "records" / f"{run}.json", to_json(made))
    return study


def _failed(run: str, seed: int) -> RunRecord:
    return RunRecord(
        run=run, seed=seed, state="failed", reason="the base loss is not finite at epoch 7", seconds=3.5
    )


def _finished(
    run: str,
    cell: Cell,
    seed: int,
    difficulty: np.ndarray,
    skill: float,
    epoch_seconds: Callable[[Cell], float] | None,
) -> RunRecord:
    random = np.random.default_rng([seed, *run.encode()])
    luck = random.normal(0, 0.3, difficulty.shape) + random.normal(0, 0.02)
    # Halves come from ties.
    ranks = np.maximum(2, np.round(2 * np.exp(difficulty - skill + luck))).astype(int)
    test = _metrics(ranks / 2)
    epochs = np.unique(np.linspace(1, cell.config.epochs, 20).astype(int))
    mrr = test["mrr"] * (1 - np.exp(-10 * epochs / cell.config.epochs)) + random.normal(0, 0.001, len(epochs))
    names = ["base", "g_e", "g_r", "d_adv", "d_aux"] if cell.config.sampler == "dans" else ["base"]
    curves: dict[str, list[float | None]] = {"epoch": [float(epoch) for epoch in epochs]}
    curves["valid_mrr"] = [float(value) for value in mrr]
    curves |= {name: [float(value) for value in 0.7 * np.exp(-epochs / 100)] for name in names}
    seconds = float(random.uniform(10, 14))
    if epoch_seconds is not None:
        each = epoch_seconds(cell) * float(random.uniform(0.97, 1.03))
        curves["seconds"] = [each * float(epoch) for epoch in epochs]
        seconds = 1.1 * each * cell.config.epochs
    figures = {name: float(random.uniform(0, 0.2)) for name in FIGURES}
    figures["epochs_to_level"] = float(epochs[len(epochs) // 2])
    if cell.config.sampler != "dans":
        figures = {name: figures[name] for name in ("oscillation", "fall", "epochs_to_level")}
    return RunRecord(
        run=run,
        seed=seed,
        state="finished",
        seconds=seconds,
        best_epoch=int(epochs[-1]),
        valid={name: min(1.0, value + 0.004) for name, value in test.items()},
        test=test,
        ranks=[(int(tail), int(head)) for tail, head in ranks],
        curves=curves,
        figures=figures,
    )


def _metrics(ranks: np.ndarray) -> dict[str, float]:
    """The record of these ranks, as a run has it."""
    import torch

    found = Metrics.of(torch.from_numpy(ranks))
    return {name: float(getattr(found, name)) for name in FLOOR}
