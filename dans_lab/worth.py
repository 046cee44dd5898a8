"""What a model's answers are worth where they are asked for: its ranking of one place of a relation, and the floor."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dans_data.graph import Graph

FEW = 10
"""Below so many queries a figure of one relation says little."""


@dataclass(frozen=True)
class Worth:
    """MRR of a run and of the popularity floor over `queries`, of a relation's tails or heads in a split.

    `everywhere` and `floor_everywhere` are those of the whole split; None where there is nothing to rank.
    """

    queries: int
    mrr: float | None
    floor: float | None
    everywhere: float | None
    floor_everywhere: float | None

    def __str__(self) -> str:
        if self.everywhere is None or self.floor_everywhere is None:
            return "what it is worth is unknown, since no triplet was held out to test it on"
        whole = f"over all of them its MRR is {self.everywhere:.3f}, beside {self.floor_everywhere:.3f} of the floor"
        if self.mrr is None or self.floor is None:
            return f"no triplet of this split asks for this place of the relation; {whole}"
        few = ", which are few" if self.queries < FEW else ""
        verdict = "above" if self.mrr > self.floor else "not above"
        return (
            f"in this place of the relation its MRR is {self.mrr:.3f}, {verdict} the {self.floor:.3f} of the floor, "
            f"over {self.queries:,} {'query' if self.queries == 1 else 'queries'}{few}; {whole}"
        )


def worth(
    graph: Graph, split: str, relation: int, ranks: npt.NDArray[np.float64], floor: npt.NDArray[np.float64]
) -> Worth:
    """From filtered ranks (n, 2) of a split, tails and heads, by the run and by the floor.

    A reciprocal relation asks for heads of the original.
    """
    heads, plain = divmod(relation, graph.num_relations)
    of_relation = graph.array(split)[:, 1] == plain
    mine, base = ranks[of_relation, heads], floor[of_relation, heads]
    return Worth(len(mine), _mrr(mine), _mrr(base), _mrr(ranks), _mrr(floor))


def _mrr(ranks: npt.NDArray[np.float64]) -> float | None:
    return float((1 / ranks).mean()) if ranks.size else None
