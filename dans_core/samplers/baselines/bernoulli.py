"""Bernoulli's trick as weights: the side on which a random entity is less likely a true answer counts more."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from dans_core.batch import Batch, Negatives
from dans_core.config import Config
from dans_core.declaration import Cost, Declaration
from dans_core.decoders import Decoder
from dans_core.facts import TrainFacts
from dans_core.samplers.contract import Sampler, Sources
from dans_core.samplers.uniform import draw_others

DECLARATION = Declaration(
    name="bernoulli",
    title="Bernoulli",
    about="Random entities; each query counts by how many answers its relation has on either side.",
    settings=("negatives", "filter_known"),
    cost=Cost(draw=(5e-9, 20e-9)),
)


class Bernoulli(Sampler):
    """Uniform negatives, weighted by the tails per head and heads per tail of the relation.

    Wang et al. (TransH, AAAI 2014, section "Reducing False Negative Labels") replace the head of a triplet with
    probability tph / (tph + hpt) and else its tail, where tph is the mean number of tails of a head of the relation in
    train, and hpt that of heads of a tail. Here both sides are always replaced, so the same numbers, doubled, are
    the weights: 2 · tph / (tph + hpt) for the negatives of the head query, 2 · hpt / (tph + hpt) for those of the tail
    query. Together they weigh what two uniform ones do. A relation that train does not have weighs 1 on both sides.

    With H distinct heads and T distinct tails of n triplets, tph = n / H and hpt = n / T, so the head query's weight
    is 2 · T / (H + T). A step costs what `Uniform` costs.
    """

    declaration = DECLARATION

    def __init__(self, config: Config, facts: TrainFacts, decoder: Decoder, random: Sources) -> None:
        super().__init__(config, facts, decoder, random)
        # The heads of a relation, and those of its reciprocal, which are its tails.
        keys = np.unique(facts.queries[:, 1] * facts.num_entities + facts.queries[:, 0])
        count = np.bincount(keys // facts.num_entities, minlength=2 * facts.num_relations)
        other = np.roll(count, facts.num_relations)
        both = count + other
        weights = np.divide(2 * count, both, out=np.ones(len(both)), where=both > 0)
        self._weights = facts.tensor(weights).float()

    def negatives(self, batch: Batch, entities: Tensor, queries: Tensor) -> Negatives:
        """N_s fresh ids for every pair; all of a pair weigh the same."""
        config = self.config
        ids = draw_others(batch, config.negatives, self.facts, self.random.negatives, config.filter_known)
        weights = self._weights[batch.relations[batch.query]].to(entities.dtype)
        return Negatives(ids=ids, weights=weights.unsqueeze(1).expand_as(ids))
