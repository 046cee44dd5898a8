"""The instruments against plain definitions, and the warnings built on them."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from dans_core import Config, Trainer, inspect_triplet, load_weights
from dans_core.diagnostics import copy_spread, effective_rank, mean_cosine, measure, nearest
from dans_core.events import Diagnostics, Losses, PathwayHealth, to_dict
from dans_core.health import Watch
from dans_core.records import read_events


def trained(graph, **values) -> Trainer:
    trainer = Trainer(graph, Config(**{"dim": 8, "epochs": 4, "warmup_epochs": 1, **values}))
    for _ in trainer:
        pass
    return trainer


def test_mean_cosine_equals_the_mean_over_pairs():
    x = torch.randn(9, 4, generator=torch.Generator().manual_seed(0))
    pairs = [torch.cosine_similarity(x[i], x[j], dim=0) for i in range(9) for j in range(9) if i != j]
    assert mean_cosine(x) == pytest.approx(float(torch.stack(pairs).mean()), abs=1e-6)
    assert mean_cosine(x[:1].repeat(3, 1)) == pytest.approx(1.0)


def test_effective_rank_counts_directions():
    source = torch.Generator().manual_seed(0)
    line = torch.randn(500, 1, generator=source) @ torch.randn(1, 6, generator=source)
    assert effective_rank(line) == pytest.approx(1.0, abs=0.01)
    assert effective_rank(torch.randn(5000, 6, generator=source)) == pytest.approx(6.0, abs=0.01)
    assert effective_rank(torch.ones(5, 6)) == 1.0


def test_copy_spread_is_the_share_of_the_spread_within_a_condition():
    source = torch.Generator().manual_seed(0)
    centres = torch.randn(400, 1, 3, generator=source)
    noise = torch.randn(400, 5, 3, generator=source)
    assert copy_spread(centres.expand(-1, 5, -1)) == pytest.approx(0.0, abs=1e-6)
    assert copy_spread(noise) == pytest.approx(1.0, abs=0.03)
    assert copy_spread(centres + noise) == pytest.approx(math.sqrt(0.5), abs=0.03)


def test_nearest_is_by_cosine_and_ignores_length():
    entities = torch.tensor([[1.0, 0.0], [0.0, 5.0], [-1.0, 0.0]])
    ids, cosines = nearest(torch.tensor([[0.1, 0.0], [0.0, 0.2], [-9.0, -0.1]]), entities)
    assert ids.tolist() == [0, 1, 2]
    assert cosines[:2].tolist() == [1.0, 1.0]


def test_random_false_negatives_are_those_of_uniform_corruption(umls):
    """Method, section 8; here each distinct query weighs the same, so the rate is below that per triplet."""
    trainer = Trainer(umls, Config(dim=8, epochs=1, sampler="uniform"))
    measured = measure(trainer.networks, umls, trainer.config, 0)
    queries = np.unique(umls.queries("train")[:, :2], axis=0)
    start, stop = umls.known_answers.ranges(queries[:, 0], queries[:, 1])
    expected = ((stop - start - 1) / (umls.num_entities - 1)).mean()
    assert measured.random_false_negatives == pytest.approx(expected, abs=0.01)
    assert measured.g_e is None and measured.g_r is None


def test_measuring_and_keeping_change_nothing(nations):
    trainer = trained(nations)
    before = json.dumps({k: v.tolist() for k, v in trainer.networks.generator.state_dict().items()})
    first = measure(trainer.networks, nations, trainer.config, 4)
    trainer.snapshot_arrays()
    assert measure(trainer.networks, nations, trainer.config, 4) == first
    assert trainer.networks.generator.training
    assert json.dumps({k: v.tolist() for k, v in trainer.networks.generator.state_dict().items()}) == before


def test_snapshot_holds_every_condition_once(nations):
    arrays = trained(nations).snapshot_arrays()
    queries = np.unique(nations.queries("train")[:, :2], axis=0)
    assert np.array_equal(arrays["queries"], queries)
    assert np.array_equal(arrays["heads_e"], np.unique(queries[:, 0]))
    assert arrays["fakes_r"].shape == (len(queries), 8) and arrays["fakes_r"].dtype == np.float16
    assert arrays["entities"].shape == (nations.num_entities, 8)
    assert all(((arrays[k] >= 0) & (arrays[k] <= 1)).all() for k in ("d_entities", "d_fakes_e", "d_fakes_r"))
    uniform = set(trained(nations, sampler="uniform").snapshot_arrays())
    assert uniform == {
        "epoch",
        "entities",
        "relations",
        "queries",
        "answers",
        "random",
        "score_true",
        "score_random",
    }


def test_snapshot_scores_are_those_of_the_decoder(nations):
    """Recomputed one by one from the very embeddings and fakes that the snapshot holds."""
    trainer = trained(nations)
    arrays = {name: torch.from_numpy(np.asarray(a)) for name, a in trainer.snapshot_arrays().items()}
    model, entities = trainer.model, arrays["entities"].float()
    place = {head: i for i, head in enumerate(arrays["heads_e"].tolist())}
    for i, (head, relation) in enumerate(arrays["queries"].tolist()):
        query = model.queries(entities, torch.tensor([head]), torch.tensor([relation]))[0]
        assert nations.known_answers.contains(
            *np.array([[head], [relation], [int(arrays["answers"][i])]])
        ).all()
        assert arrays["random"][i] != arrays["answers"][i]
        for name, vector in (
            ("true", entities[arrays["answers"][i].long()]),
            ("random", entities[arrays["random"][i].long()]),
            ("e", arrays["fakes_e"][place[head]].float()),
            ("r", arrays["fakes_r"][i].float()),
        ):
            score = model.decoder.score(query[None], vector[None]).item()
            assert float(arrays[f"score_{name}"][i]) == pytest.approx(score, abs=0.02)


def test_inspection_rows_agree_with_the_model(nations):
    trainer = trained(nations)
    networks = load_weights(trainer.best_state, nations, trainer.config)
    h, r, t = nations.test[0].tolist()
    found = inspect_triplet(networks, nations, trainer.config, h, r, t, draws=4)
    assert [row.source for row in found.negatives] == ["G_E"] * 4 + ["G_R"] * 4 + ["random"] * 4
    assert found.positive.known == "test" and found.positive.nearest == nations.entities[t]
    assert found.positive.cosine == 1.0
    for row in found.negatives:
        assert row.known == nations.split_of(h, r, row.nearest_id)
        assert 0 <= row.d_adv <= 1 and 0 <= row.d_aux <= 1 and row.scale > 0
        assert row.source != "random" or row.nearest_id != t
    assert found == inspect_triplet(networks, nations, trainer.config, h, r, t, draws=4)
    other = inspect_triplet(networks, nations, trainer.config, h, r, t, draws=4, seed=1)
    assert other.positive == found.positive and other.negatives != found.negatives


def test_half_precision_weights_are_accepted(nations):
    trainer = trained(nations)
    half = {
        part: {k: v.half() if v.is_floating_point() else v for k, v in weights.items()}
        for part, weights in trainer.best_state["networks"].items()
    }
    networks = load_weights({"networks": half}, nations, trainer.config)
    assert networks.model.entity.dtype == torch.float32
    assert torch.allclose(networks.model.entity, trainer.model.entity, atol=1e-1)


HEALTHY = PathwayHealth(0.5, 0.1, -3.0, 0.2, 20.0, 0.4, 60, 1.0, 0.1, 1560)
CALM = Losses(epoch=1, base=0.1, warm_up=False, seconds=0.0, d_real=0.7, d_fake_e=0.4, d_fake_r=0.4)


def figures(epoch: int, **trouble) -> Diagnostics:
    return Diagnostics(epoch, 1.0, -3.0, 0.05, 0.1, g_e=HEALTHY, g_r=dataclasses.replace(HEALTHY, **trouble))


@pytest.mark.parametrize(
    ("trouble", "code"),
    [
        ({"mean_cosine": 0.97}, "collapse"),
        ({"distinct_nearest": 6}, "collapse"),
        ({"distinct_nearest": 1, "conditions": 20}, "collapse"),
        ({"copy_spread": 0.001}, "copies"),
        ({"outscores_random": 0.02}, "easier-than-random"),
        ({"false_negatives": 0.5}, "false-negatives"),
    ],
)
def test_each_trouble_of_a_pathway_is_named_once_and_ends_when_it_stays_away(trouble, code):
    watch = Watch(num_entities=135)
    assert watch.check(CALM, figures(1)) == []
    (begun,) = watch.check(CALM, figures(2, **trouble))
    assert (begun.code, begun.pathway, begun.active, begun.epoch) == (code, "G_R", True, 2)
    assert begun.message and begun.advice
    assert watch.check(CALM, figures(3, **trouble)) == []
    assert watch.check(CALM, figures(4)) == []
    assert watch.check(CALM, figures(5, **trouble)) == []
    assert watch.check(CALM, figures(6)) == watch.check(CALM, figures(7)) == []
    (ended,) = watch.check(CALM, figures(8))
    assert (ended.code, ended.pathway, ended.active, ended.epoch) == (code, "G_R", False, 8)


@pytest.mark.parametrize(
    ("real", "fake", "code", "checks"),
    [(0.99, 0.01, "d-too-strong", 1), (0.5, 0.5, "d-too-weak", 3), (0.4, 0.6, "d-too-weak", 3)],
)
def test_a_discriminator_out_of_balance_is_named(real, fake, code, checks):
    """Every D starts out guessing, so weakness has to last for some checks."""
    losses = dataclasses.replace(CALM, d_real=real, d_fake_e=fake, d_fake_r=fake)
    watch = Watch(135)
    news = [[w.code for w in watch.check(losses, figures(epoch))] for epoch in range(1, 5)]
    assert news == [[code] if epoch == checks else [] for epoch in range(1, 5)]


def test_the_watch_is_taken_up_where_it_was_left():
    first, second = Watch(135), Watch(135)
    first.check(CALM, figures(1, copy_spread=0.0))
    first.check(CALM, figures(2))
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    for epoch in (3, 4):
        assert first.check(CALM, figures(epoch)) == second.check(CALM, figures(epoch))
    assert first.state_dict() == second.state_dict() == []


def test_events_survive_their_line(nations):
    for event in Trainer(nations, Config(dim=8, epochs=12, warmup_epochs=2)):
        line = json.dumps(to_dict(event), allow_nan=False).encode() + b"\n"
        assert read_events(Path("events.jsonl"), line, 0) == [event]
    assert read_events(Path("events.jsonl"), b'{"event": "of a later version", "epoch": 3}\n', 0) == []
