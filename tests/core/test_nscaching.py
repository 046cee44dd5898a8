"""NSCaching: what is drawn from a cache, how a cache is refilled, and what stays as it is."""

from __future__ import annotations

import io
import itertools
import math
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from dans_core import Config, KnowledgeGraph, Trainer
from dans_core.batch import Batch
from dans_core.decoders import DECODERS
from dans_core.events import Losses
from dans_core.facts import TrainFacts
from dans_core.samplers.baselines.nscaching import NSCaching, _distinct
from dans_core.samplers.contract import Sources
from tests.conftest import random_graph
from tests.core.sampling import everyone, vectors_of
from tests.examples import examples


def sampler_of(graph: KnowledgeGraph, seed: int = 0, **values) -> NSCaching:
    config = Config(**{"dim": 8, "sampler": "nscaching", "cache_size": 5, "cache_fresh": 4, **values})
    source = torch.Generator().manual_seed(seed)
    return NSCaching(config, TrainFacts(graph), DECODERS[config.decoder], Sources(source, source))


def mean_score(sampler: NSCaching, entities: torch.Tensor, queries: torch.Tensor) -> float:
    """Of the cached entities with the queries of train, whose order is that of the whole batch."""
    return float(sampler.decoder.score_all(queries, entities).gather(1, sampler.cache.long()).mean())


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("table", [True, False], ids=["table", "no table"])
@pytest.mark.parametrize("block", [50, 1 << 20], ids=["blocks", "one block"])
def test_with_fixed_vectors_the_caches_fill_with_hard_entities(decoder, table, block, monkeypatch):
    monkeypatch.setattr("dans_core.kernels.scores._TABLE", 1 << 24 if table else 0)
    monkeypatch.setattr("dans_core.samplers.baselines.nscaching._BLOCK", block)
    graph = random_graph(0, num_entities=60, n=200)
    batch = everyone(graph)
    entities, queries = vectors_of(graph, batch)
    sampler = sampler_of(graph, decoder=decoder)
    table_of_all = sampler.decoder.score_all(queries, entities)
    at_first = mean_score(sampler, entities, queries)
    spread = float(table_of_all.std(1).mean())
    assert abs(at_first - float(table_of_all.mean())) < 0.2 * spread
    means = [at_first]
    for _ in range(4):
        for _ in range(5):
            sampler.negatives(batch, entities, queries)
        means.append(mean_score(sampler, entities, queries))
    # The last steps only sway around what has been reached.
    assert means[0] + 0.5 * spread < means[1] and means[1] < means[-1] + 0.1 * spread
    assert means[-1] > at_first + spread


def subsets_law(scores: list[float], size: int) -> dict[frozenset[int], float]:
    """Sampling without replacement ∝ exp(score), one after the other."""
    power = [math.exp(score) for score in scores]
    law: Counter[frozenset[int]] = Counter()
    for order in itertools.permutations(range(len(scores)), size):
        left, probability = sum(power), 1.0
        for i in order:
            probability *= power[i] / left
            left -= power[i]
        law[frozenset(order)] += probability
    return law


def assert_subsets_follow(rows: torch.Tensor, law: dict[frozenset[int], float]) -> None:
    found = Counter(frozenset(row) for row in rows.tolist())
    assert set(found) <= set(law)
    observed = [found[subset] for subset in law]
    assert chisquare(observed, len(rows) * np.array(list(law.values()))).pvalue > 1e-3


@pytest.mark.parametrize("block", [1, 200, 1 << 20])
def test_a_refill_is_a_sample_without_replacement_by_softmax_of_the_scores(block, monkeypatch):
    monkeypatch.setattr("dans_core.samplers.baselines.nscaching._BLOCK", block)
    # With so many fresh ones every entity is a candidate, and candidates are repeated too.
    graph = random_graph(0, num_entities=5, num_relations=10, n=400)
    batch = everyone(graph)
    sampler = sampler_of(graph, cache_size=2, cache_fresh=80, decoder="distmult")
    scores = torch.tensor([1.0, 0.0, -0.5, 0.3, 2.0])
    entities = torch.zeros(5, 8)
    entities[:, 0] = scores
    queries = torch.zeros(len(batch.heads), 8)
    queries[:, 0] = 1
    rows = []
    for _ in range(30):
        sampler.negatives(batch, entities, queries)
        rows.append(sampler.cache.clone())
    assert_subsets_follow(torch.cat(rows), subsets_law(scores.tolist(), 2))


def test_a_first_cache_holds_any_entities_with_the_same_probability():
    rows = _distinct(4000, 3, 6, torch.Generator().manual_seed(1))
    assert_subsets_follow(rows, subsets_law([0.0] * 6, 3))


@examples(40)
@given(
    seed=st.integers(0, 2**20),
    num_entities=st.integers(2, 15),
    size=st.integers(1, 30),
    fresh=st.integers(1, 30),
    block=st.sampled_from([1, 50, 1 << 20]),
)
def test_whatever_the_sizes_caches_are_distinct_and_answers_never_drawn(
    seed, num_entities, size, fresh, block
):
    graph = random_graph(seed, num_entities)
    batch = Batch.of_triplets(torch.cat([graph.train, graph.test]), graph.num_relations)
    sampler = sampler_of(graph, seed, cache_size=size, cache_fresh=fresh)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dans_core.samplers.baselines.nscaching._BLOCK", block)
        for _ in range(3):
            before = sampler.cache.clone()
            drawn = sampler.negatives(batch, *vectors_of(graph, batch))
            assert drawn.ids.dtype == torch.long and not (drawn.ids == batch.answer.unsqueeze(1)).any()
            assert drawn.ids.min() >= 0 and drawn.ids.max() < num_entities
            assert sampler.cache.shape == (len(sampler.facts.distinct_queries), min(size, num_entities))
            for old, new in zip(before.tolist(), sampler.cache.tolist(), strict=True):
                assert len(set(new)) == len(new) and len(set(new) - set(old)) <= fresh


def test_negatives_are_drawn_evenly_from_the_cache_before_its_update():
    graph = random_graph(4)
    batch = everyone(graph)
    sampler = sampler_of(graph, negatives=1000)
    before = sampler.cache.clone()
    ids = sampler.negatives(batch, *vectors_of(graph, batch)).ids
    assert not torch.equal(before, sampler.cache)
    n = graph.num_entities
    for row, query, answer in zip(ids, batch.query.tolist(), batch.answer.tolist(), strict=True):
        cached = before[query].tolist()
        # A draw of the own answer becomes one of all the others.
        law = np.array([(e in cached) / 5 + (answer in cached) / 5 / (n - 1) for e in range(n)])
        law[answer] = 0
        counts = np.bincount(row.numpy(), minlength=n)
        assert not counts[law == 0].any()
        assert chisquare(counts[law > 0], 1000 * law[law > 0]).pvalue > 1e-3 / len(ids)


def test_rows_of_other_queries_stay():
    graph = random_graph(1, n=100)
    sampler = sampler_of(graph)
    batch = Batch.of_triplets(graph.train[:3], graph.num_relations)
    asked, there = sampler.facts.row_of(batch.heads, batch.relations)
    assert there.all()
    before = sampler.cache.clone()
    for _ in range(20):
        sampler.negatives(batch, *vectors_of(graph, batch))
    changed = (before.sort(1).values != sampler.cache.sort(1).values).any(1).nonzero().squeeze(1)
    assert changed.tolist() == sorted(asked.tolist())


def test_a_query_that_train_does_not_have_gets_uniform_negatives():
    splits = {"train": [("a", "r", "b"), ("c", "r", "d")], "valid": [("b", "r", "c")], "test": []}
    graph = KnowledgeGraph.from_names(splits, "unknown")
    sampler = sampler_of(graph, cache_size=1, negatives=1000)
    batch = Batch.of_triplets(graph.valid, graph.num_relations)
    before = sampler.cache.clone()
    ids = sampler.negatives(batch, *vectors_of(graph, batch)).ids
    assert torch.equal(before, sampler.cache)
    for row, answer in zip(ids, batch.answer.tolist(), strict=True):
        counts = np.delete(np.bincount(row.numpy(), minlength=4), answer)
        assert counts.sum() == 1000 and chisquare(counts).pvalue > 1e-3


def test_a_run_that_was_resumed_draws_the_same():
    graph = random_graph(1)
    config = Config(dim=8, sampler="nscaching", epochs=6, batch_size=10, cache_size=4, cache_fresh=3)
    whole = Trainer(graph, config)
    expected = [event.base for event in whole if isinstance(event, Losses)]
    first = Trainer(graph, config)
    seen = []
    while first.epoch < 3:
        seen += [event.base for event in first.step().events if isinstance(event, Losses)]
    file = io.BytesIO()
    torch.save(first.state_dict(), file)
    file.seek(0)
    second = Trainer(graph, config)
    second.load_state_dict(torch.load(file, weights_only=True))
    assert seen + [event.base for event in second if isinstance(event, Losses)] == expected
    assert torch.equal(whole._sampler.cache, second._sampler.cache)
    assert not torch.equal(whole._sampler.cache, first._sampler.cache)


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("loss", ["bce", "softmax"])
def test_training_on_nations(decoder, loss, nations):
    config = Config(sampler="nscaching", decoder=decoder, epochs=3, dim=16, loss=loss)
    losses = [event.base for event in Trainer(nations, config) if isinstance(event, Losses)]
    assert len(losses) == 3 and all(math.isfinite(value) for value in losses)
