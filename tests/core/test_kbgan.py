"""KBGAN: which candidates its generator chooses, what it learns from their rewards, and what it remembers."""

from __future__ import annotations

import io
from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dans_core import Config, KnowledgeGraph, Trainer
from dans_core.batch import Batch
from dans_core.decoders import DECODERS
from dans_core.events import Losses
from dans_core.facts import TrainFacts
from dans_core.samplers.baselines.kbgan import Kbgan
from dans_core.samplers.contract import Sources
from dans_core.samplers.uniform import draw_uniform
from tests.conftest import random_graph
from tests.core.sampling import assert_resumes, everyone, vectors_of
from tests.examples import examples


def sampler_of(graph: KnowledgeGraph, seed: int = 0, **values) -> Kbgan:
    config = Config(
        **{"dim": 8, "sampler": "kbgan", "generator_dim": 6, "negatives": 4, "candidates": 5, **values}
    )
    source = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    return Kbgan(config, TrainFacts(graph), DECODERS[config.decoder], Sources(source, source))


@pytest.mark.parametrize("decoder", DECODERS)
def test_with_fixed_vectors_the_reward_rises_above_that_of_uniform_negatives(decoder):
    graph = random_graph(0, num_entities=40, n=150)
    batch = everyone(graph)
    entities, queries = vectors_of(graph, batch)
    sampler = sampler_of(graph, decoder=decoder, lr_g=0.02, generator_dim=30, negatives=20)
    table = sampler.decoder.score_all(queries, entities)[batch.query]

    def reward(ids: torch.Tensor) -> float:
        return float(table.gather(1, ids).mean())

    rewards = [reward(sampler.negatives(batch, entities, queries).ids) for _ in range(150)]
    by_chance = reward(draw_uniform(batch.answer, 200, len(entities), torch.Generator().manual_seed(1)))
    spread = float(table.std(1).mean())
    before, after = sum(rewards[:5]) / 5, sum(rewards[-5:]) / 5
    assert abs(before - by_chance) < 0.2 * spread
    assert after > by_chance + 0.6 * spread


@pytest.mark.parametrize("block", [1, 3, 64])
@pytest.mark.parametrize("seed", [0, 1])
def test_a_step_equals_one_written_out_choice_by_choice(block, seed, monkeypatch):
    monkeypatch.setattr("dans_core.samplers.baselines.kbgan._BLOCK", block)
    graph = random_graph(seed, num_entities=7)
    batch = everyone(graph)
    entities, queries = vectors_of(graph, batch)
    sampler = sampler_of(graph, clip_norm=1000.0)
    sampler.baseline = baseline = 0.3
    s, c = sampler.config.negatives, sampler.config.candidates
    entity = sampler.generator.entity.detach().clone().requires_grad_()
    relation = sampler.generator.relation.detach().clone().requires_grad_()
    source = torch.Generator()
    source.set_state(sampler.random.negatives.get_state())
    ids = sampler.negatives(batch, entities, queries).ids

    objective, rewards = torch.zeros(()), []
    for start in range(0, len(queries), block):
        sets = torch.randint(len(entities), (s * c,), generator=source).view(s, c)
        pairs = [
            p
            for q in range(start, min(start + block, len(queries)))
            for p in range(len(batch.query))
            if batch.query[p] == q
        ]
        points = torch.rand(len(pairs), s, generator=source)
        for place, p in enumerate(pairs):
            q, answer = batch.query[p], batch.answer[p]
            for j in range(s):
                others = sets[j][sets[j] != answer]
                scores = (entity[batch.heads[q]] * relation[batch.relations[q]] * entity[others]).sum(1)
                chances = scores.softmax(0)
                choice = int((chances.cumsum(0) <= points[place, j]).sum())
                assert ids[p, j] == others[choice]
                rewards.append(float(sampler.decoder.score(queries[q], entities[others[choice]])))
                objective = objective + (rewards[-1] - baseline) * chances[choice].log()
    (-objective / len(rewards)).backward()
    assert float(entity.grad.norm()) > 1e-4
    torch.testing.assert_close(sampler.generator.entity.grad, entity.grad, rtol=1e-4, atol=1e-7)
    torch.testing.assert_close(sampler.generator.relation.grad, relation.grad, rtol=1e-4, atol=1e-7)
    # One batch is an epoch here, and the baseline the mean reward of the last epoch.
    assert sampler.baseline == pytest.approx(sum(rewards) / len(rewards), rel=1e-5)


def test_the_choice_follows_the_softmax_of_the_generators_scores():
    graph = random_graph(0, num_entities=6)
    batch = Batch.of_triplets(graph.train[:1], graph.num_relations)
    entities, queries = vectors_of(graph, batch)
    sampler = sampler_of(graph, candidates=2, negatives=1000, lr_g=1e-12)
    sampler.generator.entity.data.mul_(4)
    scores = (
        (sampler.generator.entity[batch.heads] * sampler.generator.relation[batch.relations])
        @ sampler.generator.entity.T
    ).detach()
    drawn = Counter(
        (p, x)
        for _ in range(60)
        for p, row in enumerate(sampler.negatives(batch, entities, queries).ids.tolist())
        for x in row
    )
    for p in range(2):
        # Both candidates are uniform, and one that is the own answer leaves the choice to the other.
        answer = int(batch.answer[p])
        weights = scores[batch.query[p]].exp().tolist()
        expected = dict.fromkeys(range(6), 0.0)
        for first in range(6):
            for second in range(6):
                others = [x for x in (first, second) if x != answer]
                for x in others:
                    expected[x] += weights[x] / sum(weights[y] for y in others) / 36
        for x in range(6):
            if x != answer:
                # Two own answers, one time in 36, give one of the five others.
                assert drawn[p, x] / 60_000 == pytest.approx(expected[x] + 1 / 36 / 5, abs=0.01)


@examples(25)
@given(st.integers(0, 1000), st.integers(2, 15), st.sampled_from(sorted(DECODERS)), st.floats(0.1, 300.0))
def test_own_answers_are_never_chosen_whatever_the_generators_scale(seed, num_entities, decoder, scale):
    graph = random_graph(seed, num_entities=num_entities)
    batch = everyone(graph)
    entities, queries = vectors_of(graph, batch)
    sampler = sampler_of(graph, decoder=decoder, candidates=2)
    sampler.generator.entity.data.mul_(scale)
    for _ in range(3):
        ids = sampler.negatives(batch, entities, queries).ids
        assert ids.shape == (len(batch.answer), 4)
        assert ids.min() >= 0 and ids.max() < num_entities
        assert not (ids == batch.answer.unsqueeze(1)).any()
    assert all(bool(p.isfinite().all()) for p in sampler.generator.parameters())


def test_the_baseline_begins_with_uniform_rewards_and_moves_by_the_batchs_share_of_an_epoch():
    graph = random_graph(0, num_entities=30, n=120)
    whole = everyone(graph)
    part = Batch.of_triplets(graph.train[: len(graph.train) // 4], graph.num_relations)
    entities, queries = vectors_of(graph, part)
    sampler = sampler_of(graph, decoder="rotate")
    source = torch.Generator()
    source.set_state(sampler.random.negatives.get_state())
    table = sampler.decoder.score_all(queries, entities)[part.query]
    ids = sampler.negatives(part, entities, queries).ids
    start = float(table.gather(1, draw_uniform(part.answer, 1, len(entities), source)).mean())
    for _ in range(3):
        reward = float(table.gather(1, ids).mean())
        start += (reward - start) * len(part.answer) / len(whole.answer)
        assert sampler.baseline == pytest.approx(start, rel=1e-5)
        ids = sampler.negatives(part, entities, queries).ids


def test_rehearsing_teaches_the_generator_the_answers_of_train():
    graph = random_graph(3, num_entities=30, n=80)
    batch = everyone(graph)
    sampler = sampler_of(graph, candidates=20, generator_dim=20)

    def advantage() -> float:
        asked = sampler.generator.entity[batch.heads] * sampler.generator.relation[batch.relations]
        table = (asked @ sampler.generator.entity.T).detach()[batch.query]
        return float((table.gather(1, batch.answer.unsqueeze(1)).squeeze(1) - table.mean(1)).mean())

    before = advantage()
    for _ in range(60):
        sampler.rehearse(batch)
    assert abs(before) < 0.3 and advantage() > 2


def test_the_weights_begin_with_scores_of_the_originals_spread():
    graph = random_graph(0, num_entities=200, n=400)
    for dim in (10, 50, 200):
        made = sampler_of(graph, generator_dim=dim).generator
        scores = (made.entity[:, None] * made.relation[0]) @ made.entity.T
        assert float(scores.detach().std()) == pytest.approx(0.2, rel=0.35)


def test_queries_that_train_does_not_have():
    graph = random_graph(0)
    strange = torch.stack([graph.train[:, 0], graph.train[:, 1], graph.train[:, 2].flip(0)], dim=1)
    batch = Batch.of_triplets(strange, graph.num_relations)
    assert not TrainFacts(graph).row_of(batch.heads, batch.relations)[1].all()
    sampler = sampler_of(graph)
    ids = sampler.negatives(batch, *vectors_of(graph, batch)).ids
    assert not (ids == batch.answer.unsqueeze(1)).any()


def test_what_was_saved_goes_on_with_the_same_numbers():
    graph = random_graph(0)
    batch = everyone(graph)
    vectors = vectors_of(graph, batch)
    first, second = sampler_of(graph), sampler_of(graph, seed=9)
    first.rehearse(batch)
    first.negatives(batch, *vectors)
    saved = io.BytesIO()
    torch.save(first.state_dict(), saved)
    saved.seek(0)
    second.load_state_dict(torch.load(saved, weights_only=True))
    second.random.negatives.set_state(first.random.negatives.get_state())
    for _ in range(3):
        for sampler in (first, second):
            sampler.rehearse(batch)
        assert torch.equal(first.negatives(batch, *vectors).ids, second.negatives(batch, *vectors).ids)
        assert first.baseline == second.baseline


def test_a_run_resumed_in_the_game_ends_as_one_that_was_not_interrupted():
    graph = random_graph(0)
    config = Config(
        dim=8, epochs=5, warmup_epochs=2, negatives=3, sampler="kbgan", generator_dim=4, batch_size=9
    )
    assert_resumes(graph, config, epoch=4)


@pytest.mark.parametrize("decoder", DECODERS)
def test_a_run_on_nations(nations, decoder):
    config = Config(dim=20, epochs=4, warmup_epochs=2, sampler="kbgan", decoder=decoder)
    trainer = Trainer(nations, config)
    before = trainer._sampler.generator.entity.detach().clone()
    losses = [event.base for event in trainer if isinstance(event, Losses)]
    assert len(losses) == 4 and all(0 < loss < 20 for loss in losses)
    assert not torch.equal(before, trainer._sampler.generator.entity)
