"""CAKE-style and SMiLE-style negatives, and the concepts behind both, against plain slow definitions."""

from __future__ import annotations

from collections import Counter, defaultdict

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dans_core import Config, KnowledgeGraph, Trainer
from dans_core.batch import Batch
from dans_core.decoders import DECODERS
from dans_core.events import Losses
from dans_core.facts import TrainFacts
from dans_core.samplers.baselines.roles import RARE, Concepts, concepts_in, role_signatures
from tests.conftest import random_graph
from tests.core.sampling import answers_in_train, pairs_of
from tests.core.test_sans import assert_drawn_from, every_pair, graph_of, graphs, ids_of, others, sampler_of
from tests.examples import examples

BOTH = pytest.mark.parametrize("name", ["cake-style", "smile-style"])
TABLE = pytest.mark.parametrize("cells", [0, 1 << 22], ids=["no table", "table"])


def slots_of(graph: KnowledgeGraph) -> list[frozenset[int]]:
    """The relations that each entity answers in train."""
    slots = defaultdict(set)
    for (_, r), tails in answers_in_train(graph).items():
        for t in tails:
            slots[t].add(r)
    return [frozenset(slots[e]) for e in range(graph.num_entities)]


def similarity(a: frozenset[int], b: frozenset[int]) -> float:
    return len(a & b) / len(a | b) if a | b else 0.0


def slow_concepts(graph: KnowledgeGraph, rare: int = RARE) -> list[frozenset[int]]:
    """Of each entity, the signature that founded its concept."""
    slots = slots_of(graph)
    counts = Counter(slots)
    founder_of: dict[frozenset[int], frozenset[int]] = {}
    founders: list[frozenset[int]] = []
    for signature in sorted(counts, key=lambda one: (-counts[one], sorted(one))):
        best = max(founders, key=lambda founder: similarity(founder, signature), default=None)
        joins = best is not None and counts[signature] < rare and similarity(best, signature) >= 0.5
        if not joins:
            founders.append(signature)
        founder_of[signature] = best if joins else signature
    return [founder_of[signature] for signature in slots]


def cake_set(graph: KnowledgeGraph, concepts: list, pair: tuple[int, int, int]) -> set[int]:
    """From where CAKE draws for a pair, without the answers in train."""
    h, r, t = pair
    answers = answers_in_train(graph)
    tails = [tails for (_, relation), tails in answers.items() if relation == r]
    if sum(map(len, tails)) < 1.5 * max(1, len(tails)):
        found = {e for e in range(graph.num_entities) if concepts[e] == concepts[t]}
    else:
        range_ = {concepts[e] for e in set().union(*tails)} - {concepts[t]}
        found = {e for e in range(graph.num_entities) if concepts[e] in range_}
    return found - answers[h, r] - {t}


def same_groups(concepts: Concepts, slow: list) -> bool:
    return (
        len(set(zip(concepts.of.tolist(), slow, strict=True)))
        == len(set(concepts.of.tolist()))
        == len(set(slow))
    )


@given(graphs())
def test_signatures_are_the_slots_that_an_entity_fills(graph):
    signatures, of = role_signatures(TrainFacts(graph))
    assert [frozenset(signatures[i]) for i in of] == slots_of(graph)
    assert len(set(signatures)) == len(signatures) and all(list(s) == sorted(s) for s in signatures)


@given(graphs(), st.integers(0, 4))
def test_rare_signatures_join_the_commonest_similar_one(graph, rare):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dans_core.samplers.baselines.roles.RARE", rare)
        concepts = Concepts.of_facts(TrainFacts(graph))
    assert same_groups(concepts, slow_concepts(graph, rare))


def test_concepts_of_umls_are_those_of_the_slow_definition_and_say_something(umls):
    concepts = Concepts.of_facts(TrainFacts(umls))
    assert same_groups(concepts, slow_concepts(umls))
    members = [
        {umls.entities[i] for i in part.tolist()}
        for part in concepts.order.split(concepts.starts.diff().tolist())
    ]
    assert len(members) == 29 and sorted(concepts.order.tolist()) == list(range(135))
    animals = next(group for group in members if "mammal" in group)
    assert {"bird", "fish", "reptile", "plant"} <= animals and "organization" not in animals


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["city:paris", "city:rome", "person:x:y", "person:z"], ["city", "city", "person", "person"]),
        (
            ["concept_city_new_york", "concept:city:rome", "concept_a_b", "concept_a_c"],
            ["city", "city", "a", "a"],
        ),
        (["city:paris", "city:rome", "person:x", "nobody"], None),
        (["wd:Q1", "wd:Q2", "wd:Q3"], None),
        (["a:x", "b:x", "c:x"], None),
        (["http://a", "http://b", "https://a", "https://b"], None),
        (["a", "b"], None),
        (["a:", ":b", "c:d", "c:e"], None),
    ],
)
def test_concepts_are_read_from_names_that_all_have_one(names, found):
    assert concepts_in(names) == found


def test_concepts_in_names_go_before_roles():
    names = ["city:a", "city:b", "person:a", "person:b"]
    graph = KnowledgeGraph([(0, 0, 2), (1, 0, 3)], [], [], names, ["r"], "named")
    concepts = Concepts.of_facts(TrainFacts(graph))
    assert concepts.of.tolist() == [0, 0, 1, 1] and concepts.starts.tolist() == [0, 2, 4]


def typed_graph() -> KnowledgeGraph:
    """Sides of both kinds, sets larger and smaller than what is drawn, and queries that train does not have."""
    people, cities = range(0, 6), range(6, 11)
    born = [(p, 0, 6 + p % 3) for p in people]
    knows = [(a, 1, b) for a in (0, 1, 2) for b in (1, 2, 3, 7, 8) if a != b]
    near = [(6, 2, 7), (7, 2, 8), (9, 2, 10), (6, 2, 8)]
    # One query only, and of the N-side.
    owns = [(0, 3, 6), (0, 3, 7)]
    test = [(0, 0, 9), (11, 0, 6), (4, 1, 5), (0, 1, 11), (3, 2, 3)]
    return graph_of(born + knows + near + owns, test, len(people) + len(cities) + 1, 4)


@TABLE
@pytest.mark.parametrize("negatives", [4, 12])
def test_cake_draws_from_the_sets_of_its_definition(negatives, cells, monkeypatch):
    monkeypatch.setattr("dans_core.samplers.baselines.pools._TABLE", cells)
    for graph in (typed_graph(), random_graph(4, num_entities=14, num_relations=3, n=60)):
        concepts, answers = slow_concepts(graph), answers_in_train(graph)
        for batch in (every_pair(graph), Batch.of_triplets(graph.train, graph.num_relations)):
            sampler = sampler_of(graph, "cake-style", negatives=negatives)
            rounds = torch.stack([ids_of(sampler, batch, graph.num_entities) for _ in range(150)], dim=1)
            filled = 0
            for ids, (h, r, t) in zip(rounds, pairs_of(batch), strict=True):
                chosen = cake_set(graph, concepts, (h, r, t))
                enough = min(negatives, len(chosen))
                filled += negatives - enough
                if enough:
                    assert_drawn_from(ids[:, :enough], dict.fromkeys(chosen, 1.0))
                if enough < negatives:
                    assert_drawn_from(ids[:, enough:], others(graph, answers[h, r], t))
            assert 0 < filled < rounds[:, 0].numel()


@pytest.mark.parametrize("negatives", [1, 8, 9])
def test_smile_draws_one_half_of_the_answers_concept_and_one_of_others(negatives):
    for graph in (typed_graph(), random_graph(4, num_entities=14, num_relations=3, n=60)):
        concepts, batch = slow_concepts(graph), every_pair(graph)
        sampler = sampler_of(graph, "smile-style", negatives=negatives)
        rounds = torch.stack([ids_of(sampler, batch, graph.num_entities) for _ in range(150)], dim=1)
        assert rounds.shape[2] == negatives
        halves = rounds.split([negatives // 2, negatives - negatives // 2], dim=2)
        for intra, inter, (_, _, t) in zip(*halves, pairs_of(batch), strict=True):
            every = set(range(graph.num_entities)) - {t}
            for ids, alike in ((intra, True), (inter, False)):
                half = {e for e in every if (concepts[e] == concepts[t]) == alike}
                if ids.numel():
                    assert_drawn_from(ids, dict.fromkeys(half or every, 1.0))


def test_on_umls_halves_are_exact_wherever_both_sets_have_something(umls):
    batch, concepts = Batch.of_triplets(umls.train, 46), Concepts.of_facts(TrainFacts(umls))
    ids = ids_of(sampler_of(umls, "smile-style"), batch, 135)
    alike = concepts.of[ids] == concepts.of[batch.answer].unsqueeze(1)
    alone = concepts.of.bincount()[concepts.of[batch.answer]] == 1
    assert alike[~alone, :10].all() and not alike[:, 10:].any()
    assert not (ids == batch.answer.unsqueeze(1)).any()
    # What the files of both samplers say of UMLS.
    assert float(alone.float().mean()) == pytest.approx(0.049, abs=0.001)


@examples(30)
@given(graph=graphs())
def test_cake_draws_no_answer_in_train_while_another_entity_remains(graph):
    batch, answers = every_pair(graph), answers_in_train(graph)
    ids = ids_of(sampler_of(graph, "cake-style", negatives=6), batch, graph.num_entities)
    for row, (h, r, t) in zip(ids, pairs_of(batch), strict=True):
        assert set(row.tolist()) <= set(others(graph, answers[h, r], t))


@pytest.mark.parametrize("name", ["sans", "cake-style"])
def test_none_of_umls_negatives_is_an_answer_in_train(umls, name):
    batch = Batch.of_triplets(umls.train, 46)
    ids = ids_of(sampler_of(umls, name), batch, 135)
    heads, relations = batch.heads[batch.query, None], batch.relations[batch.query, None]
    assert ids.shape == (10432, 20)
    assert not umls.known_in("train").contains(heads.numpy(), relations.numpy(), ids.numpy()).any()


@BOTH
def test_only_train_decides(nations, name):
    facts = nations.train.tolist()
    other = KnowledgeGraph(facts, [], [(0, 0, 1)], nations.entities, nations.relations, "other")
    batch = Batch.of_triplets(nations.train, nations.num_relations)
    one, two = (ids_of(sampler_of(graph, name), batch, 14) for graph in (nations, other))
    assert torch.equal(one, two)


@BOTH
@pytest.mark.parametrize("decoder", sorted(DECODERS))
def test_it_trains(nations, decoder, name):
    config = Config(sampler=name, decoder=decoder, epochs=3, dim=8, negatives=4, average=0.0, dropout=0.0)
    losses = [event.base for event in Trainer(nations, config) if isinstance(event, Losses)]
    assert len(losses) == 3 and losses[2] < losses[0]
