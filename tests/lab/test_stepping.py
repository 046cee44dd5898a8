"""Stepping: it leaves training as it is, and every number equals one that is computed slowly and apart."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from dans_core import Config, InputError, KnowledgeGraph, Trainer
from dans_core.decoders import DECODERS
from dans_core.kernels.edges import train_graph
from dans_core.loss import base_loss
from dans_core.proposals import MOST_READ
from dans_lab.presets import PRESETS
from dans_lab.stepping.measured import FAKES, Measure, Measured
from dans_lab.stepping.plane import Plane
from dans_lab.stepping.relived import KEPT, Relived, Round
from dans_lab.stepping.rounds import MOST_ENTITIES, total_rounds
from tests.conftest import random_graph
from tests.core.test_training import tensors

SMALL = {
    "dim": 8,
    "epochs": 8,
    "warmup_epochs": 2,
    "play_every": 2,
    "negatives": 8,
    "eval_every": 2,
    "seed": 3,
}


def settings(reading: str = "entities", **more) -> Config:
    return Config(**{**(PRESETS["fakes-as-negatives"] if reading == "vectors" else {}), **SMALL, **more})


def plain(config: Config, kg: KnowledgeGraph) -> Trainer:
    trainer = Trainer(kg, config)
    for _ in trainer:
        pass
    return trainer


@pytest.mark.parametrize("more", [{}, {"reading": "vectors"}, {"k_g": 2, "k_d": 3}, {"average": 0.0}])
def test_living_a_run_again_and_measuring_it_trains_bit_for_bit_as_the_trainer_does(more):
    kg, config = random_graph(0), settings(**more)
    live, measure = Relived(kg, config), Measure(kg, config)
    while not live.trainer.finished:
        live.advance()
        if live.trainer.stage == "encode" and live.rounds:
            for side in ("tail", "head"):
                measure.measure(live.rounds[live.done], asked(kg, 0, side))
    mine, its = live.trainer.state_dict(), plain(config, kg).state_dict()
    for part in ("networks", "moving", "optimizer", "sampler", "random"):
        pairs = list(zip(tensors(mine[part]), tensors(its[part]), strict=True))
        assert part == "moving" or pairs
        assert all(torch.equal(x, y) for x, y in pairs)
    assert live.done == live.total == 3


def test_rounds_say_what_the_trainer_told():
    kg, config = random_graph(0), settings()
    live = Relived(kg, config)
    assert not live.reach(2, seconds=-1) and not live.rounds
    assert live.reach(2)
    trainer, told = Trainer(kg, config), []
    while trainer.epoch < 5:
        told.append(trainer.step())
    for number, epoch in ((1, 3), (2, 5)):
        of = live.rounds[number]
        assert of.epoch == epoch
        assert of.values == {stage.name: stage.values for stage in told if stage.epoch == epoch}


@pytest.mark.parametrize(("epochs", "warm_up", "every"), [(8, 2, 2), (9, 2, 3), (10, 9, 5), (7, 0, 1)])
def test_the_rounds_of_a_run_are_counted_before_it_begins(epochs, warm_up, every):
    kg, config = random_graph(0), settings(epochs=epochs, warmup_epochs=warm_up, play_every=every)
    live = Relived(kg, config)
    assert not live.reach(1000)
    assert live.done == live.total == total_rounds(config)


def test_only_the_last_rounds_are_kept():
    live = Relived(random_graph(0), settings(epochs=KEPT + 4, warmup_epochs=1, play_every=1))
    live.reach(KEPT + 3)
    assert sorted(live.rounds) == list(range(4, KEPT + 4))
    assert not live.reach(2)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"sampler": "uniform"}, "no generator"),
        ({"k_g": 0, "k_d": 0}, "no round"),
        ({"conditional_d": True}, "D sees the query"),
        ({"score_message_edges": False}, "not in every step"),
        ({"batch_size": 10}, "parts of the graph"),
    ],
)
def test_what_cannot_be_stepped_is_refused_in_a_sentence(more, words):
    with pytest.raises(InputError, match=words):
        Relived(random_graph(0), settings(**more))


def test_every_proposal_of_a_graph_that_can_be_stepped_is_over_all_entities():
    assert MOST_ENTITIES == MOST_READ


def test_a_triplet_that_is_not_trained_on_is_refused():
    kg, config = random_graph(0), settings()
    live = Relived(kg, config)
    live.reach(1)
    head, relation, tail = kg.test[0].tolist()
    for triplet in ((head, relation, tail), (tail, relation + kg.num_relations, head)):
        with pytest.raises(InputError, match="no training triplet"):
            Measure(kg, config).measure(live.rounds[1], triplet)


@pytest.mark.parametrize(
    "more", [{}, {"reading": "vectors"}, {"reading": "vectors", "loss": "softmax"}, {"loss": "bce"}]
)
def test_the_negatives_are_those_that_the_step_was_given(more):
    kg, config = random_graph(0), settings(**more)
    live, measure = Relived(kg, config), Measure(kg, config)
    live.reach(3)
    for of in live.rounds.values():
        loss = base_loss(
            DECODERS[config.decoder], config.loss, measure.batch, of.entities, of.queries,
            measure.negatives(of), config.temperature,
        )  # fmt: skip
        assert float(loss) == of.values["base"]["base"]


def asked(kg: KnowledgeGraph, place: int, side: str) -> tuple[int, int, int]:
    """The query of a training triplet that asks for this side, and its answer."""
    head, relation, tail = kg.train[place].tolist()
    return (head, relation, tail) if side == "tail" else (tail, relation + kg.num_relations, head)


# --- every number, slowly and apart ----------------------------------------------------------------------------


def same(mine, its) -> None:
    np.testing.assert_allclose(mine, its, rtol=2e-4, atol=2e-5)


class Slow:
    """The method of a round in double precision, written from its formulas alone."""

    def __init__(self, kg: KnowledgeGraph, config: Config, of: Round, triplet: tuple[int, int, int]) -> None:
        self.kg, self.config, self.of = kg, config, of
        self.head, self.relation, self.tail = triplet
        self.entities, self.after = of.entities.double(), of.entities_after.double()
        rows = [(h, r, t) for h, r, t in kg.train.tolist()]
        self.pairs = rows + [(t, r + kg.num_relations, h) for h, r, t in rows]
        self.queries = sorted({pair[:2] for pair in self.pairs})
        self.vectors = dict(zip(self.queries, of.queries.double(), strict=True))
        self.beliefs = {q: self.softmax(self.scores(vector)) for q, vector in self.vectors.items()}
        self.vectors_after = dict(zip(self.queries, of.queries_after.double(), strict=True))

    def score(self, query: torch.Tensor, tail: torch.Tensor) -> float:
        if self.config.decoder == "rotate":
            half = len(query) // 2
            moduli = [math.hypot(query[k] - tail[k], query[half + k] - tail[half + k]) for k in range(half)]
            return 12 - sum(moduli)
        return sum(a * b for a, b in zip(query.tolist(), tail.tolist(), strict=True))

    def scores(self, query, entities=None) -> list[float]:
        return [self.score(query, e) for e in (self.entities if entities is None else entities)]

    def softmax(self, scores: list[float]) -> list[float]:
        top = [math.exp(s) for s in scores]
        return [x / sum(top) for x in top]

    def rank(self, scores: list[float]) -> float:
        known = {
            t for split in ("train", "valid", "test") for h, r, t in self.kg.array(split).tolist()
            for known in ((h, r, t), (t, r + self.kg.num_relations, h)) if known[:2] == (self.head, self.relation)
            for t in known[2:]
        }  # fmt: skip
        rivals = [s for t, s in enumerate(scores) if t not in known | {self.tail}]
        own = scores[self.tail]
        return 1 + sum(s > own for s in rivals) + sum(s == own for s in rivals) / 2

    def conditions(self, name: str) -> list[tuple]:
        """Each with its vector and its pairs' queries."""
        if name == "G_E":
            heads = sorted({h for h, _, _ in self.pairs})
            return [(h, self.entities[h], [p[:2] for p in self.pairs if p[0] == h]) for h in heads]
        return [(q, self.vectors[q], [p[:2] for p in self.pairs if p[:2] == q]) for q in self.queries]

    def made(self, name: str, when: int) -> tuple[torch.Tensor, float, list[tuple]]:
        """Fakes (C, K, dim), the FiLM regulariser, and α and β of each layer."""
        w = {key: value.double() for key, value in self.of.weights[name][when].items()}
        c = torch.stack([vector for _, vector, _ in self.conditions(name)])
        source = torch.Generator().manual_seed(2 * self.config.seed + (name == "G_R"))
        noise = torch.randn(len(c), FAKES, c.shape[1], generator=source).double()
        x, penalty, told = c[:, None] + self.config.sigma * noise, 0.0, []

        def mlp(kind: str, layer: int) -> torch.Tensor:
            at = f"films.{layer}.{kind}."
            hidden = F.leaky_relu(c @ w[at + "0.weight"].T + w.get(at + "0.bias", 0), 0.2)
            return hidden @ w[at + "2.weight"].T + w.get(at + "2.bias", 0)

        for layer in range(2):
            alpha, beta = 1 + mlp("alpha", layer), mlp("beta", layer)
            x = x @ w[f"linears.{layer}.weight"].T + w[f"linears.{layer}.bias"]
            x = alpha[:, None] * x + beta[:, None]
            flat = x.flatten(0, 1)
            x = (x - flat.mean(0)) / (flat.var(0, unbiased=False) + 1e-5).sqrt()
            x = x * w[f"norms.{layer}.weight"] + w[f"norms.{layer}.bias"]
            x = torch.where(x > 0, x, 0.2 * x)
            penalty += float(((alpha - 1) ** 2).mean() + (beta**2).mean())
            told.append((alpha, beta))
        return x @ w["output.weight"].T + w["output.bias"], penalty, told

    def d(self, weights, vector: torch.Tensor) -> tuple[float, float]:
        w = {key: value.double() for key, value in weights.items()}
        for layer in ("trunk.0", "trunk.2"):
            vector = vector @ w[layer + ".weight"].T + w[layer + ".bias"]
            vector = torch.where(vector > 0, vector, 0.2 * vector)
        adv, aux = (float(vector @ w[h + ".weight"][0] + w[h + ".bias"][0]) for h in ("adv", "aux"))
        return 1 / (1 + math.exp(-adv)), 1 / (1 + math.exp(-aux))

    def reading(self, fake: torch.Tensor) -> list[float]:
        cosines = [float(F.cosine_similarity(fake, e, dim=0)) for e in self.entities]
        return self.softmax([x / self.config.tau for x in cosines])

    def entropy(self, fake: torch.Tensor, asked: list[tuple[int, int]]) -> float:
        read, total = self.reading(fake), 0.0
        for query in set(asked):
            p = self.beliefs[query]
            total -= asked.count(query) * sum(a * math.log(b) for a, b in zip(p, read, strict=True))
        return total / len(asked)

    def loss(self, fake: torch.Tensor, asked: list[tuple[int, int]]) -> float:
        adversarial = -math.log(self.d(self.of.referee, fake)[0])
        if self.config.reading == "vectors":
            return self.config.adv_weight * adversarial
        return self.config.adv_weight * adversarial + self.config.ce_weight * self.entropy(fake, asked)


def case(reading: str, decoder: str = "complex", number: int = 2, side: str = "tail", **more):
    """A small run lived to a round, the round measured for a query of a triplet, and the same slowly."""
    kg, config = random_graph(1, n=30), settings(reading, decoder=decoder, **more)
    live, measure = Relived(kg, config), Measure(kg, config)
    live.reach(number)
    triplet = asked(kg, 4, side)
    of = live.rounds[number]
    return kg, config, of, measure.measure(of, triplet), Slow(kg, config, of, triplet)


CASES = [
    ("entities", "complex", "tail"),
    ("entities", "complex", "head"),
    ("vectors", "distmult", "head"),
    ("entities", "rotate", "tail"),
]


@pytest.fixture(params=CASES, ids="-".join)
def found(request):
    reading, decoder, side = request.param
    return case(reading, decoder, side=side)


def test_what_is_said_of_the_encoded_triplet(found):
    _, _, of, mine, slow = found
    query = slow.vectors[slow.head, slow.relation]
    scores = slow.scores(query)
    p = slow.softmax(scores)
    told = mine.encoded
    same(
        [told.length_head, told.length_tail],
        [slow.entities[slow.head].norm(), slow.entities[slow.tail].norm()],
    )
    same([told.length_query, told.score, told.belief], [query.norm(), scores[slow.tail], p[slow.tail]])
    assert told.rank == slow.rank(scores)
    assert told.foremost == sorted(range(len(p)), key=lambda t: -p[t])[:3]
    same(told.beliefs, sorted(p)[:-4:-1])
    if slow.config.decoder == "distmult":
        assert of.entities.shape[1] == slow.config.dim


def test_the_query_is_that_of_head_and_relation():
    kg, config, of, _, _ = case("vectors", "distmult", number=1, average=0.0, message_split=1.0, dropout=0.0)
    trainer = Trainer(kg, config)
    while trainer.stage_number < 2 * 2:
        trainer.step()
    moving = trainer.model
    entities = moving.encode(train_graph(kg).plan()).detach()
    same(of.entities, entities)
    rows = sorted({(h, r) for h, r, _ in kg.queries("train").tolist()})
    same(of.queries, torch.stack([entities[h] * moving.relation[r].detach() for h, r in rows]))
    while trainer.epoch < 3:
        trainer.step()
    after = moving.encode(train_graph(kg).plan()).detach()
    same(of.entities_after, after)
    same(of.queries_after, torch.stack([after[h] * moving.relation[r].detach() for h, r in rows]))


def test_what_is_said_of_fakes(found):
    kg, config, of, mine, slow = found
    median = sorted(float(e.norm()) for e in slow.entities)[(kg.num_entities - 1) // 2]
    query = slow.vectors[slow.head, slow.relation]
    for name, when in itertools.product(("G_E", "G_R"), (0, 1)):
        every, penalty, local = slow.made(name, when)
        conditions = slow.conditions(name)
        own = slow.head if name == "G_E" else (slow.head, slow.relation)
        at = [condition for condition, _, _ in conditions].index(own)
        played = mine.played[name]
        for told, fake in zip((played.before, played.after)[when], every[at], strict=True):
            real, pathway = slow.d(of.referee, fake)
            cosines = [float(F.cosine_similarity(fake, e, dim=0)) for e in slow.entities]
            same([told.d_adv, told.d_aux, told.adversarial], [real, pathway, -math.log(real)])
            same(
                [told.length, told.cosine, told.score],
                [fake.norm() / median, max(cosines), slow.score(query, fake)],
            )
            assert told.nearest == cosines.index(max(cosines))
            same(told.loss, slow.loss(fake, conditions[at][2]))
            if config.reading == "entities":
                read = slow.reading(fake)
                same(told.entropy, slow.entropy(fake, conditions[at][2]))
                assert told.reads == sorted(range(len(read)), key=lambda t: -read[t])[:3]
                same(told.chances, sorted(read)[:-4:-1])
            else:
                assert told.entropy is None and told.reads == [] == told.chances
        pairs, total = len(slow.pairs), config.film_weight * penalty
        for (_, _, asked), fakes in zip(conditions, every, strict=True):
            total += len(asked) / pairs * sum(slow.loss(fake, asked) for fake in fakes) / FAKES
        same((played.loss_before, played.loss_after)[when], total)
        if when == 0:
            same(played.alpha, np.mean([(alpha[at] - 1).abs().mean() for alpha, _ in local]))
            same(played.beta, np.mean([beta[at].abs().mean() for _, beta in local]))
            assert played.noise == config.sigma


def test_arrows_are_the_slope_of_the_loss_of_a_fake_and_its_part_in_the_plane():
    _, config, _, mine, slow = case("entities", number=1)
    # The directions of largest variance, from the covariance; the largest part of each is positive.
    centred = slow.entities - slow.entities.mean(0)
    values, axes = np.linalg.eigh((centred.T @ centred).numpy())
    axes = axes[:, :-3:-1]
    axes = axes * np.sign(axes[np.abs(axes).argmax(0), [0, 1]])
    same(mine.held, values[:-3:-1].sum() / values.sum())
    same(mine.entities, centred.numpy() @ axes)
    same(mine.entities_after, (slow.after - slow.entities.mean(0)).numpy() @ axes)
    for name in ("G_E", "G_R"):
        own = slow.head if name == "G_E" else (slow.head, slow.relation)
        at = [condition for condition, _, _ in slow.conditions(name)].index(own)
        asked = slow.conditions(name)[at][2]
        for told, fake in zip(mine.played[name].before[:2], slow.made(name, 0)[0][at], strict=False):
            step = 1e-5 * torch.eye(config.dim).double()
            slope = np.array([(slow.loss(fake + e, asked) - slow.loss(fake - e, asked)) / 2e-5 for e in step])
            same(told.place, (fake - slow.entities.mean(0)).numpy() @ axes)
            same(told.slope, np.linalg.norm(slope))
            same(told.pull, -slope @ axes)
            same(told.in_plane, np.linalg.norm(slope @ axes) ** 2 / np.linalg.norm(slope) ** 2)


def test_the_next_plane_is_turned_like_the_first():
    random = np.random.default_rng(0)
    first = Plane.of(random.normal(size=(30, 5)) * [5, 4, 1, 1, 1])
    points = random.normal(size=(30, 5)) * [5, 4, 1, 1, 1]
    free, turned = Plane.of(points), Plane.of(points, first)
    same(turned.axes.T @ turned.axes, np.eye(2))
    assert turned.held == free.held
    # The same plane, by its projector.
    same(turned.axes @ turned.axes.T, free.axes @ free.axes.T)
    angles = np.linspace(0, 2 * np.pi, 721)
    turns = [
        np.array([[np.cos(a), -s * np.sin(a)], [np.sin(a), s * np.cos(a)]]) for a in angles for s in (1, -1)
    ]
    best = min(np.linalg.norm(free.axes @ turn - first.axes) for turn in turns)
    assert np.linalg.norm(turned.axes - first.axes) == pytest.approx(best, abs=1e-3)


def test_what_d_says_of_the_triplet_and_its_losses(found):
    _, config, of, mine, slow = found
    pairs = len(slow.pairs)
    for told, weights in zip(mine.judged, of.weights["D"], strict=True):
        real = [slow.d(weights, e)[0] for e in slow.entities]
        same(told.real, real[slow.tail])
        loss = sum(-0.5 * math.log(real[t]) for _, _, t in slow.pairs) / pairs
        adversarial, auxiliary = -0.5 * math.log(real[slow.tail]), 0.0
        for name in ("G_E", "G_R"):
            fakes = slow.made(name, 1)[0]
            conditions = slow.conditions(name)
            own = slow.head if name == "G_E" else (slow.head, slow.relation)
            at = [condition for condition, _, _ in conditions].index(own)
            opinions = [[slow.d(weights, fake) for fake in each] for each in fakes]
            same(told.fakes[name], [adv for adv, _ in opinions[at]])
            same(told.pathway[name], [aux for _, aux in opinions[at]])

            def auxiliary_of(aux: float, name: str = name) -> float:
                return -math.log(1 - aux if name == "G_E" else aux)

            adversarial -= 0.25 * math.log(1 - opinions[at][0][0])
            auxiliary += 0.5 * auxiliary_of(opinions[at][0][1])
            for (_, _, asked), each in zip(conditions, opinions, strict=True):
                share = len(asked) / pairs / FAKES
                loss -= 0.25 * share * sum(math.log(1 - adv) for adv, _ in each)
                loss += config.aux_weight * 0.5 * share * sum(auxiliary_of(aux) for _, aux in each)
        same([told.adversarial, told.auxiliary, told.loss], [adversarial, auxiliary, loss])


@pytest.mark.parametrize(
    ("reading", "loss", "side"),
    [
        ("entities", "softmax", "tail"),
        ("entities", "bce", "head"),
        ("vectors", "bce", "tail"),
        ("vectors", "softmax", "head"),
    ],
)
def test_what_is_said_of_the_base_models_update(reading, loss, side):
    kg, config, of, mine, slow = case(reading, loss=loss, side=side)
    told, given = mine.trained, Measure(kg, config).negatives(of)
    pair = slow.pairs.index((slow.head, slow.relation, slow.tail))
    ids = given.ids[pair].tolist()
    vectors = (
        [] if given.vectors is None else list(given.vectors[slow.queries.index((slow.head, slow.relation))])
    )
    facts = {
        split: {(h, r, t) for h, r, t in kg.array(split).tolist()} for split in ("train", "valid", "test")
    }
    losses = []
    for when, (query, entities) in enumerate(
        ((slow.vectors, slow.entities), (slow.vectors_after, slow.after))
    ):
        query = query[slow.head, slow.relation]
        every = slow.scores(query, entities)
        scores = [every[t] for t in ids] + [slow.score(query, v.double()) for v in vectors]
        same([(n.before, n.after)[when] for n in told.negatives], scores)
        same((told.score_before, told.score_after)[when], every[slow.tail])
        if when == 0:
            weights = [1.0] * len(scores)
            if reading == "entities":
                m = [math.exp(x) for x in given.chances[pair].tolist()]
                same([n.chance for n in told.negatives], m)
                raw = [
                    0 if t == slow.tail else math.exp(config.temperature * s) / chance
                    for t, s, chance in zip(ids, scores, m, strict=True)
                ]
                weights = [len(raw) * x / sum(raw) for x in raw]
            same([n.weight for n in told.negatives], weights)
        else:
            same(told.belief_after, slow.softmax(every)[slow.tail])
            assert told.rank_after == slow.rank(every)
        own = every[slow.tail]
        weighed = list(zip(weights, scores, strict=True))
        if loss == "softmax":
            losses.append(math.log(math.exp(own) + sum(w * math.exp(s) for w, s in weighed)) - own)
        else:
            total = math.log1p(math.exp(-own)) + sum(w * math.log1p(math.exp(s)) for w, s in weighed)
            losses.append(total / (1 + len(scores)))
    same([told.loss_before, told.loss_after], losses)
    if reading == "vectors":
        assert [n.source for n in told.negatives] == ["random"] * 4 + ["G_E"] * 2 + ["G_R"] * 2
    else:
        assert {n.source for n in told.negatives} == {"proposed"}
    for n, entity in zip(told.negatives, ids, strict=False):
        fact = (slow.head, slow.relation, entity)
        if side == "head":
            fact = entity, slow.relation - kg.num_relations, slow.head
        assert n.entity == entity
        assert n.split == next((split for split in facts if fact in facts[split]), "")


def test_shown_fakes_move_only_where_weights_do():
    kg, config = random_graph(0), settings(k_d=1)
    live, measure = Relived(kg, config), Measure(kg, config)
    live.reach(1)
    of, triplet = live.rounds[1], tuple(kg.train[0].tolist())
    mine: Measured = measure.measure(of, triplet)
    assert mine == Measure(kg, config).measure(of, triplet)
    for name, played in mine.played.items():
        assert of.weights[name][0].keys() == of.weights[name][1].keys()
        assert [fake.place for fake in played.before] != [fake.place for fake in played.after]
    assert mine.played["G_E"].before != mine.played["G_R"].before


@pytest.mark.parametrize("more", [{"pathways": "G_R"}, {"film": "none"}, {"aux_weight": 0.0}, {"k_g": 0}])
def test_ablations_are_measured_for_what_they_have(more):
    _, config, of, mine, _ = case("entities", number=1, **more)
    assert set(mine.played) == set(config.fakes)
    assert (mine.judged[0].auxiliary is None) == ("pathways" in more or "aux_weight" in more)
    assert all((played.alpha is None) == ("film" in more) for played in mine.played.values())
    if "k_g" in more:
        assert "G_E" not in of.updates
        assert all(played.before == played.after for played in mine.played.values())
