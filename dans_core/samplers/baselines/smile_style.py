"""SMiLE-style: half of the negatives of the answer's own concept, half of any other.

After the negatives in Peng, Liu, Xie, Xu, Wang & Peng, "SMiLE: Schema-augmented Multi-level Contrastive Learning for
Knowledge Graph Link Prediction", Findings of EMNLP 2022 (arXiv 2210.04870; github.com/GKNL/SMiLE).

Called "-style" since SMiLE is no sampler: it pre-trains an encoder by contrasting the contexts of entities, against
others of the same schema (intra-schema, hard) and of another (inter-schema), and then fine-tunes it on triplets. What
is taken over is that mixture, as tails of a query. A schema there is a pattern of entity types, which the graphs here
do not have; here it is an entity's concept, as in CAKE-style: from the names where all have one (NELL-995), else the
role signature, rare ones joined with a commoner one that is like them (`roles`).

Decided here:

- N_s // 2 negatives are intra-schema and the rest inter-schema, however few entities there are to draw from: in the
  source, too, the two contrasts have fixed weights (½ each by default; its pre-training gives inter-schema 0.8). Only
  for an empty set, all entities take its place.
- Inter-schema is any other concept. In the source such a negative still shares a type with the entity, in another
  schema; one concept an entity leaves no such case.
- Other answers of the query may be drawn, in train or not: the source knows no facts when it chooses. On UMLS many of
  an answer's concept are answers, too: 32 % of all negatives are facts of train. But with those left out, half of the
  intra-schema ones are facts of valid and test, and the best valid MRR of 150 epochs falls from 0.80 to 0.66 (0.90 with
  uniform negatives; one seed each).

Measured share of negatives drawn from all entities: UMLS 2 % (41 % if rare signatures did not join), WN18RR and
NELL-995 below 0.1 %.

Cost of a step: one random number a negative. Memory: 24 bytes an entity.
"""

from __future__ import annotations

import torch
from torch import Tensor

from dans_core.batch import Batch, Negatives
from dans_core.config import Config
from dans_core.declaration import Cost, Declaration
from dans_core.decoders import Decoder
from dans_core.facts import TrainFacts
from dans_core.samplers.baselines.pools import draw_around
from dans_core.samplers.baselines.roles import Concepts
from dans_core.samplers.contract import Sampler, Sources
from dans_core.samplers.uniform import draw_uniform

DECLARATION = Declaration(
    name="smile-style",
    title="SMiLE-style",
    about="Half of the negatives play the same roles as the answer and half do not, after SMiLE.",
    cost=Cost(
        draw=(15e-9, 60e-9),
        kept_bytes=lambda config, work: 250 * work.train + 48 * work.entities,
    ),
)


class SmileStyle(Sampler):
    """N_s ids a pair: first N_s // 2 of the concept of its answer, then the rest of other concepts."""

    declaration = DECLARATION

    def __init__(self, config: Config, facts: TrainFacts, decoder: Decoder, random: Sources) -> None:
        super().__init__(config, facts, decoder, random)
        self._concepts = Concepts.of_facts(facts)

    def negatives(self, batch: Batch, entities: Tensor, queries: Tensor) -> Negatives:
        """N_s fresh ids for every pair."""
        concept, place = self._concepts.of[batch.answer], self._concepts.place[batch.answer]
        low, high = self._concepts.starts[concept], self._concepts.starts[concept + 1]
        first, last = torch.zeros_like(low), torch.full_like(low, len(entities))
        intra = self.config.negatives // 2
        ids = [
            self._half(batch.answer, intra, low, high, place, place + 1),
            self._half(batch.answer, self.config.negatives - intra, first, last, low, high),
        ]
        return Negatives(ids=torch.cat(ids, dim=1))

    def _half(
        self, answer: Tensor, k: int, low: Tensor, high: Tensor, cut_low: Tensor, cut_high: Tensor
    ) -> Tensor:
        """(P, k) entities at places low … high without cut_low … cut_high; where there are none, any but the answer."""
        random, none = self.random.negatives, (high - low == cut_high - cut_low).nonzero().squeeze(1)
        places = draw_around(low, high, cut_low, cut_high, k, random)
        ids = self._concepts.order[places.clamp_max_(len(self._concepts.order) - 1)]
        ids[none] = draw_uniform(answer[none], k, self.facts.num_entities, random)
        return ids
