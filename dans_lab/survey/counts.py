"""The figures of a whole graph: sizes, degrees, density, connected components."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from dans_core.kg import KnowledgeGraph
from dans_data import SPLITS
from dans_data.known import Ids


@dataclass(frozen=True)
class Degrees:
    """In how many train triplets each entity is the head (`out`) and the tail (`into`); shape (N,), int64."""

    out: Ids
    into: Ids

    @property
    def both(self) -> Ids:
        """Either; a self loop counts twice."""
        return self.out + self.into


@dataclass(frozen=True)
class Statistics:
    """The figures of a graph.

    Degrees are of all entities, those that train never shows included, and count train triplets, in and out.

    Attributes:
        triplets: distinct triplets of each split; `seen`: distinct entities of each.
        busiest: id of the entity with the highest degree.
        density: train triplets for each triplet that could be made of these entities and relations.
        components: parts of train that no triplet links; `largest`: share of train's entities in the largest.
    """

    entities: int
    relations: int
    triplets: Mapping[str, int]
    seen: Mapping[str, int]
    mean_degree: float
    median_degree: float
    max_degree: int
    busiest: int
    density: float
    components: int
    largest: float


def degrees(kg: KnowledgeGraph) -> Degrees:
    """The degrees of all entities in train."""
    heads, _, tails = kg.array("train").T
    return Degrees(*(np.bincount(ids, minlength=kg.num_entities) for ids in (heads, tails)))


def distribution(of: Ids) -> tuple[Ids, Ids]:
    """The degrees above 0 that occur, ascending, and how many entities have each; for a chart with logarithmic axes."""
    counts = np.bincount(of)
    found = np.flatnonzero(counts)
    found = found[found > 0]
    return found, counts[found]


def statistics(kg: KnowledgeGraph) -> Statistics:
    """The figures of a graph."""
    both = degrees(kg).both
    train = kg.array("train")
    components, largest = _components(kg)
    return Statistics(
        entities=kg.num_entities,
        relations=kg.num_relations,
        triplets={split: len(kg.array(split)) for split in SPLITS},
        seen={split: int(_occur(kg, split).sum()) for split in SPLITS},
        mean_degree=float(both.mean()),
        median_degree=float(np.median(both)),
        max_degree=int(both.max()),
        busiest=int(both.argmax()),
        density=len(train) / (kg.num_entities**2 * kg.num_relations),
        components=components,
        largest=largest,
    )


def _occur(kg: KnowledgeGraph, split: str) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    found = np.zeros(kg.num_entities, dtype=np.bool_)
    found[kg.array(split)[:, [0, 2]]] = True
    return found


def _components(kg: KnowledgeGraph) -> tuple[int, float]:
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    heads, _, tails = kg.array("train").T
    shape = (kg.num_entities, kg.num_entities)
    links = coo_array((np.ones(len(heads), dtype=np.bool_), (heads, tails)), shape=shape)
    _, part = connected_components(links, directed=False)
    # An entity that train never shows would pass for a component of its own.
    sizes = np.bincount(part[_occur(kg, "train")])
    return int((sizes > 0).sum()), float(sizes.max() / sizes.sum())
