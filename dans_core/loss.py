"""The base loss: positives against their negatives, every distinct query scored once."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from dans_core.batch import Batch
from dans_core.config import Config
from dans_core.model import Model
from dans_core.samplers import Negatives

# Up to this many scores, every query is scored against every entity at once (64 MiB of float32).
_ALL_PAIRS = 1 << 24


def base_loss(model: Model, config: Config, batch: Batch, entities: Tensor, negatives: Negatives) -> Tensor:
    """The base loss, without the L2 term: the mean over all pairs × (1 + N_s) terms (method, section 2).

    Every distinct query is scored once; a query's fakes count once for each of its pairs.
    """
    queries = model.queries(entities, batch.heads, batch.relations)
    positive, by_id = _score_ids(model, queries, entities, batch, negatives.ids)
    by_vector = None
    if negatives.vectors is not None:
        by_vector = model.decoder.score(queries.unsqueeze(1), negatives.vectors)
    if config.loss == "softmax":
        return _softmax_loss(batch, positive, by_id, by_vector, negatives.weights)
    total = F.softplus(-positive).sum()
    terms = len(positive)
    if by_id is not None:
        losses = F.softplus(by_id)
        total = total + (losses if negatives.weights is None else negatives.weights * losses).sum()
        terms += by_id.numel()
    if by_vector is not None:
        total = total + batch.counts.to(by_vector.dtype) @ F.softplus(by_vector).sum(1)
        terms += len(positive) * by_vector.shape[1]
    return total / terms


def _softmax_loss(
    batch: Batch, positive: Tensor, by_id: Tensor | None, by_vector: Tensor | None, weights: Tensor | None
) -> Tensor:
    """Cross-entropy of each answer against its own negatives."""
    parts = [positive.unsqueeze(1)]
    if by_id is not None:
        parts.append(by_id if weights is None else by_id + weights.log())
    if by_vector is not None:
        parts.append(by_vector[batch.query])
    logits = torch.cat(parts, dim=1)
    return (torch.logsumexp(logits, dim=1) - positive).mean()


def _score_ids(
    model: Model, queries: Tensor, entities: Tensor, batch: Batch, ids: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    """Scores of each pair's answer (P,) and of its negative ids (P, K)."""
    if len(queries) * len(entities) <= _ALL_PAIRS:
        table = model.decoder.score_all(queries, entities).flatten()
        rows = batch.query * len(entities)
        positive = table.gather(0, rows + batch.answer)
        if ids is None or ids.shape[1] == 0:
            return positive, None
        return positive, table.gather(0, (rows.unsqueeze(1) + ids).flatten()).view_as(ids)
    pair_queries = F.embedding(batch.query, queries)
    positive = model.decoder.score(pair_queries, F.embedding(batch.answer, entities))
    if ids is None or ids.shape[1] == 0:
        return positive, None
    return positive, model.decoder.score(pair_queries.unsqueeze(1), F.embedding(ids, entities))
