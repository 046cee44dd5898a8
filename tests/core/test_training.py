"""The Trainer: reproducible, steppable, resumable, and equal to a slow version that treats every pair alone."""

from __future__ import annotations

import copy
import dataclasses
import io
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from dans_core import Config, Diverged, InputError, KnowledgeGraph, Trainer, evaluate
from dans_core.batch import Batch, Negatives
from dans_core.config import parse
from dans_core.events import Finished, Losses, Ranking, Snapshot
from dans_core.loss import base_loss
from dans_core.samplers.uniform import draw_uniform
from dans_lab.presets import PRESETS
from tests.conftest import random_graph
from tests.examples import examples


def small(**values) -> Config:
    return Config(
        **{
            **PRESETS["fakes-as-negatives"],
            "dim": 8,
            "epochs": 8,
            "warmup_epochs": 2,
            "negatives": 9,
            "eval_every": 2,
            "snapshot_every": 3,
            **values,
        }
    )


def timeless(events) -> list:
    return [dataclasses.replace(e, seconds=0.0) if hasattr(e, "seconds") else e for e in events]


def tensors(value) -> list[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    return [t for v in value for t in tensors(v)] if isinstance(value, list | tuple) else []


def assert_same_state(a: Trainer, b: Trainer) -> None:
    pairs = list(zip(tensors(a.state_dict()), tensors(b.state_dict()), strict=True))
    assert pairs and all(torch.equal(x, y) for x, y in pairs)


@pytest.mark.parametrize("decoder", ["distmult", "complex", "rotate"])
@pytest.mark.parametrize("sampler", ["dans", "uniform"])
def test_same_seed_same_numbers_whatever_torch_global_state(decoder, sampler):
    runs = []
    for noise in (1, 2):
        torch.manual_seed(noise)
        trainer = Trainer(random_graph(0), small(decoder=decoder, sampler=sampler))
        runs.append((timeless(trainer), trainer))
        torch.rand(noise)
    assert runs[0][0] == runs[1][0]
    assert_same_state(runs[0][1], runs[1][1])


def test_other_seed_other_numbers():
    first, second = (timeless(Trainer(random_graph(0), small(seed=seed))) for seed in (0, 1))
    assert first != second


def test_making_a_trainer_leaves_the_global_random_state_alone():
    before = torch.get_rng_state()
    for _ in Trainer(random_graph(0), small(epochs=3)):
        pass
    assert torch.equal(before, torch.get_rng_state())


def test_stepping_equals_iterating():
    graph, config = random_graph(0), small(batch_size=9, k_g=2, k_d=3)
    iterated, stepped = Trainer(graph, config), Trainer(graph, config)
    by_iteration = timeless(iterated)
    by_step = []
    while not stepped.finished:
        by_step += stepped.step().events
    assert timeless(by_step) == by_iteration
    assert_same_state(iterated, stepped)
    assert iterated.stage_number == stepped.stage_number


def test_the_order_of_stages():
    trainer = Trainer(random_graph(0), small(epochs=3, warmup_epochs=1, k_g=2, k_d=3))
    names = []
    while not trainer.finished:
        expected = trainer.stage
        stage = trainer.step()
        assert stage.name == expected and stage.number == len(names) + 1
        names.append(stage.name)
    game = ["encode", "G_E", "G_R", "G_E", "G_R", "D", "D", "D", "base"]
    assert names == ["encode", "base"] + 2 * game


def test_leaving_the_iteration_anywhere_loses_nothing():
    graph = random_graph(0)
    whole = timeless(Trainer(graph, small()))
    broken, trainer = [], Trainer(graph, small())
    while len(broken) < len(whole):
        for event in trainer:
            broken.append(event)
            break
    assert timeless(broken) == whole


@examples(12)
@given(st.integers(0, 60), st.sampled_from(["distmult", "rotate"]), st.booleans())
def test_resuming_after_any_stage_gives_the_same_numbers(stop, decoder, many_batches):
    graph = random_graph(1)
    config = small(decoder=decoder, batch_size=10 if many_batches else 1000)
    whole = Trainer(graph, config)
    expected = timeless(whole)
    first = Trainer(graph, config)
    seen = []
    while first.stage_number < stop and not first.finished:
        seen += first.step().events
    second = Trainer(graph, config)
    second.load_state_dict(saved_and_loaded(first.state_dict()))
    assert timeless([*seen, *second]) == expected
    assert_same_state(whole, second)


def saved_and_loaded(state: dict) -> dict:
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def test_news_on_their_way_are_kept_when_the_iteration_is_left():
    """Epochs bring several events at a time: of every kind there is one that a resumed trainer is the first to tell."""
    graph, config = random_graph(0), small(diagnose_every=2)
    whole = timeless(Trainer(graph, config))
    told, trainer = [], Trainer(graph, config)
    late = set()
    while len(told) < len(whole):
        told.append(next(trainer))
        state = saved_and_loaded(trainer.state_dict())
        late |= {record["event"] for record in state["pending"]}
        trainer = Trainer(graph, config)
        trainer.load_state_dict(state)
    assert timeless(told) == whole
    assert late >= {"ranking", "diagnostics", "snapshot", "finished"}


def test_a_checkpoint_of_before_without_news_on_their_way_opens():
    graph, config = random_graph(0), small()
    first, second = Trainer(graph, config), Trainer(graph, config)
    while first.stage_number < 5:
        first.step()
    second.load_state_dict({**saved_and_loaded(first.state_dict()), "pending": ""})
    assert timeless(second) == timeless(first)


def test_events_say_what_a_run_did(nations):
    config = small(epochs=7, snapshot_every=3, eval_every=2)
    trainer = Trainer(nations, config)
    events = list(trainer)
    losses = [e for e in events if isinstance(e, Losses)]
    assert [e.epoch for e in losses] == list(range(1, 8))
    assert [e.warm_up for e in losses] == [True] * 2 + [False] * 5
    assert all(e.g_e is None and e.d_adv is None for e in losses[:2])
    assert all(e.g_e > 0 and e.g_r > 0 and e.d_adv > 0 and e.d_aux > 0 for e in losses[2:])
    assert [e.epoch for e in events if isinstance(e, Snapshot)] == [0, 3, 6, 7]
    rankings = [e for e in events if isinstance(e, Ranking)]
    assert [e.epoch for e in rankings] == [2, 4, 6, 7]
    best = max(rankings, key=lambda e: e.mrr)
    assert isinstance(events[-1], Finished)
    assert (events[-1].best_epoch, events[-1].best_mrr) == (best.epoch, best.mrr)
    assert trainer.best_state["epoch"] == best.epoch
    assert rankings[-1].mrr == evaluate(trainer.model, nations).mrr


def test_stepping_past_the_end_is_refused():
    trainer = Trainer(random_graph(0), small(epochs=1, warmup_epochs=0))
    assert list(trainer) and trainer.finished and list(trainer) == []
    with pytest.raises(RuntimeError, match="finished"):
        trainer.step()


def test_divergence_ends_the_run_with_its_epoch():
    trainer = Trainer(random_graph(0), small())
    events = iter(trainer)
    while trainer.epoch < 3:
        next(events)
    with torch.no_grad():
        trainer.model.entity[0] = math.nan
    with pytest.raises(Diverged, match="diverged at epoch 4"):
        list(trainer)


def test_a_graph_of_one_entity_is_refused():
    triplet = [("a", "r", "a")]
    graph = KnowledgeGraph.from_names({"train": triplet, "valid": [], "test": []}, "loop")
    with pytest.raises(InputError, match="one entity"):
        Trainer(graph, small())


def loss_of(trainer: Trainer, negatives: Negatives) -> torch.Tensor:
    step = trainer._step_state()
    return base_loss(
        trainer.model.decoder, trainer.config.loss, step.batch, step.entities, step.queries, negatives
    )


def slow_base_loss(model, config, entities, pairs, ids, fakes) -> torch.Tensor:
    """Every pair and negative by itself: mean of binary cross-entropies over pairs × (1 + N_s)."""
    terms = []
    for i, (h, r, t) in enumerate(pairs):
        query = model.decoder.query(entities[h], model.relation[r])
        terms.append(
            F.binary_cross_entropy_with_logits(model.decoder.score(query, entities[t]), torch.tensor(1.0))
        )
        for vector in [*(entities[j] for j in ids[i]), *fakes[(h, r)]]:
            score = model.decoder.score(query, vector)
            terms.append(F.binary_cross_entropy_with_logits(score, torch.tensor(0.0)))
    assert len(terms) == len(pairs) * (1 + config.negatives)
    return torch.stack(terms).mean()


@pytest.mark.parametrize("decoder", ["distmult", "complex", "rotate"])
@pytest.mark.parametrize("table", [True, False])
def test_base_loss_equals_the_slow_one(decoder, table, monkeypatch):
    """Scoring distinct queries once, from a table or in blocks, changes neither value nor gradient."""
    monkeypatch.setattr("dans_core.kernels.scores._TABLE", 1 << 24 if table else 0)
    monkeypatch.setattr("dans_core.kernels.blocks._CACHED", 200)
    graph = random_graph(2)
    trainer = Trainer(graph, small(decoder=decoder, warmup_epochs=0))
    while trainer.stage != "base":
        trainer.step()
    step = trainer._step_state()
    negatives = trainer._dans.negatives(step.batch, *step.constants)
    fast = loss_of(trainer, negatives)
    pairs = [tuple(row) for row in graph.queries("train").tolist()]
    keys = list(zip(step.batch.heads.tolist(), step.batch.relations.tolist(), strict=True))
    fakes = dict(zip(keys, negatives.vectors, strict=True))
    slow = slow_base_loss(trainer.model, trainer.config, step.entities, pairs, negatives.ids.tolist(), fakes)
    torch.testing.assert_close(fast, slow)
    parameters = list(trainer.model.parameters())
    for ours, theirs in zip(
        torch.autograd.grad(fast, parameters, retain_graph=True),
        torch.autograd.grad(slow, parameters),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


def test_softmax_loss_is_a_cross_entropy_of_the_answer_against_its_negatives():
    graph = random_graph(2)
    trainer = Trainer(graph, small(loss="softmax", warmup_epochs=0))
    while trainer.stage != "base":
        trainer.step()
    step = trainer._step_state()
    negatives = trainer._dans.negatives(step.batch, *step.constants)
    model, e = trainer.model, step.entities
    losses = []
    for i, (q, t) in enumerate(zip(step.batch.query.tolist(), step.batch.answer.tolist(), strict=True)):
        query = model.decoder.query(e[step.batch.heads[q]], model.relation[step.batch.relations[q]])
        candidates = torch.cat([e[t][None], e[negatives.ids[i]], negatives.vectors[q]])
        losses.append(F.cross_entropy(model.decoder.score(query, candidates)[None], torch.tensor([0])))
    fast = loss_of(trainer, negatives)
    torch.testing.assert_close(fast, torch.stack(losses).mean())


@pytest.mark.parametrize(("total", "generated"), [(5, 1), (20, 5), (30, 7)])
def test_a_quarter_of_the_negatives_comes_from_each_pathway(total, generated):
    trainer = Trainer(random_graph(0), small(negatives=total, warmup_epochs=0))
    while trainer.stage != "base":
        trainer.step()
    step = trainer._step_state()
    negatives = trainer._dans.negatives(step.batch, *step.constants)
    assert negatives.ids.shape[1] == total - 2 * generated
    assert negatives.vectors.shape[1] == 2 * generated


def test_fakes_belong_to_their_query(monkeypatch):
    """G_E's fakes of a query are those of its head, G_R's are its own."""
    trainer = Trainer(random_graph(0), small(warmup_epochs=0))
    while trainer.stage != "base":
        trainer.step()
    step, players = trainer._step_state(), trainer._dans
    players.config = players.config.model_copy(update={"sigma": 0.0})
    echo = lambda start, local: start  # noqa: E731
    monkeypatch.setattr(players.generator.entity, "forward", echo)
    monkeypatch.setattr(players.generator.relation, "forward", echo)
    vectors = players.negatives(step.batch, *step.constants).vectors
    entities, queries = step.constants
    assert torch.equal(vectors[:, 0], entities[step.batch.heads])
    assert torch.equal(vectors[:, -1], queries)


@examples(25)
@given(st.integers(0, 10_000))
def test_batch_counts_what_it_merges(seed):
    graph = random_graph(seed)
    batch = Batch.of_triplets(graph.train, graph.num_relations)
    pairs = torch.stack([batch.heads[batch.query], batch.relations[batch.query], batch.answer], dim=1)
    assert pairs.tolist() == graph.queries("train").tolist()
    assert torch.equal(batch.counts, torch.bincount(batch.query))
    assert torch.equal(batch.conditions[batch.condition], batch.heads)
    assert torch.equal(batch.condition_counts, torch.bincount(batch.condition[batch.query]))
    assert int(batch.answer_counts.sum()) == int(batch.condition_counts.sum()) == len(batch.answer)


def test_uniform_negatives_are_uniform_over_the_other_entities():
    answer = torch.full((6000,), 2)
    ids = draw_uniform(answer, 5, 6, torch.Generator().manual_seed(0))
    counts = torch.bincount(ids.flatten(), minlength=6)
    assert counts[2] == 0
    expected = 30_000 / 5
    chi_squared = float(((counts[counts > 0] - expected) ** 2 / expected).sum())
    assert chi_squared < 18.5  # 99.9 % point at 4 degrees of freedom


def test_unscored_message_edges():
    """With score_message_edges off, no scored pair is among the messages."""
    trainer = Trainer(random_graph(3), small(score_message_edges=False, message_split=0.4))
    keep_seen = []
    original = trainer._graph.plan_of_triplets
    trainer._graph.plan_of_triplets = lambda keep: keep_seen.append(keep) or original(keep)
    trainer.step()
    kept = {tuple(t) for t in trainer.kg.train[keep_seen[0]].tolist()}
    batch = trainer._step_state().batch
    assert kept and len(batch.answer) == 2 * (len(trainer.kg.train) - len(kept))
    r = trainer.kg.num_relations
    for q, t in zip(batch.query.tolist(), batch.answer.tolist(), strict=True):
        h, rel = int(batch.heads[q]), int(batch.relations[q])
        assert ((h, rel, t) if rel < r else (t, rel - r, h)) not in kept


def test_train_facts_only_reach_a_loss(nations):
    """Training is the same whatever valid and test hold, how much of it, and whether there is any."""
    train, names = nations.array("train"), (nations.entities, nations.relations)
    rng = np.random.default_rng(0)
    made_up = [np.stack([rng.integers(0, high, size) for high in (14, 55, 14)], axis=1) for size in (17, 90)]
    graphs = [
        nations,
        KnowledgeGraph(train, *made_up, *names, name="other"),
        KnowledgeGraph(train, train[:0], train[:0], *names, name="none"),
    ]
    losses = [
        timeless(e for e in Trainer(graph, small(epochs=4)) if isinstance(e, Losses)) for graph in graphs
    ]
    assert losses[0] == losses[1] == losses[2]


def test_a_saved_trainer_keeps_the_events_nobody_has_taken_yet(nations):
    whole = timeless(Trainer(nations, small(epochs=4)))
    first = Trainer(nations, small(epochs=4))
    seen = []
    for event in first:
        seen.append(event)
        if isinstance(event, Ranking):
            break
    second = Trainer(nations, small(epochs=4))
    second.load_state_dict(first.state_dict())
    assert timeless([*seen, *second]) == whole


def test_batches_of_one_condition_train():
    """Batch norm has no spread to measure in a single row, so it uses what it has seen before."""
    loop = [("a", "r", "a"), ("b", "r", "b"), ("a", "r", "b")]
    graph = KnowledgeGraph.from_names({"train": loop, "valid": [("b", "r", "a")], "test": []}, "loops")
    events = list(Trainer(graph, small(batch_size=1, epochs=3, warmup_epochs=0)))
    assert isinstance(events[-1], Finished)


def test_numbers_beyond_all_bounds_are_a_divergence(nations):
    config = small(decoder="rotate", lr=1.0, layers=4, dim=64, epochs=40, warmup_epochs=2)
    with pytest.raises(Diverged, match="diverged at epoch"):
        list(Trainer(nations, config))


@pytest.mark.parametrize("table", [True, False])
def test_weights_of_negatives_count_in_both_losses(table, monkeypatch):
    monkeypatch.setattr("dans_core.kernels.scores._TABLE", 1 << 24 if table else 0)
    graph = random_graph(2)
    for loss in ("bce", "softmax"):
        trainer = Trainer(graph, small(loss=loss, sampler="uniform"))
        trainer.step()
        step = trainer._step_state()
        ids = trainer._stand_in.negatives(step.batch, *step.constants).ids
        weights = torch.rand(ids.shape, generator=torch.Generator().manual_seed(0)) + 0.1
        weights = weights / weights.mean(1, keepdim=True)
        model, e = trainer.model, step.entities
        terms = []
        for i, (q, t) in enumerate(zip(step.batch.query.tolist(), step.batch.answer.tolist(), strict=True)):
            query = model.decoder.query(e[step.batch.heads[q]], model.relation[step.batch.relations[q]])
            positive, scores = model.decoder.score(query, e[t]), model.decoder.score(query, e[ids[i]])
            if loss == "bce":
                terms.append((F.softplus(-positive) + weights[i] @ F.softplus(scores)) / (1 + ids.shape[1]))
            else:
                total = positive.exp() + weights[i] @ scores.exp()
                terms.append(total.log() - positive)
        given = Negatives(ids=ids, weights=weights)
        torch.testing.assert_close(loss_of(trainer, given), torch.stack(terms).mean())


def test_config_explains_itself():
    for values, words in (
        ({"epochs": -3}, "epochs = -3: must be a whole number, at least 1"),
        ({"decoder": "transe"}, "must be one of distmult, complex, rotate"),
        ({"epocs": 3}, "did you mean 'epochs'"),
        ({"warmup_epochs": 5, "epochs": 5}, "warmup_epochs = 5 must be below epochs = 5"),
        ({"lr": math.nan}, "lr = nan: must be a number, above 0"),
        ({"dim": 7}, "at least 2, at most 2,048, a multiple of 2"),
        ({"negatives": 3, "reading": "vectors"}, "negatives = 3 must be at least 4 with sampler = dans"),
        ({"message_split": 1, "score_message_edges": False}, "message_split must be below 1"),
    ):
        with pytest.raises(InputError) as caught:
            parse(values)
        assert words in str(caught.value) and "\n" not in str(caught.value)


def test_warm_up_fits_a_short_run_unless_it_is_set():
    assert [Config(epochs=n).warmup_epochs for n in (1, 20, 100, 300)] == [0, 10, 50, 50]
    assert Config(epochs=20).with_values(epochs=300).warmup_epochs == 50
    assert Config(epochs=20, warmup_epochs=3).with_values(epochs=300).warmup_epochs == 3


@pytest.mark.parametrize("pathway", ["G_E", "G_R"])
@pytest.mark.parametrize("chunk", [5, 1000])
def test_conditions_in_passes_add_up_to_one_update(pathway, chunk):
    """Each pass has batch-norm statistics of its own; losses weigh pairs over all of them."""
    config = small(
        condition_chunk=chunk, clip_norm=1000.0, film_weight=0.3, aux_weight_g=0.2, warmup_epochs=0
    )
    trainer = Trainer(random_graph(4), config)
    trainer.step()
    step, players = trainer._step_state(), trainer._dans
    entities, queries = step.constants
    batch = step.batch
    given, counts = (
        (entities[batch.conditions], batch.condition_counts) if pathway == "G_E" else (queries, batch.counts)
    )
    generator = copy.deepcopy(players.generator.pathways[pathway])
    noise_source = torch.Generator()
    noise_source.set_state(players.random.noise.get_state())
    passes = -(-len(given) // chunk)
    loss = torch.zeros(())
    for first in range(passes):
        rows = list(range(first, len(given), passes))
        noise = torch.randn(len(rows), 1, config.dim, generator=noise_source)
        local = generator.localise(given[rows])
        fakes = generator(given[rows].unsqueeze(1) + config.sigma * noise, local).squeeze(1)
        adv, aux = players.discriminator(fakes)
        for i, row in enumerate(rows):
            wrong_pathway = aux[i].sigmoid() if pathway == "G_E" else 1 - aux[i].sigmoid()
            real = -adv[i].sigmoid().log() - config.aux_weight_g * (1 - wrong_pathway).log()
            loss = loss + counts[row] / counts.sum() * real
        for alpha, beta in local:
            squares = ((alpha - 1) ** 2).sum() + (beta**2).sum()
            loss = loss + config.film_weight * squares / (len(given) * config.dim)
    expected = torch.autograd.grad(loss, list(generator.parameters()))
    values = players.update_generator(pathway, batch, entities, queries)
    assert values[f"g_{pathway[-1].lower()}"] == pytest.approx(loss.item(), rel=1e-4)
    for parameter, gradient in zip(players.generator.pathways[pathway].parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-3, atol=1e-6)
    fakes = players.make_fakes(pathway, batch, entities, queries, draws=2)
    assert fakes.shape == (len(given), 2, config.dim) and bool(fakes.isfinite().all())


def test_every_stage_sees_the_pathway_as_it_is_now():
    """α and β are kept between D and base, and must not outlive an update of their pathway or the encoding."""
    trainer = Trainer(random_graph(0), small(warmup_epochs=0, k_g=2))
    while trainer.epoch < 2:
        if trainer.stage != "encode":
            step, players = trainer._step_state(), trainer._dans
            players.make_fakes("G_R", step.batch, *step.constants, draws=1)
            (kept,) = players._localised["G_R"][2]
            with torch.no_grad():
                fresh = players.generator.relation.localise(step.constants[1])
            for ours, theirs in zip(kept, fresh, strict=True):
                assert torch.equal(ours.alpha, theirs.alpha) and torch.equal(ours.beta, theirs.beta)
        trainer.step()
