"""Fakes read as a proposal over real entities: its reading, its mixture, and the weights of what is drawn from it.

Negatives are then entities. The weights make up for how they were drawn, so whatever G proposes, the loss estimates the
same thing; the closer a proposal lies to the decoder's own beliefs, the less the estimate varies (method, section 10).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from dans_core.batch import Batch, Negatives
from dans_core.decoders import Decoder
from dans_core.kernels.scores import Scores
from dans_core.kernels.systematic import systematic

MOST_READ = 4096
"""Entities that a proposal is over; a graph with more has this many drawn for each step."""


def log_reading(fakes: Tensor, entities: Tensor, tau: float) -> Tensor:
    """log q(t | c) = log softmax_t(cos(ẽ_c, e_t) / τ): fakes (C, dim) and entities (M, dim) → (C, M)."""
    cosines = F.normalize(fakes, dim=-1) @ F.normalize(entities, dim=-1).T
    return (cosines / tau).log_softmax(-1)


def beliefs(decoder: Decoder, queries: Tensor, entities: Tensor) -> Tensor:
    """p(t | q) = softmax_t of the decoder's scores: queries (Q, dim) and entities (M, dim) → (Q, M)."""
    return decoder.score_all(queries, entities).softmax(1)


def of_conditions(pathway: str, batch: Batch, of_queries: Tensor) -> Tensor:
    """Σ n_q x_q over the queries of each condition, n_q being the pairs of a query: (Q, M) → (C, M)."""
    weighed = of_queries * batch.counts.unsqueeze(1)
    if pathway == "G_R":
        return weighed
    summed = weighed.new_zeros(len(batch.conditions), weighed.shape[1])
    return summed.index_add_(0, batch.condition, weighed)


def mixture(readings: dict[str, Tensor], batch: Batch, random_share: float) -> Tensor:
    """m = (1 − share) · the mean of q over the pathways + share · uniform, for every query; (Q, M).

    `readings` are log q of each pathway, (C, M).
    """
    size = next(iter(readings.values())).shape[1]
    mixed = batch.counts.new_full((len(batch.counts), size), 0).to(torch.get_default_dtype())
    mixed.fill_(random_share / size)
    for pathway, log_q in readings.items():
        q = log_q.exp()
        mixed.add_(q[batch.condition] if pathway == "G_E" else q, alpha=(1 - random_share) / len(readings))
    return mixed


def importance(logits: Tensor, own: Tensor) -> Tensor:
    """w_k = K · softmax_k(T · s_k − log(K · m_k)) over the K draws of each pair, and 0 for its own answer.

    Args:
        logits: T · s − log(K · m) of the draws, shape (P, K).
        own: whether a draw is the pair's own answer, shape (P, K).

    Returns:
        shape (P, K); a row sums to K, or to 0 where all its draws are the own answer.
    """
    k = logits.shape[1]
    return k * logits.masked_fill(own, -torch.inf).softmax(1).masked_fill(own, 0.0)


@dataclass(frozen=True)
class Proposals:
    """What the queries of a batch are given negatives from.

    mixed       (Q, M)  m of each query over the candidates
    candidates  (M,)    entity ids, or None for all entities
    heads, relations    the queries, by which a proposal that was kept is known again
    """

    mixed: Tensor
    candidates: Tensor | None
    heads: Tensor
    relations: Tensor

    def to(self, device: torch.device) -> Proposals:
        """The same on a device."""
        candidates = None if self.candidates is None else self.candidates.to(device)
        return Proposals(self.mixed.to(device), candidates, self.heads.to(device), self.relations.to(device))

    def fit(self, batch: Batch) -> bool:
        """Whether they are of the queries of this batch."""
        return torch.equal(self.heads, batch.heads) and torch.equal(self.relations, batch.relations)

    def draw(
        self,
        decoder: Decoder,
        batch: Batch,
        entities: Tensor,
        queries: Tensor,
        draws: int,
        temperature: float,
        random: torch.Generator,
    ) -> Negatives:
        """K weighed entities for every pair, drawn for its query, the candidates in a new random order.

        The pairs of a query have the same draws, as they have the same fakes; the weights are of each pair's own, since
        an answer is no negative of itself.
        """
        count, size = self.mixed.shape
        order = torch.randperm(size, generator=random).to(queries.device)
        start = torch.rand(count, generator=random).to(queries.device)
        each = torch.arange(count, device=queries.device)
        place = order[systematic(self.mixed[:, order], each, start, draws)]
        chances = self.mixed.gather(1, place)
        ids = place if self.candidates is None else self.candidates[place]
        scores = Scores(decoder, entities, queries, each, draws).of(ids)
        logits = temperature * scores - (draws * chances).log()
        of_pairs = F.embedding(batch.query, ids)
        own = of_pairs == batch.answer.unsqueeze(1)
        return Negatives(ids=of_pairs, weights=importance(F.embedding(batch.query, logits), own))
