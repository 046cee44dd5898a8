"""Parts of DANS left out or changed by a setting: what is not there does not act, and all else goes on."""

from __future__ import annotations

import copy
import dataclasses

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from dans_app.triplet import paths as triplet_paths
from dans_core import Config, Trainer
from dans_core.events import Diagnostics, Losses
from dans_core.gan import Pathway
from dans_core.loss import base_loss
from dans_lab.export.run_export import NEGATIVE_COLUMNS, Kept, negatives
from dans_lab.inspection import Question, Trained, explain_score, inspect_triplet
from dans_lab.map import relation_view as snapshots
from dans_lab.presets import PRESETS
from dans_lab.runs.frames import Frame
from dans_lab.runs.snapshot import snapshot_of
from dans_lab.runs.weights import load_weights
from tests.conftest import random_graph
from tests.core.test_training import assert_same_state, timeless

ABLATIONS = {
    "G_E alone": {"pathways": "G_E"},
    "G_R alone": {"pathways": "G_R"},
    "no FiLM": {"film": "none"},
    "frozen FiLM": {"film": "frozen"},
    "no D_aux": {"aux_weight": 0.0},
    "no random part": {"random_negatives": False},
    "no known facts": {"filter_known": True},
    "no warm-up": {"warmup_epochs": 0},
    "conditional D": {"conditional_d": True},
    "conditional D, G_E alone": {"conditional_d": True, "pathways": "G_E"},
    "released faults": PRESETS["released-faults"],
}
every_ablation = pytest.mark.parametrize("values", ABLATIONS.values(), ids=ABLATIONS)
each_alone = pytest.mark.parametrize(("alone", "missing"), [("G_E", "G_R"), ("G_R", "G_E")])


def small(**values) -> Config:
    chosen = {"dim": 8, "epochs": 5, "warmup_epochs": 1, "negatives": 9, "eval_every": 2, "diagnose_every": 2}
    return Config(**{**PRESETS["fakes-as-negatives"], **chosen, **values})


def finished(graph, **values) -> tuple[Trainer, list]:
    trainer = Trainer(graph, small(**values))
    return trainer, list(trainer)


def at_base(**values) -> Trainer:
    """A trainer of a random graph whose next stage is that of the base model, after one round of the game."""
    trainer = Trainer(random_graph(4), small(warmup_epochs=0, **values))
    while trainer.stage != "base":
        trainer.step()
    return trainer


def given_negatives(trainer: Trainer):
    step = trainer._step_state()
    return trainer._dans.negatives(step.batch, *step.constants)


def of_kind(events: list, kind: type) -> list:
    return [event for event in events if isinstance(event, kind)]


@pytest.fixture(scope="module", params=ABLATIONS.values(), ids=ABLATIONS)
def run(request, nations):
    """A finished run of each ablation, with its events."""
    return finished(nations, **request.param)


# --- what all share --------------------------------------------------------------------------------------------


@every_ablation
def test_resuming_gives_the_same_numbers(values):
    graph, config = random_graph(5, n=80), small(**values, batch_size=30, condition_chunk=5)
    whole = Trainer(graph, config)
    expected = timeless(whole)
    first = Trainer(graph, config)
    seen = []
    while first.stage_number < 17:
        seen += first.step().events
    second = Trainer(graph, config)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    assert timeless([*seen, *second]) == expected
    assert_same_state(whole, second)


def test_every_instrument_reads_every_run(run, nations):
    trainer, events = run
    config = trainer.config
    names = list(config.fakes)
    figures = of_kind(events, Diagnostics)[-1]
    assert [name for name in ("G_E", "G_R") if getattr(figures, name.lower())] == names
    networks = load_weights(trainer.state_dict(), nations, config)
    held, question = Trained.of(networks, nations, config), Question(*nations.test[0].tolist(), draws=2)
    seen = inspect_triplet(held, question)
    assert [row.source for row in seen.negatives] == [name for name in (*names, "random") for _ in range(2)]
    told = {row.d_aux is not None for row in seen.negatives}
    assert told == {len(names) == 2 and config.aux_weight > 0}
    for row in seen.negatives:
        sums = explain_score(held, question, row.source, row.draw)
        assert sums.offset + sums.negative_terms.sum() == pytest.approx(row.score, abs=1e-4)


def test_a_snapshot_holds_the_pathways_that_there_are(run, nations):
    trainer, _ = run
    config, arrays = trainer.config, snapshot_of(trainer)
    names = tuple(config.fakes)
    for name, one_per_condition in (("G_E", "e"), ("G_R", "r")):
        kept = {key for key in arrays if key.endswith(f"s_{one_per_condition}")}
        assert bool(kept) == (name in names)
    frame = Frame.of(arrays, nations.num_entities, nations.num_relations)
    assert frame.pathways == names and frame.has_fakes
    assert frame.has_aux == (len(names) == 2 and config.aux_weight > 0)
    view = snapshots.view_of([frame], nations, 3)
    assert list(view.negatives) == [*names, "random"]
    points = np.concatenate(frame.groups)
    for name in names:
        part = view.negatives[name]
        scale = np.linalg.norm(points[part.rows], axis=1) / frame.median_length
        np.testing.assert_allclose(part.scale[0], scale, rtol=1e-5)
        assert np.isfinite(part.d_adv).all() and np.isfinite(part.aux).all() == frame.has_aux
    head, relation = frame.queries[0].tolist()
    moments = triplet_paths.moments(frame, nations, head, relation)
    assert [moment.source for moment in moments] == ["positive", *names, "random"]
    rows = [dict(zip(NEGATIVE_COLUMNS, row, strict=True)) for row in negatives(Kept(frame, nations))]
    assert list(dict.fromkeys(row["source"] for row in rows)) == [*names, "random"]
    assert len(rows) == len(frame.queries) * (len(names) + 1)
    assert {row["D_aux"] is not None for row in rows if row["source"] in names} == {frame.has_aux}


def test_the_fakes_that_are_asked_for_reach_the_base_loss(run):
    trainer, _ = run
    step_trainer = Trainer(trainer.kg, trainer.config)
    while step_trainer.stage != "base" or step_trainer.warming_up:
        step_trainer.step()
    given = given_negatives(step_trainer)
    fakes = trainer.config.fakes
    assert given.vectors.shape[1] == sum(fakes.values())
    random = 0 if given.ids is None else given.ids.shape[1]
    assert random == (9 - sum(fakes.values()) if trainer.config.random_negatives else 0)
    step = step_trainer._step_state()
    first = 0
    for k in fakes.values():
        changed = given.vectors.clone()
        changed[:, first : first + k] *= 3
        first += k
        losses = [
            base_loss(trainer.model.decoder, "bce", step.batch, *step.constants, negatives).item()
            for negatives in (given, dataclasses.replace(given, vectors=changed))
        ]
        assert losses[0] != losses[1]


# --- one pathway -----------------------------------------------------------------------------------------------


@each_alone
def test_a_pathway_that_is_left_out_does_not_exist(alone, missing, nations):
    trainer, events = finished(nations, pathways=alone, k_g=2)
    players = trainer._dans
    attribute = {"G_E": "entity", "G_R": "relation"}[alone]
    assert {name.split(".")[0] for name, _ in players.generator.named_parameters()} == {attribute}
    assert list(players.optimizers) == [alone, "D"]
    assert Trainer(nations, small(pathways=alone, k_g=2, k_d=3, warmup_epochs=0)).stages == (
        ("encode", alone, alone, "D", "D", "D", "base")
    )  # fmt: skip
    here, there = alone[-1].lower(), missing[-1].lower()
    for losses in of_kind(events, Losses)[1:]:
        told = dataclasses.asdict(losses)
        assert all(told[f"{name}_{here}"] is not None for name in ("g", "film", "d_fake"))
        assert all(told[f"{name}_{there}"] is None for name in ("g", "film", "d_fake"))
        assert told["d_aux"] is told["aux_accuracy"] is None and told["d_adv"] > 0


@each_alone
def test_a_pathway_that_is_alone_has_half_of_the_loss_of_d(alone, missing):
    trainer = at_base(pathways=alone, clip_norm=1000.0)
    step, players = trainer._step_state(), trainer._dans
    assert players.discriminator.aux is None
    entities, queries = step.constants
    judge = copy.deepcopy(players.discriminator)
    random = players.random.noise.get_state()
    values = players.update_discriminator(step.batch, entities, queries)
    players.random.noise.set_state(random)
    fakes = players.make_fakes(alone, step.batch, entities, queries, draws=1)[:, 0]
    losses = []
    for h, q, t in pairs_of(step.batch):
        fake = fakes[h if alone == "G_E" else q]
        losses.append(0.5 * F.softplus(-judge(entities[t])[0]) + 0.5 * F.softplus(judge(fake)[0]))
    assert_the_step_was_of(torch.stack(losses).mean(), values["d_adv"], judge, players.discriminator)


def pairs_of(batch) -> list[tuple[int, int, int]]:
    """For each pair of the batch the places of its head among the conditions and of its query, and its answer."""
    places = zip(batch.condition[batch.query].tolist(), batch.query.tolist(), strict=True)
    return [(h, q, t) for (h, q), t in zip(places, batch.answer.tolist(), strict=True)]


def assert_the_step_was_of(loss, told: float, before: torch.nn.Module, player: torch.nn.Module) -> None:
    """`told` is this loss of `before`, and the gradients that `player` took are its gradients."""
    assert told == pytest.approx(loss.item(), rel=1e-4)
    gradients = torch.autograd.grad(loss, [p for p in before.parameters() if p.requires_grad])
    taken = [p.grad for p in player.parameters() if p.requires_grad]
    for ours, theirs in zip(taken, gradients, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-6)


# --- FiLM ------------------------------------------------------------------------------------------------------


def test_without_film_there_are_no_parameters_and_no_conditions_of_its_own(nations):
    trainer, events = finished(nations, film="none")
    generator = trainer.networks.generator
    assert not [name for name, _ in generator.named_parameters() if "film" in name]
    start = torch.zeros(2, 1, 8)
    for pathway in generator.eval().pathways.values():
        assert pathway.localise(torch.randn(2, 8)) == []
        same = pathway(start, [])
        torch.testing.assert_close(same[0], same[1])
    assert all(losses.film_e is losses.film_r is None for losses in of_kind(events, Losses))
    figures = of_kind(events, Diagnostics)[-1]
    assert figures.g_r.between_heads is not None and figures.g_r.between_heads_neutral is None


def test_without_film_no_bias_stands_before_batch_norm_which_would_cancel_it():
    """Its gradient would be rounding alone, and Adam would make large steps of that."""
    names = {}
    for film in ("none", "frozen", "trained"):
        torch.manual_seed(0)
        pathway = Pathway(8, film=film)
        names[film] = dict(pathway.named_parameters())
    assert not any(name in names["none"] for name in ("linears.0.bias", "linears.1.bias"))
    assert all("linears.0.bias" in names[film] for film in ("frozen", "trained"))
    # What is there begins as it does with FiLM.
    assert torch.equal(names["none"]["linears.1.weight"], names["trained"]["linears.1.weight"])


def test_frozen_film_stays_as_it_began_and_all_else_moves(nations):
    begin = {name: p.clone() for name, p in Trainer(nations, small()).networks.generator.state_dict().items()}
    trainer, events = finished(nations, film="frozen")
    in_optimizers = {
        id(p) for o in trainer._dans.optimizers.values() for group in o.param_groups for p in group["params"]
    }
    for name, parameter in trainer.networks.generator.named_parameters():
        still = "films" in name
        assert torch.equal(parameter, begin[name]) == still, name
        assert (id(parameter) in in_optimizers) != still and parameter.requires_grad != still
        assert (parameter.grad is None) == still
    assert all(losses.film_e is losses.film_r is None for losses in of_kind(events, Losses))
    figures = of_kind(events, Diagnostics)[-1]
    assert figures.g_r.between_heads_neutral not in (None, figures.g_r.between_heads)


@pytest.mark.parametrize("film", ["trained", "frozen"])
def test_the_regulariser_acts_where_film_is_trained_only(film):
    graph = random_graph(0)
    light, heavy = (timeless(finished(graph, film=film, film_weight=weight)[1]) for weight in (1e-4, 10.0))
    assert (light == heavy) == (film == "frozen")


# --- D_aux and the random part ---------------------------------------------------------------------------------


def test_without_its_weight_there_is_no_d_aux(nations):
    trainer, events = finished(nations, aux_weight=0.0)
    assert not [name for name, _ in trainer.networks.discriminator.named_parameters() if "aux" in name]
    for losses in of_kind(events, Losses)[1:]:
        assert losses.d_aux is losses.aux_accuracy is None
        assert losses.d_adv > 0 and losses.g_e > 0 and losses.g_r > 0


@pytest.mark.parametrize("loss", ["bce", "softmax"])
def test_without_a_random_part_the_loss_is_of_generated_negatives_alone(loss):
    trainer = at_base(random_negatives=False, loss=loss)
    step, given = trainer._step_state(), given_negatives(trainer)
    assert given.ids is None and given.vectors.shape[1] == 9
    decoder, (entities, queries) = trainer.model.decoder, step.constants
    terms = []
    for _, q, t in pairs_of(step.batch):
        positive, scores = decoder.score(queries[q], entities[t]), decoder.score(queries[q], given.vectors[q])
        if loss == "bce":
            terms.append((F.softplus(-positive) + F.softplus(scores).sum()) / 10)
        else:
            terms.append(torch.logsumexp(torch.cat([positive[None], scores]), dim=0) - positive)
    found = base_loss(decoder, loss, step.batch, entities, queries, given)
    torch.testing.assert_close(found, torch.stack(terms).mean())


def test_the_random_part_leaves_out_known_facts_when_asked_to(nations):
    shares = []
    for filter_known in (False, True):
        trainer = Trainer(nations, small(warmup_epochs=0, filter_known=filter_known, negatives=40))
        trainer.step()
        batch, ids = trainer._step_state().batch, given_negatives(trainer).ids
        known = nations.known_in("train").contains(
            batch.heads[batch.query].unsqueeze(1).numpy(),
            batch.relations[batch.query].unsqueeze(1).numpy(),
            ids.numpy(),
        )
        shares.append(known.mean())
    assert shares[0] > 0.1 and shares[1] == 0


def test_without_a_warm_up_the_game_begins_at_once(nations):
    first = of_kind(finished(nations, warmup_epochs=0)[1], Losses)[0]
    assert not first.warm_up and first.g_e > 0 and first.d_adv > 0


def test_released_faults_are_three_settings():
    faulty, sound = (Config(**PRESETS[name]) for name in ("released-faults", "fakes-as-negatives"))
    differ = {name for name in Config.model_fields if getattr(faulty, name) != getattr(sound, name)}
    assert differ == {"pathways", "film", "aux_weight"}
    assert faulty.fakes == {"G_R": 10}


# --- a D that sees the query -----------------------------------------------------------------------------------


def test_a_conditional_d_judges_one_fake_differently_for_two_queries():
    source = torch.Generator().manual_seed(0)
    fake, queries = torch.randn(8, generator=source), torch.randn(2, 8, generator=source)
    plain, conditional = (at_base(conditional_d=on).networks.discriminator for on in (False, True))
    for head in (0, 1):
        one, other = conditional(fake.expand(2, 8), queries)[head].tolist()
        assert one != pytest.approx(other, abs=1e-3)
        one, other = plain(fake.expand(2, 8), queries)[head].tolist()
        assert one == pytest.approx(other, abs=1e-6)


@pytest.mark.parametrize("chunk", [5, 1000])
@pytest.mark.parametrize("pathway", ["G_E", "G_R"])
def test_loss_of_g_under_a_conditional_d_equals_the_slow_one(pathway, chunk):
    """Pair by pair, each judged with its own query; every pass has batch-norm statistics of its own."""
    trainer = at_base(
        conditional_d=True, condition_chunk=chunk, aux_weight_g=0.3, film_weight=0.0, clip_norm=1000.0
    )
    step, players = trainer._step_state(), trainer._dans
    entities, queries = step.constants
    conditions = entities[step.batch.conditions] if pathway == "G_E" else queries
    generator = copy.deepcopy(players.generator.pathways[pathway])
    noise = torch.Generator()
    noise.set_state(players.random.noise.get_state())
    values = players.update_generator(pathway, step.batch, entities, queries)
    passes = -(-len(conditions) // chunk)
    fakes = {}
    for first in range(passes):
        rows = range(first, len(conditions), passes)
        start = conditions[list(rows)].unsqueeze(1)
        start = start + trainer.config.sigma * torch.randn(len(rows), 1, 8, generator=noise)
        made = generator(start, generator.localise(conditions[list(rows)]))[:, 0]
        fakes |= dict(zip(rows, made, strict=True))
    losses = []
    for h, q, _ in pairs_of(step.batch):
        adv, aux = players.discriminator(fakes[h if pathway == "G_E" else q], queries[q])
        losses.append(F.softplus(-adv) + 0.3 * F.softplus(aux if pathway == "G_E" else -aux))
    told = values[f"g_{pathway[-1].lower()}"]
    assert_the_step_was_of(torch.stack(losses).mean(), told, generator, players.generator.pathways[pathway])


def test_loss_of_a_conditional_d_equals_the_slow_one():
    trainer = at_base(conditional_d=True, clip_norm=1000.0, aux_weight=0.7, condition_chunk=7)
    step, players = trainer._step_state(), trainer._dans
    batch, (entities, queries) = step.batch, step.constants
    judge, random = copy.deepcopy(players.discriminator), players.random.noise.get_state()
    values = players.update_discriminator(batch, entities, queries)
    players.random.noise.set_state(random)
    by_head, by_query = (
        players.make_fakes(name, batch, entities, queries, draws=1)[:, 0] for name in ("G_E", "G_R")
    )
    adv_losses, aux_losses, shares = [], [], []
    for h, q, t in pairs_of(batch):
        query = queries[q]
        real, _ = judge(entities[t], query)
        e_adv, e_aux = judge(by_head[h], query)
        r_adv, r_aux = judge(by_query[q], query)
        adv_losses.append(F.softplus(-real) / 2 + F.softplus(e_adv) / 4 + F.softplus(r_adv) / 4)
        aux_losses.append(F.softplus(e_aux) / 2 + F.softplus(-r_aux) / 2)
        shares.append([real.sigmoid().item(), e_adv.sigmoid().item(), r_adv.sigmoid().item()])
    adv, aux = torch.stack(adv_losses).mean(), torch.stack(aux_losses).mean()
    assert values["d_adv"] == pytest.approx(adv.item(), rel=1e-4)
    assert values["d_aux"] == pytest.approx(aux.item(), rel=1e-4)
    told = [values[name] for name in ("d_real", "d_fake_e", "d_fake_r")]
    assert told == pytest.approx(np.mean(shares, axis=0).tolist(), rel=1e-4)
    assert_the_step_was_of(
        adv + 0.7 * aux, values["d_adv"] + 0.7 * values["d_aux"], judge, players.discriminator
    )


def test_opinions_of_a_conditional_d_are_means_over_queries(nations):
    trainer, _ = finished(nations, conditional_d=True)
    arrays = {name: torch.from_numpy(np.asarray(a)) for name, a in snapshot_of(trainer).items()}
    judge, entities = trainer.networks.discriminator, arrays["entities"].float()
    heads, relations = arrays["queries"].long().T
    with torch.no_grad():
        queries = trainer.model.queries(entities, heads, relations)
        for i, head in enumerate(arrays["heads_e"].tolist()):
            logits = judge(
                arrays["fakes_e"][i].float().expand(int((heads == head).sum()), 8), queries[heads == head]
            )
            for name, of_head in zip(("d_fakes_e", "aux_fakes_e"), logits, strict=True):
                assert float(arrays[name][i]) == pytest.approx(float(of_head.sigmoid().mean()), abs=2e-3)
        own = judge(arrays["fakes_r"].float(), queries)[0].sigmoid()
        torch.testing.assert_close(arrays["d_fakes_r"].float(), own, atol=2e-3, rtol=0)
        chosen = queries[torch.linspace(0, len(queries) - 1, 64).round().long()]
        for head, name in enumerate(("d_entities", "aux_entities")):
            means = torch.stack(
                [judge(entity.expand(64, 8), chosen)[head].sigmoid().mean() for entity in entities]
            )
            torch.testing.assert_close(arrays[name].float(), means, atol=2e-3, rtol=0)


def test_an_inspected_negative_is_judged_for_the_query_of_the_triplet(nations):
    trainer, _ = finished(nations, conditional_d=True)
    networks = load_weights(trainer.state_dict(), nations, trainer.config)
    h, r, t = nations.test[0].tolist()
    with torch.no_grad():
        entities = networks.model.encode(trainer._graph.plan())
        query = networks.model.queries(entities, torch.tensor([h]), torch.tensor([r]))[0]
        held = Trained.of(networks, nations, trainer.config)
        for row in inspect_triplet(held, Question(h, r, t)).negatives:
            if row.source == "random":
                expected = networks.discriminator(entities[row.nearest_id], query)[0].sigmoid()
                assert row.d_adv == pytest.approx(float(expected), abs=1e-5)
