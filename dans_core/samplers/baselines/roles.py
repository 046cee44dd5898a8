"""What kind of thing an entity is: a concept read from its name, or the roles that it plays in train."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from dans_core.facts import TrainFacts
from dans_core.samplers.baselines.pools import Choice, Pools

RARE = 10
"""A role signature of fewer entities is rare, and joins the concept of a similar one."""

# NELL writes "concept:city:paris" and "concept_city_paris", its split for DANS "city:paris"; "http://…" is no concept.
_IN_NAME = re.compile(r"concept:([^:]+):.|concept_([^_]+)_.|([^:/\s]+):(?!//).", re.DOTALL)


@dataclass(frozen=True)
class Concepts:
    """Every entity has one of C concepts.

    of      (N,)     the concept of each entity, 0 … C − 1
    order   (N,)     the entities, concept by concept, ascending within each
    starts  (C + 1,) concept c holds order[starts[c] : starts[c + 1]]
    """

    of: Tensor

    @cached_property
    def order(self) -> Tensor:
        """The entities, concept by concept, (N,)."""
        return self.of.argsort(stable=True)

    @cached_property
    def place(self) -> Tensor:
        """Where each entity stands in `order`, (N,)."""
        return self.order.argsort()

    @cached_property
    def starts(self) -> Tensor:
        """Where each concept begins in `order`, and where the last ends, (C + 1,)."""
        return torch.cat([self.of.new_zeros(1), self.of.bincount().cumsum(0)])

    def split(self, pools: Pools, row: Tensor, pool: Tensor, answer: Tensor) -> tuple[Choice, Choice]:
        """What a pool has of the answer's concept, without the answer, and what it has of all others.

        `row`, `pool` and `answer` (P,) are as in `Pools.choice`; the order of the pools is that of the concepts.
        """
        free, concept = pools.choice(row, pool, answer), self.of[answer]
        low = pools.free_before(row, pool, self.starts[concept])
        high = pools.free_before(row, pool, self.starts[concept + 1])
        return replace(free, low=low, high=high), replace(free, cut_low=low, cut_high=high)

    @classmethod
    def of_facts(cls, facts: TrainFacts) -> Concepts:
        """Those in the names where each has one; else one for each role signature, rare ones joined."""
        labels = concepts_in(facts.entities)
        if labels is not None:
            return cls(facts.tensor(np.unique(labels, return_inverse=True)[1]))
        signatures, of = role_signatures(facts)
        counts = np.bincount(of, minlength=len(signatures))
        return cls(facts.tensor(_joined(signatures, counts)[of]))


def concepts_in(names: Sequence[str]) -> list[str] | None:
    """The concept in each name, as in "city:paris"; None unless all have one and most are shared by several."""
    found = [match and next(filter(None, match.groups())) for match in map(_IN_NAME.match, names)]
    labels = [label for label in found if label is not None]
    if len(labels) < len(names) or not 2 <= len(set(labels)) <= len(names) / 2:
        return None
    return labels


def role_signatures(facts: TrainFacts) -> tuple[list[tuple[int, ...]], np.ndarray]:
    """The distinct role signatures, and which one each entity has, (N,).

    An entity's signature is the ascending relations r of 0 … 2|R| − 1 that it answers in train: r of the first |R| is
    the slot at r's tail, and r + |R| the one at its head. That of an entity which train never shows is empty.
    """
    slots = np.unique(facts.queries[:, [2, 1]], axis=0)
    bounds = np.searchsorted(slots[:, 0], np.arange(1, facts.num_entities))
    filled = [tuple(part.tolist()) for part in np.split(slots[:, 1], bounds)]
    number = {signature: i for i, signature in enumerate(sorted(set(filled)))}
    return list(number), np.array([number[signature] for signature in filled])


def _joined(signatures: Sequence[tuple[int, ...]], counts: np.ndarray) -> np.ndarray:
    """The concept of each signature, where each rare one joins a commoner that is like it.

    From the commonest to the rarest, a signature of fewer than `RARE` entities joins, of those that founded a concept
    before it, the one with the highest Jaccard similarity, if that is at least ½ (of equals the commoner); all others
    found one. Time and memory grow with the square of the number of signatures.
    """
    widest = 1 + max((signature[-1] for signature in signatures if signature), default=0)
    slots_of_founder = np.zeros((widest, len(signatures)), dtype=np.bool_)
    sizes = np.zeros(len(signatures))
    concept = np.empty(len(signatures), dtype=np.int64)
    founders = 0
    for i in sorted(range(len(signatures)), key=lambda i: (-counts[i], signatures[i])):
        slots = list(signatures[i])
        if counts[i] < RARE and founders and slots:
            shared = slots_of_founder[slots, :founders].sum(axis=0)
            similarity = shared / (sizes[:founders] + len(slots) - shared)
            if similarity.max() >= 0.5:
                concept[i] = similarity.argmax()
                continue
        slots_of_founder[slots, founders], sizes[founders], concept[i] = True, len(slots), founders
        founders += 1
    return concept
