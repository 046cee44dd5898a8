"""The base loss: positives against their negatives, every distinct query scored once."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from dans_core.batch import Batch, Negatives
from dans_core.decoders import Decoder
from dans_core.kernels.rows import sum_over_rows
from dans_core.kernels.scores import Scores, shared_scores
from dans_core.proposals import log_importance


def base_loss(
    decoder: Decoder,
    kind: str,
    batch: Batch,
    entities: Tensor,
    queries: Tensor,
    negatives: Negatives,
    temperature: float = 1.0,
) -> Tensor:
    """The base loss, without the L2 term: the mean over all pairs × (1 + N_s) terms (method, section 2).

    Every distinct query is scored once; a query's fakes count once for each of its pairs. Where everyone is a negative,
    N_s is N − 1. Where pairs share negatives, one that is a pair's own answer adds nothing to the sum.

    Args:
        kind: "bce" judges every candidate alone, "softmax" an answer against its own negatives.
        entities, queries: (N, dim) and (Q, dim), with their history.
        temperature: T of the weights that follow from `negatives.chances`.
    """
    if negatives.everyone:
        return _against_all(decoder, kind, batch, entities, queries)
    ids, weights = negatives.ids, negatives.weights
    width = 0 if ids is None else ids.shape[1]
    shared = negatives.shared > 1
    scores = Scores(decoder, entities, queries, batch.query, 1 if shared else 1 + width)
    positive = scores.of(batch.answer.unsqueeze(1)).squeeze(1)
    by_id = None
    if ids is not None and shared:
        by_id = shared_scores(decoder, entities, queries, batch.query, ids, negatives.shared)
        # A score of −∞ is as good as no negative, in either loss.
        by_id = by_id.masked_fill(negatives.own(batch), -torch.inf)
    elif ids is not None and (kind == "softmax" or negatives.chances is not None):
        by_id = scores.of(ids)
    log_weights = None if weights is None else weights.log()
    if by_id is not None and ids is not None and negatives.chances is not None:
        own = ids == batch.answer.unsqueeze(1)
        log_weights = log_importance(by_id, negatives.chances, temperature, own)
        weights = log_weights.exp() if kind == "bce" else None
    by_vector = None
    if negatives.vectors is not None:
        by_vector = decoder.score_own(queries, negatives.vectors)
    if kind == "softmax":
        return _softmax_loss(batch, positive, by_id, by_vector, log_weights)
    total = F.softplus(-positive).sum()
    terms = len(positive) * (1 + width)
    if by_id is not None:
        losses = F.softplus(by_id)
        total = total + (losses if weights is None else weights * losses).sum()
    elif ids is not None:
        total = total + scores.sum_of_softplus(ids, weights)
    if by_vector is not None:
        total = total + batch.counts.to(by_vector.dtype) @ F.softplus(by_vector).sum(1)
        terms += len(positive) * by_vector.shape[1]
    return total / terms


def _softmax_loss(
    batch: Batch, positive: Tensor, by_id: Tensor | None, by_vector: Tensor | None, log_weights: Tensor | None
) -> Tensor:
    """Cross-entropy of each answer against its own negatives."""
    parts = [positive.unsqueeze(1)]
    if by_id is not None:
        parts.append(by_id if log_weights is None else by_id + log_weights)
    if by_vector is not None:
        parts.append(by_vector[batch.query])
    return (torch.logsumexp(torch.cat(parts, dim=1), dim=1) - positive).mean()


def _against_all(decoder: Decoder, kind: str, batch: Batch, entities: Tensor, queries: Tensor) -> Tensor:
    """The base loss of each answer against every other entity, each query scored once in blocks of bounded memory.

    Cross-entropy is logsumexp over the row of a query − s for each pair of score s. Binary cross-entropy comes to the
    same form: softplus(−s) = softplus(s) − s makes it Σ softplus over the whole row − s.
    """
    positive = decoder.score_chosen(queries, entities, batch.query, batch.answer.unsqueeze(1))

    def of_rows(scores: Tensor) -> Tensor:
        return torch.logsumexp(scores, dim=1) if kind == "softmax" else F.softplus(scores).sum(1)

    counts = batch.counts.to(queries.dtype)
    rows = sum_over_rows(decoder.score_all, of_rows, counts, queries, entities)
    terms = len(batch.answer) * (1 if kind == "softmax" else len(entities))
    return (rows - positive.sum()) / terms
