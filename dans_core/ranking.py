"""Filtered ranks of the true answers, the metrics on them, and the parameter-free popularity floor."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dans_core.kg import KnowledgeGraph
from dans_core.model import Model, train_graph

# Scores kept in memory at once: 64 MiB of float32.
_MAX_SCORES = 1 << 24

Scorer = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Metrics:
    """Means over `count` queries; ndcg_at_5 is 1 / log2(1 + rank) up to rank 5, else 0."""

    mrr: float
    hits_at_1: float
    hits_at_3: float
    hits_at_10: float
    ndcg_at_5: float
    count: int

    @classmethod
    def of(cls, ranks: Tensor) -> Metrics:
        """From ranks of any shape, 1 being best."""
        ranks = ranks.flatten().double()

        def mean(values: Tensor) -> float:
            return float(values.double().mean()) if len(values) else 0.0

        return cls(
            mrr=mean(1 / ranks),
            hits_at_1=mean(ranks <= 1),
            hits_at_3=mean(ranks <= 3),
            hits_at_10=mean(ranks <= 10),
            ndcg_at_5=mean(torch.where(ranks <= 5, 1 / torch.log2(1 + ranks), 0.0)),
            count=len(ranks),
        )


@dataclass(frozen=True)
class RankingResult(Metrics):
    """Metrics of a split over both sides, with each side and relation apart.

    `ranks` has shape (n, 2): of triplet i, the rank of its tail and of its head.
    """

    tail: Metrics
    head: Metrics
    relations: dict[str, Metrics]
    ranks: Tensor


def evaluate(model: Model, kg: KnowledgeGraph, split: str = "valid") -> RankingResult:
    """Filtered ranking of a split by the model, messages on all train edges (method, section 6).

    Draws no random numbers and changes nothing, so evaluating never alters a training run.

    Raises
    ------
    ValueError
        if a score is not a number, or for an unknown split.
    """
    with torch.no_grad():
        entities = model.encode(train_graph(kg).plan())

        def scores(heads: Tensor, relations: Tensor) -> Tensor:
            return model.decoder.score_all(model.queries(entities, heads, relations), entities)

        return rank(scores, kg, split)


def popularity_floor(kg: KnowledgeGraph, split: str = "valid") -> RankingResult:
    """The ranking without any model: by how often an entity fills that relation slot in train."""
    counts = torch.from_numpy(np.asarray(kg.slot_counts())).float()
    return rank(lambda heads, relations: counts[relations], kg, split)


def rank(scores: Scorer, kg: KnowledgeGraph, split: str) -> RankingResult:
    """Rank both sides of every triplet of a split.

    `scores` takes head and relation ids (B,), reciprocals included, to scores (B, N). All other known
    answers of any split are left out. Ties count half, the *realistic* rule: the mean of the best and
    the worst rank, so a model that scores everything alike ranks in the middle.
    """
    triplets = torch.from_numpy(np.array(kg.array(split)))
    h, r, t = triplets.T
    tail_ranks = _ranks(scores, kg, h, r, t)
    head_ranks = _ranks(scores, kg, t, r + kg.num_relations, h)
    ranks = torch.stack([tail_ranks, head_ranks], dim=1)
    both = Metrics.of(ranks)
    return RankingResult(
        **vars(both),
        tail=Metrics.of(tail_ranks),
        head=Metrics.of(head_ranks),
        relations={kg.relations[int(i)]: Metrics.of(ranks[r == i]) for i in r.unique()},
        ranks=ranks,
    )


def _ranks(scores: Scorer, kg: KnowledgeGraph, heads: Tensor, relations: Tensor, answers: Tensor) -> Tensor:
    known = kg.known_answers
    known_tails = torch.from_numpy(np.array(known.answers))
    starts, stops = (torch.from_numpy(x) for x in known.ranges(heads.numpy(), relations.numpy()))
    out = torch.empty(len(heads), dtype=torch.double)
    step = max(1, _MAX_SCORES // kg.num_entities)
    for begin in range(0, len(heads), step):
        part = slice(begin, begin + step)
        table = scores(heads[part], relations[part])
        if table.isnan().any():
            raise ValueError("some scores are not numbers, so nothing can be ranked")
        target = table.gather(1, answers[part, None])
        lengths = stops[part] - starts[part]
        rows = torch.repeat_interleave(torch.arange(len(lengths)), lengths)
        offsets = torch.arange(len(rows)) - torch.repeat_interleave(lengths.cumsum(0) - lengths, lengths)
        columns = known_tails[torch.repeat_interleave(starts[part], lengths) + offsets]
        if not table.is_floating_point():
            table = table.double()
        # The answer itself is among the known ones and leaves too; `equal` then counts only its rivals.
        table = table.index_put((rows, columns), table.new_tensor(-torch.inf))
        greater = (table > target).sum(1)
        equal = (table == target).sum(1)
        out[part] = 1 + greater + 0.5 * equal
    return out
