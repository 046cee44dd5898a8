"""Makes the recorded runs that the first visit shows: `python -m assets.record`.

DANS and its uniform twin on UMLS with the default settings, one thread, slimmed to what a viewer needs: no
checkpoint to resume from, half-precision weights, and the map's pictures computed beforehand.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.progress import Progress

from dans_app.server import loading
from dans_core.config import Config
from dans_core.kg import KnowledgeGraph
from dans_core.training import Trainer
from dans_lab.runs import process
from dans_lab.runs.drive import drive
from dans_lab.runs.run import RECORDED, Run
from dans_lab.runs.writer import RunWriter

LIMIT_BYTES = 3_000_000

# Snapshots weigh most of these 3 MB. So that the map has enough of them to play, each keeps some queries of every
# relation, five of ten bits of precision (an error below 2 %), and no relation embeddings, which no screen shows.
SNAPSHOT_EVERY = 25
LEAST_QUERIES, ONE_MORE_EVERY = 2, 5
MANTISSA_BITS = 5
# A run without fakes has little to play.
UNIFORM_EVERY = 100


def record(sampler: str, root: Path, progress: Progress) -> Run:
    """Train one run into `root` and slim it."""
    config = Config(sampler=sampler, snapshot_every=SNAPSHOT_EVERY)
    kg = KnowledgeGraph.load("umls")
    task = progress.add_task(f"umls, {sampler}", total=config.epochs)
    name = f"umls-{config.decoder}-{sampler}"
    with RunWriter.create(root, name + "-new", config, kg.name, kg.hash, "umls") as writer:
        trainer = Trainer(kg, config)
        state = drive(
            writer,
            trainer,
            stop=lambda: False,
            on_stage=lambda _: progress.update(task, completed=trainer.epoch),
        )
    if state != "finished":
        raise SystemExit(f"the run ended as {state}: {writer.status.reason}")
    path = writer.path.rename(root / name)
    _slim(path)
    run = Run(path)
    _ship_maps(run, kg)
    return run


def _ship_maps(run: Run, kg: KnowledgeGraph) -> None:
    """Compute the UMAP of all snapshots as the Map screen does, and keep it beside the run."""
    with tempfile.TemporaryDirectory() as cache:
        os.environ["DANS_RUNS_DIR"] = cache
        epochs = [epoch for epoch, _ in run.snapshots()]
        picture = loading.picture(run, epochs, epochs[-1], kg, "umap", focus=np.arange(0))
        for job in picture.waiting:
            if not loading.projector().wait(job, timeout=300):
                raise SystemExit("the map took more than 300 s")
        picture = loading.picture(run, epochs, epochs[-1], kg, "umap", focus=np.arange(0))
        if picture.series.method != "umap":
            raise SystemExit(f"there is no map of all snapshots: {picture.problem}")
        folder = run.path / "projections"
        folder.mkdir()
        for file in Path(cache).rglob("*.npz"):
            shutil.copy(file, folder)


def _slim(path: Path) -> None:
    for name in ("last.pt", "log.txt", "run.lock", "control.json"):
        (path / name).unlink(missing_ok=True)
    best = torch.load(path / "best.pt", weights_only=True)
    torch.save({**best, "networks": _halved(best["networks"])}, path / "best.pt")
    every = UNIFORM_EVERY if Run(path).config.sampler == "uniform" else SNAPSHOT_EVERY
    for epoch, file in Run(path).snapshots():
        if epoch % every:
            file.unlink()
            continue
        with np.load(file, allow_pickle=False) as arrays:
            kept = {name: arrays[name] for name in arrays.files if name != "relations"}
        of_queries = [
            name for name in kept if len(kept[name].shape) and len(kept[name]) == len(kept["queries"])
        ]
        some = _some(kept["queries"])
        kept |= {name: kept[name][some] for name in of_queries}
        kept = {name: _rounded(array) if array.dtype == np.float16 else array for name, array in kept.items()}
        np.savez_compressed(file, allow_pickle=False, **kept)


def _some(queries: np.ndarray) -> np.ndarray:
    """Positions of some queries of each relation, evenly over its heads: a few, and more of one that has many."""
    chosen = []
    for relation in np.unique(queries[:, 1]):
        own = np.flatnonzero(queries[:, 1] == relation)
        places = np.linspace(0, len(own) - 1, min(len(own), LEAST_QUERIES + len(own) // ONE_MORE_EVERY))
        chosen.append(own[places.round().astype(int)])
    return np.sort(np.concatenate(chosen))


def _rounded(halves: np.ndarray) -> np.ndarray:
    """Half-precision numbers with `MANTISSA_BITS` bits behind the point, whose zeros compress."""
    drop = 10 - MANTISSA_BITS
    bits = np.ascontiguousarray(halves).view(np.uint16).astype(np.uint32)
    return ((bits + (1 << (drop - 1))) >> drop << drop).astype(np.uint16).view(np.float16)


def _halved(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.half() if value.is_floating_point() else value
    return {name: _halved(part) for name, part in value.items()}


def main() -> None:
    """Record both runs and put them in place of the old ones."""
    process.prepare(1)
    with tempfile.TemporaryDirectory() as folder:
        with Progress() as progress:
            runs = [record(sampler, Path(folder), progress) for sampler in ("dans", "uniform")]
        size = sum(file.stat().st_size for run in runs for file in run.path.rglob("*") if file.is_file())
        if size > LIMIT_BYTES:
            sys.exit(f"the recorded runs take {size:,} bytes, more than the {LIMIT_BYTES:,} they may")
        shutil.rmtree(RECORDED, ignore_errors=True)
        for run in runs:
            shutil.copytree(run.path, RECORDED / run.path.name)
    print(f"{RECORDED}: {size:,} bytes")


if __name__ == "__main__":
    main()
