"""Which queries and entities of a graph its snapshots keep: all of a small one, a fixed sample of a large one.

The sample is a matter of the graph and the embedding size alone, not of a run's seed: runs on the same data are asked
about the same queries, at every snapshot. Plain numpy, without torch.
"""

from __future__ import annotations

from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from dans_core.kg import KnowledgeGraph

Ids = npt.NDArray[np.int64]

MOST_QUERIES = 2_000
"""Distinct train queries, both directions, of a snapshot."""

MOST_ENTITIES = 6_000
"""Entities of a snapshot."""

_MOST_NUMBERS = 3_000_000
"""Of entities, a fake of G_E and one of G_R for each query; 6 MB in half precision."""


def studied_triplets(kg: KnowledgeGraph, dim: int) -> Ids | None:
    """The train triplets whose two queries are kept, rows sorted; None where those of all of them are.

    All are kept while they make at most `MOST_QUERIES` distinct queries. Of more, the relations take turns: each gives
    one triplet, and then those with more triplets more, in proportion to the square root of how many they have, so that
    rare relations can be seen and frequent ones are not cut to a handful. Where there are more relations than places,
    those with most triplets come first.
    """
    train, queries = kg.array("train"), kg.queries("train")
    if len(np.unique(queries[:, 0] * (2 * kg.num_relations) + queries[:, 1])) <= MOST_QUERIES:
        return None
    chosen = _turns(kg)[0][: _sizes(dim)[0] // 2]
    rows: Ids = train[np.sort(chosen)]
    return rows


def studied_entities(kg: KnowledgeGraph, dim: int, needed: Ids) -> Ids | None:
    """The ids of the entities that are kept, ascending; None where all are.

    All of a graph of at most `MOST_ENTITIES` are (fewer where vectors are so long that a file would exceed 6 MB). Of
    more, it is those `needed` and, up to that number, others for the background: the 2|R| relations and reciprocals
    take turns as in `studied_triplets` and each gives answers that it has in train.
    """
    most = _sizes(dim)[1]
    if kg.num_entities <= most:
        return None
    needed = np.unique(needed)
    ranked = np.concatenate([needed, _turns(kg)[1]])
    first = np.sort(np.unique(ranked, return_index=True)[1])
    kept: Ids = np.sort(ranked[first[: max(most, len(needed))]])
    return kept


def _sizes(dim: int) -> tuple[int, int]:
    """Queries and entities of a sample of vectors of this length."""
    share = min(1.0, _MOST_NUMBERS / (dim * (MOST_ENTITIES + 2 * MOST_QUERIES)))
    return int(share * MOST_QUERIES), int(share * MOST_ENTITIES)


_found: WeakKeyDictionary[KnowledgeGraph, tuple[Ids, Ids]] = WeakKeyDictionary()


def _turns(kg: KnowledgeGraph) -> tuple[Ids, Ids]:
    """Train triplets by their rows, and answers of relations and reciprocals, each in the order of their turns.

    Kept as long as the graph lives, since each snapshot asks for them: of a million triplets it takes seconds.
    """
    if kg not in _found:
        train = kg.queries("train")
        cells = np.unique(train[:, 1] * kg.num_entities + train[:, 2])
        answers = cells[_by_turns(cells // kg.num_entities)] % kg.num_entities
        _found[kg] = _by_turns(kg.array("train")[:, 1]), answers
    return _found[kg]


def _by_turns(group: Ids) -> Ids:
    """Positions of all members in the order in which they are taken; `group` (n,) says whose each is.

    Member k = 0, 1, … of a group of n, in an order by chance, has its turn at k / √n; the larger group goes first.
    """
    mixed = np.random.default_rng(0).permutation(len(group))
    order = mixed[np.argsort(group[mixed], kind="stable")]
    sizes = np.bincount(group)
    whose = group[order]
    turn = (np.arange(len(group)) - (np.cumsum(sizes) - sizes)[whose]) / np.sqrt(sizes[whose])
    taken: Ids = order[np.lexsort((whose, -sizes[whose], turn))]
    return taken
