"""What the metrics of a ranking average, and the ranks of the popularity floor; plain numpy, without torch."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from dans_data.graph import Graph

Floats = npt.NDArray[np.float64]

TERMS: dict[str, Callable[[Floats], Floats]] = {
    "mrr": lambda ranks: 1 / ranks,
    "hits_at_1": lambda ranks: (ranks <= 1).astype(np.float64),
    "hits_at_3": lambda ranks: (ranks <= 3).astype(np.float64),
    "hits_at_10": lambda ranks: (ranks <= 10).astype(np.float64),
    "ndcg_at_5": lambda ranks: np.where(ranks <= 5, 1 / np.log2(1 + ranks), 0.0),
}
"""What each metric averages over the ranks, 1 being best (method, section 6); keeps the shape."""

_MAX_SCORES = 1 << 22


def popularity_ranks(graph: Graph, split: str) -> Floats:
    """Filtered ranks (2n,) of a split's queries by how often an entity fills the slot in train; ties count half."""
    counts, known, queries = graph.slot_counts(), graph.known_answers, graph.queries(split)
    found = [np.zeros(0)]
    for block in np.array_split(queries, max(1, len(queries) * graph.num_entities // _MAX_SCORES)):
        scores = counts[block[:, 1]].astype(np.int64)
        target = scores[np.arange(len(block)), block[:, 2]][:, None]
        start, stop = known.ranges(block[:, 0], block[:, 1])
        sizes = stop - start
        rows = np.repeat(np.arange(len(block)), sizes)
        places = np.arange(len(rows)) + np.repeat(start - (np.cumsum(sizes) - sizes), sizes)
        # Below every count, so that no known answer stands before the one asked for.
        scores[rows, known.answers[places]] = -1
        found.append(1 + (scores > target).sum(1) + 0.5 * (scores == target).sum(1))
    return np.concatenate(found)
