"""Draws from the proposals of all queries of a graph, kept, so that a batch of negatives is a look-up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor

if TYPE_CHECKING:
    from dans_lab.pykeen.proposing import Drawn

DRAWS = 64
"""Entities that are kept of each proposal: drawn systematically, each is there as often as its chance says."""


class Source(Protocol):
    """What proposes entities for queries, by PyKEEN's numbers; the reciprocal of relation r is r + |R|."""

    def draw(self, heads: Tensor, relations: Tensor, draws: int) -> Drawn | None:
        """Queries (Q,), (Q,) → entities and weights (Q, draws), or None as long as it proposes nothing.

        −1 stands for an entity that PyKEEN does not have; the others have weights as to PyKEEN's entities.
        """

    @property
    def version(self) -> int:
        """Another one where the proposals are others."""


class Pool:
    """For each distinct query of some triplets, both directions, what its proposal gave.

    Drawn anew after as many triplets as there are, or where the source has others. `weighed` says that draws have
    weights: what stands in for one that cannot be used then weighs nothing.
    """

    def __init__(
        self,
        source: Source,
        triplets: Tensor,
        num_entities: int,
        num_relations: int,
        avoid_known: bool,
        weighed: bool = False,
    ) -> None:
        self._source, self._num_entities, self._relations = source, num_entities, 2 * num_relations
        head, relation, tail = triplets.cpu().T
        keys = torch.cat([self._key(head, relation), self._key(tail, relation + num_relations)])
        self._keys = keys.unique()
        self._facts = (keys * num_entities + torch.cat([tail, head])).unique() if avoid_known else None
        self._triplets, self._weighed = len(triplets), weighed
        self._ids: Tensor | None = None
        self._weights: Tensor | None = None
        self._filled: int | None = None
        self._served = 0

    def _key(self, heads: Tensor, relations: Tensor) -> Tensor:
        return heads * self._relations + relations

    def draw(self, heads: Tensor, relations: Tensor, own: Tensor, served: int) -> tuple[Tensor, Tensor]:
        """One entity, other than its own answer, for each of (n,) queries, as `served` triplets ask them; (n,) each.

        And its weight. Where draws are weighed, weight times anything is on average the mean of that over all other
        entities; else all weights are 1.
        """
        if self._served >= self._triplets or self._filled != self._source.version:
            self._fill()
        self._served += served
        keys = self._key(heads, relations)
        any_other = torch.randint(self._num_entities - 1, (len(keys),))
        any_other += any_other >= own
        weights = torch.ones(len(keys))
        if self._ids is None:
            return any_other, weights
        rows = torch.searchsorted(self._keys, keys).clamp_max(len(self._keys) - 1)
        column = torch.randint(self._ids.shape[1], (len(keys),))
        drawn, known = self._ids[rows, column].long(), self._keys[rows] == keys
        usable = (drawn >= 0) & (drawn != own) & known
        if self._weights is not None:
            of_others = self._weights[rows, column] * (self._num_entities / (self._num_entities - 1))
            weights = torch.where(known, of_others * usable, weights)
        return torch.where(usable, drawn, any_other), weights

    def _fill(self) -> None:
        self._served, self._filled = 0, self._source.version
        heads = self._keys // self._relations
        given = self._source.draw(heads, self._keys % self._relations, DRAWS)
        self._ids = self._weights = None
        if given is None:
            return
        drawn = given.ids
        if self._facts is not None:
            facts = self._keys.unsqueeze(1) * self._num_entities + drawn
            at = torch.searchsorted(self._facts, facts).clamp_max(len(self._facts) - 1)
            drawn = drawn.masked_fill((drawn >= 0) & (self._facts[at] == facts), -1)
        self._ids = drawn.to(torch.int32)
        self._weights = given.weights if self._weighed else None
