"""Random negatives: entities drawn uniformly, never the pair's own answer."""

from __future__ import annotations

import torch
from torch import Tensor

from dans_core.batch import Batch
from dans_core.samplers import Negatives


def draw_uniform(answer: Tensor, k: int, num_entities: int, generator: torch.Generator) -> Tensor:
    """(P,) answers → (P, k) ids, uniform over the other num_entities − 1 entities."""
    ids = torch.randint(num_entities - 1, (len(answer), k), generator=generator)
    return ids + (ids >= answer.unsqueeze(1))


class Uniform:
    """The baseline, Rand in the paper: `k` uniform negatives a pair. Other true answers may be drawn."""

    def __init__(self, k: int, num_entities: int, generator: torch.Generator) -> None:
        self.k, self.num_entities, self.generator = k, num_entities, generator

    def negatives(self, batch: Batch, entities: Tensor, queries: Tensor) -> Negatives:
        """`k` fresh ids for every pair."""
        return Negatives(ids=draw_uniform(batch.answer, self.k, self.num_entities, self.generator))
