"""What a model's answers are worth where they are asked for: its ranking of one place of a relation, and the floor."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dans_data.graph import Graph
from dans_data.words import count, share
from dans_lab.health import NOTHING

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


def warnings(
    graph: Graph, split: str, ranks: npt.NDArray[np.float64], floor: npt.NDArray[np.float64]
) -> list[str]:
    """Why no answer of a run is worth anything, in clauses, from filtered ranks (n, 2) of a split; [] where one may be.

    It ranks below the popularity floor, or its scores tell facts from nothing.
    """
    if not ranks.size:
        return []
    found = []
    if (above := outscored(graph, split, ranks)) >= NOTHING:
        found.append(
            "scores do not tell facts from anything: an entity that makes no known fact outscores the true answer in "
            f"{share(above)} of cases, ties counted half, and by chance it would in half of them"
        )
    mine, base = float((1 / ranks).mean()), float((1 / floor).mean())
    if mine < base:
        found.append(
            f"below the popularity floor: {split} MRR is {mine:.3f}, and ranking by how often an entity fills the "
            f"place gets {base:.3f} without any model"
        )
    return found


def outscored(graph: Graph, split: str, ranks: npt.NDArray[np.float64]) -> float:
    """How often an entity that makes no known fact outscores the true answer of a query of a split; 0 of none."""
    queries = graph.queries(split)
    start, stop = graph.known_answers.ranges(queries[:, 0], queries[:, 1])
    others = (graph.num_entities - (stop - start)).reshape(2, -1).T
    asked = others > 0
    return float(((ranks - 1)[asked] / others[asked]).mean()) if asked.any() else 0.0


def of_new_facts(
    graph: Graph,
    split: str,
    relation: int | None,
    ranks: npt.NDArray[np.float64],
    floor: npt.NDArray[np.float64],
) -> str:
    """What new facts of a relation, or of any, are worth by both sides of what was held out, as a clause."""
    chosen = slice(None) if relation is None else graph.array(split)[:, 1] == relation
    mine, base = _mrr(ranks[chosen]), _mrr(floor[chosen])
    where = "any relation" if relation is None else "this relation"
    if mine is None or base is None:
        return f"nothing of {where} was held out in {split} to test it on, so what new facts are worth is unknown"
    verdict = "above" if mine > base else "not above"
    hits = float((ranks[chosen] <= 1).mean())
    queries = count(ranks[chosen].size, "query", "queries")
    return (
        f"asked {queries} about held-out facts of {where} ({split}), its first answer was right in {share(hits)} of "
        f"them; its MRR is {mine:.3f}, {verdict} the {base:.3f} of the floor"
    )


def _mrr(ranks: npt.NDArray[np.float64]) -> float | None:
    return float((1 / ranks).mean()) if ranks.size else None
