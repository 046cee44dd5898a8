"""What several processes come to beside one, written to a file: `test_ranks.py` has torchrun start this."""

from __future__ import annotations

import copy
import json
import sys
from pathlib import Path
from typing import Any

import torch

from dans_core import Config, KnowledgeGraph, Trainer
from dans_core.device import CPU
from dans_core.ranking import evaluate
from dans_data.errors import InputError
from dans_lab.ranks import joined
from dans_lab.ranks.group import Ranks, Word
from dans_lab.ranks.trainer import RankTrainer
from tests.conftest import random_graph
from tests.same_run import same

KG = random_graph(0, num_entities=12, n=60)
# Ranking is for single precision.
UNRANKED = KnowledgeGraph(KG.array("train"), [], [], KG.entities, KG.relations, "unranked")
SMALL = {"dim": 8, "dropout": 0.0, "lr": 0.01, "epochs": 4, "eval_every": 1, "diagnose_every": 2}
# Nothing in these is drawn for a pair, so that the negatives are those of one process; and clipping bites.
DRAWN_BY_NONE = {
    "one-vs-all": {"sampler": "one-vs-all", "clip_norm": 0.05},
    "dans": {
        "reading": "vectors", "random_negatives": False, "sigma": 0.0, "warmup_epochs": 0, "film_weight": 0.0,
        "play_every": 1, "negatives": 4, "clip_norm": 0.05, "aux_weight": 0.0,
    },
}  # fmt: skip
# Of 41 triplets, 20 leave one for a step, of which the second process has none.
BATCHES = {"whole": 1000, "uneven": 20}
DRAWN = {"dropout": 0.3, "negatives": 4, "warmup_epochs": 1, "play_every": 2, "patience": 2, "average": 0.9}


def step(trainer: Trainer, others: Ranks) -> None:
    """A stage on all processes, as `drive` and `follow` do it."""
    if others.rank:
        others.hear()
    trainer.step()


def weights(trainer: Trainer) -> torch.Tensor:
    """All that is trained or kept beside it: the weights, their average, the statistics of batch norm, Adam's."""
    optimizers = [trainer._optimizer, *(trainer._dans.optimizers.values() if trainer._dans else ())]
    states = [
        torch.cat([v.flatten() for s in each.state.values() for v in s.values()])
        for each in optimizers
        if each.state
    ]
    kept = [*trainer.networks.state_dict().values(), trainer._moving.state_dict()]
    return torch.cat(
        [value.flatten().double() for part in kept for value in part.values()] + [s.double() for s in states]
    )


def apart(trainer: Trainer, others: Ranks) -> float:
    """The largest difference from the mean over all processes."""
    own = weights(trainer)
    return float((own - others.sum_up(own.clone()) / others.count).abs().max())


def beside_one(others: Ranks, settings: dict[str, Any], batch_size: int) -> dict[str, float]:
    """The largest differences of several from one: weights and losses, in double precision."""
    config = Config(**SMALL | settings, batch_size=batch_size)
    together, alone = RankTrainer(UNRANKED, config, CPU, others), Trainer(UNRANKED, config, CPU)
    for trainer in (together, alone):
        if trainer.networks.generator:
            trainer.networks.generator.eval()
    found = {"values": 0.0, "stages": 0.0}
    while not alone.finished:
        if others.rank:
            others.hear()
        ours, its = together.step(), alone.step()
        found["stages"] += 1
        # The mean over conditions is that of each share, weighed.
        values = [abs(ours.values[n] - value) for n, value in its.values.items() if not n.startswith("film")]
        found["values"] = max([found["values"], *values])
    found["weights"] = float((weights(together) - weights(alone)).abs().max())
    return found


def of_all(others: Ranks) -> dict[str, Any]:
    """Everything random: how far apart processes are after each stage, and one that went on from each of its stages."""
    config = Config(**SMALL | DRAWN, batch_size=20)
    trainer, states, found = RankTrainer(KG, config, CPU, others), [], []
    while not trainer.finished:
        step(trainer, others)
        found.append(apart(trainer, others))
        if trainer.epoch == 2:
            states.append(copy.deepcopy(trainer.state_dict()))
    seeds = torch.zeros(others.count, dtype=torch.double)
    seeds[others.rank] = trainer._random["noise"].initial_seed()
    again = True
    # One at the end of an epoch and two within the next.
    for state in states[:5:2]:
        # What the first process wrote is all that there is.
        kept = [state]
        torch.distributed.broadcast_object_list(kept, 0)
        other = RankTrainer(KG, config, CPU, others)
        if others.rank:
            others.hear()
        other.load_state_dict(kept[0])
        while not other.finished:
            step(other, others)
        again &= same(weights(other), weights(trainer)) and other.best_mrr == trainer.best_mrr
    if others.rank:
        assert others.hear()[0] is Word.STEP
        shared = evaluate(trainer.model, KG, "valid", trainer._ranks_of)
    else:
        with others.all_do(Word.STEP):
            shared = evaluate(trainer.model, KG, "valid", trainer._ranks_of)
    ranks_differ = not torch.equal(shared.ranks, evaluate(trainer.model, KG, "valid").ranks)
    return {
        "ranks_differ": ranks_differ,
        "seeds": others.sum_up(seeds).tolist(),
        "apart": max(found),
        "stages": len(found),
        "states": len(states),
        "again": bool(again),
        "epoch": trainer.epoch,
    }


def main(out: Path) -> None:
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.double)
    with joined() as others:
        assert others is not None
        found: dict[str, Any] = {
            f"{name}, {batch}": beside_one(others, settings, size)
            for name, settings in DRAWN_BY_NONE.items()
            for batch, size in BATCHES.items()
        }
        torch.set_default_dtype(torch.float)
        found["all"] = of_all(others)
        refused = []
        for settings, kg in (({"sampler": "nscaching"}, KG), ({}, random_graph(0, n=2))):
            try:
                RankTrainer(kg, Config(**SMALL | settings), CPU, others)
            except InputError as error:
                refused.append(str(error))
        found["refused"] = refused
    (out / f"{others.rank}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
