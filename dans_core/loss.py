"""The base loss: positives against their negatives, every distinct query scored once."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from dans_core.batch import Batch
from dans_core.decoders import Decoder
from dans_core.samplers import Negatives

# All queries are scored against all entities up to this many scores (64 MiB of float32) …
_TABLE = 1 << 24
# … unless few of those are asked for: a score of a chosen pair costs about as much as so many of a table.
_CHOSEN_COST = 8


def base_loss(
    decoder: Decoder, kind: str, batch: Batch, entities: Tensor, queries: Tensor, negatives: Negatives
) -> Tensor:
    """The base loss, without the L2 term: the mean over all pairs × (1 + N_s) terms (method, section 2).

    Every distinct query is scored once; a query's fakes count once for each of its pairs.

    Parameters
    ----------
    kind: "bce" judges every candidate alone, "softmax" an answer against its own negatives.
    entities, queries: (N, dim) and (Q, dim), with their history.
    """
    per_pair = 1 + (0 if negatives.ids is None else negatives.ids.shape[1])
    scores = _Scores(decoder, batch, entities, queries, per_pair)
    positive = scores.of(batch.answer.unsqueeze(1)).squeeze(1)
    by_vector = None
    if negatives.vectors is not None:
        by_vector = decoder.score_own(queries, negatives.vectors)
    if kind == "softmax":
        return _softmax_loss(batch, positive, scores, by_vector, negatives)
    total = F.softplus(-positive).sum()
    terms = len(positive) * per_pair
    if negatives.ids is not None:
        total = total + scores.sum_of_softplus(negatives.ids, negatives.weights)
    if by_vector is not None:
        total = total + batch.counts.to(by_vector.dtype) @ F.softplus(by_vector).sum(1)
        terms += len(positive) * by_vector.shape[1]
    return total / terms


def _softmax_loss(
    batch: Batch, positive: Tensor, scores: _Scores, by_vector: Tensor | None, negatives: Negatives
) -> Tensor:
    """Cross-entropy of each answer against its own negatives."""
    parts = [positive.unsqueeze(1)]
    if negatives.ids is not None:
        by_id = scores.of(negatives.ids)
        parts.append(by_id if negatives.weights is None else by_id + negatives.weights.log())
    if by_vector is not None:
        parts.append(by_vector[batch.query])
    return (torch.logsumexp(torch.cat(parts, dim=1), dim=1) - positive).mean()


class _Scores:
    """Scores of a batch's pairs with chosen entities, looked up in a table of all of them where that pays."""

    def __init__(
        self, decoder: Decoder, batch: Batch, entities: Tensor, queries: Tensor, per_pair: int
    ) -> None:
        self._decoder, self._batch, self._entities, self._queries = decoder, batch, entities, queries
        cells = len(queries) * len(entities)
        self._table: Tensor | None = None
        if cells <= min(_TABLE, _CHOSEN_COST * per_pair * len(batch.answer)):
            self._table = decoder.score_all(queries, entities).flatten()

    def of(self, ids: Tensor) -> Tensor:
        """Scores (P, K) of each pair's query with its ids (P, K)."""
        if self._table is None:
            return self._decoder.score_chosen(self._queries, self._entities, self._batch.query, ids)
        return self._table.gather(0, self._cells(ids)).view_as(ids)

    def sum_of_softplus(self, ids: Tensor, weights: Tensor | None) -> Tensor:
        """Σ weight · softplus(score), a scalar; each cell of a table is visited once, however often it was drawn."""
        if self._table is None:
            losses = F.softplus(self.of(ids))
            return (losses if weights is None else weights * losses).sum()
        each = self._table.new_ones(()).expand(ids.numel()) if weights is None else weights.flatten()
        tally = torch.zeros_like(self._table).scatter_add_(0, self._cells(ids), each)
        return tally @ F.softplus(self._table)

    def _cells(self, ids: Tensor) -> Tensor:
        return ((self._batch.query * len(self._entities)).unsqueeze(1) + ids).flatten()
