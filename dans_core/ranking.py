"""Filtered ranks of the true answers, the metrics on them, and the parameter-free popularity floor."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dans_core.kernels.edges import train_graph
from dans_core.kernels.ranks import RanksOf, ranks
from dans_core.kg import KnowledgeGraph
from dans_core.model import Model
from dans_data.metrics import TERMS, popularity_ranks


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
        """From ranks of any shape, 1 being best; all 0 without any."""
        sums, count = _terms(ranks.flatten()).sum(0), ranks.numel()
        return cls._of_means((sums / max(count, 1)).tolist(), count)

    @classmethod
    def _of_means(cls, means: list[float], count: int) -> Metrics:
        mrr, hits_at_1, hits_at_3, hits_at_10, ndcg_at_5 = means
        return cls(mrr, hits_at_1, hits_at_3, hits_at_10, ndcg_at_5, count)


def _terms(ranks: Tensor) -> Tensor:
    """What each metric averages, in its order: ranks (…) → (…, 5)."""
    values = ranks.double().numpy()
    return torch.from_numpy(np.stack([term(values) for term in TERMS.values()], axis=-1))


@dataclass(frozen=True)
class RankingResult(Metrics):
    """Metrics of a split over both sides, with each side and relation apart.

    `ranks` has shape (n, 2): of triplet i, the rank of its tail and of its head. `seen` is over the triplets whose two
    entities both occur in train, both sides; None where all do. Of other entities nothing is learned: they stay where
    chance put them, so no model can rank them.
    """

    tail: Metrics
    head: Metrics
    relations: dict[str, Metrics]
    ranks: Tensor
    seen: Metrics | None = None


def evaluate(model: Model, kg: KnowledgeGraph, split: str = "valid", by: RanksOf = ranks) -> RankingResult:
    """Filtered ranking of a split by the model, on its device, messages on all train edges (method, section 6).

    All other known answers of any split are left out. Ties count half, the *realistic* rule: the mean of the best and
    the worst rank, so a model that scores everything alike ranks in the middle. Draws no random numbers and changes
    nothing, so evaluating never alters a run. `by` may have others do a share.

    Raises:
        ValueError: if a score is not a number, or for an unknown split.
    """
    device = model.entity.device
    with torch.no_grad():
        entities = model.encode(train_graph(kg, device).plan())

        def scores(heads: Tensor, relations: Tensor) -> Tensor:
            return model.decoder.score_all(model.queries(entities, heads, relations), entities)

        return result_of(by(scores, kg.queries(split), kg.known_answers, device), kg, split)


def popularity_floor(kg: KnowledgeGraph, split: str = "valid") -> RankingResult:
    """The ranking without any model: by how often an entity fills that relation slot in train."""
    return result_of(torch.from_numpy(popularity_ranks(kg, split)), kg, split)


def result_of(both_sides: Tensor, kg: KnowledgeGraph, split: str) -> RankingResult:
    """From the ranks (2n,) of a split's queries, all tails before all heads."""
    of_triplets = both_sides.view(2, -1).T
    relations = torch.from_numpy(kg.array(split)[:, 1].copy())
    sums = torch.zeros(kg.num_relations, len(TERMS), dtype=torch.double)
    sums.index_add_(0, relations, _terms(of_triplets).sum(1))
    counts = 2 * torch.bincount(relations, minlength=kg.num_relations)
    seen = torch.from_numpy(kg.seen_in_train(split))
    means = sums / counts.clamp_min(1).unsqueeze(1)
    return RankingResult(
        **vars(Metrics.of(of_triplets)),
        tail=Metrics.of(of_triplets[:, 0]),
        head=Metrics.of(of_triplets[:, 1]),
        relations={
            name: Metrics._of_means(mean, count)
            for name, mean, count in zip(kg.relations, means.tolist(), counts.tolist(), strict=True)
            if count
        },
        ranks=of_triplets,
        seen=None if seen.all() else Metrics.of(of_triplets[seen]),
    )
