"""One-vs-all: the base loss against everyone, in blocks, against a plain slow one and against sampled negatives."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from dans_core import Config, Trainer
from dans_core.batch import Batch, Negatives
from dans_core.decoders import DECODERS, ComplEx, Decoder
from dans_core.events import Losses
from dans_core.loss import base_loss
from tests.conftest import random_graph

EVERYONE = Negatives(everyone=True)


def example() -> tuple[Batch, torch.Tensor, torch.Tensor]:
    """A batch, entities and queries; several pairs share a query."""
    graph = random_graph(0, num_entities=9, n=60)
    batch = Batch.of_triplets(graph.train, graph.num_relations)
    assert batch.counts.max() > 1
    source = torch.Generator().manual_seed(2)
    entities, queries = (
        torch.randn(n, 6, generator=source, dtype=torch.double).requires_grad_()
        for n in (9, len(batch.heads))
    )
    return batch, entities, queries


def slow_loss(
    decoder: Decoder, kind: str, batch: Batch, entities: torch.Tensor, queries: torch.Tensor
) -> torch.Tensor:
    """Every pair by itself."""
    terms = []
    for row, answer in zip(batch.query.tolist(), batch.answer.tolist(), strict=True):
        scores = torch.stack([decoder.score(queries[row], entity) for entity in entities])
        if kind == "softmax":
            terms.append(F.cross_entropy(scores, torch.tensor(answer)))
        else:
            wanted = F.one_hot(torch.tensor(answer), len(entities)).to(scores.dtype)
            terms.append(F.binary_cross_entropy_with_logits(scores, wanted))
    return torch.stack(terms).mean()


@pytest.mark.parametrize("block", [1, 9 * 4, 1 << 22])
@pytest.mark.parametrize("kind", ["bce", "softmax"])
@pytest.mark.parametrize("name", DECODERS)
def test_loss_and_gradients_equal_those_of_every_pair_by_itself(name, kind, block, monkeypatch):
    monkeypatch.setattr("dans_core.kernels.rows._BLOCK", block)
    batch, entities, queries = example()
    results = []
    for loss in (
        base_loss(DECODERS[name], kind, batch, entities, queries, EVERYONE),
        slow_loss(DECODERS[name], kind, batch, entities, queries),
    ):
        # A factor on the way, as other terms of a whole loss may bring it.
        results.append((loss.detach(), *torch.autograd.grad(3 * loss, [entities, queries])))
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("kind", ["bce", "softmax"])
def test_everyone_is_the_same_as_naming_every_other_entity(kind):
    batch, entities, queries = example()
    others = torch.arange(8).repeat(len(batch.answer), 1)
    named = Negatives(ids=others + (others >= batch.answer.unsqueeze(1)))
    ours, theirs = (
        base_loss(DECODERS["complex"], kind, batch, entities, queries, negatives)
        for negatives in (EVERYONE, named)
    )
    torch.testing.assert_close(ours, theirs)


class Watched(ComplEx):
    """ComplEx that remembers how many scores it made at once."""

    def __init__(self) -> None:
        self.made: list[int] = []

    def score_all(self, q: torch.Tensor, entities: torch.Tensor) -> torch.Tensor:
        self.made.append(len(q) * len(entities))
        return super().score_all(q, entities)


def test_no_more_scores_at_a_time_than_a_block_holds(monkeypatch):
    monkeypatch.setattr("dans_core.kernels.rows._BLOCK", 40)
    batch, entities, queries = example()
    decoder = Watched()
    base_loss(decoder, "softmax", batch, entities, queries, EVERYONE).backward()
    assert max(decoder.made) <= 40 and sum(decoder.made) == len(queries) * len(entities)


def test_a_loss_can_be_had_without_gradients():
    batch, entities, queries = example()
    with torch.no_grad():
        loss = base_loss(DECODERS["rotate"], "softmax", batch, entities, queries, EVERYONE)
    torch.testing.assert_close(
        loss, slow_loss(DECODERS["rotate"], "softmax", batch, entities, queries).detach()
    )


def test_very_high_scores_stay_finite():
    batch, entities, queries = example()
    for kind in ("bce", "softmax"):
        loss = base_loss(DECODERS["complex"], kind, batch, 1e3 * entities, 1e3 * queries, EVERYONE)
        grads = torch.autograd.grad(loss, [entities, queries])
        assert loss.isfinite() and all(grad.isfinite().all() for grad in grads)


@pytest.mark.parametrize("decoder", DECODERS)
def test_training_on_nations(decoder, nations):
    for loss in (None, "bce"):
        config = Config(
            sampler="one-vs-all",
            decoder=decoder,
            epochs=3,
            dim=16,
            dropout=0.0,
            **({"loss": loss} if loss else {}),
        )
        assert config.loss == (loss or "softmax")
        losses = [event.base for event in Trainer(nations, config) if isinstance(event, Losses)]
        assert len(losses) == 3 and all(math.isfinite(value) for value in losses)
        assert losses[-1] < losses[0]
