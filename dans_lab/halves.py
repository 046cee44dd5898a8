"""How much train tells of a test triplet before any model: whether it shows the two halves, (h, r, ?) and (?, r, t)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dans_data.graph import Graph

Floats = npt.NDArray[np.float64]

HALVES = ("neither half", "one half", "both halves")
"""How many halves of a triplet train shows, by their number."""

ABOUT = (
    "A test triplet (h, r, t) has two halves, (h, r, ?) and (?, r, t): how many of them train shows says how much "
    "could be known of it without any model."
)


@dataclass(frozen=True)
class Stratum:
    """The triplets of a split of which train shows so many halves, and the MRR over both sides of them.

    Attributes:
        halves: one of `HALVES`.
        triplets: how many; `share` of the split.
        mrr, floor: of the model and of the popularity floor.
    """

    halves: str
    triplets: int
    share: float
    mrr: float
    floor: float


def halves(graph: Graph, split: str) -> npt.NDArray[np.int64]:
    """For each triplet of a split, shape (n,), how many of its halves occur in train: 0, 1 or 2."""
    train, rows = graph.array("train"), graph.array(split)
    shown = np.zeros(len(rows), dtype=np.int64)
    for entity in (0, 2):
        pairs, asked = (part[:, 1] * graph.num_entities + part[:, entity] for part in (train, rows))
        shown += np.isin(asked, pairs)
    return shown


def strata(graph: Graph, split: str, ranks: Floats, floor: Floats) -> list[Stratum]:
    """Those that a split has, from filtered ranks (n, 2) by a model and by the floor; both halves first."""
    shown = halves(graph, split)
    found = []
    for number in (2, 1, 0):
        which = shown == number
        if count := int(which.sum()):
            mrr, base = (float((1 / of[which]).mean()) for of in (ranks, floor))
            found.append(Stratum(HALVES[number], count, count / len(shown), mrr, base))
    return found
