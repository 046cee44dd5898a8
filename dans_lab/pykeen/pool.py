"""Draws from the proposals of all queries of a graph, kept, so that a batch of negatives is a look-up."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

DRAWS = 64
"""Entities that are kept of each proposal: drawn systematically, each is there as often as its chance says."""


class Source(Protocol):
    """What proposes entities for queries, by PyKEEN's numbers; the reciprocal of relation r is r + |R|."""

    def draw(self, heads: Tensor, relations: Tensor, draws: int) -> Tensor | None:
        """Queries (Q,), (Q,) → entities (Q, draws), or None as long as it proposes nothing.

        −1 stands for an entity that PyKEEN does not have.
        """

    @property
    def version(self) -> int:
        """Another one where the proposals are others."""


class Pool:
    """For each distinct query of some triplets, both directions, what its proposal gave.

    Drawn anew after as many triplets as there are, or where the source has others.
    """

    def __init__(
        self, source: Source, triplets: Tensor, num_entities: int, num_relations: int, avoid_known: bool
    ) -> None:
        self._source, self._num_entities, self._relations = source, num_entities, 2 * num_relations
        head, relation, tail = triplets.cpu().T
        keys = torch.cat([self._key(head, relation), self._key(tail, relation + num_relations)])
        self._keys = keys.unique()
        self._facts = (keys * num_entities + torch.cat([tail, head])).unique() if avoid_known else None
        self._triplets = len(triplets)
        self._ids: Tensor | None = None
        self._filled: int | None = None
        self._served = 0

    def _key(self, heads: Tensor, relations: Tensor) -> Tensor:
        return heads * self._relations + relations

    def draw(self, heads: Tensor, relations: Tensor, own: Tensor, served: int) -> Tensor:
        """One entity, other than its own answer, for each of (n,) queries, as `served` triplets ask them; (n,)."""
        if self._served >= self._triplets or self._filled != self._source.version:
            self._fill()
        self._served += served
        keys = self._key(heads, relations)
        any_other = torch.randint(self._num_entities - 1, (len(keys),))
        any_other += any_other >= own
        if self._ids is None:
            return any_other
        rows = torch.searchsorted(self._keys, keys).clamp_max(len(self._keys) - 1)
        drawn = self._ids[rows, torch.randint(self._ids.shape[1], (len(keys),))].long()
        usable = (drawn >= 0) & (drawn != own) & (self._keys[rows] == keys)
        return torch.where(usable, drawn, any_other)

    def _fill(self) -> None:
        self._served, self._filled = 0, self._source.version
        heads = self._keys // self._relations
        drawn = self._source.draw(heads, self._keys % self._relations, DRAWS)
        if drawn is not None and self._facts is not None:
            facts = self._keys.unsqueeze(1) * self._num_entities + drawn
            at = torch.searchsorted(self._facts, facts).clamp_max(len(self._facts) - 1)
            drawn = drawn.masked_fill((drawn >= 0) & (self._facts[at] == facts), -1)
        self._ids = None if drawn is None else drawn.to(torch.int32)
