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
        device: where its tensors are, and so what samplers make of them, and the batches that ask.
    """

    def __init__(self, kg: KnowledgeGraph, device: torch.device = CPU) -> None:
        self.device, self.entities, self._train = device, kg.entities, kg.array("train")
        self.num_entities, self.num_relations = kg.num_entities, kg.num_relations

    @cached_property
    def queries(self) -> Ids:
        """(2n, 3) int64 array; the rows (h, r, t), then their reciprocals (t, r + |R|, h)."""
        backward = self._train[:, ::-1] + np.array([0, self.num_relations, 0])
        return np.concatenate([self._train, backward])

    @cached_property
    def known(self) -> KnownAnswers:
        """Index of the answers of each query in train."""
        return KnownAnswers(self.queries, self.num_entities, 2 * self.num_relations)

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
