"""Whether triplets stand in a split, by the order its rows are in already: no index need be built."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dans_core.kg import KnowledgeGraph
from dans_data import SPLITS
from dans_data.known import Ids


def among(rows: Ids, split: str, kg: KnowledgeGraph) -> npt.NDArray[np.bool_]:
    """Which of the triplets, shape (n, 3), stand in a split."""
    return found(_keys(rows, kg), _keys(kg.array(split), kg))


def among_rows(rows: Ids, ordered: Ids, kg: KnowledgeGraph) -> npt.NDArray[np.bool_]:
    """Which of the triplets, shape (n, 3), are among others that stand in the order of `every`."""
    return found(_keys(rows, kg), _keys(ordered, kg))


def every(kg: KnowledgeGraph) -> Ids:
    """The distinct triplets of all splits together, shape (n, 3), in the order that the rows of a split have."""
    keys = distinct(_keys(np.concatenate([kg.array(split) for split in SPLITS]), kg))
    pair, tail = np.divmod(keys, kg.num_entities)
    head, relation = np.divmod(pair, kg.num_relations)
    return np.stack([head, relation, tail], axis=1)


def found(wanted: Ids, ordered: Ids) -> npt.NDArray[np.bool_]:
    """Which numbers are among those in ascending order."""
    if not len(ordered):
        return np.zeros(len(wanted), dtype=np.bool_)
    place = np.minimum(np.searchsorted(ordered, wanted), len(ordered) - 1)
    return np.asarray(ordered[place] == wanted, dtype=np.bool_)


def distinct(numbers: Ids) -> Ids:
    """The distinct numbers, ascending."""
    # np.unique puts them into a hash table, which takes minutes for the regular numbers of a million triplets.
    ordered = np.sort(numbers)
    first = np.ones(len(ordered), dtype=np.bool_)
    first[1:] = ordered[1:] != ordered[:-1]
    return ordered[first]


def pairs(rows: Ids, kg: KnowledgeGraph) -> Ids:
    """A number for head and tail of each triplet."""
    numbers: Ids = rows[:, 0] * kg.num_entities + rows[:, 2]
    return numbers


def _keys(rows: Ids, kg: KnowledgeGraph) -> Ids:
    """A number for each triplet, ascending in the order that the rows of a split have."""
    numbers: Ids = (rows[:, 0] * kg.num_relations + rows[:, 1]) * kg.num_entities + rows[:, 2]
    return numbers
