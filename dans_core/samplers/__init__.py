"""The contract of a negative sampler: which entities or vectors are the negatives, and with what weight.

A sampler never owns the loss, and it sees train facts only. All prediction is tail prediction (a head
query is a tail query of the reciprocal relation), so a negative is always another tail for (h, r).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from dans_core.batch import Batch


@dataclass(frozen=True)
class Negatives:
    """The negatives of a batch of P pairs with Q distinct queries.

    ids      (P, K)      entity ids, drawn for each pair, or None
    vectors  (Q, V, dim) embeddings shared by all pairs of a query, detached, or None
    weights  (P, K)      of the ids, summing to K per pair, detached; None means 1 each
    """

    ids: Tensor | None = None
    vectors: Tensor | None = None
    weights: Tensor | None = None


class Sampler(Protocol):
    """Gives the negatives of a batch."""

    def negatives(self, batch: Batch, entities: Tensor, queries: Tensor) -> Negatives:
        """The negatives for the current vectors: entities (N, dim) and queries (Q, dim), both detached."""
        ...
