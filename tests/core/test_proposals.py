"""Fakes read as proposals over entities: the draw, the weights, the loss they estimate, and rounds of the game."""

from __future__ import annotations

import io
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from dans_core import Config, Trainer
from dans_core.batch import Batch, Negatives, Turns
from dans_core.decoders import DECODERS
from dans_core.diagnostics import DRAWS, draw_fakes, measure, one_pair, random_of
from dans_core.events import Losses, Ranking
from dans_core.kernels.edges import train_graph
from dans_core.kernels.systematic import systematic, systematic_plain
from dans_core.loss import base_loss
from dans_core.proposals import (
    Proposals,
    beliefs,
    log_importance,
    log_reading,
    mixture,
    of_conditions,
)
from dans_core.samplers import dans
from dans_core.samplers.uniform import draw_uniform
from tests.conftest import random_graph
from tests.core.test_training import assert_same_state
from tests.examples import examples


def small(**values: object) -> Config:
    chosen = {
        "dim": 8, "epochs": 6, "warmup_epochs": 1, "negatives": 4, "eval_every": 2, "diagnose_every": 3,
        "reading": "entities", "loss": "softmax",
    }  # fmt: skip
    return Config(**{**chosen, **values})


def distributions(seed: int, rows: int, size: int) -> torch.Tensor:
    source = torch.Generator().manual_seed(seed)
    return (3 * torch.randn(rows, size, generator=source)).softmax(1)


def at_base(**values: object) -> Trainer:
    """A trainer whose next stage is that of the base model, after one round of the game."""
    trainer = Trainer(random_graph(4), small(warmup_epochs=0, **values))
    while trainer.stage != "base":
        trainer.step()
    return trainer


def turns_of(row: torch.Tensor, rows: int) -> Turns:
    """As a batch has it, pair by pair."""
    pairs = row.bincount(minlength=rows)
    before = [int(pairs[: int(each)].sum()) for each in row]
    turn = [int((row[:place] == each).sum()) for place, each in enumerate(row)]
    return Turns(pairs, torch.tensor(before), pairs[row], torch.tensor(turn))


# --- the draw ---------------------------------------------------------------------------------------------------


@examples(60)
@given(st.integers(0, 99), st.integers(1, 5), st.integers(1, 12), st.integers(1, 9), st.integers(1, 20))
def test_systematic_draws(seed, rows, size, draws, pairs):
    source = torch.Generator().manual_seed(seed)
    proposal = distributions(seed, rows, size)
    row = torch.randint(rows, (pairs,), generator=source)
    start = torch.rand(rows, generator=source)
    reached = proposal.double().cumsum(1)
    reached = reached / reached[:, -1:]
    order = torch.randperm(size, generator=source)
    placed = systematic(reached, start, turns_of(row, rows), order, draws)
    assert torch.equal(placed, systematic_plain(reached, start, row, order, draws))
    found = order.argsort()[placed]

    exact = proposal.double() / proposal.double().sum(1, keepdim=True)
    for place, of_pair in zip(row, found, strict=True):
        expected = draws * exact[place]
        times = of_pair.bincount(minlength=size)
        assert (times >= (expected - 1e-6).floor()).all() and (times <= (expected + 1e-6).ceil()).all()
    for place in set(row.tolist()):
        of_row = found[row == place]
        expected = of_row.numel() * exact[place]
        times = of_row.flatten().bincount(minlength=size)
        assert (times >= (expected - 1e-6).floor()).all() and (times <= (expected + 1e-6).ceil()).all()


def test_an_entity_is_drawn_as_often_as_its_probability_says():
    """On average over U, on a grid as fine as the tolerance."""
    proposal = distributions(1, 1, 7)
    grid = (torch.arange(20_000) + 0.5) / 20_000
    reached = proposal.double().cumsum(1).expand(len(grid), -1)
    drawn = systematic(
        reached / reached[0, -1], grid, turns_of(torch.arange(len(grid)), len(grid)), torch.arange(7), 3
    )
    share = drawn.flatten().bincount(minlength=7) / drawn.numel()
    torch.testing.assert_close(share.to(proposal.dtype), proposal[0], atol=1e-4, rtol=0)


# --- the weights ------------------------------------------------------------------------------------------------


def test_weights_equal_the_formula_and_sum_to_the_number_of_draws():
    source = torch.Generator().manual_seed(0)
    scores, chances = torch.randn(6, 5, generator=source), torch.rand(6, 5, generator=source)
    own = torch.rand(6, 5, generator=source) < 0.3
    own[0], own[1] = True, False
    found = log_importance(scores.requires_grad_(), chances.log(), 0.7, own)
    assert not found.requires_grad
    for row, (s, m, mine) in enumerate(zip(scores.detach(), chances, own, strict=True)):
        raw = {k: torch.exp(0.7 * s[k]) / m[k] for k in range(5) if not mine[k]}
        for k in range(5):
            expected = 5 * raw[k] / sum(raw.values()) if k in raw else 0.0
            assert found[row, k].exp() == pytest.approx(float(expected), rel=1e-5)
    assert found[0].tolist() == [-math.inf] * 5, "nothing is left where every draw is the own answer"
    torch.testing.assert_close(found[1:].exp().sum(1), torch.full((5,), 5.0))


def drawn(trainer: Trainer, mixed: torch.Tensor, draws: int) -> Negatives:
    batch, source = trainer._step_state().batch, torch.Generator().manual_seed(5)
    every = torch.arange(mixed.shape[1])
    order = torch.randperm(len(every), generator=source)
    return Proposals(mixed, every, order, batch.heads, batch.relations).draw(batch, draws, source)


def weighed(trainer: Trainer, given: Negatives, temperature: float) -> torch.Tensor:
    """Weights as the loss has them, from scores of each pair."""
    step = trainer._step_state()
    entities, queries = step.constants
    scores = trainer.model.decoder.score(queries[step.batch.query].unsqueeze(1), entities[given.ids])
    return log_importance(
        scores, given.chances, temperature, given.ids == step.batch.answer.unsqueeze(1)
    ).exp()


def uneven(trainer: Trainer) -> torch.Tensor:
    size = trainer.kg.num_entities
    return 0.5 * distributions(3, len(trainer._step_state().batch.heads), size) + 0.5 / size


def loss_and_gradients(trainer: Trainer, negatives: Negatives, **more: object) -> tuple[torch.Tensor, ...]:
    entities, queries = (part.clone().requires_grad_() for part in trainer._step_state().constants)
    batch, decoder = trainer._step_state().batch, trainer.model.decoder
    kind = more.pop("kind", "softmax")
    loss = base_loss(decoder, kind, batch, entities, queries, negatives, **more)
    return loss.detach(), *torch.autograd.grad(loss, (entities, queries))


@pytest.mark.parametrize("kind", ["softmax", "bce"])
@pytest.mark.parametrize("decoder", DECODERS)
def test_the_loss_with_chances_is_that_with_the_weights_that_follow_from_them(decoder, kind):
    trainer = at_base(decoder=decoder)
    given = drawn(trainer, uneven(trainer), 6)
    plain = Negatives(ids=given.ids, weights=weighed(trainer, given, 0.7))
    found = loss_and_gradients(trainer, given, kind=kind, temperature=0.7)
    for one, other in zip(found, loss_and_gradients(trainer, plain, kind=kind), strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("decoder", DECODERS)
def test_without_temperature_the_loss_is_that_of_the_full_softmax(decoder):
    """Whatever the proposal is, with as many draws as it takes; the draws weigh as much as all others together do."""
    trainer = at_base(decoder=decoder)
    others, draws = trainer.kg.num_entities - 1, 4_000
    given = drawn(trainer, uneven(trainer), draws)
    scaled = Negatives(ids=given.ids, weights=weighed(trainer, given, 0.0) * (others / draws))
    found = loss_and_gradients(trainer, scaled)
    expected = loss_and_gradients(trainer, Negatives(everyone=True))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=2e-3 * float(other.abs().max()), rtol=0)


def test_a_uniform_proposal_without_temperature_is_uniform_sampling():
    trainer = at_base()
    batch, size = trainer._step_state().batch, trainer.kg.num_entities
    given = drawn(trainer, torch.full((len(batch.heads), size), 1 / size), 4)
    own = given.ids == batch.answer.unsqueeze(1)
    weights = weighed(trainer, given, 0.0)
    torch.testing.assert_close(weights, torch.where(own, 0.0, 4 / (~own).sum(1, keepdim=True)))
    clean = ~own.any(1)
    assert clean.any() and (weights[clean] == 1).all()


def test_the_temperature_turns_the_estimate_to_hard_negatives():
    """Σ w e^s / K tends to the mean of e^s under the tempered softmax of the other entities."""
    trainer = at_base()
    batch, (entities, queries) = trainer._step_state().batch, trainer._step_state().constants
    given = drawn(trainer, uneven(trainer), 4_000)
    scores = trainer.model.decoder.score_all(queries, entities)[batch.query]
    others = ~F.one_hot(batch.answer, len(entities)).bool()
    tempered = (1.3 * scores).masked_fill(~others, -torch.inf).softmax(1)
    expected = (tempered * scores.exp()).sum(1)
    found = (weighed(trainer, given, 1.3) * scores.gather(1, given.ids).exp()).mean(1)
    torch.testing.assert_close(found, expected, rtol=2e-2, atol=0)


# --- the reading ------------------------------------------------------------------------------------------------


def test_a_reading_is_a_softmax_of_cosines():
    source = torch.Generator().manual_seed(0)
    fakes, entities = torch.randn(3, 6, generator=source), torch.randn(5, 6, generator=source)
    found = log_reading(fakes, entities, 0.2)
    for row, fake in zip(found, fakes, strict=True):
        raw = torch.stack([torch.exp(F.cosine_similarity(fake, e, dim=0) / 0.2) for e in entities])
        torch.testing.assert_close(row.exp(), raw / raw.sum())
    sharp = log_reading(fakes, entities, 1e-3)
    assert torch.equal(sharp.argmax(1), found.argmax(1)) and (sharp.exp().max(1).values > 0.99).all()


def test_a_mixture_gives_each_query_its_head_and_itself():
    trainer = at_base()
    step = trainer._step_state()
    batch, size = step.batch, trainer.kg.num_entities
    readings = {
        "G_E": distributions(1, len(batch.conditions), size).log(),
        "G_R": distributions(2, len(batch.heads), size).log(),
    }
    mixed = mixture(readings, batch, 0.4)
    for q in range(len(batch.heads)):
        expected = (
            0.3 * readings["G_E"][batch.condition[q]].exp() + 0.3 * readings["G_R"][q].exp() + 0.4 / size
        )
        torch.testing.assert_close(mixed[q], expected)
    alone = mixture({"G_E": readings["G_E"]}, batch, 0.4)
    torch.testing.assert_close(alone[0], 0.6 * readings["G_E"][batch.condition[0]].exp() + 0.4 / size)


@pytest.mark.parametrize("pathway", ["G_E", "G_R"])
@pytest.mark.parametrize("chunk", [5, 1000])
def test_the_cross_entropy_of_g_equals_the_slow_one(pathway, chunk):
    """Pair by pair, with the fakes of the same noise, also where conditions go in passes."""
    trainer = at_base(adv_weight=0.0, film_weight=0.0, condition_chunk=chunk, ce_weight=2.0)
    step, game = trainer._step_state(), trainer._dans
    entities, queries = step.constants
    player = game.generator.pathways[pathway]
    state = game.random.noise.get_state()
    fakes = game.make_fakes(pathway, step.batch, entities, queries, 1).squeeze(1)
    game.random.noise.set_state(state)
    log_q = log_reading(fakes, entities, trainer.config.tau)
    rows = step.batch.condition if pathway == "G_E" else torch.arange(len(queries))
    p = beliefs(trainer.model.decoder, queries, entities)
    each = [-(p[q] * log_q[rows[q]]).sum() for q in step.batch.query]
    before = [parameter.clone() for parameter in player.parameters()]
    told = game.update_generator(pathway, step.batch, entities, queries)
    side = pathway[-1].lower()
    assert told[f"ce_{side}"] == pytest.approx(float(torch.stack(each).mean()), rel=1e-4)
    assert told[f"g_{side}"] == pytest.approx(2 * told[f"ce_{side}"], rel=1e-4)
    assert any(not torch.equal(a, b) for a, b in zip(before, player.parameters(), strict=True))


def test_beliefs_are_summed_over_the_queries_of_a_head():
    trainer = at_base()
    step = trainer._step_state()
    p = beliefs(trainer.model.decoder, step.constants[1], step.constants[0])
    found = of_conditions("G_E", step.batch, p)
    for c in range(len(step.batch.conditions)):
        of_head = [step.batch.counts[q] * p[q] for q in range(len(p)) if step.batch.condition[q] == c]
        torch.testing.assert_close(found[c], torch.stack(of_head).sum(0))


# --- within a run -----------------------------------------------------------------------------------------------


def test_negatives_are_entities_with_the_chances_they_had():
    trainer = at_base(negatives=6)
    step = trainer._step_state()
    given = trainer._dans.negatives(step.batch, *step.constants)
    assert given.vectors is None and given.ids.shape == given.chances.shape == (len(step.batch.answer), 6)
    own = given.ids == step.batch.answer.unsqueeze(1)
    weights = weighed(trainer, given, 1.0)
    assert own.any() and (weights[own] == 0).all()


def test_on_a_large_graph_proposals_are_over_drawn_candidates(monkeypatch):
    monkeypatch.setattr(dans, "MOST_READ", 5)
    trainer = at_base()
    step = trainer._step_state()
    made = [trainer._dans.propose(step.batch, *step.constants) for _ in range(20)]
    for proposals in made:
        assert proposals.mixed.shape == (len(step.batch.heads), 5)
        assert len(proposals.candidates.unique()) == 5
        torch.testing.assert_close(proposals.mixed.sum(1), torch.ones(len(step.batch.heads)))
    assert len(torch.cat([each.candidates for each in made]).unique()) == trainer.kg.num_entities
    given = trainer._dans.negatives(step.batch, *step.constants)
    assert given.ids.max() > 5


def test_between_rounds_of_the_game_proposals_are_kept(monkeypatch):
    trainer = Trainer(random_graph(4), small(play_every=3, epochs=8))
    made: list[int] = []
    original = type(trainer._dans).propose
    monkeypatch.setattr(
        type(trainer._dans),
        "propose",
        lambda self, *given: made.append(trainer.epoch + 1) or original(self, *given),
    )
    events = list(trainer)
    assert made == [2, 5, 8]
    played = [event.epoch for event in events if isinstance(event, Losses) and event.d_adv is not None]
    assert played == [2, 5, 8], "with the game, which begins as the warm-up ends"


VARIANTS = {
    "each step": {},
    "each third step": {"play_every": 3},
    "averaged": {"average": 0.9, "play_every": 2},
    "averaged, in batches": {"average": 0.9, "play_every": 2, "batch_size": 10},
    "one pathway": {"pathways": "G_R"},
}


@pytest.mark.parametrize("values", VARIANTS.values(), ids=VARIANTS)
@pytest.mark.parametrize("read", [5, 1024])
def test_resuming_after_any_stage_gives_the_same_numbers(values, read, monkeypatch):
    monkeypatch.setattr(dans, "MOST_READ", read)
    graph, config = random_graph(4), small(**values)
    straight = Trainer(graph, config)
    list(straight)
    for stop in (4, 7, 11):
        first = Trainer(graph, config)
        for _ in range(stop):
            first.step()
        file = io.BytesIO()
        torch.save(first.state_dict(), file)
        second = Trainer(graph, config)
        second.load_state_dict(torch.load(io.BytesIO(file.getvalue()), weights_only=True))
        list(second)
        assert_same_state(straight, second)


def test_the_average_is_a_running_mean_of_the_weights_and_is_what_is_ranked():
    graph = random_graph(4)
    trainer = Trainer(graph, small(average=0.8, sampler="uniform", negatives=3))
    assert trainer.model is not trainer._moving
    expected = [each.detach().clone() for each in trainer._moving.parameters()]
    best = None
    for event in iter_steps(trainer):
        if event.name == "base":
            done = event.epoch - 1
            kept = min(0.8, (1 + done) / (10 + done))
            with torch.no_grad():
                expected = [
                    kept * mean + (1 - kept) * now
                    for mean, now in zip(expected, trainer._moving.parameters(), strict=True)
                ]
            for found, one in zip(trainer.model.parameters(), expected, strict=True):
                torch.testing.assert_close(found.detach(), one)
        for news in event.events:
            if isinstance(news, Ranking) and news.best:
                best = [each.clone() for each in expected]
    assert best is not None
    kept_weights = trainer.best_state["networks"]["model"]
    for found, one in zip(kept_weights.values(), best, strict=True):
        torch.testing.assert_close(found, one)


def iter_steps(trainer: Trainer):
    while not trainer.finished:
        yield trainer.step()


def test_a_round_needs_no_four_negatives_where_fakes_are_proposals():
    assert small(negatives=1).fakes == {"G_E": 1, "G_R": 1}
    assert small(negatives=1, pathways="G_R").fakes == {"G_R": 1}
    with pytest.raises(ValueError, match="at least 4"):
        small(negatives=1, reading="vectors")


# --- as they are measured ---------------------------------------------------------------------------------------


def test_figures_of_proposals_equal_their_definitions_query_by_query(nations):
    trainer = Trainer(nations, small(epochs=3, dim=16))
    list(trainer)
    found = measure(trainer.networks, nations, trainer.config, 3)
    random = random_of(trainer.config, 3)
    batch = Batch.of_triplets(nations.train, nations.num_relations)
    model = trainer.model
    with torch.no_grad():
        entities = model.encode(train_graph(nations).plan())
        queries = model.queries(entities, batch.heads, batch.relations)
        draw_uniform(batch.answer[one_pair(batch, random)], DRAWS, nations.num_entities, random)
        fakes = draw_fakes(trainer.networks, trainer.config, batch, entities, DRAWS, random)
        p = beliefs(model.decoder, queries, entities)
        q = {
            name: log_reading(made.made[:, 0], entities, trainer.config.tau).exp()[made.row]
            for name, made in fakes.items()
        }
        scores = model.decoder.score_all(queries, entities)
    size = nations.num_entities
    even = torch.full_like(p, 1 / size)

    def kl(other: torch.Tensor) -> float:
        each = [
            sum(float(p[i, t] * (p[i, t] / other[i, t]).log()) for t in range(size)) for i in range(len(p))
        ]
        return sum(each) / len(each)

    both = 0.25 * q["G_E"] + 0.25 * q["G_R"] + 0.5 * even
    assert found.random_kl == pytest.approx(kl(even), rel=2e-3)
    for name, side, other in (("G_E", found.g_e, "G_R"), ("G_R", found.g_r, "G_E")):
        mine = q[name]
        entropy = -(mine * mine.log()).sum(1)
        assert side.proposed_entities == pytest.approx(float(entropy.exp().mean()), rel=2e-3)
        assert side.proposed_kl == pytest.approx(kl(mine), rel=2e-3)
        without = kl(0.5 * q[other] + 0.5 * even)
        assert side.proposed_adds == pytest.approx(without - kl(both), rel=2e-2, abs=1e-4)
        facts, beats = 0.0, 0.0
        for i, (h, r) in enumerate(zip(batch.heads.tolist(), batch.relations.tolist(), strict=True)):
            for t in range(size):
                facts += float(mine[i, t]) * bool(nations.known_answers.contains(h, r, t))
                beats += float(mine[i, t]) * float((scores[i] < scores[i, t]).sum()) / (size - 1)
        assert side.proposed_facts == pytest.approx(facts / len(p), rel=2e-3)
        assert side.proposed_beats == pytest.approx(beats / len(p), rel=2e-3)
    assert found.sampled is not None and 0 <= found.sampled.false_negatives <= 1


def test_fakes_that_are_negatives_have_no_figures_of_proposals(nations):
    trainer = Trainer(nations, small(epochs=3, reading="vectors"))
    list(trainer)
    found = measure(trainer.networks, nations, trainer.config, 3)
    assert found.random_kl is found.sampled is found.g_e.proposed_kl is None


def test_a_batch_knows_the_turn_of_each_pair():
    batch = Batch.of_triplets(random_graph(4).train, random_graph(4).num_relations)
    for found, expected in zip(batch.turns, turns_of(batch.query, len(batch.heads)), strict=True):
        assert torch.equal(found, expected)
