"""MCNS: where its chains go, where they stay, and that they end up in the distribution that is asked of them."""

from __future__ import annotations

import io
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dans_core import Config, KnowledgeGraph, Trainer
from dans_core.batch import Batch
from dans_core.decoders import DECODERS
from dans_core.events import Losses
from dans_core.facts import TrainFacts
from dans_core.samplers.baselines.mcns import Mcns, Proposal
from dans_core.samplers.baselines.neighbourhood import neighbours
from dans_core.samplers.contract import Sources
from tests.conftest import random_graph
from tests.core.sampling import assert_resumes, everyone, vectors_of
from tests.examples import examples


def star() -> KnowledgeGraph:
    """e0 is next to e1 … e5, e5 and e6 are next to each other too, and nothing is next to e7."""
    triplets = np.array([(0, 0, i) for i in range(1, 6)] + [(5, 0, 6)])
    empty = np.zeros((0, 3), dtype=np.int64)
    return KnowledgeGraph(triplets, empty, empty, [f"e{i}" for i in range(8)], ["r"], name="star")


def sampler_of(graph: KnowledgeGraph, seed: int = 0, **values) -> Mcns:
    config = Config(**{"dim": 8, "sampler": "mcns", "hops": 1, "negatives": 4, **values})
    source = torch.Generator().manual_seed(seed)
    return Mcns(config, TrainFacts(graph), DECODERS[config.decoder], Sources(source, source))


def targets(sampler: Mcns, entities: torch.Tensor, queries: torch.Tensor) -> torch.Tensor:
    """π of each query, (Q, N), as its formula says it."""
    weights = sampler.decoder.score_all(queries, entities).double().sigmoid().clamp_min(1e-6) ** 0.75
    return weights / weights.sum(1, keepdim=True)


def largest_variation(sampler: Mcns, graph: KnowledgeGraph) -> float:
    """The largest total variation, over the queries, between many long chains and the target."""
    batch = everyone(graph)
    entities, queries = vectors_of(graph, batch)
    shares = torch.zeros(len(queries), graph.num_entities)
    for _ in range(30):
        sampler.negatives(batch, entities, queries)
        shares += torch.stack([row.long().bincount(minlength=graph.num_entities) for row in sampler.chains])
    shares /= shares.sum(1, keepdim=True)
    return float((shares - targets(sampler, entities, queries)).abs().sum(1).max() / 2)


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("table", [True, False], ids=["tables", "no tables"])
def test_long_chains_have_the_target_distribution(decoder, table, monkeypatch):
    if not table:
        monkeypatch.setattr("dans_core.samplers.baselines.mcns._TABLE", 0)
        monkeypatch.setattr("dans_core.kernels.scores._TABLE", 0)
    sampler = sampler_of(star(), decoder=decoder, negatives=1000, burn_in=30)
    assert largest_variation(sampler, star()) < 0.02


@pytest.mark.parametrize("wrong", ["both densities", "the density back"])
def test_a_wrong_acceptance_would_be_seen(wrong, monkeypatch):
    def log_ratio(self, states, proposed):
        if wrong == "both densities":
            return torch.zeros(states.shape)
        return -math.log(self.num_entities) - self.density(states, proposed).log()

    monkeypatch.setattr(Proposal, "log_ratio", log_ratio)
    sampler = sampler_of(star(), decoder="complex", negatives=1000, burn_in=30)
    assert largest_variation(sampler, star()) > 0.05


@examples(20)
@given(st.integers(0, 1000), st.integers(1, 3), st.booleans())
def test_the_proposals_density_is_that_of_its_draws(seed, hops, table):
    graph = random_graph(seed, num_entities=8, n=10)
    offsets, ids = neighbours(TrainFacts(graph), hops)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dans_core.samplers.baselines.mcns._TABLE", 1 << 26 if table else 0)
        proposal = Proposal(offsets, ids)
    x = torch.arange(8).repeat_interleave(8)
    y = torch.arange(8).repeat(8)
    density = proposal.density(x, y).view(8, 8)
    for i in range(8):
        near = ids[offsets[i] : offsets[i + 1]].tolist()
        for j in range(8):
            expected = 0.5 / 8 + 0.5 * (j in near) / len(near) if near else 1 / 8
            assert float(density[i, j]) == pytest.approx(expected)
    source = torch.Generator().manual_seed(seed)
    drawn = proposal.draw(torch.arange(8).repeat(4000, 1), source)
    shares = torch.stack([drawn[:, i].bincount(minlength=8) for i in range(8)]) / 4000
    assert float((shares - density).abs().max()) < 0.04


def test_chains_in_one_state_of_one_query_go_their_own_ways():
    sampler = sampler_of(star(), negatives=50, burn_in=0)
    batch = everyone(star())
    vectors = vectors_of(star(), batch)
    sampler.begun[:] = True
    sampler.negatives(batch, *vectors)
    moved = sampler.chains != 0
    for of_query in moved:
        assert 0 < int(of_query.sum()) < 50
    # Not even those that move do so together, or to one place.
    assert len(moved.unique(dim=0)) == len(moved)
    assert all(len(row.unique()) > 3 for row in sampler.chains)


def test_burn_in_happens_once_and_then_one_step_a_batch(monkeypatch):
    taken = []
    walk = Mcns.walk

    def counted(self, entities, queries, rows, states, steps):
        taken.append((rows.tolist(), steps))
        return walk(self, entities, queries, rows, states, steps)

    monkeypatch.setattr(Mcns, "walk", counted)
    graph = random_graph(0)
    part = Batch.of_triplets(graph.train[:5], graph.num_relations)
    whole = everyone(graph)
    sampler = sampler_of(graph, burn_in=7)
    for batch in (part, part, whole, whole):
        sampler.negatives(batch, *vectors_of(graph, batch))
    key = TrainFacts(graph).row_of
    seen = set(key(part.heads, part.relations)[0].tolist())
    new = [q for q, row in enumerate(key(whole.heads, whole.relations)[0].tolist()) if row not in seen]
    of_part, of_whole = list(range(len(part.heads))), list(range(len(whole.heads)))
    assert taken == [(of_part, 7), (of_part, 1), (of_part, 1), (new, 7), (of_whole, 1), (of_whole, 1)]


def test_chains_of_queries_that_are_not_asked_stay():
    graph = random_graph(0)
    sampler = sampler_of(graph)
    whole = everyone(graph)
    sampler.negatives(whole, *vectors_of(graph, whole))
    before = sampler.chains.clone()
    part = Batch.of_triplets(graph.train[:5], graph.num_relations)
    for _ in range(20):
        sampler.negatives(part, *vectors_of(graph, part))
    asked = torch.zeros(len(before), dtype=torch.bool)
    asked[sampler.facts.row_of(part.heads, part.relations)[0]] = True
    assert torch.equal(sampler.chains[~asked], before[~asked])
    assert (sampler.chains[asked] != before[asked]).any(1).all()


def test_the_pairs_of_a_query_share_its_states_but_for_their_own_answers():
    graph = random_graph(1, num_entities=9, num_relations=1, n=60)
    batch = everyone(graph)
    vectors = vectors_of(graph, batch)
    sampler = sampler_of(graph, negatives=30)
    replaced = 0
    for _ in range(10):
        ids = sampler.negatives(batch, *vectors).ids
        states = sampler.chains[batch.query].long()
        own = states == batch.answer.unsqueeze(1)
        assert torch.equal(ids[~own], states[~own])
        assert not (ids == batch.answer.unsqueeze(1)).any()
        assert len(ids[own].unique()) == 9
        replaced += int(own.sum())
    assert replaced > 100


@pytest.mark.parametrize("scale", [1e3, 1e30])
@pytest.mark.parametrize("decoder", DECODERS)
def test_scores_beyond_all_bounds_neither_stop_the_chains_nor_break_them(decoder, scale):
    graph = random_graph(0)
    batch = everyone(graph)
    entities, queries = vectors_of(graph, batch)
    sampler = sampler_of(graph, decoder=decoder)
    before = torch.zeros(())
    for _ in range(4):
        ids = sampler.negatives(batch, entities * scale, queries).ids
        assert ids.min() >= 0 and ids.max() < graph.num_entities
        assert not torch.equal(ids, before)
        before = ids


def test_queries_that_train_does_not_have_begin_anew_and_are_not_kept():
    graph = random_graph(0)
    strange = torch.stack([graph.train[:, 0], graph.train[:, 1], graph.train[:, 2].flip(0)], dim=1)
    batch = Batch.of_triplets(strange, graph.num_relations)
    rows, known = TrainFacts(graph).row_of(batch.heads, batch.relations)
    assert known.any() and not known.all()
    sampler = sampler_of(graph, negatives=500, burn_in=30)
    entities, queries = vectors_of(graph, batch)
    ids = sampler.negatives(batch, entities, queries).ids
    assert not (ids == batch.answer.unsqueeze(1)).any()
    assert sampler.begun.nonzero().squeeze(1).tolist() == sorted(set(rows[known].tolist()))
    # They follow their own target as others do: chains of 500 states, but for the own answer.
    pi = targets(sampler, entities, queries)
    for pair in (~known[batch.query]).nonzero().squeeze(1).tolist():
        answer, expected = int(batch.answer[pair]), pi[batch.query[pair]].clone()
        own = float(expected[answer])
        expected += own / (graph.num_entities - 1)
        expected[answer] = 0
        shares = ids[pair].bincount(minlength=graph.num_entities) / 500
        assert float((shares - expected).abs().sum()) / 2 < 0.13


def test_what_was_saved_goes_on_with_the_same_numbers():
    graph = random_graph(0)
    batch = everyone(graph)
    part = Batch.of_triplets(graph.train[:5], graph.num_relations)
    first, second = sampler_of(graph), sampler_of(graph, seed=9)
    first.negatives(part, *vectors_of(graph, part))
    saved = io.BytesIO()
    torch.save(first.state_dict(), saved)
    saved.seek(0)
    second.load_state_dict(torch.load(saved, weights_only=True))
    second.random.negatives.set_state(first.random.negatives.get_state())
    vectors = vectors_of(graph, batch)
    for _ in range(3):
        assert torch.equal(first.negatives(batch, *vectors).ids, second.negatives(batch, *vectors).ids)


def test_a_resumed_run_ends_as_one_that_was_not_interrupted():
    graph = random_graph(0)
    config = Config(dim=8, epochs=4, negatives=3, sampler="mcns", batch_size=9)
    assert_resumes(graph, config, epoch=3)


@pytest.mark.parametrize("decoder", DECODERS)
def test_a_run_on_nations(nations, decoder):
    config = Config(dim=20, epochs=4, warmup_epochs=2, sampler="mcns", decoder=decoder)
    losses = [event.base for event in Trainer(nations, config) if isinstance(event, Losses)]
    assert len(losses) == 4 and all(0 < loss < 20 for loss in losses)
