"""What processes with a shard of the entity table each come to, written to a file: `test_shards.py` has this started.

torchrun … -m tests.lab.on_shards FOLDER begin | again
"""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from dans_core import Config, KnowledgeGraph, Trainer
from dans_core.batch import Batch, Negatives
from dans_core.device import CPU
from dans_lab.ranks import joined
from dans_lab.ranks.group import Ranks, Word
from dans_lab.ranks.shards import ShardTrainer
from tests.conftest import random_graph
from tests.same_run import same
from tests.waiting import wait_for

# Sparse, so that a process has not all of it.
KG = random_graph(0, num_entities=60, n=90)
UNRANKED = KnowledgeGraph(KG.array("train"), [], [], KG.entities, KG.relations, "unranked")
EXACT = {
    "sampler": "uniform", "dim": 8, "dropout": 0.0, "l2": 0.0, "lr": 0.01, "epochs": 2, "negatives": 3,
    "clip_norm": 0.05, "average": 0.9, "diagnose_every": 2,
}  # fmt: skip
RANDOM = {
    "sampler": "dans", "dim": 8, "epochs": 3, "warmup_epochs": 1, "play_every": 2, "negatives": 4, "average": 0.9,
    "eval_every": 1, "batch_size": 40,
}  # fmt: skip
Drawn = dict[tuple[int, int, int], list[int]]


def made(config: Config, kg: KnowledgeGraph, others: Ranks, run: Path) -> ShardTrainer:
    """A trainer that has met the others."""
    trainer = ShardTrainer(kg, config, CPU, others, run)
    trainer.meet()
    return trainer


def step(trainer: Trainer, others: Ranks) -> dict[str, float]:
    """A stage on all processes, as `drive` and `follow` do it."""
    if others.rank:
        others.hear()
    return trainer.step().values


def asked(batch: Batch, names: Tensor | None = None) -> list[tuple[int, int, int]]:
    """Head, relation and answer of each pair; `names` gives the global id of a local one."""
    heads, relations, answers = batch.heads[batch.query], batch.relations[batch.query], batch.answer
    if names is not None:
        heads, answers = names[heads], names[answers]
    return list(zip(heads.tolist(), relations.tolist(), answers.tolist(), strict=True))


def beside_one(others: Ranks, batch_size: int, run: Path) -> dict[str, float]:
    """The largest differences from one process that is given the same first values and the same negatives."""
    config = Config(**EXACT, batch_size=batch_size)
    together, alone = made(config, UNRANKED, others, run), Trainer(UNRANKED, config, CPU)
    names, drawn = torch.from_numpy(together.part.entities), [Drawn()]
    draw = together._sampler.negatives

    def noted(batch: Batch, *vectors: Tensor) -> Negatives:
        given = draw(batch, *vectors)
        drawn[0] = dict(zip(asked(batch, names), names[given.ids].tolist(), strict=True))
        return given

    def the_same(batch: Batch, *vectors: Tensor) -> Negatives:
        return Negatives(ids=torch.tensor([drawn[0][pair] for pair in asked(batch)]))

    together._sampler.negatives = noted
    alone._sampler.negatives = the_same
    whole = together.table.whole(together.table.rows.detach())
    if whole is not None:
        for model, its in ((alone._moving, together._moving), (alone.model, together.model)):
            model.load_state_dict({**its.state_dict(), "entity": whole})
    found = {"losses": 0.0, "weights": 0.0, "stages": 0.0}
    while not together.finished:
        ours = step(together, others)
        every: list[Drawn] = [{} for _ in range(others.count)]
        dist.all_gather_object(every, drawn[0])
        drawn[0] = {pair: ids for part in every for pair, ids in part.items()}
        if not others.rank:
            theirs = alone.step().values
            found["stages"] += 1
            found["losses"] = max([found["losses"], *(abs(ours[name] - theirs[name]) for name in theirs)])
    for rows, ours, its in (
        (together.table.rows.detach(), together._moving, alone._moving),
        (together.table.shown(), together.model, alone.model),
    ):
        whole = together.table.whole(rows)
        if whole is not None:
            weights = {**ours.state_dict(), "entity": whole}
            apart = [float((weights[name] - value).abs().max()) for name, value in its.state_dict().items()]
            found["weights"] = max([found["weights"], *apart])
    return found


def begin(others: Ranks, out: Path) -> dict[str, Any]:
    """Two beside one; then a run of all that is random, kept within its last epoch and trained to its end."""
    torch.set_default_dtype(torch.double)
    found: dict[str, Any] = {
        name: beside_one(others, size, out) for name, size in {"whole": 1000, "uneven": 40}.items()
    }
    torch.set_default_dtype(torch.float)
    trainer = made(Config(**RANDOM), KG, others, out)
    while trainer.epoch < 2 or trainer.stage != "base":
        step(trainer, others)
    kept = saved(trainer, others, out / "kept.pt")
    while not trainer.finished:
        step(trainer, others)
    again = made(Config(**RANDOM), KG, others, out)
    take_up(again, others, out / "kept.pt")
    found["same"] = same(kept, again.table.rows.detach())
    while not again.finished:
        step(again, others)
    found["goes_on"] = same(again.table.rows, trainer.table.rows) and again.best_mrr == trainer.best_mrr
    found["rows"] = len(trainer.table.rows)
    found["ranks"] = ranks_of_test(again, others)
    saved(again, others, out / "last.pt")
    return found


def go_on(others: Ranks, out: Path) -> dict[str, Any]:
    """The test ranks of what was kept, however many there are now; kept again."""
    trainer = made(Config(**RANDOM), KG, others, out)
    take_up(trainer, others, out / "last.pt")
    found = {"rows": len(trainer.table.rows), "ranks": ranks_of_test(trainer, others)}
    saved(trainer, others, out / "last.pt")
    return found


def ranks_of_test(trainer: ShardTrainer, others: Ranks) -> list[float]:
    """Of the test split by the best weights."""
    if others.rank:
        others.hear()
        ranks: list[float] = trainer._test().ranks.flatten().tolist()
        return ranks
    with others.all_do(Word.ALSO, b"test"):
        return trainer._test().ranks.flatten().tolist()


def saved(trainer: ShardTrainer, others: Ranks, path: Path) -> Tensor:
    """Keep a trainer; the rows here as they were."""
    if others.rank:
        trainer.also(others.hear()[1].decode())
    else:
        torch.save(trainer.state_dict(), path)
    return trainer.table.rows.detach().clone()


def take_up(trainer: ShardTrainer, others: Ranks, path: Path) -> None:
    """Go on from what was kept."""
    if others.rank:
        trainer.load_state_dict(torch.load(io.BytesIO(others.hear()[1]), weights_only=True))
    else:
        trainer.load_state_dict(torch.load(path, weights_only=True))


def main(out: Path) -> None:
    """Train and keep a run; once another process has gone on with it alone, take up what that one kept."""
    torch.set_num_threads(1)
    with joined(shards=True) as others:
        assert others is not None
        found = begin(others, out)
        # There at once or not at all, for the one that waits for it.
        (out / f"{others.rank}.part").write_text(json.dumps(found))
        (out / f"{others.rank}.part").rename(out / f"{others.rank}.json")
        wait_for(lambda: (out / "alone.json").exists(), "the one that goes on alone")
        (out / f"{others.rank}-again.json").write_text(json.dumps(go_on(others, out)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
