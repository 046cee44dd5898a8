"""The entity table in shards, on one process and on several: memory and bytes of each, and what its negatives cost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import graphs
from benchmarks.ranks import in_words
from benchmarks.report import SAMPLERS, Section
from benchmarks.scaling import random_graph
from benchmarks.timing import one_thread, peak_memory, show_seconds, work
from dans_core import KnowledgeGraph
from dans_core.config import parse

_COLUMNS = [
    "graph", "negatives", "processes", "table a process", "rows", "vertices", "with their closure", "bytes a step",
    "epoch", "memory a process", "test MRR",
]  # fmt: skip
_NOTE = (
    "ComplEx, {epochs} epochs by the settings that a graph of this size gets.{settings} `train --shard-entities` on "
    "processes of one thread each; on one, negatives come from the whole graph, on several from the part of each. A "
    "figure is that of the process that has most of it. The table: its rows with their gradient, Adam's moments and "
    "the average. Vertices are what a process encodes exactly, and draws negatives from: its rows, and the ends of "
    "its triplets; its closure is what they are encoded from. Bytes are those of rows and gradients that it gives to "
    "others in a step. Processor seconds of the least epoch. Memory is the most that it ever held while it trained, "
    "imports and graph included. The MRR is by the last weights, over {seeds}."
)
_TOLD = ("table", "rows", "vertices", "closure", "bytes", "seconds", "memory")


def of_this_process(
    name: str, sampler: str, epochs: int, seed: int, settings: Mapping[str, str]
) -> dict[str, float] | None:
    """Train with the others that torchrun started; on the first process the largest of what all of them found."""
    one_thread()
    import torch

    from dans_core.device import CPU
    from dans_lab.budget.recipe import config_for
    from dans_lab.ranks import joined
    from dans_lab.ranks.shards import ShardTrainer

    kg = _graph(name)
    never = {"eval_every": 100_000, "epochs": 100_000, "warmup_epochs": max(1, epochs // 5)}
    config = config_for(len(kg.train), {**never, **settings, "sampler": sampler, "seed": seed})
    with joined(shards=True) as others:
        assert others is not None, "torchrun started this"
        trainer = ShardTrainer(kg, config, CPU, others, Path(os.devnull))
        trainer.meet()
        seconds = []
        for epoch in range(epochs):
            before = time.process_time()
            while trainer.epoch == epoch:
                if others.rank:
                    others.hear()
                trainer.step()
            seconds.append(time.process_time() - before)
        table, part = trainer.table, trainer.part
        own = table.bytes_held, len(part.own), part.vertices, len(part.entities), table.bytes_sent
        told = torch.zeros(others.count, len(_TOLD), dtype=torch.double)
        told[others.rank] = torch.tensor([*own, min(seconds), peak_memory()], dtype=torch.double)
        most = others.sum_up(told).max(0).values.tolist()
        if others.rank:
            trainer.also(others.hear()[1].decode())
            return None
        return {**dict(zip(_TOLD, most, strict=True)), "mrr": trainer.test_mrr(), "entities": kg.num_entities}


def _graph(name: str) -> KnowledgeGraph:
    """A data set, or random triplets, as random:1000000:100000, or near:1000000:100000 with ends near each other."""
    if name.startswith("random:"):
        edges, entities = map(int, name.split(":")[1:])
        return random_graph(entities, edges)
    if name.startswith("near:"):
        edges, entities = map(int, name.split(":")[1:])
        return near_graph(entities, edges)
    return KnowledgeGraph.load(name)


def near_graph(entities: int, edges: int) -> KnowledgeGraph:
    """Random triplets of entities on a ring, tails at most 20 places from their heads, so that it falls into parts."""
    source = np.random.default_rng(0)
    rows = np.stack([source.integers(0, limit, edges) for limit in (entities, 20, 41)], axis=1)
    rows[:, 2] = (rows[:, 0] + rows[:, 2] - 20) % entities
    names = [f"{i:08d}" for i in range(entities)]
    return KnowledgeGraph(rows[1000:], rows[:1], rows[:1000], names, names[:20], f"near-{entities}-{edges}")


def measure(
    datasets: Sequence[str],
    samplers: Sequence[str],
    processes: Sequence[int],
    epochs: int,
    seeds: int,
    settings: Mapping[str, str],
) -> Section:
    """Every data set, sampler, number of processes and seed, one after the other, with these settings."""
    # Nonsense is told before minutes of measuring.
    parse(dict(settings))
    cases = [(name, sampler, count) for name in datasets for sampler in samplers for count in processes]
    records = []
    with work(len(cases) * seeds) as progress, tempfile.TemporaryDirectory() as folder:
        for name, sampler, count in cases:
            found = []
            for seed in range(seeds):
                progress.now(f"{name}, {sampler}, {count} processes, seed {seed}")
                out = Path(folder) / "found.json"
                torchrun = [
                    sys.executable,
                    "-m",
                    "torch.distributed.run",
                    "--nproc-per-node",
                    str(count),
                    "-m",
                ]
                words = [name, sampler, str(epochs), str(seed), json.dumps(dict(settings)), str(out)]
                subprocess.run(
                    [*torchrun, "benchmarks.shards", *words],
                    check=True,
                    env={**os.environ, "OMP_NUM_THREADS": "1"},
                    stderr=subprocess.PIPE,
                )
                found.append(json.loads(out.read_text()))
                progress.done(1)
            records.append({"graph": name, "sampler": sampler, "processes": count, "seeds": found})
    return Section(
        name="shards",
        title="The entity table in shards",
        note=_NOTE.format(
            epochs=epochs, settings=in_words(settings), seeds=f"{seeds} seeds" if seeds > 1 else "one seed"
        ),
        columns=_COLUMNS,
        rows=[_row(record) for record in records],
        records=records,
    )


def _row(record: dict[str, Any]) -> list[str]:
    first = record["seeds"][0]
    scores = [seed["mrr"] for seed in record["seeds"]]
    spread = f" ± {np.std(scores, ddof=1):.3f}" if len(scores) > 1 else ""
    return [
        graphs.title(record["graph"]),
        SAMPLERS[record["sampler"]],
        str(record["processes"]),
        f"{first['table'] / 1e6:,.1f} MB",
        *(
            f"{int(first[name]):,} ({first[name] / first['entities']:.0%})"
            for name in ("rows", "vertices", "closure")
        ),
        f"{first['bytes'] / 1e6:,.1f} MB",
        show_seconds(min(seed["seconds"] for seed in record["seeds"])),
        f"{first['memory'] / 1e9:.2f} GB",
        f"{np.mean(scores):.3f}{spread}",
    ]


if __name__ == "__main__":
    result = of_this_process(*sys.argv[1:3], *map(int, sys.argv[3:5]), json.loads(sys.argv[5]))
    if result is not None:
        Path(sys.argv[6]).write_text(json.dumps(result))
