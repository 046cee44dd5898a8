"""Popular entities as negatives: drawn in proportion to their degree to some power."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from dans_core.batch import Batch, Negatives
from dans_core.config import Config
from dans_core.declaration import Cost, Declaration
from dans_core.decoders import Decoder
from dans_core.facts import TrainFacts
from dans_core.kernels.outside import Outside
from dans_core.samplers.contract import Sampler, Sources
from dans_core.samplers.uniform import draw_others

DECLARATION = Declaration(
    name="popularity",
    title="Popularity",
    about="Entities drawn at random, the more facts of train they are in the more often.",
    settings=("negatives", "filter_known", "popularity_power"),
    cost=Cost(draw=(40e-9, 130e-9)),
)

# Weights are whole numbers of about this sum, so that cutting some of them out is exact.
_TOTAL = 1 << 48


class Popularity(Sampler):
    """The baseline Pop: an entity is drawn ∝ degree^p.

    p = 0.75 as in word2vec (Mikolov et al., 2013, https://arxiv.org/abs/1310.4546), which took the share of a word's
    occurrences to this power.

    The degree of an entity is the number of train triplets that it is part of, as head, tail or both; a loop counts
    once. What train never shows has weight 0, unless p is 0. Never drawn is the pair's own answer, nor, with the
    filter, a known one: the law is that of all entities, given that it is none of these. Where nothing that is
    left has weight, as for the only entity of a graph of loops, a pair's negatives are uniform over what is left.

    A step costs P · K random numbers and as many binary searches in N sums, and what `Outside` says with the filter;
    memory is O(P · K + N).
    """

    declaration = DECLARATION

    def __init__(self, config: Config, facts: TrainFacts, decoder: Decoder, random: Sources) -> None:
        super().__init__(config, facts, decoder, random)
        share = _degrees(facts) ** config.popularity_power
        # The cuts of all queries stand on one line of 64-bit numbers.
        total = min(_TOTAL, 2**61 // (len(facts.distinct_queries) + 2))
        rounded = np.ceil(share / share.sum() * (total - facts.num_entities))
        self._weights = facts.tensor(rounded.astype(np.int64))
        self._ends = self._weights.cumsum(0)
        self._outside = Outside(facts, self._weights) if config.filter_known else None

    def negatives(self, batch: Batch, entities: Tensor, queries: Tensor) -> Negatives:
        """N_s fresh ids for every pair."""
        config, random = self.config, self.random.negatives
        ids, stuck = self._draw(batch.answer, config.negatives, random)
        if self._outside is not None:
            ids, stuck = self._outside.redraw(ids, batch, self.facts, random)
        if stuck.any():
            others = draw_others(batch, config.negatives, self.facts, random, config.filter_known)
            ids = torch.where(stuck.unsqueeze(1), others, ids)
        return Negatives(ids=ids)

    def _draw(self, answer: Tensor, k: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
        """(P,) answers → (P, k) ids, never the answer, and whether nothing but the answer has weight, (P,)."""
        own = self._weights[answer]
        left = self._ends[-1] - own
        share = torch.rand(len(answer), k, generator=random, dtype=torch.double).to(answer.device)
        point = (share * left.unsqueeze(1)).long()
        # The stretch of the answer is cut out of the line of all weights: what lies behind it moves up.
        point += own.unsqueeze(1) * (point >= (self._ends[answer] - own).unsqueeze(1))
        return torch.searchsorted(self._ends, point, right=True).clamp_max(len(self._ends) - 1), left == 0


def _degrees(facts: TrainFacts) -> np.ndarray:
    """(N,) float64: the train triplets that each entity is part of."""
    # Of both directions the heads are all heads and all tails, so a loop stands there twice.
    heads, _, tails = facts.queries.T
    twice = np.bincount(heads, minlength=facts.num_entities)
    loops = np.bincount(heads[heads == tails], minlength=facts.num_entities) // 2
    return (twice - loops).astype(np.float64)
