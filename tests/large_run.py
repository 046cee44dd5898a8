"""A graph of as many entities as one likes, on disk, and runs on it with snapshots of random numbers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dans_core import Config, KnowledgeGraph
from dans_core.events import Snapshot
from dans_lab.runs.run import Run
from dans_lab.runs.snapshot_sample import studied_entities, studied_triplets
from dans_lab.runs.writer import RunWriter

KINDS = ("city", "person", "river", "sports_team", "new_york_street")


def graph(folder: Path, entities: int, triplets: int, relations: int, held_out: int = 200) -> KnowledgeGraph:
    """Names such as "city:place_17"; relation sizes fall off as they do in real graphs. Also written to `folder`."""
    random = np.random.default_rng(0)
    names = sorted(f"{KINDS[number % len(KINDS)]}:place_{number}" for number in range(entities))
    weights = 1 / np.arange(1, relations + 1)
    drawn = np.stack(
        [
            # Every entity and every relation once, so that the graph read from the files is the same.
            np.concatenate([np.arange(entities), random.integers(entities, size=triplets)]),
            np.concatenate(
                [
                    np.arange(entities) % relations,
                    random.choice(relations, size=triplets, p=weights / weights.sum()),
                ]
            ),
            (random.pareto(1.0, size=entities + triplets) * 50).astype(np.int64) % entities,
        ],
        axis=1,
    )
    rows = np.unique(drawn, axis=0)
    random.shuffle(rows)
    splits = np.split(rows, [len(rows) - 2 * held_out, len(rows) - held_out])
    relation_names = [f"relation_{number:05d}" for number in range(relations)]
    folder.mkdir(parents=True)
    for name, part in zip(("train", "valid", "test"), splits, strict=True):
        lines = (f"{names[h]}\t{relation_names[r]}\t{names[t]}\n" for h, r, t in part.tolist())
        (folder / f"{name}.txt").write_text("".join(lines))
    return KnowledgeGraph.load(folder)


def arrays(kg: KnowledgeGraph, epoch: int, dim: int) -> dict[str, np.ndarray]:
    """What a snapshot of a large graph holds, from random numbers."""
    random, shared = np.random.default_rng(epoch + 1), np.random.default_rng(0)
    chosen = studied_triplets(kg, dim)
    assert chosen is not None
    both = np.concatenate([chosen, chosen[:, ::-1] + [0, kg.num_relations, 0]])
    queries, first = np.unique(both[:, :2], axis=0, return_index=True)
    answers = both[first, 2]
    drawn = shared.integers(kg.num_entities, size=len(queries))
    ids = studied_entities(kg, dim, np.concatenate([answers, drawn]))
    assert ids is not None
    heads = np.unique(queries[:, 0])

    def floats(*shape: int) -> np.ndarray:
        return random.normal(size=shape).astype(np.float16)

    found = {
        "epoch": np.array(epoch),
        "entities": floats(len(ids), dim),
        "relations": floats(2 * kg.num_relations, dim),
        "queries": queries.astype(np.int32),
        "answers": answers.astype(np.int32),
        "random": drawn.astype(np.int32),
        "entity_ids": ids.astype(np.int32),
        "heads_e": heads.astype(np.int32),
        "median_length": np.float32(np.sqrt(dim)),
        "d_entities": np.full(len(ids), 0.5, np.float16),
        "aux_entities": np.full(len(ids), 0.5, np.float16),
        "spread_e": np.float32(0.5),
        "spread_r": np.float32(0.1),
    }
    for name in ("score_true", "score_random", "score_e", "score_r"):
        found[name] = floats(len(queries))
    for name, size in (("e", len(heads)), ("r", len(queries))):
        found[f"fakes_{name}"] = floats(size, dim)
        found[f"nearest_{name}"] = random.integers(kg.num_entities, size=size).astype(np.int32)
        found[f"cosine_{name}"] = random.uniform(0, 1, size=size).astype(np.float16)
        found[f"d_fakes_{name}"] = np.full(size, 0.25, np.float16)
        found[f"aux_fakes_{name}"] = np.full(size, 0.1 if name == "e" else 0.9, np.float16)
    return found


def drawn(
    root: Path, kg: KnowledgeGraph, source: Path, run_id: str, epochs: Sequence[int] = (0, 5), dim: int = 8
) -> Run:
    """A stopped run with these snapshots and no weights; `source` is the folder of its graph."""
    config = Config(sampler="dans", epochs=10, warmup_epochs=2, dim=dim)
    with RunWriter.create(root, run_id, config, kg.name, kg.hash, str(source)) as writer:
        for epoch in epochs:
            name = f"{epoch:06d}.npz"
            writer.snapshot(name, arrays(kg, epoch, dim))
            writer.append(Snapshot(epoch, name))
        writer.write_status("stopped", epoch=max(epochs, default=0))
        return writer.run
