"""MCNS: Metropolis–Hastings chains of entities, one set for each query, that prefer what the base model scores high.

After Yang et al., "Understanding Negative Sampling in Graph Representation Learning" (2020, arXiv 2005.09863,
github.com/THUDM/MCNS): negatives in proportion to the model's own estimate of the positives to a power below one, drawn
by a Markov chain whose proposal is with probability ½ a uniform entity, else one near the current state. Decided here:

- **Target** of a query q: π(x) ∝ max(σ(score(q, x)), floor)^0.75, for all decoders; the released code takes a root of
  the affinity itself, which is NaN where that is negative. The floor keeps every entity within reach.
- **Proposal**: y with density q(y | x) = ½ / N + ½ [y ∈ near(x)] / |near(x)|, near(x) being all within `hops` edges of
  x in train; only uniform where nothing is near. Both densities are in the acceptance ratio
  min(1, π(y) q(x | y) / (π(x) q(y | x))), or the chains would gather at entities with many neighbours; in the released
  code the second is approximate.
- **N_s negatives** of a query are the states of N_s chains that know nothing of each other; successive states of one
  chain would often be the same entity. The pairs of a query share them. Every chain has random numbers of its own,
  where the released code has one acceptance number for a batch.
- **Burn-in**: a query's chains begin at uniform entities and take `burn_in` steps when first asked for, then one step
  for each batch that asks the query, from where they were left. As the model moves, so does the target: both states of
  a step are scored anew. Chains of queries that train does not have begin anew each time.
- **The own answer** of a pair is no negative, but a state that its query's chains may well visit: there the pair is
  given a uniform other entity instead (measured on UMLS: 1 to 6 % of the states, growing as the model learns). Other
  answers of the query stay, as in the original.

Time for a step: 2 · Q · N_s scores, or a table of Q · N where that is cheaper, and the same once more for each step of
burn-in; looking up whether states are near: two binary searches for each of Q · N_s states, or a table of N².
Measured, one thread: UMLS 3 ms; 51,000 queries of 41,000 entities 0.9 s, with burn-in 9 s.
Memory: 4 bytes for each of U · N_s states, U distinct queries of train; 8 for each pair of near entities.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from dans_core.batch import Batch, Negatives
from dans_core.config import Config
from dans_core.declaration import Cost, Declaration
from dans_core.decoders import Decoder
from dans_core.facts import TrainFacts
from dans_core.kernels.scores import Scores
from dans_core.samplers.baselines.neighbourhood import neighbours
from dans_core.samplers.contract import Sampler, Sources
from dans_core.samplers.uniform import draw_uniform

DECLARATION = Declaration(
    name="mcns",
    title="MCNS",
    about="A random walk over entities for each query, which prefers those that the model scores high.",
    settings=("negatives", "burn_in", "hops"),
    cost=Cost(
        draw=(120e-9, 850e-9),
        draws=lambda config, work: work.asked * config.negatives,
        scored=lambda config, work: 2 * work.asked * config.negatives,
        begin=lambda config, work: config.burn_in,
        kept_bytes=lambda config, work: 2 * 4 * work.queries * config.negatives + 8 * work.near,
        begin_bytes=lambda config, work: 26 * work.near,
        saved=lambda config, work: 2 * work.queries * config.negatives,
    ),
)

_POWER = 0.75
_FLOOR = 1e-6
# Whether two entities are near is kept as a table up to this many cells (64 MiB).
_TABLE = 1 << 26


class Mcns(Sampler):
    """The states of N_s chains of each query.

    Attributes:
        chains: (U, N_s) int32, where the chains of each distinct query of train stand; `begun` (U,), whether they do.
    """

    declaration = DECLARATION

    def __init__(self, config: Config, facts: TrainFacts, decoder: Decoder, random: Sources) -> None:
        super().__init__(config, facts, decoder, random)
        self.proposal = Proposal(*(part.to(facts.device) for part in neighbours(facts, config.hops)))
        queries = len(facts.distinct_queries)
        self.chains = torch.zeros(queries, config.negatives, dtype=torch.int32, device=facts.device)
        self.begun = torch.zeros(queries, dtype=torch.bool, device=facts.device)

    @torch.no_grad()
    def negatives(self, batch: Batch, entities: Tensor, queries: Tensor) -> Negatives:
        """The chains of the batch's queries, one step on."""
        rows, known = self.facts.row_of(batch.heads, batch.relations)
        states = self.chains[rows].long()
        fresh = (~(known & self.begun[rows])).nonzero().squeeze(1)
        if len(fresh):
            start = torch.randint(len(entities), states[fresh].shape, generator=self.random.negatives)
            states[fresh] = self.walk(entities, queries, fresh, start.to(rows.device), self.config.burn_in)
        states = self.walk(entities, queries, torch.arange(len(queries), device=rows.device), states, 1)
        self.chains[rows[known]] = states[known].int()
        self.begun[rows[known]] = True

        ids = states[batch.query]
        pair, column = (ids == batch.answer.unsqueeze(1)).nonzero(as_tuple=True)
        others = draw_uniform(batch.answer[pair], 1, len(entities), self.random.negatives)
        ids[pair, column] = others.squeeze(1)
        return Negatives(ids=ids)

    def walk(self, entities: Tensor, queries: Tensor, rows: Tensor, states: Tensor, steps: int) -> Tensor:
        """Chains (n, S) of the queries at these rows (n,), so many steps on."""
        scores = Scores(self.decoder, entities, queries, rows, (steps + 1) * states.shape[1])
        source = self.random.negatives
        weight = log_target(scores.of(states))
        for _ in range(steps):
            proposed = self.proposal.draw(states, source)
            of_proposed = log_target(scores.of(proposed))
            ratio = of_proposed - weight + self.proposal.log_ratio(states, proposed)
            accepted = torch.rand(states.shape, generator=source).log_().to(ratio.device) < ratio
            states = torch.where(accepted, proposed, states)
            weight = torch.where(accepted, of_proposed, weight)
        return states

    def state_dict(self) -> dict[str, Any]:
        """Where the chains stand."""
        return {"chains": self.chains, "begun": self.begun}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up what `state_dict` gave."""
        self.chains.copy_(state["chains"])
        self.begun.copy_(state["begun"])


def log_target(scores: Tensor) -> Tensor:
    """log π(x), up to a constant, from the scores of x."""
    return F.logsigmoid(scores).clamp_min_(math.log(_FLOOR)).mul_(_POWER)


class Proposal:
    """Where a chain may go next: with probability ½ anywhere, else to one of the entities near its state.

    Args:
        offsets, ids: (N + 1,) and the entities near each, ascending, as `neighbours` gives them.
    """

    def __init__(self, offsets: Tensor, ids: Tensor) -> None:
        self.num_entities = len(offsets) - 1
        self._first, self._degree = offsets[:-1], offsets.diff()
        of = torch.arange(self.num_entities, device=ids.device).repeat_interleave(self._degree)
        # One key more at the end, which is no pair's: any search, and any first place, ends at a key.
        self._keys = torch.cat([ids, ids.new_full((1,), self.num_entities**2)])
        self._keys[:-1].add_(of, alpha=self.num_entities)
        self._table: Tensor | None = None
        if self.num_entities**2 < _TABLE:
            self._table = ids.new_zeros(self.num_entities**2 + 1, dtype=torch.bool)
            self._table[self._keys] = True
        by_chance = torch.full((self.num_entities,), 1 / self.num_entities, device=ids.device)
        # The density where y is not near x, and what is added where it is.
        self._far = torch.where(self._degree > 0, by_chance / 2, by_chance)
        self._near = 0.5 / self._degree.clamp_min(1)

    def draw(self, states: Tensor, source: torch.Generator) -> Tensor:
        """A proposal for each state, the same shape."""
        anywhere = torch.randint(self.num_entities, states.shape, generator=source).to(states.device)
        coin, share = torch.rand(2, *states.shape, generator=source).to(states.device)
        degree = self._degree[states]
        near = self._keys[self._first[states] + (share * degree).long()] - states * self.num_entities
        return torch.where((coin < 0.5) | (degree == 0), anywhere, near)

    def log_ratio(self, states: Tensor, proposed: Tensor) -> Tensor:
        """log of q(state | proposed) / q(proposed | state)."""
        return self.density(proposed, states).log_() - self.density(states, proposed).log_()

    def density(self, x: Tensor, y: Tensor) -> Tensor:
        """q(y | x), of the shape of both."""
        key = x * self.num_entities + y
        return self._far[x] + self._near[x] * self._is_near(key)

    def _is_near(self, key: Tensor) -> Tensor:
        """Whether x · N + y is a pair of near entities."""
        if self._table is not None:
            return self._table[key]
        return self._keys[torch.searchsorted(self._keys, key)] == key
