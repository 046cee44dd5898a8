"""Uniform, popularity, Bernoulli and self-adversarial negatives, against slow laws by hand."""

from __future__ import annotations

import math
from collections import defaultdict

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from dans_core import Config, KnowledgeGraph, Trainer
from dans_core.batch import Batch, Negatives
from dans_core.decoders import DECODERS
from dans_core.events import Losses
from dans_core.facts import TrainFacts
from dans_core.kernels.outside import chances_plain
from dans_core.samplers.catalogue import class_of
from dans_core.samplers.contract import Sampler, Sources
from dans_core.samplers.uniform import draw_others, draw_uniform
from tests.conftest import random_graph
from tests.core.sampling import answers_in_train, pairs_of, vectors_of
from tests.examples import examples

DRAWN = ["uniform", "popularity", "bernoulli", "self-adversarial"]
tables = pytest.mark.parametrize("table", [True, False], ids=["table", "no table"])


def sampler_of(graph: KnowledgeGraph, name: str, seed: int = 0, **values) -> Sampler:
    config = Config(**{"dim": 8, "sampler": name, **values})
    source = torch.Generator().manual_seed(seed)
    return class_of(name)(config, TrainFacts(graph), DECODERS[config.decoder], Sources(source, source))


def negatives_of(graph: KnowledgeGraph, batch: Batch, name: str, seed: int = 0, **values) -> Negatives:
    return sampler_of(graph, name, seed, **values).negatives(batch, *vectors_of(graph, batch))


def slow_law(graph: KnowledgeGraph, power: float, filtered: bool, pair: tuple[int, int, int]) -> list[float]:
    """The probability of each entity to be drawn for a pair."""
    h, r, t = pair
    out = {t} | (answers_in_train(graph)[h, r] if filtered else set())
    if len(out) == graph.num_entities:
        out = {t}
    degree = [sum(e in (a, b) for a, _, b in graph.train.tolist()) for e in range(graph.num_entities)]
    law = chances_plain([float(d) ** power for d in degree], out)
    return law if any(law) else chances_plain([1.0] * graph.num_entities, out)


def assert_drawn_from(ids: torch.Tensor, law: list[float], level: float) -> None:
    counts = np.bincount(ids.numpy(), minlength=len(law))
    possible = np.array(law) > 0
    assert not counts[~possible].any()
    if possible.sum() > 1:
        assert chisquare(counts[possible], len(ids) * np.array(law)[possible]).pvalue > level


@tables
@pytest.mark.parametrize("filtered", [False, True])
@pytest.mark.parametrize(
    ("name", "power"), [("uniform", 0.0), ("popularity", 0.75), ("popularity", 0.0), ("popularity", 3.0)]
)
def test_entities_are_drawn_by_their_law_given_what_is_left_out(name, power, filtered, table, monkeypatch):
    monkeypatch.setattr("dans_core.kernels.outside._TABLE", 1 << 26 if table else 0)
    graph = random_graph(3, num_entities=7, num_relations=2, n=30)
    # Those of test have answers, and maybe queries, that train does not have.
    batch = Batch.of_triplets(torch.cat([graph.train, graph.test]), graph.num_relations)
    sampler = sampler_of(
        graph, name, negatives=1000, filter_known=filtered, popularity_power=power, decoder="distmult"
    )
    vectors = vectors_of(graph, batch)
    ids = torch.cat([sampler.negatives(batch, *vectors).ids for _ in range(3)], dim=1)
    for row, pair in zip(ids, pairs_of(batch), strict=True):
        assert_drawn_from(row, slow_law(graph, power, filtered, pair), 1e-3 / len(ids))


@examples(60)
@given(
    seed=st.integers(0, 2**20),
    size=st.sampled_from([(2, 1, 40), (3, 1, 40), (5, 2, 30), (12, 3, 60)]),
    name=st.sampled_from(DRAWN),
    filtered=st.booleans(),
    table=st.booleans(),
    power=st.sampled_from([0.0, 0.75, 4.0]),
)
def test_never_the_own_answer_nor_with_the_filter_a_known_one(seed, size, name, filtered, table, power):
    graph = random_graph(seed, *size)
    everything = torch.cat([graph.train, graph.valid, graph.test])
    batch = Batch.of_triplets(everything, graph.num_relations)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dans_core.kernels.outside._TABLE", 1 << 26 if table else 0)
        ids = negatives_of(
            graph, batch, name, seed, negatives=30, filter_known=filtered, popularity_power=power
        ).ids
    assert ids.shape == (len(batch.answer), 30) and ids.dtype == torch.long
    assert ids.min() >= 0 and ids.max() < graph.num_entities
    known = answers_in_train(graph)
    for row, (h, r, t) in zip(ids.tolist(), pairs_of(batch), strict=True):
        assert t not in row
        if filtered and len(known[h, r] | {t}) < graph.num_entities:
            assert not known[h, r] & set(row)


@pytest.mark.parametrize("name", DRAWN)
def test_a_query_that_every_entity_answers_is_not_tried_for_ever(name):
    names = [f"e{i}" for i in range(4)]
    splits = {"train": [("e0", "r", t) for t in names], "valid": [], "test": []}
    graph = KnowledgeGraph.from_names(splits, "full")
    batch = Batch.of_triplets(graph.train, 1)
    ids = negatives_of(graph, batch, name, filter_known=True, negatives=50).ids
    for row, (h, r, t) in zip(ids.tolist(), pairs_of(batch), strict=True):
        # All four are answers of e0's query; a head query of r has e0 alone.
        assert set(row) == (set(range(4)) - {t} if (h, r) == (0, 0) else {1, 2, 3})


def test_without_the_filter_uniform_negatives_are_what_they_always_were():
    graph = random_graph(0)
    batch = Batch.of_triplets(graph.train, graph.num_relations)
    expected = draw_uniform(batch.answer, 20, graph.num_entities, torch.Generator().manual_seed(9))
    assert torch.equal(negatives_of(graph, batch, "uniform", 9).ids, expected)
    facts = TrainFacts(graph)
    again = draw_others(batch, 20, facts, torch.Generator().manual_seed(9), filter_known=False)
    assert torch.equal(again, expected)


def test_the_filter_draws_anew_only_what_is_a_fact(umls):
    batch = Batch.of_triplets(umls.train, umls.num_relations)
    plain = negatives_of(umls, batch, "uniform").ids
    filtered = negatives_of(umls, batch, "uniform", filter_known=True).ids
    heads, relations = (x[batch.query].numpy()[:, None] for x in (batch.heads, batch.relations))
    facts = torch.from_numpy(umls.known_in("train").contains(heads, relations, plain.numpy()))
    assert 0.1 < facts.float().mean() < 0.2
    assert torch.equal(plain[~facts], filtered[~facts])
    assert not umls.known_in("train").contains(heads, relations, filtered.numpy()).any()


def test_a_loop_counts_once_towards_the_degree():
    # Degrees: a 3, b 1, c 1, d 1; all power 1.
    train = [("a", "r", "a"), ("a", "r", "b"), ("c", "r", "a"), ("d", "r", "d")]
    graph = KnowledgeGraph.from_names({"train": train, "valid": [], "test": []}, "loops")
    batch = Batch.of_triplets(graph.train, 1)
    ids = negatives_of(graph, batch, "popularity", popularity_power=1.0, negatives=1000).ids
    pair = pairs_of(batch).index((0, 0, 1))
    assert_drawn_from(ids[pair], [3 / 5, 0, 1 / 5, 1 / 5], 1e-3)


@pytest.mark.parametrize("filtered", [False, True])
def test_popularity_is_uniform_where_nothing_else_has_weight(filtered):
    splits = {"train": [("a", "r", "a")], "valid": [("b", "r", "c")], "test": []}
    graph = KnowledgeGraph.from_names(splits, "one loop")
    batch = Batch.of_triplets(graph.train, 1)
    ids = negatives_of(graph, batch, "popularity", filter_known=filtered, negatives=1000).ids
    for row in ids:
        assert_drawn_from(row, [0, 0.5, 0.5], 1e-3)


def test_steep_powers_leave_no_entity_of_train_without_a_chance():
    # To the fourth power the hub weighs 6 · 10¹⁴ times what a leaf does, more than the weights add up to.
    leaves = [f"leaf{i}" for i in range(5000)]
    splits = {"train": [("hub", "r", leaf) for leaf in leaves], "valid": [("a", "r", "b")], "test": []}
    graph = KnowledgeGraph.from_names(splits, "star")
    sampler = sampler_of(graph, "popularity", popularity_power=4.0, filter_known=True)
    never = [graph.entity_id("a"), graph.entity_id("b")]
    assert sampler._weights.eq(0).nonzero().squeeze(1).tolist() == never
    assert sampler._weights.sum() <= 1 << 48


def test_weights_of_bernoulli_by_hand():
    # r: one head with three tails, tph 3 and hpt 1. s: one to one.
    train = [("a", "r", "b"), ("a", "r", "c"), ("a", "r", "d"), ("a", "s", "b")]
    graph = KnowledgeGraph.from_names({"train": train, "valid": [("a", "t", "b")], "test": []}, "fan")
    batch = Batch.of_triplets(torch.cat([graph.train, graph.valid]), graph.num_relations)
    weights = negatives_of(graph, batch, "bernoulli").weights
    assert weights.shape == (10, 20)
    # The head is replaced with probability 3 / 4, so its query has weight 3 / 2; train does not have t.
    assert weights[:, 0].tolist() == [0.5] * 3 + [1, 1] + [1.5] * 3 + [1, 1]
    assert (weights == weights[:, :1]).all()


@given(seed=st.integers(0, 2**20))
def test_weights_of_bernoulli_are_the_published_statistics(seed):
    graph = random_graph(seed, num_entities=6, num_relations=4)
    batch = Batch.of_triplets(torch.cat([graph.train, graph.test]), graph.num_relations)
    drawn = negatives_of(graph, batch, "bernoulli", seed)
    assert torch.equal(drawn.ids, negatives_of(graph, batch, "uniform", seed).ids)
    tails, heads = defaultdict(lambda: defaultdict(set)), defaultdict(lambda: defaultdict(set))
    for h, r, t in graph.train.tolist():
        tails[r][h].add(t)
        heads[r][t].add(h)
    for weight, (_, r, _) in zip(drawn.weights[:, 0].tolist(), pairs_of(batch), strict=True):
        relation = r % graph.num_relations
        if relation not in tails:
            assert weight == 1
            continue
        tph = np.mean([len(found) for found in tails[relation].values()])
        hpt = np.mean([len(found) for found in heads[relation].values()])
        replaces_head = r >= graph.num_relations
        assert math.isclose(weight, 2 * (tph if replaces_head else hpt) / (tph + hpt), rel_tol=1e-6)
    both = drawn.weights[: len(drawn.weights) // 2] + drawn.weights[len(drawn.weights) // 2 :]
    torch.testing.assert_close(both, torch.full_like(both, 2))
    assert math.isclose(drawn.weights.mean(), 1, rel_tol=1e-6)


@tables
@pytest.mark.parametrize("decoder", DECODERS)
def test_self_adversarial_weights_are_a_softmax_over_a_pairs_own_negatives(decoder, table, monkeypatch):
    monkeypatch.setattr("dans_core.kernels.scores._TABLE", 1 << 24 if table else 0)
    graph = random_graph(2)
    batch = Batch.of_triplets(graph.train, graph.num_relations)
    entities, queries = (x.requires_grad_() for x in vectors_of(graph, batch))
    sampler = sampler_of(graph, "self-adversarial", decoder=decoder, temperature=0.5, negatives=6)
    drawn = sampler.negatives(batch, entities, queries)
    assert torch.equal(drawn.ids, negatives_of(graph, batch, "uniform", negatives=6).ids)
    assert not drawn.weights.requires_grad
    for query, ids, weights in zip(batch.query, drawn.ids, drawn.weights, strict=True):
        scores = [float(DECODERS[decoder].score(queries[query], entities[i]).detach()) for i in ids]
        powers = [math.exp(0.5 * score) for score in scores]
        expected = [6 * power / sum(powers) for power in powers]
        torch.testing.assert_close(weights.tolist(), expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(drawn.weights.sum(1), torch.full((len(batch.query),), 6.0))


def test_a_low_temperature_weighs_all_alike_and_a_high_one_the_hardest_alone():
    graph = random_graph(2)
    batch = Batch.of_triplets(graph.train, graph.num_relations)
    even = negatives_of(graph, batch, "self-adversarial", temperature=1e-6, negatives=5).weights
    torch.testing.assert_close(even, torch.ones_like(even), rtol=1e-3, atol=1e-3)
    sharp = negatives_of(graph, batch, "self-adversarial", temperature=100.0, negatives=5)
    entities, queries = vectors_of(graph, batch)
    scores = DECODERS["complex"].score_all(queries, entities)[batch.query].gather(1, sharp.ids)
    hardest = scores == scores.amax(1, keepdim=True)
    assert sharp.weights[hardest].sum() > 0.95 * sharp.weights.sum()


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("name", DRAWN)
def test_training_on_nations(name, decoder, nations):
    for loss, filtered in (("bce", False), ("softmax", True)):
        config = Config(sampler=name, decoder=decoder, epochs=3, dim=16, loss=loss, filter_known=filtered)
        losses = [event.base for event in Trainer(nations, config) if isinstance(event, Losses)]
        assert len(losses) == 3 and all(math.isfinite(value) for value in losses)
