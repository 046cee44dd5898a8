"""The contract of a negative sampler: which entities or vectors are the negatives, and with what weight.

A sampler never owns the loss, and it sees train facts only. All prediction is tail prediction (a head
query is a tail query of the reciprocal relation), so a negative is always another tail for (h, r).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from dans_core.batch import Batch, Negatives
from dans_core.config import Config
from dans_core.declaration import Declaration
from dans_core.decoders import Decoder
from dans_core.facts import TrainFacts


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

    declaration: ClassVar[Declaration]

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
