"""Negatives that pairs share, against a slow loop over pairs with their own lists."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare
from torch.nn import functional as F

from dans_core import Config, Trainer
from dans_core.batch import Batch, Negatives
from dans_core.config import parse
from dans_core.decoders import DECODERS
from dans_core.events import Losses
from dans_core.facts import TrainFacts
from dans_core.loss import base_loss
from dans_core.samplers.catalogue import class_of
from dans_core.samplers.contract import Sources
from dans_data.errors import InputError
from tests.conftest import random_graph
from tests.examples import examples

SHARING = ["dans", "uniform", "self-adversarial"]


def slow_loss(decoder, kind, batch, entities, queries, negatives: Negatives) -> torch.Tensor:
    """Pair by pair: its positive, the entities of its group without its answer, and its query's fakes."""
    total, terms = torch.zeros(()), 0
    losses = []
    for pair, (q, answer) in enumerate(zip(batch.query.tolist(), batch.answer.tolist(), strict=True)):
        query = queries[q]
        positive = decoder.score(query, entities[answer])
        row = negatives.ids[pair // negatives.shared].tolist()
        scores, weights = [], []
        for column, entity in enumerate(row):
            if entity != answer:
                scores.append(decoder.score(query, entities[entity]))
                weights.append(1.0 if negatives.weights is None else float(negatives.weights[pair, column]))
        if negatives.vectors is not None:
            scores += [decoder.score(query, vector) for vector in negatives.vectors[q]]
            weights += [1.0] * negatives.vectors.shape[1]
        total = total + F.softplus(-positive)
        for score, weight in zip(scores, weights, strict=True):
            total = total + weight * F.softplus(score)
        terms += 1 + len(row) + (0 if negatives.vectors is None else negatives.vectors.shape[1])
        against = [positive] + [s + torch.tensor(w).log() for s, w in zip(scores, weights, strict=True)]
        losses.append(torch.logsumexp(torch.stack(against), 0) - positive)
    return total / terms if kind == "bce" else torch.stack(losses).mean()


@examples(25)
@given(
    seed=st.integers(0, 3),
    decoder=st.sampled_from(sorted(DECODERS)),
    kind=st.sampled_from(["bce", "softmax"]),
    name=st.sampled_from(SHARING),
    shared=st.integers(2, 60),
)
def test_the_loss_and_its_gradient_are_those_of_the_slow_loop(seed, decoder, kind, name, shared):
    graph = random_graph(seed)
    config = Config(
        dim=8,
        sampler=name,
        decoder=decoder,
        loss=kind,
        shared=shared,
        negatives=9,
        pathway_fakes=2,
        reading="vectors",
        seed=seed,
    )
    source = torch.Generator().manual_seed(seed)
    scorer = DECODERS[decoder]
    sampler = class_of(name)(config, TrainFacts(graph), scorer, Sources(source, source))
    batch = Batch.of_triplets(graph.train, graph.num_relations)
    entities = torch.randn(graph.num_entities, 8, generator=source, requires_grad=True)
    queries = torch.randn(len(batch.heads), 8, generator=source, requires_grad=True)
    negatives = sampler.negatives(batch, entities.detach(), queries.detach())
    assert negatives.shared == shared
    assert negatives.ids.shape == (-(-len(batch.answer) // shared), 5 if name == "dans" else 9)
    given = scorer, kind, batch, entities, queries, negatives
    fast, slow = base_loss(*given), slow_loss(*given)
    torch.testing.assert_close(fast, slow)
    for ours, theirs in zip(
        torch.autograd.grad(fast, (entities, queries)),
        torch.autograd.grad(slow, (entities, queries)),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


def test_shared_negatives_are_uniform_and_the_own_answer_takes_no_weight():
    graph = random_graph(1)
    config = Config(dim=8, sampler="self-adversarial", decoder="distmult", shared=4, negatives=400)
    source = torch.Generator().manual_seed(0)
    sampler = class_of("self-adversarial")(
        config, TrainFacts(graph), DECODERS["distmult"], Sources(source, source)
    )
    batch = Batch.of_triplets(graph.train, graph.num_relations)
    vectors = torch.randn(graph.num_entities, 8), torch.randn(len(batch.heads), 8)
    given = sampler.negatives(batch, *vectors)
    counts = torch.bincount(given.ids.flatten(), minlength=graph.num_entities)
    assert chisquare(counts.numpy()).pvalue > 1e-4
    own = given.own(batch)
    assert own.any() and (given.weights[own] == 0).all()
    torch.testing.assert_close(given.weights.mean(1), torch.ones(len(batch.answer)))
    pairs = torch.tensor([0, 3, 4, 9])
    assert torch.equal(given.ids_of(pairs), given.ids[[0, 0, 1, 2]])


@pytest.mark.parametrize("name", [*SHARING, "kbgan", "nscaching", "bernoulli"])
def test_training_with_shared_negatives_repeats(name):
    """Samplers that cannot share draw their own as ever, and only a warm-up is shared."""

    def losses() -> list[float]:
        config = Config(
            dim=8, sampler=name, epochs=4, shared=16, loss="softmax", batch_size=40, negatives=8, pathway_fakes=1,
            reading="vectors", eval_every=4, diagnose_every=2, snapshot_every=4,
        )  # fmt: skip
        trainer = Trainer(random_graph(2), config)
        return [event.base for event in trainer if isinstance(event, Losses)]

    first = losses()
    assert len(first) == 4 and first == losses() and all(value == value for value in first)


def test_settings_that_do_not_go_together_are_refused_in_words():
    with pytest.raises(InputError, match="shared must be 1 with filter_known"):
        parse({"shared": 5, "filter_known": True})
    with pytest.raises(InputError, match="pathway_fakes = 10 leaves nothing of negatives = 20"):
        parse({"sampler": "dans", "reading": "vectors", "pathway_fakes": 10})
    assert parse({"sampler": "dans", "reading": "vectors", "negatives": 100, "pathway_fakes": 5}).fakes == {
        "G_E": 5,
        "G_R": 5,
    }
