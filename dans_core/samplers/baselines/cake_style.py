"""CAKE-style: negatives of the answer's own concept where an answer is unique, of others where there are many.

After the negative sampling in Niu, Li, Zhang & Pu, "CAKE: A Scalable Commonsense-Aware Framework for Multi-View
Knowledge Graph Completion", ACL 2022 (arXiv 2202.13785; github.com/ngl567/CAKE). Where a query has one answer (the
1-side of a relation), others of its concept are hard and still false. Where it has many (the N-side), others of its
concept may well be true, so the negatives are of the other concepts in the relation's range.

Called "-style" since CAKE is given the concepts of entities, which WN18RR and UMLS do not have, and ranks by them too.
Here a concept is read from the names where all have one (NELL-995); else it is the role signature, the set of relation
slots that an entity fills in train, where rare signatures join a commoner one that is like them (`roles`). On UMLS 83 %
of the answers are alone with their signature; 5 % are alone in the 29 concepts that joining leaves, among them
organisms, chemicals, diseases and organisations.

As in the source: a relation's range is all entities of the concepts that its answers in train have; no more are drawn
from a set than it has members, with replacement; what is missing is drawn from all entities; answers of the query in
train are left out. Decided where the source is silent or at odds with itself:

- A side is a 1-side if the relation's queries have fewer than 1.5 answers on the mean (Bordes et al. 2013). The
  released code reads the classes of relations from a file, without the rule that made it. Where it replaces tails, it
  has N-N in the place of 1-1; here both directions are treated alike, which reciprocal relations make one case.
- The members of a set are counted without the answers of the query in train, so no draw is lost.

Measured share of negatives drawn from all entities, 20 a query: UMLS 29 % (mostly sets of fewer than 20; without
joining 40 %), WN18RR 0.4 %, NELL-995 6 %. Of UMLS's pairs 2 % ask a 1-side, of WN18RR's 33 %, of NELL-995's 26 %.

Cost of a step: one random number and one binary search a negative. Memory: 8 bytes for each pair of a relation and a
member of its range (NELL-995: 2.5 million), 48 a fact of train and direction, and what `pools` keeps for small graphs.
"""

from __future__ import annotations

import torch
from torch import Tensor

from dans_core.batch import Batch, Negatives
from dans_core.config import Config
from dans_core.declaration import Cost, Declaration
from dans_core.decoders import Decoder
from dans_core.facts import TrainFacts
from dans_core.samplers.baselines.pools import Everyone, Pools
from dans_core.samplers.baselines.roles import Concepts
from dans_core.samplers.contract import Sampler, Sources

DECLARATION = Declaration(
    name="cake-style",
    title="CAKE-style",
    about="Entities that play the same roles as the answer, or else fit the relation, after CAKE; roles stand in for "
    "concepts.",
    cost=Cost(
        draw=(60e-9, 190e-9),
        kept_bytes=lambda config, work: 250 * work.train + 48 * work.entities,
    ),
)

ONE_SIDE = 1.5
"""Mean answers of a relation's queries from which on it is an N-side (Bordes et al. 2013)."""


class CakeStyle(Sampler):
    """N_s ids a pair, of its answer's concept or of the others in the relation's range."""

    declaration = DECLARATION

    def __init__(self, config: Config, facts: TrainFacts, decoder: Decoder, random: Sources) -> None:
        super().__init__(config, facts, decoder, random)
        self._concepts = Concepts.of_facts(facts)
        self._everyone = Everyone(facts, self._concepts.order)
        relations = facts.distinct_queries % (2 * facts.num_relations)
        self._ranges = Pools(facts, relations, _ranges(facts, self._concepts), self._concepts.order)
        self._one_side = mean_answers(facts) < ONE_SIDE

    def negatives(self, batch: Batch, entities: Tensor, queries: Tensor) -> Negatives:
        """N_s fresh ids for every pair."""
        k, row, relation = self.config.negatives, self._everyone.rows(batch), batch.relations[batch.query]
        one = self._one_side[relation]
        ids = batch.answer.new_empty(len(row), k)
        everyone, random = self._everyone, self.random.negatives
        answer = batch.answer[one]
        same, _ = self._concepts.split(everyone, row[one], torch.zeros_like(answer), answer)
        ids[one] = everyone.fill_up(same, everyone, same.size, answer, k, random)
        answer = batch.answer[~one]
        _, other = self._concepts.split(self._ranges, row[~one], relation[~one], answer)
        ids[~one] = everyone.fill_up(other, self._ranges, other.size, answer, k, random)
        return Negatives(ids=ids)


def mean_answers(facts: TrainFacts) -> Tensor:
    """Answers in train of each relation's queries on the mean, (2|R|,); 0 without a query."""
    both = 2 * facts.num_relations
    answers = facts.tensor(facts.known.keys % both).bincount(minlength=both)
    queries = (facts.distinct_queries % both).bincount(minlength=both)
    return answers / queries.clamp_min(1)


def _ranges(facts: TrainFacts, concepts: Concepts) -> Tensor:
    """r · N + place of every entity whose concept some answer of r has, ascending."""
    relations, answers = facts.tensor(facts.queries[:, 1:]).T
    pairs = torch.unique(torch.stack([relations, concepts.of[answers]], dim=1), dim=0)
    relation, concept = pairs.T
    first, size = concepts.starts[concept], concepts.starts.diff()[concept]
    base = relation * facts.num_entities + first - (size.cumsum(0) - size)
    return base.repeat_interleave(size) + torch.arange(int(size.sum()), device=base.device)
