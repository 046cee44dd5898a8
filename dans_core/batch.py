"""A batch of triplets as distinct queries and their answers, so that nothing is computed twice; and its negatives."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor


class Turns(NamedTuple):
    """Pairs of Q queries: `pairs` (Q,) of each; of each pair, (P,): pairs of earlier queries, of its own, its turn."""

    pairs: Tensor
    before: Tensor
    of: Tensor
    turn: Tensor


@dataclass(frozen=True)
class Batch:
    """The tail queries of some triplets, both directions; Q distinct queries, P query-answer pairs.

    heads, relations  (Q,)  the distinct queries (h, r), relations with the reciprocals
    counts            (Q,)  how many pairs ask this query
    query             (P,)  position of each pair's query
    answer            (P,)  the true tail of each pair
    conditions        (C,)  the distinct heads: G_E's conditions
    condition         (Q,)  position of each query's head in `conditions`
    condition_counts  (C,)  how many pairs have this head
    answers           (A,)  the distinct answers: the real entities D sees
    answer_counts     (A,)  how many pairs have this answer
    """

    heads: Tensor
    relations: Tensor
    counts: Tensor
    query: Tensor
    answer: Tensor
    conditions: Tensor
    condition: Tensor
    condition_counts: Tensor
    answers: Tensor
    answer_counts: Tensor

    @classmethod
    def of_triplets(cls, triplets: Tensor, num_relations: int) -> Batch:
        """From triplets (n, 3): pair i is triplet i's tail query, pair n + i its head query through r⁻¹."""
        h, r, t = triplets.T
        return cls.of_pairs(
            torch.cat([h, t]), torch.cat([r, r + num_relations]), torch.cat([t, h]), num_relations
        )

    @classmethod
    def of_pairs(cls, heads: Tensor, relations: Tensor, answer: Tensor, num_relations: int) -> Batch:
        """From queries, reciprocals among the relations, with an answer of each; (P,) each."""
        key = heads * (2 * num_relations) + relations
        distinct, query, counts = torch.unique(key, return_inverse=True, return_counts=True)
        query_heads = distinct // (2 * num_relations)
        conditions, condition = torch.unique(query_heads, return_inverse=True)
        condition_counts = torch.zeros_like(conditions).index_add_(0, condition, counts)
        answers, answer_counts = torch.unique(answer, return_counts=True)
        return cls(
            heads=query_heads,
            relations=distinct % (2 * num_relations),
            counts=counts,
            query=query,
            answer=answer,
            conditions=conditions,
            condition=condition,
            condition_counts=condition_counts,
            answers=answers,
            answer_counts=answer_counts,
        )

    @cached_property
    def turns(self) -> Turns:
        """Where each pair stands among those of its query."""
        order = self.query.argsort(stable=True)
        before = (self.counts.cumsum(0) - self.counts)[self.query]
        place = torch.empty_like(order)
        place[order] = torch.arange(len(order), device=order.device)
        return Turns(self.counts, before, self.counts[self.query], place - before)


@dataclass(frozen=True)
class Negatives:
    """The negatives of a batch of P pairs with Q distinct queries.

    ids       (P, K)      entity ids, drawn for each pair, or None; (⌈P / shared⌉, K) where pairs share them
    shared                how many pairs in turn share a row of ids; one that is a pair's own answer is no negative
                          of that pair
    vectors   (Q, V, dim) embeddings shared by all pairs of a query, detached, or None
    weights   (P, K)      of the ids, with mean 1 over the batch, detached; None means 1 each
    chances   (P, K)      log m of the ids, from which their weights follow with the scores; then weights is None
    everyone  every entity but the pair's own answer is a negative of the pair; then the others are None
    """

    ids: Tensor | None = None
    vectors: Tensor | None = None
    weights: Tensor | None = None
    chances: Tensor | None = None
    everyone: bool = False
    shared: int = 1

    def ids_of(self, pairs: Tensor) -> Tensor:
        """The ids (n, K) of some pairs (n,)."""
        assert self.ids is not None, "asked of negatives that are entities"
        return self.ids.index_select(0, pairs // self.shared)

    def own(self, batch: Batch) -> Tensor:
        """Which of the ids are the own answer of their pair, (P, K); only where pairs share ids."""
        pairs = torch.arange(len(batch.answer), device=batch.answer.device)
        return self.ids_of(pairs) == batch.answer.unsqueeze(1)
