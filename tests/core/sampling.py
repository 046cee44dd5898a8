"""What the tests of samplers share: a batch, vectors to draw by, slow oracles, and a run that is resumed."""

from __future__ import annotations

import copy
from collections import defaultdict

import torch

from dans_core import Config, KnowledgeGraph, Trainer
from dans_core.batch import Batch


def everyone(graph: KnowledgeGraph) -> Batch:
    return Batch.of_triplets(graph.train, graph.num_relations)


def vectors_of(graph: KnowledgeGraph, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """Entities (N, 8) and queries (Q, 8), the same each time."""
    source = torch.Generator().manual_seed(5)
    return (
        torch.randn(graph.num_entities, 8, generator=source),
        torch.randn(len(batch.heads), 8, generator=source),
    )


def pairs_of(batch: Batch) -> list[tuple[int, int, int]]:
    """(h, r, t) of each pair."""
    heads, relations = batch.heads[batch.query], batch.relations[batch.query]
    return list(zip(heads.tolist(), relations.tolist(), batch.answer.tolist(), strict=True))


def answers_in_train(graph: KnowledgeGraph) -> dict[tuple[int, int], set[int]]:
    answers = defaultdict(set)
    for h, r, t in graph.train.tolist():
        answers[h, r].add(t)
        answers[t, r + graph.num_relations].add(h)
    return answers


def assert_resumes(graph: KnowledgeGraph, config: Config, epoch: int) -> None:
    """A run that is resumed before its last epochs ends with the weights of one that was not interrupted."""
    whole, half = Trainer(graph, config), Trainer(graph, config)
    for _ in whole:
        pass
    while half.epoch < epoch:
        half.step()
    resumed = Trainer(graph, config)
    resumed.load_state_dict(copy.deepcopy(half.state_dict()))
    for _ in resumed:
        pass
    for one, other in zip(whole.model.parameters(), resumed.model.parameters(), strict=True):
        assert torch.equal(one, other)
