"""Draws outside the known facts: entities that make no fact of train with a pair's query.

Exact, and never tried again: every entity is a stretch of a line, as long as its weight. The stretches of a query's
known answers are cut out, a point is drawn on what is left, and moved right by the cuts that lie before it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from dans_core.batch import Batch
from dans_core.facts import TrainFacts

# Whether an entity answers a query is kept as a table up to this many cells (64 MiB); then few draws are made anew.
_TABLE = 1 << 26


class Outside:
    """Entities in proportion to their weights, but for a pair's own answer and the known answers of its query in train.

    Time for a step: a look at the P · K cells of a table, then two binary searches for each draw that is a fact; for
    all P · K draws where the graph is too large for a table. Memory: at most 32 bytes for each train fact and
    direction, and the table.

    Args:
        facts: whose train facts are left out; it is asked again at each step, but not kept.
        weights: (N,) int64, none negative; their sum times the number of queries must stay below 2⁶².
    """

    def __init__(self, facts: TrainFacts, weights: Tensor) -> None:
        self._weights, self._ends = weights, weights.cumsum(0)
        queries, answers = facts.distinct_queries, facts.tensor(facts.known.answers)
        row = torch.searchsorted(queries, facts.tensor(facts.known.keys))
        # The row after the last is that of all queries unknown to train: nothing is cut there.
        self._unknown = len(queries)
        self._first = torch.searchsorted(row, torch.arange(len(queries) + 2, device=row.device))
        self._facts = row * facts.num_entities + answers
        self._cut = torch.cat([weights.new_zeros(1), weights[answers].cumsum(0)])
        self._line = int(self._ends[-1]) + 1
        cut_before = self._cut[:-1] - self._cut[self._first[row]]
        self._places = row * self._line + (self._ends - weights)[answers] - cut_before
        self._table: Tensor | None = None
        if (len(queries) + 1) * facts.num_entities <= _TABLE:
            self._table = row.new_zeros((len(queries) + 1) * facts.num_entities, dtype=torch.bool)
            self._table[self._facts] = True

    def redraw(
        self, ids: Tensor, batch: Batch, facts: TrainFacts, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Draws ids (P, K), never a pair's own answer, with those that are facts drawn anew; and who is stuck (P,).

        A pair is stuck where what is left has no weight, as for a query that every entity answers: its ids stay.
        """
        rows, there = facts.row_of(batch.heads, batch.relations)
        row = torch.where(there, rows, self._unknown)[batch.query]
        n = facts.num_entities
        first, behind = self._first[row], self._first[row + 1]
        # The own answer of a pair that train does not have is one cut more.
        place = torch.searchsorted(self._facts, row * n + batch.answer)
        is_fact = self._facts[place.clamp_max(len(self._facts) - 1)] == row * n + batch.answer
        own = self._weights[batch.answer].masked_fill(is_fact, 0)
        start = (self._ends - self._weights)[batch.answer] - (self._cut[place] - self._cut[first])
        left = self._ends[-1] - (self._cut[behind] - self._cut[first]) - own

        again = (left > 0).unsqueeze(1).expand_as(ids)
        if self._table is not None:
            again = again & self._table[(row * n).unsqueeze(1) + ids]
        pair, column = again.nonzero(as_tuple=True)
        share = torch.rand(len(pair), generator=generator, dtype=torch.double).to(pair.device)
        point = (share * left[pair]).long()
        point += own[pair] * (point >= start[pair])
        before = torch.searchsorted(self._places, row[pair] * self._line + point, right=True)
        point += self._cut[before] - self._cut[first[pair]]
        ids = ids.clone()
        ids[pair, column] = torch.searchsorted(self._ends, point, right=True)
        return ids, left == 0


_evenly: WeakKeyDictionary[TrainFacts, Outside] = WeakKeyDictionary()


def evenly_outside(facts: TrainFacts) -> Outside:
    """With all entities alike; made once for these facts, and kept as long as they live."""
    if facts not in _evenly:
        _evenly[facts] = Outside(facts, torch.ones(facts.num_entities, dtype=torch.long, device=facts.device))
    return _evenly[facts]


def chances_plain(weights: Sequence[float], left_out: Collection[int]) -> list[float]:
    """The law of the draws: the chance of each entity where some are left out; all 0 where nothing is left."""
    kept = [0.0 if entity in left_out else weight for entity, weight in enumerate(weights)]
    return [weight / (sum(kept) or 1.0) for weight in kept]
