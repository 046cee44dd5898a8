"""A process of its own that trains for a few steps, ranks, measures, keeps and inspects, and tells its peak of memory.

python -m tests.peak '{"graph": "umls", "steps": 2, "settings": {"sampler": "dans"}}'
"""

from __future__ import annotations

import copy
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from dans_core import KnowledgeGraph
from dans_lab.runs.snapshot import snapshot_of

ROOT = Path(__file__).resolve().parents[1]


def synthetic(triplets: int, valid: int = 100) -> KnowledgeGraph:
    """A graph of this many train triplets, a fifth as many entities and 200 relations, some far commoner than most."""
    rng = np.random.default_rng(0)
    entities, relations, rows = triplets // 5, 200, triplets + 2 * valid
    shares = [1 / np.arange(1, count + 1) ** power for count, power in ((entities, 0.7), (relations, 1.0))]
    of_entity, of_relation = (share / share.sum() for share in shares)
    mixed = rng.permutation(entities)
    ids = np.empty((rows, 3), dtype=np.int64)
    for column in (0, 2):
        ids[:, column] = mixed[rng.choice(entities, rows, p=of_entity)]
    ids[:, 1] = rng.choice(relations, rows, p=of_relation)
    ids[:entities, 0] = np.arange(entities)
    rng.shuffle(ids)
    return KnowledgeGraph(
        *(ids[2 * valid :], ids[:valid], ids[valid : 2 * valid]),
        [f"entity {number:07d}" for number in range(entities)],
        [f"relation {number:03d}" for number in range(relations)],
        "synthetic",
    )


def measured(graph: str | int, steps: int = 0, **settings: Any) -> dict[str, Any]:
    """What a fresh process tells; `graph` is a name or a number of triplets, `steps` 0 stands for a whole epoch."""
    asked = json.dumps({"graph": graph, "steps": steps, "settings": settings})
    done = subprocess.run(
        [sys.executable, "-m", "tests.peak", asked], cwd=ROOT, capture_output=True, text=True, check=True
    )
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def _tell(graph: str | int, steps: int, settings: dict[str, Any]) -> dict[str, Any]:
    import time

    import torch

    from benchmarks.timing import peak_memory
    from dans_core import Trainer, diagnostics, evaluate
    from dans_core.ranking import popularity_floor
    from dans_lab.budget import estimates as budget
    from dans_lab.budget.recipe import config_for
    from dans_lab.budget.sizes import Sizes
    from dans_lab.inspection import Question, Trained, inspect_triplet
    from dans_lab.runs import process

    process.prepare(1)
    kg = synthetic(graph) if isinstance(graph, int) else KnowledgeGraph.load(graph)
    sizes = Sizes.of(kg)
    config = config_for(sizes.train, settings)
    trainer = Trainer(kg, config)
    seconds = []
    while len(seconds) < steps if steps else trainer.epoch == 0:
        begun = time.process_time()
        while trainer.step().name != "base":
            pass
        seconds.append(time.process_time() - begun)
    few = KnowledgeGraph(
        kg.array("train"), kg.array("valid")[:100], kg.array("test"), kg.entities, kg.relations, kg.name
    )
    mrr = evaluate(trainer.model, few).mrr
    best = copy.deepcopy([trainer.networks.state_dict(), trainer.state_dict()["sampler"]])
    diagnostics.measure(trainer.networks, kg, config, 1)
    np.savez(io.BytesIO(), **snapshot_of(trainer))
    torch.save(trainer.state_dict(), os.devnull)
    while not trainer.finished and trainer.step().name != "base":
        pass
    del best
    popularity_floor(few)
    rows = []
    if config.sampler != "one-vs-all":
        head, relation, tail = map(int, kg.array("valid")[0])
        seen = inspect_triplet(Trained.of(trainer.networks, kg, config), Question(head, relation, tail))
        rows = seen.negatives
    need = budget.predict(config, sizes)
    return {
        "peak": peak_memory(),
        "memory": need.memory_bytes,
        "step": sorted(seconds)[len(seconds) // 2],
        "predicted_step": need.epoch_seconds / -(-sizes.train // config.batch_size),
        "mrr": mrr,
        "negatives": len(rows),
    }


if __name__ == "__main__":
    print(json.dumps(_tell(**json.loads(sys.argv[1]))))
