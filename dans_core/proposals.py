"""Fakes read as a proposal over real entities: its reading, its mixture, and the weights of what is drawn from it.

Negatives are then entities. The weights make up for how they were drawn, so whatever G proposes, the loss estimates the
same thing; the closer a proposal lies to the decoder's own beliefs, the less the estimate varies (method, section 10).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional as F

from dans_core.batch import Batch, Negatives
from dans_core.decoders import Decoder
from dans_core.kernels.scores import Scores
from dans_core.kernels.systematic import systematic

MOST_READ = 1024
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
    mixed = torch.full((len(batch.counts), size), random_share / size, device=batch.counts.device)
    for pathway, log_q in readings.items():
        q = log_q.exp()
        mixed.add_(q[batch.condition] if pathway == "G_E" else q, alpha=(1 - random_share) / len(readings))
    return mixed


def divergence(log_p: Tensor, q: Tensor) -> Tensor:
    """KL from beliefs p to chances q, Σ_t p log(p / q), for every query: (Q, M) each → (Q,)."""
    # Some chances are too small for a number.
    return (log_p.exp() * (log_p - q.clamp_min(torch.finfo(q.dtype).tiny).log())).sum(1)


def without(pathway: str, readings: dict[str, Tensor], batch: Batch, random_share: float) -> Tensor:
    """The mixture as it would be without one of its pathways; uniform where that is the only one."""
    others = {name: log_q for name, log_q in readings.items() if name != pathway}
    return mixture(others or readings, batch, random_share if others else 1.0)


def log_importance(scores: Tensor, chances: Tensor, temperature: float, own: Tensor) -> Tensor:
    """log w_k of w_k = K · softmax_k(T · s_k − log m_k) over the K draws of each pair, w = 0 for its own answer.

    Args:
        scores, chances: s and log m of the draws, shape (P, K). temperature: T.
        own: whether a draw is the pair's own answer, shape (P, K).

    Returns:
        shape (P, K), detached; w sums to K, or to 0 where all draws of a pair are its own answer.
    """
    logits = (temperature * scores.detach()).sub_(chances).masked_fill_(own, -torch.inf)
    found = logits.log_softmax(1).add_(math.log(scores.shape[1]))
    return found.nan_to_num_(nan=-torch.inf, neginf=-torch.inf)


@dataclass(frozen=True)
class Proposals:
    """What the queries of a batch are given negatives from.

    mixed       (Q, M)  m of each query over the candidates
    candidates  (M,)    entity ids, ascending
    order       (M,)    a random order of the candidates, in which they are drawn from
    heads, relations    the queries, by which proposals that were kept are known again
    """

    mixed: Tensor
    candidates: Tensor
    order: Tensor
    heads: Tensor
    relations: Tensor

    def tensors(self) -> dict[str, Tensor]:
        """Its parts by name."""
        return {part.name: getattr(self, part.name) for part in fields(self)}

    def fit(self, batch: Batch) -> bool:
        """Whether they are of the queries of this batch."""
        return torch.equal(self.heads, batch.heads) and torch.equal(self.relations, batch.relations)

    @cached_property
    def _reached(self) -> Tensor:
        reached = self.mixed[:, self.order].double().cumsum(1)
        return reached / reached[:, -1:]

    @cached_property
    def _chances(self) -> Tensor:
        return self.mixed.log().flatten()

    def draw(self, batch: Batch, draws: int, random: torch.Generator) -> Negatives:
        """K entities for every pair, drawn systematically, and the chances they had."""
        start = torch.rand(len(self.mixed), generator=random).to(self.mixed.device)
        place = systematic(self._reached, start, batch.turns, self.order, draws)
        cells = torch.add((batch.query * len(self.order)).unsqueeze(1), place)
        chances = self._chances.gather(0, cells.flatten()).view_as(cells)
        # Where all entities are candidates, a place is an id.
        all_are = int(self.candidates[-1]) == len(self.candidates) - 1
        return Negatives(ids=place if all_are else self.candidates[place], chances=chances)


def weighed(
    given: Negatives, decoder: Decoder, batch: Batch, entities: Tensor, queries: Tensor, temperature: float
) -> Negatives:
    """Draws from proposals with the weights that the loss gives them, for those who look at them."""
    assert given.ids is not None and given.chances is not None, "proposals are over entities"
    scores = Scores(decoder, entities, queries, batch.query, given.ids.shape[1]).of(given.ids)
    own = given.ids == batch.answer.unsqueeze(1)
    return Negatives(ids=given.ids, weights=log_importance(scores, given.chances, temperature, own).exp())
