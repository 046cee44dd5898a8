"""The faults of the released DANS code, each as a test that fails if ours had it (method, section 7)."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from dans_core import Config, KnowledgeGraph, Trainer
from dans_core.batch import Batch, Negatives
from dans_core.decoders import DECODERS
from dans_core.events import Losses
from dans_core.facts import TrainFacts
from dans_core.gan import Discriminator, Pathway
from dans_core.loss import base_loss
from dans_core.samplers.contract import Sources
from dans_core.samplers.dans import Dans
from dans_lab.presets import PRESETS
from dans_lab.watched import watched
from tests.conftest import random_graph


def small(**values) -> Config:
    chosen = {"dim": 8, "epochs": 4, "warmup_epochs": 0, "negatives": 8, **values}
    return Config(**(PRESETS["fakes-as-negatives"] | chosen))


def game(graph: KnowledgeGraph, config: Config) -> Dans:
    torch.manual_seed(0)
    source = torch.Generator().manual_seed(0)
    return Dans(config, TrainFacts(graph), DECODERS[config.decoder], Sources(source, source))


def vectors(batch: Batch, num_entities: int = 12, dim: int = 8) -> tuple[torch.Tensor, torch.Tensor]:
    source = torch.Generator().manual_seed(5)
    return (
        torch.randn(num_entities, dim, generator=source),
        torch.randn(len(batch.heads), dim, generator=source),
    )


def test_every_parameter_of_the_players_moves_within_one_iteration():
    """Trap 1: the released FiLM is in no optimizer, so its change over a whole run is exactly 0."""
    trainer = Trainer(random_graph(0), small())
    parts = (trainer.networks.generator, trainer.networks.discriminator, trainer.model)
    before = {id(p): p.detach().clone() for part in parts for p in part.parameters()}
    gradients: dict[str, bool] = {}
    while trainer.epoch == 0:
        trainer.step()
        for part in parts:
            for name, p in part.named_parameters():
                key = f"{type(part).__name__}.{name}"
                gradients[key] = gradients.get(key, False) or (
                    p.grad is not None and bool((p.grad != 0).any())
                )
    assert [name for name, moved in gradients.items() if not moved] == []
    for part in parts:
        for name, p in part.named_parameters():
            assert not torch.equal(p, before[id(p)]), f"{type(part).__name__}.{name} did not move"


def test_the_auxiliary_loss_starts_at_ln_2_and_learns_what_can_be_told_apart():
    """Trap 2: the released auxiliary loss is a cross-entropy over one column, identically 0."""
    graph = random_graph(0)
    batch = Batch.of_triplets(graph.train, graph.num_relations)
    entities, queries = vectors(batch)
    players = game(graph, small(lr_d=1e-2))
    assert players.update_discriminator(batch, entities, queries)["d_aux"] == pytest.approx(
        math.log(2), abs=0.05
    )

    def shifted(sign: float):
        def fakes(start, local):
            return torch.randn_like(start) + 3 * sign

        return fakes  # fmt: skip

    players.generator.entity.forward = shifted(-1)
    players.generator.relation.forward = shifted(+1)
    losses = [players.update_discriminator(batch, entities, queries)["d_aux"] for _ in range(300)]
    assert losses[-1] < 0.1
    assert players.update_discriminator(batch, entities, queries)["aux_accuracy"] > 0.95


def test_the_auxiliary_loss_stays_at_ln_2_for_identical_pathways():
    """Trap 2, the other way: what cannot be told apart must not be."""
    graph = random_graph(0, n=200)
    players = game(graph, small())
    batch = Batch.of_triplets(graph.train, graph.num_relations)
    entities, queries = vectors(batch)
    same = lambda start, local: torch.randn_like(start)  # noqa: E731
    players.generator.entity.forward = same
    players.generator.relation.forward = same
    losses = [players.update_discriminator(batch, entities, queries)["d_aux"] for _ in range(200)]
    assert sum(losses[-50:]) / 50 == pytest.approx(math.log(2), abs=0.05)


@pytest.mark.parametrize("pathway", ["entity", "relation"])
def test_both_pathways_reach_the_base_loss(pathway):
    """Trap 3: the released G_E fakes are overwritten by those of G_R through an aliased tensor."""
    graph = random_graph(0)
    trainer = Trainer(graph, small())
    batch = Batch.of_triplets(graph.train, graph.num_relations)
    entities, queries = vectors(batch)
    losses = []
    for factor in (1.0, 3.0):
        players = game(graph, small())
        output = getattr(players.generator, pathway).output
        with torch.no_grad():
            output.weight *= factor
            output.bias *= factor
        negatives = players.negatives(batch, entities, queries)
        losses.append(base_loss(trainer.model.decoder, "bce", batch, entities, queries, negatives).item())
    assert losses[0] != pytest.approx(losses[1], rel=1e-4)


def test_reciprocal_relations_have_embeddings_of_their_own():
    """Trap 4: the released inverse relation is 1 / r elementwise, up to 18,270."""
    trainer = Trainer(random_graph(0), small())
    forward, back = trainer.model.relation.detach().chunk(2)
    assert forward.shape == back.shape
    assert not torch.allclose(forward * back, torch.ones_like(back))


def test_the_base_gradient_treats_fakes_as_constants():
    """Trap 5: the released base loss flows back through the frozen generators."""
    graph = random_graph(0)
    trainer = Trainer(graph, small())
    while trainer.stage != "base":
        trainer.step()
    step = trainer._step_state()
    negatives = trainer._dans.negatives(step.batch, *step.constants)
    assert negatives.vectors is not None and not negatives.vectors.requires_grad
    constants = Negatives(ids=negatives.ids.clone(), vectors=torch.tensor(negatives.vectors.numpy().copy()))
    parameters = list(trainer.model.parameters())
    gradients = [
        torch.autograd.grad(
            base_loss(trainer.model.decoder, "bce", step.batch, step.entities, step.queries, given),
            parameters,
            retain_graph=True,
        )
        for given in (negatives, constants)
    ]
    for live, constant in zip(*gradients, strict=True):
        assert torch.equal(live, constant)


def test_the_game_never_moves_the_base_model():
    """Trap 5, the other way: entity and relation embeddings are constants to G and D."""
    trainer = Trainer(random_graph(0), small())
    before = {name: p.detach().clone() for name, p in trainer.model.named_parameters()}
    while trainer.stage != "base":
        trainer.step()
        assert all(p.grad is None for p in trainer.model.parameters())
    assert all(torch.equal(p, before[name]) for name, p in trainer.model.named_parameters())


def test_heads_of_the_discriminator_are_not_stacked_linear_layers():
    """Trap 6: linear layers without an activation between them are one linear layer."""
    discriminator = Discriminator(small())
    kinds = [type(layer) for layer in discriminator.trunk] + [type(discriminator.adv)]
    linear = torch.nn.Linear
    assert all(not (issubclass(a, linear) and issubclass(b, linear)) for a, b in itertools.pairwise(kinds))
    x = torch.randn(50, 8, generator=torch.Generator().manual_seed(0))
    adv, _ = discriminator(x)
    doubled, _ = discriminator(2 * x)
    zero, _ = discriminator(torch.zeros(1, 8))
    assert not torch.allclose(doubled - zero, 2 * (adv - zero), atol=1e-4)


@pytest.mark.parametrize("sampler", ["dans", "kbgan", "nscaching", "mcns", "sans"])
def test_evaluating_never_changes_training(nations, sampler):
    """Trap 7: the released code resets its seeds after each evaluation, so the same batches repeat."""

    def losses(**values):
        trainer = Trainer(nations, small(epochs=9, warmup_epochs=3, batch_size=500, **values))
        return [(e.base, e.g_e, e.g_r, e.d_adv, e.d_aux) for e in trainer if isinstance(e, Losses)]

    often, rarely = (
        losses(eval_every=n, diagnose_every=n, snapshot_every=n, sampler=sampler) for n in (1, 9)
    )
    assert often == rarely


def test_batches_differ_from_epoch_to_epoch(nations, monkeypatch):
    """Trap 7, directly: message edges, negatives and noise are drawn anew in every epoch."""
    trainer = Trainer(nations, small(epochs=3))
    drawn: dict[str, list[torch.Tensor]] = {"edges": [], "ids": [], "noise": []}

    def recorded(kind, function, pick):
        def call(*args):
            out = function(*args)
            drawn[kind].append(pick(args, out).clone())
            return out

        return call

    monkeypatch.setattr(
        trainer._graph,
        "plan_of_triplets",
        recorded("edges", trainer._graph.plan_of_triplets, lambda a, o: a[0]),
    )
    monkeypatch.setattr(
        trainer._dans, "negatives", recorded("ids", trainer._dans.negatives, lambda a, o: o.ids)
    )
    entity = trainer.networks.generator.entity
    monkeypatch.setattr(entity, "forward", recorded("noise", entity.forward, lambda a, o: a[0]))
    while not trainer.finished:
        trainer.step()
    drawn["noise"] = drawn["noise"][::3]  # of the G_E updates; D and base draw again
    for kind, seen in drawn.items():
        assert len(seen) >= 3, kind
        assert all(not torch.equal(a, b) for a, b in itertools.combinations(seen, 2)), kind


def test_small_noise_is_reported_as_copies(nations):
    """Trap 8: with σ = 0.01 the fakes of one condition are copies; it is measured, per pathway, and said."""
    quiet = Trainer(nations, small(epochs=6, sigma=1e-4, dim=16, diagnose_every=2))
    warnings = {(e.code, e.pathway) for e in watched(quiet) if e.kind == "warning"}
    assert {("copies", "G_E"), ("copies", "G_R")} <= warnings
    loud = Trainer(nations, small(epochs=6, sigma=3.0, dim=16, diagnose_every=2))
    assert not [e for e in watched(loud) if e.kind == "warning" and e.code == "copies"]


def test_pathway_regulariser_and_shapes():
    """Section 3: zero output layers make FiLM the identity, with regulariser 0; fakes are (C, K, dim)."""
    pathway = Pathway(8)
    condition = torch.randn(5, 8)
    local = pathway.localise(condition)
    assert pathway(torch.randn(5, 3, 8), local).shape == (5, 3, 8)
    for alpha, beta in local:
        expected = ((alpha - 1) ** 2).mean() + (beta**2).mean()
        torch.testing.assert_close(type(local[0])(alpha, beta).penalty(), expected)
        assert expected > 0
    silence_film(pathway)
    assert all(layer.penalty() == 0 for layer in pathway.localise(condition))


def silence_film(pathway: Pathway) -> None:
    for film in pathway.films:
        for net in (film.alpha, film.beta):
            torch.nn.init.zeros_(net[2].weight)


def test_film_makes_the_generator_local_to_its_condition():
    """Section 3: without FiLM two conditions with the same input give the same fake; with it they differ."""
    pathway = Pathway(8).eval()
    condition, same_start = torch.randn(2, 8), torch.zeros(2, 1, 8)
    fakes = pathway(same_start, pathway.localise(condition))
    assert not torch.allclose(fakes[0], fakes[1])
    silence_film(pathway)
    fakes = pathway(same_start, pathway.localise(condition))
    torch.testing.assert_close(fakes[0], fakes[1])
