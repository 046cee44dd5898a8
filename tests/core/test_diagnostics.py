"""The instruments against plain definitions, and the warnings built on them."""

from __future__ import annotations

import copy
import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dans_core import Config, Trainer
from dans_core.diagnostics import measure
from dans_core.events import QUANTILES, to_dict
from dans_core.kernels.edges import train_graph
from dans_core.kernels.nearest import nearest
from dans_core.kernels.outscored import beaten, beaten_plain, outscored
from dans_core.kernels.spread import (
    adaptivity,
    adaptivity_plain,
    copy_spread,
    effective_number,
    effective_rank,
    mean_cosine,
    mean_cosine_plain,
)
from dans_core.kg import KnowledgeGraph
from dans_lab.inspection import Question, Trained, inspect_triplet
from dans_lab.presets import PRESETS
from dans_lab.runs.events_file import read_events
from dans_lab.runs.snapshot import snapshot_of
from dans_lab.runs.weights import load_weights
from tests.examples import examples

VECTORS = PRESETS["fakes-as-negatives"]


def trained(graph, **values) -> Trainer:
    trainer = Trainer(graph, Config(**(VECTORS | {"dim": 8, "epochs": 4, "warmup_epochs": 1, **values})))
    for _ in trainer:
        pass
    return trainer


def test_mean_cosine_equals_the_mean_over_pairs():
    x = torch.randn(9, 4, generator=torch.Generator().manual_seed(0))
    assert mean_cosine(x) == pytest.approx(mean_cosine_plain(x), abs=1e-6)
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


def test_effective_number_counts_ids_in_even_use():
    assert effective_number(torch.tensor([[4, 4], [9, 9]])) == pytest.approx(2.0)
    assert effective_number(torch.zeros(7, dtype=torch.long)) == pytest.approx(1.0)
    shares = [0.5, 0.25, 0.25]
    uneven = math.exp(-sum(share * math.log(share) for share in shares))
    assert effective_number(torch.tensor([3, 3, 8, 1])) == pytest.approx(uneven)


@examples(40)
@given(
    seed=st.integers(0, 10_000),
    groups=st.lists(st.integers(0, 6), min_size=2, max_size=25),
    draws=st.integers(2, 5),
    noise=st.floats(0, 3),
)
def test_adaptivity_equals_its_definition(seed, groups, draws, noise):
    source = torch.Generator().manual_seed(seed)
    fakes = torch.randn(len(groups), 1, 4, generator=source) + noise * torch.randn(
        len(groups), draws, 4, generator=source
    )
    entities, group = torch.randn(11, 4, generator=source), torch.tensor(groups)
    found = adaptivity(fakes, torch.arange(len(groups)), group, entities)
    plain = adaptivity_plain(fakes, range(len(groups)), groups, entities)
    if len(set(groups)) == len(groups):
        assert not math.isfinite(found) and plain is None, "no group has two conditions"
    else:
        assert found == pytest.approx(plain, rel=1e-3, abs=1e-3)


def test_adaptivity_is_0_for_one_fake_and_1_for_fakes_that_differ_like_entities():
    entities = torch.randn(50, 6, generator=torch.Generator().manual_seed(0))
    every, together = torch.arange(50), torch.zeros(50, dtype=torch.long)
    assert adaptivity(entities[:1].expand(50, 3, 6), every, together, entities) == pytest.approx(0, abs=1e-5)
    assert adaptivity(entities.unsqueeze(1).expand(-1, 3, -1), every, together, entities) == pytest.approx(1)
    half = (0.5 * entities + 7).unsqueeze(1).expand(-1, 3, -1)
    assert adaptivity(half, every, together, entities) == pytest.approx(0.5)
    assert not math.isfinite(adaptivity(half, every, together, entities[:1].repeat(9, 1)))
    assert not math.isfinite(adaptivity(half * math.inf, every, together, entities))


def test_noise_alone_does_not_look_like_adaptivity():
    source = torch.Generator().manual_seed(0)
    entities = torch.randn(100, 20, generator=source)
    group = torch.arange(300) % 10
    centres = torch.randn(300, 1, 20, generator=source)
    for draws in (2, 5):
        noise = 3 * torch.randn(300, draws, 20, generator=source)
        uncorrected = 3 / math.sqrt(draws)
        assert adaptivity(noise, torch.arange(300), group, entities) < 0.2 * uncorrected
        found = adaptivity(centres + noise, torch.arange(300), group, entities)
        assert found == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("film", [True, False])
def test_measured_adaptivity_is_that_of_many_draws_with_film_and_without(nations, film):
    """The pathways written out layer by layer; without FiLM no α and no β."""
    trainer = trained(nations, epochs=30, lr_g=1e-2, sigma=0.2)
    # One measurement of so few conditions is off by up to a tenth, since it makes few draws: their mean is not.
    found = [measure(trainer.networks, nations, trainer.config, epoch) for epoch in range(24)]
    queries = torch.from_numpy(np.unique(nations.queries("train")[:, :2], axis=0))
    model, generator = trainer.model, trainer.networks.generator
    source = torch.Generator().manual_seed(1)

    def fakes(pathway, condition):
        """The mean over 1,000 draws for each condition."""
        x = condition.unsqueeze(1) + 0.2 * torch.randn(len(condition), 1000, 8, generator=source)
        for linear, local, norm in zip(pathway.linears, pathway.films, pathway.norms, strict=True):
            y = x @ linear.weight.T + linear.bias
            if film:
                y = (1 + local.alpha(condition)).unsqueeze(1) * y + local.beta(condition).unsqueeze(1)
            deviation = (norm.running_var + norm.eps).sqrt()
            y = (y - norm.running_mean) / deviation * norm.weight + norm.bias
            x = torch.where(y > 0, y, 0.2 * y)
        return (x @ pathway.output.weight.T + pathway.output.bias).mean(1)

    with torch.no_grad():
        entities = model.encode(train_graph(nations).plan())
        by_head = fakes(generator.entity, entities)[queries[:, 0]]
        by_query = fakes(generator.relation, model.queries(entities, queries[:, 0], queries[:, 1]))
        suffix = "" if film else "_neutral"
        for name, made in (("g_e", by_head), ("g_r", by_query)):
            for kind, group in (("heads", queries[:, 1]), ("relations", queries[:, 0])):
                twice = made.unsqueeze(1).expand(-1, 2, -1)
                expected = adaptivity_plain(twice, range(len(made)), group.tolist(), entities)
                every = [getattr(getattr(each, name), f"between_{kind}{suffix}") for each in found]
                measured = float(np.mean(every))
                assert measured == pytest.approx(expected, rel=0.06, abs=0.01)
                assert (measured == 0) == (name == "g_e" and kind == "relations")


@pytest.mark.parametrize("reading", ["vectors", "entities"])
def test_a_model_that_scores_all_alike_is_at_a_half_everywhere(nations, reading):
    trainer = trained(nations, reading=reading)
    with torch.no_grad():
        trainer.networks.model.entity.zero_()
        for name, weight in trainer.networks.model.named_parameters():
            if "relation" in name:
                weight.zero_()
    found = measure(trainer.networks, nations, trainer.config, 4)
    assert found.random_outscores_positive == 0.5
    for side in (found.g_e, found.g_r, *([found.sampled] if found.sampled else [])):
        assert (side.outscores_random, side.outscores_positive) == (0.5, 0.5)
        assert getattr(side, "proposed_beats", None) in (None, 0.5)


@given(st.integers(0, 10**6))
@examples(30)
def test_ties_count_half_by_the_plain_definition(seed):
    source = torch.Generator().manual_seed(seed)
    scores, others = (torch.randint(0, 4, (3, 5), generator=source).float() for _ in range(2))
    pairs = list(zip(scores.flatten().tolist(), others.flatten().tolist(), strict=True))
    plain = sum(1.0 if a > b else 0.5 if a == b else 0.0 for a, b in pairs) / len(pairs)
    assert outscored(scores, others) == pytest.approx(plain, abs=1e-6)
    assert torch.equal(beaten(scores), beaten_plain(scores))


def test_quantiles_agree_with_the_shares_and_means_beside_them(nations):
    trainer = trained(nations, epochs=20)
    found = measure(trainer.networks, nations, trainer.config, 20)
    pairs = [
        (found.positive_scores, found.positive_score),
        (found.random_scores, found.random_score),
        (found.g_e.scores, found.g_e.mean_score),
        (found.g_r.scores, found.g_r.mean_score),
    ]
    for quantiles, mean in pairs:
        assert list(quantiles) == sorted(quantiles) and quantiles[0] < mean < quantiles[-1]
    for hardness, above in (
        (found.random_hardness, found.random_outscores_positive),
        (found.g_e.hardness, found.g_e.outscores_positive),
        (found.g_r.hardness, found.g_r.outscores_positive),
    ):
        assert list(hardness) == sorted(hardness)
        for percent, value in zip(QUANTILES, hardness, strict=True):
            # As many lie above 0 as above a quantile that is 0.
            assert above <= 1 - percent / 100 + 0.01 if value < 0 else above >= 1 - percent / 100 - 0.01
    for side in (found.g_e, found.g_r):
        assert 1 <= side.effective_nearest <= side.distinct_nearest
    assert found.num_entities == nations.num_entities


def test_positive_quantiles_are_those_of_all_pairs_where_every_query_has_one_answer(tmp_path):
    (tmp_path / "facts.tsv").write_text("".join(f"a{i}\tlikes\ta{(7 * i + 1) % 40}\n" for i in range(40)))
    graph = KnowledgeGraph.load(tmp_path / "facts.tsv")
    trainer = trained(graph, sampler="uniform")
    found = measure(trainer.networks, graph, trainer.config, 4)
    with torch.no_grad():
        entities = trainer.model.encode(train_graph(graph).plan())
        scores = sorted(
            float(trainer.model.decoder.score(trainer.model.queries(entities, h, r), entities[t]))
            for h, r, t in torch.from_numpy(graph.queries("train")).unsqueeze(-1)
        )
    for percent, value in zip(QUANTILES, found.positive_scores, strict=True):
        place = percent / 100 * (len(scores) - 1)
        low, high = scores[math.floor(place)], scores[math.ceil(place)]
        assert value == pytest.approx(low + (place % 1) * (high - low), rel=1e-3)


def test_new_numbers_are_short_in_the_file(nations):
    trainer = trained(nations)
    event = to_dict(measure(trainer.networks, nations, trainer.config, 4))
    for side in (event["g_e"], event["g_r"]):
        for name in ("effective_nearest", "between_heads", "between_relations_neutral"):
            assert side[name] == float(f"{side[name]:.4g}")
        assert all(value == float(f"{value:.4g}") for value in side["scores"] + side["hardness"])


def test_events_of_an_earlier_version_can_be_read():
    line = (
        b'{"event": "diagnostics", "epoch": 3, "positive_score": 1.0, "random_score": -9.0, '
        b'"random_outscores_positive": 0.02, "random_false_negatives": 0.05, "g_e": null, "g_r": '
        b'{"outscores_random": 0.3, "outscores_positive": 0.1, "mean_score": -1.0, "mean_cosine": 0.5, '
        b'"effective_rank": 2.0, "copy_spread": 0.1, "distinct_nearest": 37, "scale": 0.7, "false_negatives": 0.07, '
        b'"conditions": 1560}}\n'
    )
    (event,) = read_events(Path("events.jsonl"), line, 0)
    assert event.g_r.distinct_nearest == 37
    assert event.g_r.hardness is event.g_r.between_heads is event.positive_scores is None


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
    snapshot_of(trainer)
    assert measure(trainer.networks, nations, trainer.config, 4) == first
    assert trainer.networks.generator.training
    assert json.dumps({k: v.tolist() for k, v in trainer.networks.generator.state_dict().items()}) == before


def test_snapshot_holds_every_condition_once(nations):
    run = trained(nations)
    arrays = snapshot_of(run)
    queries = np.unique(nations.queries("train")[:, :2], axis=0)
    assert np.array_equal(arrays["queries"], queries)
    assert np.array_equal(arrays["heads_e"], np.unique(queries[:, 0]))
    assert arrays["fakes_r"].shape == (len(queries), 8) and arrays["fakes_r"].dtype == np.float16
    assert arrays["entities"].shape == (nations.num_entities, 8)
    assert all(((arrays[k] >= 0) & (arrays[k] <= 1)).all() for k in ("d_entities", "d_fakes_e", "d_fakes_r"))
    weights = {name: value.double() for name, value in run.networks.discriminator.state_dict().items()}
    layer = torch.from_numpy(arrays["entities"]).double()
    for part in ("trunk.0", "trunk.2"):
        layer = layer @ weights[f"{part}.weight"].T + weights[f"{part}.bias"]
        layer = torch.where(layer > 0, layer, 0.2 * layer)
    for part, name in (("adv", "d_entities"), ("aux", "aux_entities")):
        said = (layer @ weights[f"{part}.weight"].T + weights[f"{part}.bias"]).sigmoid()[:, 0]
        assert arrays[name] == pytest.approx(said.numpy(), abs=3e-3)
    uniform = set(snapshot_of(trained(nations, sampler="uniform")))
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
    arrays = {name: torch.from_numpy(np.asarray(a)) for name, a in snapshot_of(trainer).items()}
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
    held = Trained.of(networks, nations, trainer.config)
    found = inspect_triplet(held, Question(h, r, t, draws=4))
    assert [row.source for row in found.negatives] == ["G_E"] * 4 + ["G_R"] * 4 + ["random"] * 4
    assert found.positive.known == "test" and found.positive.nearest == nations.entities[t]
    assert found.positive.cosine == 1.0
    for row in found.negatives:
        assert row.known == nations.split_of(h, r, row.nearest_id)
        assert 0 <= row.d_adv <= 1 and 0 <= row.d_aux <= 1 and row.scale > 0
        assert row.source != "random" or row.nearest_id != t
    assert found == inspect_triplet(held, Question(h, r, t, draws=4))
    other = inspect_triplet(held, Question(h, r, t, draws=4, seed=1))
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


OTHERS = [
    "popularity",
    "bernoulli",
    "self-adversarial",
    "nscaching",
    "kbgan",
    "mcns",
    "sans",
    "cake-style",
    "smile-style",
]


@pytest.mark.parametrize("sampler", OTHERS)
def test_negatives_of_every_other_sampler_are_measured(nations, sampler):
    trainer = trained(nations, sampler=sampler, negatives=8)
    found = measure(trainer.networks, nations, trainer.config, 4)
    assert found == measure(trainer.networks, nations, trainer.config, 4)
    sampled = found.sampled
    assert found.g_e is found.g_r is None
    assert list(sampled.scores) == sorted(sampled.scores)
    assert sampled.scores[0] < sampled.mean_score < sampled.scores[-1]
    for percent, value in zip(QUANTILES, sampled.hardness, strict=True):
        above = sampled.outscores_positive
        assert above <= 1 - percent / 100 + 0.01 if value < 0 else above >= 1 - percent / 100 - 0.01


def test_sampled_negatives_that_are_uniform_look_like_random_ones(umls):
    found = trained(umls, sampler="popularity", popularity_power=0.0)
    found = measure(found.networks, umls, found.config, 4)
    sampled = found.sampled
    assert sampled.outscores_random == pytest.approx(0.5, abs=0.02)
    assert sampled.outscores_positive == pytest.approx(found.random_outscores_positive, abs=0.02)
    assert sampled.false_negatives == pytest.approx(found.random_false_negatives, abs=0.02)
    assert sampled.mean_score == pytest.approx(found.random_score, abs=0.2)


def test_sampled_negatives_count_as_often_as_they_weigh(nations):
    """With a temperature near zero all weigh the same, with a high one the hardest alone counts."""
    trainer = trained(nations, sampler="self-adversarial", epochs=30)
    mild, sharp = (
        measure(
            dataclasses.replace(
                trainer.networks, make_sampler=lambda config=config: sampler_of(trainer, config)
            ),
            nations,
            config,
            4,
        )
        for config in (trainer.config.with_values(temperature=value) for value in (1e-6, 100.0))
    )
    assert mild.sampled.outscores_random == pytest.approx(0.5, abs=0.03)
    assert sharp.sampled.outscores_random > 0.9
    assert sharp.sampled.mean_score > mild.sampled.mean_score


def sampler_of(trainer: Trainer, config: Config):
    made = copy.copy(trainer.networks.sampler)
    made.config = config
    return made


@pytest.mark.parametrize("sampler", ["dans", "uniform", "one-vs-all"])
def test_where_the_sampler_chooses_no_entities_there_is_nothing_to_measure(nations, sampler):
    trainer = trained(nations, sampler=sampler)
    assert measure(trainer.networks, nations, trainer.config, 4).sampled is None


def test_events_survive_their_line(nations):
    for event in Trainer(nations, Config(**VECTORS, dim=8, epochs=12, warmup_epochs=2)):
        line = json.dumps(to_dict(event), allow_nan=False).encode() + b"\n"
        assert read_events(Path("events.jsonl"), line, 0) == [event]
    assert read_events(Path("events.jsonl"), b'{"event": "of a later version", "epoch": 3}\n', 0) == []
