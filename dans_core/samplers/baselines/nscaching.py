"""NSCaching: each query keeps a cache of entities that the model finds likely, and draws its negatives there."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from dans_core.batch import Batch, Negatives
from dans_core.config import Config
from dans_core.declaration import Cost, Declaration
from dans_core.decoders import Decoder
from dans_core.facts import TrainFacts
from dans_core.kernels.scores import Scores
from dans_core.samplers.contract import Sampler, Sources
from dans_core.samplers.uniform import draw_uniform

DECLARATION = Declaration(
    name="nscaching",
    title="NSCaching",
    about="A cache for each query keeps entities that score high, and negatives are drawn from it.",
    settings=("negatives", "cache_size", "cache_fresh"),
    cost=Cost(
        draw=(98e-9, 20e-9),
        draws=lambda config, work: work.asked * (config.cache_size + config.cache_fresh),
        scored=lambda config, work: work.asked * (config.cache_size + config.cache_fresh),
        step_bytes=lambda config, work: 50e6,
        kept_bytes=lambda config, work: 2 * 4 * work.queries * config.cache_size,
        saved=lambda config, work: 2 * work.queries * config.cache_size,
    ),
)

# Candidates of this many cells are scored at a time; with their keys and order, some 30 MiB.
_BLOCK = 1 << 20


class NSCaching(Sampler):
    """Uniform draws from a cache of N1 entities for each query of train, which importance sampling keeps hard.

    Zhang et al., ICDE 2019, https://arxiv.org/abs/1812.06410, algorithms 2 and 3; AutoML-Research/NSCaching.

    In each step, as in the source, first the negatives are drawn, then the caches of the batch's queries are updated:
    of N1 cached and N2 fresh uniform entities, N1 are sampled without replacement ∝ softmax(score), with the
    vectors of this step. The N1 largest of score + Gumbel noise are such a sample (Kool et al., ICML 2019,
    https://arxiv.org/abs/1903.06059), and quicker to have than one after the other.

    Where this differs from the source, or the source leaves it open:

    - A query is updated once a step, however many pairs ask it; the source updates it for each, and the last one stays.
    - The entities of a cache are distinct, at first and ever after: one that is a candidate twice competes once. In the
      source it may take several places, so that on a graph of 135 entities a cache would soon be copies of a few.
      A cache is never larger than the number of entities.
    - A cache may hold known answers of its query, as in the source; a pair that draws its own answer takes
      a uniform other entity instead.
    - All K negatives of a pair are drawn from the cache with replacement; the source draws one, on one side, chosen as
      `Bernoulli` tells.
    - A query that train does not have has no cache: its negatives are uniform.

    A step costs P · K draws, and Q · (N1 + N2) scores (on small graphs one table of Q · N) with a sort of each row.
    Memory is 4 · N1 bytes for each query of train (14 MB for 120,000 queries of 30), and one block of candidates.
    """

    declaration = DECLARATION

    def __init__(self, config: Config, facts: TrainFacts, decoder: Decoder, random: Sources) -> None:
        super().__init__(config, facts, decoder, random)
        size = min(config.cache_size, facts.num_entities)
        drawn = _distinct(len(facts.distinct_queries), size, facts.num_entities, random.negatives)
        self.cache = drawn.to(facts.device)

    def negatives(self, batch: Batch, entities: Tensor, queries: Tensor) -> Negatives:
        """N_s ids for every pair from the caches as they are; then these move on."""
        random = self.random.negatives
        rows, there = self.facts.row_of(batch.heads, batch.relations)
        ids = draw_uniform(batch.answer, self.config.negatives, len(entities), random)
        place = torch.randint(self.cache.shape[1], ids.shape, generator=random).to(ids.device)
        place += (rows[batch.query] * self.cache.shape[1]).unsqueeze(1)
        cached = self.cache.flatten()[place].long()
        elsewhere = (cached == batch.answer.unsqueeze(1)) | ~there[batch.query].unsqueeze(1)
        self._update(rows[there], entities.detach(), queries.detach()[there])
        return Negatives(ids=torch.where(elsewhere, ids, cached))

    def state_dict(self) -> dict[str, Any]:
        """The cache, (U, N1) int32: a row of ids for each distinct query of train."""
        return {"cache": self.cache}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up what `state_dict` gave."""
        self.cache.copy_(state["cache"])

    def _update(self, rows: Tensor, entities: Tensor, queries: Tensor) -> None:
        """Refill these rows of the cache (Q,), whose queries (Q, dim) are given in the same order."""
        random, size, device = self.random.negatives, self.cache.shape[1], rows.device
        width = size + self.config.cache_fresh
        for part in torch.arange(len(rows), device=device).split(max(1, _BLOCK // width)):
            fresh = torch.randint(
                len(entities), (len(part), self.config.cache_fresh), generator=random, dtype=torch.int32
            )
            candidates = torch.cat([self.cache[rows[part]], fresh.to(device)], dim=1).sort(dim=1).values
            asked = torch.arange(len(part), device=device)
            scores = Scores(self.decoder, entities, queries[part], asked, width).of(candidates.long())
            # Minus the logarithm of an exponential number is a Gumbel one.
            noise = torch.empty(scores.shape, dtype=scores.dtype).exponential_(generator=random).log_()
            keys = scores - noise.to(device)
            keys[:, 1:].masked_fill_(candidates[:, 1:] == candidates[:, :-1], -torch.inf)
            self.cache[rows[part]] = candidates.gather(1, keys.topk(size, dim=1, sorted=False).indices)


def _distinct(rows: int, size: int, n: int, random: torch.Generator) -> Tensor:
    """(rows, size) int32: in each row distinct numbers below n, every set of them as likely (Floyd's algorithm)."""
    out = torch.empty(rows, size, dtype=torch.int32)
    for place in range(size):
        last = n - size + place
        drawn = torch.randint(last + 1, (rows,), generator=random, dtype=torch.int32)
        taken = (out[:, :place] == drawn.unsqueeze(1)).any(1)
        out[:, place] = drawn.masked_fill_(taken, last)
    return out
