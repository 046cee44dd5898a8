"""SANS: negatives from the neighbourhood of the entity that a query keeps.

Ahrabian, Feizi, Salehi, Hamilton & Bose, "Structure Aware Negative Sampling in Knowledge Graphs", EMNLP 2020 (arXiv
2009.11355; github.com/kahrabian/SANS, whose code is here as its copies PTSTS/SANSoL and n175276/Density_SANS have it).
The query (h, r, ?) keeps h, and what lies near h looks plausible as its tail. Two variants:

- `walks` = 0: evenly over h and all entities within `hops` edges of it, whatever their relations and directions.
- `walks` > 0 (RW-SANS): that many random walks of exactly `hops` edges begin at each entity, each step to one of the
  distinct neighbours evenly, and an end is drawn as often as walks came there. They are made once, with the sampler.

As in the released code, h itself is among the negatives, which walks of an even length may return to: without it the
model never learns that (h, r, h) is false (best valid MRR on UMLS 0.83 instead of 0.87, two seeds). Also as there,
answers of the query in train are left out, and where nothing else remains, all other entities take its place. Decided
otherwise:

- Every walk begins at its entity. There, from the second walk on, the first step is made from where the walk before
  ended, so that ends drift beyond `hops` edges.
- Ends count as often as they were reached; the code counts, and then draws evenly over the distinct ends.
- Where nothing but h remains, all other entities take its place, too.

On a graph as dense as UMLS two edges reach everyone (134 of 134 on the mean), so `walks` = 0 is uniform there, less the
known answers; walks prefer what has many neighbours. Measured share of negatives drawn from all entities: UMLS 0,
WN18RR 0.1 %, NELL-995 3 %.

Cost of a step: one random number and two binary searches (one with `walks` = 0) a negative. Time to begin, with 1,000
walks of 2 edges: UMLS 0.1 s, WN18RR 3 s, NELL-995 5 s. Memory: 16 bytes for each pair of an entity and a distinct end
of its walks (NELL-995: 14 million), 8 for each neighbour where there are no walks, 48 a fact of train and direction.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from dans_core.batch import Batch, Negatives
from dans_core.config import Config
from dans_core.declaration import Cost, Declaration, Work
from dans_core.decoders import Decoder
from dans_core.facts import TrainFacts
from dans_core.samplers.baselines.neighbourhood import neighbours
from dans_core.samplers.baselines.pools import Everyone, Pools
from dans_core.samplers.contract import Sampler, Sources

DECLARATION = Declaration(
    name="sans",
    title="SANS",
    about="Entities a few steps away from the kept entity in the graph.",
    settings=("negatives", "hops", "walks"),
    cost=Cost(
        draw=(55e-9, 220e-9),
        kept_bytes=lambda config, work: 24 * _ends(config, work) + 150 * work.train,
        begin_bytes=lambda config, work: (
            8 * _ends(config, work) + 20 * 8 * min(1 << 20, work.entities * config.walks)
        ),
    ),
)

# Walks that are under way at once: 8 MiB of places.
_AT_ONCE = 1 << 20


class Sans(Sampler):
    """N_s ids a pair from the neighbourhood of its head, none of them an answer in train."""

    declaration = DECLARATION

    def __init__(self, config: Config, facts: TrainFacts, decoder: Decoder, random: Sources) -> None:
        super().__init__(config, facts, decoder, random)
        n, weights = facts.num_entities, None
        if config.walks:
            entries, weights = walk_ends(facts, config.walks, config.hops, random.negatives)
        else:
            offsets, entries = neighbours(facts, config.hops)
            entries += torch.arange(n).repeat_interleave(offsets.diff()) * n
            near, itself = entries.numpy(), offsets.diff().nonzero().squeeze(1).numpy() * (n + 1)
            entries = torch.from_numpy(np.insert(near, np.searchsorted(near, itself), itself))
        weights = None if weights is None else weights.to(facts.device)
        heads = facts.distinct_queries // (2 * facts.num_relations)
        self._near = Pools(facts, heads, entries.to(facts.device), weights=weights)
        self._everyone = Everyone(facts)

    def negatives(self, batch: Batch, entities: Tensor, queries: Tensor) -> Negatives:
        """N_s fresh ids for every pair."""
        k, row, head = self.config.negatives, self._everyone.rows(batch), batch.heads[batch.query]
        choice = self._near.choice(row, head, batch.answer)
        itself = self._near.free_before(row, head, head + 1) - self._near.free_before(row, head, head)
        others = choice.size - itself.masked_fill(head == batch.answer, 0)
        enough = torch.where(others > 0, k, 0)
        return Negatives(
            ids=self._everyone.fill_up(choice, self._near, enough, batch.answer, k, self.random.negatives)
        )


def walk_ends(facts: TrainFacts, walks: int, hops: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
    """Where `walks` random walks of `hops` edges from each entity end: start · N + end, ascending, and how many did.

    Both of shape (M,), int64, on the CPU, where the walks are drawn. From an entity without neighbours no walk begins.
    """
    offsets, ids = neighbours(facts, 1)
    n, degrees = facts.num_entities, offsets.diff()
    owner = torch.arange(n).repeat_interleave(degrees)
    most = degrees.clamp_max(walks)
    for _ in range(hops - 1):
        most = torch.zeros_like(degrees).index_add_(0, owner, most[ids]).clamp_max_(walks)
    # Made once: small pieces kept between the large ones of the loop would hold those apart, and so their memory.
    found, counts = torch.empty(2, int(most.sum()), dtype=torch.int64)
    done = 0
    for starts in degrees.nonzero().squeeze(1).split(max(1, _AT_ONCE // walks)):
        at = starts.repeat_interleave(walks)
        for _ in range(hops):
            step = torch.rand(len(at), dtype=torch.float64, generator=random).mul_(degrees[at]).long()
            at = ids[step.add_(offsets[at])]
        ends = at.view(len(starts), walks).sort(dim=1).values.add_((starts * n).unsqueeze(1))
        distinct, count = ends.flatten().unique_consecutive(return_counts=True)
        part = slice(done, done + len(distinct))
        found[part], counts[part] = distinct, count
        done = part.stop
    return found[:done], counts[:done]


def _ends(config: Config, work: Work) -> float:
    """Pairs of an entity and another among which its negatives are: distinct ends of its walks, or all that is near."""
    return min(0.55 * work.near, 0.3 * work.entities * config.walks) if config.walks else work.near
