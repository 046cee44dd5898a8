"""Filtered ranks of the true answers, the metrics on them, and the parameter-free popularity floor."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dans_core.device import CPU
from dans_core.kg import KnowledgeGraph
from dans_core.model import Model, train_graph

# Scores in memory at once, 16 MiB of float32: more leave the cache, fewer starve the matrix product.
_MAX_SCORES = 1 << 22

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
        """From ranks of any shape, 1 being best; all 0 without any."""
        sums, count = _terms(ranks.flatten()).sum(0), ranks.numel()
        return cls._of_means((sums / max(count, 1)).tolist(), count)

    @classmethod
    def _of_means(cls, means: list[float], count: int) -> Metrics:
        mrr, hits_at_1, hits_at_3, hits_at_10, ndcg_at_5 = means
        return cls(mrr, hits_at_1, hits_at_3, hits_at_10, ndcg_at_5, count)


def _terms(ranks: Tensor) -> Tensor:
    """What each metric averages, in its order: ranks (…) → (…, 5)."""
    ranks = ranks.double()
    gain = torch.where(ranks <= 5, 1 / torch.log2(1 + ranks), 0.0)
    return torch.stack([1 / ranks, *(ranks <= k for k in (1, 3, 10)), gain], dim=-1)


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


def evaluate(model: Model, kg: KnowledgeGraph, split: str = "valid") -> RankingResult:
    """Filtered ranking of a split by the model, on its device, messages on all train edges (method, section 6).

    Draws no random numbers and changes nothing, so evaluating never alters a training run.

    Raises
    ------
    ValueError
        if a score is not a number, or for an unknown split.
    """
    device = model.entity.device
    with torch.no_grad():
        entities = model.encode(train_graph(kg, device).plan())

        def scores(heads: Tensor, relations: Tensor) -> Tensor:
            return model.decoder.score_all(model.queries(entities, heads, relations), entities)

        return rank(scores, kg, split, device)


def popularity_floor(kg: KnowledgeGraph, split: str = "valid") -> RankingResult:
    """The ranking without any model: by how often an entity fills that relation slot in train."""
    counts = torch.from_numpy(np.asarray(kg.slot_counts()))
    return rank(lambda heads, relations: counts[relations].float(), kg, split)


def seen_in_train(kg: KnowledgeGraph, split: str) -> npt.NDArray[np.bool_]:
    """Of each triplet of a split, shape (n,), whether its head and its tail both occur in train."""
    shown = np.zeros(kg.num_entities, dtype=np.bool_)
    shown[kg.array("train")[:, [0, 2]]] = True
    return np.asarray(shown[kg.array(split)[:, [0, 2]]].all(axis=1))


def rank(scores: Scorer, kg: KnowledgeGraph, split: str, device: torch.device = CPU) -> RankingResult:
    """Rank both sides of every triplet of a split.

    `scores` takes head and relation ids (B,), reciprocals included, to scores (B, N), all on `device`. All other known
    answers of any split are left out. Ties count half, the *realistic* rule: the mean of the best and
    the worst rank, so a model that scores everything alike ranks in the middle.

    Raises
    ------
    ValueError
        if a score is not a number, or for an unknown split.
    """
    ranks = _ranks(scores, kg, split, device)
    relations = torch.from_numpy(kg.array(split)[:, 1].copy())
    sums = torch.zeros(kg.num_relations, 5, dtype=torch.double)
    sums.index_add_(0, relations, _terms(ranks).sum(1))
    counts = 2 * torch.bincount(relations, minlength=kg.num_relations)
    seen = torch.from_numpy(seen_in_train(kg, split))
    means = sums / counts.clamp_min(1).unsqueeze(1)
    return RankingResult(
        **vars(Metrics.of(ranks)),
        tail=Metrics.of(ranks[:, 0]),
        head=Metrics.of(ranks[:, 1]),
        relations={
            name: Metrics._of_means(mean, count)
            for name, mean, count in zip(kg.relations, means.tolist(), counts.tolist(), strict=True)
            if count
        },
        ranks=ranks,
        seen=None if seen.all() else Metrics.of(ranks[seen]),
    )


class _Questions(NamedTuple):
    """The Q distinct queries of a split, both sides, and its P answers in the order of their queries.

    heads, relations  (Q,)  the queries
    query             (P,)  which of them each answer belongs to, ascending
    answer            (P,)  the true answers
    position          (P,)  where each stands among the tails of the split, then its heads
    known, length     (P,)  where the known answers of its query begin in `kg.known_answers`, and how many
    """

    heads: Tensor
    relations: Tensor
    query: Tensor
    answer: Tensor
    position: Tensor
    known: Tensor
    length: Tensor


def _questions(kg: KnowledgeGraph, split: str, device: torch.device) -> _Questions:
    pairs = kg.queries(split)
    key = pairs[:, 0] * (2 * kg.num_relations) + pairs[:, 1]
    position = np.argsort(key, kind="stable")
    distinct, query = np.unique(key[position], return_inverse=True)
    heads, relations = np.divmod(distinct, 2 * kg.num_relations)
    start, stop = (bound[query] for bound in kg.known_answers.ranges(heads, relations))
    columns = (heads, relations, query, pairs[position, 2], position, start, stop - start)
    return _Questions(*(torch.from_numpy(column).to(device) for column in columns))


def _ranks(scores: Scorer, kg: KnowledgeGraph, split: str, device: torch.device) -> Tensor:
    """The ranks of a split, shape (n, 2), on the CPU: of triplet i, the rank of its tail and of its head."""
    asked = _questions(kg, split, device)
    known_answers = torch.from_numpy(kg.known_answers.answers.copy()).to(device)
    out = torch.empty(len(asked.answer), dtype=torch.double, device=device)
    step = max(1, _MAX_SCORES // kg.num_entities)
    for begin in range(0, len(out), step):
        part = slice(begin, begin + step)
        query = asked.query[part]
        first, last = int(query[0]), int(query[-1]) + 1
        table = scores(asked.heads[first:last], asked.relations[first:last])
        # A sum is quick and any NaN reaches it; infinities of both signs make one too.
        if table.sum().isnan() and table.isnan().any():
            raise ValueError("some scores are not numbers, so nothing can be ranked")
        if len(table) < len(query):
            table = table.index_select(0, query - first)
        target = table.gather(1, asked.answer[part, None])
        # As floats, counts add up several times as fast, and exactly up to 2^23 entities.
        flags = torch.empty(table.shape, device=device)
        above = torch.gt(table, target, out=flags).sum(1) + torch.ge(table, target, out=flags).sum(1)
        # The known answers leave again, by the scores that they were counted with; the answer is one of them.
        length = asked.length[part]
        row = torch.repeat_interleave(torch.arange(len(length), device=device), length)
        shift = asked.known[part] - (length.cumsum(0) - length)
        place = torch.arange(len(row), device=device) + shift.index_select(0, row)
        column = known_answers.index_select(0, place)
        known = table.reshape(-1).index_select(0, row * table.shape[1] + column)
        against = target.squeeze(1).index_select(0, row)
        above.index_add_(0, row, (known > against).float() + (known >= against).float(), alpha=-1)
        out[asked.position[part]] = 1 + above.double() / 2
    return out.view(2, -1).T.cpu()
