"""Who lives near an entity: its neighbours in train, whatever the relation and its direction."""

from __future__ import annotations

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from dans_core.facts import TrainFacts

MOST_IDS = 1 << 26
"""Ids that `neighbours` keeps at most, beyond those one edge away: 512 MiB."""


def neighbours(facts: TrainFacts, hops: int, most: int = MOST_IDS) -> tuple[Tensor, Tensor]:
    """The entities within `hops` ≥ 1 edges of each entity, itself excluded: offsets (N + 1,), ids, both int64.

    `ids[offsets[i] : offsets[i + 1]]` are entity i's, ascending. Neighbourhoods grow fast (measured at 2 hops:
    WN18RR 2.6 million ids in all, 0.2 s; NELL-995 29 million, 1.5 s), so where the next hop may go past `most` ids,
    the entities with the largest stay at the hops they have; the next hop is judged by a bound, the number of paths.
    Memory on the way: about as much as the ids again.
    """
    adjacency = _adjacency(facts)
    reach = adjacency
    for _ in range(hops - 1):
        reach = _grown(reach, adjacency, most)
    return torch.from_numpy(reach.indptr.astype(np.int64)), torch.from_numpy(reach.indices.astype(np.int64))


def _adjacency(facts: TrainFacts) -> sparse.csr_array:
    """Whether two entities share a fact of train, (N, N), without loops; every fact is there in both directions."""
    heads, tails = facts.queries[:, 0], facts.queries[:, 2]
    n, apart = facts.num_entities, heads != tails
    edges = np.unique(heads[apart] * n + tails[apart])
    starts = np.searchsorted(edges, np.arange(n + 1) * n)
    return sparse.csr_array((np.ones(len(edges), np.bool_), edges % n, starts), shape=(n, n))


def _grown(reach: sparse.csr_array, adjacency: sparse.csr_array, most: int) -> sparse.csr_array:
    """Reach one edge further, for as many entities as stay within `most` ids, those that reach fewest first."""
    n = reach.shape[0]
    now, degrees = np.diff(reach.indptr).astype(np.int64), np.diff(adjacency.indptr).astype(np.int64)
    paths = np.add.reduceat(np.append(degrees[reach.indices], 0), np.minimum(reach.indptr[:-1], reach.nnz))
    bound = np.where(now > 0, np.minimum(now + paths, n - 1), 0)
    order = np.argsort(bound, kind="stable")
    grows = np.zeros(n, dtype=np.bool_)
    grows[order] = now.sum() + np.cumsum((bound - now)[order]) <= most
    further = reach + sparse.diags_array(grows, dtype=np.bool_) @ reach @ adjacency
    further.data[further.indices == np.repeat(np.arange(n), np.diff(further.indptr))] = False
    further.eliminate_zeros()
    further.sort_indices()
    return further
