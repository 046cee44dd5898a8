"""Which rows of the entity table, which triplets and which messages belong to each of several processes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array, csgraph

from dans_data.errors import InputError
from dans_data.graph import Graph
from dans_data.known import Ids


def order_of(graph: Graph) -> Ids:
    """The entity ids (N,) in the order in which the table lies: neighbours near each other, so that cuts part few.

    Reverse Cuthill-McKee on the train triplets. It depends on the graph alone, not on how many processes there are.
    """
    heads, _, tails = graph.array("train").T
    ends = np.concatenate([heads, tails]), np.concatenate([tails, heads])
    size = graph.num_entities
    near = coo_array((np.ones(2 * len(heads), dtype=np.int8), ends), shape=(size, size)).tocsr()
    return csgraph.reverse_cuthill_mckee(near, symmetric_mode=True).astype(np.int64)


def cuts_of(size: int, count: int) -> Ids:
    """Where the rows of each process begin, and the end, (count + 1,): equally many each, the last one maybe fewer.

    Raises InputError where that leaves a process none.
    """
    cuts = np.minimum(np.arange(count + 1, dtype=np.int64) * -(-size // count), size)
    if (np.diff(cuts) == 0).any():
        raise InputError(
            f"{size:,} entities leave one of {count} processes no rows of the table; start fewer"
        )
    return cuts


@dataclass(frozen=True)
class Part:
    """What one process holds of the graph; by local ids, which are positions in `entities`.

    own        (O,)    local ids of the rows of the table that lie here, in the order of the table
    vertices   S       entities 0 … S − 1: its own rows, and both ends of its triplets; by ascending global id
    entities   (V,)    global ids: the vertices, then what is within `hops` of them, so that vertices are encoded as on
                       one process
    local      (N,)    the local id of each entity, −1 where it is not here
    triplets   (n,)    whether each train triplet is one of its positives
    edges      (2, E)  source and destination of the messages that the vertices need
    types      (E,)    their edge types, with the reciprocals
    carried_by (E,)    the train triplet that each message comes from
    """

    own: Ids
    vertices: int
    entities: Ids
    local: Ids
    triplets: npt.NDArray[np.bool_]
    edges: Ids
    types: Ids
    carried_by: Ids

    @classmethod
    def of(cls, graph: Graph, order: Ids, rank: int, count: int, hops: int) -> Part:
        """The part of one of `count` processes, with the closure of so many hops.

        A triplet belongs where both of its ends lie; where they lie apart, to the home of its head and of its tail in
        turn.

        Raises:
            InputError: where a process would have no rows, or this one no triplets.
        """
        cuts = cuts_of(graph.num_entities, count)
        home = np.empty(graph.num_entities, dtype=np.int32)
        home[order] = np.repeat(np.arange(count, dtype=np.int32), np.diff(cuts))
        heads, relations, tails = graph.array("train").T
        by_head = np.arange(len(heads)) % 2 == 0
        triplets = np.where(by_head, home[heads], home[tails]) == rank
        if not triplets.any():
            raise InputError(f"{graph.name} leaves one of {count} processes no training triplet; start fewer")
        mine = order[cuts[rank] : cuts[rank + 1]]
        reached = np.zeros(graph.num_entities, dtype=np.bool_)
        reached[mine] = reached[heads[triplets]] = reached[tails[triplets]] = True
        vertices = np.flatnonzero(reached)
        # Of the last hop only the sources count: nothing arrives there that a vertex would see.
        arriving = reached
        for _ in range(hops):
            arriving = reached
            touched = reached[heads] | reached[tails]
            reached = reached.copy()
            reached[heads[touched]] = reached[tails[touched]] = True
        outer = reached.copy()
        outer[vertices] = False
        entities = np.concatenate([vertices, np.flatnonzero(outer)])
        local = np.full(graph.num_entities, -1, dtype=np.int64)
        local[entities] = np.arange(len(entities))
        forth, back = np.flatnonzero(arriving[tails]), np.flatnonzero(arriving[heads])
        edges = np.stack(
            [
                np.concatenate([heads[forth], tails[back]]),
                np.concatenate([tails[forth], heads[back]]),
            ]
        )
        return cls(
            own=local[mine],
            vertices=len(vertices),
            entities=entities,
            local=local,
            triplets=triplets,
            edges=local[edges],
            types=np.concatenate([relations[forth], relations[back] + graph.num_relations]),
            carried_by=np.concatenate([forth, back]),
        )
