"""One run on one process and on several: seconds of an epoch, where they go, bytes on the wire, memory a process."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import graphs
from benchmarks.report import SAMPLERS, Section
from benchmarks.scaling import random_graph
from benchmarks.timing import one_thread, peak_memory, show_seconds, work
from dans_core import KnowledgeGraph
from dans_core.config import parse

_COLUMNS = [
    "graph", "negatives", "batch", "processes", "epoch", "speed-up", "encode", "game", "base", "in sums", "ranking",
    "bytes a step", "memory a process",
]  # fmt: skip
# Steps of an epoch that are timed at most; ten have one round of the game among them.
_MOST_STEPS = 10
_NOTE = (
    "An epoch after the warm-up by the settings that a graph of this size gets, ComplEx, of one process and of several "
    "that torchrun starts on this machine, each with one thread; gloo. Processor seconds of the first process, the "
    "least of {epochs} epochs, and what its stages take of them; of an epoch with more than {most} steps, that many "
    "steps and in proportion. The speed-up is that of a core for each.{settings} *In sums*: the part of these "
    "seconds in which gradients and losses are packed, sent and unpacked, waiting left out. Ranking is that of the "
    "valid split, once. Bytes a step are those that a process gives to sums; a ring sends 2 (R − 1) / R times as many. "
    "Memory is the most that a process ever held, imports and graph included."
)


def of_this_process(
    name: str, sampler: str, epochs: int, settings: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Train together with the others that torchrun started, if any, and say where the time went.

    What the settings do not name is that of the recipe.
    """
    one_thread()
    import torch

    from dans_core import Trainer
    from dans_core.device import CPU
    from dans_core.ranking import evaluate
    from dans_lab.budget.recipe import config_for
    from dans_lab.ranks import joined
    from dans_lab.ranks.trainer import RankTrainer

    kg = _graph(name)
    never = {"eval_every": 100_000, "diagnose_every": 100_000, "snapshot_every": 100_000, "epochs": 100_000}
    config = config_for(len(kg.train), {**never, **(settings or {}), "sampler": sampler, "warmup_epochs": 0})
    with joined() as others:
        trainer = RankTrainer(kg, config, CPU, others) if others else Trainer(kg, config, CPU)
        sums, bytes_sent = 0.0, 0
        if others:
            sum_up = others.sum_up

            def timed_sum(tensor: torch.Tensor) -> torch.Tensor:
                nonlocal sums, bytes_sent
                began = time.process_time()
                sum_up(tensor)
                sums += time.process_time() - began
                bytes_sent += tensor.numel() * tensor.element_size()
                return tensor

            others.sum_up = timed_sum  # type: ignore[method-assign] # a stopwatch around it
        found: list[dict[str, float]] = []
        steps = 0
        for _ in range(epochs):
            sums, bytes_sent, steps = 0.0, 0, 0
            seconds = dict.fromkeys(("encode", "game", "base"), 0.0)
            wanted = trainer.epoch + 1
            began = time.perf_counter()
            while trainer.epoch < wanted and steps < _MOST_STEPS:
                if others and others.rank:
                    others.hear()
                before = time.process_time()
                stage = trainer.step().name
                part = stage if stage in seconds else "game"
                seconds[part] += time.process_time() - before
                steps += stage == "base"
            times = {
                **seconds,
                "epoch": sum(seconds.values()),
                "wall": time.perf_counter() - began,
                "sums": sums,
            }
            whole = math.ceil(len(kg.train) / config.batch_size) / steps
            found.append(
                {name: value * whole for name, value in times.items()} | {"bytes": bytes_sent / steps}
            )
        before = time.process_time()
        evaluate(trainer.model, kg, "valid", trainer._ranks_of)
        ranking = time.process_time() - before
        rank = others.rank if others else 0
    return {
        "rank": rank,
        "batch_size": config.batch_size,
        "epochs": found,
        "ranking": ranking,
        "peak_bytes": peak_memory(),
    }


def _graph(name: str) -> KnowledgeGraph:
    """A data set, or, as random:1000000:100000, so many random triplets of so many entities."""
    if name.startswith("random:"):
        edges, entities = map(int, name.split(":")[1:])
        return random_graph(entities, edges)
    return KnowledgeGraph.load(name)


def measure(
    datasets: Sequence[str],
    samplers: Sequence[str],
    processes: Sequence[int],
    epochs: int,
    settings: Mapping[str, str] | None = None,
) -> Section:
    """Epochs of each data set, sampler and number of processes, one after the other, with these settings."""
    # Nonsense is told before minutes of measuring.
    parse(dict(settings or {}))
    cases = [(name, sampler, count) for name in datasets for sampler in samplers for count in processes]
    records = []
    with work(len(cases)) as progress, tempfile.TemporaryDirectory() as folder:
        for name, sampler, count in cases:
            progress.now(f"{name}, {sampler}, {count} processes")
            out = Path(folder) / "found.json"
            torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(count), "-m"]
            given = json.dumps(dict(settings or {}))
            command = [*torchrun, "benchmarks.ranks", name, sampler, str(epochs), given, str(out)]
            subprocess.run(
                command, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"}, stderr=subprocess.PIPE
            )
            told = json.loads(out.read_text())
            records.append({"graph": name, "sampler": sampler, "processes": count} | told)
            progress.done(1)
    alone = {(r["graph"], r["sampler"]): _least(r)["epoch"] for r in records if r["processes"] == 1}
    return Section(
        name="ranks",
        title="One run on several processes",
        note=_NOTE.format(epochs=epochs, most=_MOST_STEPS, settings=in_words(settings or {})),
        columns=_COLUMNS,
        rows=[_row(record, alone) for record in records],
        records=records,
    )


def in_words(settings: Mapping[str, str]) -> str:
    """A sentence of a note that names settings; nothing where there are none."""
    given = ", ".join(f"{name} = {value}" for name, value in settings.items())
    return f" Settings: {given}." if given else ""


def _least(record: dict[str, Any]) -> dict[str, float]:
    return min(record["epochs"], key=lambda epoch: epoch["epoch"])


def _row(record: dict[str, Any], alone: dict[tuple[str, str], float]) -> list[str]:
    epoch = _least(record)
    base = alone.get((record["graph"], record["sampler"]))
    return [
        graphs.title(record["graph"]),
        SAMPLERS[record["sampler"]],
        f"{record['batch_size']:,}",
        str(record["processes"]),
        show_seconds(epoch["epoch"]),
        f"{base / epoch['epoch']:.2f}x" if base else "–",
        *(show_seconds(epoch[part]) for part in ("encode", "game", "base")),
        show_seconds(epoch["sums"]) if record["processes"] > 1 else "–",
        show_seconds(record["ranking"]),
        f"{epoch['bytes'] / 1e6:.1f} MB" if record["processes"] > 1 else "–",
        f"{record['peak_bytes'] / 1e9:.2f} GB",
    ]


if __name__ == "__main__":
    result = of_this_process(*sys.argv[1:3], int(sys.argv[3]), json.loads(sys.argv[4]))
    if not result["rank"]:
        Path(sys.argv[5]).write_text(json.dumps(result))
