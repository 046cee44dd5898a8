"""What of a graph may reach a loss: the facts of train, and no others."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from dans_core.device import CPU
from dans_core.kg import KnowledgeGraph
from dans_data.known import Ids, KnownAnswers


class TrainFacts:
    """All that a sampler may know of a graph: the facts of train, and no others.

    Attributes:
        entities: names by id. num_entities, num_relations: N and |R|, without the reciprocals.
        queries: (2n, 3) int64 array; the rows (h, r, t), then their reciprocals (t, r + |R|, h).
        known: index of the answers of each query in train.
        device: where its tensors are, and so what samplers make of them, and the batches that ask.
    """

    def __init__(self, kg: KnowledgeGraph, device: torch.device = CPU) -> None:
        self.device = device
        self.entities = kg.entities
        self.num_entities, self.num_relations = kg.num_entities, kg.num_relations
        self.queries: Ids = kg.queries("train")
        self.known: KnownAnswers = kg.known_in("train")

    @cached_property
    def distinct_queries(self) -> Tensor:
        """(U,) h · 2|R| + r of each distinct query, ascending: what `row_of` finds."""
        return self.tensor(self.queries[:, 0] * 2 * self.num_relations + self.queries[:, 1]).unique()

    def tensor(self, array: np.ndarray) -> Tensor:
        """A copy of an array, on the device."""
        return torch.tensor(array).to(self.device)

    def row_of(self, heads: Tensor, relations: Tensor) -> tuple[Tensor, Tensor]:
        """Position of each query (h, r), shape (Q,) each, among the distinct ones of train, and whether it is there."""
        keys = heads * (2 * self.num_relations) + relations
        rows = torch.searchsorted(self.distinct_queries, keys).clamp_max(len(self.distinct_queries) - 1)
        return rows, self.distinct_queries[rows] == keys
