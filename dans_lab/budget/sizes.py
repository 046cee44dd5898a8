"""How large a graph is: the counts that decide what a run on it costs; nothing here needs torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from weakref import WeakKeyDictionary

import numpy as np

from dans_core.kg import KnowledgeGraph
from dans_data.errors import InputError
from dans_data.places import folders


@dataclass(frozen=True)
class Sizes:
    """Counts that decide the cost of a run.

    Attributes:
        entities, relations: N and |R|, without the reciprocals.
        train, valid: triplets of these splits.
        queries: distinct (head, relation) of train, both directions.
        paths: how many entities two edges of train away reach, counted for each entity and added up, at most N each;
            an entity reached by several paths counts as often.
    """

    entities: int
    relations: int
    train: int
    queries: int
    valid: int = 0
    paths: int = 0

    @classmethod
    def of(cls, kg: KnowledgeGraph) -> Sizes:
        """The sizes of a graph, counted once for each."""
        if kg not in _sizes:
            heads, relations, tails = kg.queries("train").T
            degrees = np.bincount(heads, minlength=kg.num_entities)
            reached = np.bincount(heads, weights=degrees[tails], minlength=kg.num_entities)
            _sizes[kg] = cls(
                entities=kg.num_entities,
                relations=kg.num_relations,
                train=len(kg.array("train")),
                queries=len(np.unique(heads * 2 * kg.num_relations + relations)),
                valid=len(kg.array("valid")),
                paths=int(np.minimum(reached, kg.num_entities).sum()),
            )
        return _sizes[kg]


_sizes: WeakKeyDictionary[KnowledgeGraph, Sizes] = WeakKeyDictionary()
_sizes_of_sources: dict[str, Sizes] = {}


def is_here(source: str) -> bool:
    """Whether `KnowledgeGraph.load` finds this source on this machine, without a download."""
    return source in folders() or (Path(source).is_absolute() and Path(source).exists())


def sizes_of(source: str) -> Sizes | None:
    """The sizes of a data set, read once a process; None where it is not here or cannot be read."""
    if source not in _sizes_of_sources:
        if not is_here(source):
            return None
        try:
            _sizes_of_sources[source] = Sizes.of(KnowledgeGraph.load(source))
        except InputError:
            return None
    return _sizes_of_sources[source]
