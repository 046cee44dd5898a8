"""What each relation is like: how often it occurs, how many tails a head has, whether it has an inverse."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from dans_core.kg import KnowledgeGraph
from dans_data import SPLITS
from dans_data.known import Ids
from dans_lab.survey.lookups import among_rows, distinct, every, pairs

ONE = 1.5
"""Below so many on average, a side counts as one: the rule of Bordes et al. 2013, section 4.3."""

HALF = 0.5
"""The smallest share that makes another relation the nearest inverse."""

_MOST_MATCHES = 1 << 25
"""Pairs of triplets that are compared in search of inverses; a graph of few pairs and many relations has too many."""


@dataclass(frozen=True)
class RelationFacts:
    """One relation; counts and means are of train, and 0 or "" where train never shows it.

    Attributes:
        relation: its id; `name` its name.
        triplets: how many in each split.
        heads, tails: distinct ones.
        tails_per_head, heads_per_tail: means over the distinct heads, and tails, that the relation has.
        kind: "1-to-1", "1-to-many", "many-to-1" or "many-to-many".
        loops: share of triplets whose head is their tail.
        symmetric: of the others (h, r, t), in all splits together, the share whose reverse (t, r, h) is in one of
            them, too: in train alone it would depend on how the split fell.
        inverse: another relation s that has (t, s, h) for the largest share of them, `inverse_share`; None below half.
    """

    relation: int
    name: str
    triplets: Mapping[str, int]
    heads: int
    tails: int
    tails_per_head: float
    heads_per_tail: float
    kind: str
    loops: float
    symmetric: float
    inverse: int | None
    inverse_share: float

    @property
    def total(self) -> int:
        """Triplets in all splits."""
        return sum(self.triplets.values())


def relations(kg: KnowledgeGraph) -> list[RelationFacts]:
    """All relations, in the order of their ids."""
    count = kg.num_relations
    train = kg.array("train")
    loop = train[:, 0] == train[:, 2]
    sizes = {split: np.bincount(kg.array(split)[:, 1], minlength=count) for split in SPLITS}
    heads, tails = _distinct(train[:, [1, 0]], kg), _distinct(train[:, [1, 2]], kg)
    loops = np.bincount(train[loop, 1], minlength=count)
    links = every(kg)
    links = links[links[:, 0] != links[:, 2]]
    linked = np.bincount(links[:, 1], minlength=count)
    symmetric = np.bincount(links[among_rows(links[:, ::-1], links, kg), 1], minlength=count)
    inverse, shared = _inverses(links, kg)
    found = []
    for r in range(count):
        n, others = int(sizes["train"][r]), int(linked[r])
        share = int(shared[r]) / others if others else 0.0
        per_head, per_tail = (n / int(count) if n else 0.0 for count in (heads[r], tails[r]))
        found.append(
            RelationFacts(
                relation=r,
                name=kg.relations[r],
                triplets={split: int(sizes[split][r]) for split in SPLITS},
                heads=int(heads[r]),
                tails=int(tails[r]),
                tails_per_head=per_head,
                heads_per_tail=per_tail,
                kind=_kind(per_head, per_tail) if n else "",
                loops=int(loops[r]) / n if n else 0.0,
                symmetric=int(symmetric[r]) / others if others else 0.0,
                inverse=int(inverse[r]) if share >= HALF else None,
                inverse_share=share if share >= HALF else 0.0,
            )
        )
    return found


def _kind(tails_per_head: float, heads_per_tail: float) -> str:
    return f"{_side(heads_per_tail)}-to-{_side(tails_per_head)}"


def _side(mean: float) -> str:
    return "1" if mean < ONE else "many"


def _distinct(rows: Ids, kg: KnowledgeGraph) -> Ids:
    """How many entities stand with each relation; rows (n, 2) of relation and entity."""
    cells = distinct(rows[:, 0] * kg.num_entities + rows[:, 1])
    return np.bincount(cells // kg.num_entities, minlength=kg.num_relations)


def _inverses(links: Ids, kg: KnowledgeGraph) -> tuple[Ids, Ids]:
    """For each relation r the other relation s with most (t, s, h) for its (h, r, t), and how many; shape (R,) each.

    The least id of several with as many. Counted as the product of two tables of pairs by relations: forth and back.
    """
    from scipy.sparse import csr_array

    inverse, shared = np.zeros(kg.num_relations, np.int64), np.zeros(kg.num_relations, np.int64)
    linked, place, number = np.unique(pairs(links, kg), return_inverse=True, return_counts=True)
    # Where each pair stands the other way round, if it does.
    back = (linked % kg.num_entities) * kg.num_entities + linked // kg.num_entities
    at = np.minimum(np.searchsorted(linked, back), max(len(linked) - 1, 0))
    there = np.flatnonzero(linked[at] == back)
    # Pairs of entities linked by very many relations come last, and out: they would tell of no inverse, and take hours.
    costs = number[there] * number[at[there]]
    there = there[np.argsort(costs, kind="stable")]
    there = there[np.cumsum(np.sort(costs)) <= _MOST_MATCHES]
    table = csr_array(
        (np.ones(len(links), dtype=np.int64), (place, links[:, 1])), shape=(len(linked), kg.num_relations)
    )
    counts = (table[there].T @ table[at[there]]).tocoo()
    r, s, n = counts.row.astype(np.int64), counts.col.astype(np.int64), counts.data
    order = np.lexsort((s, -n, r))
    order = order[r[order] != s[order]]
    first = order[np.unique(r[order], return_index=True)[1]]
    inverse[r[first]], shared[r[first]] = s[first], n[first]
    return inverse, shared
