"""Pools of entities without the known answers of a query: every draw is right at once, none is thrown away."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from dans_core.batch import Batch
from dans_core.facts import TrainFacts
from dans_core.samplers.uniform import draw_uniform

# What is at each free position of each query is kept as a table up to this many cells (32 MiB).
_TABLE = 1 << 22


class Pools:
    """Pools to draw from, in which the answers that train has for a query are closed.

    An entity of weight w holds w positions of a pool. Those of a query's answers are closed, the others free, and
    the free ones are numbered from 0 for each query. So a draw is one random number f below the count of the free:
    its position is f plus the closed ones before it, one binary search among the answers of the query (and another
    for the member there, with weights). Small graphs look both up in a table.

    Memory: 8 bytes an entry (16 with weights), 24 a fact of train and direction, and 32 MiB at most for the table.
    """

    def __init__(
        self,
        facts: TrainFacts,
        pool_of_query: Tensor,
        entries: Tensor,
        order: Tensor | None = None,
        weights: Tensor | None = None,
    ) -> None:
        """Close the answers of each query.

        Args:
            pool_of_query: (U,) the pool from which each distinct query of train draws.
            entries: (M,) pool · N + place of each member, ascending, where a place is a position in `order`.
            order: (N,) the entities in the order in which pools hold them; None is the order of their ids.
            weights: (M,) whole numbers above 0; None is 1 each.
        """
        n, queries = facts.num_entities, len(pool_of_query)
        self._n, self._entries, self._order = n, entries, order
        self._ends = None if weights is None else torch.cat([weights.new_zeros(1), weights.cumsum(0)])
        self._place = None if order is None else torch.empty_like(order).scatter_(0, order, _upto(n, order))
        pools = _upto(int(pool_of_query.max()) + 2, entries)
        # More than any pool has positions, so that one number orders queries and positions.
        self._span = 1 + int(self._position(self._first(pools)).diff().max())

        keys, answers = facts.tensor(facts.known.keys), facts.tensor(facts.known.answers)
        row = torch.searchsorted(facts.distinct_queries, keys)
        wanted = pool_of_query[row] * n + self.places(answers)
        entry = torch.searchsorted(entries, wanted)
        inside = torch.searchsorted(entries, wanted, right=True) > entry
        row, entry, first = row[inside], entry[inside], self._first(pool_of_query[row[inside]])
        start, by_start = (row * self._span + self._position(entry) - self._position(first)).sort()
        row, entry = row[by_start], entry[by_start]
        width = self._position(entry + 1) - self._position(entry)
        self._closed = torch.cat([width.new_zeros(1), width.cumsum(0)])
        # One row more than there are queries: that of a query which train does not have, with nothing closed.
        self._closed_before_row = self._closed[torch.searchsorted(row, _upto(queries + 1, row))]
        self._start = start
        self._free_start = start - (self._closed[:-1] - self._closed_before_row[row])
        self._unknown, self._table = queries, None
        if queries * self._span <= _TABLE and len(entries):
            free = _upto(self._span, row).expand(queries, -1)
            self._table = self._search(_upto(queries, row), pool_of_query, free).flatten()

    def places(self, entities: Tensor) -> Tensor:
        """The place of each entity in the order of the pools, any shape."""
        return entities if self._place is None else self._place[entities]

    def free_before(self, row: Tensor, pool: Tensor, place: Tensor | int) -> Tensor:
        """How many free positions the members before `place` hold, (P,); `place` N stands behind all."""
        entry = torch.searchsorted(self._entries, pool * self._n + place)
        position = self._position(entry) - self._position(self._first(pool))
        closed = torch.searchsorted(self._start, row * self._span + position)
        return position - (self._closed[closed] - self._closed_before_row[row])

    def choice(self, row: Tensor, pool: Tensor, answer: Tensor) -> Choice:
        """All that is free in the pool of each pair but its own answer, which train may not know; all (P,)."""
        place = self.places(answer)
        low, high = torch.zeros_like(row), self.free_before(row, pool, self._n)
        return Choice(
            row, pool, low, high, self.free_before(row, pool, place), self.free_before(row, pool, place + 1)
        )

    def at(self, row: Tensor, pool: Tensor, free: Tensor) -> Tensor:
        """The entities at these free positions, (P, k), for queries `row` (P,) and their pools (P,)."""
        if self._table is None or bool((row == self._unknown).any()):
            return self._search(row, pool, free)
        return self._table[(row * self._span).unsqueeze(1) + free]

    def _search(self, row: Tensor, pool: Tensor, free: Tensor) -> Tensor:
        """As `at`; any entity where there is no such position."""
        wanted = free + (row * self._span).unsqueeze(1)
        position = self._closed[torch.searchsorted(self._free_start, wanted, right=True)].add_(free)
        position += (self._position(self._first(pool)) - self._closed_before_row[row]).unsqueeze(1)
        entry = position if self._ends is None else torch.searchsorted(self._ends, position, right=True) - 1
        place = self._entries[entry.clamp_max_(len(self._entries) - 1)] % self._n
        return place if self._order is None else self._order[place]

    def _first(self, pool: Tensor) -> Tensor:
        return torch.searchsorted(self._entries, pool * self._n)

    def _position(self, entry: Tensor) -> Tensor:
        return entry if self._ends is None else self._ends[entry]


@dataclass(frozen=True)
class Choice:
    """What each of P pairs may draw: the free positions low … high of its pool without cut_low … cut_high.

    All of shape (P,); each range holds its first and not its last. The cut lies within low … high.
    """

    row: Tensor
    pool: Tensor
    low: Tensor
    high: Tensor
    cut_low: Tensor
    cut_high: Tensor

    @property
    def size(self) -> Tensor:
        """How many positions there are to draw from, (P,)."""
        return (self.high - self.low) - (self.cut_high - self.cut_low)

    def of(self, pairs: Tensor) -> Choice:
        """That of some pairs, by their positions."""
        return replace(self, **{field.name: getattr(self, field.name)[pairs] for field in fields(self)})

    def draw(self, pools: Pools, k: int, random: torch.Generator) -> Tensor:
        """(P, k) entities, evenly over the positions, with replacement; every size must be above 0."""
        free = draw_around(self.low, self.high, self.cut_low, self.cut_high, k, random)
        return pools.at(self.row, self.pool, free)


def draw_around(
    low: Tensor, high: Tensor, cut_low: Tensor, cut_high: Tensor, k: int, random: torch.Generator
) -> Tensor:
    """(P, k) whole numbers, each even over low … high without cut_low … cut_high, as in `Choice`; all of shape (P,)."""
    share = torch.rand(len(low), k, dtype=torch.float64, generator=random).to(low.device)
    cut = cut_high - cut_low
    found = share.mul_((high - low - cut).unsqueeze(1)).long().add_(low.unsqueeze(1))
    return found.add_((found >= cut_low.unsqueeze(1)) * cut.unsqueeze(1))


class Everyone(Pools):
    """One pool, 0, of all entities, which also fills up what other pools cannot give."""

    def __init__(self, facts: TrainFacts, order: Tensor | None = None) -> None:
        """`order`: (N,) the entities in the order of the pool; None is that of their ids."""
        self._facts = facts
        one_for_all = torch.zeros_like(facts.distinct_queries)
        super().__init__(facts, one_for_all, _upto(facts.num_entities, one_for_all), order)

    def rows(self, batch: Batch) -> Tensor:
        """The row of each pair's query, (P,), the same in all pools of these facts."""
        row, known = self._facts.row_of(batch.heads, batch.relations)
        return torch.where(known, row, len(self._facts.distinct_queries))[batch.query]

    def draw(self, row: Tensor, answer: Tensor, k: int, random: torch.Generator) -> Tensor:
        """(P, k) entities that are no answers in train; where all are, any but the pair's own answer."""
        choice = self.choice(row, torch.zeros_like(row), answer)
        some = choice.size > 0
        if bool(some.all()):
            return choice.draw(self, k, random)
        ids = draw_uniform(answer, k, self._facts.num_entities, random)
        ids[some] = choice.of(some).draw(self, k, random)
        return ids

    def fill_up(
        self, choice: Choice, pools: Pools, enough: Tensor, answer: Tensor, k: int, random: torch.Generator
    ) -> Tensor:
        """(P, k) entities: the first `enough` (P,) of each pair by its choice, the others from everyone.

        `enough` must be 0 where the choice has nothing.
        """
        some, short = enough > 0, (enough < k).nonzero().squeeze(1)
        if not len(short):
            return choice.draw(pools, k, random)
        ids = answer.new_empty(len(answer), k)
        ids[some] = choice.of(some).draw(pools, k, random)
        filling = self.draw(choice.row[short], answer[short], k, random)
        chosen = _upto(k, enough) < enough[short].unsqueeze(1)
        ids[short] = torch.where(chosen, ids[short], filling)
        return ids


def _upto(n: int, beside: Tensor) -> Tensor:
    """0 … n − 1, on the device of another tensor."""
    return torch.arange(n, device=beside.device)
