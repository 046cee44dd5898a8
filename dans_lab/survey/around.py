"""The triplets around one entity: as head and as tail, by relation and split, a fair sample where there are many."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from dans_core.kg import KnowledgeGraph
from dans_data import SPLITS
from dans_data.known import Ids

LIMIT = 60


@dataclass(frozen=True)
class Link:
    """A triplet, its split, and how far from the entity it lies: 1 where it is part of it, 2 one step further."""

    head: int
    relation: int
    tail: int
    split: str
    hop: int = 1


@dataclass(frozen=True)
class Neighbourhood:
    """What is around an entity.

    Attributes:
        links: the triplets with it, by relation, as head before as tail; then those of the second hop.
        totals: how many there are in all by (relation, as head or not, split), whether or not they are in `links`.
        further: how many triplets there are in the second hop; 0 where it was not asked for.
    """

    entity: int
    links: tuple[Link, ...]
    totals: Mapping[tuple[int, bool, str], int]
    further: int = 0

    @property
    def total(self) -> int:
        """How many triplets have the entity in them."""
        return sum(self.totals.values())

    @property
    def first(self) -> list[Link]:
        """The triplets with the entity."""
        return [link for link in self.links if link.hop == 1]

    @property
    def second(self) -> list[Link]:
        """The triplets of its neighbours with others."""
        return [link for link in self.links if link.hop == 2]


def neighbourhood(
    kg: KnowledgeGraph, entity: int, limit: int = LIMIT, second_hop: bool = False
) -> Neighbourhood:
    """At most `limit` triplets with an entity, and, if asked for, at most as many of its neighbours with others.

    Where there are more, relations take turns, each direction for itself, so that a rare one is there beside one with
    thousands; within one, the choice is random but the same each time. In the second hop, neighbours take turns. A
    self loop counts once, as one of the head.

    Raises:
        IndexError: no such entity.
    """
    if not 0 <= entity < kg.num_entities:
        raise IndexError(f"entity {entity} is outside 0 … {kg.num_entities - 1}")
    rows, splits = _touching(kg, np.array([entity]))
    outgoing = rows[:, 0] == entity
    totals: dict[tuple[int, bool, str], int] = {}
    for relation, out, split in zip(rows[:, 1].tolist(), outgoing.tolist(), splits.tolist(), strict=True):
        key = (relation, out, SPLITS[split])
        totals[key] = totals.get(key, 0) + 1
    chance = np.random.default_rng(entity)
    kept = _by_turns(rows[:, 1] * 2 + ~outgoing, limit, chance)
    kept = kept[np.lexsort((rows[kept, 2], rows[kept, 0], splits[kept], ~outgoing[kept], rows[kept, 1]))]
    links = _links(rows[kept], splits[kept], hop=1)
    if not second_hop:
        return Neighbourhood(entity, tuple(links), totals)
    neighbours = np.setdiff1d(rows[kept][:, [0, 2]], [entity])
    rows, splits = _touching(kg, neighbours)
    away = (rows[:, 0] != entity) & (rows[:, 2] != entity)
    rows, splits = rows[away], splits[away]
    owner = np.where(np.isin(rows[:, 0], neighbours), rows[:, 0], rows[:, 2])
    kept = np.sort(_by_turns(owner, limit, chance))
    links += _links(rows[kept], splits[kept], hop=2)
    return Neighbourhood(entity, tuple(links), totals, len(rows))


def _touching(kg: KnowledgeGraph, entities: Ids) -> tuple[Ids, Ids]:
    """The triplets with any of these entities, shape (n, 3), and the number of the split of each."""
    wanted = np.zeros(kg.num_entities, dtype=np.bool_)
    wanted[entities] = True
    found = []
    for split in SPLITS:
        rows = kg.array(split)
        found.append(rows[wanted[rows[:, 0]] | wanted[rows[:, 2]]])
    return np.concatenate(found), np.repeat(np.arange(len(SPLITS)), [len(rows) for rows in found])


def _by_turns(groups: Ids, limit: int, chance: np.random.Generator) -> Ids:
    """Places of at most `limit` members: one of each group, then a second of each that has one, and so on."""
    shuffled = chance.permutation(len(groups))
    order = shuffled[np.argsort(groups[shuffled], kind="stable")]
    _, start, number = np.unique(groups[order], return_index=True, return_counts=True)
    turn = np.arange(len(order)) - np.repeat(start, number)
    return order[np.argsort(turn, kind="stable")][: max(limit, 0)]


def _links(rows: Ids, splits: Ids, hop: int) -> list[Link]:
    return [
        Link(head, relation, tail, SPLITS[split], hop)
        for (head, relation, tail), split in zip(rows.tolist(), splits.tolist(), strict=True)
    ]
