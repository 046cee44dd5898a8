"""The contract of a negative sampler: which entities or vectors are the negatives, and with what weight.

A sampler never owns the loss, and it sees train facts only. All prediction is tail prediction (a head
query is a tail query of the reciprocal relation), so a negative is always another tail for (h, r).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dans_core.batch import Batch, Negatives
from dans_core.config import Config
from dans_core.decoders import Decoder
from dans_core.device import CPU
from dans_core.kg import Ids, KnowledgeGraph, KnownAnswers


class TrainFacts:
    """All that a sampler may know of a graph: the facts of train, and no others.

    Attributes
    ----------
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


@dataclass(frozen=True)
class Sources:
    """Where a sampler takes its random numbers from; the trainer keeps their states.

    All are of the CPU, wherever the batches are: what is drawn is then moved.
    """

    negatives: torch.Generator
    noise: torch.Generator


class Sampler(ABC):
    """Gives the negatives of a batch.

    All are made as `Kind(config, facts, decoder, random)`. Weights of networks of its own are drawn from torch's
    global source when it is made, which the trainer seeds; all later numbers come from `random`.
    """

    def __init__(self, config: Config, facts: TrainFacts, decoder: Decoder, random: Sources) -> None:
        self.config, self.facts, self.decoder, self.random = config, facts, decoder, random

    @abstractmethod
    def negatives(self, batch: Batch, entities: Tensor, queries: Tensor) -> Negatives:
        """The negatives for the current vectors: entities (N, dim) and queries (Q, dim), both detached.

        Called once in each step of the base model; what the sampler learns or remembers moves here too. The batch may
        ask queries that train does not have, as inspection does.
        """

    def rehearse(self, batch: Batch) -> None:  # noqa: B027 - most samplers have nothing to rehearse
        """A step of the warm-up, in which random negatives stand in for a sampler that waits (`Config.waits`)."""

    def state_dict(self) -> dict[str, Any]:
        """What it learned or remembers, as tensors and plain values; empty where it starts anew at each batch."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up what `state_dict` gave."""
        if state:
            raise ValueError(f"{type(self).__name__} remembers nothing, but was given {', '.join(state)}")
